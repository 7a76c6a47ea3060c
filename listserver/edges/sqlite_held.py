"""Mail for the operator that was given up, in an operator's hands: never whose or what it is."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from listserver.edges.sqlite_queue import seconds
from listserver.edges.sqlite_rows import moment
from listserver.model import LetterId

# State 2 is held, 0 due; each of one letter or, if that is NULL, of all.
_HELD: Final = "SELECT id, made, octets, code FROM letters WHERE state = 2 ORDER BY id"
_RETRY: Final = (
    "UPDATE letters SET state = 0, attempts = 0, faults = 0, made = :now, due = :now"
    " WHERE state = 2 AND id = coalesce(:id, id)"
)
_DROP: Final = "DELETE FROM letters WHERE state = 2 AND id = coalesce(:id, id)"


@dataclass(frozen=True, slots=True)
class HeldLetter:
    """A letter that was given up.

    Attributes:
        since: When it came, or was last tried again by hand; None if that can't be read.
        octets: Of the mail.
        code: The last refusal's; None if nobody took or refused it, or it failed here.
    """

    id: LetterId
    since: datetime | None
    octets: int
    code: int | None


class HeldLetters:
    """All that are held."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def all(self) -> tuple[HeldLetter, ...]:
        """Read them, the oldest number first."""
        return tuple(
            HeldLetter(LetterId(id_), moment(since), octets, code)
            for id_, since, octets, code in self._connection.execute(_HELD)
        )

    def retry(self, letter: LetterId | None, now: datetime) -> int:
        """Make one due now, as if it had come now, or all if it is None; count them."""
        return self._connection.execute(_RETRY, {"id": letter, "now": seconds(now)}).rowcount

    def drop(self, letter: LetterId | None) -> int:
        """Erase one, or all if it is None; count them."""
        return self._connection.execute(_DROP, {"id": letter}).rowcount
