"""Jobs that wait for the store: done in one block, told apart when one fails."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from listserver.store import StoreTrouble, Work
from listserver.together import Together
from tests.builders import Person, new_person
from tests.fakes import Bench, TroubledStore, open_bench

MANY = 50


class Clerk:
    """Authorises people, a block for all that wait; to do so for some is a fault of ours."""

    def __init__(self, *refused: Person) -> None:
        self.blocks: list[int] = []
        self._refused = refused

    async def authorize(self, work: Work, people: Sequence[Person]) -> list[str]:
        """Authorise some, and give their fingerprints."""
        self.blocks.append(len(people))
        for person in people:
            await work.authorize(person.verified)
            if person in self._refused:
                raise RuntimeError(person.udf)
        return [person.udf for person in people]


async def outcomes(together: Together[Person, str], people: Sequence[Person]) -> list[object]:
    return [
        *await asyncio.gather(*(together.done(each) for each in people), return_exceptions=True)
    ]


async def authorized(bench: Bench) -> int:
    return len(await bench.rows("SELECT DISTINCT profile_name FROM authorized"))


@pytest.mark.asyncio
async def test_what_waits_is_done_in_few_blocks_and_each_hears_of_its_own(tmp_path: Path) -> None:
    people = [new_person(f"m{each}@example.org") for each in range(MANY)]
    clerk = Clerk()
    async with open_bench(tmp_path) as bench:
        told = await outcomes(Together(bench.store, clerk.authorize), people)
        assert told == [person.udf for person in people]
        assert await authorized(bench) == MANY
    assert sum(clerk.blocks) == MANY
    assert len(clerk.blocks) < MANY / 5


@pytest.mark.asyncio
async def test_a_job_that_fails_is_undone_and_no_other_is(tmp_path: Path) -> None:
    people = [new_person(f"m{each}@example.org") for each in range(5)]
    clerk = Clerk(people[2])
    async with open_bench(tmp_path) as bench:
        told = await outcomes(Together(bench.store, clerk.authorize), people)
        assert [isinstance(each, RuntimeError) for each in told] == [
            False,
            False,
            True,
            False,
            False,
        ]
        assert await authorized(bench) == 4


@pytest.mark.asyncio
async def test_a_store_in_trouble_tells_all_that_wait_and_those_after_them_are_done(
    tmp_path: Path,
) -> None:
    people = [new_person(f"m{each}@example.org") for each in range(4)]
    clerk = Clerk()
    async with open_bench(tmp_path) as bench:
        store = TroubledStore(bench.store)
        store.failures = 1
        together = Together[Person, str](store, clerk.authorize)
        told = await outcomes(together, people[:3])
        assert all(isinstance(each, StoreTrouble) for each in told)
        assert clerk.blocks == [3]
        assert await together.done(people[3]) == people[3].udf
        assert await authorized(bench) == 1


@pytest.mark.asyncio
async def test_who_goes_away_keeps_nobody_waiting(tmp_path: Path) -> None:
    people = [new_person(f"m{each}@example.org") for each in range(3)]
    async with open_bench(tmp_path) as bench:
        together = Together(bench.store, Clerk().authorize)
        first, *others = [asyncio.create_task(together.done(each)) for each in people]
        await asyncio.sleep(0)
        first.cancel()
        assert await asyncio.gather(*others) == [person.udf for person in people[1:]]
        assert await authorized(bench) == 3
