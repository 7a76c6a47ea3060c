"""kill -9 at named points of the code, from the commit of a post to the record of its outcome."""

import signal
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.end_to_end.network import MailHost
from tests.faults import named_points
from tests.faults.ledger import Ledger
from tests.faults.lives import live

PROGRAM: Final = Path(named_points.__file__)
# Of each life of the server, which posting is the last, or which claim, copy or record.
PASSINGS: Final = {
    "enqueued": (1, 2),
    "committed": (1, 2),
    "answered": (1, 2),
    "claimed": (1, 2),
    "begun": (1, 4, 9),
    "dot-sent": (1, 4, 9),
    "replied": (1, 4, 9),
    "to-record": (1, 2, 3),
    "recording": (1, 2, 3),
    "recorded": (1, 2, 3),
}


@pytest.mark.parametrize("point", PASSINGS)
def test_nothing_is_lost_by_a_kill_at_a_named_point(
    point: str, ledger: Ledger, host: MailHost
) -> None:
    host.start()
    server, owed = ledger.server, list[bytes]()
    server.stop()
    plain = server.command
    for number in PASSINGS[point]:
        server.command = (sys.executable, PROGRAM, point, str(number))
        server.start()
        assert live(ledger, owed), server.child.output
        assert server.child.ended() == -signal.SIGKILL, server.child.output
        ledger.crashes += 1
    server.command = plain
    server.start()
    for post in owed:
        assert ledger.hand_in(post) == 250
    ledger.finish()
    ledger.check(f"F2 kill -9 at {point}, {len(PASSINGS[point])} times")


def test_every_point_is_passed_by() -> None:
    assert PASSINGS.keys() == named_points.POINTS.keys()
