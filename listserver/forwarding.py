"""Pass mail to postmaster and abuse on to the operator (RFC 5321 §4.5.1, RFC 2142).

It is the one mail that is kept and sent on as it came, in clear: the operator has no keys here.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime

from listserver import replies
from listserver.limits import LETTER_OCTETS
from listserver.mime import HEADER_OCTETS
from listserver.model import House, Letter, LetterKind
from listserver.ports import Clock, Log
from listserver.posts import HOPS
from listserver.replies import Reply
from listserver.store import QueueFull, Store


class Forwarding:
    """Puts letters to the operator in the queue."""

    def __init__(
        self, house: House, store: Store, clock: Clock, log: Log, *, written: Callable[[], None]
    ) -> None:
        self._house = house
        self._store = store
        self._clock = clock
        self._log = log
        self._written = written

    def recipient(self) -> Reply:
        """Answer RCPT: an operator whose own address is here has no other mailbox (spec §7)."""
        return replies.NO_OPERATOR if self._house.operator is None else replies.RECIPIENT_OK

    async def receive(self, raw: bytes) -> Reply:
        """Take a mail for the operator, with the null return path, so that no bounce comes back."""
        if self._house.operator is None:
            return replies.NO_OPERATOR
        if len(raw) > LETTER_OCTETS:
            return replies.too_large(LETTER_OCTETS)
        if _hops(raw) > HOPS:
            return replies.LOOP
        now = self._clock.now()
        octets = _trace(self._house.domain, now) + raw
        letter = Letter(self._house.operator, "", octets, kind=LetterKind.OPERATOR)
        try:
            async with self._store.begin() as work:
                await work.enqueue_letter(letter, now)
        except QueueFull:
            self._log.event("operator-mail", taken=0)
            return replies.NO_ROOM
        self._log.event("operator-mail", taken=1)
        self._written()
        return replies.ACCEPTED


def _hops(raw: bytes) -> int:
    """Count Received fields, by the first octets alone."""
    header = b"\r\n" + raw[:HEADER_OCTETS].partition(b"\r\n\r\n")[0].lower()
    return header.count(b"\r\nreceived:")


def _trace(domain: str, now: datetime) -> bytes:
    """Write the trace field that finds a loop (RFC 5321 §4.4)."""
    return f"Received: by {domain};\r\n\t{format_datetime(now.astimezone(UTC))}\r\n".encode("ascii")
