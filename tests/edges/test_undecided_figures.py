"""What waits for administrators, as an operator sees it: how much of all lists, and how long."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from listserver.edges.metrics import Metrics
from listserver.limits import JOIN_PATIENCE
from recrypt_core.moderation import Decision
from recrypt_core.policy import Policy, PostRight
from tests.edges.test_metrics import figures_of
from tests.fakes import Bench, ListLog, open_bench
from tests.moderated import House
from tests.standings import open_standings

MINUTE = timedelta(minutes=1)


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Open a server."""
    async with open_bench(tmp_path) as opened:
        yield opened


async def undecided(bench: Bench) -> dict[str, tuple[float, float]]:
    """Give how many wait, and for how many seconds the first has."""
    found = await figures_of(Metrics(ListLog()), bench.file, bench.clock)
    return {
        what: (
            found[f'listserver_undecided{{what="{what}"}}'],
            found[f'listserver_undecided_oldest_seconds{{what="{what}"}}'],
        )
        for what in ("posts", "joins")
    }


@pytest.mark.asyncio
async def test_held_posts_are_counted_until_they_are_decided_about(bench: Bench) -> None:
    house = House(bench)
    await house.found(Policy(post=PostRight.MODERATED))
    assert (await undecided(bench))["posts"] == (0, 0)
    for _ in range(2):
        assert (await house.post("carol")).positive
        bench.clock.advance(MINUTE)
    assert (await undecided(bench))["posts"] == (2, 120)
    assert (await house.decide(1, Decision.DISCARD))[0] == 201
    assert (await undecided(bench))["posts"] == (1, 60)


@pytest.mark.asyncio
async def test_who_asks_in_is_counted_once_proven_until_the_time_is_over(tmp_path: Path) -> None:
    async with open_standings(tmp_path) as house:
        house.bench.clock.advance(MINUTE)
        assert (await undecided(house.bench))["joins"] == (1, 60)
        house.bench.clock.advance(JOIN_PATIENCE)
        assert (await undecided(house.bench))["joins"] == (0, 0)
