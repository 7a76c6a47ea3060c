"""Hundreds of idle connections and few file descriptors: what is under way is unharmed."""

import errno
import selectors
import smtplib
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.end_to_end.network import LOCALHOST, MailHost
from tests.end_to_end.programs import PATIENCE
from tests.faults.house import TEAM, Server
from tests.faults.ledger import Ledger, name_of
from tests.faults.machine import PRLIMIT
from tests.faults.states import let_pass

DESCRIPTORS = 64
IDLE = 900


@pytest.fixture
def server(tmp_path: Path, host: MailHost) -> Iterator[Server]:
    """Give a server that may have few files open."""
    made = Server(tmp_path / "server", relay_port=host.port)
    made.prefix = ("prlimit", f"--nofile={DESCRIPTORS}")
    yield made
    made.kill()


@PRLIMIT
def test_idle_connections_that_take_every_descriptor_lose_nothing(
    ledger: Ledger, host: MailHost, report: Callable[[str], None]
) -> None:
    host.start()
    port, post = ledger.server.smtp_port, ledger.new_post()
    before = smtplib.SMTP(LOCALHOST, port, timeout=PATIENCE)
    before.ehlo()
    with ExitStack() as idle:
        greeted = greetings([idle.enter_context(caller(port)) for _ in range(IDLE)])
        assert before.sendmail("sender@example.org", [TEAM], post) == {}
        ledger.acked[name_of(post)] += 1
        before.close()
    ledger.insist(post)
    ledger.take(3)
    ledger.server.stop()
    let_pass(ledger.server.store, 300)  # a copy that got no descriptor was put off
    ledger.server.start()
    assert ledger.settle()
    ledger.server.stop()
    report(f"F7 of {IDLE} idle connections {greeted} were greeted, with {DESCRIPTORS} descriptors")
    ledger.check(f"F7 {IDLE} idle connections")


def caller(port: int) -> socket.socket:
    """Begin a connection, and don't wait for it."""
    client = socket.socket()
    client.setblocking(False)
    assert client.connect_ex((LOCALHOST, port)) in (0, errno.EINPROGRESS, errno.EAGAIN)
    return client


def greetings(clients: list[socket.socket]) -> int:
    """Count those who were greeted, when no more are for a while."""
    greeted = 0
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
        while ready := selector.select(timeout=0.5):
            for key, _ in ready:
                selector.unregister(key.fileobj)
                assert isinstance(key.fileobj, socket.socket)
                with suppress(ConnectionError):
                    greeted += key.fileobj.recv(4) == b"220 "
    return greeted
