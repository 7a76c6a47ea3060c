"""Wrong usage exits 2; options stand before or after arguments; no command asks questions."""

import json

import click
import pytest

from recrypt_client.cli import main
from recrypt_client.commands.frame import summary
from tests.client.stage import TEAM, URL, Stage

WRONG = [
    ("nosuch",),
    ("profile", "create"),
    ("profile", "create", "alice"),
    ("profile", "create", "a..b@example.org"),
    ("profile", "create", ".alice@example.org"),
    ("profile", "create", "alice@example..org"),
    ("profile", "create", "alice@-example.org"),
    ("profile", "create", '"alice"@example.org'),
    ("profile", "create", "alice@example.org", "--algorithm", "RSA"),
    ("profile", "devices", "nosuch"),
    ("profile", "devices", "new"),
    ("profile", "devices", "add"),
    ("profile", "devices", "revoke"),
    ("create",),
    ("create", "no address"),
    ("create", "te..am@lists.example"),
    ("add", TEAM),
    ("add", TEAM, "x.json", "--privilege", "ROOT"),
    ("add", TEAM, "x.json", "--status", "GONE"),
    ("delete", TEAM),
    ("members",),
    ("members", "../etc@passwd"),
    ("key", TEAM, "--nosuch"),
    ("encrypt", "file"),
    ("seal",),
    ("read", "one", "two"),
]


@pytest.mark.parametrize("above", [(), ("profile",), ("profile", "devices")], ids=" ".join)
def test_help_has_each_command_once_on_a_line_of_its_own(
    stage: Stage, above: tuple[str, ...]
) -> None:
    group: click.Command = main
    for name in above:
        assert isinstance(group, click.Group)
        group = group.commands[name]
    assert isinstance(group, click.Group)
    lines = stage.run("alice", *above, "--help").stdout.splitlines()
    for name, command in group.commands.items():
        (line,) = [each for each in lines if each.startswith(f"  {name} ")]
        assert line.endswith(summary(command))
        assert len(line) <= 80


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_usage_exits_2(stage: Stage, arguments: tuple[str, ...]) -> None:
    result = stage.run("alice", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert not stage.home("alice").exists()


def test_common_options_stand_anywhere(stage: Stage) -> None:
    stage.team()
    for arguments in (
        ("--json", "members", TEAM),
        ("members", "--json", TEAM),
        ("members", TEAM, "--json"),
    ):
        assert json.loads(stage.does("alice", *arguments))["GroupName"] == TEAM


def test_options_stand_before_or_after_arguments(stage: Stage) -> None:
    stage.person("alice")
    stage.does("alice", "create", "--service", URL, TEAM)
    assert stage.does("alice", "key", TEAM, "--service", URL)
    assert stage.does("alice", "key", "--service", URL, TEAM)


def test_what_comes_from_outside_cannot_control_the_terminal(stage: Stage) -> None:
    stage.team("bob")
    message = b"From: alice@example.org\r\nSubject: \x1b[2J\r\n\r\n\x1b]0;owned\x07 \x9b1m\r\n"
    copy = stage.copy(stage.sealed(message), "bob")
    shown = stage.run("bob", "read", "--text", stdin=copy)
    assert shown.exit_code == 0
    assert "\x1b" not in shown.stdout
    assert "\x07" not in shown.stdout
    assert "]0;owned" in shown.stdout
