"""`recrypt rekey`: a new key, entries for all who are served, then the switch; cut off anywhere."""

import json
import shutil
from collections.abc import Callable

import pytest

from recrypt_client import entries, rekeying
from recrypt_core import limits
from recrypt_core.chain import GroupState
from recrypt_core.members import Member
from recrypt_core.messages import ChangeResponse, Response
from recrypt_core.policy import History
from recrypt_core.udf import Udf
from tests.builders import EVERY_POWER, new_group, new_history, new_membership, new_person
from tests.client.stage import TEAM, Stage


def state(stage: Stage) -> GroupState:
    assert stage.service.state is not None
    return stage.service.state


def member(stage: Stage, name: str) -> Member:
    return next(
        each for each in state(stage).members.values() if each.account == f"{name}@example.org"
    )


def keys_of(stage: Stage, name: str) -> list[Udf]:
    return [each.encryption_key_udf for each in member(stage, name).entry.entries]


def test_who_was_removed_cannot_read_what_comes_after_and_others_can(stage: Stage) -> None:
    stage.team("bob", "carol")
    old = state(stage).key.udf
    stage.does("alice", "delete", TEAM, "bob@example.org")
    answer = json.loads(stage.does("alice", "rekey", TEAM, "--json"))
    assert (answer["Generation"], answer["KeyUDF"]) == (2, state(stage).key.udf)
    assert state(stage).key.document.previous == old
    post = stage.sealed()
    assert b"At one?" in stage.does("carol", "read", stdin=stage.copy(post, "carol"))
    assert keys_of(stage, "bob") == []
    assert keys_of(stage, "carol") == [old, state(stage).key.udf]


def test_posts_to_the_old_key_that_are_on_their_way_still_arrive(stage: Stage) -> None:
    stage.team("bob")
    post = stage.sealed()
    stage.does("alice", "rekey", TEAM)
    assert b"At one?" in stage.does("bob", "read", stdin=stage.copy(post, "bob"))


def test_the_group_key_names_the_head_and_the_key_before_it(stage: Stage) -> None:
    stage.team("bob")
    before = state(stage)
    stage.does("alice", "rekey", TEAM)
    key = state(stage).key.document
    assert (key.generation, key.previous) == (2, before.key.udf)
    assert key.head.seq == state(stage).head.seq - 1
    assert key.not_after - key.created == limits.GROUP_KEY_LIFE


@pytest.mark.parametrize(
    ("history", "generations"), [(History.NONE, 2), (History.SINCE_JOIN, 3), (History.ALL, 3)]
)
def test_entries_of_older_keys_stay_as_history_says(
    stage: Stage, history: History, generations: int
) -> None:
    stage.team("bob")
    if history is not History.NONE:
        stage.does("alice", "set", TEAM, f"history={history.value}")
    for _ in range(2):
        stage.does("alice", "rekey", TEAM)
    assert len(keys_of(stage, "bob")) == generations


@pytest.mark.parametrize("history", History)
def test_a_newcomer_gets_entries_for_all_keys_only_if_history_is_all(
    stage: Stage, history: History
) -> None:
    stage.team()
    stage.does("alice", "set", TEAM, f"history={history.value}")
    stage.does("alice", "rekey", TEAM)
    stage.does("alice", "add", TEAM, str(stage.person("bob")))
    past = {key.udf for key in state(stage).past_keys} if history is History.ALL else set()
    assert set(keys_of(stage, "bob")) == {state(stage).key.udf, *past}


def test_without_past_keys_past_entries_end_with_the_switch(stage: Stage) -> None:
    stage.team("bob")
    stage.does("alice", "set", TEAM, "past_keys=false")
    stage.does("alice", "rekey", TEAM)
    assert keys_of(stage, "bob") == [state(stage).key.udf]


def test_who_is_suspended_gets_an_entry_when_resumed(stage: Stage) -> None:
    stage.team("bob")
    stage.does("alice", "suspend", TEAM, "bob@example.org")
    stage.does("alice", "rekey", TEAM)
    assert state(stage).key.udf not in keys_of(stage, "bob")
    stage.does("alice", "resume", TEAM, "bob@example.org")
    assert b"At one?" in stage.does("bob", "read", stdin=stage.copy(stage.sealed(), "bob"))


