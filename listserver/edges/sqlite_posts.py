"""Posts, their deliveries, and what a list remembers of its posts: the rows and their SQL."""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import IntEnum

from listserver.edges.sqlite_groups import ROW_OCTETS, read_half
from listserver.edges.sqlite_rows import Rows, Value, number, octets
from listserver.model import (
    Claim,
    DeliveryId,
    ListId,
    MemberId,
    PostId,
    Record,
    StoredPost,
    Withdrawn,
)
from listserver.outcomes import Delivered, GaveUp, TryLater
from listserver.vault import Vault
from recrypt_core import _random
from recrypt_core.encoding import JsonObject, read_json, write_b64url, write_json
from recrypt_core.errors import Malformed
from recrypt_core.keys import PublicKey
from recrypt_core.udf import Udf, read_udf


class _State(IntEnum):
    """Of a delivery; below DELIVERED it is open."""

    DUE = 0
    CLAIMED = 1
    DELIVERED = 2
    GIVEN_UP = 3
    WITHDRAWN = 4


# Who is to have a copy: ACTIVE with RECRYPT, and with an entry for the post's key (spec §7).
_READERS = (
    " FROM entries e JOIN members m ON m.id = e.member_id"
    " WHERE m.list_id = ? AND m.served AND e.key_name = ?"
)


class PostTables:
    """The part of `Work` that posts and the relay use."""

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

    async def enqueue(self, list_id: ListId, post: StoredPost, ciphertext: bytes) -> int:
        of = self._of(list_id, post.group_key)
        found = await self._rows.all(f"SELECT DISTINCT m.id{_READERS}", of)
        members = [number(row[0]) for row in found]
        if not members:
            return 0
        _random.shuffle(members)
        accepted = _seconds(post.accepted)
        post_id = await self._rows.insert(
            "INSERT INTO posts (list_id, key_name, accepted, sealed, ciphertext)"
            " VALUES (?, ?, ?, ?, ?)",
            (*of, accepted, self._vault.seal("posts", _write_post(post)), ciphertext),
        )
        await self._rows.many(
            "INSERT INTO deliveries (post_id, member_id, state, attempts, due)"
            " VALUES (?, ?, ?, 0, ?)",
            [(post_id, member, _State.DUE, accepted) for member in members],
        )
        return len(members)

    # --- the relay

    async def release_claims(self) -> int:
        return await self._rows.run(
            "UPDATE deliveries SET state = ? WHERE state = ?", (_State.DUE, _State.CLAIMED)
        )

    async def claim(self, now: datetime, limit: int) -> tuple[Claim, ...]:
        first = await self._rows.all(
            "SELECT post_id FROM deliveries WHERE state = 0 AND due <= ? ORDER BY due, id LIMIT 1",
            (_seconds(now),),
        )
        if not first:
            return ()
        found = await self._rows.all(
            "SELECT id, post_id, member_id, attempts + 1 FROM deliveries"
            " WHERE state = 0 AND due <= ? AND post_id = ? ORDER BY due, id LIMIT ?",
            (_seconds(now), first[0][0], limit),
        )
        await self._rows.many(
            "UPDATE deliveries SET state = ?, attempts = attempts + 1 WHERE id = ?",
            [(_State.CLAIMED, row[0]) for row in found],
        )
        return tuple([await self._claim(*map(number, row)) for row in found])

    async def read_post(self, post: PostId) -> tuple[StoredPost, bytes]:
        found = await self._rows.all("SELECT sealed, ciphertext FROM posts WHERE id = ?", (post,))
        sealed, ciphertext = found[0]
        opened = read_json(self._vault.unseal("posts", octets(sealed)), limit=ROW_OCTETS)
        return _read_post(opened), octets(ciphertext)

    async def record(self, records: Sequence[Record]) -> None:
        await self._rows.many(
            "UPDATE deliveries SET state = ?, due = coalesce(?, due), sealed = ? WHERE id = ?",
            [self._record_row(each) for each in records],
        )
        await self._rows.many(
            "UPDATE posts SET ciphertext = NULL WHERE id = ? AND NOT EXISTS"
            " (SELECT 1 FROM deliveries WHERE post_id = posts.id AND state < 2)",
            [(post,) for post in {each.post for each in records}],
        )

    async def next_due(self) -> datetime | None:
        found = await self._rows.all("SELECT min(due) FROM deliveries WHERE state = 0")
        due = found[0][0]
        return None if due is None else datetime.fromtimestamp(number(due), UTC)

    # --- rows

    def _of(self, list_id: ListId, key: Udf) -> tuple[int, bytes]:
        return (list_id, self._vault.name("key", key))

    async def _claim(self, delivery: int, post: int, member: int, attempts: int) -> Claim:
        found = await self._rows.all(
            "SELECT e.sealed, e.half_name FROM entries e JOIN members m ON m.id = e.member_id"
            " WHERE m.id = ? AND m.served"
            " AND e.key_name = (SELECT key_name FROM posts WHERE id = ?) ORDER BY e.id LIMIT 1",
            (member, post),
        )
        half = read_half(self._vault, octets(found[0][0]), octets(found[0][1])) if found else None
        return Claim(DeliveryId(delivery), PostId(post), MemberId(member), attempts, half)

    def _record_row(self, record: Record) -> tuple[Value, ...]:
        words = self._vault.seal("deliveries", record.words.encode()) if record.words else None
        match record.outcome:
            case Delivered():
                return (_State.DELIVERED, None, None, record.id)
            case TryLater(due):
                return (_State.DUE, _seconds(due), words, record.id)
            case GaveUp():
                return (_State.GIVEN_UP, None, words, record.id)
            case Withdrawn():
                return (_State.WITHDRAWN, None, None, record.id)


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
            "accepted": _seconds(post.accepted),
        }
    )


def _read_post(row: JsonObject) -> StoredPost:
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
            )
    raise Malformed("a post's row that isn't one")


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
