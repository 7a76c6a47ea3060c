"""Workers: real processes, to which copies are given, and which may be killed at any time."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from listserver import copies
from listserver.carrying import Carried, CarrierLost, Copy
from listserver.config import RelaySettings, Security
from listserver.copies import Frame
from listserver.edges import workers as workers_room
from listserver.edges.workers import Workers
from listserver.jobs import Entry, Forget, Job, Order
from listserver.outcomes import Accepted, Broken, Phase
from recrypt_core.keys import Curve, PrivateKey
from tests.builders import new_membership, new_person
from tests.fakes import ListLog
from tests.mails import sealed
from tests.stored import half_of, stored_post

HOST = "127.0.0.1"
TAKEN = Accepted(250, "")  # a worker doesn't tell the words
MEMBERS = 6


class Peer:
    """A relay host that takes all mail, but keeps silent after the dot while `gate` is shut."""

    def __init__(self) -> None:
        self.mails: dict[str, bytes] = {}
        self.dots = asyncio.Semaphore(0)
        self.gate = asyncio.Event()
        self.gate.set()
        self.quits = 0
        self.sessions = set[asyncio.Task[None]]()
        self.port = 0

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Begin a session."""
        task = asyncio.create_task(self._hold(reader, writer))
        self.sessions.add(task)

    async def _hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx\r\n")
        recipient = ""
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                writer.write(b"250-mx\r\n250 PIPELINING\r\n")
            elif verb == b"DATA":
                writer.write(b"354 go\r\n")
                mail = await reader.readuntil(b"\r\n.\r\n")
                self.dots.release()
                await self.gate.wait()
                self.mails[recipient] = mail
                writer.write(b"250 taken\r\n")
            else:
                recipient = line.decode().split(":")[-1].strip() if verb == b"RCPT" else recipient
                self.quits += verb == b"QUIT"
                writer.write(b"250 ok\r\n")
        writer.close()


@asynccontextmanager
async def peer() -> AsyncIterator[Peer]:
    """Run a relay host."""
    it = Peer()
    server = await asyncio.start_server(it.serve, HOST, 0, limit=2**26)
    it.port = server.sockets[0].getsockname()[1]
    async with server:
        yield it
        it.gate.set()
    await asyncio.gather(*it.sessions, return_exceptions=True)


@asynccontextmanager
async def workers_to(port: int, log: ListLog, *, workers: int = 2) -> AsyncIterator[Workers]:
    """Run workers; let them go in good order."""
    settings = RelaySettings(HOST, port, Security.NONE, None, None, connections=3, workers=workers)
    made = Workers(settings, "lists.example", log)
    made.open()
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture(name="post", scope="module")
def _post() -> tuple[Frame, list[Copy]]:
    """Make a post of 2 MiB to six."""
    return new_post()


def new_post() -> tuple[Frame, list[Copy]]:
    """Make a post."""
    key = PrivateKey.generate(Curve.X25519)
    halves = [
        half_of(new_membership(new_person(f"m{at}@example.org"), key)) for at in range(MEMBERS)
    ]
    envelope = sealed(key.public, content=b"x" * 2**21)
    frame = copies.make_frame(stored_post(envelope, *halves), envelope.ciphertext)
    return frame, [Copy(half, "team-bounces@lists.example", b"X: 1\r\n") for half in halves]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(workers_room, "WORKER_DELAY", timedelta(milliseconds=1))
    yield


class TwoEvents(ListLog):
    """Tells when it has two."""

    def __init__(self) -> None:
        super().__init__()
        self.full = asyncio.Event()

    def event(self, name: str, **counts: int | str) -> None:
        """Note it."""
        super().event(name, **counts)
        if len(self.events) == 2:
            self.full.set()


def children() -> list[int]:
    """Give the processes that this one has started."""
    found = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    return [int(each) for each in found.read_text().split()]


async def carried(workers: Workers, frame: Frame, given: list[Copy]) -> dict[int, Carried]:
    """Have copies carried; give what came of each."""
    return {at: each async for found in workers.carry(frame, given) for at, each in found}


