"""Bounces: the rows and their SQL."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from listserver.bouncing import doubted_at_once, turns_mail_on
from listserver.edges.sqlite_queue import seconds
from listserver.edges.sqlite_rows import Value, number, octets
from listserver.edges.sqlite_telling import TellingTables
from listserver.limits import (
    CLOCK_SLACK,
    FORGOTTEN,
    HOST_MEMORY,
    PROBED_SHARE,
    SETTLED,
    TOKEN_LIFE,
)
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
    "INSERT OR REPLACE INTO refusals (day, quarters, post_id, member_id)"
    " SELECT ?, ?, post_id, member_id FROM deliveries WHERE id = ?"
)
# Of a post: is it open, when was it accepted, and did the host take it or one soon after?
_TAKEN: Final = (
    "SELECT open, accepted, EXISTS (SELECT 1 FROM posts AS other WHERE other.delivered"
    " AND other.accepted BETWEEN posts.accepted AND posts.accepted + ?) FROM posts WHERE id = ?"
)
_COUNT_REFUSALS: Final = (
    "INSERT INTO bounces (day, quarters, member_id)"
    " SELECT day, quarters, member_id FROM refusals WHERE post_id = ? ORDER BY member_id LIMIT ?"
    " ON CONFLICT (member_id, day) DO UPDATE SET quarters = excluded.quarters, unseen = 1"
    " WHERE excluded.quarters > quarters"
)
_FORGET_REFUSALS: Final = (
    "DELETE FROM refusals WHERE (post_id, member_id) IN"
    " (SELECT post_id, member_id FROM refusals WHERE post_id = ? ORDER BY member_id LIMIT ?)"
)
# A score rises with a bounce alone, so nobody else need be looked at, but who has to wait until
# tomorrow.
_UNSEEN: Final = "SELECT DISTINCT member_id FROM bounces WHERE unseen AND unseen != ? LIMIT ?"
# Each day's quarters, less as it is longer ago, until nothing is left at the window's end. A day
# that is still to come was written before the clock was set back: it counts as today.
_SUSPECT: Final = (
    "SELECT id, list_id, sealed, name FROM members"
    " WHERE id = ?4 AND served AND probed IS NULL AND off IS NULL AND leaving IS NULL"
    " AND (SELECT sum(quarters * (?2 - max(0, ?1 - day))) FROM bounces"
    " WHERE member_id = ?4 AND day > ?1 - ?2) >= ?3 * ?2"
)
_LOOKED_AT: Final = "UPDATE bounces SET unseen = ? WHERE member_id = ? AND unseen"
# Of a list, who is probed or was turned off of late; and how many there are, as far as it matters.
_DOUBTED: Final = (
    "SELECT (SELECT count(*) FROM members WHERE list_id = ?1 AND probed IS NOT NULL)"
    " + (SELECT count(*) FROM members WHERE list_id = ?1 AND off > ?2 AND off <= ?3)"
)
_SIZE: Final = "SELECT count(*) FROM (SELECT 1 FROM members WHERE list_id = ? AND active LIMIT ?)"
# Those of some members whose mail is off, may be soon, or has come back.
_MARKED: Final = (
    "SELECT sealed, name FROM members WHERE (off IS NOT NULL OR probed IS NOT NULL"
    " OR EXISTS (SELECT 1 FROM bounces WHERE member_id = members.id)"
    " OR EXISTS (SELECT 1 FROM refusals WHERE member_id = members.id)) AND name IN "
)
_TURN_ON: Final = (
    "DELETE FROM refusals WHERE member_id = (SELECT id FROM members WHERE name = ?)",
    "DELETE FROM bounces WHERE member_id = (SELECT id FROM members WHERE name = ?)",
    "UPDATE members SET probed = NULL, off = NULL, off_told = 0 WHERE name = ?",
)
# Probes that came back by now, if they would; or that another clock has dated.
_PROBED: Final = "SELECT id FROM members WHERE probed <= ? OR probed > ? LIMIT ?"
_FORGET_OLD: Final = (
    "DELETE FROM bounces WHERE (member_id, day) IN"
    " (SELECT member_id, day FROM bounces WHERE day <= ? LIMIT ?)"
)


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

    async def settle_refusals(self, now: datetime, after: PostId) -> PostId | None:
        for _ in range(SETTLED):
            ((found,),) = await self._rows.all(
                "SELECT min(post_id) FROM refusals WHERE post_id > ?", (after,)
            )
            if found is None:
                return None
            post = PostId(number(found))
            if await self._settle(post, now) == FORGOTTEN:
                return after
            after = post
        return after

    async def _settle(self, post: PostId, now: datetime) -> int:
        """Count or forget what was refused of a post, if it is known which; tell how many."""
        counts = await self._counts(post, now)
        if counts is None:
            return 0
        if counts:
            await self._rows.run(_COUNT_REFUSALS, (post, FORGOTTEN), large=True)
        return await self._rows.run(_FORGET_REFUSALS, (post, FORGOTTEN), large=True)

    async def _counts(self, post: PostId, now: datetime) -> bool | None:
        """Tell whether what the relay host refused of a post counts; None: that isn't known yet."""
        memory = int(HOST_MEMORY.total_seconds())
        found = await self._rows.all(_TAKEN, (memory, post))
        if not found:
            return False
        ((is_open, accepted, is_taken),) = found
        # A clock that was set back is as far from it.
        is_new = abs(seconds(now) - number(accepted)) <= memory
        return True if is_taken else None if is_open or is_new else False

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
        today, tomorrow = _day(now), _day(now) + 1
        unseen = await self._rows.all(_UNSEEN, (tomorrow, limit))
        if not unseen:
            return None
        at = (today, scoring.window_days, scoring.threshold * _QUARTERS)
        suspects = [row for (id_,) in unseen for row in await self._rows.all(_SUSPECT, (*at, id_))]
        found, waiting = await self._with_room(suspects, scoring, now)
        looked_at = [(tomorrow if id_ in waiting else 0, id_) for (id_,) in unseen]
        await self._rows.many(_LOOKED_AT, looked_at)
        return tuple(
            [
                Suspect(MemberId(number(id_)), stored, member)
                for id_, list_id, sealed, name in found
                if (stored := await self._readable_list(number(list_id)))
                and (member := await self._readable_member(sealed, name))
            ]
        )

    async def _with_room(
        self, suspects: Sequence[tuple[Value, ...]], scoring: Scoring, now: datetime
    ) -> tuple[list[tuple[Value, ...]], set[Value]]:
        """Part suspects in the rows of those who can be probed now, and the ids of the others."""
        since, until = now - timedelta(days=scoring.patience_days), now + CLOCK_SLACK
        room: dict[Value, int] = {}
        found, waiting = [], set[Value]()
        for id_, list_id, *rest in suspects:
            if list_id not in room:
                of = (list_id, seconds(since), seconds(until))
                doubted = number((await self._rows.all(_DOUBTED, of))[0][0])
                enough = PROBED_SHARE * (doubted + len(suspects))
                size = number((await self._rows.all(_SIZE, (list_id, enough)))[0][0])
                room[list_id] = doubted_at_once(size) - doubted
            room[list_id] -= 1
            if room[list_id] >= 0:
                found.append((id_, list_id, *rest))
            else:
                waiting.add(id_)
        return found, waiting

    async def probe_sent(self, member: MemberId, now: datetime) -> None:
        await self._rows.run("UPDATE members SET probed = ? WHERE id = ?", (seconds(now), member))

    async def forget_bounces(self, scoring: Scoring, now: datetime) -> bool:
        bounds = (
            seconds(now - timedelta(days=scoring.patience_days)),
            seconds(now + CLOCK_SLACK),
        )
        arrived = await self._rows.all(_PROBED, (*bounds, FORGOTTEN))
        await self._rows.many("DELETE FROM bounces WHERE member_id = ?", arrived)
        await self._rows.many("UPDATE members SET probed = NULL WHERE id = ?", arrived)
        last = _day(now) - scoring.window_days
        old = await self._rows.run(_FORGET_OLD, (last, FORGOTTEN), large=True)
        return max(len(arrived), old) >= FORGOTTEN


def _day(moment: datetime) -> int:
    return seconds(moment) // _DAY
