"""The queue: shards, what is in flight, put off, given up or held; the rows and their SQL.

A post's members stand in shards. A claim moves a shard's position and writes a row for each
member that it took; an outcome ends the row, puts it off, or keeps it for people to see. So a
crash repeats what was in flight and nothing else, and a million members cost a thousand rows.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import IntEnum
from functools import partial
from struct import pack
from typing import Final

from listserver.edges.sqlite_halves import Halves
from listserver.edges.sqlite_rows import Rows, Value, moment, moment_or_long_ago, number, octets
from listserver.limits import BUSY_POSTS, FAULT_DELAY, FAULTS, LONGEST_DELAY, SHARD_MEMBERS
from listserver.model import (
    Claim,
    DeliveryId,
    Faulted,
    Half,
    ListId,
    MemberId,
    PostId,
    Record,
    Untried,
    Withdrawn,
)
from listserver.outcomes import Delivered, GaveUp, TryLater
from listserver.vault import Vault
from recrypt_core.udf import Udf

_ID_OCTETS: Final = 6
_LATE_POSTS: Final = 10_000  # ours: the most that one request puts in the queue


class _State(IntEnum):
    """Of a delivery that has a row; below GIVEN_UP it is open."""

    DUE = 0
    CLAIMED = 1
    GIVEN_UP = 2
    HELD = 3


# Posts in the queue, but for those of lists that the operator has stopped.
_OPEN: Final = (
    " FROM posts WHERE open AND NOT held"
    " AND list_id NOT IN (SELECT id FROM lists WHERE suspended NOT NULL)"
)
# Those with something to do, by its time; what is due too far off is known by its rows alone.
_TIMELY: Final = f"SELECT id{_OPEN} AND next_due <= ? LIMIT ?"
_FAR_ROWS: Final = " FROM (SELECT post_id FROM deliveries WHERE state = 0 AND due > ?"
_IS_OPEN: Final = f"EXISTS (SELECT 1{_OPEN} AND posts.id = post_id)"
_FAR: Final = f"SELECT DISTINCT post_id{_FAR_ROWS} AND {_IS_OPEN} LIMIT ?)"
# Where there are many, they aren't far from each other by number.
_HAS_FAR_ROWS: Final = (
    "EXISTS (SELECT 1 FROM deliveries WHERE post_id = posts.id AND state = 0 AND due > ?)"
)
_NEXT: Final = f"SELECT min(id){_OPEN} AND id > ? AND (next_due <= ? OR {_HAS_FAR_ROWS})"
# Triggers see to what comes to be due, so that commands needn't; a claim, to what no longer is.
_CLAIMED: Final = (
    "UPDATE posts SET next_due = (SELECT min(due) FROM deliveries WHERE post_id = posts.id"
    " AND state = 0) WHERE id = ? AND NOT EXISTS (SELECT 1 FROM shards WHERE post_id = posts.id)"
)

_END: Final = "DELETE FROM deliveries WHERE id IN (SELECT value FROM json_each(?))"

# A post of which nothing is left to do.
_CLOSE: Final = (
    "UPDATE posts SET open = 0 WHERE id = ? AND NOT EXISTS"
    " (SELECT 1 FROM shards WHERE post_id = posts.id) AND NOT EXISTS"
    " (SELECT 1 FROM deliveries WHERE post_id = posts.id AND state != 2)"
)

# Of one post, what is due; and what is due too far off, each by its index.
_ROWS: Final = (
    "SELECT id, member_id, attempts + 1,"
    " coalesce(since, (SELECT accepted FROM posts WHERE id = post_id)) FROM deliveries"
)
_LATE: Final = (
    f"{_ROWS} WHERE post_id = ? AND state = 0 AND due <= ? ORDER BY due, id LIMIT ?",
    f"{_ROWS} WHERE post_id = ? AND state = 0 AND due > ? ORDER BY due, id LIMIT ?",
)

# Of a list, what is kept of late, that a member has an entry for and that isn't open for it; what
# waits for a decision, for moderators alone.
_MISSED: Final = (
    "SELECT id FROM posts WHERE list_id = ? AND accepted >= ? AND NOT held AND NOT erased"
    " AND (NOT review OR (SELECT powerful FROM members WHERE id = ?))"
    " AND EXISTS (SELECT 1 FROM entries WHERE member_id = ? AND key_name = posts.key_name)"
    " AND NOT EXISTS (SELECT 1 FROM deliveries"
    " WHERE post_id = posts.id AND member_id = ? AND state != 2) ORDER BY id LIMIT ?"
)
# The key that a post is sealed to, and whether it is for moderators alone; unless its list is
# stopped.
_SERVED_BY: Final = (
    "SELECT key_name, review FROM posts JOIN lists ON lists.id = list_id"
    " WHERE posts.id = ? AND suspended IS NULL"
)
# Of those who are to have it now; a member with some devices has as many entries.
_HALVES: Final = (
    "SELECT m.id, e.id, coalesce(m.stays, 0), e.sealed, e.half_name FROM json_each(?3)"
    " CROSS JOIN members m ON m.id = value"  # in this order: else it begins at all of the key
    " CROSS JOIN entries e ON e.member_id = m.id AND e.key_name = ?1"
    " WHERE m.served AND m.off IS NULL AND m.paused IS NULL AND m.leaving IS NULL"
    " AND (NOT ?2 OR m.powerful)"
)
_UNBEGUN: Final = (
    "SELECT post_id, members, position FROM posts JOIN shards ON post_id = posts.id"
    " WHERE list_id = ? AND accepted >= ?"
)


# A row for each of these members, in their order.
_TAKE: Final = (
    "INSERT OR IGNORE INTO deliveries (post_id, member_id, state, attempts, faults, due, since)"
    " SELECT ?1, m.id, 1, 1, 0, ?2, ?2 FROM json_each(?3) JOIN members m ON m.id = value"
    " ORDER BY key RETURNING id, member_id, attempts, since"
)


class QueueTables:
    """The part of `Work` that the relay uses."""

    def __init__(self, rows: Rows, vault: Vault, halves: Halves) -> None:
        self._rows = rows
        self._vault = vault
        self._halves = halves

    async def release_claims(self) -> int:
        await self._rows.run(
            "UPDATE deliveries SET state = ?, faults = faults + 1"
            " WHERE state = ? AND faults + 1 >= ?",
            (_State.HELD, _State.CLAIMED, FAULTS),
        )
        # The third time comes later: a server that dies for another reason does so again at once.
        return await self._rows.run(
            "UPDATE deliveries SET state = ?, due = due + faults * ?, faults = faults + 1"
            " WHERE state = ?",
            (_State.DUE, int(FAULT_DELAY.total_seconds()), _State.CLAIMED),
        )

    async def busy_post(self, now: datetime, after: PostId) -> PostId | None:
        bounds = due_bounds(now)
        few = [
            number(row[0])
            for statement, bound in zip((_TIMELY, _FAR), bounds, strict=True)
            for row in await self._rows.all(statement, (bound, BUSY_POSTS))
        ]
        if len(few) < BUSY_POSTS:
            found = min((id_ for id_ in few if id_ > after), default=min(few, default=None))
            return None if found is None else PostId(found)
        for start in (after, 0):
            ((next_,),) = await self._rows.all(_NEXT, (start, *bounds))
            if next_ is not None:
                return PostId(number(next_))
        return None

    async def hold_post(self, post: PostId) -> None:
        await self._rows.run(
            "UPDATE posts SET held = 1 WHERE id = ? AND open AND NOT erased AND NOT dropped",
            (post,),
        )

    async def claim(self, post: PostId, now: datetime, limit: int) -> tuple[Claim, ...]:
        fresh = await self._claim_fresh(post, now, limit)
        late: list[tuple[Value, ...]] = []
        for statement, bound in zip(_LATE, due_bounds(now), strict=True):
            room = limit - len(fresh) - len(late)
            late += await self._rows.all(statement, (post, bound, room))
        await self._rows.many(
            "UPDATE deliveries SET state = ?, attempts = attempts + 1, due = ? WHERE id = ?",
            [(_State.CLAIMED, seconds(now), row[0]) for row in late],
        )
        await self._rows.run(_CLAIMED, (post,))
        if not fresh and not late:  # and so no outcome will come
            await self._rows.run(_CLOSE, (post,))
        return tuple(
            Claim(
                DeliveryId(number(id_)),
                post,
                MemberId(number(member)),
                number(attempts),
                moment_or_long_ago(since),
            )
            for id_, member, attempts, since in (*fresh, *late)
        )

    async def halves_of(
        self, post: PostId, members: Sequence[MemberId]
    ) -> Sequence[Half | None] | None:
        found = await self._rows.all(_SERVED_BY, (post,))
        if not found:
            return None
        rows = await self._rows.all(_HALVES, (*found[0], _listed(members)))
        rows.sort(key=lambda row: number(row[1]), reverse=True)  # of each, its first entry counts
        halves = {
            member: self._halves.read(octets(sealed), octets(name), stays=number(stays))
            for member, _, stays, sealed, name in rows
        }
        return [halves.get(member) for member in members]

    async def record(self, records: Sequence[Record]) -> None:
        rows = [self._record_row(each) for each in records]
        await self._rows.many(
            "UPDATE deliveries SET due = coalesce(?2, due), faults = faults + ?3,"
            " attempts = attempts - ?4, sealed = ?5,"
            " state = iif(?1 = 0 AND faults + ?3 >= ?7, 3, ?1) WHERE id = ?6",
            [(*row, FAULTS) for row in rows if row[0] is not None],
        )
        ended = [number(row[-1]) for row in rows if row[0] is None]
        if ended:
            await self._rows.run(_END, (_listed(ended),))
        taken = Counter(each.post for each in records if isinstance(each.outcome, Delivered))
        await self._rows.many(
            "UPDATE posts SET delivered = delivered + ? WHERE id = ?",
            [(count, post) for post, count in taken.items()],
        )
        await self._rows.many(_CLOSE, [(post,) for post in {each.post for each in records}])

    async def redeliver(self, list_id: ListId, member: Udf, since: datetime, now: datetime) -> int:
        name = self._vault.name("member", str(list_id), member)
        rows = await self._rows.all("SELECT id FROM members WHERE name = ?", (name,))
        if not rows:
            return 0
        of = (number(rows[0][0]),)
        missed = await self._rows.all(
            _MISSED, (list_id, seconds(since), *of, *of, *of, _LATE_POSTS)
        )
        begun = (list_id, seconds(since))
        waiting = await self._rows.read(_UNBEGUN, begun, partial(_posts_with, *of))
        posts = [row[0] for row in missed if row[0] not in waiting]
        await self._rows.many(
            "INSERT INTO deliveries (post_id, member_id, state, attempts, faults, due, since)"
            " VALUES (?, ?, 0, 0, 0, ?, ?) ON CONFLICT (post_id, member_id) DO UPDATE"
            " SET state = 0, attempts = 0, faults = 0, due = excluded.due, since = excluded.since,"
            " sealed = NULL, told = 0",
            [(post, *of, seconds(now), seconds(now)) for post in posts],
        )
        await self._rows.many("UPDATE posts SET open = 1 WHERE id = ?", [(post,) for post in posts])
        return len(posts)

    async def next_due(self, now: datetime) -> datetime | None:
        if await self.busy_post(now, PostId(0)) is not None:
            return now
        found = await self._rows.all(f"SELECT min(next_due){_OPEN}")
        due = found[0][0]
        return None if due is None else moment(due) or now

    async def _claim_fresh(
        self, post: PostId, now: datetime, limit: int
    ) -> list[tuple[Value, ...]]:
        """Move the position of the post's first shard, and write a row for each member taken."""
        found = await self._rows.all(
            "SELECT id, members, position FROM shards WHERE post_id = ? ORDER BY id LIMIT 1",
            (post,),
        )
        if not found:
            return []
        shard, packed, start = found[0]
        size, rest = divmod(len(octets(packed)), _ID_OCTETS)
        if rest or not 0 <= number(start) < size:
            raise ValueError("a shard that is damaged")
        begun, position = _ID_OCTETS * number(start), number(start) + limit
        taken = _unpacked(octets(packed)[begun : begun + _ID_OCTETS * limit])
        if position >= size:
            await self._rows.run("DELETE FROM shards WHERE id = ?", (shard,))
        else:
            await self._rows.run("UPDATE shards SET position = ? WHERE id = ?", (position, shard))
        # No member ever goes (spec §4): who isn't there, or twice, is a shard's damage.
        return await self._rows.returned(_TAKE, (post, seconds(now), _listed(taken)))

    def _record_row(self, record: Record) -> tuple[Value, ...]:
        """Give state, due, faults more, attempts less, words and id; no state is its end."""
        words = None
        if record.words:
            row = delivery_row(record.id)
            words = self._vault.seal("deliveries", record.words.encode(), row=row)
        match record.outcome:
            case Delivered() | Withdrawn():
                return (None, None, 0, 0, None, record.id)
            case TryLater(due):
                return (_State.DUE, seconds(due), 0, 0, words, record.id)
            case Untried(due):
                return (_State.DUE, None if due is None else seconds(due), 0, 1, None, record.id)
            case Faulted(due):
                return (_State.DUE, seconds(due), 1, 0, words, record.id)
            case GaveUp():
                return (_State.GIVEN_UP, None, 0, 0, words, record.id)