def in_pages(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Let a request hold so few entries."""
    monkeypatch.setattr(limits, "REQUEST_ENTRIES", size)


@pytest.mark.parametrize("answers", [0, 1, 2])
@pytest.mark.parametrize("is_taken", [True, False])
def test_a_rekey_that_was_cut_off_at_any_page_goes_on_there(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, answers: int, is_taken: bool
) -> None:
    """Pages of one member; the answer is lost, or the request itself."""
    stage.team("bob", "carol")
    in_pages(monkeypatch, 2)
    halves = len(stage.service.halves)
    calls = 0
    real = stage.service._change

    def change(*given: object) -> Response:
        nonlocal calls
        calls += 1
        if calls != answers + 1:
            return real(*given)  # type: ignore[arg-type]  # handed on as they came
        if is_taken:
            real(*given)  # type: ignore[arg-type]  # handed on as they came
        return Response(status=503, status_description="Trouble here: try again later.")

    monkeypatch.setattr(stage.service, "_change", change)
    assert "503" in stage.fails("alice", "rekey", TEAM)
    assert state(stage).key.document.generation == 1
    result = stage.run("alice", "rekey", TEAM)
    assert result.exit_code == 0, result.output
    assert "Going on with a rekey" in result.stderr
    assert state(stage).key.document.generation == 2
    assert len(stage.service.halves) == halves + 3  # one split a member, none twice
    assert not list(stage.home("alice").glob("groups/*.rekey"))


def test_who_stops_a_rekey_is_told_how_it_goes_on_and_so_is_who_verifies(stage: Stage) -> None:
    stage.team("bob")
    stage.does("alice", "members", TEAM)

    def press_ctrl_c() -> None:
        raise KeyboardInterrupt

    stage.service.before = press_ctrl_c
    told = stage.fails("alice", "rekey", TEAM)
    assert told == (
        "recrypt: stopped. What was done until then stays: give the same command again to go on.\n"
    )
    (advice,) = (line for line in verified(stage) if line.startswith("advice"))
    assert f"the old key counts until recrypt rekey {TEAM} goes on" in advice
    stage.does("alice", "rekey", TEAM)
    assert not [line for line in verified(stage) if line.startswith("advice")]


def verified(stage: Stage) -> list[str]:
    return stage.does("alice", "verify", TEAM).decode().splitlines()


def test_a_rekey_whose_last_answer_was_lost_is_not_done_twice(stage: Stage) -> None:
    stage.team("bob")
    stage.does("alice", "members", TEAM)

    def lose_the_switch() -> None:
        stage.service.before = lambda: setattr(stage.service, "lost_answers", 1)

    stage.service.before = lose_the_switch
    assert "the connection was reset" in stage.fails("alice", "rekey", TEAM)
    assert state(stage).key.document.generation == 2
    stage.does("alice", "rekey", TEAM)
    assert state(stage).key.document.generation == 2
    stage.does("alice", "rekey", TEAM)
    assert state(stage).key.document.generation == 3


def other_machine(stage: Stage, *arguments: str) -> Callable[[], None]:
    """Let Alice's other machine give a command."""

    def act() -> None:
        shutil.copytree(stage.home("alice"), stage.home("other"))
        (stage.home("other") / f"groups/{TEAM}.rekey").unlink(missing_ok=True)
        stage.does("other", *arguments)

    return act


def test_who_is_added_during_a_rekey_gets_an_entry_before_the_switch(stage: Stage) -> None:
    stage.team("bob")
    carol = str(stage.person("carol"))
    add = other_machine(stage, "add", TEAM, carol)
    stage.service.before = lambda: setattr(stage.service, "before", add)
    stage.does("alice", "rekey", TEAM)
    assert state(stage).key.document.generation == 2
    assert b"At one?" in stage.does("carol", "read", stdin=stage.copy(stage.sealed(), "carol"))


def test_of_two_rekeys_at_once_one_is_told(stage: Stage) -> None:
    stage.team("bob")
    stage.service.before = other_machine(stage, "rekey", TEAM)
    assert "another administrator has rekeyed" in stage.fails("alice", "rekey", TEAM)
    assert state(stage).key.document.generation == 2
    stage.does("alice", "members", TEAM)
    assert b"At one?" in stage.does("bob", "read", stdin=stage.copy(stage.sealed(), "bob"))


def test_what_another_prepared_stays_and_what_came_to_nothing_goes() -> None:
    group, dead, coming = new_group(), new_group().key, new_group().key
    alice, bob = new_person("alice@example.org"), new_person("bob@example.org")
    seat = new_membership(alice, group.key, privileges=EVERY_POWER)
    held = new_membership(bob, dead, group.key, coming)
    now = new_history(group, seat, held, authorised=alice).state
    stay = entries.kept(held.entry, now)
    assert [each.encryption_key_udf for each in stay] == [group.key.public.udf, coming.public.udf]


def test_the_private_key_of_the_next_generation_is_kept_before_anything_is_sent(
    stage: Stage,
) -> None:
    stage.team("bob")
    found: list[object] = []

    def look() -> None:
        name = f"groups/{TEAM}.rekey"
        under_way = stage.keys("alice").document(name, rekeying.Rekey)
        assert under_way is not None
        found.append(stage.keys("alice").agreement_key(under_way.next_udf))

    stage.service.before = look
    stage.does("alice", "rekey", TEAM)
    (key,) = found
    assert key is not None


def test_a_rekey_is_for_administrators(stage: Stage) -> None:
    stage.team("bob")
    stage.does("bob", "key", TEAM)
    assert "403" in stage.fails("bob", "rekey", TEAM)


def test_a_service_that_says_it_switched_and_did_not_is_caught(stage: Stage) -> None:
    stage.team("bob")
    stage.does("alice", "rekey", TEAM)
    old = stage.service.state
    assert old is not None

    def lie(_name: str, response: Response) -> Response:
        if isinstance(response, ChangeResponse):
            return ChangeResponse(head=old.head)
        return response

    stage.service.lie = lie
    assert "SHOWS ANOTHER HISTORY" in stage.fails("alice", "rekey", TEAM)
