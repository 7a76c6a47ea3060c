"""A next group key that somebody could find who isn't to read on is given up, and another drawn."""

from collections.abc import Callable

import pytest

from recrypt_client import paths
from recrypt_client.rekeying import Rekey
from recrypt_core.chain import GroupState
from recrypt_core.documents import Status
from recrypt_core.members import Member
from recrypt_core.messages import Change, Response, UpdateGroup
from recrypt_core.udf import Udf
from tests.client.stage import TEAM, Stage
from tests.client.test_newer_profiles import lose_the_device, published
from tests.client.test_rekeying import other_machine

BOB = "bob@example.org"
CAROL = "carol@example.org"


def state(stage: Stage) -> GroupState:
    assert stage.service.state is not None
    return stage.service.state


def member(stage: Stage, address: str) -> Member:
    return next(each for each in state(stage).members.values() if each.account == address)


def cut_off(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Udf:
    """Let Alice's rekey die before the switch, when all have an entry; give the next key."""
    real = stage.service._change

    def change(message: Change, signed: object) -> Response:
        if isinstance(message, UpdateGroup):
            raise KeyboardInterrupt
        return real(message, signed)  # type: ignore[arg-type]  # handed on as it came

    with monkeypatch.context() as patch:
        patch.setattr(stage.service, "_change", change)
        assert stage.run("alice", "rekey", TEAM).exit_code != 0
    under_way = stage.keys("alice").document(paths.rekey_file(TEAM), Rekey)
    assert under_way is not None
    return under_way.next_udf


def keys_held(stage: Stage) -> set[Udf]:
    """Give the group keys that anybody has an entry for."""
    members = state(stage).members.values()
    return {each.encryption_key_udf for one in members for each in one.entry.entries}


def assert_given_up(stage: Stage, given_up: Udf) -> None:
    """Check that a key came to nothing, and that all have entries for the one of now."""
    assert state(stage).key.document.generation == 2
    assert state(stage).key.udf != given_up
    assert given_up not in keys_held(stage)
    assert stage.keys("alice").agreement_key(given_up) is None
    assert state(stage).lacking(state(stage).key.udf) == 0
    assert not list(stage.home("alice").glob("groups/*.rekey"))
    assert b"At one?" in stage.does("carol", "read", stdin=stage.copy(stage.sealed(), "carol"))


@pytest.mark.parametrize("command", ["delete", "suspend"])
def test_who_leaves_while_a_rekey_is_cut_off_knows_no_key_that_comes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    stage.team("bob", "carol")
    given_up = cut_off(stage, monkeypatch)
    assert member(stage, BOB).entry_for(given_up) is not None
    stage.does("alice", command, TEAM, BOB)
    result = stage.run("alice", "rekey", TEAM)
    assert result.exit_code == 0, result.output
    assert "drawn anew" in result.stderr
    assert_given_up(stage, given_up)


def test_who_is_suspended_meanwhile_keeps_the_entry_of_the_key_that_posts_came_to(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.team("bob", "carol")
    old = state(stage).key.udf
    cut_off(stage, monkeypatch)
    stage.does("alice", "suspend", TEAM, BOB)
    stage.does("alice", "rekey", TEAM)
    assert [each.encryption_key_udf for each in member(stage, BOB).entry.entries] == [old]
    stage.does("alice", "resume", TEAM, BOB)
    held = [each.encryption_key_udf for each in member(stage, BOB).entry.entries]
    assert held == [old, state(stage).key.udf]


def test_a_device_that_is_lost_meanwhile_finds_no_key_that_comes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.team("bob", "carol")
    given_up = cut_off(stage, monkeypatch)
    lose_the_device(stage, "bob")
    published(stage, "bob")
    stage.does("alice", "rekey", TEAM)
    assert_given_up(stage, given_up)
    assert b"At one?" in stage.does("bob", "read", stdin=stage.copy(stage.sealed(), "bob"))


def test_who_was_away_and_is_back_spoils_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.team("bob", "carol")
    following = cut_off(stage, monkeypatch)
    for command in ("suspend", "resume"):
        stage.does("alice", command, TEAM, BOB)
    stage.does("alice", "rekey", TEAM)
    assert state(stage).key.udf == following


def test_a_key_that_was_given_up_stays_so_if_the_rekey_is_cut_off_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.team("bob", "carol", "dave")
    first = cut_off(stage, monkeypatch)
    stage.does("alice", "suspend", TEAM, BOB)
    second = cut_off(stage, monkeypatch)
    stage.does("alice", "suspend", TEAM, "dave@example.org")
    stage.does("alice", "rekey", TEAM)
    for given_up in (first, second):
        assert_given_up(stage, given_up)


def test_a_next_key_whose_private_part_is_gone_is_given_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.team("bob", "carol")
    given_up = cut_off(stage, monkeypatch)
    (stage.home("alice") / paths.key_file(given_up)).unlink()
    stage.does("alice", "rekey", TEAM)
    assert_given_up(stage, given_up)


@pytest.mark.parametrize("command", ["delete", "suspend"])
def test_who_is_removed_by_another_in_the_midst_of_a_rekey_knows_no_key_that_comes(
    stage: Stage, command: str
) -> None:
    stage.team("bob", "carol")
    found: list[Udf] = []
    remove = other_machine(stage, command, TEAM, BOB)

    def before_the_switch() -> None:
        under_way = stage.keys("alice").document(paths.rekey_file(TEAM), Rekey)
        assert under_way is not None
        found.append(under_way.next_udf)
        assert member(stage, BOB).entry_for(under_way.next_udf) is not None
        remove()

    def in_time(then: Callable[[], None]) -> Callable[[], None]:
        return lambda: setattr(stage.service, "before", then)

    stage.service.before = in_time(before_the_switch)  # the first change is the entries'
    stage.does("alice", "rekey", TEAM)
    assert_given_up(stage, found[0])
    assert member(stage, BOB).entry.status is not Status.ACTIVE


@pytest.mark.parametrize("is_in_its_midst", [True, False], ids=["in its midst", "after a cut"])
def test_a_rekey_that_came_second_leaves_none_of_its_keys_behind(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, *, is_in_its_midst: bool
) -> None:
    """The second one gave a key up before, as somebody left who had an entry for it."""
    stage.team("bob", "carol")
    first = cut_off(stage, monkeypatch)
    stage.does("alice", "suspend", TEAM, BOB)
    second = cut_off(stage, monkeypatch)
    other = other_machine(stage, "rekey", TEAM)
    if is_in_its_midst:
        stage.service.before = other
        assert "has rekeyed" in stage.run("alice", "rekey", TEAM).stderr
    else:
        other()
        stage.does("alice", "rekey", TEAM)
    home = stage.keys("alice")
    assert [home.agreement_key(udf) for udf in (first, second)] == [None, None]
    stage.does("alice", "rekey", TEAM)
    assert home.agreement_key(state(stage).key.udf) is not None
