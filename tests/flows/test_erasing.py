"""What is kept is erased in its time: in pieces, and by no jump of the clock."""

from datetime import timedelta
from pathlib import Path

import pytest

from listserver.edges import sqlite_posts
from listserver.limits import CLOCK_DOUBT, CLOCK_SLACK, ERASING_STEP
from recrypt_core.policy import Policy
from tests.builders import new_group, new_person
from tests.fakes import Bench, open_bench
from tests.lists import Team, new_list_of
from tests.mails import mail, sealed

KEEP = timedelta(days=Policy().keep)
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


async def posted(bench: Bench, posts: int = 1) -> Team:
    """Create a list of Alice's, and post to it."""
    team = await new_list_of(bench, new_group(), new_person("alice@example.org"))
    for number in range(posts):
        post = mail(sealed(team.key.public).mmx(), message_id=f"<{number}@example.org>")
        assert (await bench.post(post)).positive
    await bench.relay_all()
    return team


async def kept(bench: Bench) -> int:
    """Do the chore, and count what is left."""
    while await bench.erasing.erase():
        pass
    return await bench.count("ciphertexts")


@pytest.mark.asyncio
async def test_much_is_erased_piece_by_piece(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await posted(bench, posts=5)
    ((octets,),) = await bench.rows("SELECT DISTINCT length(octets) FROM ciphertexts")
    assert isinstance(octets, int)
    bench.clock.advance(KEEP)
    monkeypatch.setattr(sqlite_posts, "ERASED_OCTETS", 2 * octets)
    for left in (3, 1):
        assert await bench.erasing.erase()
        assert await bench.count("ciphertexts") == left
    monkeypatch.setattr(sqlite_posts, "ERASED_OCTETS", 1)  # one larger than a piece goes too
    assert not await bench.erasing.erase()
    assert await bench.count("ciphertexts") == 0
    assert await bench.rows("SELECT DISTINCT erased FROM posts") == [(1,)]


@pytest.mark.asyncio
async def test_so_are_many_small_ones(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await posted(bench, posts=3)
    bench.clock.advance(KEEP)
    monkeypatch.setattr(sqlite_posts, "ERASED_POSTS", 2)
    assert await bench.erasing.erase()
    assert await bench.count("ciphertexts") == 1
    assert await kept(bench) == 0


@pytest.mark.asyncio
async def test_a_jump_ahead_erases_nothing_and_is_told_once(bench: Bench) -> None:
    await posted(bench)
    assert await kept(bench) == 1
    bench.clock.jump(KEEP * 3)
    for _ in range(3):
        assert await kept(bench) == 1
        bench.clock.advance(HOUR)
    assert [name for name, _ in bench.log.events].count("clock-ahead") == 1
    bench.clock.jump(-KEEP * 3)
    bench.clock.advance(KEEP - 4 * HOUR)
    assert await kept(bench) == 1
    bench.clock.advance(HOUR)
    assert await kept(bench) == 0


@pytest.mark.asyncio
async def test_a_clock_that_stays_ahead_is_believed_after_three_days(bench: Bench) -> None:
    await posted(bench)
    await kept(bench)
    bench.clock.jump(KEEP)
    assert await kept(bench) == 1
    bench.clock.advance(CLOCK_DOUBT - SECOND * 2)
    assert await kept(bench) == 1
    bench.clock.advance(SECOND)
    assert await kept(bench) == 0


@pytest.mark.asyncio
async def test_the_doubt_is_as_long_however_often_it_is_asked_about(bench: Bench) -> None:
    await posted(bench)
    await kept(bench)
    bench.clock.jump(KEEP)
    asked = 1000
    for _ in range(asked - 1):
        await bench.erasing_time.now()
        await bench.erasing_time.now()
        bench.clock.advance(CLOCK_DOUBT / asked)
    assert await kept(bench) == 1
    bench.clock.advance(CLOCK_DOUBT / asked)
    assert await kept(bench) == 0


@pytest.mark.asyncio
async def test_a_jump_of_a_day_is_believed(bench: Bench) -> None:
    await posted(bench)
    await kept(bench)
    bench.clock.advance(KEEP - CLOCK_SLACK)
    bench.clock.jump(CLOCK_SLACK)
    assert await kept(bench) == 0


@pytest.mark.asyncio
async def test_in_doubt_things_are_erased_as_time_passes(bench: Bench) -> None:
    await posted(bench)
    bench.clock.advance(KEEP - HOUR)
    assert await kept(bench) == 1
    bench.clock.jump(KEEP)
    assert await kept(bench) == 1
    bench.clock.advance(HOUR)
    assert await kept(bench) == 0


@pytest.mark.asyncio
async def test_the_doubt_lasts_over_restarts(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        await posted(bench)
        assert await kept(bench) == 1
    ahead, part = KEEP * 2, CLOCK_DOUBT / 3
    for left in (1, 1, 0):
        async with open_bench(tmp_path) as bench:
            bench.clock.jump(ahead)
            assert await kept(bench) == 1
            bench.clock.advance(part + ERASING_STEP)
            assert await kept(bench) == left
            ahead += part
