"""What it takes to find the next post, in steps of SQLite's machine, however many are open."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from listserver.limits import BUSY_POSTS
from listserver.model import PostId
from tests.builders import new_group, new_person
from tests.fakes import Bench, open_bench
from tests.lists import new_list_of
from tests.mails import mail, sealed

OPEN = 3000
HOUR = 3600
STEPS = 5000  # some 0.2 ms
EACH = 10  # steps between two looks

# Copies of the first post, each with one delivery that is due at some time.
MORE_POSTS = (
    "WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i <= ?)"
    " INSERT INTO posts (id, list_id, key_name, accepted, open, told, sealed, next_due)"
    " SELECT i, list_id, key_name, accepted, 1, 1, sealed, NULL FROM posts, n WHERE id = 1"
)
THEIR_DELIVERIES = (
    "INSERT INTO deliveries (post_id, member_id, state, attempts, faults, due)"
    " SELECT posts.id, members.id, 0, 1, 0, ? + posts.id FROM posts, members WHERE posts.id > 1"
)


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Open a server."""
    async with open_bench(tmp_path) as opened:
        yield opened


async def open_posts(bench: Bench, due: int) -> int:
    """Have many open posts, all put off; give the time."""
    team = await new_list_of(bench, new_group(), new_person("alice@example.org"))
    assert (await bench.post(mail(sealed(team.key.public).mmx()))).positive
    await bench.relay_all()
    now = int(bench.clock.now().timestamp())
    async with bench.store.begin():
        await bench.store._rows.run(MORE_POSTS, (OPEN,), large=True)
        await bench.store._rows.run(THEIR_DELIVERIES, (now + due,), large=True)
    return now


async def next_after(bench: Bench, after: int) -> tuple[int | None, int]:
    """Find the next post, and count the steps."""
    steps = 0
    connection: sqlite3.Connection = bench.store._rows._connection

    def count() -> bool:
        nonlocal steps
        steps += EACH
        return False

    async with bench.store.begin() as work:
        connection.set_progress_handler(count, EACH)
        found = await work.busy_post(bench.clock.now(), PostId(after))
        connection.set_progress_handler(None, 0)
    return found, steps


@pytest.mark.asyncio
async def test_posts_that_are_put_off_cost_those_that_are_not_nothing(bench: Bench) -> None:
    now = await open_posts(bench, HOUR)
    found, steps = await next_after(bench, 0)
    assert found is None
    assert steps < STEPS
    async with bench.store.begin() as work:
        due = await work.next_due(bench.clock.now())
    assert due is not None
    assert due.timestamp() == now + HOUR + 2
    changed = "UPDATE deliveries SET due = ? WHERE post_id IN (?, ?)"
    async with bench.store.begin():
        await bench.store._rows.run(changed, (now, OPEN // 2, OPEN))
    for after, expected in ((0, OPEN // 2), (OPEN // 2, OPEN), (OPEN, OPEN // 2)):
        found, steps = await next_after(bench, after)
        assert found == expected
        assert steps < STEPS


@pytest.mark.asyncio
async def test_where_many_are_due_they_take_turns_at_the_same_cost(bench: Bench) -> None:
    await open_posts(bench, -HOUR)
    found: int | None = 0
    for expected in (*range(2, BUSY_POSTS), 2):
        after = OPEN + 1 if expected == 2 else expected - 1
        found, steps = await next_after(bench, after)
        assert found == expected
        assert steps < STEPS


@pytest.mark.asyncio
async def test_what_ended_or_was_claimed_is_due_no_more(bench: Bench) -> None:
    now = await open_posts(bench, -OPEN - HOUR)
    async with bench.store.begin() as work:
        (claim,) = await work.claim(PostId(3000), bench.clock.now(), 9)
    assert await bench.rows("SELECT next_due FROM posts WHERE id = 3000") == [(None,)]
    await bench.delivering.record([bench.delivering.untried(claim)])
    assert await bench.rows("SELECT next_due FROM posts WHERE id = 3000") == [(now,)]
