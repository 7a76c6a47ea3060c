"""A service that lies is caught, or the documentation says that it can't be (spec §5, §8, §10)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from recrypt_client import auditing, deciding
from tests.client.change_lies import CHANGES, READING
from tests.client.closing_lies import CLOSING
from tests.client.group_lies import GROUPS
from tests.client.history_lies import CHAIN
from tests.client.lies import KEYS, End, Lie
from tests.client.malicious_service import World, build
from tests.client.odd_answers import OCTETS, WORDS

LIES: Final = {
    each.name: each
    for each in (*KEYS, *CHAIN, *GROUPS, *CHANGES, *READING, *CLOSING, *WORDS, *OCTETS)
}
DOCUMENTED: Final = Path(__file__).parents[2] / "docs" / "guarantees.md"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Make the world once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RECRYPT_PASSPHRASE_FILE", raising=False)
        return build(tmp_path_factory.mktemp("world"))


@pytest.fixture
def world(made: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Give a copy of it, for people who lose patience after some pages."""
    monkeypatch.delenv("RECRYPT_PASSPHRASE_FILE", raising=False)
    for flow in (auditing, deciding):
        monkeypatch.setattr(flow, "PAGES", 20)
    copied = made.copy(tmp_path)
    yield copied
    copied.close()


def refused(world: World, lie: Lie, command: str) -> None:
    """See that a command fails in words that say what and what to do, and does nothing."""
    before = world.kept()
    result = world.run(command)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    told = result.stdout if " verify " in command else result.stderr
    assert lie.words in told
    assert "\x1b" not in told
    if told is result.stderr:
        assert result.stdout == ""
        assert told.count("\n") == 1
        assert told.count(". ") >= 1, "no word on what to do"
    assert lie.is_pinned or world.kept() == before


def in_vain(world: World, lie: Lie, command: str, honest: str | None) -> None:
    """See that a command shows what it shows without the lie, or what is true."""
    shown = world.does(command).decode()
    assert shown == honest or (lie.words and lie.words in shown)


def unseen(world: World, lie: Lie, command: str) -> None:
    """See that the documentation says what no command can."""
    world.does(command)
    assert lie.words in " ".join(DOCUMENTED.read_text().split())


@pytest.mark.parametrize("name", LIES)
def test_a_lie_comes_to_its_end(world: World, name: str) -> None:
    lie = LIES[name]
    for command in lie.before:
        world.does(command)
    is_read = lie.end is End.IN_VAIN and not lie.words
    honest = [world.does(command).decode() for command in lie.commands] if is_read else []
    world.lies(lie.on, lie.tell)
    for command in lie.first:
        world.does(command)
    for number, command in enumerate(lie.commands):
        match lie.end:
            case End.REFUSED:
                refused(world, lie, command)
            case End.IN_VAIN:
                in_vain(world, lie, command, honest[number] if is_read else None)
            case End.UNSEEN:
                unseen(world, lie, command)


COMMANDS: Final = sorted(
    {
        command
        for lie in LIES.values()
        for command in lie.commands
        if not lie.first and not lie.before and " approve " not in command
    }
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_works_while_nobody_lies(world: World, command: str) -> None:
    world.does(command)


def test_no_name_is_given_twice() -> None:
    tables = (KEYS, CHAIN, GROUPS, CHANGES, READING, CLOSING, WORDS, OCTETS)
    assert len(LIES) == sum(map(len, tables))
