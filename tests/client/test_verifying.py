"""`recrypt verify`: everything checked anew, each finding in words that say what to do."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace as but

from recrypt_client import changing
from recrypt_core import limits
from recrypt_core.chain import GroupState
from recrypt_core.documents import Head
from recrypt_core.messages import GetChangesResponse, GetGroupResponse, GetKeyResponse, Response
from recrypt_core.policy import Policy
from tests.builders import new_group, new_membership, new_person
from tests.client.stage import TEAM, URL, Stage


def state(stage: Stage) -> GroupState:
    assert stage.service.state is not None
    return stage.service.state


def checks(stage: Stage, *, status: int) -> dict[str, tuple[str, str]]:
    result = stage.run("alice", "verify", TEAM, "--json")
    assert result.exit_code == status, result.output
    found = json.loads(result.stdout)["Checks"]
    return {each["Check"]: (each["Result"], each["Words"]) for each in found}


def test_all_is_well_with_an_honest_service(stage: Stage) -> None:
    stage.team("bob", "carol")
    stage.does("alice", "rekey", TEAM)
    stage.does("alice", "delete", TEAM, "bob@example.org")
    found = checks(stage, status=0)
    assert {result for result, _ in found.values()} == {"ok"}
    assert {*found} == {
        "history", "key for senders", "life of the key", "members", "state at the service",
        "newer profiles", "private keys", "AdministratorKeys", "entries", "head",
    }  # fmt: skip
    assert state(stage).head.hash is not None
    assert str(state(stage).head.hash) in found["head"][1]
    told = stage.does("alice", "verify", TEAM).decode()
    assert told.startswith("RESULT  CHECK")


def group_lie(change: Callable[[GetGroupResponse], GetGroupResponse]) -> Callable[..., Response]:
    def lie(_name: str, response: Response) -> Response:
        return change(response) if isinstance(response, GetGroupResponse) else response

    return lie


def ghost(page: GetGroupResponse) -> GetGroupResponse:
    entry = new_membership(new_person("mallory@example.org"), new_group().key).entry
    group = page.recryption_group
    return but(page, recryption_group=but(group, members=(*group.members, entry)))


def without(page: GetGroupResponse) -> GetGroupResponse:
    return but(page, recryption_group=but(page.recryption_group, members=()))


def promoted(page: GetGroupResponse) -> GetGroupResponse:
    group = page.recryption_group
    members = tuple(but(each, quotas=("RecryptData per-day 9",)) for each in group.members)
    return but(page, recryption_group=but(group, members=members))


def ruled(page: GetGroupResponse) -> GetGroupResponse:
    return but(page, recryption_group=but(page.recryption_group, policy=Policy(keep=1)))


def behind(page: GetGroupResponse) -> GetGroupResponse:
    return but(page, head=Head(page.head.seq - 1, page.head.hash))


def ahead(page: GetGroupResponse) -> GetGroupResponse:
    return but(page, head=Head(page.head.seq + 1, page.head.hash))


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        (ghost, "members", "A GHOST"),
        (without, "members", "LEFT OUT"),
        (promoted, "members", "AN ENTRY THAT NO ADMINISTRATOR HAS SIGNED"),
        (ruled, "state at the service", "ISN'T WHAT THE HISTORY HAS"),
        (behind, "state at the service", "TWO HEADS"),
    ],
)
def test_what_the_service_shows_otherwise_than_the_history_is_wrong(
    stage: Stage,
    change: Callable[[GetGroupResponse], GetGroupResponse],
    check: str,
    words: str,
) -> None:
    stage.team("bob")
    stage.service.lie = group_lie(change)
    found = checks(stage, status=1)
    assert found[check][0] == "wrong"
    assert words in found[check][1]
    assert found["history"][0] == "ok"


def with_carol(stage: Stage) -> Path:
    """Let Carol administer the team too; give the profile of Dave, who isn't in it."""
    stage.team("bob")
    carol = str(stage.person("carol"))
    stage.does("alice", "add", TEAM, carol, "--privilege", "ADMIN", "--privilege", "RECRYPT")
    stage.does("carol", "key", TEAM, "--service", URL)
    stage.does("carol", "verify", TEAM)
    return stage.person("dave")


