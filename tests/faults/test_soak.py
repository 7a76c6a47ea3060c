"""A server under steady load, of a list whose members come and go: SOAK_SECONDS, 60 by default."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import linear_regression
from typing import Final

import pytest

from tests.end_to_end.network import MailHost
from tests.end_to_end.team import Team, found_team
from tests.faults.chains import Chain
from tests.faults.house import MEMBERS, Server, hand_in, until
from tests.faults.ledger import name_of
from tests.faults.processes import descriptors, memory
from tests.faults.states import deliveries, integrity

SECONDS: Final = int(os.environ.get("SOAK_SECONDS", "60"))
WARM_UP: Final = SECONDS / 2
OCTETS: Final = 10_000  # of each post
ROUND: Final = 20  # posts, after which a member joins and the one before it is suspended
MIB: Final = 2**20
HOUR: Final = 3600  # seconds
SLOPE: Final = MIB  # an hour, where it lasts one
# In less time, what caches still take until they are full, and malloc at once for a thread.
STEP: Final = 3 * MIB
LOG: Final = 64 * MIB  # of the write-ahead log


class Counting(MailHost):
    """A next host that keeps nothing: it strikes out what is owed."""

    def __init__(self) -> None:
        """Have a port."""
        super().__init__(name_of)
        self._owed: set[tuple[bytes, str]] = set()
        self._lock = threading.Lock()
        self.come = self.unasked = 0

    def owe(self, post: bytes, members: list[str]) -> None:
        """Note who is to have a post."""
        with self._lock:
            self._owed |= {(name_of(post), member) for member in members}

    @property
    def owed(self) -> int:
        """How many copies haven't come."""
        with self._lock:
            return len(self._owed)

    def _take(self, sender: str, recipient: str, content: bytearray) -> None:
        assert sender
        copy = (name_of(bytes(content).replace(b"\r\n..", b"\r\n.")), recipient)
        with self._lock:
            self.come += 1
            self.unasked += copy not in self._owed
            self._owed.discard(copy)


@dataclass
class Samples:
    """What was measured of a process, over time."""

    server: Server
    began: float = field(default_factory=time.monotonic)
    seconds: list[float] = field(default_factory=list)
    resident: list[float] = field(default_factory=list)
    log: int = 0
    most_open: int = 0

    def take(self) -> None:
        """Measure."""
        pid = self.server.child.pid
        self.seconds.append(time.monotonic() - self.began)
        self.resident.append(memory(pid))
        self.most_open = max(self.most_open, descriptors(pid))
        log = Path(f"{self.server.store}-wal")
        self.log = max(self.log, log.stat().st_size)

    def slope(self) -> float:
        """Give octets an hour, by least squares."""
        return linear_regression(self.seconds, self.resident).slope * HOUR

    @property
    def growth(self) -> float:
        """Give octets, from the first to the last."""
        return self.resident[-1] - self.resident[0]


@dataclass
class Load:
    """Posts to a list, one after the other, as fast as its copies go out."""

    team: Team
    server: Server
    host: Counting
    chain: Chain
    guests: list[str] = field(default_factory=list)
    posts: int = 0
    changes: int = 0

    def round(self) -> None:
        """Post some times; wait until all is delivered; then one member joins, one is suspended."""
        for _ in range(ROUND):
            self.posts += 1
            content = b"Subject: %d\r\n\r\n" % self.posts + b"x" * 70 + b"\r\n"
            post = self.team.sealed(content * (OCTETS // len(content)))
            self.host.owe(post, [*MEMBERS, *self.guests])
            assert hand_in(self.server.smtp_port, post) == 250, self.server.child.output
        assert self.settled(), self.server.child.output
        for guest in self.guests:
            self.chain.suspend(guest)
        self.guests = [f"guest{self.posts}@example.org"]
        self.chain.join(self.guests[0])
        self.changes += 2

    def settled(self) -> bool:
        """Wait until every copy is there; a machine under other load takes its time."""
        return until(lambda: not self.host.owed, 60)

    def run(self, seconds: float, samples: Samples) -> None:
        """Go on for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.round()
            samples.take()


@pytest.fixture
def host() -> Iterator[Counting]:
    """Give a running next host."""
    made = Counting()
    made.start()
    yield made
    made.stop()


def test_memory_files_and_log_stay_as_they_are_under_steady_load(
    server: Server, host: Counting, report: Callable[[str], None]
) -> None:
    team = found_team(server, MEMBERS)
    load = Load(team, server, host, Chain(team))
    load.run(WARM_UP, Samples(server))
    quiet = descriptors(server.child.pid)
    samples = Samples(server)
    load.run(SECONDS - WARM_UP, samples)
    assert until(lambda: descriptors(server.child.pid) <= quiet), (samples.most_open, quiet)
    server.stop()
    left = deliveries(server.store)
    words = (
        f"F22 soak of {SECONDS} s: accepted {load.posts}, delivered {host.come}, lost {host.owed},"
        f" duplicated {host.unasked}, changes {load.changes}; resident"
        f" {samples.resident[-1] / MIB:.1f} MiB at last, {samples.slope() / MIB:+.2f} MiB an hour"
        f" in the second half; descriptors {quiet} before and after;"
        f" write-ahead log {samples.log / MIB:.1f} MiB at most;"
        f" store {server.store.stat().st_size / MIB:.1f} MiB"
    )
    report(words)
    assert not left, left
    assert integrity(server.store) == "ok"
    assert (host.owed, host.unasked) == (0, 0), words
    assert samples.growth < STEP, words
    assert SECONDS < HOUR or samples.slope() < SLOPE, words
    assert samples.log < LOG, words
