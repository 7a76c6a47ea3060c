"""`recrypt profile address`: proven to each list as who asks in does, then taken over."""

import json

import pytest

from recrypt_client.mail import envelope_in
from recrypt_core.documents import Status
from recrypt_core.members import Member
from recrypt_core.wishes import Mail, SetMail
from tests.client.stage import TEAM, URL, Stage
from tests.client.test_joining_commands import JoinService

BOB = "bob@example.org"
NEW = "bob@example.net"


@pytest.fixture
def stage(stage: Stage) -> Stage:
    """Alice's team, with Bob."""
    stage.service = JoinService(URL)
    stage.team("bob")
    stage.does("bob", "key", TEAM, "--service", URL)
    return stage


def bob(stage: Stage) -> Member:
    assert stage.service.state is not None
    return stage.service.state.members[stage.keys("bob").profile().identifier]


def proves(stage: Stage) -> None:
    """Let Bob ask with the first address of his profile, and send the token back."""
    assert isinstance(stage.service, JoinService)
    stage.does("bob", "join", TEAM)
    stage.does("bob", "join", TEAM, "--token", "-", stdin=stage.service.letters[-1])


@pytest.mark.parametrize("command", ["refresh", "approve"])
def test_a_proven_address_is_taken_over_with_the_newer_profile(stage: Stage, command: str) -> None:
    before = bob(stage).entry.entries
    told = stage.does("bob", "profile", "address", NEW, "--json")
    assert json.loads(told)["Accounts"] == [NEW, BOB]
    assert stage.keys("bob").profile().profile.accounts == (NEW, BOB)
    proves(stage)
    stage.does("alice", command, TEAM, *([NEW] if command == "approve" else []))
    assert bob(stage).account == NEW
    assert bob(stage).entry.entries == before
    assert bob(stage).profile.profile.accounts == (NEW, BOB)
    assert isinstance(stage.service, JoinService)
    assert not stage.service.waits
    assert b"At one?" in stage.does("bob", "read", stdin=stage_copy(stage))


def test_until_it_is_proven_mail_goes_where_it_went(stage: Stage) -> None:
    stage.does("bob", "profile", "address", NEW)
    stage.does("alice", "refresh", TEAM)
    assert bob(stage).account == BOB
    assert bob(stage).profile.profile.accounts == (NEW, BOB)


def test_an_address_that_is_gone_from_the_profile_is_never_mailed(stage: Stage) -> None:
    stage.does("bob", "profile", "address", NEW)
    proves(stage)
    stage.now = stage.now.replace(hour=13)
    stage.does("bob", "profile", "address", "b@example.net", "--only")
    result = stage.run("alice", "refresh", TEAM)
    assert result.exit_code == 0
    assert bob(stage).account == BOB
    assert "is no Account of the member's newer profile" in result.stdout


def test_the_same_address_again_signs_nothing_new(stage: Stage) -> None:
    stage.does("bob", "profile", "address", NEW)
    signed = stage.keys("bob").profile().signed
    assert NEW.encode() in stage.does("bob", "profile", "address", NEW)
    assert stage.keys("bob").profile().signed == signed
    assert stage.run("bob", "profile", "address", "nowhere").exit_code == 2


def test_who_has_left_and_asks_in_again_comes_back_as_one_who_was_removed(stage: Stage) -> None:
    before = bob(stage).entry.entries
    stage.does("bob", "leave", TEAM, "--yes")
    assert stage.service.wishes
    proves(stage)
    assert f"{BOB} ".encode() in stage.does("alice", "approve", TEAM, BOB)
    assert not stage.service.wishes
    assert bob(stage).entry.status is Status.ACTIVE
    assert bob(stage).entry.entries != before
    assert b"At one?" in stage.does("bob", "read", stdin=stage_copy(stage))


def test_a_member_whom_nobody_asked_for_is_not_touched(stage: Stage) -> None:
    """A service that says so alone moves nobody's mail: the address is in the profile, or not."""
    assert isinstance(stage.service, JoinService)
    profile = stage.keys("bob").profile()
    stage.service.wait(profile, "mallory@example.org")
    result = stage.run("alice", "refresh", TEAM)
    assert result.exit_code == 0
    assert bob(stage).account == BOB
    own = stage.keys("alice").profile()
    wish = SetMail(group_name=TEAM, profile=own.signed, mail=Mail.LEFT)
    stage.service.wishes[own.identifier] = wish
    assert stage.run("alice", "refresh", TEAM).exit_code == 0
    assert stage.service.wishes


def stage_copy(stage: Stage) -> bytes:
    """Give Bob's copy of a post by Alice."""
    return stage.service.copy(envelope_in(stage.sealed()), bob(stage).account)
