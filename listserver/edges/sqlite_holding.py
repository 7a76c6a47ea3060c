"""Posts that wait for a decision: the rows and their SQL.

A held post stands in the queue as any, for the moderators alone; its row here is what waits.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from listserver.edges.sqlite_posts import SERVED, PostTables, many_readers
from listserver.edges.sqlite_queue import seconds
from listserver.edges.sqlite_rows import Value, number, octets
from listserver.held import Held, HeldState, Share
from listserver.limits import TOKEN_LIFE
from listserver.model import ListId, PostId, Readers, StoredPost
from recrypt_core.encoding import write_b64url
from recrypt_core.envelope import Envelope
from recrypt_core.errors import Malformed, NotAuthentic
from recrypt_core.moderation import HeldName, HeldPost
from recrypt_core.udf import Udf

_JOINED: Final = " FROM entries e JOIN members m INDEXED BY members_powerful ON m.id = e.member_id"
_MODERATORS: Final = f"SELECT m.id, max(e.own_octets){_JOINED}{SERVED} AND m.powerful GROUP BY m.id"
_ROW: Final = (
    "SELECT list_id, number, post_id, state,"
    " EXISTS (SELECT 1 FROM posts WHERE id = post_id AND NOT dropped AND NOT erased), sealed FROM "
)
_PAGE: Final = (
    "SELECT number, until, posts.id, posts.sealed, coalesce(length(octets), 0), holding.sealed"
    " FROM holding INDEXED BY holding_waiting"
    " JOIN posts ON posts.id = post_id LEFT JOIN ciphertexts USING (post_id)"
    " WHERE holding.list_id = ? AND number > ? AND state = 0 AND NOT dropped"
    " ORDER BY number LIMIT ?"
)
# By an index of what waits alone, as above: of what came to nothing there may be any number.
_OVERDUE: Final = f"{_ROW}holding INDEXED BY holding_waiting WHERE until <= ? AND state = 0 LIMIT ?"
# As an operator's `queue drop` of a post with copies under way: a server erases what is left.
_END: Final = (
    "DELETE FROM shards WHERE post_id = ?",
    "DELETE FROM deliveries WHERE post_id = ? AND state != 1",
    "UPDATE posts SET held = 1, dropped = 1 WHERE id = ? AND NOT erased",
)
_FORGET_CONTENT: Final = (
    "DELETE FROM contents WHERE content_name ="
    " (SELECT content_name FROM holding WHERE list_id = ? AND number = ?)"
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

    async def next_held(self, list_id: ListId) -> int:
        ((last,),) = await self._rows.all(
            "SELECT coalesce(max(number), 0) FROM holding WHERE list_id = ?", (list_id,)
        )
        return number(last) + 1

    async def shares_held(self, list_id: ListId) -> Mapping[Share, int]:
        found = await self._rows.all(
            "SELECT share, count(*) FROM holding WHERE list_id = ? AND state = 0 GROUP BY share",
            (list_id,),
        )
        return {Share(number(share)): number(count) for share, count in found}

    async def hold(
        self,
        moderators: Readers,
        post: StoredPost,
        envelope: Envelope,
        *,
        until: datetime,
        share: Share | None,
    ) -> None:
        await self._put_post(moderators, post, envelope.ciphertext)
        list_id, ended = moderators.list_id, int(share is None)
        begins = HeldState.WAITS if share is not None else HeldState.DISCARDED
        row = _row_of(list_id, post.held or 0)
        await self._rows.run(
            "UPDATE posts SET review = 1, told = 1, held = ?, dropped = ? WHERE id = ?",
            (ended, ended, self._last_post),
        )
        await self._rows.run(
            "INSERT INTO holding"
            " (list_id, number, post_id, state, until, share, content_name, sealed)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                list_id,
                post.held,
                self._last_post,
                begins.value,
                seconds(until),
                (share or Share.UNSIGNED).value,
                self._aside_name(list_id, envelope),
                self._vault.seal("holding", envelope.content_id, row=row),
            ),
        )

    async def held_after(
        self, list_id: ListId, after: int, limit: int
    ) -> tuple[tuple[HeldPost, ...], bool]:
        found = await self._rows.all(_PAGE, (list_id, after, limit + 1))
        page = tuple(self._read_held(list_id, *row) for row in found[:limit])
        return page, len(found) > limit

    async def held(self, list_id: ListId, name: HeldName) -> Held | None:
        found = await self._rows.all(
            f"{_ROW}holding WHERE list_id = ? AND number = ?", (list_id, name.number)
        )
        held = self._held(found[0]) if found else None
        return held if held is not None and _text_of(held.cid) == name.cid else None

    async def end_held(self, held: Held, state: HeldState) -> None:
        await self._rows.run(
            "UPDATE holding SET state = ? WHERE list_id = ? AND number = ?",
            (state.value, held.list_id, held.number),
        )
        if state is HeldState.EXPIRED:
            await self._rows.run(_FORGET_CONTENT, (held.list_id, held.number))
        for statement in _END:
            await self._rows.run(statement, (held.post,))

    async def overdue_held(self, until: datetime, limit: int) -> tuple[Held, ...]:
        found = await self._rows.all(_OVERDUE, (seconds(until), limit))
        return tuple(self._held(row) for row in found)

    async def forget_held(self, until: datetime) -> None:
        await self._rows.run(_FORGET, (seconds(until - TOKEN_LIFE),))

    # --- rows

    def _read_held(self, list_id: ListId, *row: Value) -> HeldPost:
        number_, until, post, sealed, octets_, cid = row
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
            content_id=_text_of(self._open_cid(list_id, number(number_), cid) or None),
            since=since,
            until=ends,
            octets=number(octets_),
            recrypt_udf=poster,
        )

    def _held(self, row: tuple[Value, ...]) -> Held:
        *counts, sealed = row
        list_id, number_, post, state, is_there = (number(each) for each in counts)
        return Held(
            list_id=ListId(list_id),
            number=number_,
            post=PostId(post),
            state=HeldState(state),
            is_there=bool(is_there),
            cid=self._open_cid(list_id, number_, sealed),
        )

    def _open_cid(self, list_id: int, number_: int, sealed: Value) -> bytes | None:
        """Read a content id; None if there is none, b"" if it is damaged: no decision has that."""
        if sealed is None:
            return None
        try:
            return self._vault.unseal("holding", octets(sealed), row=_row_of(list_id, number_))
        except NotAuthentic:
            return b""


def _row_of(list_id: int, number_: int) -> bytes:
    """Name a row, to which its sealed part is bound."""
    return f"{list_id}.{number_}".encode("ascii")


def _text_of(cid: bytes | None) -> str | None:
    return None if cid is None else write_b64url(cid)
