"""A post to many members: what of it is done on the event loop, which everybody waits for."""

import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from struct import unpack

import pytest

from listserver.edges import sqlite_posts
from listserver.edges.sqlite_queue import shard_rows
from listserver.edges.sqlite_rows import Value
from listserver.limits import SHARD_MEMBERS
from recrypt_core import _random
from tests.builders import new_group, new_person
from tests.fakes import Bench, open_bench
from tests.lists import new_list_of
from tests.mails import mail, sealed

MEMBERS = 6_000
STEPS = 1000  # of SQLite's machine, between two looks

# Copies of Alice, with one entry each, but every tenth with two.
MORE_MEMBERS = (
    "WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
    " INSERT INTO members (id, list_id, name, served, powerful, active, sealed)"
    " SELECT i, list_id, randomblob(32), 1, 0, 1, sealed FROM members, n WHERE id = 1"
)
THEIR_ENTRIES = (
    "INSERT INTO entries (member_id, key_name, half_name, own_octets, sealed)"
    " SELECT members.id, key_name, randomblob(32), own_octets, entries.sealed"
    " FROM members, entries WHERE entries.member_id = 1 AND members.id > 1 AND members.id % ? = 0"
)


async def many_members(bench: Bench) -> bytes:
    """Create a list of many, and give a post to it."""
    team = await new_list_of(bench, new_group(), new_person("alice@example.org"))
    async with bench.store.begin():
        await bench.store._rows.run(MORE_MEMBERS, (MEMBERS,), large=True)
        for each in (10, 1):
            await bench.store._rows.run(THEIR_ENTRIES, (each,), large=True)
    return mail(sealed(team.key.public).mmx())


async def queued(bench: Bench) -> list[int]:
    """Read whom copies wait for, in their order."""
    found = []
    for (packed,) in await bench.rows("SELECT members FROM shards ORDER BY id"):
        assert isinstance(packed, bytes)
        each = [packed[at : at + 6] for at in range(0, len(packed), 6)]
        found += [unpack(">Q", bytes(2) + octets)[0] for octets in each]
    return found


@pytest.mark.asyncio
async def test_each_of_many_members_stands_once_in_the_queue_in_random_order(
    tmp_path: Path,
) -> None:
    async with open_bench(tmp_path) as bench:
        assert (await bench.post(await many_members(bench))).positive
        members = await queued(bench)
        assert sorted(members) == [*range(1, MEMBERS + 1)]
        assert sum(b > a for a, b in pairwise(members)) < MEMBERS * 0.55
        shards = await bench.rows("SELECT length(members) / 6 FROM shards ORDER BY id")
        assert shards == [(SHARD_MEMBERS,)] * (MEMBERS // SHARD_MEMBERS)


class Watch:
    """Notes what is done on the event loop, where it is made, and what elsewhere."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.here: Counter[str] = Counter()
        self.there: Counter[str] = Counter()
        self.most_sorted = 0
        self._loop = threading.get_ident()
        monkeypatch.setattr(_random, "sorted", self._sorted, raising=False)
        monkeypatch.setattr(sqlite_posts, "shard_rows", self._shard_rows)

    def note(self, what: str) -> None:
        """Note it."""
        (self.here if threading.get_ident() == self._loop else self.there)[what] += 1

    def _sorted(self, items: Iterable[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
        self.note("sorted")
        found = sorted(items)
        self.most_sorted = max(self.most_sorted, len(found))
        return found

    def _shard_rows(self, post: int, members: Sequence[int]) -> Iterable[tuple[Value, ...]]:
        self.note("parted")
        return shard_rows(post, members)


@pytest.mark.asyncio
async def test_what_is_over_many_members_is_done_in_a_thread_and_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_bench(tmp_path) as bench:
        raw = await many_members(bench)
        watch = Watch(monkeypatch)
        connection: sqlite3.Connection = bench.store._rows._connection
        connection.set_progress_handler(lambda: watch.note("steps"), STEPS)
        assert (await bench.post(raw)).positive
        connection.set_progress_handler(None, 0)
    assert watch.there["parted"] == 1
    assert watch.there["sorted"] > 1
    assert watch.most_sorted <= 4096
    assert watch.there["steps"] * STEPS > 5 * MEMBERS
    assert not watch.here["parted"] + watch.here["sorted"]
    assert watch.here["steps"] * STEPS < 25 * SHARD_MEMBERS
