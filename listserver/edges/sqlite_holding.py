"""Posts that wait for a decision: the rows and their SQL.

A held post stands in the queue as any, for the moderators alone; its row here is what waits.
"""

from datetime import UTC, datetime
from typing import Final

from listserver.edges.sqlite_posts import SERVED, PostTables, many_readers
from listserver.edges.sqlite_queue import seconds
from listserver.edges.sqlite_rows import Value, number
from listserver.held import Held, HeldState
from listserver.limits import HELD_POSTS, TOKEN_LIFE
from listserver.model import ListId, PostId, Readers, StoredPost
from recrypt_core.errors import Malformed, NotAuthentic
from recrypt_core.moderation import HeldPost
from recrypt_core.udf import Udf

_JOINED: Final = " FROM entries e JOIN members m INDEXED BY members_powerful ON m.id = e.member_id"
_MODERATORS: Final = f"SELECT m.id, max(e.own_octets){_JOINED}{SERVED} AND m.powerful GROUP BY m.id"
_ROW: Final = (
    "SELECT list_id, number, post_id, state,"
    " EXISTS (SELECT 1 FROM posts WHERE id = post_id AND NOT dropped AND NOT erased) FROM holding"
)
_PAGE: Final = (
    "SELECT number, until, posts.id, sealed, coalesce(length(octets), 0)"
    " FROM holding JOIN posts ON posts.id = post_id LEFT JOIN ciphertexts USING (post_id)"
    " WHERE holding.list_id = ? AND number > ? AND state = 0 AND NOT dropped"
    " ORDER BY number LIMIT ?"
)
# As an operator's `queue drop` of a post with copies under way: a server erases what is left.
_END: Final = (
    "DELETE FROM shards WHERE post_id = ?",
    "DELETE FROM deliveries WHERE post_id = ? AND state != 1",
    "UPDATE posts SET held = 1, dropped = 1 WHERE id = ? AND NOT erased",
)
# The last row of a list stays, so that its number is never another post's.
_FORGET: Final = (
    "DELETE FROM holding WHERE until <= ? AND state != 0 AND number <"
    " (SELECT max(number) FROM holding h WHERE h.list_id = holding.list_id)"
)


class HoldTables(PostTables):
    """The part of `Work` that moderation uses."""

    async def moderators(self, list_id: ListId, key: Udf) -> Readers:
        return many_readers(
            list_id, iter(await self._rows.all(_MODERATORS, self._of(list_id, key)))
        )

    async def next_held(self, list_id: ListId) -> int | None:
        ((waiting,),) = await self._rows.all(
            "SELECT count(*) FROM holding WHERE list_id = ? AND state = 0", (list_id,)
        )
        ((last,),) = await self._rows.all(
            "SELECT coalesce(max(number), 0) FROM holding WHERE list_id = ?", (list_id,)
        )
        return None if number(waiting) >= HELD_POSTS else number(last) + 1

    async def hold(
        self,
        moderators: Readers,
        post: StoredPost,
        ciphertext: bytes,
        *,
        until: datetime,
        begins: HeldState,
    ) -> None:
        await self._put_post(moderators, post, ciphertext)
        ended = int(begins is not HeldState.WAITS)
        await self._rows.run(
            "UPDATE posts SET review = 1, told = 1, held = ?, dropped = ? WHERE id = ?",
            (ended, ended, self._last_post),
        )
        await self._rows.run(
            "INSERT INTO holding VALUES (?, ?, ?, ?, ?, 0)",
            (moderators.list_id, post.held, self._last_post, begins.value, seconds(until)),
        )

    async def held_after(
        self, list_id: ListId, after: int, limit: int
    ) -> tuple[tuple[HeldPost, ...], bool]:
        found = await self._rows.all(_PAGE, (list_id, after, limit + 1))
        return tuple(self._read_held(*row) for row in found[:limit]), len(found) > limit

    async def held(self, list_id: ListId, number: int) -> Held | None:
        found = await self._rows.all(f"{_ROW} WHERE list_id = ? AND number = ?", (list_id, number))
        return _held(found[0]) if found else None

    async def end_held(self, held: Held, state: HeldState) -> None:
        await self._rows.run(
            "UPDATE holding SET state = ? WHERE list_id = ? AND number = ?",
            (state.value, held.list_id, held.number),
        )
        for statement in _END:
            await self._rows.run(statement, (held.post,))

    async def overdue_held(self, until: datetime, limit: int) -> tuple[Held, ...]:
        found = await self._rows.all(
            f"{_ROW} WHERE until <= ? AND state = 0 LIMIT ?", (seconds(until), limit)
        )
        return tuple(_held(row) for row in found)

    async def forget_held(self, until: datetime) -> None:
        await self._rows.run(_FORGET, (seconds(until - TOKEN_LIFE),))

    # --- rows

    def _read_held(
        self, number_: Value, until: Value, post: Value, sealed: Value, octets: Value
    ) -> HeldPost:
        ends, poster = datetime.fromtimestamp(number(until), UTC), None
        since = ends
        try:
            stored = self._open_post(PostId(number(post)), sealed)
        except (NotAuthentic, Malformed):
            pass
        else:
            since, poster = stored.accepted, stored.poster
        return HeldPost(
            post=number(number_),
            since=since,
            until=ends,
            octets=number(octets),
            recrypt_udf=poster,
        )


def _held(row: tuple[Value, ...]) -> Held:
    list_id, number_, post, state, is_there = (number(each) for each in row)
    return Held(ListId(list_id), number_, PostId(post), HeldState(state), bool(is_there))
