"""The worker: carries what is due, as many at once as there are connections, and records it.

Outcomes that wait are committed together by one task, so a crash repeats only what was in flight.
"""

import asyncio
from typing import Final

from listserver.delivering import Batch, Delivering
from listserver.limits import STOP_TIMEOUT, STORE_RETRY
from listserver.model import Claim, Faulted, Record
from listserver.outcomes import Delivered, GaveUp, TryLater
from listserver.ports import Log
from listserver.store import StoreTrouble

_BATCHES: Final = 4  # deliveries claimed at once, for each connection


class Relay:
    """Runs until it is stopped; `arrived` is set whenever there is something new in the queue."""

    def __init__(
        self, delivering: Delivering, arrived: asyncio.Event, *, connections: int, log: Log
    ) -> None:
        self._delivering = delivering
        self._arrived = arrived
        self._connections = connections
        self._slots = asyncio.Semaphore(connections)
        self._log = log
        self._done: asyncio.Queue[Record] = asyncio.Queue()
        self._running: set[asyncio.Task[None]] = set()
        self._stopping = False

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
        self._slots.release()  # wakes who waits for a connection

    async def _finish(self) -> None:
        """Wait for what is in hand; what doesn't end in time is put back, its end in doubt."""
        if self._running:
            await asyncio.wait(self._running, timeout=STOP_TIMEOUT.total_seconds())
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await asyncio.wait_for(self._done.join(), STOP_TIMEOUT.total_seconds())

    async def _turn(self) -> None:
        """Claim deliveries of one post and begin them, each when there is a free connection.

        A connection is free when its last outcome is on the disk: so a crash repeats at most as
        many deliveries as there are connections.
        """
        self._arrived.clear()
        batch = await self._delivering.claim(self._connections * _BATCHES)
        if batch is None:
            await self._pause()
            return
        for claim in batch.claims:
            if not self._stopping:
                await self._slots.acquire()
            if self._stopping:
                self._done.put_nowait(self._delivering.untried(claim))
                continue
            task = asyncio.create_task(self._carry(batch, claim))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _carry(self, batch: Batch, claim: Claim) -> None:
        try:
            record = await self._delivering.attempt(batch.frame, claim)
        except asyncio.CancelledError:
            self._done.put_nowait(self._delivering.cut_off(claim))
            raise
        except StoreTrouble:
            record = self._delivering.untried(claim)
        except Exception as problem:  # noqa: BLE001 - one delivery's fault is no other's
            self._log.event("delivery-fault", error=type(problem).__name__)
            record = self._delivering.faulted(claim, problem)
        self._done.put_nowait(record)

    async def _pause(self) -> None:
        """Wait for a new post, or for the next delivery that was put off."""
        wait = await self._delivering.pause()
        try:
            await asyncio.wait_for(self._arrived.wait(), wait.total_seconds() + 1)
        except TimeoutError:
            return

    async def _record_all(self) -> None:
        """Commit together all outcomes that wait; what is in hand is kept until it is written."""
        while True:
            records = [await self._done.get()]
            while not self._done.empty():
                records.append(self._done.get_nowait())
            try:
                await self._record(records)
            finally:
                for _ in records:
                    self._done.task_done()
                    self._slots.release()

    async def _record(self, records: list[Record]) -> None:
        """Write outcomes, again and again until the store takes them."""
        while True:
            try:
                await self._delivering.record(records)
            except StoreTrouble as problem:
                self._log.event("record-trouble", error=str(problem))
                await asyncio.sleep(STORE_RETRY.total_seconds())
            except Exception as problem:  # noqa: BLE001 - one outcome's fault is no other's
                self._log.event("record-fault", error=type(problem).__name__)
                if len(records) > 1:
                    for each in records:
                        await self._record([each])
                return  # alone, it stays claimed until the next start, and counts as a fault then
            else:
                break
        self._arrived.set()  # what was put off is due at a time that `_pause` may not know
        self._tell(records)

    def _tell(self, records: list[Record]) -> None:
        outcomes = [each.outcome for each in records]
        self._log.event(
            "relayed",
            delivered=sum(isinstance(each, Delivered) for each in outcomes),
            later=sum(isinstance(each, TryLater) for each in outcomes),
            in_doubt=sum(isinstance(each, TryLater) and each.ambiguous for each in outcomes),
            given_up=sum(isinstance(each, GaveUp) for each in outcomes),
            faulted=sum(isinstance(each, Faulted) for each in outcomes),
        )
