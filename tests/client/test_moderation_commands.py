"""`recrypt held`, `ban`, `unban`: what waits, what is decided, and who is banned."""

import json
from datetime import timedelta

import pytest
from msgspec.structs import replace as but

from recrypt_core.messages import GetHeldResponse, Response
from recrypt_core.moderation import (
    Decision,
    HeldName,
    HeldPost,
    check_decision,
    unverified_decision,
)
from recrypt_core.udf import Udf
from tests.builders import NOW, new_person
from tests.client.stage import TEAM, URL, Stage
from tests.client.test_joining_commands import JoinService

BOB = "bob@example.org"


def udf(stage: Stage, name: str) -> Udf:
    return stage.keys(name).profile().identifier


def cid_of(post: int) -> str:
    return f"{post}".rjust(43, "A")


def wait(stage: Stage, count: int, by: Udf | None = None) -> None:
    """Let posts wait at the service."""
    stage.service.held = [
        HeldPost(
            post=post,
            content_id=cid_of(post),
            since=NOW,
            until=NOW + timedelta(days=7),
            octets=1000 * post,
            recrypt_udf=by,
        )
        for post in range(1, count + 1)
    ]


def test_what_waits_is_shown_with_who_is_proven_to_have_sent_it(stage: Stage) -> None:
    stage.team("bob")
    wait(stage, 5, udf(stage, "bob"))
    stage.service.held[0] = but(stage.service.held[0], recrypt_udf=None)
    rows = stage.does("alice", "held", TEAM).decode().splitlines()
    assert rows[0].split() == ["POST", "SINCE", "UNTIL", "OCTETS", "SENDER"]
    assert rows[1].endswith("1000    not proven")
    assert rows[2].split()[0] == "2"
    assert rows[2].endswith(f"{BOB} {udf(stage, 'bob')}")
    answer = json.loads(stage.does("alice", "held", TEAM, "--json"))
    assert [each["Post"] for each in answer["Held"]] == [1, 2, 3, 4, 5]
    assert answer["Held"][1]["AccountName"] == BOB
    assert answer["Held"][0]["RecryptUDF"] is None


@pytest.mark.parametrize("decision", Decision, ids=lambda each: str(each.value))
def test_each_post_that_is_named_is_decided_once(stage: Stage, decision: Decision) -> None:
    stage.team()
    wait(stage, 3)
    told = stage.does("alice", "held", TEAM, str(decision.value), "1", "3", "1").decode()
    assert stage.service.decided == [(1, decision), (3, decision)]
    assert told.splitlines()[0].startswith(f"Post 1 is {decision.value}")


def test_what_is_refused_is_told_and_the_others_are_decided(stage: Stage) -> None:
    stage.team()
    wait(stage, 2)
    assert "no such post waits" in stage.fails("alice", "held", TEAM, "accept", "7", "2")
    assert stage.service.decided == [(2, Decision.ACCEPT)]


def test_a_decision_is_written_as_a_signed_mail(stage: Stage) -> None:
    stage.team()
    wait(stage, 5)
    asked = len(stage.service.asked)
    names = [f"{HeldName(post, cid_of(post))}" for post in (2, 5)]
    octets = stage.does("alice", "held", TEAM, "reject", *names, "--mail")
    assert len(stage.service.asked) == asked
    by_number = stage.does("alice", "held", TEAM, "reject", "2", "5", "--mail")
    assert [_stated(each) for each in (octets, by_number)] == [
        [HeldName(post, cid_of(post)) for post in (2, 5)]
    ] * 2
    head, _, body = octets.decode().partition("\r\n\r\n")
    assert "From: alice@example.org\r\nTo: team-request@lists.example\r\n" in head + "\r\n"
    key = stage.keys("alice").signing_key(stage.keys("alice").profile()).public
    for text, post in zip(body.split(), (2, 5), strict=True):
        stated = unverified_decision(text)
        assert stage.service.state is not None
        assert stated.group == stage.service.state.identifier
        assert (stated.post.number, stated.decision) == (post, Decision.REJECT)
        assert stated.signer == key.udf
        check_decision(text, key, now=stage.now)


def _stated(mail: bytes) -> list[HeldName]:
    body = mail.decode().partition("\r\n\r\n")[2]
    return [unverified_decision(text).post for text in body.split()]


