"""What every Store does with letters, bounces and what people are to be told."""

from dataclasses import replace as but
from datetime import datetime, timedelta

import pytest

from listserver import limits
from listserver.edges.sqlite import SqliteTables
from listserver.model import (
    EntryRow,
    Faulted,
    Letter,
    LetterClaim,
    LetterId,
    LetterRecord,
    ListId,
    MemberId,
    PostId,
    Record,
    Scoring,
    StoredList,
    Untried,
)
from listserver.outcomes import Delivered, GaveUp, Outcome, Phase, TryLater
from listserver.store import Work
from recrypt_core.udf import Udf
from tests.builders import EVERY_POWER, NOW, new_group, new_history, new_membership, new_person
from tests.mails import sealed
from tests.stored import half_of, stored_post

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SCORING = Scoring(threshold=2, window_days=10, patience_days=7)
DEFAULTS = Scoring(limits.BOUNCE_POINTS, limits.BOUNCE_DAYS, limits.PROBE_DAYS)
HARD, SOFT = 4, 1
BOB = MemberId(2)
REFUSED = GaveUp(Phase.RCPT, 550, "no")
NOBODY = ListId(99)


async def listed(work: Work, *, poster: Udf | None = None) -> StoredList:
    """Write a list of Alice and Bob, and a post to it whose copies are claimed."""
    group = new_group()
    alice, bob = new_person("alice@example.org"), new_person("bob@example.org")
    made = (
        new_membership(alice, group.key, privileges=EVERY_POWER),
        new_membership(bob, group.key),
    )
    history = new_history(group, *made, authorised=alice)
    secret, founder = b"s" * 32, alice.udf
    list_id = await work.create_list(history.state, history.changes[0], secret, founder=founder)
    members = [
        (history.state.members[each.entry.recrypt_udf], [EntryRow(half_of(each), 900)])
        for each in made
    ]
    await work.put_members(list_id, members)
    found = await work.find_list(group.name)
    assert found is not None
    envelope = sealed(group.key.public)
    post = but(stored_post(envelope, *map(half_of, made)), poster=poster)
    readers = await work.readers(found.id, group.key.public.udf)
    await work.enqueue(readers, post, envelope.ciphertext, keep_until=NOW + 14 * DAY)
    return found


async def refuse(work: Work, *, held: bool = False) -> None:
    """Give up Bob's copy, or have it fail here until it is held; Alice has hers."""
    for claim in await work.claim(PostId(1), NOW, 9):
        outcome = Delivered() if claim.member != BOB else Faulted(NOW) if held else REFUSED
        await work.record([Record(claim.id, claim.post, outcome, "550 no")])
    for _ in range((limits.FAULTS - 1) * held):
        (claim,) = await work.claim(PostId(1), NOW, 9)
        await work.record([Record(claim.id, claim.post, Faulted(NOW), "a fault here")])


async def suspects(work: Work, now: datetime = NOW) -> list[MemberId] | None:
    found = await work.take_suspects(SCORING, now, 9)
    return None if found is None else [each.id for each in found]


@pytest.mark.asyncio
async def test_a_letter_is_claimed_once_and_read_as_it_was_written(work: Work) -> None:
    letters = [Letter(f"m{at}@example.org", "", b"Hello\r\n\xe4\n\n{}") for at in range(2)]
    for letter in letters:
        await work.enqueue_letter(letter, NOW)
    assert await work.next_letter_due(NOW) == NOW
    first, second = await work.claim_letters(NOW, 1), await work.claim_letters(NOW, 9)
    assert await work.claim_letters(NOW, 9) == ()
    assert [await work.read_letter(each) for each in (*first, *second)] == letters
    assert {each.made for each in (*first, *second)} == {NOW}
    assert await work.next_letter_due(NOW) is None