@pytest.mark.parametrize("when", ["GetChanges", "GetKey", "GetGroup"])
@pytest.mark.parametrize("what", ["add", "rekey"])
def test_a_change_of_meanwhile_is_no_lie(stage: Stage, what: str, when: str) -> None:
    """It is looked at again, with the history as it is then."""
    dave = with_carol(stage)
    left = [("add", TEAM, str(dave)) if what == "add" else ("rekey", TEAM)]

    def meanwhile(name: str, response: Response) -> Response:
        if name == when and left:
            stage.does("carol", *left.pop())
        return response

    stage.service.lie = meanwhile
    found = checks(stage, status=0)
    assert not left
    assert {found[each][0] for each in ("key for senders", "members", "state at the service")} == {
        "ok"
    }
    assert found["head"][1].startswith(f"{state(stage).head.seq} ")


def test_a_head_that_the_history_does_not_have_when_asked_again_is_wrong(stage: Stage) -> None:
    stage.team("bob")
    stage.service.lie = group_lie(ahead)
    result, words = checks(stage, status=1)["state at the service"]
    assert result == "wrong"
    assert "TWO HEADS" in words


def test_changes_without_end_do_not_keep_it_from_ending(stage: Stage) -> None:
    dave = with_carol(stage)
    stage.does("carol", "add", TEAM, str(dave))
    asked: list[str] = []

    def meanwhile(name: str, response: Response) -> Response:
        if name == "GetKey":
            asked.append(name)
            word = "suspend" if len(asked) % 2 else "resume"
            stage.does("carol", word, TEAM, "dave@example.org")
        return response

    stage.service.lie = meanwhile
    assert checks(stage, status=1)["members"][0] == "wrong"
    assert len(asked) == changing.TRIES


def test_a_history_that_goes_back_is_wrong_and_nothing_else_is_believed(stage: Stage) -> None:
    stage.team("bob")
    stage.does("alice", "delete", TEAM, "bob@example.org")

    def lie(_name: str, response: Response) -> Response:
        if not isinstance(response, GetChangesResponse):
            return response
        old = tuple(stage.service.changes[:2])
        return but(response, changes=old, head=Head(2, old[-1].hash))

    stage.service.lie = lie
    found = checks(stage, status=1)
    assert [*found] == ["history"]
    assert "goes back before change 3" in found["history"][1]
    assert "Ask the group's administrator by another way" in found["history"][1]


def test_senders_that_are_shown_another_key_are_noticed(stage: Stage) -> None:
    stage.team("bob")
    old = (state(stage).key.signed, state(stage).master.signed)
    stage.does("alice", "rekey", TEAM)

    def lie(_name: str, response: Response) -> Response:
        if not isinstance(response, GetKeyResponse):
            return response
        return but(response, signed_key=old[0], master=old[1])

    stage.service.lie = lie
    result, words = checks(stage, status=1)["key for senders"]
    assert result == "wrong"
    assert "SHOWS SENDERS ANOTHER KEY" in words


@pytest.mark.parametrize(("days", "result", "status"), [(10, "advice", 0), (-1, "wrong", 1)])
def test_a_key_that_ends_is_told_in_time(stage: Stage, days: int, result: str, status: int) -> None:
    stage.team()
    stage.now += limits.GROUP_KEY_LIFE - timedelta(days=days)
    found = checks(stage, status=status)["life of the key"]
    assert found[0] == result
    assert f"recrypt rekey {TEAM}" in found[1]


def test_members_without_an_entry_are_named(stage: Stage) -> None:
    stage.team()
    stage.does("alice", "add", TEAM, str(stage.person("bob")), "--status", "revoked")
    stage.does("alice", "resume", TEAM, "bob@example.org")
    assert checks(stage, status=0)["entries"][0] == "ok"
    (bob,) = (each for each in state(stage).members.values() if each.account == "bob@example.org")
    stage.restates("alice", but(bob.entry, entries=()))
    result, words = checks(stage, status=1)["entries"]
    assert result == "wrong"
    assert words.startswith("bob@example.org: no entry, so no mail")
    assert f"recrypt resume {TEAM}" in words
    stage.does("alice", "resume", TEAM, "bob@example.org")
    assert checks(stage, status=0)["entries"][0] == "ok"


def test_a_home_without_the_groups_keys_is_told(stage: Stage) -> None:
    stage.team("bob")
    for file in (stage.home("alice") / "keys").iterdir():
        if file.stem in (state(stage).key.udf, state(stage).identifier):
            file.unlink()
    found = checks(stage, status=0)
    assert found["private keys"] == ("ok", "here: the group key, an online key, the master key")
