"""Copies are made and carried: partial -> copy -> courier, for some members at one time.

All that is done with r is done here, and nothing here knows the store or the vault.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol, TypeAlias

from listserver.copies import Frame, make_copy
from listserver.limits import HALF_AGE, TAKEN_TO_WIDEN
from listserver.model import Half
from listserver.outcomes import Accepted, Answer, Phase, has_reached
from listserver.ports import Courier, Errand, Outgoing

# A host that takes others' mail meanwhile, and ends a connection so soon, wants fewer of them.
_BEFORE_MAIL: Final = frozenset({Phase.CONNECT, Phase.HELLO})

Carried: TypeAlias = Answer | Exception
"""What a relay host answered, or what our own program failed at."""

Found: TypeAlias = list[tuple[int, Carried]]
"""What came of some copies, each with its place among those that were given."""


class CarrierLost(Exception):
    """Who carried it has died; the relay host may have it."""


class NotBegun(Exception):
    """Nothing was done: it waited for a connection too long, or the relay host was lost then."""


@dataclass(frozen=True, slots=True)
class Copy:
    """What of a copy is one member's.

    half: of the member's entry; what is written is derived from it.
    return_path: the address that a report comes back to.
    fields: header fields of this copy alone, CRLF lines.
    """

    half: Half
    return_path: str
    fields: bytes = field(repr=False)


class Carrier(Protocol):
    """Makes copies and carries them to the relay host."""

    def carry(self, frame: Frame, copies: Sequence[Copy]) -> AsyncIterator[Found]:
        """Try each once, at one time; give what came of them, as it comes.

        If who iterates is cancelled, the relay host may have those that aren't given yet.
        """
        ...


class Heard:
    """What came of some copies, in the order in which it came."""

    def __init__(self) -> None:
        self._found: Found = []
        self._waiter: asyncio.Future[None] | None = None

    def put(self, at: int, carried: Carried) -> None:
        """Take what came of the copy at this place."""
        self._found.append((at, carried))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def come(self, number: int) -> AsyncIterator[Found]:
        """Give so many in all, those together that have come."""
        while number:
            if not self._found:
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter
            found, self._found = self._found, []
            number -= len(found)
            yield found


@dataclass(slots=True, eq=False)
class _Job:
    """A copy to carry, when it was given, and who is told what came of it; it equals itself."""

    frame: Frame
    copy: Copy
    came: float
    tell: Callable[[Carried], None]


class Carrying:
    """A `Carrier` of this process, on one courier.

    connections: how many copies are under way at one time, at the most: fewer while the relay host
        wants fewer. More may wait for a moment; a half that has waited longer isn't used, as its
        member may have left.
    """

    def __init__(self, courier: Courier, connections: int) -> None:
        self.width = connections
        """On how many connections copies go now."""
        self._most = connections
        self._courier = courier
        self._waiting = deque[_Job]()
        self._lanes = set[asyncio.Task[None]]()  # one for each connection
        self._begun = set[_Job]()  # and given to the courier
        self._taken = 0  # copies since the width was changed
        self._last = 0.0  # when the relay host last took a copy
        self._lost = 0.0  # when it couldn't be connected to

    async def carry(self, frame: Frame, copies: Sequence[Copy]) -> AsyncIterator[Found]:
        """Try each once; see `Carrier`."""
        came, heard = asyncio.get_running_loop().time(), Heard()
        for at, copy in enumerate(copies):
            self.give(frame, copy, came, partial(heard.put, at))
        try:
            async for found in heard.come(len(copies)):
                yield found
        except (asyncio.CancelledError, GeneratorExit):
            self._break_off()
            raise

    def give(self, frame: Frame, copy: Copy, came: float, tell: Callable[[Carried], None]) -> None:
        """Have one copy tried once, and be told what came of it; `came` is the loop's time."""
        self._waiting.append(_Job(frame, copy, came, tell))
        self._open_lanes()

    def _open_lanes(self) -> None:
        if self._waiting and len(self._lanes) < self.width:
            lane = asyncio.create_task(self._courier.carry(self._next))
            self._lanes.add(lane)
            lane.add_done_callback(self._end_lane)

    def _end_lane(self, lane: "asyncio.Task[None]") -> None:
        self._lanes.discard(lane)
        self._open_lanes()

    def _break_off(self) -> None:
        """End all that is under way, as who waits for it does."""
        for lane in self._lanes:
            lane.cancel()
        for job in (*self._waiting, *self._begun):
            job.tell(CarrierLost())
        self._waiting.clear()
        self._begun.clear()

    def _next(self) -> Errand | None:
        """Make the next copy, unless there are too many lanes; what waited too long is told so."""
        loop = asyncio.get_running_loop()
        while self._waiting and len(self._lanes) <= self.width:
            job = self._waiting.popleft()
            begun = loop.time()
            if max(self._lost, begun - HALF_AGE.total_seconds()) >= job.came:
                job.tell(NotBegun())
                continue
            try:
                mail = self._made(job)
            except Exception as problem:  # noqa: BLE001 - one delivery's fault is no other's
                job.tell(problem)
            else:
                self._begun.add(job)
                return Errand(mail, partial(self._end, job, begun))
        return None

    def _made(self, job: _Job) -> Outgoing:
        half = job.copy.half
        parts = make_copy(job.frame, half, fields=job.copy.fields)
        return Outgoing(job.copy.return_path, half.address, parts)

    def _end(self, job: _Job, begun: float, answer: Carried) -> None:
        """See what an answer tells of the host; what it wants no more of now isn't tried yet."""
        self._begun.discard(job)
        if isinstance(answer, Accepted):
            self._last = asyncio.get_running_loop().time()
            self._widen()
        elif not isinstance(answer, Exception):
            if answer.phase in _BEFORE_MAIL and (self._begun or self._last >= begun):
                self._narrow()
                job.tell(NotBegun())
                return
            if not has_reached(answer):
                self._lost = asyncio.get_running_loop().time()
        job.tell(answer)

    def _narrow(self) -> None:
        """Have one lane less, but one at the least; one that has more than its mail ends."""
        self.width = max(1, self.width - 1)
        self._taken = 0

    def _widen(self) -> None:
        """Have one lane more, if so many copies were taken since the last time."""
        self._taken += 1
        if self.width < self._most and self._taken >= TAKEN_TO_WIDEN:
            self._taken = 0
            self.width += 1
            self._open_lanes()
