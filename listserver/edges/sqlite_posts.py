"""Posts, and what a list remembers of them: the rows and their SQL."""

import asyncio
from datetime import UTC, datetime, timedelta

from listserver.edges.sqlite_queue import seconds, shard_rows
from listserver.edges.sqlite_rows import Rows, Value, number, octets
from listserver.edges.sqlite_signers import ROW_OCTETS
from listserver.limits import SHARD_MEMBERS, TOKEN_LIFE
from listserver.model import ListId, PostId, StoredPost
from listserver.vault import Vault
from recrypt_core import _random
from recrypt_core.encoding import JsonObject, read_json, write_b64url, write_json
from recrypt_core.errors import Malformed
from recrypt_core.keys import PublicKey
from recrypt_core.udf import Udf, read_udf

# Who is to have a copy: ACTIVE with RECRYPT, and with an entry for the post's key (spec §7).
_READERS = (
    " FROM entries e JOIN members m ON m.id = e.member_id"
    " WHERE m.list_id = ? AND m.served AND m.off IS NULL AND e.key_name = ?"
)

# The last post stays, so that its number is never another's, and no old return path counts for it.
_OLD = (
    "SELECT id FROM posts WHERE accepted <= ? AND NOT open"
    " AND NOT EXISTS (SELECT 1 FROM ciphertexts WHERE post_id = id)"
    " AND id < (SELECT max(id) FROM posts) LIMIT 1000"
)


class PostTables:
    """The part of `Work` that posts use."""

    def __init__(self, rows: Rows, vault: Vault) -> None:
        self._rows = rows
        self._vault = vault

    # --- posts

    async def has_entries(self, list_id: ListId, key: Udf) -> bool:
        return bool(await self._rows.all(f"SELECT 1{_READERS} LIMIT 1", self._of(list_id, key)))

    async def longest_own(self, list_id: ListId, key: Udf) -> int:
        found = await self._rows.all(f"SELECT max(e.own_octets){_READERS}", self._of(list_id, key))
        return number(found[0][0] or 0)

    async def take_content(self, list_id: ListId, cid: bytes, key: Udf) -> bool:
        name = self._vault.name("content", str(list_id), write_b64url(cid))
        taken = await self._rows.run(
            "INSERT OR IGNORE INTO contents VALUES (?, ?)", (name, self._vault.name("key", key))
        )
        return taken == 1

    async def had_message_id(self, list_id: ListId, message_id: str) -> bool:
        name = self._vault.name("message-id", str(list_id), message_id)
        return bool(await self._rows.all("SELECT 1 FROM message_ids WHERE id_name = ?", (name,)))

    async def take_message_id(self, list_id: ListId, message_id: str) -> None:
        name = self._vault.name("message-id", str(list_id), message_id)
        await self._rows.run("INSERT OR IGNORE INTO message_ids VALUES (?)", (name,))

    async def enqueue(
        self, list_id: ListId, post: StoredPost, ciphertext: bytes, *, keep_until: datetime
    ) -> int:
        of = self._of(list_id, post.group_key)
        found = await self._rows.all(f"SELECT m.id{_READERS}", of)
        members = [number(row[0]) for row in set(found)]  # DISTINCT takes SQLite a table
        if len(members) <= SHARD_MEMBERS:
            _random.shuffle(members)
        else:
            await asyncio.to_thread(_random.shuffle, members)  # a million takes a second
        post_id = number((await self._rows.all("SELECT coalesce(max(id), 0) + 1 FROM posts"))[0][0])
        sealed = self._vault.seal("posts", _write_post(post), row=post_row(post_id))
        await self._rows.run(
            "INSERT INTO posts (id, list_id, key_name, accepted, open, told, sealed)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                post_id,
                *of,
                seconds(post.accepted),
                int(bool(members)),
                int(post.poster is None),
                sealed,
            ),
        )
        await self._rows.run(
            "INSERT INTO ciphertexts VALUES (?, ?, ?)",
            (post_id, seconds(keep_until), ciphertext),
        )
        await self._rows.many(
            "INSERT INTO shards (post_id, members, position) VALUES (?, ?, 0)",
            shard_rows(post_id, members),
        )
        return len(members)

    async def read_post(self, post: PostId) -> tuple[StoredPost, bytes]:
        found = await self._rows.all(
            "SELECT sealed, octets FROM posts JOIN ciphertexts ON post_id = id WHERE id = ?",
            (post,),
        )
        sealed, ciphertext = found[0]
        return self._open_post(post, sealed), octets(ciphertext)

    async def keep_posts(self, list_id: ListId, time: timedelta) -> None:
        await self._rows.run(
            "UPDATE ciphertexts SET keep_until ="
            " (SELECT accepted FROM posts WHERE id = post_id) + ?"
            " WHERE post_id IN (SELECT id FROM posts WHERE list_id = ?)",
            (time // timedelta(seconds=1), list_id),
            large=True,
        )

    async def erase_old(self, now: datetime) -> None:
        await self._rows.run(
            "DELETE FROM ciphertexts WHERE keep_until <= ?"
            " AND EXISTS (SELECT 1 FROM posts WHERE id = post_id AND NOT open)",
            (seconds(now),),
            large=True,
        )
        found = await self._rows.all(_OLD, (seconds(now - TOKEN_LIFE),))
        await self._rows.many("DELETE FROM deliveries WHERE post_id = ?", found, large=True)
        await self._rows.many("DELETE FROM posts WHERE id = ?", found)

    # --- rows

    def _open_post(self, post: PostId, sealed: Value) -> StoredPost:
        row = self._vault.unseal("posts", octets(sealed), row=post_row(post))
        return _read_post(read_json(row, limit=ROW_OCTETS))

    def _of(self, list_id: ListId, key: Udf) -> tuple[int, bytes]:
        return (list_id, self._vault.name("key", key))


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
        }
    )


def _read_post(row: JsonObject) -> StoredPost:
    poster = row.get("poster")  # rows of the first schema have none
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
            )
    raise Malformed("a post's row that isn't one")


def post_row(post: int) -> bytes:
    """Name a post's row, to which its sealed part is bound."""
    return f"{post}".encode("ascii")
