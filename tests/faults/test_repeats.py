"""Senders that repeat themselves, and senders that vanish: one post is sent out once."""

import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from tests.end_to_end.network import LOCALHOST, MailHost
from tests.end_to_end.programs import PATIENCE
from tests.faults.house import TEAM
from tests.faults.ledger import Ledger, name_of

REPEATS = 100
AT_ONCE = 20
AFTER_A_RESTART = 5


def test_the_same_post_a_hundred_times_is_sent_out_once(ledger: Ledger, host: MailHost) -> None:
    host.start()
    post = ledger.new_post()
    with ThreadPoolExecutor(AT_ONCE) as senders:
        codes = set(senders.map(ledger.hand_in, [post] * REPEATS))
    ledger.server.kill()
    ledger.server.start()
    codes |= {ledger.hand_in(post) for _ in range(AFTER_A_RESTART)}
    assert codes == {250}
    assert ledger.settle()
    ledger.server.stop()
    ledger.crashes += 1
    ledger.check(f"F17 one post, {ledger.codes[250]} times, {AT_ONCE} at once")


def close(client: socket.socket) -> None:
    """Close, and read nothing more."""
    client.close()


def half_close(client: socket.socket) -> None:
    """Say that no more will come, and wait until the other side closes."""
    client.shutdown(socket.SHUT_WR)
    while client.recv(4096):
        pass
    client.close()


def reset(client: socket.socket) -> None:
    """End the connection with RST."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


ENDINGS: Final[dict[str, Callable[[socket.socket], None]]] = {
    "close": close,
    "half-close": half_close,
    "reset": reset,
}


def vanish(port: int, content: bytes, end: Callable[[socket.socket], None]) -> None:
    """Hand in what is given of a post, and go."""
    client = socket.create_connection((LOCALHOST, port), PATIENCE)
    replies = client.makefile("rb")
    with replies:
        for command in (
            "",
            "HELO x",
            "MAIL FROM:<sender@example.org>",
            f"RCPT TO:<{TEAM}>",
            "DATA",
        ):
            client.sendall(f"{command}\r\n".encode() if command else b"")
            assert replies.readline()[:1] in (b"2", b"3"), command
    client.sendall(content)
    end(client)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_sender_that_vanishes_after_the_dot_and_tries_again_has_posted_once(
    ending: str, ledger: Ledger, host: MailHost
) -> None:
    host.start()
    posts = [ledger.new_post() for _ in range(5)]
    for post in posts:
        vanish(ledger.server.smtp_port, post + b".\r\n", ENDINGS[ending])
    if ending != "reset":  # which may overtake the content
        host.wait_for(len(posts) * len(ledger.team.members))
    for post in posts:
        assert ledger.hand_in(post) == 250
    assert ledger.settle()
    ledger.server.stop()
    ledger.check(f"F16 senders gone after the dot by {ending}")


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_sender_that_vanishes_before_the_dot_has_posted_nothing(
    ending: str, ledger: Ledger, host: MailHost
) -> None:
    host.start()
    posts = [ledger.new_post() for _ in range(5)]
    for post in posts:
        vanish(ledger.server.smtp_port, post + b".", ENDINGS[ending])
    ledger.take(1)
    assert ledger.settle()
    assert not {mail.content for mail in host.mails} & {name_of(post) for post in posts}
    for post in posts:
        assert ledger.hand_in(post) == 250
    assert ledger.settle()
    ledger.server.stop()
    ledger.check(f"F16 senders gone before the dot by {ending}")
