"""A row that can't be read, of a member or a post: held for people to see; all else goes on."""

import socket
from collections.abc import Iterator

import pytest

from tests.end_to_end.network import Listener, MailHost
from tests.faults.house import CONNECTIONS, MEMBERS, Server, until
from tests.faults.ledger import FAULT_DELAY, Ledger
from tests.faults.states import change, deliveries, held_posts, kept_posts, let_pass

ATTEMPTS = 3  # then it is held
SPOIL_ENTRY = "UPDATE entries SET sealed = zeroblob(length(sealed)) WHERE id = 3"
UNCLAIMED = (
    "DELETE FROM deliveries",
    "UPDATE posts SET next_due = 0",
)
SHARD = "INSERT INTO shards (post_id, members, position) VALUES (1, ?, 0)"
SPOIL_POST = "UPDATE posts SET sealed = zeroblob(length(sealed)) WHERE id = 1"


class Silent:
    """A mail host that takes connections, counts them, and never says a word."""

    def __init__(self) -> None:
        self.calls = 0
        self._listener = Listener(self._serve)
        self.port = self._listener.port
        self.stop = self._listener.stop
        self._listener.start()

    def _serve(self, connection: socket.socket) -> None:
        self.calls += 1
        while connection.recv(1):
            pass


@pytest.fixture
def silent() -> Iterator[Silent]:
    """Give one."""
    made = Silent()
    yield made
    made.stop()


def judged(server: Server, total: int) -> None:
    """Wait until so many outcomes were written in this life of the server."""
    words = ("delivered", "later", "faulted")
    assert until(lambda: sum(map(server.child.total, words)) >= total), server.child.output


def test_a_member_whose_row_is_damaged_is_tried_three_times_and_the_others_have_theirs_once(
    ledger: Ledger, host: MailHost
) -> None:
    server = ledger.server
    server.stop()
    change(server.store, SPOIL_ENTRY)
    host.start()
    server.start()
    ledger.take(2)
    judged(server, 2 * len(MEMBERS))
    assert server.child.total("faulted") == 2
    for _ in range(ATTEMPTS - 1):
        server.stop()
        assert deliveries(server.store) == {"due": 2}
        let_pass(server.store, FAULT_DELAY)
        server.start()
        judged(server, 2)
    server.stop()
    assert deliveries(server.store) == {"held": 2}
    assert kept_posts(server.store) == 2  # so they can still be sent
    server.start()
    ledger.take(1)  # the server lives, and the others have this one too
    judged(server, len(MEMBERS))
    server.stop()
    assert deliveries(server.store) == {"held": 2, "due": 1}
    (damaged,) = ledger.team.members.keys() - {recipient for _, recipient in ledger.copies()}
    del ledger.team.members[damaged]
    ledger.check("F18 a damaged row of one member, held after 3 attempts: the others")


def test_a_post_whose_row_is_damaged_is_held_and_the_next_ones_go_out(
    ledger: Ledger, host: MailHost
) -> None:
    server = ledger.server
    ledger.take(1)  # the host refuses connections, so all is put off
    judged(server, len(MEMBERS))
    server.stop()
    change(server.store, SPOIL_POST)
    let_pass(server.store, FAULT_DELAY)
    ledger.acked.clear()
    host.start()
    server.start()
    ledger.take(3)
    assert ledger.settle(), server.child.output
    server.stop()
    assert deliveries(server.store) == {"due": len(MEMBERS)}  # kept, and never begun again
    assert held_posts(server.store) == 1
    ledger.check("F18 a damaged row of a post, held: the posts after it")


def test_a_shard_that_names_somebody_who_is_no_member_holds_up_nobody_else(
    ledger: Ledger, host: MailHost
) -> None:
    server = ledger.server
    ledger.take(1)  # the host refuses connections, so all is put off
    judged(server, len(MEMBERS))
    server.stop()
    for statement in UNCLAIMED:
        change(server.store, statement)
    members = (1_000_000, *range(2, len(MEMBERS) + 1))
    change(server.store, SHARD, b"".join(each.to_bytes(6, "big") for each in members))
    ledger.acked.clear()
    host.start()
    server.start()
    ledger.take(3)
    assert ledger.settle(), server.child.output
    server.child.wait_total("delivered", 4 * len(MEMBERS) - 1)
    server.stop()
    assert deliveries(server.store) == {}
    ledger.check("F18 a damaged shard: the posts after it")


def kill_under_way(server: Server, silent: Silent) -> None:
    """Kill the server when it has all its connections in use."""
    assert until(lambda: silent.calls >= CONNECTIONS)
    server.kill()
    silent.calls = 0
    assert deliveries(server.store) == {"claimed": len(MEMBERS)}


def test_what_was_under_way_at_three_deaths_of_the_server_is_held(
    ledger: Ledger, host: MailHost, silent: Silent
) -> None:
    server = ledger.server
    server.stop()
    server.set(f"port = {host.port}\n", f"port = {silent.port}\n")
    server.start()
    ledger.take(1)
    kill_under_way(server, silent)
    server.start()
    kill_under_way(server, silent)
    server.start()  # twice may be by chance: the third time comes later
    server.stop()
    assert deliveries(server.store) == {"due": len(MEMBERS)}
    assert not silent.calls
    let_pass(server.store, FAULT_DELAY)
    server.start()
    kill_under_way(server, silent)
    server.set(f"port = {silent.port}\n", f"port = {host.port}\n")
    ledger.acked.clear()
    ledger.crashes = ATTEMPTS
    host.start()
    server.start()
    ledger.take(1)
    assert ledger.settle()
    server.stop()
    assert deliveries(server.store) == {"held": len(MEMBERS)}
    ledger.check("F18 under way at 3 deaths, held: the post after it", a_crash=0)