def shard_rows(post: int, members: Sequence[int]) -> Iterator[tuple[Value, ...]]:
    """Part a post's members, in the order given, into the rows of its shards."""
    for at in range(0, len(members), SHARD_MEMBERS):
        shard = members[at : at + SHARD_MEMBERS]
        yield (post, _packed(shard))


def delivery_row(delivery: DeliveryId) -> bytes:
    """Name a delivery's row, to which its sealed words are bound."""
    return f"{delivery}".encode("ascii")


def seconds(moment: datetime) -> int:
    """Give a time as the tables have it: seconds since 1970."""
    return int(moment.timestamp())


def due_bounds(now: datetime) -> tuple[int, int]:
    """Give the bounds of what is due.

    A time further off than the longest delay was written before the clock was set back.
    """
    return seconds(now), seconds(now + LONGEST_DELAY)


def _listed(numbers: Sequence[int]) -> str:
    """Write numbers as one value, for json_each."""
    return f"[{','.join(map(str, numbers))}]"


def _packed(members: Sequence[int]) -> bytes:
    """Write them one after the other: of each the last octets of eight."""
    wide = pack(f">{len(members)}Q", *members)
    packed = bytearray(_ID_OCTETS * len(members))
    for at in range(_ID_OCTETS):
        packed[at::_ID_OCTETS] = wide[8 - _ID_OCTETS + at :: 8]
    return bytes(packed)


def _posts_with(member: int, shards: Iterator[tuple[Value, ...]]) -> set[Value]:
    """Give the posts of these shards in which a member has its turn still to come."""
    return {
        post
        for post, packed, start in shards
        if member in _unpacked(octets(packed)[_ID_OCTETS * number(start) :])
    }


def _unpacked(members: bytes) -> list[int]:
    return [
        int.from_bytes(members[at : at + _ID_OCTETS], "big")
        for at in range(0, len(members), _ID_OCTETS)
    ]
