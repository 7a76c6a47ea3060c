"""Asks a server something all the time while it does other work; notes how long answers take.

RCPT at the gateway, a Hello at the service: both are answered to whoever comes.
"""

import socket
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Final

from benchmarks.sender import HOST, LIST, PATIENCE, heard
from recrypt_core.messages import Hello, write_message

EVERY: Final = 0.02  # seconds from one question to the next
PATH: Final = "/.well-known/recrypt"


@dataclass(frozen=True, slots=True)
class Server:
    """The service under load: its process, its ports, and its own address."""

    pid: int
    smtp: int
    service: int
    url: str


@dataclass(frozen=True, slots=True)
class Waits:
    """How long answers took, in milliseconds: the middle one, 99 of 100, the longest."""

    count: int
    middle: float
    most: float
    longest: float


class Asking:
    """Asks the gateway and the service all the time, and notes how long the answers take."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._done = threading.Event()
        self._smtp: list[float] = []
        self._http: list[float] = []

    @contextmanager
    def meanwhile(self) -> Iterator[dict[str, Waits]]:
        """Ask until the block ends; then the answer's times are there."""
        threads = [threading.Thread(target=each) for each in (self._offer, self._greet)]
        for each in threads:
            each.start()
        found: dict[str, Waits] = {}
        try:
            yield found
        finally:
            self._done.set()
            for each in threads:
                each.join()
        found |= {"RCPT": waits_of(self._smtp), "Hello": waits_of(self._http)}

    def _offer(self) -> None:
        with socket.create_connection((HOST, self._server.smtp), PATIENCE) as peer:
            heard(peer)
            _said(peer, b"EHLO client.example\r\n")
            while not self._done.wait(EVERY):
                _said(peer, b"MAIL FROM:<bob@example.org>\r\n")
                begun = time.perf_counter()
                _said(peer, f"RCPT TO:<{LIST}>\r\n".encode())
                self._smtp.append(time.perf_counter() - begun)
                _said(peer, b"RSET\r\n")

    def _greet(self) -> None:
        peer = HTTPConnection(HOST, self._server.service, timeout=PATIENCE)
        body, head = write_message(Hello()), {"Content-Type": "application/json"}
        while not self._done.wait(EVERY):
            begun = time.perf_counter()
            peer.request("POST", PATH, body, head)
            peer.getresponse().read()
            self._http.append(time.perf_counter() - begun)
        peer.close()


def _said(peer: socket.socket, line: bytes) -> None:
    peer.sendall(line)
    if not (reply := heard(peer)).startswith(b"250"):
        raise SystemExit(f"a refusal: {reply!r}")


def waits_of(seconds: Sequence[float]) -> Waits:
    """Sum up how long answers took."""
    sorted_ = sorted(each * 1e3 for each in seconds)
    if not sorted_:
        return Waits(0, 0, 0, 0)
    most = sorted_[(99 * len(sorted_) + 99) // 100 - 1]  # the nearest rank
    return Waits(len(sorted_), statistics.median(sorted_), most, sorted_[-1])
