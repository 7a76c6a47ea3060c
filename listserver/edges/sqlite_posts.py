"""Posts, and what a list remembers of them: the rows and their SQL."""

import asyncio
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import accumulate, islice

from listserver.edges.sqlite_queue import seconds, shard_rows
from listserver.edges.sqlite_rows import ROW_OCTETS, Rows, Value, number, octets
from listserver.limits import ERASED_OCTETS, ERASED_POSTS, SHARD_MEMBERS, TOKEN_LIFE
from listserver.model import Erased, ListId, MemberId, PostId, Readers, StoredPost
from listserver.vault import Vault
from recrypt_core import _random
from recrypt_core.encoding import JsonObject, read_json, write_b64url, write_json
from recrypt_core.envelope import Envelope
from recrypt_core.errors import Malformed
from recrypt_core.keys import PublicKey
from recrypt_core.udf import Udf, read_udf

# Who is to have a copy: ACTIVE with RECRYPT, and with an entry for the post's key (spec §7). In the
# indexes alone: the rows of a million members have gigabytes.
SERVED = (
    " WHERE m.list_id = ? AND m.served AND m.off IS NULL AND m.paused IS NULL"
    " AND m.leaving IS NULL AND e.key_name = ?"
)
_JOINED = " FROM entries e JOIN members m INDEXED BY members_served ON m.id = e.member_id"
_READERS = f"{_JOINED}{SERVED}"
_HAS_ENTRIES = (
    "SELECT 1 FROM entries e JOIN members m ON m.id = e.member_id"
    " WHERE m.list_id = ? AND m.served AND e.key_name = ? LIMIT 1"
)
_FEW_READERS = f"SELECT m.id, e.own_octets{_READERS} LIMIT ?"
_ALL_READERS = f"SELECT m.id, max(e.own_octets){_READERS} GROUP BY e.member_id"

# Ciphertexts that were kept long enough, but for what waits for a decision, and those of posts that
# were dropped, none of whose copies is under way any more; with their octets, which SQLite knows
# without reading them.
_ERASABLE = (
    "SELECT posts.id, length(octets)"
    " FROM keeping CROSS JOIN posts ON posts.list_id = keeping.list_id"
    " JOIN ciphertexts ON post_id = posts.id"
    " WHERE NOT open AND NOT erased AND NOT review AND accepted <= ? - seconds"
    " UNION ALL SELECT posts.id, length(octets) FROM posts JOIN ciphertexts ON post_id = posts.id"
    " WHERE dropped AND NOT erased AND NOT EXISTS"
    " (SELECT 1 FROM deliveries WHERE post_id = posts.id AND state != 2 AND state = 1) LIMIT ?"
)

_TAKE_CONTENT = (
    "INSERT OR IGNORE INTO contents SELECT ?, ? WHERE NOT EXISTS"
    " (SELECT 1 FROM contents WHERE content_name IN (?, ?))"
)
_SEALINGS = "SELECT DISTINCT key_name FROM contents WHERE content_name BETWEEN ? AND ?"
_HAD = "SELECT 1 FROM contents WHERE content_name BETWEEN ? AND ? LIMIT 1"
_HAD_ASIDE = "SELECT 1 FROM contents WHERE content_name IN (?, ?) LIMIT 1"
_LAST = b"\xff" * 33  # behind a name, it is behind all names that begin with it

# The last post stays, so that its number is never another's, and no old return path counts for it.
_OLD = (
    "SELECT id FROM posts WHERE accepted <= ? AND NOT open AND erased"
    " AND id < (SELECT max(id) FROM posts) LIMIT ?"
)


