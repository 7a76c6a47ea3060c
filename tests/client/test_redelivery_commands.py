"""`recrypt redeliver`, and mail that is off after bounces: `members` shows it, `resume` ends it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace as but

from recrypt_core.messages import GetGroupResponse, Response
from recrypt_core.udf import Udf
from tests.builders import new_person
from tests.client.stage import TEAM, Stage

BOB = "bob@example.org"
REDELIVER = ("redeliver", TEAM, BOB, "--since")


def udf(stage: Stage, name: str) -> Udf:
    return stage.keys(name).profile().identifier


def asked(stage: Stage, since: str) -> datetime:
    """Give the time that the service is asked for when a person types this."""
    stage.service.redelivers = 2
    stage.does("alice", *REDELIVER, since)
    who, when = stage.service.redelivered.pop()
    assert who == udf(stage, "bob")
    return when


def test_since_is_a_date_a_time_or_a_span(stage: Stage) -> None:
    stage.team("bob")
    assert asked(stage, "2026-11-20") == datetime(2026, 11, 20, tzinfo=UTC)
    assert asked(stage, "2026-11-20T08:30:00Z") == datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
    stage.now = stage.now.replace(microsecond=5)
    for typed, span in (
        ("3d", timedelta(days=3)),
        ("12h", timedelta(hours=12)),
        ("90m", timedelta(minutes=90)),
        ("2w", timedelta(weeks=2)),
    ):
        assert asked(stage, typed) == stage.now.replace(microsecond=0) - span


@pytest.mark.parametrize(
    "since",
    [
        "",
        "3",
        "d",
        "-3d",
        "3.5d",
        "3 d",
        "3y",
        "100000d",
        "yesterday",
        "2026-11-31",
        "20.11.2026",
        "2026-11-20T08:30:00",
        "2026-11-20T08:30:00+01:00",
        "2026-11-23",
    ],
)
def test_what_is_no_time_of_the_past_is_wrong_usage(stage: Stage, since: str) -> None:
    stage.team("bob")
    result = stage.run("alice", *REDELIVER, since)
    assert result.exit_code == 2
    assert "--since" in result.stderr
    assert stage.service.redelivered == []


def test_since_when_has_to_be_said(stage: Stage) -> None:
    stage.team("bob")
    result = stage.run("alice", "redeliver", TEAM, BOB)
    assert (result.exit_code, "Missing option '--since'" in result.stderr) == (2, True)


def test_it_is_told_how_many_posts_are_on_their_way(stage: Stage) -> None:
    stage.team("bob")
    for posts, words in (
        (12, f"12 posts are on their way to {BOB}.\n"),
        (1, f"1 post is on its way to {BOB}.\n"),
    ):
        stage.service.redelivers = posts
        assert stage.does("alice", *REDELIVER, "1d").decode() == words
    stage.service.redelivers = 0
    none = stage.does("alice", *REDELIVER, "1d").decode()
    assert none.startswith(f"No post is on its way to {BOB}: {TEAM} had none since then")
    assert "keeps posts for 14 days" in none
    answer = json.loads(stage.does("alice", *REDELIVER, "2026-11-20", "--json"))
    assert answer == {
        "GroupName": TEAM,
        "AccountName": BOB,
        "Since": "2026-11-20T00:00:00Z",
        "Posts": 0,
    }


def test_it_changes_nothing_in_the_groups_history(stage: Stage) -> None:
    stage.team("bob")
    before = list(stage.service.changes)
    asked(stage, "3d")
    assert stage.service.changes == before


def test_nothing_is_sent_to_who_is_no_member_or_gets_no_mail(stage: Stage) -> None:
    stage.team("bob")
    stage.does("alice", "add", TEAM, str(stage.person("carol")), "--privilege", "ADMIN")
    stage.does("alice", "suspend", TEAM, BOB)
    for who, words in (
        (BOB, f"{BOB} is not ACTIVE with RECRYPT in {TEAM}"),
        ("carol@example.org", "carol@example.org is not ACTIVE with RECRYPT"),
        ("dave@example.org", "is no member"),
    ):
        assert words in stage.fails("alice", "redeliver", TEAM, who, "--since", "3d")
    assert stage.service.redelivered == []


def test_a_member_is_no_administrator(stage: Stage) -> None:
    stage.team("bob")
    stage.does("bob", "key", TEAM)
    assert "403" in stage.fails("bob", *REDELIVER, "3d")


def test_members_shows_to_whom_mail_is_off(stage: Stage) -> None:
    stage.team("bob", "carol")
    stage.service.undeliverable = {udf(stage, "bob"), new_person("eve@example.org").udf}
    table = stage.does("alice", "members", TEAM).decode()
    assert f"{BOB}    ACTIVE, mail off  RECRYPT" in table
    assert table.count("mail off") == 1
    answer = json.loads(stage.does("alice", "members", TEAM, "--json"))
    off = {each["AccountName"]: each["Undeliverable"] for each in answer["Members"]}
    assert off == {"alice@example.org": False, BOB: True, "carol@example.org": False}


def test_to_resume_an_active_member_turns_mail_on_again(stage: Stage) -> None:
    stage.team("bob", "carol")
    assert stage.service.state is not None
    before = stage.service.state.members[udf(stage, "bob")].entry
    stage.service.undeliverable = {udf(stage, "bob")}
    result = stage.run("alice", "resume", TEAM, BOB, "carol@example.org")
    told = f"{BOB} now ACTIVE in {TEAM}\ncarol@example.org was so already\n"
    assert (result.exit_code, result.stdout) == (0, told)
    assert result.stderr == f"For what was missed: recrypt redeliver {TEAM} ADDRESS --since WHEN\n"
    assert stage.service.state.members[udf(stage, "bob")].entry == before
    assert stage.service.undeliverable == set()
    count = len(stage.service.changes)
    assert stage.run("alice", "resume", TEAM, BOB).stderr == ""
    assert len(stage.service.changes) == count


def test_a_rekey_leaves_mail_off_and_to_resume_turns_it_on_after_it(stage: Stage) -> None:
    stage.team("bob", "carol")
    stage.service.undeliverable = {udf(stage, "bob")}
    stage.does("alice", "rekey", TEAM)
    assert stage.service.undeliverable == {udf(stage, "bob")}
    stage.does("alice", "resume", TEAM, BOB)
    assert stage.service.undeliverable == set()


def test_a_service_whose_pages_do_not_end_is_not_followed(stage: Stage) -> None:
    stage.team("bob")

    def endless(_name: str, response: Response) -> Response:
        if not isinstance(response, GetGroupResponse):
            return response
        return but(response, next=new_person("eve@example.org").udf)

    stage.service.lie = endless
    words = stage.fails("alice", "members", TEAM)
    assert f"shows more members of {TEAM} than its history has" in words
    stage.service.lie = lambda _name, response: (
        but(response, next="x") if isinstance(response, GetGroupResponse) else response
    )
    assert "not a fingerprint" in stage.fails("alice", "members", TEAM)


def test_that_the_operator_has_stopped_the_list_is_told(stage: Stage) -> None:
    stage.team("bob")
    stage.service.stopped, stage.service.redelivers = datetime(2026, 11, 21, 8, tzinfo=UTC), 2
    words = f"{TEAM} is stopped by its operator since 2026-11-21 08:00 UTC"
    assert words in stage.run("alice", "members", TEAM).stderr
    value = json.loads(stage.does("alice", "members", TEAM, "--json"))
    assert value["Stopped"] == "2026-11-21T08:00:00Z"
    verified = stage.run("alice", "verify", TEAM)
    assert verified.exit_code == 0
    assert words in verified.stdout
    told = stage.run("alice", *REDELIVER, "3d")
    assert told.stdout == f"2 posts wait for {BOB}.\n"
    assert words in told.stderr
    stage.service.stopped = None
    assert json.loads(stage.does("alice", "members", TEAM, "--json"))["Stopped"] is None
    for command in (("members", TEAM), ("verify", TEAM), (*REDELIVER, "3d")):
        assert "stopped" not in stage.run("alice", *command).output
