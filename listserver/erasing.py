"""Erase what was kept long enough, by a time that follows the clock, but none of its jumps."""

from datetime import datetime, timedelta

from listserver.limits import CLOCK_DOUBT, CLOCK_SLACK, ERASING_STEP
from listserver.model import Erased
from listserver.ports import Clock, Log
from listserver.store import Store


class ErasingTime:
    """Tells up to when things may be erased: it is the clock's time, unless that has jumped ahead.

    A clock that is ahead by more than CLOCK_SLACK, of what the server has lived through, is
    believed after CLOCK_DOUBT, in which it can be set right; over restarts too. One that was set
    back is believed at once. A server that was off for as long can't tell, and erases later.
    """

    def __init__(self, store: Store, clock: Clock, log: Log) -> None:
        self._store = store
        self._clock = clock
        self._log = log
        self._steady = clock.steady()
        self._known: Erased | None = None
        self._written: Erased | None = None

    async def now(self) -> datetime:
        """Give it. The first server on a store believes its clock."""
        async with self._store.begin() as work:
            before = self._known or await work.erased_until()
            known = self._known = self._followed(before)
            if self._is_to_be_written(known):
                await work.set_erased_until(known)
                self._written = known
        if known.doubted and (before is None or not before.doubted):
            self._log.event("clock-ahead")
        return known.until

    def _followed(self, before: Erased | None) -> Erased:
        now, steady = self._clock.now(), self._clock.steady()
        passed, self._steady = steady - self._steady, steady
        if before is None or now <= before.until + passed + CLOCK_SLACK:
            return Erased(now, timedelta(0))
        # For a second at first, in which none may have passed: nothing would be no doubt.
        doubted = before.doubted + passed or timedelta(seconds=1)
        if doubted >= CLOCK_DOUBT:
            return Erased(now, timedelta(0))
        return Erased(before.until + passed, doubted)

    def _is_to_be_written(self, known: Erased) -> bool:
        written = self._written
        if written is None or bool(written.doubted) != bool(known.doubted):
            return True
        return abs(known.until - written.until) >= ERASING_STEP


class Erasing:
    """Erases posts, and the halves of closed lists: a chore of the house."""

    def __init__(self, store: Store, time: ErasingTime) -> None:
        self._store = store
        self._time = time

    async def erase(self) -> bool:
        """Erase a piece of what was kept long enough; True if there may be more."""
        until = await self._time.now()
        async with self._store.begin() as work:
            more = await work.erase_old(until)
            return await work.erase_ended(until) or more
