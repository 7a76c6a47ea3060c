"""The queue in an operator's hands: counts and never names, tried again, dropped."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from listserver import limits
from listserver.edges.sqlite_figures import open_figures
from listserver.edges.sqlite_upkeep import (
    Dropped,
    QueuedPost,
    Retried,
    Upkeep,
    open_upkeep,
)
from listserver.model import PostId
from listserver.outcomes import Answer, Phase, Refused
from tests.builders import NOW, TEAM, new_group, new_membership, new_person
from tests.fakes import TAKEN, Bench, open_bench
from tests.lists import Team, new_list_of
from tests.mails import mail, sealed

ALICE, BOB, CAROL = (f"{name}@example.org" for name in ("alice", "bob", "carol"))
LATER = Refused(Phase.RCPT, 451, f"{BOB}: try later")
NEVER = Refused(Phase.RCPT, 550, f"5.1.1 {BOB}: unknown")
POST = PostId(1)
FRESH = QueuedPost(
    id=POST,
    list_address=TEAM,
    accepted=NOW,
    stopped=False,
    dropped=False,
    erased=False,
    waiting=3,
    under_way=0,
    put_off=0,
    given_up=0,
    held=0,
    attempts=0,
    due=NOW,
)


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Open a server."""
    async with open_bench(tmp_path) as opened:
        yield opened


@pytest.fixture
def upkeep(bench: Bench) -> Iterator[Upkeep]:
    """Open its store beside it."""
    with open_upkeep(bench.file, bench.vault) as opened:
        yield opened


def answer(bench: Bench, scripts: dict[str, list[Answer]]) -> None:
    """Let the next mail host answer so."""
    bench.courier._scripts.update(scripts)


async def posted(bench: Bench) -> Team:
    """Create a list of three, and post to it."""
    group = new_group()
    others = [new_membership(new_person(each), group.key) for each in (BOB, CAROL)]
    team = await new_list_of(bench, group, new_person(ALICE), *others)
    await post(bench, team)
    return team


async def post(bench: Bench, team: Team) -> None:
    assert (await bench.post(mail(sealed(team.key.public).mmx()))).positive


async def spoil_an_entry(bench: Bench) -> bytes:
    """Damage the last member's entry; give it as it was."""
    ((before,),) = await bench.rows("SELECT sealed FROM entries ORDER BY id DESC LIMIT 1")
    await write(bench, "UPDATE entries SET sealed = zeroblob(9) WHERE id = 3")
    assert isinstance(before, bytes)
    return before


async def write(bench: Bench, sql: str, *values: bytes | int) -> None:
    async with bench.store.begin():
        await bench.store._rows.run(sql, values)


@pytest.mark.asyncio
async def test_an_empty_queue_is_empty_and_so_is_one_whose_posts_are_delivered(
    bench: Bench, upkeep: Upkeep
) -> None:
    assert upkeep.queue(NOW) == ()
    await posted(bench)
    await bench.relay_all()
    assert upkeep.queue(NOW) == ()
    assert upkeep.retry(None, NOW) == Retried(0, 0, 0)
    assert upkeep.drop(POST, NOW) is None


@pytest.mark.asyncio
async def test_a_post_is_shown_with_what_became_of_its_copies(bench: Bench, upkeep: Upkeep) -> None:
    await posted(bench)
    assert upkeep.queue(NOW) == (FRESH,)
    answer(bench, {BOB: [NEVER], CAROL: [LATER]})
    assert await bench.delivering.claim(2) is not None  # Bob or Carol, or both
    (shown,) = upkeep.queue(NOW)
    assert (shown.waiting, shown.under_way, shown.attempts) == (1, 2, 1)
    await bench.delivering.recover()
    await bench.relay_all()
    (shown,) = upkeep.queue(NOW)
    due = shown.due
    assert shown == replace(FRESH, waiting=0, put_off=1, given_up=1, attempts=2, due=due)
    assert due in (NOW + limits.FIRST_DELAY, NOW + limits.FIRST_DELAY * 2)
    (later,) = upkeep.queue(due)
    assert (later.waiting, later.put_off) == (1, 0)
    (set_back,) = upkeep.queue(NOW - timedelta(days=9))
    assert (set_back.waiting, set_back.put_off) == (1, 0)


@pytest.mark.asyncio
async def test_of_a_peers_words_only_the_codes_are_shown(bench: Bench, upkeep: Upkeep) -> None:
    await posted(bench)
    plain = Refused(Phase.RCPT, 550, f"550 {CAROL} is away")
    answer(bench, {ALICE: [LATER], BOB: [NEVER], CAROL: [plain]})
    await bench.relay_all()
    assert upkeep.queue(NOW, POST)[0].given_up == 2
    found = upkeep.codes(POST)
    assert found == {"5.1.1": 1, "550": 1}
    await write(bench, "UPDATE deliveries SET sealed = zeroblob(9) WHERE state = 2")
    assert upkeep.codes(POST) == {"": 2}


