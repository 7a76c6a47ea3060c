"""Bounces, and what people are to be told: the rows and their SQL."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from listserver.edges.sqlite_posts import PostTables
from listserver.edges.sqlite_profiles import ProfileTables
from listserver.edges.sqlite_queue import delivery_row, seconds
from listserver.edges.sqlite_rows import Value, number, octets
from listserver.limits import CLOCK_SLACK, TOKEN_LIFE
from listserver.model import (
    DeliveryId,
    Failure,
    ListId,
    MemberId,
    PostId,
    Scoring,
    StoredList,
    StoredPost,
    Suspect,
    Troubles,
)
from recrypt_core.chain import Member
from recrypt_core.errors import Malformed, NotAuthentic

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
# Probes that came back by now, if they would; or that another clock has dated.
_PROBED: Final = "FROM members WHERE probed <= ? OR probed > ?"
_IN_TROUBLE: Final = (
    "SELECT id FROM lists WHERE (told <= ? OR told > ?) AND id IN ("
    " SELECT list_id FROM members WHERE off IS NOT NULL AND NOT off_told UNION"
    " SELECT list_id FROM posts WHERE id IN"
    " (SELECT post_id FROM deliveries WHERE state >= 2 AND NOT told))"
)
_TOLD: Final = (
    "UPDATE deliveries SET told = 1 WHERE state >= 2 AND NOT told"
    " AND post_id IN (SELECT id FROM posts WHERE list_id = ?)",
    "UPDATE members SET off_told = 1 WHERE list_id = ? AND off IS NOT NULL AND NOT off_told",
)  # in a thread: there may be many
_HELD: Final = 3
_UNTOLD: Final = (
    "FROM deliveries WHERE state >= 2 AND NOT told"
    " AND post_id IN (SELECT id FROM posts WHERE list_id = ?)"
)
_FAILURE: Final = (
    "SELECT d.state, d.sealed, p.id, p.sealed, m.sealed, m.name FROM deliveries d"
    " JOIN posts p ON p.id = d.post_id JOIN members m ON m.id = d.member_id WHERE d.id = ?"
)
_OFF: Final = "FROM members WHERE list_id = ? AND off IS NOT NULL AND NOT off_told"


class BounceTables(ProfileTables, PostTables):
    """The part of `Work` that bounces and notices use."""

    # --- bounces

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

    async def probe_bounced(self, list_id: ListId, member: MemberId, now: datetime) -> bool:
        turned = await self._rows.run(
            "UPDATE members SET off = ?, off_told = 0, probed = NULL"
            " WHERE id = ? AND list_id = ? AND probed IS NOT NULL",
            (seconds(now), member, list_id),
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

    # --- what people are told

    async def lists_in_trouble(self, now: datetime, patience: timedelta) -> tuple[ListId, ...]:
        found = await self._rows.all(_IN_TROUBLE, (seconds(now - patience), seconds(now)))
        return tuple(ListId(number(row[0])) for row in found)

    async def take_troubles(self, list_id: ListId, now: datetime, limit: int) -> Troubles | None:
        ((failed,),) = await self._rows.all(f"SELECT count(*) {_UNTOLD}", (list_id,))
        ((off,),) = await self._rows.all(f"SELECT count(*) {_OFF}", (list_id,))
        named = await self._rows.all(f"SELECT id {_UNTOLD} ORDER BY id LIMIT ?", (list_id, limit))
        members = await self._rows.all(f"SELECT sealed, name {_OFF} LIMIT ?", (list_id, limit))
        for statement in _TOLD:
            await self._rows.many(statement, [(list_id,)], large=True)
        await self._rows.run("UPDATE lists SET told = ? WHERE id = ?", (seconds(now), list_id))
        stored = await self._readable_list(list_id)
        if stored is None:
            return None
        read = [each for row in named if (each := await self._failure(number(row[0])))]
        turned_off = [who for row in members if (who := await self._readable_member(*row))]
        return Troubles(
            list=stored,
            failures=tuple(read),
            more=number(failed) - len(read),
            turned_off=tuple(each.account for each in turned_off),
            more_off=number(off) - len(turned_off),
        )

    async def administrators(self, list_id: ListId) -> tuple[Member, ...]:
        found = await self._rows.all(
            "SELECT off IS NULL, sealed, name FROM members WHERE list_id = ? AND powerful",
            (list_id,),
        )
        active = [
            (is_on, member)
            for is_on, *row in found
            if (member := await self._readable_member(*row)) and member.is_active
        ]
        return tuple(member for is_on, member in active if is_on) or tuple(
            member for _, member in active
        )

    async def take_in_vain(self, limit: int) -> tuple[tuple[StoredList, StoredPost], ...]:
        found = await self._rows.all(
            "SELECT id, list_id, sealed FROM posts"
            " WHERE NOT open AND NOT delivered AND NOT told ORDER BY id LIMIT ?",
            (limit,),
        )
        await self._rows.many(
            "UPDATE posts SET told = 1 WHERE id = ?", [(row[0],) for row in found]
        )
        return tuple(
            [
                (stored, post)
                for id_, list_id, sealed in found
                if (stored := await self._readable_list(number(list_id)))
                and (post := self._readable_post(number(id_), sealed))
            ]
        )

    # --- rows; one that is damaged is passed over, and holds up nothing else

    async def _readable_list(self, list_id: int) -> StoredList | None:
        try:
            return await self.list_of(ListId(list_id))
        except (NotAuthentic, Malformed):
            return None

    async def _readable_member(self, sealed: Value, name: Value) -> Member | None:
        try:
            (member,) = await self._newest_members([(sealed, name)])
        except (NotAuthentic, Malformed):
            return None
        return member

    def _readable_post(self, post: int, sealed: Value) -> StoredPost | None:
        try:
            return self._open_post(PostId(post), sealed)
        except (NotAuthentic, Malformed):
            return None

    async def _failure(self, delivery: int) -> Failure | None:
        ((state, words, post_id, sealed, *member_row),) = await self._rows.all(
            _FAILURE, (delivery,)
        )
        member = await self._readable_member(*member_row)
        post = self._readable_post(number(post_id), sealed)
        if member is None or post is None:
            return None
        return Failure(
            member.account, post, state == _HELD, self._words(DeliveryId(delivery), words)
        )

    def _words(self, delivery: DeliveryId, sealed: Value) -> str:
        if sealed is None:
            return ""
        try:
            row = self._vault.unseal("deliveries", octets(sealed), row=delivery_row(delivery))
        except NotAuthentic:
            return ""
        return row.decode("utf-8", "replace")


def _day(moment: datetime) -> int:
    return seconds(moment) // _DAY
