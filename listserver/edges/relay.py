"""The worker: carries what is due, as many at once as there are connections, and records it.

Outcomes that wait are committed together by one task, so a crash repeats only what was in flight.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

from listserver.limits import (
    HOST_DELAY,
    HOST_LONGEST_DELAY,
    IN_HAND,
    RECORD_DELAY,
    STOP_TIMEOUT,
    STORE_RETRY,
    STORE_TROUBLES,
)
from listserver.model import Faulted, Untried, Withdrawn
from listserver.outcomes import Delivered, GaveUp, TryLater
from listserver.ports import Log
from listserver.store import may_pass


class _Judged(Protocol):
    """What is to be written about one claim."""

    @property
    def outcome(self) -> object:
        """What came of it."""
        ...

    @property
    def reached(self) -> bool | None:
        """Whether the relay host could be connected to; None if nobody tried."""
        ...


F = TypeVar("F")
C = TypeVar("C", bound=Hashable)
R = TypeVar("R", bound=_Judged)
Shared = TypeVar("Shared", covariant=True)
Each = TypeVar("Each", covariant=True)


class Batch(Protocol[Shared, Each]):
    """What was claimed together, and what it has in common."""

    @property
    def frame(self) -> Shared:
        """What they have in common."""
        ...

    @property
    def claims(self) -> Sequence[Each]:
        """Each of them."""
        ...

    @property
    def is_large(self) -> bool:
        """Whether no more of them are to be in hand than are under way."""
        ...


class Queue(Protocol[F, C, R]):
    """Deliveries or letters; listserver.delivering describes the methods."""

    async def claim(self, limit: int) -> Batch[F, C] | None:
        """Take what is due."""
        ...

    def attempt(self, frame: F, claims: Sequence[C], /) -> AsyncIterator[tuple[C, R | Exception]]:
        """Try each once; give what came of it, or what our own program failed at, as it comes."""
        ...

    def faulted(self, claim: C, problem: Exception, /) -> R:
        """Put off what our own program failed at."""
        ...

    def untried(self, claim: C) -> R:
        """Put back what nothing was done for."""
        ...

    def put_off(self, claim: C) -> R:
        """Put back what the store had no answer for, and not to be tried at once."""
        ...

    def cut_off(self, claim: C) -> R:
        """Put back what was broken off."""
        ...

    async def record(self, records: Sequence[R]) -> None:
        """Write outcomes."""
        ...

    async def pause(self) -> timedelta:
        """Tell how long there will be nothing to do."""
        ...


class _Host:
    """What is remembered of the relay host: while it can't be reached, it is tried now and then.

    A try that fails begins a pause, of a second at first and then of twice the last one. The first
    one that reaches it ends all that, so mail that it would take waits for a pause at most.
    """

    def __init__(self) -> None:
        self._delay = timedelta(0)
        self._until = 0.0
        self._back = asyncio.Event()

    @property
    def is_lost(self) -> bool:
        """Say whether the last try failed."""
        return bool(self._delay)

    @property
    def pauses(self) -> bool:
        """Say whether it isn't to be tried now."""
        return asyncio.get_running_loop().time() < self._until

    async def wait(self) -> None:
        """Wait until the pause is over."""
        await _wait(self._back, self._until - asyncio.get_running_loop().time())

    def note(self, *, reached: bool) -> None:
        """Take note of a try; what was under way when a pause began doesn't prolong it."""
        if reached:
            if self.is_lost:
                self.end_pause()
        elif not self.pauses:
            self._back.clear()
            self._delay = min(HOST_LONGEST_DELAY, self._delay * 2 or HOST_DELAY)
            self._until = asyncio.get_running_loop().time() + self._delay.total_seconds()

    def end_pause(self) -> None:
        """Begin anew."""
        self._delay, self._until = timedelta(0), 0.0
        self._back.set()


