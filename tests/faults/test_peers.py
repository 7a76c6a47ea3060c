"""A next mail host that refuses or hangs up at each verb: what comes of the mail, and how often.

One server meets every kind of failure; then its clock moves on and the host is well again.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from benchmarks.ports import free_port
from tests.end_to_end.network import MailHost
from tests.faults.house import MEMBERS, Server, until
from tests.faults.ledger import Ledger, name_of
from tests.faults.machine import SMTP_SINK
from tests.faults.sinks import sink
from tests.faults.states import deliveries, let_pass

VERBS: Final = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", ".")
FAILURES: Final = {"-r": "4yz", "-f": "5yz", "-q": "hangs up", "-Q": "421 and hangs up"}
# A peer that refuses these for good refuses the mail; one that refuses earlier refuses us.
FINAL: Final = {("-f", verb) for verb in ("MAIL", "RCPT", "DATA", ".")}
FIRST_DELAY: Final = 300  # seconds
SLOW: Final = "3"  # seconds, before the reply to DATA


@pytest.fixture
def port() -> int:
    """Give the port where the sinks will be."""
    return free_port()


@pytest.fixture
def server(tmp_path: Path, port: int) -> Iterator[Server]:
    """Give a server that hands its mail to the sinks."""
    made = Server(tmp_path / "server", relay_port=port)
    yield made
    made.kill()


def outcomes(server: Server) -> Counter[str]:
    """Count what came of deliveries, in this life of the server."""
    return Counter({word: server.child.total(word) for word in ("delivered", "later", "given_up")})


@SMTP_SINK
def test_a_failure_at_any_verb_is_tried_again_or_given_up_and_nothing_comes_twice(
    ledger: Ledger, host: MailHost, port: int, tmp_path: Path, report: Callable[[str], None]
) -> None:
    server = ledger.server
    for failure, words in FAILURES.items():
        line = []
        for verb in VERBS:
            came = fail(ledger, tmp_path, port, (failure, verb))
            line.append(f"{verb} {dict(came)}")
        report(f"F9, F10 {words} at: {', '.join(line)}")
    server.stop()
    given_up = len(FINAL) * len(MEMBERS)
    put_off = (len(VERBS) * len(FAILURES) - len(FINAL)) * len(MEMBERS)
    assert deliveries(server.store) == {"due": put_off, "given up": given_up}
    let_pass(server.store, FIRST_DELAY)
    server.set(f"port = {port}\n", f"port = {host.port}\n")
    host.start()
    server.start()
    host.wait_for(put_off)
    server.stop()
    assert deliveries(server.store) == {"given up": given_up}
    ledger.ambiguous = len(MEMBERS)  # one hung up after the final dot of each copy
    ledger.check(f"F9, F10 each verb, {given_up} given up")


def fail(ledger: Ledger, folder: Path, port: int, how: tuple[str, str]) -> Counter[str]:
    """Hand in a post that meets this failure; give what came of its deliveries."""
    before, post = outcomes(ledger.server), ledger.new_post()
    with sink(folder / "".join(how), port, *how) as failing:
        assert ledger.hand_in(post) == 250
        all_of_them = before.total() + len(MEMBERS)
        assert until(lambda: outcomes(ledger.server).total() >= all_of_them)
    if how == ("-q", "."):
        ledger.more += failing.mails()
    if how in FINAL:
        del ledger.acked[name_of(post)]
    came = outcomes(ledger.server) - before
    assert came == {"given_up" if how in FINAL else "later": len(MEMBERS)}, how
    return came


@SMTP_SINK
def test_posts_are_accepted_while_a_slow_host_has_taken_nothing_yet(
    ledger: Ledger, port: int, tmp_path: Path
) -> None:
    server = ledger.server
    with sink(tmp_path / "slow", port, "-w", SLOW) as slow:
        ledger.take(2)
        assert not server.child.total("delivered")
        server.child.wait_total("delivered", 2 * len(MEMBERS))
        server.stop()
        ledger.more += slow.mails()
    ledger.check(f"F8 a sink that waits {SLOW} s before each reply to DATA")
