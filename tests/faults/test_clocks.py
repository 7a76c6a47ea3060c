"""Clocks that jump, by libfaketime: the wall clock does, the monotonic one doesn't."""

from pathlib import Path
from typing import Final

import pytest

from tests.end_to_end.network import MailHost
from tests.faults.house import MEMBERS, until
from tests.faults.ledger import Ledger
from tests.faults.machine import CLOCK, FAKETIME
from tests.faults.states import ciphertexts, deliveries

pytestmark = CLOCK

PUT_OFF: Final = 3  # copies of a post


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
    """Hand in a post that the host refuses connections for, and wait until it is put off.

    A host that is lost is tried with one copy at a time, and each time later.
    """
    ledger.take(1)
    assert until(lambda: judged(ledger) >= PUT_OFF)


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


def test_nothing_is_given_up_before_its_true_age(ledger: Ledger, wall: Clock) -> None:
    put_off(ledger)
    wall.jump("+10d")
    ledger.take(1)
    assert until(lambda: judged(ledger) > PUT_OFF)
    wall.jump("+0")
    ledger.server.stop()
    states = deliveries(ledger.server.store)
    ledger.report(f"F13 ten days ahead, a host that refuses connections: {dict(states)}")
    assert states.keys() <= {"due", "unclaimed"}  # a host that is lost is tried now and then
    assert states.total() == 2 * len(MEMBERS)


def test_forty_days_ahead_nothing_that_is_kept_is_erased(
    ledger: Ledger, host: MailHost, wall: Clock
) -> None:
    host.start()
    ledger.take(2)
    assert ledger.settle(), ledger.server.child.output
    ledger.server.stop()
    wall.jump("+40d")
    ledger.server.start()
    ledger.server.child.wait_for("event='clock-ahead'")
    ledger.server.stop()
    assert ciphertexts(ledger.server.store) == 2
    ledger.report("F13 forty days ahead, restarted: 2 posts kept of 2")


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
def test_after_a_jump_back_what_was_put_off_goes_out(
    ledger: Ledger, host: MailHost, wall: Clock, *, restarted: bool
) -> None:
    wall.jump("+10d")
    put_off(ledger)
    wall.jump("+0")
    host.start()
    if restarted:
        ledger.server.stop()
        ledger.server.start()
    ledger.take(1)  # wakes the relay
    assert ledger.settle(), ledger.server.child.output
    ledger.server.stop()
    assert not deliveries(ledger.server.store)
    ledger.check(f"F13 ten days back, {'restarted' if restarted else 'running'}")
