"""Administrators hear of who waits to be let in: once, after an hour, and not of who is banned."""

from datetime import timedelta

import pytest

from listserver.limits import NOTICE_PATIENCE
from tests.builders import new_person
from tests.fakes import Bench
from tests.flows.test_joining import Door, new_door
from tests.returned import sent_to, words_of

DAVE, ERIN = (new_person(f"{name}@example.org") for name in ("dave", "erin"))


async def told(door: Door) -> list[str]:
    """Keep house; give the lines that Alice hears, of which Bob hears the same."""
    door.bench.courier.sent.clear()
    await door.bench.keep_house()
    heard = [
        words_of(letter, person)
        for person in (door.alice, door.bob)
        for letter in sent_to(door.bench, person.address)
    ]
    assert len(heard) in {0, 2}
    assert len(door.bench.courier.sent) == len(heard)
    assert len({*heard}) <= 1
    return heard[0].splitlines() if heard else []


@pytest.mark.asyncio
async def test_who_has_waited_for_an_hour_is_told_of_once(bench: Bench) -> None:
    door = await new_door(bench)
    await door.waits(DAVE)
    bench.clock.advance(NOTICE_PATIENCE - timedelta(seconds=1))
    assert await told(door) == []
    await door.waits(ERIN)
    bench.clock.advance(timedelta(seconds=1))
    lines = await told(door)
    assert lines[0] == "team: people who ask to join: 2"
    assert "  recrypt requests team@lists.example" in lines
    assert not any("example.org" in line for line in lines)
    bench.clock.advance(timedelta(days=2))
    await door.waits(DAVE)
    bench.clock.advance(NOTICE_PATIENCE)
    assert await told(door) == []
    assert await door.waiting() == [DAVE.address, ERIN.address]


@pytest.mark.asyncio
async def test_who_is_let_in_within_an_hour_is_not_told_of(bench: Bench) -> None:
    door = await new_door(bench)
    await door.waits(DAVE)
    await door.waits(ERIN)
    await door.add(DAVE)
    assert await door.deny(ERIN) == 201
    await bench.keep_house()  # which greets Dave
    bench.clock.advance(NOTICE_PATIENCE)
    assert await told(door) == []
