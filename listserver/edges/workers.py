"""Workers: processes beside the server that make copies and carry them, on every core.

The server alone has the store and the vault key. A worker that dies is started anew; what it had in
hand is in doubt, as after a crash.
"""

import asyncio
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final
from weakref import ref

from listserver.carrying import Carried, CarrierLost, Copy, Found, Heard
from listserver.config import RelaySettings
from listserver.copies import Frame
from listserver.jobs import (
    Begin,
    Forget,
    Job,
    Order,
    Piece,
    Taken,
    answers,
    bundle,
    carried_of,
    entry_of,
    post_of,
)
from listserver.limits import (
    IN_HAND,
    WORKER_DELAY,
    WORKER_LONGEST_DELAY,
    WORKER_OCTETS,
    WORKER_STOP_TIMEOUT,
)
from listserver.model import Half
from listserver.outcomes import Accepted
from listserver.ports import Log

_ACCEPTED: Final = Accepted(250, "")
_PROGRAM: Final = "from listserver.edges.worker import main; main()"


class _Worker(asyncio.BufferedProtocol):
    """The server's end of one worker."""

    def __init__(self, connections: int, has_room: Callable[[], None]) -> None:
        self.room = connections * IN_HAND
        """How many more copies it may have in hand."""
        self._crowded = self.room - connections
        self.gone = asyncio.Event()
        self.served = False
        """Whether anything came of it yet."""
        self._has_room = has_room
        self._buffer = memoryview(bytearray(WORKER_OCTETS))
        self._answers = answers()
        self._transport: asyncio.Transport | None = None
        self._flows = asyncio.Event()
        self._flows.set()
        self._orders: list[Order] = []
        self._jobs: dict[int, Callable[[Carried], None]] = {}
        self._lent: dict[ref[Frame | Half], int] = {}  # what it knows, and by which number
        self._introducing: dict[int, asyncio.Task[None]] = {}  # by the numbers of posts
        self._numbers = 0

    @property
    def is_free(self) -> bool:
        """Whether it has fewer copies in hand than connections."""
        return self.room > self._crowded

    # What asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of the way there."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's
        """Give room for what comes next."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Tell what came of jobs."""
        self.served = True
        for answer in self._answers.read(self._buffer[:nbytes]):
            if isinstance(answer, Taken):
                for number in answer.numbers:
                    self._end(number, _ACCEPTED)
            else:
                self._end(answer.number, carried_of(answer))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """Take note that it is gone; what it had in hand is in doubt."""
        self._flows.set()
        self.gone.set()
        for number in [*self._jobs]:
            self._end(number, CarrierLost())

    def pause_writing(self) -> None:
        """Take note that it is slow."""
        self._flows.clear()

    def resume_writing(self) -> None:
        """Take note that it has taken what there was."""
        self._flows.set()

    # What it is asked for

    def order(self, order: Order) -> None:
        """Send an order, with the others of this moment."""
        if not self._orders:
            asyncio.get_running_loop().call_soon(self._send)
        self._orders.append(order)

    def give(self, post: int, copy: Copy, tell: Callable[[Carried], None]) -> None:
        """Have a copy of a post it knows made and carried."""
        half = self._half(copy.half)
        self._numbers += 1
        self.room -= 1
        self._jobs[self._numbers] = tell
        self.order(Job(self._numbers, post, half, copy.return_path, copy.fields))
        if self.gone.is_set():
            self._end(self._numbers, CarrierLost())

    def end(self) -> None:
        """Let it go."""
        if self._transport is not None:
            self._transport.close()

    def _half(self, half: Half) -> int:
        """Give a half's number; send it, if it hasn't gone there yet."""
        number = self._lent.get(ref(half))
        if number is None:
            number = self._lend(half)
            self.order(entry_of(number, half))
        return number

    def _lend(self, what: Frame | Half) -> int:
        """Give it a number, by which the worker knows it until nobody here has it any more."""
        self._numbers += 1
        self._lent[ref(what, self._take_back)] = self._numbers
        return self._numbers

    def _take_back(self, gone: "ref[Frame | Half]") -> None:
        """Have forgotten what nobody here has any more."""
        number = self._lent.pop(gone)
        if not self.gone.is_set():
            self.order(Forget(number))

    def _end(self, number: int, carried: Carried) -> None:
        self.room += 1
        self._has_room()
        self._jobs.pop(number)(carried)

    async def introduced(self, frame: Frame) -> int:
        """Give a post's number; send what its copies have in common, if that hasn't gone there."""
        number = self._lent.get(ref(frame))
        if number is None:
            number = self._lend(frame)
            task = asyncio.create_task(self._introduce(number, frame))
            self._introducing[number] = task
            task.add_done_callback(lambda _: self._introducing.pop(number))
        if number in self._introducing:
            await asyncio.shield(self._introducing[number])
        return number

    async def _introduce(self, number: int, frame: Frame) -> None:
        self.order(post_of(number, frame))
        for piece in frame.body:
            self.order(Piece(number, piece))
            self._send()
            await self._flows.wait()

    def _send(self) -> None:
        if self._transport is not None and self._orders and not self._transport.is_closing():
            self._transport.write(bundle(self._orders))
        self._orders.clear()


