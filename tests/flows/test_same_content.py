"""One sealed content that comes more than once: who sent it first decides nothing for others."""

from datetime import timedelta

import pytest
import pytest_asyncio

from listserver import replies
from listserver.holding import HoldKeeping
from listserver.replies import Reply
from recrypt_core.authorship import sign_sender
from recrypt_core.encoding import write_b64url, write_json
from recrypt_core.envelope import Envelope
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.messages import GetHeldResponse
from recrypt_core.moderation import Decide, Decision, GetHeld, HeldName
from recrypt_core.policy import Policy, PostRight
from tests.builders import TEAM
from tests.fakes import Bench
from tests.lists import said
from tests.mails import mail, with_head
from tests.moderated import House

ACCEPT, REJECT, DISCARD = Decision.ACCEPT, Decision.REJECT, Decision.DISCARD
ALL = ["alice", "bob", "carol"]
MODERATORS = ["alice", "bob"]


@pytest_asyncio.fixture
async def house(bench: Bench) -> House:
    """Create a moderated list."""
    house = House(bench)
    await house.found(Policy(post=PostRight.MODERATED))
    return house


async def sends(house: House, of: Envelope, by: str | None = None) -> list[str]:
    """Post a content as somebody, deliver what is due, and tell who got it."""
    assert await house.bench.post(house.written(by, of=of)) == replies.ACCEPTED
    await house.bench.relay_all()
    return house.got()


def as_post(house: House, of: Envelope, by: str | None, how: str = "") -> bytes:
    """Write a post of a content, by somebody, with one part that no cid names damaged."""
    (to,) = of.recipients
    header, key = {**to.header}, write_b64url(to.encrypted_key)
    if how == "encrypted_key":
        key = write_b64url(bytes(40))
    elif how == "epk":
        header["epk"] = PrivateKey.generate(Curve.X25519).public.jwk()
    elif how == "apu":
        header["apu"] = "AAAA"
    aad = "AAAA" if how == "aad" else None
    key_, now = house.people[by].online if by else None, house.bench.clock.now()
    sender = sign_sender(TEAM, of.content_id, key_, now=now) if key_ else None
    recipients = [{"header": header, "encrypted_key": key}]
    octets = with_head(of, recipients=recipients, sender=sender, aad=aad)
    return mail(octets, message_id=f"<{of.content_id.hex()}@host.example>")


@pytest.mark.asyncio
@pytest.mark.parametrize("first", [None, "dave", "erin"], ids=str)
async def test_what_was_held_for_others_holds_up_no_administrators_post(
    house: House, first: str | None
) -> None:
    content = house.content()
    assert await sends(house, content, first) == MODERATORS
    assert await sends(house, content, "alice") == ALL
    assert await sends(house, content, "alice") == await sends(house, content) == []
    refused = (409, "Refused: post 1 came another time, and readers have it: discard it.")
    assert await house.decide(1, ACCEPT) == refused
    assert (await house.decide(1, DISCARD))[0] == 201
    assert house.got() == []


@pytest.mark.asyncio
@pytest.mark.parametrize("decision", [None, REJECT, DISCARD], ids=str)
async def test_a_proven_post_is_held_after_the_same_without_proof(
    house: House, decision: Decision | None
) -> None:
    content = house.content()
    assert await sends(house, content) == MODERATORS
    if decision is not None:
        assert (await house.decide(1, decision))[0] == 201
    assert await sends(house, content, "carol") == MODERATORS
    assert await sends(house, content, "carol") == []
    assert (await house.decide(2, ACCEPT))[0] == 201
    assert house.got() == ALL
    for by in (None, "alice", "carol", "erin"):
        assert await sends(house, content, by) == []
    if decision is None:
        assert (await house.decide(1, ACCEPT))[0] == 409
        assert house.got() == []


