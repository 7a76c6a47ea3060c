"""The driver's own record of every 250, and what the members got for it."""

import hashlib
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tests.end_to_end.network import Mail, MailHost
from tests.end_to_end.team import Team
from tests.faults.house import A_CRASH, LOST, Server, hand_in, until
from tests.faults.states import deliveries, integrity, let_pass
from tests.mails import attachment

A_LITTLE: Final = 3.0  # seconds
FAULT_DELAY: Final = 300  # seconds, which a delivery is put off by a fault of the server


def name_of(mail: bytes) -> bytes:
    """Name a post or a copy by its ciphertext, which they have in common."""
    ciphertext = attachment(mail).partition(b"\n")[2]
    return hashlib.sha256(ciphertext).digest()


@dataclass
class Ledger:
    """Posts of one list, handed in to one server, whose copies come to one mail host.

    Attributes:
        report: Takes a line of figures.
        more: Copies that came to another host than `host`.
        crashes: How often the server was killed, or lost its power.
        ambiguous: How many connections were cut between the final dot and its reply.
    """

    team: Team
    host: MailHost
    report: Callable[[str], None]
    more: list[Mail] = field(default_factory=list)
    crashes: int = 0
    ambiguous: int = 0
    acked: Counter[bytes] = field(default_factory=Counter)
    codes: Counter[int | None] = field(default_factory=Counter)
    made: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def server(self) -> Server:
        """The server."""
        assert isinstance(self.team.server, Server)
        return self.team.server

    def new_post(self, octets: int = 0) -> bytes:
        """Make a post that differs from all before."""
        with self._lock:
            self.made += 1
            number = self.made
        padding = b"x" * 70 + b"\r\n"
        return self.team.sealed(b"Subject: %d\r\n\r\n" % number + padding * (octets // 72))

    def hand_in(self, post: bytes) -> int | None:
        """Hand in a post; note what was said to it."""
        code = hand_in(self.server.smtp_port, post)
        with self._lock:
            self.codes[code] += 1
            if code == 250:
                self.acked[name_of(post)] += 1
        return code

    def take(self, posts: int, octets: int = 0) -> None:
        """Hand in new posts, all of which must be accepted."""
        for _ in range(posts):
            assert self.hand_in(self.new_post(octets)) == 250, self.server.child.output

    def insist(self, post: bytes) -> None:
        """Hand in a post again and again, until it is accepted."""
        assert until(lambda: self.hand_in(post) == 250), self.server.child.output

    def wait_for_answers(self, total: int) -> None:
        """Wait until so many posts were answered, or their senders hung up on."""
        assert until(lambda: self.codes.total() >= total)

    def copies(self) -> Counter[tuple[bytes, str]]:
        """Count what has come, by post and member."""
        return Counter((mail.content, mail.recipient) for mail in [*self.more, *self.host.mails])

    def missing(self) -> int:
        """Count the copies of accepted posts that haven't come."""
        come = self.copies()
        return sum(not come[post, name] for post in self.acked for name in self.team.members)

    def settle(self, seconds: float = LOST) -> bool:
        """Wait until every member has every accepted post, as long as the server runs."""
        until(lambda: not self.missing() or not self.server.child.runs, seconds)
        return not self.missing()

    def arrives(self, post: bytes) -> None:
        """Wait a little until every member has a post, as long as the server runs."""
        owed = {(name_of(post), member) for member in self.team.members}
        until(lambda: not owed - self.copies().keys() or not self.server.child.runs, A_LITTLE)

    def finish(self) -> None:
        """Wait until nothing is left to do, and stop the server in good order.

        What was under way at two deaths of the server is put off: so time passes for it.
        """
        self.settle(A_LITTLE)
        self.server.stop()
        if owed := deliveries(self.server.store).total():
            let_pass(self.server.store, FAULT_DELAY)
            self.server.start()
            self.server.child.wait_total("delivered", owed)
            self.server.stop()
        assert integrity(self.server.store) == "ok"
        left = deliveries(self.server.store)
        assert not left, left

    def check(self, name: str, *, a_crash: int = A_CRASH) -> None:
        """Report the figures; nothing may be lost, nor more doubled than there are excuses for.

        a_crash: so many copies may come twice by one crash; one by a connection that was cut
            after the final dot.
        """
        come = self.copies()
        bound = self.crashes * a_crash + self.ambiguous
        doubled = sum(number - 1 for number in come.values())
        strangers = {recipient for _, recipient in come} - self.team.members.keys()
        words = (
            f"{name}: accepted {len(self.acked)}, delivered {len(come)},"
            f" lost {self.missing()}, duplicated {doubled} (bound {bound}),"
            f" crashes {self.crashes}, ambiguous {self.ambiguous}"
        )
        self.report(words)
        assert self.acked, words
        assert not strangers, words
        assert not self.missing(), words
        assert doubled <= bound, words
