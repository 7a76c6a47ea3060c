"""What RecryptData asks about, how often, and the log of it: the rows and their SQL."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from listserver.edges.sqlite_halves import read_half
from listserver.edges.sqlite_profiles import ProfileTables
from listserver.edges.sqlite_queue import seconds
from listserver.edges.sqlite_rows import number, octets
from listserver.limits import QUOTA_DAYS
from listserver.model import Asked, HeldEntry, ListId, MemberId, Recryptions
from recrypt_core.encoding import read_text, write_json
from recrypt_core.records import AuditEntry, AuditResult
from recrypt_core.udf import Udf, read_udf

_ALL: Final = 0  # in the place of a member: all of the list together
_DAY: Final = 86400  # seconds
_ROW: Final = "a row of the audit log"
_ENTRY: Final = (
    "SELECT e.sealed, e.half_name, m.id, m.list_id, m.sealed, m.name"
    " FROM entries e JOIN members m ON m.id = e.member_id"
)
_COUNT: Final = (
    "INSERT INTO recryptions VALUES (?, ?, ?, ?, ?) ON CONFLICT (day, list_id, member_id)"
    " DO UPDATE SET done = done + excluded.done, refused = refused + excluded.refused"
)
_NEXT: Final = (
    "INSERT INTO audited VALUES (?, 1) ON CONFLICT (list_id) DO UPDATE SET last = last + 1"
)
_PAGE: Final = (
    "SELECT seq, time, sealed FROM audit WHERE list_id = ? AND seq > ? ORDER BY seq LIMIT ?"
)


class AuditTables(ProfileTables):
    """The part of `Work` that RecryptData uses."""

    async def entry_by_half(self, member_key: Udf) -> HeldEntry | None:
        found = await self._rows.all(
            f"{_ENTRY} WHERE e.half_name = ?", (self._vault.name("half", member_key),)
        )
        other = await self._rows.all(f"{_ENTRY} ORDER BY e.id LIMIT 1")
        rows = found or other
        if not rows:
            return None
        half, half_name, id_, list_id, *member_row = rows[0]
        stored = await self.list_of(ListId(number(list_id)))
        (member,) = await self._newest_members([tuple(member_row)])
        return HeldEntry(
            stored,
            MemberId(number(id_)),
            member,
            read_half(self._vault, octets(half), octets(half_name)),
        )

    async def recryptions(
        self, list_id: ListId, member: MemberId | None, now: datetime
    ) -> Recryptions:
        found = await self._rows.all(
            "SELECT done, refused FROM recryptions WHERE day = ? AND list_id = ? AND member_id = ?",
            (_day(now), list_id, _ALL if member is None else member),
        )
        return Recryptions(*map(number, found[0])) if found else Recryptions(0, 0)

    async def audit(self, list_id: ListId, member: MemberId, asked: Asked) -> None:
        is_done = asked.result is AuditResult.DONE
        counted = [
            (_day(asked.time), list_id, each, int(is_done), int(not is_done))
            for each in (member, _ALL)
        ]
        await self._rows.many(_COUNT, counted)
        await self._rows.run(_NEXT, (list_id,))
        ((seq,),) = await self._rows.all("SELECT last FROM audited WHERE list_id = ?", (list_id,))
        sealed = self._vault.seal("audit", _write(asked), row=_row(list_id, number(seq)))
        await self._rows.run(
            "INSERT INTO audit VALUES (?, ?, ?, ?)", (list_id, seq, seconds(asked.time), sealed)
        )

    async def audit_after(
        self, list_id: ListId, after: int, limit: int
    ) -> tuple[tuple[AuditEntry, ...], bool]:
        found = await self._rows.all(_PAGE, (list_id, after, limit + 1))
        page = await asyncio.to_thread(
            lambda: tuple(
                self._read(list_id, number(seq), number(time), octets(sealed))
                for seq, time, sealed in found[:limit]
            )
        )
        return page, len(found) > limit

    async def erase_audit(self, now: datetime, keep: timedelta) -> None:
        # What is as far ahead was written by another clock, and would stay for ever.
        await self._rows.run(
            "DELETE FROM audit WHERE time <= ? OR time > ?",
            (seconds(now - keep), seconds(now + keep)),
            large=True,
        )
        await self._rows.run(
            "DELETE FROM recryptions WHERE day < ? OR day > ?",
            (_day(now) - QUOTA_DAYS, _day(now) + QUOTA_DAYS),
            large=True,
        )

    def _read(self, list_id: ListId, seq: int, time: int, sealed: bytes) -> AuditEntry:
        row = self._opened("audit", sealed, _row(list_id, seq))
        member, half, epk, result = (
            read_text(row, name, what=_ROW) for name in ("member", "half", "epk", "result")
        )
        return AuditEntry(
            seq=seq,
            time=datetime.fromtimestamp(time, UTC),
            recrypt_udf=read_udf(member),
            member_key_udf=read_udf(half),
            ephemeral_udf=read_udf(epk),
            result=AuditResult(result),
        )


def _write(asked: Asked) -> bytes:
    return write_json(
        {
            "member": asked.member,
            "half": asked.half,
            "epk": asked.epk,
            "result": asked.result.value,
        }
    )


def _row(list_id: ListId, seq: int) -> bytes:
    return f"{list_id}:{seq}".encode("ascii")


def _day(moment: datetime) -> int:
    return seconds(moment) // _DAY
