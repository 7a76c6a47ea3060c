"""Another program that holds the store: 451 after a while, and nothing is lost."""

import sqlite3
import time
from contextlib import closing

from tests.end_to_end.network import MailHost
from tests.faults.ledger import Ledger
from tests.faults.states import integrity

SECONDS = 15.0  # the store waits ten


def test_a_locked_store_is_a_451_within_seconds(ledger: Ledger, host: MailHost) -> None:
    host.start()
    server, post = ledger.server, ledger.new_post()
    with closing(sqlite3.connect(server.store, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        assert ledger.hand_in(post) == 451
        waited = time.monotonic() - began
        other.execute("ROLLBACK")
    assert waited < SECONDS
    assert ledger.hand_in(post) == 250
    assert ledger.settle()
    server.stop()
    assert integrity(server.store) == "ok"
    ledger.check(f"F15 locked store, 451 after {waited:.1f} s")
