"""Worker processes that die, or whose server does: nothing is lost, and nobody stays behind."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.end_to_end.programs import PATIENCE
from tests.end_to_end.team import found_team
from tests.faults.house import CONNECTIONS, MEMBERS, Server, until
from tests.faults.ledger import Ledger
from tests.faults.processes import children
from tests.faults.scripted import Gate, ScriptedHost
from tests.faults.states import deliveries

WORKERS: Final = 2
KILLS: Final = 6


@pytest.fixture
def host() -> Iterator[ScriptedHost]:
    """Give a next host that stops where it is told to."""
    made = ScriptedHost()
    yield made
    made.stop()


@pytest.fixture
def ledger(server: Server, host: ScriptedHost, report: Callable[[str], None]) -> Ledger:
    """Give the ledger of a list at a server that has workers."""
    server.set("[relay]\n", f"[relay]\nworkers = {WORKERS}\n")
    return Ledger(found_team(server, MEMBERS), host, report)


def kill_workers(ledger: Ledger) -> None:
    """Kill those that there are, and wait for others."""
    killed = children(ledger.server.child.pid)
    assert len(killed) == WORKERS
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    ledger.crashes += 1
    again = ledger.server.child
    assert until(lambda: len(set(children(again.pid)) - set(killed)) == WORKERS), again.output


@pytest.mark.parametrize("verb", ["MAIL", "CONTENT", "."])
def test_killed_workers_lose_nothing_and_others_go_on(
    verb: str, ledger: Ledger, host: ScriptedHost
) -> None:
    host.start()
    for _ in range(KILLS):
        gate = Gate({"MAIL": b"250 ok\r\n", "CONTENT": b"", ".": b"250 ok\r\n"}[verb])
        host.play(verb, gate, takes=True)
        ledger.take(1)
        host.wait_for_acts(CONNECTIONS)
        kill_workers(ledger)
        host.behave()
        gate.open()
        assert ledger.settle(2 * PATIENCE), ledger.server.child.output
    ledger.finish()
    ledger.check(f"F1 kill -9 of {WORKERS} workers at {verb}, {KILLS} times")


def test_workers_end_with_a_server_that_is_killed(ledger: Ledger, host: ScriptedHost) -> None:
    gate = Gate()
    host.play(".", gate, takes=True)
    host.start()
    ledger.take(2)
    host.wait_for_acts(CONNECTIONS)
    orphans = children(ledger.server.child.pid)
    ledger.server.kill()
    ledger.crashes += 1
    assert until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans))
    host.behave()
    gate.open()
    ledger.server.start()
    ledger.finish()
    ledger.check(f"F1 kill -9 of a server with {WORKERS} workers")


def test_sigterm_finishes_what_workers_have_in_hand(ledger: Ledger, host: ScriptedHost) -> None:
    host.start()
    ledger.take(10)
    ledger.server.stop()
    ledger.server.start()
    assert ledger.settle(), ledger.server.child.output
    ledger.server.stop()
    assert not deliveries(ledger.server.store)
    ledger.check(f"F19 SIGTERM with {WORKERS} workers")
