"""`recrypt leave`, `mail`; and what an administrator's `refresh` makes of who has left."""

import json

import pytest

from recrypt_core.chain import GroupState
from recrypt_core.documents import Status
from recrypt_core.members import Member
from recrypt_core.udf import Udf
from recrypt_core.wishes import Mail, SetMail
from tests.client.stage import TEAM, URL, Stage

BOB = "bob@example.org"
CAROL = "carol@example.org"


def state(stage: Stage) -> GroupState:
    assert stage.service.state is not None
    return stage.service.state


def member(stage: Stage, address: str = BOB) -> Member:
    return next(each for each in state(stage).members.values() if each.account == address)


def wish(stage: Stage, who: str = "bob") -> SetMail:
    return stage.service.wishes[stage.keys(who).profile().identifier]


@pytest.fixture
def team(stage: Stage) -> Stage:
    """Let Bob and Carol be members who know the group."""
    stage.team("bob", "carol")
    for who in ("bob", "carol"):
        stage.does(who, "key", TEAM, "--service", URL)
    return stage


def test_who_leaves_is_removed_by_the_next_refresh_and_reads_on_at_home(team: Stage) -> None:
    copy = team.copy(team.sealed(), "bob")
    told = team.does("bob", "leave", TEAM, "--yes")
    assert f"You have left {TEAM}".encode() in told
    assert wish(team).mail is Mail.LEFT
    shown = json.loads(team.does("alice", "members", TEAM, "--json"))["Members"]
    assert [each["AccountName"] for each in shown if each["Left"]] == [BOB]
    assert b"ACTIVE, left" in team.does("alice", "members", TEAM)
    assert team.does("alice", "refresh", TEAM).startswith(f"{BOB} has left, and is REV".encode())
    assert member(team).entry.status is Status.REVOKED
    assert member(team, CAROL).is_active
    assert b"At one?" in team.does("bob", "read", stdin=copy)
    assert team.does("alice", "refresh", TEAM) == b"No newer profile waits\n"


def test_leave_asks_for_a_plain_yes(team: Stage) -> None:
    for answer in (None, False):
        team.says_yes = answer
        assert "nobody said yes" in team.fails("bob", "leave", TEAM)
    assert not team.service.wishes
    team.says_yes = True
    team.does("bob", "leave", TEAM)
    assert team.asked[-1] == f"Leave {TEAM}?"
    assert wish(team).mail is Mail.LEFT


def test_mail_is_turned_off_and_on_and_own_posts_are_a_wish_of_their_own(team: Stage) -> None:
    assert b"sends you nothing" in team.does("bob", "mail", TEAM, "off")
    assert (wish(team).mail, wish(team).own_posts) == (Mail.PAUSED, None)
    assert b"no copies of your own" in team.does("bob", "mail", TEAM, "--own-posts", "no")
    assert (wish(team).mail, wish(team).own_posts) == (None, False)
    answer = team.does("bob", "mail", TEAM, "on", "--own-posts", "yes", "--json")
    told = {"GroupName": TEAM, "Mail": "on", "OwnPosts": True, "Active": True}
    assert json.loads(answer) == told
    assert (wish(team).mail, wish(team).own_posts) == (Mail.ON, True)
    assert team.run("bob", "mail", TEAM).exit_code == 2


def test_a_stranger_and_an_administrator_are_told_so(team: Stage) -> None:
    team.person("dave")
    team.does("dave", "key", TEAM, "--service", URL)
    assert "you administer" in team.fails("alice", "leave", TEAM, "--yes")
    team.does("alice", "mail", TEAM, "off")
    assert len(team.service.wishes) == 1


@pytest.mark.parametrize("options", [(), ("--service", URL)], ids=["found", "given"])
def test_a_member_whose_home_has_never_met_the_group_leaves_it(
    stage: Stage, options: tuple[str, ...]
) -> None:
    stage.team("bob", "carol")
    stage.announced = URL
    result = stage.run("bob", "leave", TEAM, "--yes", *options)
    assert result.exit_code == 0, result.output
    assert "trusted on first use" in result.stderr
    assert wish(stage).mail is Mail.LEFT
    stage.does("carol", "mail", TEAM, "off", *options)
    assert wish(stage, "carol").mail is Mail.PAUSED


def test_who_knows_no_group_of_that_name_is_told_how_to_meet_it(team: Stage) -> None:
    said = team.fails("bob", "requests", "other@lists.example")
    assert "recrypt key other@lists.example" in said
    assert "recrypt create" not in said


def test_who_is_suspended_may_leave(team: Stage) -> None:
    team.does("alice", "suspend", TEAM, BOB)
    team.does("bob", "leave", TEAM, "--yes")
    team.does("alice", "refresh", TEAM)
    assert member(team).entry.status is Status.REVOKED


def test_who_is_revoked_is_told_that_mail_stays_off(team: Stage) -> None:
    team.does("alice", "delete", TEAM, BOB)
    assert b"you are no ACTIVE member" in team.does("bob", "mail", TEAM, "on")


def test_the_services_word_alone_removes_nobody_who_administers_the_group(team: Stage) -> None:
    dave = team.person("dave")
    team.does("alice", "add", TEAM, str(dave), "--privilege", "ADMIN", "--privilege", "RECRYPT")
    own = team.keys("dave").profile()
    wishes = team.service.wishes
    wishes[own.identifier] = SetMail(group_name=TEAM, profile=own.signed, mail=Mail.LEFT)
    wishes[Udf("MBWMZ-A7GMP-GFSEZ-I5RRR-NZ3G2-I2VCN")] = wishes[own.identifier]
    result = team.run("alice", "refresh", TEAM)
    assert result.exit_code == 0
    assert "dave@example.org has left, as the service says, and administers" in result.stderr
    assert member(team, "dave@example.org").is_active