@pytest.mark.asyncio
@pytest.mark.parametrize("words", [f"{BOB} 550", "55", "5.1", "1234567", "550.1.2.3", "5500 x", ""])
async def test_words_that_begin_with_no_code_count_as_none(
    bench: Bench, upkeep: Upkeep, words: str
) -> None:
    await posted(bench)
    await bench.delivering.claim(1)
    sealed_words = bench.vault.seal("deliveries", words.encode(), row=b"1")
    await write(bench, "UPDATE deliveries SET state = 2, sealed = ?", sealed_words)
    assert upkeep.codes(POST) == {"": 1}


@pytest.mark.asyncio
@pytest.mark.parametrize("which", [None, POST])
async def test_what_was_given_up_or_held_is_tried_again_as_if_for_the_first_time(
    bench: Bench, upkeep: Upkeep, which: PostId | None
) -> None:
    await posted(bench)
    before = await spoil_an_entry(bench)
    answer(bench, {ALICE: [LATER] * 99, BOB: [NEVER, LATER, TAKEN]})
    for _ in range(limits.FAULTS):
        await bench.relay_all()
        bench.clock.advance(limits.FAULT_DELAY)
    bench.clock.advance(limits.LIFETIME)
    now = bench.clock.now()
    (shown,) = upkeep.queue(now)
    assert (shown.given_up, shown.held) == (1, 1)
    await write(bench, "UPDATE entries SET sealed = ? WHERE id = 3", before)
    assert upkeep.retry(which, now) == Retried(2, 0, 0)
    await bench.relay_all()
    (shown,) = upkeep.queue(now)
    assert (shown.given_up, shown.held, shown.put_off) == (0, 0, 2)
    assert CAROL in {each.recipient for each in bench.courier.sent}
    bench.clock.advance(limits.FIRST_DELAY)
    await bench.relay_all()
    assert [each.recipient for each in bench.courier.sent].count(BOB) == 3


@pytest.mark.asyncio
async def test_what_was_given_up_cannot_be_tried_again_without_the_ciphertext(
    bench: Bench, upkeep: Upkeep
) -> None:
    await posted(bench)
    answer(bench, {BOB: [NEVER]})
    await bench.relay_all()
    bench.clock.advance(timedelta(days=14))
    await bench.erasing.erase()
    assert upkeep.queue(NOW) == (
        replace(FRESH, waiting=0, given_up=1, erased=True, attempts=1, due=None),
    )
    assert upkeep.retry(None, NOW) == Retried(0, 0, 1)
    await bench.relay_all()
    assert len(bench.courier.sent) == 3
    assert upkeep.drop(POST, NOW) == Dropped(1, 0)
    assert upkeep.queue(NOW) == ()


@pytest.mark.asyncio
async def test_a_post_that_cannot_be_read_is_shown_stopped_and_tried_again_when_it_can(
    bench: Bench, upkeep: Upkeep
) -> None:
    await posted(bench)
    ((before,),) = await bench.rows("SELECT sealed FROM posts")
    assert isinstance(before, bytes)
    await write(bench, "UPDATE posts SET sealed = zeroblob(9)")
    await bench.relay_all()
    assert upkeep.queue(NOW) == (replace(FRESH, list_address=None, stopped=True, due=None),)
    await write(bench, "UPDATE posts SET sealed = ?", before)
    assert upkeep.retry(POST, NOW) == Retried(0, 1, 0)
    await bench.relay_all()
    assert len(bench.courier.sent) == 3


@pytest.mark.asyncio
async def test_a_post_that_is_dropped_is_erased_and_the_next_one_is_not(
    bench: Bench, upkeep: Upkeep
) -> None:
    team = await posted(bench)
    await post(bench, team)
    answer(bench, {BOB: [NEVER], CAROL: [LATER]})
    assert upkeep.drop(POST, NOW) == Dropped(3, 0)
    assert await bench.rows("SELECT open, held FROM posts ORDER BY id") == [(0, 0), (1, 0)]
    assert await bench.rows("SELECT post_id FROM ciphertexts") == [(2,)]
    await bench.relay_all()
    assert len(bench.courier.sent) == 3
    assert [each.id for each in upkeep.queue(NOW)] == [2]
    assert upkeep.drop(POST, NOW) is None
    assert upkeep.drop(PostId(2), NOW) == Dropped(2, 0)
    assert await bench.count("deliveries") == 0
    await post(bench, team)
    await bench.relay_all()
    assert len(bench.courier.sent) == 6


@pytest.mark.asyncio
async def test_what_is_under_way_while_its_post_is_dropped_ends_no_other_delivery(
    bench: Bench, upkeep: Upkeep
) -> None:
    team = await posted(bench)
    batch = await bench.delivering.claim(2)
    assert batch is not None
    answer(bench, {BOB: [LATER], CAROL: [LATER], ALICE: [LATER]})
    tried = await bench.tried(batch)
    assert upkeep.drop(POST, NOW) == Dropped(1, 2)
    await post(bench, team)
    other = await bench.delivering.claim(3)
    assert other is not None
    assert {each.post for each in other.claims} == {2}
    await bench.delivering.record(tried)
    assert await bench.delivering.claim(3) is None
    (dropped, shown) = upkeep.queue(NOW)
    assert (dropped.stopped, dropped.dropped, dropped.put_off, dropped.due) == (True, True, 2, None)
    assert shown.under_way == 3
    assert upkeep.drop(POST, NOW) == Dropped(2, 0)
    assert await bench.rows("SELECT open, held FROM posts") == [(0, 0), (1, 0)]


