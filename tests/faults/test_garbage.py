"""A next mail host that answers with garbage: nothing is lost, and little is held."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from tests.faults.house import MEMBERS
from tests.faults.ledger import Ledger
from tests.faults.processes import PEAK, memory
from tests.faults.scripted import Act, ScriptedHost, say
from tests.faults.states import deliveries, let_pass

A_DAY: Final = 86_400  # seconds, longer than anything is put off
HELD: Final = 4 * 2**20  # octets, of what a host may make the server hold more; it is 0.6 MiB
ENDLESS: Final = 256 * 2**20  # octets, unless the server hangs up


def endless(piece: bytes) -> Act:
    """Say this again and again, until nobody listens."""

    def saying(connection: socket.socket) -> bool:
        try:
            for _ in range(ENDLESS // len(piece)):
                connection.sendall(piece)
        except OSError:
            return False
        return True

    return saying


# In this order, and so often at least: sessions that were kept are ended by the first ones.
MEETS: Final = {verb: len(MEMBERS) for verb in ("MAIL", "RCPT", "DATA", ".")} | {
    "CONNECT": 1,
    "EHLO": 1,
}
# At any verb: none of these is a reply.
NO_REPLY: Final[dict[str, Act]] = {
    "9,000 octets": say(b"250 " + b"x" * 9000 + b"\r\n"),
    "endless continuation": endless(b"250-more\r\n" * 6000),
    "endless line": endless(b"x" * 60_000),
    "no code": say(b"\x00\xff\xfe what?\r\n"),
    "NUL in the code": say(b"25\x00 ok\r\n"),
    "a code of another kind": say(b"199 ok\r\n"),
    "empty lines": say(b"\r\n\r\n\r\n"),
}


@dataclass(frozen=True)
class Odd:
    """What is said in place of a reply, and whether the mail counts as taken."""

    verb: str
    words: bytes
    is_taken: bool


ODD: Final = {
    "other 2yz": Odd(".", b"299 ok\r\n", is_taken=True),
    "2yz to RCPT": Odd("RCPT", b"251 will forward\r\n", is_taken=True),
    "UTF-8": Odd(".", "250 żółw 🐢\r\n".encode(), is_taken=True),
    "NUL in the text": Odd(".", b"250 \x00 ok\r\n", is_taken=True),
    "Latin-1": Odd(".", b"250 \xe4\xf6\xfc\r\n", is_taken=True),
    "bare LF": Odd(".", b"250 ok\n", is_taken=True),
    "two replies": Odd(".", b"250 ok\r\n250 ok\r\n", is_taken=True),
    "250 to DATA": Odd("DATA", b"250 ok\r\n", is_taken=False),
    "354 after the dot": Odd(".", b"354 go on\r\n", is_taken=False),
    "250 before the dot": Odd("DATA", b"354 go on\r\n250 ok\r\n", is_taken=False),
}


@pytest.fixture
def host() -> Iterator[ScriptedHost]:
    """Give a next host that says what it is told to."""
    made = ScriptedHost()
    yield made
    made.stop()


def heal(ledger: Ledger, host: ScriptedHost) -> int:
    """Let the host be well, and time pass; give how many deliveries had been put off."""
    server = ledger.server
    server.stop()
    states = deliveries(server.store)
    assert states.keys() <= {"due", "unclaimed"}, states
    host.behave()
    let_pass(server.store, A_DAY)
    server.start()
    assert ledger.settle(), server.child.output
    return states["due"]


@pytest.mark.parametrize("words", NO_REPLY)
def test_what_is_no_reply_at_any_verb_is_tried_again_and_holds_little(
    words: str, ledger: Ledger, host: ScriptedHost
) -> None:
    host.start()
    ledger.take(1)
    assert ledger.settle()
    child = ledger.server.child
    before = memory(child.pid, PEAK)
    for verb, times in MEETS.items():
        host.play(verb, NO_REPLY[words])
        host.hang_up()  # who has a session says neither of the first verbs
        ledger.take(1)
        host.wait_for_acts(times)
    grown = memory(child.pid, PEAK) - before
    put_off = heal(ledger, host)
    ledger.server.stop()
    assert not deliveries(ledger.server.store)
    assert grown < HELD, grown
    ledger.check(f"F12 {words} at each verb: {put_off} put off, {grown // 1024} KiB more held")


@pytest.mark.parametrize("words", ODD)
def test_odd_words_are_a_reply_or_tried_again(
    words: str, ledger: Ledger, host: ScriptedHost
) -> None:
    odd = ODD[words]
    host.play(odd.verb, say(odd.words), takes=odd.is_taken)
    host.start()
    ledger.take(1)
    judged = ledger.server.child.wait_total
    judged("delivered" if odd.is_taken else "later", len(MEMBERS))
    put_off = heal(ledger, host)
    ledger.server.stop()
    assert not deliveries(ledger.server.store)
    ledger.check(f"F12 {words}: {put_off} put off")
