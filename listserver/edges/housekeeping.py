"""What is done every half minute: telling, probing, erasing; one's fault is no other's."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeAlias

from listserver.limits import ROUND, ROUND_LEAST
from listserver.ports import Log

Chore: TypeAlias = Callable[[], Awaitable[bool | None]]  # True: it is to go on at once


class Housekeeping:
    """Does its chores again and again, until it is stopped between two pieces."""

    def __init__(self, chores: Sequence[Chore], log: Log) -> None:
        self._chores = chores
        self._log = log
        self._stopping = asyncio.Event()
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Go round until `stop`."""
        while not self._stopping.is_set():
            self._woken.clear()
            await self.round()
            await _wait(self._woken, ROUND)
            await _wait(self._stopping, ROUND_LEAST)  # what happens together is told together

    async def round(self) -> None:
        """Do each chore, until there is no more of it."""
        for chore in self._chores:
            try:
                while not self._stopping.is_set() and await chore():
                    pass
            except Exception as problem:  # noqa: BLE001 - the house is kept whatever goes wrong
                self._log.event("housekeeping-trouble", error=type(problem).__name__)

    def wake(self) -> None:
        """Go round soon: something has happened."""
        self._woken.set()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping.set()
        self._woken.set()


async def _wait(event: asyncio.Event, most: timedelta) -> None:
    try:
        await asyncio.wait_for(event.wait(), most.total_seconds())
    except TimeoutError:
        return
