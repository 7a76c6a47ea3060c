"""Letters, which are mail of the server's own or the operator's: the rows and their SQL."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from listserver import quick
from listserver.edges.sqlite_queue import due_bounds, seconds
from listserver.edges.sqlite_rows import (
    ROW_OCTETS,
    Rows,
    Value,
    moment,
    moment_or_long_ago,
    number,
    octets,
)
from listserver.edges.sqlite_telling import UNTELL
from listserver.limits import (
    FAULT_DELAY,
    FAULTS,
    HELD_LETTERS,
    HELD_OCTETS,
    HOST_MEMORY,
    LETTERS,
    LETTERS_OCTETS,
    OWN_LETTER_OCTETS,
)
from listserver.model import (
    Faulted,
    Letter,
    LetterClaim,
    LetterId,
    LetterKind,
    LetterRecord,
    ListId,
    Untried,
)
from listserver.outcomes import Delivered, GaveUp, TryLater
from listserver.store import QueueFull
from listserver.vault import Vault
from recrypt_core.encoding import read_json, read_text, write_json
from recrypt_core.errors import Malformed

_DUE: Final = 0
_CLAIMED: Final = 1
_HELD: Final = 2
# Of a kind, what is due; and what is due too far off, as it was written before the clock was set
# back.
_LATE: Final = (
    "SELECT id, attempts + 1, made FROM letters WHERE kind = ? AND state = 0 AND due <= ?"
    " ORDER BY due, id LIMIT ?",
    "SELECT id, attempts + 1, made FROM letters WHERE kind = ? AND state = 0 AND due > ?"
    " ORDER BY due, id LIMIT ?",
)
# What waits of a kind, and of that one list's.
_TAKEN: Final = (
    "SELECT count(*), coalesce(sum(octets), 0), count(*) FILTER (WHERE list_id = ?2),"
    " coalesce(sum(octets) FILTER (WHERE list_id = ?2), 0)"
    " FROM letters WHERE kind = ?1 AND state < 2"
)
# Lists that have so much of it that they have to wait for others' sake, in `crowded`.
_CROWDED: Final = (
    "SELECT list_id FROM letters, (SELECT count(*) AS letters, sum(octets) AS size FROM letters"
    " WHERE kind = ?1 AND state < 2) AS taken"
    " WHERE kind = ?1 AND state < 2 AND list_id NOT NULL GROUP BY list_id"
    " HAVING count(*) + 2 * ?2 + taken.letters > ?3 OR sum(octets) + 2 * ?4 + taken.size > ?5"
)
# What ends without success. The operator's is held while there is room, anything else erased.
_HOLD: Final = (
    "UPDATE letters SET state = 2, code = ?, due = ? WHERE id = ? AND kind = 2"
    " AND (SELECT count(*) < ? AND coalesce(sum(octets), 0) + letters.octets <= ?"
    " FROM letters AS held WHERE held.kind = 2 AND held.state = 2)"
)
# A relay host that took nothing of late would have refused any probe: it tells nothing.
_TURN_OFF: Final = (
    "UPDATE members SET off = ?1, off_told = 0, probed = NULL"
    " WHERE (id, probed) = (SELECT probe_of, made FROM letters WHERE letters.id = ?2)"
    " AND EXISTS (SELECT 1 FROM posts WHERE delivered AND accepted > members.probed - ?3"
    " AND accepted <= ?1)"
)
# A notice goes to each administrator: one that has it is enough.
_HEARD: Final = (
    "UPDATE letters SET tells = NULL WHERE tells IS NOT NULL"
    " AND (tells, made) = (SELECT tells, made FROM letters WHERE id = ?)"
)
_TELLING: Final = "SELECT tells, made FROM letters WHERE id = ? AND tells IS NOT NULL"
_TOLD_TOO: Final = "SELECT 1 FROM letters WHERE tells = ? AND made = ? LIMIT 1"
_ERASE: Final = "DELETE FROM letters WHERE id = ? AND state != 2"


async def crowded(rows: Rows, kind: LetterKind, more: int) -> list[ListId]:
    """Find the lists for which so many more letters of a kind have no room now."""
    asked = (kind.value, more, LETTERS, more * OWN_LETTER_OCTETS, LETTERS_OCTETS)
    found = await rows.all(_CROWDED, asked)
    return [ListId(number(list_id)) for (list_id,) in found]


class LetterTables:
    """The part of `Work` that letters use.

    A change of a row writes its octets too, a mebibyte at most: so it is done in the thread.
    """

    def __init__(self, rows: Rows, vault: Vault) -> None:
        self._rows = rows
        self._vault = vault

    async def check_letter_room(self, letter: Letter) -> None:
        (found,) = await self._rows.all(_TAKEN, (letter.kind.value, letter.list_id))
        count, taken, own_count, own_octets = map(number, found)
        size = len(letter.octets)
        left = (LETTERS - count - 1, LETTERS_OCTETS - taken - size)
        own = (0, 0) if letter.list_id is None else (own_count + 1, own_octets + size)
        if own[0] > left[0] or own[1] > left[1]:
            raise QueueFull

    async def enqueue_letter(
        self, letter: Letter, now: datetime, *, tells: ListId | None = None
    ) -> None:
        await self.check_letter_room(letter)
        ((last,),) = await self._rows.all("SELECT coalesce(max(id), 0) FROM letters")
        id_ = number(last) + 1
        sealed = await quick.done(lambda: self._seal(letter, id_), len(letter.octets))
        await self._rows.run(
            "INSERT INTO letters (id, state, attempts, faults, made, due, probe_of, kind, octets,"
            " sealed, tells, list_id) VALUES (?, ?, 0, 0, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(id_, _DUE, seconds(now), seconds(now), letter.probe_of),
                *(letter.kind.value, len(letter.octets), sealed, tells, letter.list_id),
            ),
        )

    async def claim_letters(self, now: datetime, limit: int) -> tuple[LetterClaim, ...]:
        due = [await self._due(kind, now, limit) for kind in LetterKind]
        found = [row for part in (slice(1), slice(1, None)) for rows in due for row in rows[part]]
        await self._rows.many(
            "UPDATE letters SET state = ?, attempts = attempts + 1, due = ? WHERE id = ?",
            [(_CLAIMED, seconds(now), row[0]) for row in found[:limit]],
            large=True,
        )
        return tuple(
            LetterClaim(LetterId(number(id_)), number(attempts), moment_or_long_ago(made))
            for id_, attempts, made in found[:limit]
        )

    async def read_letter(self, claim: LetterClaim) -> Letter:
        found = await self._rows.all("SELECT kind, sealed FROM letters WHERE id = ?", (claim.id,))
        kind, sealed = LetterKind(number(found[0][0])), octets(found[0][1])
        return await quick.done(lambda: self._open(claim.id, kind, sealed), len(sealed))

    async def record_letters(self, records: Sequence[LetterRecord], now: datetime) -> None:
        await self._rows.many(
            _TURN_OFF,
            [
                (seconds(now), each.id, int(HOST_MEMORY.total_seconds()))
                for each in records
                if each.bounced
            ],
        )
        rows = [_after(each) for each in records]
        await self._rows.many(
            "UPDATE letters SET state = 0, due = coalesce(?, due), faults = faults + ?,"
            " attempts = attempts - ? WHERE id = ?",
            [row for row in rows if row is not None],
            large=True,
        )
        ended: list[tuple[Value, ...]] = [
            (each.id,) for each in records if isinstance(each.outcome, Delivered)
        ]
        await self._rows.many(_HEARD, ended, large=True)
        await self._rows.many(_ERASE, ended, large=True)
        given_up = [(x.id, x.outcome.code) for x in records if isinstance(x.outcome, GaveUp)]
        faulted = [each.id for each in records if isinstance(each.outcome, Faulted)]
        await self._give_up([*given_up, *await self._too_often(faulted)], now)

    async def next_letter_due(self, now: datetime) -> datetime | None:
        if any([await self._due(kind, now, 1) for kind in LetterKind]):
            return now
        ((due,),) = await self._rows.all("SELECT min(due) FROM letters WHERE state = 0")
        return None if due is None else moment(due) or now

    async def release_letters(self, now: datetime) -> None:
        await self._rows.run(
            "UPDATE letters SET state = ?, due = due + faults * ?, faults = faults + 1"
            " WHERE state = ?",
            (_DUE, int(FAULT_DELAY.total_seconds()), _CLAIMED),
            large=True,
        )
        found = await self._rows.all("SELECT id FROM letters WHERE faults >= ?", (FAULTS,))
        await self._give_up(await self._too_often([number(row[0]) for row in found]), now)

    async def _due(self, kind: LetterKind, now: datetime, limit: int) -> list[tuple[Value, ...]]:
        found: list[tuple[Value, ...]] = []
        for statement, bound in zip(_LATE, due_bounds(now), strict=True):
            found += await self._rows.all(statement, (kind.value, bound, limit - len(found)))
        return found

    async def _too_often(self, letters: Iterable[int]) -> list[tuple[int, None]]:
        """Find those of these that our own program failed at too often."""
        often = "SELECT 1 FROM letters WHERE id = ? AND state = 0 AND faults >= ?"
        return [(id_, None) for id_ in letters if await self._rows.all(often, (id_, FAULTS))]

    async def _give_up(self, letters: Sequence[tuple[int, int | None]], now: datetime) -> None:
        """Hold or erase letters, each with the code of the last refusal."""
        await self._rows.many(
            _HOLD,
            [(code, seconds(now), id_, HELD_LETTERS, HELD_OCTETS) for id_, code in letters],
            large=True,
        )
        told = [row for id_, _ in letters for row in await self._rows.all(_TELLING, (id_,))]
        await self._rows.many(_ERASE, [(id_,) for id_, _ in letters], large=True)
        for list_id, made in {*told}:
            if not await self._rows.all(_TOLD_TOO, (list_id, made)):
                await self._untell(list_id, made, now)

    async def _untell(self, list_id: Value, made: Value, now: datetime) -> None:
        """Note that nobody has heard what a notice said."""
        for statement in UNTELL:
            await self._rows.many(statement, [(list_id, made)], large=True)
        await self._rows.run("UPDATE lists SET unheard = ? WHERE id = ?", (seconds(now), list_id))

    def _seal(self, letter: Letter, id_: int) -> bytes:
        head = write_json({"recipient": letter.recipient, "return_path": letter.return_path})
        return self._vault.seal("letters", head + b"\n" + letter.octets, row=_row(id_))

    def _open(self, id_: int, kind: LetterKind, sealed: bytes) -> Letter:
        row = self._vault.unseal("letters", sealed, row=_row(id_))
        line, _, message = row.partition(b"\n")
        head = read_json(line, limit=ROW_OCTETS)
        recipient, return_path = (
            read_text(head, name, what="a letter's row") for name in ("recipient", "return_path")
        )
        if not message:
            raise Malformed("a letter's row without a message")
        return Letter(recipient, return_path, message, kind=kind)


def _after(record: LetterRecord) -> tuple[Value, ...] | None:
    """Give due, faults more, attempts less and id; None is its end."""
    match record.outcome:
        case Delivered() | GaveUp():
            return None
        case TryLater(due):
            return (seconds(due), 0, 0, record.id)
        case Untried(due):
            return (None if due is None else seconds(due), 0, 1, record.id)
        case Faulted(due):
            return (seconds(due), 1, 0, record.id)


def _row(letter: int) -> bytes:
    return f"{letter}".encode("ascii")
