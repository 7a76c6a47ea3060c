"""A worker: a process of its own that makes copies and carries them, and knows nothing else.

It has no store and no vault key. What it is given comes over a socket from the server, and goes
with it: when the server ends, whatever way, so does the worker, at once if it has copies in hand.
"""

import asyncio
import signal
import socket
import sys
from functools import partial
from typing import cast

from listserver.carrying import Carried, Carrying, Copy
from listserver.config import RelaySettings, Security
from listserver.copies import Frame
from listserver.edges import loops
from listserver.edges.courier import SmtpCourier
from listserver.jobs import (
    Answered,
    Begin,
    Entry,
    Forget,
    Job,
    Order,
    Piece,
    Post,
    Taken,
    answered,
    bundle,
    frame_of,
    half_of,
    orders,
)
from listserver.limits import ANSWER_DELAY, WORKER_OCTETS
from listserver.model import Half
from listserver.outcomes import Accepted


class Worker(asyncio.BufferedProtocol):
    """Does what the server asks for."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self._buffer = memoryview(bytearray(WORKER_OCTETS))
        self._orders = orders()
        self._courier: SmtpCourier | None = None
        self._carrying: Carrying | None = None
        self._posts: dict[int, tuple[Post, list[bytes]]] = {}
        self._frames: dict[int, Frame] = {}
        self._halves: dict[int, Half] = {}
        self._in_hand = 0
        self._taken: list[int] = []
        self._answers: list[Answered] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of the way back."""
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's
        """Give room for what comes next."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Do what is asked for."""
        now = asyncio.get_running_loop().time()
        for order in self._orders.read(self._buffer[:nbytes]):
            self._obey(order, now)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """End."""
        self.ended.set()

    async def part(self) -> None:
        """Part from the relay host, if nothing is in hand; else drop it all."""
        if self._courier is not None and not self._in_hand:
            await self._courier.close()

    def _obey(self, order: Order, now: float) -> None:
        match order:
            case Begin():
                self._courier = _courier(order)
                self._carrying = Carrying(self._courier, order.connections)
            case Post():
                self._posts[order.number] = (order, [])
            case Piece():
                self._posts[order.post][1].append(order.octets)
            case Entry():
                self._halves[order.number] = half_of(order)
            case Forget():
                self._posts.pop(order.number, None)
                self._frames.pop(order.number, None)
                self._halves.pop(order.number, None)
            case Job() if self._carrying is not None:
                self._do(self._carrying, order, now)

    def _frame(self, number: int) -> Frame:
        frame = self._frames.get(number)
        if frame is None:
            frame = self._frames[number] = frame_of(*self._posts[number])
        return frame

    def _do(self, carrying: Carrying, job: Job, came: float) -> None:
        tell = partial(self._end, job.number)
        self._in_hand += 1
        try:
            copy = Copy(self._halves[job.half], job.return_path, job.fields)
            carrying.give(self._frame(job.post), copy, came, tell)
        except Exception as problem:  # noqa: BLE001 - the server waits for an answer
            tell(problem)

    def _end(self, number: int, carried: Carried) -> None:
        """Answer, with what ends about the same time."""
        self._in_hand -= 1
        if not self._taken and not self._answers:
            delay = ANSWER_DELAY.total_seconds()
            asyncio.get_running_loop().call_later(delay, self._tell)
        if isinstance(carried, Accepted):
            self._taken.append(number)
        else:
            self._answers.append(answered(number, carried))

    def _tell(self) -> None:
        """Send what came of all that ended at one time."""
        if self._transport is not None:
            self._transport.write(bundle([Taken(self._taken), *self._answers]))
        self._taken.clear()
        self._answers.clear()


def _courier(begin: Begin) -> SmtpCourier:
    settings = RelaySettings(
        begin.host,
        begin.port,
        Security(begin.security),
        begin.username,
        None,
        connections=begin.connections,
    )
    return SmtpCourier(settings, begin.domain, password=begin.password)


async def work(given: socket.socket) -> None:
    """Work until the server goes."""
    worker = Worker()
    await asyncio.get_running_loop().create_unix_connection(lambda: worker, sock=given)
    await worker.ended.wait()
    await worker.part()


def main() -> None:
    """Work over the socket whose number is this program's one argument."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # they are the server's to obey
        signal.signal(number, signal.SIG_IGN)
    loops.run(work(socket.socket(fileno=int(sys.argv[1]))))
