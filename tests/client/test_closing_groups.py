"""`recrypt close`: a SUPER ends a group for good, and every client knows it from then on."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from recrypt_core.documents import Privilege
from recrypt_core.messages import GetKeyResponse, Response
from tests.client.stage import TEAM, URL, Stage

CLOSED = f"{TEAM} was closed for good on 2026-11-22"


def close(stage: Stage, *more: str) -> bytes:
    return stage.does("alice", "close", TEAM, "--yes", *more)


def test_a_group_is_closed_after_a_plain_yes(stage: Stage) -> None:
    stage.team("bob")
    for answer in (None, False):
        stage.says_yes = answer
        refused = stage.run("alice", "close", TEAM)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert "nothing was changed, as nobody said yes" in refused.stderr
    assert stage.service.state is not None
    assert not stage.service.state.is_closed
    stage.says_yes = True
    result = stage.run("alice", "close", TEAM)
    assert (result.exit_code, stage.asked[-1]) == (0, f"Close {TEAM} for good?")
    for words in ("nobody can post to it", "for 14 days", "can't be undone"):
        assert words in result.stderr
    assert result.stdout.startswith(f"{TEAM} is closed for good")
    assert stage.service.state.is_closed


def test_what_it_means_with_nothing_kept_is_said_too(stage: Stage) -> None:
    stage.team()
    stage.does("alice", "set", TEAM, "keep=0")
    result = stage.run("alice", "close", TEAM, "--yes")
    assert result.exit_code == 0
    assert "as soon as that is sent" in result.stderr


def test_given_twice_it_changes_nothing_more(stage: Stage) -> None:
    stage.team()
    first = json.loads(close(stage, "--json"))
    again = json.loads(stage.does("alice", "close", TEAM, "--json"))
    assert (first["Changed"], again["Changed"]) == (True, False)
    assert first["Closed"] == again["Closed"] == "2026-11-22T12:00:04Z"
    assert first["Head"] == again["Head"]
    assert b"is closed for good already" in stage.does("alice", "close", TEAM)


def test_what_another_has_closed_meanwhile_is_not_ones_own_change(stage: Stage) -> None:
    stage.team()
    two = ("--privilege", "RECRYPT", "--privilege", "ADMIN", "--privilege", "SUPER")
    stage.does("alice", "add", TEAM, str(stage.person("bob")), *two)
    stage.does("bob", "key", TEAM, "--service", URL)

    def meanwhile() -> None:
        stage.does("bob", "close", TEAM, "--yes")

    stage.service.before = meanwhile
    answer = json.loads(close(stage, "--json"))
    assert answer["Changed"] is False
    assert stage.service.before is None


def test_after_a_lost_answer_the_command_again_says_that_it_is_closed(stage: Stage) -> None:
    stage.team()
    stage.service.lost_answers = 1
    stage.run("alice", "close", TEAM, "--yes")
    assert b"is closed for good already" in close(stage)


@pytest.mark.parametrize("powers", [(), (Privilege.ADMIN,)])
def test_only_a_super_closes(stage: Stage, powers: tuple[Privilege, ...]) -> None:
    stage.team()
    given = [word for each in (Privilege.RECRYPT, *powers) for word in ("--privilege", each.value)]
    stage.does("alice", "add", TEAM, str(stage.person("bob")), *given)
    stage.does("bob", "key", TEAM, "--service", URL)
    assert stage.run("bob", "close", TEAM, "--yes").exit_code == 1
    assert stage.service.state is not None
    assert not stage.service.state.is_closed
    if powers:
        assert "only an ACTIVE SUPER" in stage.fails("bob", "close", TEAM, "--yes")


def test_nobody_encrypts_or_seals_to_it(stage: Stage, tmp_path: Path) -> None:
    stage.team("bob")
    plan = tmp_path / "plan"
    plan.write_bytes(b"the plan")
    stage.does("bob", "key", TEAM, "--service", URL)
    close(stage)
    for who in ("bob", "alice"):
        assert CLOSED in stage.fails(who, "encrypt", str(plan), "--to", TEAM)
        assert CLOSED in stage.fails(who, "seal", "--to", TEAM, stdin=b"Subject: x\r\n\r\nx\r\n")
    stage.person("carol")
    assert CLOSED in stage.fails("carol", "encrypt", str(plan), "--to", TEAM, "--service", URL)
    assert CLOSED in stage.fails("carol", "join", TEAM, "--service", URL)
    out = tmp_path / "team.jwk"
    assert CLOSED in stage.fails("bob", "key", TEAM, "--out", str(out))
    assert not out.exists()
    result = stage.run("bob", "key", TEAM, "--json")
    assert (result.exit_code, json.loads(result.stdout)["Closed"][:10]) == (0, "2026-11-22")
    assert CLOSED in stage.run("bob", "key", TEAM).stderr
    stage.now += timedelta(days=400)
    assert CLOSED in stage.fails("bob", "encrypt", str(plan), "--to", TEAM)


def test_no_command_changes_it_and_those_that_look_work(stage: Stage) -> None:
    stage.team("bob")
    close(stage)
    assert stage.service.state is not None
    head = stage.service.state.head
    carol = str(stage.person("carol"))
    for command in (
        ("add", TEAM, carol), ("delete", TEAM, "bob@example.org"), ("rekey", TEAM),
        ("suspend", TEAM, "bob@example.org"), ("set", TEAM, "keep=1"),
        ("escrow", TEAM, carol, "--out", f"{carol}.escrow"),
    ):  # fmt: skip
        assert CLOSED in stage.fails("alice", *command)
    stage.now += timedelta(days=170)
    for command in (("members", TEAM), ("audit", TEAM), ("set", TEAM), ("refresh", TEAM)):
        result = stage.run("alice", *command)
        assert (result.exit_code, result.stderr) == (0, ""), command
    assert b"Closed" in stage.does("alice", "history", TEAM)
    assert stage.service.state.head == head
    assert not list(stage.home("alice").glob("groups/*.rekey"))


def test_verify_says_so_and_asks_for_nothing(stage: Stage) -> None:
    stage.team("bob")
    close(stage)
    stage.now += timedelta(days=400)
    told = stage.does("alice", "verify", TEAM).decode()
    assert "closed for good on 2026-11-22" in told
    assert "wrong" not in told
    assert "advice" not in told


def test_members_read_what_they_have(stage: Stage) -> None:
    stage.team("bob")
    copy = stage.copy(stage.sealed(), "bob")
    close(stage)
    assert b"At one?" in stage.does("bob", "read", stdin=copy)


def test_who_saw_it_closed_is_never_shown_it_open(stage: Stage) -> None:
    stage.team("bob")
    before = stage.service.state
    assert before is not None
    stage.does("bob", "key", TEAM, "--service", URL)
    close(stage)
    stage.does("bob", "key", TEAM)

    def lie(name: str, response: Response) -> Response:
        if name != "GetKey":
            return response
        return GetKeyResponse(signed_key=before.key.signed, master=before.master.signed)

    stage.service.lie = lie
    words = stage.fails("bob", "key", TEAM)
    assert "THE SERVICE SHOWS AS OPEN A GROUP THAT WAS CLOSED FOR GOOD on 2026-11-22" in words
