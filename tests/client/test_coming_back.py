"""Who left or was removed asks to come back: a person decides, and never a rule alone."""

import json

import pytest
from msgspec.structs import replace as but

from recrypt_client.mail import envelope_in
from recrypt_core.documents import Privilege, Status
from recrypt_core.members import Member
from recrypt_core.wishes import Mail, SetMail
from tests.builders import new_person
from tests.client.stage import TEAM, URL, Stage
from tests.client.test_joining_commands import JoinService

BOB = "bob@example.org"
NEW = "bob@example.net"


@pytest.fixture
def service() -> JoinService:
    """A service."""
    return JoinService(URL)


@pytest.fixture
def stage(stage: Stage, service: JoinService) -> Stage:
    """Alice's team, with Bob, who knows it."""
    stage.service = service
    stage.team("bob")
    stage.does("bob", "key", TEAM, "--service", URL)
    return stage


def bob(stage: Stage) -> Member:
    assert stage.service.state is not None
    return stage.service.state.members[stage.keys("bob").profile().identifier]


def test_who_was_removed_and_asks_in_is_let_in_anew_by_a_person_and_by_no_rule(
    stage: Stage, service: JoinService
) -> None:
    stage.does("bob", "leave", TEAM, "--yes")
    stage.does("alice", "refresh", TEAM)
    assert bob(stage).entry.status is Status.REVOKED
    stage.does("bob", "profile", "address", NEW)
    service.wait(stage.keys("bob").profile(), NEW)
    told = stage.does("alice", "watch", TEAM, "--once", "--approve", "everybody").decode()
    assert b"REVOKED here" in stage.does("alice", "requests", TEAM)
    assert "REVOKED here" in told
    assert bob(stage).entry.status is Status.REVOKED
    assert f"{NEW} {bob(stage).profile.identifier} added" in stage.does(
        "alice", "approve", TEAM, NEW
    ).decode()  # fmt: skip
    member = bob(stage)
    assert (member.is_active, member.account) == (True, NEW)
    assert member.profile == stage.keys("bob").profile()
    assert {each.account_name for each in member.entry.entries} == {NEW}
    assert not service.waits
    copy = service.copy(envelope_in(stage.sealed()), NEW)
    assert b"At one?" in stage.does("bob", "read", stdin=copy)


def test_an_administrator_who_was_removed_comes_back_with_recrypt_alone(
    stage: Stage, service: JoinService
) -> None:
    file = str(stage.folder / "bob.json")
    stage.does("alice", "add", TEAM, file, "--privilege", "ADMIN", "--privilege", "RECRYPT")
    stage.does("alice", "delete", TEAM, BOB)
    assert bob(stage).entry.privileges == (Privilege.RECRYPT,)
    powers = (Privilege.ADMIN, Privilege.RECRYPT)  # which another client may have left him
    stage.restates("alice", but(bob(stage).entry, privileges=powers))
    service.wait(stage.keys("bob").profile(), BOB)
    stage.does("alice", "approve", TEAM, BOB)
    assert bob(stage).is_active
    assert bob(stage).entry.privileges == (Privilege.RECRYPT,)


def test_of_several_who_are_approved_nobody_is_let_in_if_one_is_suspended(
    stage: Stage, service: JoinService
) -> None:
    carol = stage.person("carol")
    stage.does("alice", "add", TEAM, str(carol))
    stage.does("alice", "delete", TEAM, BOB)
    stage.does("alice", "suspend", TEAM, "carol@example.org")
    for who in ("bob", "carol"):
        service.wait(stage.keys(who).profile(), f"{who}@example.org")
    refused = stage.fails("alice", "approve", TEAM, BOB, "carol@example.org")
    assert f"recrypt resume {TEAM} carol@example.org" in refused
    assert bob(stage).entry.status is Status.REVOKED


def test_who_left_and_asks_with_another_address_is_no_member_who_has_moved(
    stage: Stage, service: JoinService
) -> None:
    dave = new_person("dave@example.org").changed(accounts=("dave@example.org", "d@example.net"))
    service.wait(dave.verified, "dave@example.org")
    stage.does("alice", "approve", TEAM, dave.udf)
    wish = SetMail(group_name=TEAM, profile=dave.signed, mail=Mail.LEFT)
    service.wishes[dave.verified.identifier] = wish
    service.wait(dave.verified, "d@example.net")
    assert stage.does("alice", "refresh", TEAM) == b"No newer profile waits\n"
    told = stage.does("alice", "watch", TEAM, "--once").decode()
    assert f"d@example.net {dave.udf} waits" in told
    stage.does("alice", "approve", TEAM, "d@example.net")
    assert service.state is not None
    member = service.state.members[dave.verified.identifier]
    assert (member.is_active, member.account) == (True, "d@example.net")
    assert not service.wishes
    assert not service.waits


def test_leave_tells_who_is_no_active_member_that_mail_is_over_anyway(stage: Stage) -> None:
    stage.does("alice", "delete", TEAM, BOB)
    told = json.loads(stage.does("bob", "leave", TEAM, "--yes", "--json"))
    assert told == {"GroupName": TEAM, "Mail": "left", "Active": False}
    words = stage.does("bob", "leave", TEAM, "--yes").decode()
    assert "no ACTIVE member" in words
    assert "undoes it" not in words
