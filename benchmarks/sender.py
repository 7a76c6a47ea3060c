"""Sends posts as fast as they are taken, on kept connections or fresh ones; tells the seconds."""

import base64
import re
import selectors
import socket
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from multiprocessing.connection import Connection
from typing import Final, TypeAlias

from recrypt_core import _random
from recrypt_core.encoding import JsonObject
from recrypt_core.keys import PublicKey
from recrypt_core.sealing import seal

HOST: Final = "127.0.0.1"
LIST: Final = "team@lists.example"
PATIENCE: Final = 60.0  # seconds, for what takes one or two
Dialogue: TypeAlias = Generator[bytes, bytes, None]
Group: TypeAlias = tuple[bytes, tuple[bytes, ...]]
"""What is said at once, and the replies that must come."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent in one round."""

    posts: int
    octets: int
    connections: int
    pipelined: bool = False
    fresh: bool = False  # a connection for each post
    to: str = LIST

    def groups(self, offered: bytes) -> tuple[Group, ...]:
        """Give what is said before a post: at once, if that is wanted and offered."""
        one_by_one: tuple[Group, ...] = (
            (b"MAIL FROM:<bob@example.org>\r\n", (b"250",)),
            (f"RCPT TO:<{self.to}>\r\n".encode(), (b"250",)),
            (b"DATA\r\n", (b"354",)),
        )
        if not (self.pipelined and b"PIPELINING" in offered):
            return one_by_one
        return ((b"".join(said for said, _ in one_by_one), (b"250", b"250", b"354")),)


def send_rounds(orders: Connection, load: Load, jwk: JsonObject) -> None:
    """Make posts for each port that is ordered, send them when told to, tell the seconds."""
    key = PublicKey.from_jwk(jwk)
    while port := orders.recv():
        posts = [make_post(key, load.octets) for _ in range(load.posts)]
        orders.send("ready")
        orders.recv()
        orders.send(talk(port, posts, load))


def make_post(key: PublicKey, octets: int) -> bytes:
    """Seal a new post, about so many octets long on the wire, its final dot included."""
    fields = (
        "From: Bob <bob@example.org>",
        f"To: {LIST}",
        f"Message-ID: <{_random.octets(8).hex()}@example.org>",
        "MIME-Version: 1.0",
        'Content-Type: application/vnd.recrypt; name="message.mmx"',
        "Content-Transfer-Encoding: base64",
        "\r\n",
    )
    head = "\r\n".join(fields).encode()
    room = (octets - len(head)) * 57 // 78
    line = len(seal(b"", [key], cty="message/rfc822").mmx())
    sealed = seal(_random.octets(max(0, room - line)), [key], cty="message/rfc822").mmx()
    return head + base64.encodebytes(sealed).replace(b"\n", b"\r\n") + b".\r\n"


def talk(port: int, posts: Sequence[bytes], load: Load) -> float:
    """Send all posts; give the seconds, the greetings' included."""
    waiting = iter(posts)
    start = time.perf_counter()
    with selectors.DefaultSelector() as selector:
        for _ in range(load.connections):
            open_connection(port, waiting, load, selector)
        while selector.get_map():
            for key, _ in selector.select():
                peer, said = key.data
                try:
                    peer.sendall(said.send(heard(peer)))
                except StopIteration:
                    selector.unregister(peer)
                    peer.close()
                    if load.fresh:
                        open_connection(port, waiting, load, selector)
    return time.perf_counter() - start


def open_connection(
    port: int, waiting: Iterator[bytes], load: Load, selector: selectors.BaseSelector
) -> None:
    """Connect, if there is still a post: for all of them, or for the next alone."""
    first = next(waiting, None)
    if first is None:
        return
    peer = socket.create_connection((HOST, port), PATIENCE)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    said = dialogue((first,) if load.fresh else chain((first,), waiting), load)
    next(said)
    selector.register(peer, selectors.EVENT_READ, (peer, said))


def dialogue(posts: Iterable[bytes], load: Load) -> Dialogue:
    """Say what a sender says, from the greeting to QUIT."""
    yield from said(b"", b"220")
    offered = yield from said(b"EHLO client.example\r\n", b"250")
    groups = load.groups(offered)
    for post in posts:
        for octets, codes in groups:
            yield from said(octets, *codes)
        yield from said(post, b"250")
    yield from said(b"QUIT\r\n", b"221")


def said(octets: bytes, *codes: bytes) -> Generator[bytes, bytes, bytes]:
    """Say something and hear the replies to it, which must be these; half a reply is awaited."""
    reply = yield octets
    while len(found := codes_in(reply)) < len(codes):
        reply += yield b""
    if found != codes:  # a refusal is no acceptance, however fast
        raise SystemExit(f"{codes} was expected, and not {reply!r}")
    return reply


def heard(peer: socket.socket) -> bytes:
    """Hear what the server says, if it is still there."""
    octets = peer.recv(2**16)
    if not octets:
        raise SystemExit("the server hung up")
    return octets


def codes_in(reply: bytes) -> tuple[bytes, ...]:
    """Find the replies; all lines of one but the last have a hyphen (RFC 5321 §4.2)."""
    return tuple(re.findall(rb"^(\d{3}) .*\r\n", reply, re.MULTILINE))