@pytest.mark.asyncio
@pytest.mark.parametrize("before", ["", "import sys; sys.modules['uvloop'] = None; "])
async def test_workers_make_and_carry_the_copies_that_the_server_would(
    post: tuple[Frame, list[Copy]], monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    monkeypatch.setattr(workers_room, "_PROGRAM", before + workers_room._PROGRAM)
    frame, given = post
    async with peer() as host:
        async with workers_to(host.port, ListLog()) as workers:
            found = await carried(workers, frame, given)
            assert len(children()) == 2
        assert set(found.values()) == {TAKEN}
        assert children() == []
        assert host.quits == len(host.sessions) <= 3
        for copy in given:
            ours = b"".join(copies.make_copy(frame, copy.half, fields=copy.fields))
            assert host.mails[f"<{copy.half.address}>"] == ours + b".\r\n"


@pytest.mark.asyncio
async def test_what_a_killed_worker_had_in_hand_is_lost_and_another_one_goes_on(
    post: tuple[Frame, list[Copy]],
) -> None:
    frame, given = post
    log = ListLog()
    async with peer() as host, workers_to(host.port, log, workers=1) as workers:
        host.gate.clear()
        first = asyncio.create_task(carried(workers, frame, given))
        for _ in range(3):
            await host.dots.acquire()
        (pid,) = children()
        os.kill(pid, signal.SIGKILL)
        lost = await first
        assert all(isinstance(each, CarrierLost) for each in lost.values())
        assert len(lost) == MEMBERS
        host.gate.set()
        found = await carried(workers, frame, given)
        assert set(found.values()) == {TAKEN}
        assert children() != [pid]
    assert ("worker-lost", {"error": "status -9"}) in log.events


@pytest.mark.asyncio
async def test_a_worker_forgets_a_post_that_the_server_has_done_with() -> None:
    async with peer() as host, workers_to(host.port, ListLog(), workers=1) as workers:
        for _ in range(3):
            frame, given = new_post()
            found = await carried(workers, frame, given[:1])
            assert set(found.values()) == {TAKEN}
            del frame
            assert not [post for post in workers._alive[0]._lent if isinstance(post(), Frame)]


@pytest.mark.asyncio
async def test_a_worker_gets_a_half_once_and_forgets_it_when_the_server_does(
    post: tuple[Frame, list[Copy]], monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: list[Order] = []
    frame, (copy, *_) = post
    half = half_of(new_membership(new_person("m@example.org"), PrivateKey.generate(Curve.X25519)))
    async with peer() as host, workers_to(host.port, ListLog(), workers=1) as workers:
        await carried(workers, frame, [copy])
        (worker,) = workers._alive
        send = worker.order

        def order(it: Order) -> None:
            orders.append(it)
            send(it)

        monkeypatch.setattr(worker, "order", order)
        for _ in range(3):
            await carried(workers, frame, [copy, replace(copy, half=half)])
        (entry,) = [each for each in orders if isinstance(each, Entry)]
        assert (entry.address, entry.r) == (half.address, half.recryption.to_secret_bytes())
        assert [type(each) for each in orders].count(Job) == 6
        orders.clear()
        del half
        assert orders == [Forget(entry.number)]


@pytest.mark.asyncio
async def test_signals_for_the_server_end_no_worker(post: tuple[Frame, list[Copy]]) -> None:
    frame, given = post
    log = ListLog()
    async with peer() as host, workers_to(host.port, log, workers=1) as workers:
        await carried(workers, frame, given[:1])
        for sent in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(children()[0], sent)
        found = await carried(workers, frame, given[1:])
        assert set(found.values()) == {TAKEN}
    assert log.events == []


@pytest.mark.asyncio
async def test_a_relay_host_that_is_not_there_is_told_as_such(
    post: tuple[Frame, list[Copy]],
) -> None:
    frame, given = post
    async with peer() as host:
        port = host.port
    async with workers_to(port, ListLog(), workers=1) as workers:
        found = await carried(workers, frame, given[:1])
    assert found == {0: Broken(Phase.CONNECT, "ConnectionRefusedError")}


@pytest.mark.asyncio
async def test_a_copy_that_cannot_be_made_is_no_others_trouble(
    post: tuple[Frame, list[Copy]],
) -> None:
    frame, given = post
    other = half_of(new_membership(new_person("m@example.org"), PrivateKey.generate(Curve.X448)))
    async with peer() as host, workers_to(host.port, ListLog()) as workers:
        found = await carried(workers, frame, [given[0], replace(given[1], half=other)])
    assert found[0] == TAKEN
    assert str(found[1]) == "Malformed"
    assert len(host.mails) == 1


@pytest.mark.asyncio
async def test_workers_that_cannot_run_are_started_later_and_later_and_hold_up_no_end(
    post: tuple[Frame, list[Copy]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers_room, "_PROGRAM", "raise SystemExit(3)")
    monkeypatch.setattr(workers_room, "WORKER_DELAY", timedelta(hours=1))
    frame, given = post
    log = TwoEvents()
    async with workers_to(1, log, workers=1) as workers:
        waiting = asyncio.create_task(carried(workers, frame, given[:1]))
        await asyncio.wait_for(log.full.wait(), 10)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert log.events == [("worker-lost", {"error": "status 3"})] * 2
    assert children() == []


@pytest.mark.asyncio
async def test_no_copy_waits_for_the_usual_worker_while_another_has_a_connection_free(
    post: tuple[Frame, list[Copy]],
) -> None:
    frame, (copy, *_) = post
    async with peer() as it, workers_to(it.port, ListLog()) as workers:
        while len(workers._alive) < 2:
            await carried(workers, frame, [copy])
            await it.dots.acquire()
        it.gate.clear()
        task = asyncio.create_task(carried(workers, frame, [copy] * 3))
        for _ in range(3):
            await asyncio.wait_for(it.dots.acquire(), 10)
        it.gate.set()
        assert all(isinstance(each, Accepted) for each in (await task).values())
