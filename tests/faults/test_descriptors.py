"""Hundreds of idle connections: what is under way, and other clients' mail, is unharmed."""

import errno
import selectors
import smtplib
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest

from tests.end_to_end.network import LOCALHOST, MailHost
from tests.end_to_end.programs import PATIENCE
from tests.faults.house import TEAM, Server
from tests.faults.ledger import Ledger, name_of
from tests.faults.machine import PRLIMIT
from tests.faults.states import let_pass

DESCRIPTORS = 64
IDLE = 900
OF_ONE_CLIENT = 50  # the default of [smtp] connections_per_client
NEIGHBOUR = "127.0.0.2"


@pytest.fixture
def crammed(server: Server) -> Server:
    """Let the server have few files open, fewer than it would let clients in."""
    server.set("[smtp]\n", "[smtp]\nconnections_per_client = 500\n")
    server.prefix = ("prlimit", f"--nofile={DESCRIPTORS}")
    return server


def test_idle_connections_of_one_client_are_limited_and_another_one_posts_as_ever(
    ledger: Ledger, host: MailHost, report: Callable[[str], None]
) -> None:
    host.start()
    port, post = ledger.server.smtp_port, ledger.new_post()
    with ExitStack() as idle:
        heard = greetings([idle.enter_context(caller(port)) for _ in range(IDLE)])
        assert heard.keys() == {b"220 ", b"421 "}  # some are still in the kernel's queue
        assert heard[b"220 "] == OF_ONE_CLIENT
        smtp = smtplib.SMTP(LOCALHOST, port, timeout=PATIENCE, source_address=(NEIGHBOUR, 0))
        with smtp as neighbour:
            assert neighbour.sendmail("sender@example.org", [TEAM], post) == {}
        ledger.acked[name_of(post)] += 1
        assert ledger.settle()
    ledger.server.stop()
    report(f"F7 of {IDLE} idle connections of one client {heard[b'421 ']} got a 421")
    ledger.check(f"F7 {IDLE} idle connections, another client's post")


@PRLIMIT
@pytest.mark.usefixtures("crammed")
def test_idle_connections_that_take_every_descriptor_lose_nothing(
    ledger: Ledger, host: MailHost, report: Callable[[str], None]
) -> None:
    host.start()
    port, post = ledger.server.smtp_port, ledger.new_post()
    before = smtplib.SMTP(LOCALHOST, port, timeout=PATIENCE)
    before.ehlo()
    with ExitStack() as idle:
        heard = greetings([idle.enter_context(caller(port)) for _ in range(IDLE)])
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
    greeted = heard[b"220 "]
    report(f"F7 of {IDLE} idle connections {greeted} were greeted, with {DESCRIPTORS} descriptors")
    ledger.check(f"F7 {IDLE} idle connections, {DESCRIPTORS} descriptors")


def caller(port: int) -> socket.socket:
    """Begin a connection, and don't wait for it."""
    client = socket.socket()
    client.setblocking(False)
    assert client.connect_ex((LOCALHOST, port)) in (0, errno.EINPROGRESS, errno.EAGAIN)
    return client


def greetings(clients: list[socket.socket]) -> Counter[bytes]:
    """Count how they were greeted, when no more are for a while."""
    heard = Counter[bytes]()
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
        while ready := selector.select(timeout=0.5):
            for key, _ in ready:
                selector.unregister(key.fileobj)
                assert isinstance(key.fileobj, socket.socket)
                with suppress(ConnectionError):
                    heard[key.fileobj.recv(4)] += 1
    return heard
