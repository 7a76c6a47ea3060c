"""Clocks that jump, by libfaketime: the wall clock does, the monotonic one doesn't."""

from pathlib import Path

import pytest

from listserver import limits
from tests.end_to_end.independent_group import clock
from tests.end_to_end.network import MailHost
from tests.faults.house import MEMBERS, until
from tests.faults.ledger import Ledger
from tests.faults.machine import CLOCK, FAKETIME, promise, unmet
from tests.faults.states import deliveries, longest_wait

pytestmark = CLOCK


class Clock:
    """The wall clock of a server."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.jump("+0")

    def jump(self, offset: str) -> None:
        """Let it differ by this from the true time, such as -10d, in one moment."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{offset}\n")
        new.replace(self._file)

    @property
    def prefix(self) -> tuple[str, ...]:
        """The words before a command that lives by it."""
        settings = (f"LD_PRELOAD={FAKETIME}", f"FAKETIME_TIMESTAMP_FILE={self._file}")
        return ("env", *settings, "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1")


@pytest.fixture
def wall(tmp_path: Path) -> Clock:
    """Give the server's clock."""
    return Clock(tmp_path / "offset")


@pytest.fixture
def ledger(ledger: Ledger, wall: Clock) -> Ledger:
    """Let the server live by the clock from now on."""
    ledger.server.stop()
    ledger.server.prefix = wall.prefix
    ledger.server.start()
    return ledger


def put_off(ledger: Ledger) -> None:
    """Hand in a post that the host refuses connections for, and wait until it is put off."""
    ledger.take(1)
    assert until(lambda: judged(ledger) == len(MEMBERS))


def judged(ledger: Ledger) -> int:
    """Count what was put off or given up in this life of the server."""
    child = ledger.server.child
    return child.total("later") + child.total("given_up")


def test_ten_days_ahead_all_that_waited_goes_out_once(
    ledger: Ledger, host: MailHost, wall: Clock
) -> None:
    put_off(ledger)
    host.start()
    wall.jump("+10d")
    ledger.take(1)  # wakes the relay
    assert ledger.settle(), ledger.server.child.output
    wall.jump("+0")
    ledger.take(1)
    assert ledger.settle(), ledger.server.child.output
    ledger.server.stop()
    ledger.check("F13 ten days ahead and back, a host that is well")


@unmet("its age is what the wall clock says: a jump ahead makes it too old")
def test_nothing_is_given_up_before_its_true_age(ledger: Ledger, wall: Clock) -> None:
    put_off(ledger)
    wall.jump("+10d")
    ledger.take(1)
    assert until(lambda: judged(ledger) > len(MEMBERS))
    wall.jump("+0")
    ledger.server.stop()
    states = deliveries(ledger.server.store)
    ledger.report(f"F13 ten days ahead, a host that refuses connections: {dict(states)}")
    promise("given up" not in states, str(states))


@unmet("it is due at a time of the wall clock: a jump back makes it wait")
def test_after_a_jump_back_nothing_waits_longer_than_the_longest_delay(
    ledger: Ledger, wall: Clock
) -> None:
    wall.jump("+10d")
    put_off(ledger)
    wall.jump("+0")
    ledger.take(1)
    ledger.server.stop()
    ledger.server.start()  # a restart doesn't help either
    ledger.server.stop()
    waits = longest_wait(ledger.server.store, clock().timestamp())
    ledger.report(
        f"F13 after a jump back by ten days a delivery is due in {waits / 86400:.1f} days"
    )
    promise(waits <= limits.LONGEST_DELAY.total_seconds(), f"{waits:.0f} s")
