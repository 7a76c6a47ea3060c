"""Private keys of a group's past: kept by administrators, or forgotten, as Policy says."""

import pytest

from recrypt_client import sharing
from recrypt_core.chain import GroupState
from recrypt_core.udf import Udf
from tests.client.stage import TEAM, URL, Stage


def state(stage: Stage) -> GroupState:
    assert stage.service.state is not None
    return stage.service.state


def two_administrators(stage: Stage) -> Udf:
    """Let Alice and Bob, who have met the group, both have its first key; name it."""
    stage.team()
    stage.does("alice", "add", TEAM, str(stage.person("bob")), "--privilege", "ADMIN")
    stage.does("bob", "key", TEAM, "--service", URL)
    stage.does("bob", "rekey", TEAM)
    stage.does("alice", "refresh", TEAM)
    return state(stage).past_keys[0].udf


def has(stage: Stage, who: str, key: Udf) -> tuple[bool, bool]:
    """Tell whether somebody has a private key at home, and in AdministratorKeys."""
    home = stage.keys(who)
    sealed = sharing.open_keys(state(stage), home.device_keys())
    return home.agreement_key(key) is not None, sealed.has(key)


@pytest.mark.parametrize("rules", [(), ("past_keys=false", "history=all"), ("history=since-join",)])
def test_they_are_kept_while_posts_or_members_may_need_them(
    stage: Stage, rules: tuple[str, ...]
) -> None:
    old = two_administrators(stage)
    stage.does("alice", "set", TEAM, *rules)
    stage.does("alice", "rekey", TEAM)
    assert has(stage, "alice", old) == (True, True)


def test_they_are_forgotten_where_nobody_is_to_read_the_past(stage: Stage) -> None:
    old = two_administrators(stage)
    stage.does("alice", "set", TEAM, "past_keys=false", "history=none")
    assert stage.keys("alice").agreement_key(old) is not None
    stage.does("alice", "rekey", TEAM)
    assert has(stage, "alice", old) == (False, False)
    assert has(stage, "bob", old) == (True, False)
    stage.does("bob", "refresh", TEAM)
    assert has(stage, "bob", old) == (False, False)
    for who in ("alice", "bob"):
        assert stage.run(who, "verify", TEAM).exit_code == 0
        assert b"At one?" in stage.does("alice", "read", stdin=stage.copy(stage.sealed(), "alice"))


def test_a_past_key_that_somebody_has_an_entry_for_is_not_forgotten(stage: Stage) -> None:
    """The rules alone end nothing: the next rekey does."""
    old = two_administrators(stage)
    stage.does("alice", "set", TEAM, "past_keys=false", "history=none")
    assert any(each.entry_for(old) for each in state(stage).members.values())
    stage.does("alice", "refresh", TEAM)
    assert stage.keys("alice").agreement_key(old) is not None
