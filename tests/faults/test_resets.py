"""Connections that end with RST, at each verb: the next host's, and the senders'."""

import socket
from collections.abc import Iterator
from typing import Final

import pytest

from tests.end_to_end.network import LOCALHOST
from tests.end_to_end.programs import PATIENCE
from tests.faults.house import TEAM
from tests.faults.ledger import Ledger
from tests.faults.processes import descriptors
from tests.faults.scripted import VERBS, ScriptedHost, reset
from tests.faults.states import deliveries, let_pass

A_DAY: Final = 86_400  # seconds, longer than anything is put off
STEPS: Final = ("", "HELO x", "MAIL FROM:<sender@example.org>", f"RCPT TO:<{TEAM}>", "DATA")


@pytest.fixture
def host() -> Iterator[ScriptedHost]:
    """Give a next host that resets connections when it is told to."""
    made = ScriptedHost()
    yield made
    made.stop()


def test_what_the_next_host_resets_at_any_verb_is_tried_again(
    ledger: Ledger, host: ScriptedHost
) -> None:
    host.start()
    server = ledger.server
    for verb in VERBS:
        host.play(verb, reset)
        ledger.take(1)
        host.wait_for_acts()
    server.stop()
    put_off = deliveries(server.store)["due"]
    assert put_off > len(VERBS)
    host.behave()
    let_pass(server.store, A_DAY)
    server.start()
    assert ledger.settle(), server.child.output
    server.stop()
    left = deliveries(server.store)
    assert not left, left
    ledger.check(f"F11 the next host resets at {', '.join(VERBS)}: {put_off} put off")


def go(port: int, steps: tuple[str, ...], content: bytes) -> None:
    """Take these steps as a sender, and reset the connection."""
    client = socket.create_connection((LOCALHOST, port), PATIENCE)
    with client.makefile("rb") as replies:
        for command in steps:
            client.sendall(f"{command}\r\n".encode() if command else b"")
            assert replies.readline()[:1] in (b"2", b"3"), command
        client.sendall(content)
    reset(client)
    client.close()


def test_what_senders_reset_at_any_step_leaves_nothing_behind(
    ledger: Ledger, host: ScriptedHost
) -> None:
    host.start()
    server = ledger.server
    ledger.take(1)
    assert ledger.settle()
    before, post = descriptors(server.child.pid), ledger.new_post()
    cut = len(post) // 2
    for _ in range(10):
        for number in range(1, len(STEPS) + 1):
            go(server.smtp_port, STEPS[:number], b"")
        go(server.smtp_port, STEPS, post[:cut])
        go(server.smtp_port, STEPS, post + b".")
    assert ledger.hand_in(post) == 250
    assert ledger.settle()
    after = descriptors(server.child.pid)
    server.stop()
    assert after <= before, (before, after)
    ledger.check("F11 70 senders that reset at each step")