@pytest.mark.asyncio
@pytest.mark.parametrize("first", [None, "carol", "erin"], ids=str)
async def test_what_a_moderator_discards_does_not_come_back_by_itself(
    house: House, first: str | None
) -> None:
    written = house.written(first, of=house.content())
    assert await house.bench.post(written) == replies.ACCEPTED
    assert (await house.decide(1, DISCARD))[0] == 201
    await house.set(post=PostRight.ANYONE)
    assert await house.bench.post(written) == replies.ACCEPTED
    await house.bench.relay_all()
    assert house.got() == []


@pytest.mark.asyncio
@pytest.mark.parametrize("by", [None, "carol"], ids=str)
async def test_what_nobody_decided_about_may_be_sent_again(house: House, by: str | None) -> None:
    await house.set(hold_days=3)
    content = house.content()
    assert await sends(house, content, by) == MODERATORS
    house.bench.clock.advance(timedelta(days=3))
    await HoldKeeping(house.bench.store, house.bench.erasing_time).end_old()
    assert await sends(house, content, by) == MODERATORS
    assert await house.held() == [2]
    assert (await house.decide(2, ACCEPT))[0] == 201
    assert house.got() == ALL
    assert await sends(house, content, by) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("right", [PostRight.ANYONE, PostRight.MODERATED], ids=["any", "held"])
@pytest.mark.parametrize("then", ["alice", "carol", None], ids=str)
async def test_what_a_banned_member_sends_first_goes_out_once_when_another_does(
    house: House, right: PostRight, then: str | None
) -> None:
    await house.set(post=right, banned=(house.people["dave"].udf,))
    content = house.content()
    assert await sends(house, content, "dave") == []
    is_held = right is PostRight.MODERATED and then != "alice"
    assert await sends(house, content, then) == (MODERATORS if is_held else ALL)
    for by in ("dave", then):
        assert await sends(house, content, by) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("right", [PostRight.ANYONE, PostRight.MODERATED], ids=["any", "held"])
@pytest.mark.parametrize("rate", [{}, {"list_posts_per_day": 40}, {"posts_per_day": 40}], ids=str)
async def test_who_sends_its_own_post_again_in_other_ways_cannot_tell_that_it_is_banned(
    house: House, right: PostRight, rate: dict[str, int]
) -> None:
    await house.set(post=right, banned=(house.people["dave"].udf,), **rate)
    await house.bench.post(house.written("erin"))  # that looks at the list anew
    heard: dict[str, list[tuple[Reply, list[str]]]] = {}
    for who in ("erin", "dave"):
        content = house.content()
        ways = [house.written(by, of=content) for by in (who, who, "carol", None, None, who)]
        ways += [as_post(house, content, by, "epk") for by in (who, "carol", None, None)]
        heard[who] = []
        for way in ways:
            with house.bench.statements() as statements:
                reply = await house.bench.post(way)
            heard[who].append((reply, statements))
    assert heard["dave"] == heard["erin"]


@pytest.mark.asyncio
async def test_what_is_written_once_more_for_nobody_counts_towards_the_lists_posts(
    house: House,
) -> None:
    await house.set(post=PostRight.ANYONE, banned=(house.people["dave"].udf,), list_posts_per_day=2)
    written = house.written("carol")
    for _ in range(2):
        assert await house.bench.post(written) == replies.ACCEPTED
    assert await house.bench.post(written) == replies.TOO_OFTEN
    await house.bench.relay_all()
    assert house.got() == ALL


@pytest.mark.asyncio
async def test_a_stranger_who_sends_the_same_first_cannot_tell_who_is_a_member(
    house: House,
) -> None:
    await house.bench.post(house.written())
    heard: dict[str, list[tuple[Reply, list[str]]]] = {}
    for who in ("carol", "erin", "dave"):
        content = house.content()
        heard[who] = []
        for by in (None, who, who):
            with house.bench.statements() as statements:
                reply = await house.bench.post(house.written(by, of=content))
            heard[who].append((reply, statements))
    assert heard["carol"] == heard["dave"] == heard["erin"]


