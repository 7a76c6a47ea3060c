"""kill -9 at system calls around accepting, relaying and recording: nothing is lost.

A kill shows what isn't in the database yet; what isn't on the disk yet, test_power.py shows.
"""

import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.end_to_end.network import MailHost
from tests.faults.ledger import Ledger
from tests.faults.lives import live
from tests.faults.machine import STRACE
from tests.faults.tracing import Strace

# System call -> the calls of each thread, counted from the start of the process, that are its last.
# recvfrom and sendto are the dialogues' and the wake-ups'.
SERIES = {
    "pwrite64": range(1, 70, 4),
    "fdatasync": range(1, 12),
    "sendto": range(5, 120, 8),
    "recvfrom": range(5, 150, 10),
    "ftruncate,unlink": range(1, 3),
}
# While a server starts that has work to take up: at the release of what the last one had claimed.
STARTS = [("pwrite64", 1), ("pwrite64", 3), ("fdatasync", 1)]
START_SECONDS = 5.0


def lives(ledger: Ledger, call: str, numbers: range) -> Iterator[float]:
    """Kill the server again and again, later and later; give the seconds of each start."""
    owed: list[bytes] = []
    server = ledger.server
    for number in numbers:
        began = time.monotonic()
        server.start()
        yield time.monotonic() - began
        strace = Strace(server, call, f"signal=SIGKILL:when={number}")
        has_died = live(ledger, owed)
        strace.detach()
        if not has_died:
            break
        ledger.crashes += 1
    server.start()
    for post in owed:
        assert ledger.hand_in(post) == 250


@STRACE
@pytest.mark.parametrize("call", SERIES)
def test_nothing_is_lost_by_a_kill_at_any_call(
    call: str, ledger: Ledger, host: MailHost, report: Callable[[str], None]
) -> None:
    host.start()
    ledger.server.stop()
    starts = list(lives(ledger, call, SERIES[call]))
    assert ledger.crashes
    ledger.finish()
    report(f"F1 slowest of {len(starts)} starts after a kill at {call}: {max(starts):.1f} s")
    ledger.check(f"F1 kill -9 at {call}")
    assert max(starts) < START_SECONDS


@STRACE
def test_nothing_is_lost_by_kills_during_a_start(ledger: Ledger, host: MailHost) -> None:
    host.fall_silent()
    host.start()
    server = ledger.server
    ledger.take(2)
    host.wait_for_call()  # so some deliveries are under way
    server.kill()
    for call, number in STARTS:
        server.prefix = ("strace", "-D", "-f", "-qqq", "-o", "/dev/null", *kill_at(call, number))
        assert not server.begin()
        assert server.child.ended() == -signal.SIGKILL
    ledger.crashes = 1 + len(STARTS)
    server.prefix = ()
    host.speak()
    server.start()
    ledger.finish()
    ledger.check("F1 kill -9 during a start")


def kill_at(call: str, number: int) -> tuple[str, ...]:
    """Give strace's words for it."""
    return ("-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={number}")
