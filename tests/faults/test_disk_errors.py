"""Reads, writes and syncs that fail: 451, nothing accepted is lost, and the server goes on.

451 doesn't mean that the post isn't there, so the sender's next try must not double it.
"""

import pytest

from tests.end_to_end.network import MailHost
from tests.faults.ledger import Ledger
from tests.faults.machine import STRACE
from tests.faults.states import deliveries, integrity
from tests.faults.tracing import Strace

CALLS = ("fdatasync", "pwrite64", "pread64")
ERRORS = ("EIO", "ENOSPC")
POSTS = 10
EVERY = "error={}:when=1+3"  # each third call of a thread, from the first on


@STRACE
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("call", CALLS)
def test_an_error_of_the_disk_is_a_451_and_doubles_and_loses_nothing(
    call: str, error: str, ledger: Ledger, host: MailHost
) -> None:
    host.start()
    server = ledger.server
    strace = Strace(server, call, EVERY.format(error))
    owed = [
        post for post in (ledger.new_post() for _ in range(POSTS)) if ledger.hand_in(post) != 250
    ]
    strace.detach()
    assert ledger.codes.keys() <= {250, 451}, ledger.codes
    for post in owed:
        assert ledger.hand_in(post) == 250, server.child.output
    ledger.take(1)
    assert ledger.settle(), server.child.output
    server.stop()
    assert integrity(server.store) == "ok"
    assert not deliveries(server.store)
    ledger.check(f"F5 {error} of {call}, {ledger.codes[451]} answers of 451")


@STRACE
@pytest.mark.parametrize("error", ERRORS)
def test_what_was_refused_by_a_dead_disk_comes_once_though_the_server_is_killed(
    error: str, ledger: Ledger, host: MailHost
) -> None:
    host.start()
    server = ledger.server
    strace = Strace(server, "fdatasync,pwrite64", f"error={error}:when=1+")
    posts = [ledger.new_post() for _ in range(POSTS)]
    assert {ledger.hand_in(post) for post in posts} == {451}
    server.kill()
    strace.detach()
    ledger.crashes += 1
    server.start()
    for post in posts:
        assert ledger.hand_in(post) == 250
    assert ledger.settle()
    server.stop()
    assert integrity(server.store) == "ok"
    ledger.check(f"F5 {error} of every write, then kill -9", a_crash=0)


@STRACE
@pytest.mark.parametrize("error", ERRORS)
def test_a_start_on_a_disk_that_fails_is_refused_with_words(
    error: str, ledger: Ledger, host: MailHost
) -> None:
    host.fall_silent()
    host.start()
    server = ledger.server
    ledger.take(1)
    host.wait_for_call()
    server.kill()
    ledger.crashes += 1
    injected = ("-e", "trace=fdatasync", "-e", f"inject=fdatasync:error={error}:when=1+")
    server.prefix = ("strace", "-D", "-f", "-qqq", "-o", "/dev/null", *injected)
    assert not server.begin()
    assert server.child.output.splitlines()[-1].startswith("Error: the store ")
    assert "Traceback" not in server.child.output
    server.prefix = ()
    host.speak()
    server.start()
    assert ledger.settle()
    server.stop()
    ledger.check(f"F5 {error} of every sync at a start")