class PostTables:
    """The part of `Work` that posts use."""

    # As this transaction has seen or left them.
    _last_post = 0
    _keeping: tuple[ListId, timedelta] | None = None

    def __init__(self, rows: Rows, vault: Vault) -> None:
        self._rows = rows
        self._vault = vault

    # --- posts

    async def has_entries(self, list_id: ListId, key: Udf) -> bool:
        return bool(await self._rows.all(_HAS_ENTRIES, self._of(list_id, key)))

    async def readers(self, list_id: ListId, key: Udf) -> Readers:
        of = self._of(list_id, key)
        found = await self._rows.all(_FEW_READERS, (*of, SHARD_MEMBERS + 1))
        if len(found) > SHARD_MEMBERS:
            return await self._rows.read(_ALL_READERS, of, partial(many_readers, list_id))
        # A member may have two entries for a key; DISTINCT takes SQLite a table.
        members = {MemberId(number(member)) for member, _ in found}
        return Readers(list_id, [*members], max([number(own) for _, own in found], default=0))

    async def take_content(
        self, list_id: ListId, envelope: Envelope, key: Udf, *, is_aside: bool
    ) -> bool:
        name = self._content_name(list_id, envelope.content_id)
        aside = self._aside_name(list_id, envelope)
        sealing = self._sealing_name(envelope, key)
        taken = await self._rows.run(
            _TAKE_CONTENT, (aside if is_aside else name, sealing, name, aside)
        )
        return taken == 1

    async def had_otherwise(self, list_id: ListId, envelope: Envelope, key: Udf) -> bool:
        name = self._content_name(list_id, envelope.content_id)
        found = await self._rows.all(_SEALINGS, (name, name + _LAST))
        sealing = self._sealing_name(envelope, key)
        # What was taken by an earlier version, or released, is known by its key alone.
        return bool(found) and not any(sealing.startswith(octets(each)) for (each,) in found)

    async def had_content(self, list_id: ListId, envelope: Envelope, *, is_aside: bool) -> bool:
        name = self._content_name(list_id, envelope.content_id)
        aside = self._aside_name(list_id, envelope)
        asked = _HAD_ASIDE if is_aside else _HAD
        return bool(await self._rows.all(asked, (name, aside if is_aside else name + _LAST)))

    async def release_content(self, list_id: ListId, cid: bytes, key: Udf) -> bool:
        name = self._content_name(list_id, cid)
        taken = await self._rows.run(
            _TAKE_CONTENT, (name, self._vault.name("key", key), name, name)
        )
        return taken == 1

    async def take_message_id(self, list_id: ListId, message_id: str) -> bool:
        name = self._vault.name("message-id", str(list_id), message_id)
        taken = await self._rows.run("INSERT OR IGNORE INTO message_ids VALUES (?)", (name,))
        return taken == 1

    async def enqueue(
        self, readers: Readers, post: StoredPost, ciphertext: bytes, *, keep_until: datetime
    ) -> None:
        await self._put_post(readers, post, ciphertext)
        keeping = (readers.list_id, keep_until - post.accepted)
        if self._keeping != keeping:
            await self.keep_posts(*keeping)

    async def read_post(self, post: PostId) -> tuple[StoredPost, bytes]:
        found = await self._rows.all(
            "SELECT sealed, octets FROM posts JOIN ciphertexts ON post_id = id WHERE id = ?",
            (post,),
        )
        sealed, ciphertext = found[0]
        return self._open_post(post, sealed), octets(ciphertext)

    async def keep_posts(self, list_id: ListId, time: timedelta) -> None:
        await self._rows.run(
            "INSERT INTO keeping VALUES (?, ?) ON CONFLICT (list_id) DO UPDATE"
            " SET seconds = excluded.seconds WHERE seconds != excluded.seconds",
            (list_id, time // timedelta(seconds=1)),
        )
        self._keeping = (list_id, time)

    async def erase_old(self, until: datetime) -> bool:
        found = await self._rows.all(_ERASABLE, (seconds(until), ERASED_POSTS))
        piece = _piece(found)
        await self._rows.many("DELETE FROM ciphertexts WHERE post_id = ?", piece, large=True)
        await self._rows.many(
            "DELETE FROM deliveries WHERE post_id = ? AND (SELECT dropped FROM posts WHERE id = ?)",
            [(*each, *each) for each in piece],
            large=True,
        )
        await self._rows.many("UPDATE posts SET erased = 1, open = 0, held = 0 WHERE id = ?", piece)
        old = await self._rows.all(_OLD, (seconds(until - TOKEN_LIFE), ERASED_POSTS))
        await self._rows.many("DELETE FROM deliveries WHERE post_id = ?", old, large=True)
        await self._rows.many("DELETE FROM posts WHERE id = ?", old)
        return len(piece) < len(found) or ERASED_POSTS in (len(found), len(old))

    async def erased_until(self) -> Erased | None:
        found = await self._rows.all("SELECT until, doubted FROM erasing")
        if not found:
            return None
        until, doubted = map(number, found[0])
        return Erased(datetime.fromtimestamp(until, UTC), timedelta(seconds=doubted))

    async def set_erased_until(self, erased: Erased) -> None:
        await self._rows.run(
            "INSERT OR REPLACE INTO erasing VALUES (1, ?, ?)",
            (seconds(erased.until), erased.doubted // timedelta(seconds=1)),
        )

    # --- rows

    async def _put_post(self, readers: Readers, post: StoredPost, ciphertext: bytes) -> None:
        if not self._last_post:
            found = await self._rows.all("SELECT coalesce(max(id), 0) FROM posts")
            self._last_post = number(found[0][0])
        self._last_post = post_id = self._last_post + 1
        sealed = self._vault.seal("posts", _write_post(post), row=post_row(post_id))
        await self._rows.run(
            "INSERT INTO posts (id, list_id, key_name, accepted, open, told, sealed)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                post_id,
                *self._of(readers.list_id, post.group_key),
                seconds(post.accepted),
                int(bool(readers.members)),
                int(post.poster is None),
                sealed,
            ),
        )
        await self._rows.run("INSERT INTO ciphertexts VALUES (?, 0, ?)", (post_id, ciphertext))
        await self._rows.many(
            "INSERT INTO shards (post_id, members, position) VALUES (?, ?, 0)",
            await _shards(post_id, readers.members),
        )

    def _content_name(self, list_id: ListId, cid: bytes) -> bytes:
        return self._vault.name("content", str(list_id), write_b64url(cid))

    def _aside_name(self, list_id: ListId, envelope: Envelope) -> bytes:
        """Name what is set aside: behind the content's own name, so that both are found by that."""
        cid = envelope.content_id
        parts = (str(list_id), write_b64url(cid), envelope.sender or "")
        return self._content_name(list_id, cid) + self._vault.name("sender", *parts)

    def _sealing_name(self, envelope: Envelope, key: Udf) -> bytes:
        """Name a group key, and behind it, what it opens an envelope by: no cid tells that."""
        to = next(each for each in envelope.recipients if each.kid == key)
        coordinates = (write_b64url(each) for each in (to.epk.x, to.epk.y))
        rest = (write_b64url(each) for each in (to.apu, to.apv, to.encrypted_key))
        parts = (to.wrap.alg, *coordinates, *rest, envelope.aad or "")
        return self._vault.name("key", key) + self._vault.name("sealing", *parts)

    def _open_post(self, post: PostId, sealed: Value) -> StoredPost:
        row = self._vault.unseal("posts", octets(sealed), row=post_row(post))
        return _read_post(read_json(row, limit=ROW_OCTETS))

    def _of(self, list_id: ListId, key: Udf) -> tuple[int, bytes]:
        return (list_id, self._vault.name("key", key))


def _piece(found: list[tuple[Value, ...]]) -> list[tuple[Value, ...]]:
    """Give the ids of the first posts of some, which have ERASED_OCTETS together; at least one."""
    sizes = accumulate(number(size) for _, size in found)
    many = bisect_left([*sizes], ERASED_OCTETS) + 1
    return [(id_,) for id_, _ in found[:many]]


def many_readers(list_id: ListId, rows: Iterator[tuple[Value, ...]]) -> Readers:
    """Read each member once, with its longest recryption: in a thread, and in pieces.

    For all else waits for what a thread does in one call, as of max().
    """
    members: list[MemberId] = []
    longest = 0
    while piece := [*islice(rows, SHARD_MEMBERS)]:
        members += [MemberId(number(member)) for member, _ in piece]
        longest = max(longest, max([number(own) for _, own in piece]))
    return Readers(list_id, members, longest)


async def _shards(post: int, members: Sequence[int]) -> list[tuple[Value, ...]]:
    """Part a post's members, in random order, into shards; many of them in a thread."""

    def parted() -> list[tuple[Value, ...]]:
        return [*shard_rows(post, _random.shuffled(members))]

    return parted() if len(members) <= SHARD_MEMBERS else await asyncio.to_thread(parted)


def _write_post(post: StoredPost) -> bytes:
    return write_json(
        {
            "header": post.header.decode("ascii"),
            "line": post.line.decode(),
            "line_octets": post.line_octets,
            "group_key": post.group_key,
            "epk": post.epk.jwk(),
            "notice": post.notice,
            "list_address": post.list_address,
            "accepted": seconds(post.accepted),
            "poster": post.poster,
            "held": post.held,
            "text": None if post.text is None else [*post.text],
        }
    )


def _read_post(row: JsonObject) -> StoredPost:
    # Rows of earlier versions have none of these.
    poster, held, text = row.get("poster"), row.get("held"), row.get("text")
    match row:
        case {
            "header": str(header),
            "line": str(line),
            "line_octets": int(line_octets),
            "group_key": str(group_key),
            "epk": dict(epk),
            "notice": bool(notice),
            "list_address": str(list_address),
            "accepted": int(accepted),
        }:
            return StoredPost(
                header=header.encode("ascii"),
                line=line.encode(),
                line_octets=line_octets,
                group_key=read_udf(group_key),
                epk=PublicKey.from_jwk(epk),
                notice=notice,
                list_address=list_address,
                accepted=datetime.fromtimestamp(accepted, UTC),
                poster=read_udf(poster) if isinstance(poster, str) else None,
                held=held if isinstance(held, int) else None,
                text=tuple(map(str, text)) if isinstance(text, list) else None,
            )
    raise Malformed("a post's row that isn't one")


def post_row(post: int) -> bytes:
    """Name a post's row, to which its sealed part is bound."""
    return f"{post}".encode("ascii")
