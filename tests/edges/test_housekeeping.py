"""The chores: one after the other, again and again, whatever becomes of each; soon when woken."""

import asyncio
from datetime import timedelta

import pytest

from listserver.edges import housekeeping as room
from listserver.edges.housekeeping import Housekeeping
from tests.fakes import ListLog


class Rounds:
    """Counts rounds; the first chore fails."""

    def __init__(self) -> None:
        self.count = 0
        self.done = asyncio.Event()
        self.log = ListLog()
        self.house = Housekeeping((self.fail, self.work), self.log)

    async def fail(self) -> None:
        """Raise."""
        raise ZeroDivisionError

    async def work(self) -> None:
        """Count."""
        self.count += 1
        self.done.set()


@pytest.mark.asyncio
async def test_a_chores_fault_is_no_other_chores() -> None:
    it = Rounds()
    await it.house.round()
    assert it.count == 1
    assert it.log.events == [("housekeeping-trouble", {"error": "ZeroDivisionError"})]


@pytest.mark.asyncio
async def test_a_chore_of_which_there_is_more_goes_on_until_a_stop() -> None:
    left, done = [3], list[int]()

    async def erase() -> bool:
        done.append(left[0])
        left[0] -= 1
        if left[0] < 0:
            house.stop()
        return left[0] != 0

    house = Housekeeping((erase,), ListLog())
    await house.round()
    assert done == [3, 2, 1]
    await house.round()
    assert done == [3, 2, 1, 0]


@pytest.mark.asyncio
async def test_a_stop_begins_nothing_more() -> None:
    it = Rounds()
    it.house.stop()
    await it.house.round()
    await it.house.run()
    assert it.count == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("is_woken", [False, True])
async def test_it_goes_round_by_itself_and_sooner_when_woken(
    monkeypatch: pytest.MonkeyPatch, is_woken: bool
) -> None:
    soon, late = timedelta(milliseconds=1), timedelta(days=1)
    monkeypatch.setattr(room, "ROUND_LEAST", soon)
    monkeypatch.setattr(room, "ROUND", late if is_woken else soon)
    it = Rounds()
    running = asyncio.create_task(it.house.run())
    for _ in range(3):
        await asyncio.wait_for(it.done.wait(), 10)
        it.done.clear()
        if is_woken:
            it.house.wake()
    it.house.stop()
    await asyncio.wait_for(running, 10)
    assert it.count >= 3


@pytest.mark.asyncio
async def test_what_wakes_it_again_and_again_waits_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "ROUND_LEAST", timedelta(days=1))
    it = Rounds()
    running = asyncio.create_task(it.house.run())
    await asyncio.wait_for(it.done.wait(), 10)
    for _ in range(9):
        it.house.wake()
        await asyncio.sleep(0)
    it.house.stop()
    await asyncio.wait_for(running, 10)
    assert it.count == 1