@pytest.mark.asyncio
async def test_what_was_held_by_an_earlier_version_is_decided_by_its_number_and_goes_out_once(
    house: House,
) -> None:
    content = house.content()
    assert await sends(house, content, "carol") == MODERATORS
    async with house.bench.store.begin():
        for statement in (
            "UPDATE holding SET share = 0, content_name = NULL, sealed = NULL",
            "UPDATE contents SET content_name = substr(content_name, 1, 32)",
        ):
            await house.bench.store._rows.run(statement)
    answer = await house.ask(GetHeld(group_id=TEAM))
    assert isinstance(answer, GetHeldResponse)
    assert [each.name for each in answer.held] == [HeldName(1)]
    assert await sends(house, content, "carol") == await sends(house, content) == []
    accepted = await house.ask(Decide(group_id=TEAM, post=1, decision=ACCEPT))
    assert said(accepted)[0] == 201
    await house.bench.relay_all()
    assert house.got() == ALL
    assert await sends(house, content, "carol") == await sends(house, content) == []


@pytest.mark.asyncio
async def test_a_held_post_whose_name_is_damaged_is_decided_about_by_no_one_and_runs_out(
    house: House,
) -> None:
    await sends(house, house.content(), "carol")
    name = await house.named(1)
    async with house.bench.store.begin():
        await house.bench.store._rows.run("UPDATE holding SET sealed = x'00'")
    answer = await house.ask(GetHeld(group_id=TEAM))
    assert isinstance(answer, GetHeldResponse)
    assert [each.name for each in answer.held] == [HeldName(1)]
    for cid in (name.cid, None):
        message = Decide(group_id=TEAM, post=1, content_id=cid, decision=ACCEPT)
        assert said(await house.ask(message))[0] == 404
    house.bench.clock.advance(timedelta(days=7))
    await HoldKeeping(house.bench.store, house.bench.erasing_time).end_old()
    assert await house.held() == []


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["encrypted_key", "epk", "apu", "aad"])
@pytest.mark.parametrize(
    "right", [PostRight.ANYONE, PostRight.MEMBERS, PostRight.MODERATED], ids=str
)
async def test_whose_post_came_before_so_that_nobody_can_open_it_is_told(
    house: House, right: PostRight, how: str
) -> None:
    await house.set(post=right)
    content = house.content()
    assert await house.bench.post(as_post(house, content, "carol", how)) == replies.ACCEPTED
    for _ in range(2):
        true = as_post(house, content, "carol")
        assert await house.bench.post(true) == replies.SEALED_OTHERWISE


@pytest.mark.asyncio
@pytest.mark.parametrize("first", ["dave", "carol", None], ids=str)
async def test_so_is_who_posts_where_somebody_is_banned(house: House, first: str | None) -> None:
    await house.set(post=PostRight.ANYONE, banned=(house.people["dave"].udf,))
    content = house.content()
    assert await house.bench.post(as_post(house, content, first, "epk")) == replies.ACCEPTED
    for by in (None, "alice", "carol", "dave"):
        true = as_post(house, content, by)
        assert await house.bench.post(true) == replies.SEALED_OTHERWISE


@pytest.mark.asyncio
@pytest.mark.parametrize("right", [PostRight.ANYONE, PostRight.MODERATED], ids=str)
async def test_the_same_in_another_form_is_the_same(house: House, right: PostRight) -> None:
    await house.set(post=right)
    content = house.content()
    (to,) = content.recipients
    assert await house.bench.post(mail(content.mmx())) == replies.ACCEPTED
    flat = {
        "header": dict(reversed(to.header.items())),
        "encrypted_key": to.json()["encrypted_key"],
    }
    for octets in (with_head(content, recipients=None, **flat), write_json(content.json())):
        assert await house.bench.post(mail(octets)) == replies.ACCEPTED
    await house.bench.relay_all()
    assert house.got() == (ALL if right is PostRight.ANYONE else MODERATORS)