@pytest.mark.asyncio
async def test_a_letter_ends_with_its_outcome_or_is_due_again(work: Work) -> None:
    ends: tuple[Outcome | Untried | Faulted, ...] = (
        Delivered(),
        REFUSED,
        TryLater(NOW + HOUR, ambiguous=False),
        Untried(),
        Faulted(NOW + HOUR),
    )
    for _ in ends:
        await work.enqueue_letter(Letter("m@example.org", "", b"x"), NOW)
    claims = await work.claim_letters(NOW, 9)
    await work.record_letters(
        [LetterRecord(each.id, what) for each, what in zip(claims, ends, strict=True)], NOW
    )
    (untried,) = await work.claim_letters(NOW, 9)
    assert (untried.id, untried.attempts) == (claims[3].id, 1)
    await work.record_letters([LetterRecord(untried.id, Delivered())], NOW)
    assert await work.next_letter_due(NOW) == NOW + HOUR
    late = await work.claim_letters(NOW + HOUR, 9)
    assert [(each.id, each.attempts) for each in late] == [(claims[2].id, 2), (claims[4].id, 2)]


@pytest.mark.asyncio
async def test_the_letter_that_is_gone_is_no_other(work: Work) -> None:
    with pytest.raises(LookupError):
        await work.read_letter(LetterClaim(LetterId(7), 1, NOW))


@pytest.mark.asyncio
async def test_a_probe_that_bounced_turns_mail_off_only_while_it_is_waited_for(work: Work) -> None:
    found = await listed(work)
    await refuse(work)
    probe = Letter("bob@example.org", "", b"x", probe_of=BOB)
    for is_waited_for in (False, True):
        await work.enqueue_letter(probe, NOW)
        await work.probe_sent(BOB, NOW if is_waited_for else NOW - DAY)
        (claim,) = await work.claim_letters(NOW, 9)
        await work.record_letters([LetterRecord(claim.id, REFUSED, bounced=True)], NOW)
        told = await work.troubles(found.id, 9)
        assert told is not None
        assert told.turned_off == (("bob@example.org",) if is_waited_for else ())


@pytest.mark.asyncio
async def test_a_score_is_looked_at_once_after_each_bounce(work: Work) -> None:
    await listed(work)
    assert await suspects(work) is None
    await work.bounced(BOB, 4, NOW)
    assert await suspects(work) == []
    assert await suspects(work) is None
    await work.bounced(BOB, 1, NOW)  # less than the day has
    assert await suspects(work) is None
    for day in (1, 2):
        await work.bounced(BOB, 4, NOW + day * DAY)
    assert await suspects(work, NOW + 2 * DAY) == [BOB]
    assert await suspects(work, NOW + 2 * DAY) is None
    await work.probe_sent(BOB, NOW)
    await work.bounced(BOB, 4, NOW + 3 * DAY)
    assert await suspects(work, NOW + 3 * DAY) == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("days", "now", "is_suspect"),
    [
        ((0, 0), 0, False),
        ((0, 1), 1, False),
        ((0, 1, 2), 2, True),
        ((0, 1, 2), 5, False),
        ((0, 9), 9, False),
        ((8, 9), 0, True),  # the clock was set back: what is to come counts as today
    ],
)
async def test_points_decay_day_by_day(
    work: Work, days: tuple[int, ...], now: int, is_suspect: bool
) -> None:
    await listed(work)
    for day in days:
        await work.bounced(BOB, 4, NOW + day * DAY)
    assert await suspects(work, NOW + now * DAY) == ([BOB] if is_suspect else [])


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("quarters", "every", "day"),
    [
        (HARD, 1, 3),  # a host that is wrong about its users over a weekend has nobody probed
        (HARD, 2, 6),
        (HARD, 7, 21),
        (HARD, 14, 42),
        (HARD, 30, 90),
        (HARD, 36, 144),
        (HARD, 37, None),
        (SOFT, 1, 12),
        (SOFT, 3, 39),
        (SOFT, 7, 119),
        (SOFT, 8, None),
    ],
)
async def test_of_so_many_days_between_posts_comes_a_probe_on_that_day(
    work: Work, quarters: int, every: int, day: int | None
) -> None:
    await listed(work)
    for passed in range(0, 2 * limits.BOUNCE_DAYS, every):
        now = NOW + passed * DAY
        await work.forget_bounces(DEFAULTS, now)
        await work.bounced(BOB, quarters, now)
        if await work.take_suspects(DEFAULTS, now, 9):
            assert passed == day
            return
    assert day is None