def test_a_name_with_another_content_is_refused(stage: Stage) -> None:
    stage.team()
    wait(stage, 1)
    other = str(HeldName(1, cid_of(2)))
    assert "no such post waits" in stage.fails("alice", "held", TEAM, "accept", other)
    stage.does("alice", "held", TEAM, "accept", str(HeldName(1, cid_of(1))))
    assert stage.service.decided == [(1, Decision.ACCEPT)]


def test_people_are_banned_and_heard_again(stage: Stage) -> None:
    stage.team("bob")
    stranger = new_person("mallory@example.org").udf
    told = stage.does("alice", "ban", TEAM, BOB, stranger.lower()).decode()
    assert told == (
        f"{BOB} {udf(stage, 'bob')} is banned from {TEAM}\n{stranger} is banned from {TEAM}\n"
    )
    assert stage.service.state is not None
    assert stage.service.state.policy.banned == tuple(sorted((stranger, udf(stage, "bob"))))
    told = stage.does("alice", "ban", TEAM, stranger).decode()
    assert told == f"{stranger} was so already\n"
    told = stage.does("alice", "unban", TEAM, udf(stage, "bob")).decode()
    assert told == f"{BOB} {udf(stage, 'bob')} is not banned any more from {TEAM}\n"
    assert stage.service.state.policy.banned == (stranger,)
    told = stage.does("alice", "set", TEAM).decode()
    assert f"banned={stranger}\n" in told
    stage.does("alice", "set", TEAM, "banned=none")
    assert "banned=none\n" in stage.does("alice", "set", TEAM).decode()


def test_who_is_no_member_is_banned_by_a_whole_fingerprint_alone(stage: Stage) -> None:
    stage.team("bob")
    changes = len(stage.service.changes)
    stranger = new_person("mallory@example.org").udf
    for who in ("mallory@example.org", stranger[:-1], "mallory"):
        stage.fails("alice", "ban", TEAM, BOB, who)
    assert len(stage.service.changes) == changes


def test_who_only_waits_is_banned_by_the_address_too_if_it_is_plain_who_is_meant(
    stage: Stage,
) -> None:
    service = stage.service = JoinService(URL)
    stage.team("bob")
    mallory, other = new_person("mallory@example.org"), new_person("other@example.org")
    service.wait(mallory.verified, mallory.address)
    service.wait(other.verified, other.address)
    service.wait(new_person(BOB).verified, BOB)
    told = stage.does("alice", "ban", TEAM, "Mallory@example.org", BOB).decode()
    assert told == (
        f"{mallory.udf} is banned from {TEAM}\n{BOB} {udf(stage, 'bob')} is banned from {TEAM}\n"
    )
    service.wait(new_person(other.address).verified, other.address)
    assert "names 2 who wait" in stage.fails("alice", "ban", TEAM, other.address)


def test_a_thousand_are_banned_at_most(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.team("bob")
    monkeypatch.setattr("recrypt_core.limits.BANNED", 1)
    stage.does("alice", "ban", TEAM, BOB)
    words = "over 1 would be banned from team@lists.example"
    assert words in stage.fails("alice", "ban", TEAM, "alice@example.org")


@pytest.mark.parametrize(
    "typed",
    [
        ("accept",),
        ("keep", "1"),
        ("accept", "0"),
        ("accept", "x"),
        ("accept", "1:abc"),
        ("--mail",),
        ("accept", "--mail"),
    ],
    ids=" ".join,
)
def test_what_is_not_a_decision_is_wrong_usage(stage: Stage, typed: tuple[str, ...]) -> None:
    stage.team()
    assert stage.run("alice", "held", TEAM, *typed).exit_code == 2


@pytest.mark.parametrize("turn", ["backwards", "in a circle"])
def test_a_list_of_posts_out_of_order_is_refused(stage: Stage, turn: str) -> None:
    stage.team()
    wait(stage, 3)
    if turn == "backwards":
        stage.service.held.reverse()

    def lie(name: str, response: Response) -> Response:
        if name == "GetHeld" and isinstance(response, GetHeldResponse) and turn != "backwards":
            return but(response, next=1)
        return response

    stage.service.lie = lie
    assert "out of order" in stage.fails("alice", "held", TEAM)