@pytest.mark.asyncio
@pytest.mark.parametrize("which", [None, POST])
async def test_what_was_dropped_stays_dropped_and_is_erased_when_its_copies_have_ended(
    bench: Bench, upkeep: Upkeep, which: PostId | None
) -> None:
    await posted(bench)
    answer(bench, {BOB: [LATER], CAROL: [NEVER], ALICE: [LATER]})
    batch = await bench.delivering.claim(3)
    assert batch is not None
    assert upkeep.drop(POST, NOW) == Dropped(0, 3)
    assert not await bench.erasing.erase()
    assert await bench.rows("SELECT post_id FROM ciphertexts") == [(1,)]
    tried = await bench.tried(batch)
    await bench.delivering.record(tried)
    assert upkeep.retry(which, NOW) == Retried(0, 0, 0)
    bench.clock.advance(limits.FIRST_DELAY)
    await bench.relay_all()
    assert len(bench.courier.sent) == 3
    await bench.erasing.erase()
    assert (await bench.count("ciphertexts"), await bench.count("deliveries")) == (0, 0)
    assert await bench.rows("SELECT open, held, told FROM posts") == [(0, 0, 1)]
    assert upkeep.queue(NOW) == ()


@pytest.mark.asyncio
async def test_what_was_dropped_under_way_of_a_server_that_died_is_erased_after_its_next_start(
    bench: Bench, upkeep: Upkeep
) -> None:
    await posted(bench)
    await bench.delivering.claim(3)
    assert upkeep.drop(POST, NOW) == Dropped(0, 3)
    await bench.delivering.recover()
    assert await bench.delivering.claim(3) is None
    await bench.erasing.erase()
    assert await bench.count("ciphertexts") == 0


@pytest.mark.asyncio
async def test_a_post_that_is_tried_again_after_it_was_held_is_told_of_again(
    bench: Bench, upkeep: Upkeep
) -> None:
    await posted(bench)
    await write(bench, "UPDATE posts SET held = 1, held_told = 1")
    assert upkeep.retry(POST, NOW) == Retried(0, 1, 0)
    assert await bench.rows("SELECT held, held_told FROM posts") == [(0, 0)]


@pytest.mark.asyncio
async def test_what_is_tried_again_years_later_has_its_five_days(
    bench: Bench, upkeep: Upkeep
) -> None:
    await posted(bench)
    answer(bench, {BOB: [NEVER, *[LATER] * 99]})
    await bench.relay_all()
    bench.clock.advance(timedelta(days=999))
    begun = bench.clock.now()
    assert upkeep.retry(None, begun) == Retried(1, 0, 0)
    await bench.relay_all()
    while upkeep.queue(bench.clock.now())[0].put_off:
        (shown,) = upkeep.queue(bench.clock.now())
        assert shown.due is not None
        bench.clock.advance(shown.due - bench.clock.now())
        await bench.relay_all()
    assert bench.clock.now() - begun == limits.LIFETIME


@pytest.mark.asyncio
async def test_a_store_that_is_missing_or_no_store_is_refused_and_not_made(
    bench: Bench, tmp_path: Path
) -> None:
    missing, other = tmp_path / "missing.db", tmp_path / "other.db"
    other.write_bytes(b"nothing of the kind" * 99)
    with pytest.raises(OSError, match="there is no store"), open_upkeep(missing, bench.vault):
        pass
    with (
        pytest.raises(OSError, match="can't be used"),
        open_upkeep(other, bench.vault) as opened,
    ):
        opened.queue(NOW)
    assert not missing.exists()


@pytest.mark.asyncio
@pytest.mark.parametrize("accepted", [1 << 50, -(1 << 60)])
async def test_a_post_with_a_time_that_cannot_be_is_shown_tried_again_and_dropped(
    bench: Bench, upkeep: Upkeep, accepted: int
) -> None:
    await posted(bench)
    await write(bench, "UPDATE posts SET accepted = ?, held = 1", accepted)
    assert [each.accepted for each in upkeep.queue(NOW)] == [None]
    with open_figures(bench.file) as figures:
        assert figures.newest() < NOW
    assert upkeep.retry(POST, NOW) == Retried(0, 1, 0)
    with open_figures(bench.file) as figures:
        assert figures.queue(NOW).waiting == 3
    assert upkeep.drop(POST, NOW) == Dropped(3, 0)


@pytest.mark.asyncio
async def test_what_was_put_off_of_a_held_post_is_held_and_not_overdue(bench: Bench) -> None:
    answer(bench, {BOB: [LATER]})
    await posted(bench)
    await bench.relay_all()
    await write(bench, "UPDATE posts SET held = 1")
    with open_figures(bench.file) as figures:
        found = figures.queue(NOW + timedelta(days=3))
    assert (found.waiting, found.put_off, found.held) == (0, 0, 1)
    assert found.oldest == timedelta(0)
