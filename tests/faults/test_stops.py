"""SIGTERM at twenty moments under load, and a second server on the same store."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.end_to_end.network import MailHost
from tests.end_to_end.programs import listserver
from tests.faults.ledger import Ledger
from tests.faults.states import deliveries, integrity

STOPS = 20
SENDERS = 4
POSTS = 8  # of each life
STOP_SECONDS = 30.0


def test_sigterm_at_any_moment_loses_nothing_and_doubles_nothing(
    ledger: Ledger, host: MailHost, report: Callable[[str], None]
) -> None:
    host.start()
    server, owed, slowest = ledger.server, list[bytes](), 0.0
    for number in range(STOPS):
        posts = [*owed, *(ledger.new_post() for _ in range(POSTS))]
        copies = len(host.mails) + 3 * number % 16
        with ThreadPoolExecutor(SENDERS) as senders:
            codes = senders.map(ledger.hand_in, posts)
            host.wait_for(copies)
            began = time.monotonic()
            server.stop()
            slowest = max(slowest, time.monotonic() - began)
        owed = [post for post, code in zip(posts, codes, strict=True) if code != 250]
        server.start()
    for post in owed:
        assert ledger.hand_in(post) == 250
    assert ledger.settle()
    server.stop()
    assert integrity(server.store) == "ok"
    assert not deliveries(server.store)
    report(f"F19 slowest of {STOPS} stops: {slowest:.1f} s")
    assert slowest < STOP_SECONDS
    ledger.check(f"F19 SIGTERM {STOPS} times")


def test_a_second_server_on_one_store_refuses_and_the_first_goes_on(
    ledger: Ledger, host: MailHost
) -> None:
    host.start()
    ledger.take(1)
    second = listserver("serve", "--config", ledger.server.config)
    assert second.returncode == 1
    assert second.stderr.startswith("Error: another server runs on the store ")
    ledger.take(1)
    assert ledger.settle()
    ledger.server.stop()
    ledger.check("F20 a second server was refused")
