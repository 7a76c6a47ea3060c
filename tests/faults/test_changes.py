"""kill -9 while an administrator changes a group: what was answered with 201 is there, once."""

import pytest

from tests.end_to_end.network import MailHost
from tests.faults.chains import Chain
from tests.faults.ledger import Ledger
from tests.faults.machine import STRACE
from tests.faults.states import integrity
from tests.faults.tracing import Strace

SERIES = {"pwrite64": range(1, 40, 4), "fdatasync": range(1, 3)}


@STRACE
@pytest.mark.parametrize("kind", ["AddMember", "UpdateGroup"])
@pytest.mark.parametrize("call", SERIES)
def test_a_change_that_was_cut_off_is_made_once_when_it_is_sent_again(
    call: str, kind: str, ledger: Ledger, host: MailHost
) -> None:
    server, chain = ledger.server, Chain(ledger.team)
    for number in SERIES[call]:
        added = kind == "AddMember"
        change, halves = chain.add(f"new{number}@example.org") if added else chain.rule(number)
        strace = Strace(server, call, f"signal=SIGKILL:when={number}")
        status, _ = chain.send(change, halves)
        if not status:
            server.child.ended()
            ledger.crashes += 1
            server.start()
        strace.detach()
        again, answer = chain.send(change, halves)
        assert again == 201, (status, answer)
        assert answer[f"{kind}Response"]["Head"] == chain.head
        server.kill()
        server.start()
    assert ledger.crashes
    host.start()
    ledger.take(2)
    assert ledger.settle()
    server.stop()
    assert integrity(server.store) == "ok"
    ledger.check(f"F1 kill -9 at {call} of an {kind}, {len(SERIES[call])} made", a_crash=0)