async def settled(work: Work, now: datetime) -> int:
    """Settle what can be; tell of how many refusals."""
    before = await refusals(work)
    after: PostId | None = PostId(-1)
    while after is not None:
        after = await work.settle_refusals(now, after)
    return before - await refusals(work)


async def refusals(work: Work) -> int:
    """Count what waits to be settled."""
    assert isinstance(work, SqliteTables)
    ((count,),) = await work._rows.all("SELECT count(*) FROM refusals")
    return int(count or 0)


@pytest.mark.asyncio
async def test_a_refusal_counts_against_its_member_when_another_was_taken(work: Work) -> None:
    await listed(work)
    alices, bobs = sorted(await work.claim(PostId(1), NOW, 9), key=lambda each: each.member)
    await work.record([Record(bobs.id, bobs.post, REFUSED)])
    await work.refused([(bobs.id, 4)], NOW)
    assert await settled(work, NOW) == 0
    await work.record([Record(alices.id, alices.post, Delivered())])
    for day in range(3):
        await work.refused([(bobs.id, 4)], NOW + day * DAY)
        assert await settled(work, NOW + day * DAY) == 1
        assert await settled(work, NOW + day * DAY) == 0
    assert await suspects(work, NOW + 2 * DAY) == [BOB]


@pytest.mark.asyncio
async def test_bounces_and_refusals_end_in_pieces(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listserver.edges.sqlite_bounces.FORGOTTEN", 2)
    await listed(work)
    claims = await work.claim(PostId(1), NOW, 9)
    await work.refused([(each.id, 4) for each in claims], NOW)
    for claim in claims:
        await work.record([Record(claim.id, claim.post, REFUSED)])
    later = NOW + limits.HOST_MEMORY
    assert await settled(work, later) == 0
    assert await settled(work, later + timedelta(seconds=1)) == 2
    assert await settled(work, later + timedelta(seconds=1)) == 0
    for day in range(5):
        await work.bounced(BOB, 4, NOW + day * DAY)
    for member in (MemberId(1), BOB):
        await work.probe_sent(member, NOW - 9 * DAY)
    pieces = [await work.forget_bounces(SCORING, NOW + 99 * DAY) for _ in range(4)]
    assert pieces == [True, False, False, False]
    for day in range(5):
        await work.bounced(BOB, 4, NOW + day * DAY)
    pieces = [await work.forget_bounces(SCORING, NOW + 99 * DAY) for _ in range(4)]
    assert pieces == [True, True, False, False]


@pytest.mark.asyncio
async def test_what_was_waited_for_long_enough_or_is_too_old_is_forgotten(work: Work) -> None:
    found = await listed(work)
    for day in range(3):
        await work.bounced(BOB, 4, NOW + day * DAY)
    await work.probe_sent(BOB, NOW)
    await work.forget_bounces(SCORING, NOW + 7 * DAY - timedelta(seconds=1))
    assert await suspects(work) == []
    await work.forget_bounces(SCORING, NOW + 7 * DAY)
    assert not await work.probe_bounced(found.id, BOB, NOW, NOW)
    await work.bounced(BOB, 4, NOW)
    await work.forget_bounces(SCORING, NOW + 9 * DAY)
    assert await suspects(work) == []  # one is left
    await work.bounced(MemberId(1), 4, NOW)
    await work.forget_bounces(SCORING, NOW + 10 * DAY)
    assert await suspects(work) is None


@pytest.mark.asyncio
async def test_a_delivery_is_known_of_its_list_and_for_its_time(work: Work) -> None:
    found = await listed(work)
    life = limits.TOKEN_LIFE
    for list_id, post, member, age, known in (
        (found.id, 1, BOB, 0 * DAY, True),
        (found.id, 1, BOB, life - timedelta(seconds=1), True),
        (found.id, 1, BOB, life, False),
        (NOBODY, 1, BOB, 0 * DAY, False),
        (found.id, 2, BOB, 0 * DAY, False),
        (found.id, 1, MemberId(3), 0 * DAY, False),
    ):
        assert await work.delivery_known(list_id, PostId(post), member, NOW + age) is known


@pytest.mark.asyncio
async def test_a_probe_bounces_once_and_of_its_list(work: Work) -> None:
    found = await listed(work)
    later = NOW + DAY
    assert not await work.probe_bounced(found.id, BOB, NOW, later)
    await work.probe_sent(BOB, NOW)
    assert not await work.probe_bounced(NOBODY, BOB, NOW, later)
    assert not await work.probe_bounced(found.id, BOB, NOW - HOUR, later)  # an earlier one
    assert await work.probe_bounced(found.id, BOB, NOW, later)
    assert not await work.probe_bounced(found.id, BOB, NOW, later)


@pytest.mark.asyncio
@pytest.mark.parametrize("held", [False, True])
async def test_troubles_are_told_once_and_hourly(work: Work, held: bool) -> None:
    found = await listed(work)
    assert await work.lists_in_trouble(NOW, HOUR) == ()
    await refuse(work, held=held)
    assert await work.lists_in_trouble(NOW, HOUR) == (found.id,)
    told = await work.troubles(found.id, 9)
    assert told is not None
    assert await work.troubles_told(found.id, told, NOW)
    (failure,) = told.failures
    assert (failure.account, failure.held) == ("bob@example.org", held)
    assert failure.words == ("a fault here" if held else "550 no")
    assert told.list == found
    assert await work.lists_in_trouble(NOW + HOUR, HOUR) == ()
    await work.probe_sent(BOB, NOW)
    await work.probe_bounced(found.id, BOB, NOW, NOW)
    assert await work.lists_in_trouble(NOW + HOUR - timedelta(seconds=1), HOUR) == ()
    assert await work.lists_in_trouble(NOW + HOUR, HOUR) == (found.id,)
    assert await work.lists_in_trouble(NOW - HOUR, HOUR) == (found.id,)  # the clock was set back


@pytest.mark.asyncio
async def test_administrators_are_those_with_powers_whose_mail_is_on(work: Work) -> None:
    found = await listed(work)
    (alice,) = await work.administrators(found.id)
    assert alice.account == "alice@example.org"
    await work.probe_sent(MemberId(1), NOW)
    await work.probe_bounced(found.id, MemberId(1), NOW, NOW)
    assert await work.administrators(found.id) == (alice,)  # or nobody would hear of it
    assert await work.administrators(NOBODY) == ()


@pytest.mark.asyncio
@pytest.mark.parametrize("poster", [None, Udf("MBWMZ-A7GMP-XHFUN-4MHJT-GZHVK-C4BXQ")])
@pytest.mark.parametrize("is_delivered", [False, True])
async def test_a_post_in_vain_is_given_once_if_its_poster_is_known(
    work: Work, poster: Udf | None, is_delivered: bool
) -> None:
    found = await listed(work, poster=poster)
    assert await work.in_vain(PostId(0), 9) == ()
    end = Delivered() if is_delivered else REFUSED
    claims = await work.claim(PostId(1), NOW, 9)
    await work.record([Record(claims[0].id, PostId(1), REFUSED)])
    assert await work.in_vain(PostId(0), 9) == ()
    await work.record([Record(claims[1].id, PostId(1), end)])
    posts = await work.in_vain(PostId(0), 9)
    assert [(each.list, each.post and each.post.poster, each.poster) for each in posts] == (
        [(found, poster, None)] if poster and not is_delivered else []
    )
    assert await work.in_vain(PostId(1), 9) == ()
    await work.posters_told([each.id for each in posts])
    assert await work.in_vain(PostId(0), 9) == ()


@pytest.mark.asyncio
async def test_whose_entries_are_restated_has_mail_again_and_no_probe_to_wait_for(
    work: Work,
) -> None:
    found = await listed(work)
    page, _ = await work.members_after(found.id, None, 9, octets=10**6)
    everyone = [each.recrypt_udf for each in page]
    await work.probe_sent(BOB, NOW)
    assert await work.probe_bounced(found.id, BOB, NOW, NOW)
    (bob,) = await work.undeliverable(found.id, everyone)
    ((member, halves),) = await work.named(found.id, [bob])
    await work.put_members(found.id, [(member, [EntryRow(each, 900) for each in halves])])
    assert await work.undeliverable(found.id, everyone) == frozenset()
    assert not await work.probe_bounced(found.id, BOB, NOW, NOW)
    assert await work.lists_in_trouble(NOW, HOUR) == ()
