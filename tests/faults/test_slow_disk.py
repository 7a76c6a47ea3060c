"""A disk whose every sync takes long: what isn't written yet is still bounded."""

from collections.abc import Callable

from tests.end_to_end.network import MailHost
from tests.end_to_end.team import found_team
from tests.faults.house import Server
from tests.faults.ledger import Ledger
from tests.faults.machine import STRACE
from tests.faults.tracing import Strace

MANY = tuple(f"member{n}@example.org" for n in range(48))
SYNC = "delay_exit=400000"  # microseconds
ROUNDS = 3
CLAIMED = 16  # deliveries at once


@STRACE
def test_a_crash_doubles_one_copy_a_connection_though_the_disk_is_slow(
    server: Server, host: MailHost, report: Callable[[str], None]
) -> None:
    ledger = Ledger(found_team(server, MANY), host, report)
    host.start()
    for _ in range(ROUNDS):
        strace = Strace(server, "fdatasync", SYNC)
        before = len(host.mails)
        ledger.take(1)
        host.wait_for(before + CLAIMED)
        server.kill()
        ledger.crashes += 1
        strace.detach()
        server.start()
        assert ledger.settle()
    ledger.check("F1 kill -9 while the disk is slow")
