"""Bounces: the rows and their SQL."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from listserver.bouncing import turns_mail_on
from listserver.edges.sqlite_queue import seconds
from listserver.edges.sqlite_rows import Value, number, octets
from listserver.edges.sqlite_telling import TellingTables
from listserver.limits import CLOCK_SLACK, TOKEN_LIFE
from listserver.model import (
    DeliveryId,
    EntryRow,
    ListId,
    MemberId,
    PostId,
    Scoring,
    Suspect,
)
from recrypt_core.members import Member

_DAY: Final = 86400
_QUARTERS: Final = 4  # of a point
_BOUNCED: Final = (
    "INSERT INTO bounces (day, quarters, member_id) VALUES (?, ?, ?)"
    " ON CONFLICT (member_id, day) DO UPDATE SET quarters = excluded.quarters, unseen = 1"
    " WHERE excluded.quarters > quarters"
)
_REFUSED: Final = (
    "INSERT INTO bounces (day, quarters, member_id)"
    " SELECT ?, ?, member_id FROM deliveries WHERE id = ?"
    " ON CONFLICT (member_id, day) DO UPDATE SET quarters = excluded.quarters, unseen = 1"
    " WHERE excluded.quarters > quarters"
)
# A score rises with a bounce alone, so nobody else need be looked at.
_UNSEEN: Final = "SELECT DISTINCT member_id FROM bounces WHERE unseen LIMIT ?"
# Each day's quarters, less as it is longer ago, until nothing is left at the window's end. A day
# that is still to come was written before the clock was set back: it counts as today.
_SUSPECT: Final = (
    "SELECT id, list_id, sealed, name FROM members"
    " WHERE id = ?4 AND served AND probed IS NULL AND off IS NULL"
    " AND (SELECT sum(quarters * (?2 - max(0, ?1 - day))) FROM bounces"
    " WHERE member_id = ?4 AND day > ?1 - ?2) >= ?3 * ?2"
)
_LOOKED_AT: Final = "UPDATE bounces SET unseen = 0 WHERE member_id = ? AND unseen"
# Those of some members whose mail is off, may be soon, or has come back.
_MARKED: Final = (
    "SELECT sealed, name FROM members WHERE (off IS NOT NULL OR probed IS NOT NULL"
    " OR EXISTS (SELECT 1 FROM bounces WHERE member_id = members.id)) AND name IN "
)
_TURN_ON: Final = (
    "DELETE FROM bounces WHERE member_id = (SELECT id FROM members WHERE name = ?)",
    "UPDATE members SET probed = NULL, off = NULL, off_told = 0 WHERE name = ?",
)
# Probes that came back by now, if they would; or that another clock has dated.
_PROBED: Final = "FROM members WHERE probed <= ? OR probed > ?"


class BounceTables(TellingTables):
    """The part of `Work` that bounces use."""

    async def put_members(
        self, list_id: ListId, members: Sequence[tuple[Member, Sequence[EntryRow]]]
    ) -> None:
        turned_on = await self._turned_on(list_id, [member for member, _ in members])
        await super().put_members(list_id, members)
        for statement in _TURN_ON:
            await self._rows.many(statement, turned_on)

    async def _turned_on(self, list_id: ListId, members: Sequence[Member]) -> list[tuple[Value]]:
        """Find the names of those whose mail a change turns on, before it is written."""
        stated = await asyncio.to_thread(
            lambda: {
                self._member_name(list_id, each.profile.identifier): each.entry for each in members
            }
        )
        marked = await self._in_parts(_MARKED, tuple(stated))
        if not marked:
            return []
        current = (await self.list_of(list_id)).state.key.udf
        return await asyncio.to_thread(
            lambda: [
                (name,)
                for sealed, name in marked
                if turns_mail_on(self._read_entry(sealed, name), stated[octets(name)], current)
            ]
        )

    async def delivery_known(
        self, list_id: ListId, post: PostId, member: MemberId, now: datetime
    ) -> bool:
        return bool(
            await self._rows.all(
                "SELECT 1 FROM posts p JOIN members m ON m.list_id = p.list_id"
                " WHERE p.id = ? AND m.id = ? AND p.list_id = ? AND p.accepted > ?",
                (post, member, list_id, seconds(now - TOKEN_LIFE)),
            )
        )

    async def bounced(self, member: MemberId, quarters: int, now: datetime) -> None:
        await self._rows.run(_BOUNCED, (_day(now), quarters, member))

    async def refused(self, refusals: Sequence[tuple[DeliveryId, int]], now: datetime) -> None:
        await self._rows.many(
            _REFUSED,
            [(_day(now), quarters, delivery) for delivery, quarters in refusals],
        )

    async def probe_bounced(
        self, list_id: ListId, member: MemberId, sent: datetime, now: datetime
    ) -> bool:
        turned = await self._rows.run(
            "UPDATE members SET off = ?, off_told = 0, probed = NULL"
            " WHERE id = ? AND list_id = ? AND probed = ?",
            (seconds(now), member, list_id, seconds(sent)),
        )
        return turned == 1

    async def take_suspects(
        self, scoring: Scoring, now: datetime, limit: int
    ) -> tuple[Suspect, ...] | None:
        unseen = await self._rows.all(_UNSEEN, (limit,))
        if not unseen:
            return None
        at = (_day(now), scoring.window_days, scoring.threshold * _QUARTERS)
        found = [row for (id_,) in unseen for row in await self._rows.all(_SUSPECT, (*at, id_))]
        await self._rows.many(_LOOKED_AT, unseen)
        return tuple(
            [
                Suspect(MemberId(number(id_)), stored, member)
                for id_, list_id, sealed, name in found
                if (stored := await self._readable_list(number(list_id)))
                and (member := await self._readable_member(sealed, name))
            ]
        )

    async def probe_sent(self, member: MemberId, now: datetime) -> None:
        await self._rows.run("UPDATE members SET probed = ? WHERE id = ?", (seconds(now), member))

    async def forget_bounces(self, scoring: Scoring, now: datetime) -> None:
        bounds = (
            seconds(now - timedelta(days=scoring.patience_days)),
            seconds(now + CLOCK_SLACK),
        )
        arrived = await self._rows.all(f"SELECT id {_PROBED}", bounds)
        await self._rows.many("DELETE FROM bounces WHERE member_id = ?", arrived)
        await self._rows.many("UPDATE members SET probed = NULL WHERE id = ?", arrived)
        await self._rows.run(
            "DELETE FROM bounces WHERE day <= ?", (_day(now) - scoring.window_days,)
        )


def _day(moment: datetime) -> int:
    return seconds(moment) // _DAY