class Relay(Generic[F, C, R]):
    """Runs until it is stopped; `arrived` is set whenever there is something new in the queue."""

    def __init__(
        self,
        queue: Queue[F, C, R],
        arrived: asyncio.Event,
        *,
        connections: int,
        log: Log,
        what: str = "copies",
    ) -> None:
        self._what = what
        self._queue = queue
        self._arrived = arrived
        self._connections = connections
        self._ahead = connections  # that may be in hand, as the relay host is slow or fast
        self._in_hand = 0  # from its beginning until its outcome is on the disk
        self._room = asyncio.Event()
        self._host = _Host()
        self._log = log
        self._done: list[R] = []  # and not on the disk
        self._is_done = asyncio.Event()
        self._is_written = asyncio.Event()  # all that is done
        self._is_written.set()
        self._running: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._troubles = Counter[C]()

    async def run(self) -> None:
        """Deliver until `stop`; then finish what is in hand, and record it."""
        recorder = asyncio.create_task(self._record_all())
        try:
            while not self._stopping:
                try:
                    await self._turn()
                except Exception as problem:  # noqa: BLE001 - the relay outlives any fault of ours
                    self._log.event("relay-trouble", error=type(problem).__name__)
                    await asyncio.sleep(STORE_RETRY.total_seconds())
            await self._finish()
        finally:
            for task in (*self._running, recorder):
                task.cancel()

    def stop(self) -> None:
        """Begin nothing more; `run` returns when what is in hand has ended, or soon after."""
        self._stopping = True
        self._arrived.set()
        self._host.end_pause()
        self._room.set()

    async def _finish(self) -> None:
        """Wait for what is in hand; what doesn't end in time is put back, its end in doubt."""
        if self._running:
            await asyncio.wait(self._running, timeout=STOP_TIMEOUT.total_seconds())
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await asyncio.wait_for(self._is_written.wait(), STOP_TIMEOUT.total_seconds())

    async def _turn(self) -> None:
        """Claim deliveries of one post and begin them, as many at once as may be in hand."""
        if self._host.pauses:
            await self._host.wait()
            return
        self._arrived.clear()
        batch = await self._queue.claim(1 if self._host.is_lost else self._ahead)
        if batch is None:
            await self._pause()
            return
        left = list(batch.claims)
        while left:
            room = await self._room_for(batch)
            if self._stopping or self._host.pauses:
                self._in_hand += len(left)
                for claim in left:
                    self._judged(self._queue.untried(claim))
                return
            group, left = left[:room], left[room:]
            self._in_hand += len(group)
            task = asyncio.create_task(self._carry(batch.frame, group))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _room_for(self, batch: Batch[F, C]) -> int:
        """Wait until more may be in hand, or for the stop; tell how many."""
        while not self._stopping:
            most = self._connections if batch.is_large else self._ahead
            if self._in_hand < most:
                return most - self._in_hand
            self._room.clear()
            await self._room.wait()
        return 0

    async def _carry(self, frame: F, claims: Sequence[C]) -> None:
        left = dict.fromkeys(claims)
        try:
            async for claim, found in self._queue.attempt(frame, claims):
                del left[claim]
                self._end(claim, found)
        except asyncio.CancelledError:
            for claim in left:
                self._judged(self._queue.cut_off(claim))
            raise
        except Exception as problem:  # noqa: BLE001 - one delivery's fault is no other's
            for claim in left:
                self._end(claim, problem)

    def _end(self, claim: C, found: R | Exception) -> None:
        if isinstance(found, Exception):
            record = self._after(found, claim)
        else:
            record = found
            self._troubles.pop(claim, None)
        if record.reached is not None:
            self._host.note(reached=record.reached)
        if isinstance(record.outcome, Delivered):
            self._ahead = min(self._ahead + 1, self._connections * IN_HAND)
        elif isinstance(record.outcome, Untried):  # it would have waited too long
            self._ahead = self._connections
        self._judged(record)

    def _judged(self, record: R) -> None:
        """Have an outcome written."""
        if not self._done:
            self._is_done.set()
            self._is_written.clear()
        self._done.append(record)

    def _after(self, problem: Exception, claim: C) -> R:
        """Put off what failed; the store's trouble is that one's own fault only if it goes on."""
        self._troubles[claim] += 1
        if may_pass(problem) and self._troubles[claim] < STORE_TROUBLES:
            return self._queue.put_off(claim)
        del self._troubles[claim]
        self._log.event("delivery-fault", error=type(problem).__name__)
        return self._queue.faulted(claim, problem)

    async def _pause(self) -> None:
        """Wait for a new post, or for the next delivery that was put off."""
        wait = await self._queue.pause()
        await _wait(self._arrived, wait.total_seconds() + 1)

    async def _record_all(self) -> None:
        """Commit together all outcomes that wait; what is in hand is kept until it is written.

        What begins in their place is read in the same commit, so it goes out when they are on the
        disk: a crash repeats no more than may be in hand.
        """
        while True:
            await self._is_done.wait()
            if self._in_hand > len(self._done):
                await asyncio.sleep(RECORD_DELAY.total_seconds())
            records, self._done = self._done, []
            self._is_done.clear()
            self._in_hand -= len(records)
            self._room.set()
            await self._record(records)
            if not self._done:
                self._is_written.set()

    async def _record(self, records: list[R]) -> None:
        """Write outcomes; while the store doesn't take them, they are in hand still."""
        kept = 0
        try:
            while not await self._takes(records):
                self._in_hand += len(records) - kept
                kept = len(records)
                await asyncio.sleep(STORE_RETRY.total_seconds())
        finally:
            self._in_hand -= kept
            self._room.set()

    async def _takes(self, records: list[R]) -> bool:
        """Write outcomes, if the store takes them; one that it never will is left claimed."""
        try:
            await self._queue.record(records)
        except Exception as problem:  # noqa: BLE001 - one outcome's fault is no other's
            if may_pass(problem):
                self._log.event("record-trouble", error=str(problem))
                return False
            self._log.event("record-fault", error=type(problem).__name__)
            if len(records) > 1:
                for each in records:
                    await self._record([each])
            return True  # alone, it stays claimed until the next start, and counts as a fault then
        self._arrived.set()  # what was put off is due at a time that `_pause` may not know
        self._tell(records)
        return True

    def _tell(self, records: list[R]) -> None:
        outcomes = [each.outcome for each in records]
        kinds = Counter(map(type, outcomes))
        self._log.event(
            "relayed",
            what=self._what,
            delivered=kinds[Delivered],
            later=kinds[TryLater],
            in_doubt=sum(isinstance(each, TryLater) and each.ambiguous for each in outcomes),
            given_up=kinds[GaveUp],
            faulted=kinds[Faulted],
            withdrawn=kinds[Withdrawn],
        )


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, so long at most."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
