"""What people are to be told: the rows and their SQL. One that is damaged holds up nothing else."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from listserver.edges.sqlite_posts import PostTables
from listserver.edges.sqlite_profiles import ProfileTables
from listserver.edges.sqlite_queue import delivery_row, seconds
from listserver.edges.sqlite_rows import Value, number, octets
from listserver.limits import NOTICE_RETRY
from listserver.model import DeliveryId, ListId, PostId, StoredList, StoredPost
from listserver.troubles import Failure, InVain, Troubles
from recrypt_core.errors import Malformed, NotAuthentic
from recrypt_core.members import Member

_IN_TROUBLE: Final = (
    "SELECT id FROM lists WHERE (told <= ?1 OR told > ?3)"
    " AND (unheard IS NULL OR unheard <= ?2 OR unheard > ?3) AND id IN ("
    " SELECT list_id FROM members INDEXED BY members_off_untold"
    " WHERE off IS NOT NULL AND NOT off_told UNION"
    " SELECT list_id FROM members INDEXED BY members_left_untold"
    " WHERE leaving = 3 AND NOT left_told UNION"
    " SELECT list_id FROM posts WHERE held AND NOT dropped AND NOT held_told UNION"
    " SELECT list_id FROM holding WHERE state = 0 AND NOT told UNION"
    " SELECT list_id FROM joins INDEXED BY joins_untold"
    " WHERE state = 1 AND NOT told AND (since <= ?1 OR since > ?3) UNION"
    " SELECT list_id FROM posts WHERE id IN"
    " (SELECT post_id FROM deliveries WHERE state >= 2 AND NOT told))"
)
_HELD: Final = 3
_OF_LIST: Final = "post_id IN (SELECT id FROM posts WHERE list_id = ?1)"
# What a list's (?1) administrators are told: which rows, the column that has when they were told,
# and the index of those that weren't.
_KINDS: Final = (
    ("deliveries", "", "told", f"state >= 2 AND {_OF_LIST}"),
    ("members", " INDEXED BY members_off_untold", "off_told", "list_id = ?1 AND off IS NOT NULL"),
    ("posts", "", "held_told", "list_id = ?1 AND held AND NOT dropped"),
    ("members", " INDEXED BY members_left_untold", "left_told", "list_id = ?1 AND leaving = 3"),
    ("holding", "", "told", "list_id = ?1 AND state = 0"),
    ("joins", "", "told", "list_id = ?1 AND state = 1"),
)
_UNTOLD: Final = tuple(
    f"FROM {table}{index} WHERE {rows} AND NOT {told}" for table, index, told, rows in _KINDS
)
_FAILED: Final = _UNTOLD[0]
_OFF: Final = _UNTOLD[1]
_LEFT: Final = _UNTOLD[3]
_COUNTS: Final = tuple(
    f"SELECT count(*), coalesce(sum({'number' if 'holding' in rows else 'rowid'}), 0) {rows}"
    for rows in _UNTOLD
)
_UPDATE: Final = "UPDATE"
# In a thread: there may be many.
_TOLD: Final = tuple(
    f"{_UPDATE} {table}{index} SET {told} = ?2 WHERE {rows} AND NOT {told}"
    for table, index, told, rows in _KINDS
)
UNTELL: Final = tuple(
    f"{_UPDATE} {table} SET {told} = 0 WHERE {rows} AND {told} = ?2"
    for table, _, told, rows in _KINDS
)  # what was told at a time; in a thread too
_FAILURE: Final = (
    "SELECT d.state, d.sealed, p.id, p.sealed, m.sealed, m.name FROM deliveries d"
    " JOIN posts p ON p.id = d.post_id JOIN members m ON m.id = d.member_id WHERE d.id = ?"
)
_IN_VAIN: Final = (
    "SELECT id, list_id, sealed FROM posts"
    " WHERE id > ? AND NOT open AND NOT delivered AND NOT told ORDER BY id LIMIT ?"
)


class TellingTables(ProfileTables, PostTables):
    """The part of `Work` that notices use."""

    async def lists_in_trouble(self, now: datetime, patience: timedelta) -> tuple[ListId, ...]:
        bounds = (seconds(now - patience), seconds(now - NOTICE_RETRY), seconds(now))
        found = await self._rows.all(_IN_TROUBLE, bounds)
        return tuple(ListId(number(row[0])) for row in found)

    async def troubles(self, list_id: ListId, limit: int) -> Troubles | None:
        stored = await self._readable_list(list_id)
        if stored is None:
            return None
        of = (list_id, limit)
        named = await self._rows.all(f"SELECT id {_FAILED} ORDER BY id LIMIT ?", of)
        read = [each for row in named if (each := await self._failure(number(row[0])))]
        turned_off, has_left = await self._accounts(_OFF, of), await self._accounts(_LEFT, of)
        failed, off, stopped, left, waiting, asking = counts = await self._untold(list_id)
        return Troubles(
            list=stored,
            failures=tuple(read),
            more=failed[0] - len(read),
            turned_off=turned_off,
            more_off=off[0] - len(turned_off),
            asking=asking[0],
            waiting=waiting[0],
            stopped=stopped[0],
            left=has_left,
            more_left=left[0] - len(has_left),
            mark=counts,
        )

    async def troubles_told(self, list_id: ListId, found: Troubles | None, now: datetime) -> bool:
        if found is not None:
            if await self._untold(list_id) != found.mark:
                return False
            for statement in _TOLD:
                await self._rows.many(statement, [(list_id, seconds(now))], large=True)
        await self._rows.run("UPDATE lists SET told = ? WHERE id = ?", (seconds(now), list_id))
        return True

    async def administrators(self, list_id: ListId) -> tuple[Member, ...]:
        found = await self._rows.all(
            "SELECT off IS NULL AND paused IS NULL AND leaving IS NULL, sealed, name FROM members"
            " WHERE list_id = ? AND powerful",
            (list_id,),
        )
        active = [
            (has_mail, member)
            for has_mail, *row in found
            if (member := await self._readable_member(*row)) and member.is_active
        ]
        return tuple(member for has_mail, member in active if has_mail) or tuple(
            member for _, member in active
        )

    async def in_vain(self, after: PostId, limit: int) -> tuple[InVain, ...]:
        found = await self._rows.all(_IN_VAIN, (after, limit))
        return tuple(
            [
                await self._in_vain(PostId(number(id_)), ListId(number(list_id)), sealed)
                for id_, list_id, sealed in found
            ]
        )

    async def posters_told(self, posts: Collection[PostId]) -> None:
        await self._rows.many("UPDATE posts SET told = 1 WHERE id = ?", [(id_,) for id_ in posts])

    # --- rows

    async def _accounts(self, rows: str, of: tuple[Value, ...]) -> tuple[str, ...]:
        found = await self._rows.all(f"SELECT sealed, name {rows} LIMIT ?", of)
        members = [await self._readable_member(*row) for row in found]
        return tuple(each.account for each in members if each is not None)

    async def _untold(self, list_id: ListId) -> tuple[tuple[int, int], ...]:
        """Give a count of each, and a figure that changes when some go and others come."""
        found = [(await self._rows.all(sql, (list_id,)))[0] for sql in _COUNTS]
        return tuple((number(count), number(figure)) for count, figure in found)

    async def _in_vain(self, id_: PostId, list_id: ListId, sealed: Value) -> InVain:
        stored, post = await self._readable_list(list_id), self._readable_post(id_, sealed)
        if stored is None or post is None or post.poster is None:
            return InVain(id_, stored, post, None)
        name = self._member_name(list_id, post.poster)
        rows = await self._rows.all("SELECT sealed, name FROM members WHERE name = ?", (name,))
        if not rows:
            return InVain(id_, stored, post, None)
        poster = await self._readable_member(*rows[0])
        return InVain(id_, stored, post if poster else None, poster)

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