class Workers:
    """A `Carrier` of listserver.carrying: some processes, among which connections are shared out.

    password: of settings.username; it goes to the workers by a socket, and nowhere else.
    """

    def __init__(
        self, settings: RelaySettings, domain: str, log: Log, *, password: str = ""
    ) -> None:
        self._settings = settings
        self._domain = domain
        self._password = password
        self._log = log
        self._alive: list[_Worker] = []
        self._room = asyncio.Event()
        self._closing = asyncio.Event()
        self._keeping: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """Start the workers, and keep them running; no more than there are connections."""
        connections = self._settings.connections
        count = min(self._settings.workers, connections)
        shares = [connections // count + (at < connections % count) for at in range(count)]
        self._keeping = [asyncio.create_task(self._keep(share)) for share in shares]

    async def carry(self, frame: Frame, copies: Sequence[Copy]) -> AsyncIterator[Found]:
        """Try each once; see `Carrier`."""
        heard = Heard()
        numbers: dict[_Worker, int] = {}  # of the post
        for at, copy in enumerate(copies):
            taker = await self._taker(copy)
            if taker not in numbers:
                numbers[taker] = await taker.introduced(frame)
            taker.give(numbers[taker], copy, partial(heard.put, at))
        async for found in heard.come(len(copies)):
            yield found

    async def close(self) -> None:
        """Let the workers part from the relay host, and wait for their end."""
        self._closing.set()
        for each in self._alive:
            each.end()
        await asyncio.gather(*self._keeping)

    async def _taker(self, copy: Copy) -> _Worker:
        """Wait for one with room: if it can be, for who has the half loaded since the last post.

        But no copy waits for a connection of that one while another has one free.
        """
        while True:
            if self._alive:
                usual = self._alive[hash(copy.half.member_key) % len(self._alive)]
                if usual.is_free:
                    return usual
                free = [each for each in self._alive if each.is_free]
                if usual.room > 0 and not free:
                    return usual
                freest = max(free or self._alive, key=lambda each: each.room)
                if freest.room > 0:
                    return freest
            self._room.clear()
            await self._room.wait()

    async def _keep(self, connections: int) -> None:
        """Run a worker, and another one when it ends; later each time, if nothing came of it."""
        delay = timedelta(0)
        while not self._closing.is_set():
            try:
                served = await self._run(connections)
            except OSError as problem:
                served = False
                self._log.event("worker-trouble", error=type(problem).__name__)
            delay = timedelta(0) if served else delay
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), delay.total_seconds())
            delay = min(WORKER_LONGEST_DELAY, delay * 2 or WORKER_DELAY)

    async def _run(self, connections: int) -> bool:
        """Run a worker to its end; tell whether anything came of it."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-c", _PROGRAM, f"{theirs.fileno()}"),
                pass_fds=[theirs.fileno()],
                stdin=DEVNULL,
                stdout=DEVNULL,
            )
        made = _Worker(connections, self._room.set)
        await asyncio.get_running_loop().create_unix_connection(lambda: made, sock=ours)
        made.order(self._begin(connections))
        self._alive.append(made)
        self._room.set()
        if self._closing.is_set():
            made.end()
        await made.gone.wait()
        self._alive.remove(made)
        status = await _ended(process)
        if not self._closing.is_set():
            self._log.event("worker-lost", error=f"status {status}")
        return made.served

    def _begin(self, connections: int) -> Begin:
        settings = self._settings
        return Begin(
            settings.host,
            settings.port,
            settings.security.value,
            settings.username,
            self._password,
            connections,
            self._domain,
        )


async def _ended(process: Process) -> int:
    """Wait for a process that was let go; it is killed if it takes long."""
    try:
        return await asyncio.wait_for(process.wait(), WORKER_STOP_TIMEOUT.total_seconds())
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        return await process.wait()
