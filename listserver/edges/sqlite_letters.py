"""Letters, which are mail of the server's own: the rows and their SQL."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from listserver.edges.sqlite_queue import due_bounds, seconds
from listserver.edges.sqlite_rows import Rows, Value, number, octets
from listserver.edges.sqlite_signers import ROW_OCTETS
from listserver.limits import FAULT_DELAY, FAULTS
from listserver.model import Faulted, Letter, LetterClaim, LetterId, LetterRecord, Untried
from listserver.outcomes import Delivered, GaveUp, TryLater
from listserver.store import QueueFull
from listserver.vault import Vault
from recrypt_core.encoding import read_json, read_text, write_json
from recrypt_core.errors import Malformed

_DUE: Final = 0
_CLAIMED: Final = 1
# What is due; and what is due too far off, as it was written before the clock was set back.
_LATE: Final = (
    "SELECT id, attempts + 1, made FROM letters WHERE state = 0 AND due <= ?"
    " ORDER BY due, id LIMIT ?",
    "SELECT id, attempts + 1, made FROM letters WHERE state = 0 AND due > ?"
    " ORDER BY due, id LIMIT ?",
)


class LetterTables:
    """The part of `Work` that letters use."""

    def __init__(self, rows: Rows, vault: Vault) -> None:
        self._rows = rows
        self._vault = vault

    async def enqueue_letter(self, letter: Letter, now: datetime, *, most: int) -> None:
        ((count,),) = await self._rows.all("SELECT count(*) FROM letters")
        if number(count) >= most:
            raise QueueFull
        ((last,),) = await self._rows.all("SELECT coalesce(max(id), 0) FROM letters")
        id_ = number(last) + 1
        head = write_json({"recipient": letter.recipient, "return_path": letter.return_path})
        sealed = self._vault.seal("letters", head + b"\n" + letter.octets, row=_row(id_))
        await self._rows.run(
            "INSERT INTO letters VALUES (?, ?, 0, 0, ?, ?, ?, ?)",
            (id_, _DUE, seconds(now), seconds(now), letter.probe_of, sealed),
        )

    async def claim_letters(self, now: datetime, limit: int) -> tuple[LetterClaim, ...]:
        found: list[tuple[Value, ...]] = []
        for statement, bound in zip(_LATE, due_bounds(now), strict=True):
            found += await self._rows.all(statement, (bound, limit - len(found)))
        await self._rows.many(
            "UPDATE letters SET state = ?, attempts = attempts + 1, due = ? WHERE id = ?",
            [(_CLAIMED, seconds(now), row[0]) for row in found],
        )
        return tuple(
            LetterClaim(LetterId(number(id_)), number(attempts), _time(number(made)))
            for id_, attempts, made in found
        )

    async def read_letter(self, claim: LetterClaim) -> Letter:
        found = await self._rows.all("SELECT sealed FROM letters WHERE id = ?", (claim.id,))
        row = self._vault.unseal("letters", octets(found[0][0]), row=_row(claim.id))
        line, _, message = row.partition(b"\n")
        head = read_json(line, limit=ROW_OCTETS)
        recipient, return_path = (
            read_text(head, name, what="a letter's row") for name in ("recipient", "return_path")
        )
        if not message:
            raise Malformed("a letter's row without a message")
        return Letter(recipient, return_path, message)

    async def record_letters(self, records: Sequence[LetterRecord], now: datetime) -> None:
        await self._rows.many(
            "UPDATE members SET off = ?, off_told = 0, probed = NULL WHERE probed IS NOT NULL"
            " AND id = (SELECT probe_of FROM letters WHERE letters.id = ?)",
            [(seconds(now), each.id) for each in records if each.bounced],
        )
        rows = [_after(each) for each in records]
        await self._rows.many(
            "UPDATE letters SET state = 0, due = coalesce(?, due), faults = faults + ?,"
            " attempts = attempts - ? WHERE id = ?",
            [row for row in rows if row is not None],
        )
        await self._rows.many(
            "DELETE FROM letters WHERE id = ?",
            [(each.id,) for each, row in zip(records, rows, strict=True) if row is None],
        )
        await self._rows.many(
            "DELETE FROM letters WHERE id = ? AND faults >= ?",
            [(each.id, FAULTS) for each in records if isinstance(each.outcome, Faulted)],
        )

    async def next_letter_due(self, now: datetime) -> datetime | None:
        if any([await self._rows.all(statement, (bound, 1))
                for statement, bound in zip(_LATE, due_bounds(now), strict=True)]):  # fmt: skip
            return now
        ((due,),) = await self._rows.all("SELECT min(due) FROM letters WHERE state = 0")
        return None if due is None else _time(number(due))

    async def release_letters(self) -> None:
        await self._rows.run(
            "UPDATE letters SET state = ?, due = due + faults * ?, faults = faults + 1"
            " WHERE state = ?",
            (_DUE, int(FAULT_DELAY.total_seconds()), _CLAIMED),
        )
        await self._rows.run("DELETE FROM letters WHERE faults >= ?", (FAULTS,))


def _after(record: LetterRecord) -> tuple[Value, ...] | None:
    """Give due, faults more, attempts less and id; None is its end."""
    match record.outcome:
        case Delivered() | GaveUp():
            return None
        case TryLater(due):
            return (seconds(due), 0, 0, record.id)
        case Untried():
            return (None, 0, 1, record.id)
        case Faulted(due):
            return (seconds(due), 1, 0, record.id)


def _row(letter: int) -> bytes:
    return f"{letter}".encode("ascii")


def _time(moment: int) -> datetime:
    return datetime.fromtimestamp(moment, UTC)
