"""A next mail host that is slow: the server goes on with all else, and holds little meanwhile."""

from collections.abc import Callable, Iterator
from typing import Final

import httpx2
import pytest

from tests.end_to_end.programs import PATIENCE
from tests.end_to_end.team import found_team
from tests.faults.house import CONNECTIONS, MEMBERS, Server
from tests.faults.ledger import Ledger
from tests.faults.processes import PEAK, memory
from tests.faults.scripted import Gate, ScriptedHost
from tests.faults.states import deliveries

POSTS: Final = 20
LARGE: Final = 4 * 2**20  # octets of content; a copy has a third more
MIB: Final = 2**20
# Where it stops, and what it says when it goes on.
STOPS: Final = {
    "CONNECT": b"220 late\r\n",
    "MAIL": b"250 ok\r\n",
    "CONTENT": b"",
    ".": b"250 ok\r\n",
}


@pytest.fixture
def host() -> Iterator[ScriptedHost]:
    """Give a next host that stops where it is told to."""
    made = ScriptedHost()
    yield made
    made.stop()


def get_key(ledger: Ledger) -> int:
    """Ask the service for the list's key."""
    message = {"GetKeyRequest": {"GroupID": ledger.team.group.name}}
    url = f"{ledger.server.url}/.well-known/recrypt"
    return httpx2.post(url, json=message, timeout=10).status_code


@pytest.mark.parametrize("verb", STOPS)
def test_a_host_that_stops_at_any_verb_holds_up_nothing_else(
    verb: str, ledger: Ledger, host: ScriptedHost
) -> None:
    gate = Gate(STOPS[verb])
    host.play(verb, gate, takes=True)
    host.start()
    ledger.take(1)
    host.wait_for_acts(CONNECTIONS)  # so all connections wait for it
    ledger.take(POSTS)
    assert get_key(ledger) == 201
    assert not ledger.server.child.total("delivered")
    gate.open()
    assert ledger.settle(), ledger.server.child.output
    ledger.server.stop()
    assert not deliveries(ledger.server.store)
    ledger.check(f"F8 the next host stops at {verb}, {POSTS} posts accepted meanwhile")


def test_large_posts_that_wait_for_a_slow_host_are_not_held(
    server: Server, host: ScriptedHost, report: Callable[[str], None]
) -> None:
    ledger = Ledger(found_team(server, MEMBERS[:2]), host, report)
    gate, pid = Gate(STOPS["CONTENT"]), server.child.pid
    host.play("CONTENT", gate)
    host.start()
    before = memory(pid, PEAK)
    ledger.take(POSTS // 4, LARGE)
    host.wait_for_acts(CONNECTIONS)
    few = memory(pid, PEAK)
    ledger.take(POSTS - POSTS // 4, LARGE)
    many = memory(pid, PEAK)
    gate.open()
    assert ledger.settle(2 * PATIENCE), server.child.output
    done = memory(pid, PEAK)
    server.stop()
    words = (
        f"F8 posts of {LARGE // MIB} MiB that wait: {POSTS // 4} take {(few - before) // MIB} MiB,"
        f" {POSTS} {(many - before) // MIB} MiB, and {(done - before) // MIB} MiB while they go out"
    )
    report(words)
    assert max(many, done) - few < (POSTS - POSTS // 4) * LARGE // 2, words
    ledger.check(f"F8 {POSTS} posts of {LARGE // MIB} MiB")
