"""kill -9 at named points of the code, from the commit of a letter to the record of its outcome."""

import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from tests.end_to_end.network import MailHost
from tests.faults import named_points
from tests.faults.house import Server, hand_in, until
from tests.faults.ledger import A_LITTLE, FAULT_DELAY

PROGRAM: Final = Path(named_points.__file__)
POSTMASTER: Final = "postmaster@lists.example"
PASSINGS: Final = (1, 2)  # of each life of the server, which one is the last
LETTERS: Final = 2  # handed in in each life, besides those that the last one owes


class Letters:
    """What was handed in to postmaster, and what has come of it.

    ambiguous: how many senders were cut off before they had an answer, and send again.
    """

    def __init__(self, server: Server, host: MailHost) -> None:
        self._server = server
        self._host = host
        self._made = 0
        self.ambiguous = 0
        self.owed: list[bytes] = []
        self.acked: set[bytes] = set()

    def live(self) -> bool:
        """Hand in letters until the server dies; False if it doesn't."""
        for _ in range(LETTERS):
            self._made += 1
            self.owed.append(b"Subject: %d" % self._made)
        for letter in tuple(self.owed):
            self.hand_in(letter)
            until(lambda: not self.missing() or not self._server.child.runs, A_LITTLE)
            if not self._server.child.runs:
                return True
        return until(lambda: not self._server.child.runs, A_LITTLE)

    def hand_in(self, letter: bytes) -> None:
        """Hand in one, which is owed until it is taken."""
        octets = letter + b"\r\n\r\nHelp.\r\n"
        code = hand_in(self._server.smtp_port, octets, POSTMASTER)
        self.ambiguous += code is None
        if code == 250:
            self.owed.remove(letter)
            self.acked.add(letter)

    def come(self) -> Counter[bytes]:
        """Count what has come."""
        assert {mail.recipient for mail in self._host.mails} <= {"operator@example.org"}
        return Counter(mail.content for mail in self._host.mails)

    def missing(self) -> set[bytes]:
        """Give what was taken and hasn't come."""
        return self.acked - self.come().keys()


@pytest.fixture
def host() -> Iterator[MailHost]:
    """Give the operator's mail host, which keeps of each mail its subject."""
    made = MailHost(lambda content: next(x for x in content.splitlines() if x[:7] == b"Subject"))
    yield made
    made.stop()


@pytest.fixture
def letters(server: Server, host: MailHost) -> Letters:
    """Give the letters of a server that sends the operator's mail to that host."""
    server.set(f'operator = "{POSTMASTER}"', 'operator = "operator@example.org"')
    host.start()
    return Letters(server, host)


@pytest.mark.parametrize("point", named_points.LETTER_POINTS)
def test_no_letter_is_lost_by_a_kill_at_a_named_point(
    point: str, server: Server, letters: Letters, report: Callable[[str], None]
) -> None:
    plain = server.command
    for number in PASSINGS:
        server.command = (sys.executable, PROGRAM, point, str(number))
        server.start()
        assert letters.live(), server.child.output
        assert server.child.ended() == -signal.SIGKILL, server.child.output
    server.command = plain
    let_pass(server.store)  # what was under way at two deaths is put off
    server.start()
    for letter in tuple(letters.owed):
        letters.hand_in(letter)
    until(lambda: not letters.missing())
    server.stop()
    doubled, bound = letters.come().total() - len(letters.come()), len(PASSINGS) + letters.ambiguous
    words = (
        f"F2 letters, kill -9 at {point}: accepted {len(letters.acked)}, lost"
        f" {len(letters.missing())}, duplicated {doubled} (bound {bound}),"
        f" crashes {len(PASSINGS)}, ambiguous {letters.ambiguous}"
    )
    report(words)
    assert not letters.owed
    assert not letters.missing(), words
    assert doubled <= bound, words
    assert left(server.store) == 0


def let_pass(store: Path) -> None:
    """Let a fault's delay pass for the letters that are put off."""
    with closing(sqlite3.connect(store)) as database, database:
        database.execute("UPDATE letters SET due = due - ?", (FAULT_DELAY,))


def left(store: Path) -> int:
    """Count the letters in the queue, or held."""
    with closing(sqlite3.connect(store)) as database:
        ((count,),) = database.execute("SELECT count(*) FROM letters")
    return int(count)
