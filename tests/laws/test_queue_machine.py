"""The queue of a real store against a model that is a dict: nothing is lost, nor sent too often.

A crash leaves what stands in the store's files at that moment; the next server opens a copy.
"""

import asyncio
import shutil
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeVar

from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from listserver import copies
from listserver.addresses import ListAddress, Role
from listserver.delivering import Batch
from listserver.edges.sqlite import open_store
from listserver.edges.sqlite_rows import number, octets
from listserver.edges.sqlite_upkeep import Dropped, Retried, open_upkeep
from listserver.model import Claim, EntryRow, PostId, Record, Withdrawn
from recrypt_core.documents import Status
from recrypt_core.members import Member
from tests.builders import NOW, Group, new_membership
from tests.fakes import POSTER, Bench, FixedClock
from tests.laws.queue_house import ANSWERS, FAULT, NOTHING, SIZES, VAULT, Peer, Reader, start
from tests.laws.queue_model import ENDED, OPEN, Copy, Key, Model, Place
from tests.mails import mail, sealed
from tests.stored import half_of

T = TypeVar("T")

HOWS: Final = st.sampled_from([*ANSWERS, FAULT, NOTHING])
SOME: Final = st.integers(0, 2**16)  # which of those that there are
SPANS: Final = st.sampled_from([1, 299, 300, 4 * 3600, 24 * 3600, -24 * 3600])  # seconds


@dataclass
class Hands:
    """What a running server has in hand: batches not tried, outcomes not written."""

    claims: list[tuple[Batch, Claim]] = field(default_factory=list)
    records: list[tuple[Key, Record]] = field(default_factory=list)


class QueueMachine(RuleBasedStateMachine):
    """Posts, attempts, crashes and operators, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = start()
        self.loop = asyncio.new_event_loop()
        self.folder = TemporaryDirectory()
        self.lives = 0
        self.model = Model(NOW)
        self.clock = FixedClock()
        self.hands = Hands()
        self.readers = {each.id: each for each in self.begun.readers}
        self.status = dict.fromkeys(self.readers, Status.ACTIVE)
        self.damaged: dict[int, bytes] = {}
        file = self.next_file()
        file.write_bytes(self.begun.store)
        self.bench = self.run(self.open(file))

    def run(self, job: Coroutine[object, object, T]) -> T:
        """Run something of the server's to its end."""
        return self.loop.run_until_complete(job)

    def next_file(self) -> Path:
        """Name the store of the next server."""
        self.lives += 1
        folder = Path(self.folder.name) / f"{self.lives}"
        folder.mkdir()
        return folder / "store.db"

    async def open(self, file: Path) -> Bench:
        """Start a server."""
        store = await open_store(file, VAULT)
        return Bench(file, store, VAULT, self.clock, Peer())

    # --- what happens

    @rule(which=st.sampled_from(SIZES), shard=st.integers(1, 40))
    def post(self, which: int, shard: int) -> None:
        """Post to a list; its members stand in shards of so many."""
        at = SIZES.index(which)
        group = next(each.group for each in self.readers.values() if each.list_id == at + 1)
        served = [each for each in self.readers.values() if self.has_copy(each, at + 1)]
        assume(served)
        self.run(self._post(group, at, shard))
        ((post,),) = self.run(self.bench.rows("SELECT max(id) FROM posts"))
        for each in served:
            self.model.copies[number(post), each.id] = Copy()

    async def _post(self, group: Group, at: int, size: int) -> None:
        raw = mail(sealed(group.key.public).mmx())
        to = ListAddress(f"list{at}@lists.example", Role.POST)
        assert (await self.bench.posting.receive(raw, to, sender=POSTER)).positive
        async with self.bench.store.begin():
            rows = self.bench.store._rows
            ((shard, post, members),) = await rows.all(
                "SELECT id, post_id, members FROM shards ORDER BY id DESC LIMIT 1"
            )
            octets_ = octets(members)
            await rows.run("DELETE FROM shards WHERE id = ?", (shard,))
            await rows.many(
                "INSERT INTO shards (post_id, members, position) VALUES (?, ?, 0)",
                [(post, octets_[start : start + 6 * size])
                 for start in range(0, len(octets_), 6 * size)],
            )  # fmt: skip

    def has_copy(self, reader: Reader, list_id: int) -> bool:
        """Tell whether a member is to have a copy of a post of now."""
        return reader.list_id == list_id and self.status[reader.id] is Status.ACTIVE

    @rule(limit=st.integers(1, 12))
    def claim(self, limit: int) -> None:
        """Take some of what is due, of one post."""
        ready = self.model.ready()
        batch = self.run(self.bench.delivering.claim(limit))
        assert (batch is None) == (not ready)
        if batch is None:
            return
        assert 1 <= len(batch.claims) <= limit
        assert len({each.post for each in batch.claims}) == 1
        for claim in batch.claims:
            self.model.claim(claim)
            self.hands.claims.append((batch, claim))

    @precondition(lambda self: self.hands.claims)
    @rule(hows=st.lists(HOWS, min_size=1, max_size=12))
    def attempt(self, hows: list[str]) -> None:
        """Try some of the copies that were claimed; what came of it isn't written yet."""
        for how, (batch, claim) in zip(hows, self.hands.claims, strict=False):
            record = self.tried(batch, claim, how)
            self.hands.records.append(((claim.post, claim.member), record))
        del self.hands.claims[: len(hows)]

    def tried(self, batch: Batch, claim: Claim, how: str) -> Record:
        """Try a copy, and see that only who may have it was tried."""
        delivering, peer = self.bench.delivering, self.bench.courier
        if how == NOTHING:
            return delivering.untried(claim)
        assert isinstance(peer, Peer)
        peer.how, calls = how, peer.calls
        try:
            record = self.run(self.bench.attempt(batch.frame, claim))
        except ValueError as problem:  # as the relay has it
            record = delivering.faulted(claim, problem)
        is_served = self.status[claim.member] is Status.ACTIVE
        assert isinstance(record.outcome, Withdrawn) == (not is_served)
        assert peer.calls - calls == (is_served and claim.member not in self.damaged)
        if peer.calls > calls and how in ("taken", "cut after the dot"):
            self.model.take((claim.post, claim.member), in_doubt=how != "taken")
        return record

    @precondition(lambda self: self.hands.records)
    @rule(count=st.integers(1, 12))
    def record(self, count: int) -> None:
        """Write some outcomes together."""
        done, self.hands.records = self.hands.records[:count], self.hands.records[count:]
        self.write(done)

    def write(self, done: Sequence[tuple[Key, Record]]) -> None:
        """Write outcomes to the store, and to the model."""
        self.run(self.bench.delivering.record([record for _, record in done]))
        for key, record in done:
            self.model.record(key, record)

    @rule(every=st.integers(1, 4), how=HOWS.filter(NOTHING.__ne__), times=st.integers(1, 4))
    def turns(self, every: int, how: str, times: int) -> None:
        """Deliver all that is due, and again each time that what was put off is due."""
        failing = {member for member in self.readers if member % every == 0}
        for _ in range(times):
            self.turn(failing, how)
            if (due := self.model.next_due()) is not None:
                self.pass_time(seconds=due - self.model.seconds)

    def turn(self, failing: set[int], how: str) -> None:
        """Deliver all that is due; some members' copies fail, and delay nobody else's."""
        ready = self.model.ready()
        self.relay(failing, how)
        for (post, member), copy in ready.items():
            if member not in {*failing, *self.damaged}:
                is_served = self.status[member] is Status.ACTIVE
                wanted = Place.DELIVERED if is_served else Place.WITHDRAWN
                assert copy.place is wanted, (post, member)

    def relay(self, failing: set[int], how: str) -> None:
        """Deliver what is due, until nothing is."""
        while (batch := self.run(self.bench.delivering.claim(8))) is not None:
            done = []
            for claim in batch.claims:
                self.model.claim(claim)
                record = self.tried(batch, claim, how if claim.member in failing else "taken")
                done.append(((claim.post, claim.member), record))
            self.write(done)

    @rule(hows=st.lists(HOWS, max_size=12), in_midst=st.booleans())
    def crash(self, hows: list[str], in_midst: bool) -> None:
        """Die with copies under way, perhaps in the midst of writing outcomes, and start again."""
        self.claim(limit=12)
        self.attempt(hows=hows)
        file = self.next_file()
        old = self.bench
        self.run(self._leave(file, in_midst=in_midst))
        self.hands = Hands()
        self.bench = self.run(self.open(file))
        self.run(old.store.close())
        under_way = sum(each.place is Place.CLAIMED for each in self.model.copies.values())
        self.model.crash()
        assert self.run(self.bench.delivering.recover()) <= under_way

    async def _leave(self, file: Path, *, in_midst: bool) -> None:
        """Take the files as they are while a transaction is open."""
        async with self.bench.store.begin() as work:
            if in_midst:
                await work.record([record for _, record in self.hands.records])
            for each in self.bench.file.parent.glob("store.db*"):
                if not each.name.endswith("-shm"):
                    shutil.copy(each, file.with_name(each.name))

    @rule(seconds=SPANS)
    def pass_time(self, seconds: int) -> None:
        """Let the clock go on, or be set back."""
        self.clock.advance(timedelta(seconds=seconds))
        self.model.advance(timedelta(seconds=seconds))

    @rule(some=SOME, status=st.sampled_from(Status))
    def change_member(self, some: int, status: Status) -> None:
        """Suspend, remove or take back a member, as a change of the list does."""
        reader = self.some_reader(some)
        keys = () if status is Status.REVOKED else (reader.group.key,)
        made = new_membership(reader.person, *keys, status=status)
        rows = []
        if keys:
            half = half_of(made)
            rows = [EntryRow(half, copies.recryption_octets(half))]
        self.run(self._put(reader, Member(made.entry, reader.person.verified), rows))
        self.status[reader.id] = status
        self.damaged.pop(reader.id, None)

    async def _put(self, reader: Reader, member: Member, rows: list[EntryRow]) -> None:
        async with self.bench.store.begin() as work:
            await work.put_members(reader.list_id, [(member, rows)])

    @rule(some=SOME)
    def damage_an_entry(self, some: int) -> None:
        """Spoil a member's row, as a bad disk does."""
        reader = self.some_reader(some)
        assume(reader.id not in self.damaged and self.status[reader.id] is Status.ACTIVE)
        ((sealed_, _),) = self.run(self.entry(reader.id, b"\0" * 99))
        self.damaged[reader.id] = octets(sealed_)

    @precondition(lambda self: self.damaged)
    @rule()
    def mend_entries(self) -> None:
        """Give the rows back."""
        while self.damaged:
            self.run(self.entry(*self.damaged.popitem()))

    async def entry(self, member: int, value: bytes) -> list[tuple[bytes | int | str | None, ...]]:
        """Set the sealed part of a member's entry; give what was there."""
        async with self.bench.store.begin():
            rows = self.bench.store._rows
            found = await rows.all("SELECT sealed, id FROM entries WHERE member_id = ?", (member,))
            await rows.run("UPDATE entries SET sealed = ? WHERE member_id = ?", (value, member))
            return found

    # --- operators and administrators

    @precondition(lambda self: self.model.copies)
    @rule(some=SOME, all_=st.booleans())
    def retry(self, some: int, all_: bool) -> None:
        """Try again what was given up or is held."""
        post = None if all_ else self.some_post(some)
        with open_upkeep(self.bench.file, VAULT) as upkeep:
            done = upkeep.retry(None if post is None else PostId(post), self.model.now)
        assert done == Retried(self.model.retry(post), 0, 0)

    @precondition(lambda self: self.model.copies)
    @rule(some=SOME, busy=st.booleans())
    def drop(self, some: int, busy: bool) -> None:
        """End a post, perhaps with copies under way."""
        if busy:
            self.claim(limit=1)
        claimed = [claim.post for _, claim in self.hands.claims]
        post = claimed[-1] if busy and claimed else self.some_post(some)
        is_there = any(each.place not in ENDED for each in self.model.of(post).values())
        with open_upkeep(self.bench.file, VAULT) as upkeep:
            done = upkeep.drop(PostId(post), self.model.now)
        assert done == (Dropped(*self.model.drop(post)) if is_there else None)

    @rule()
    def keep_house(self) -> None:
        """Erase what was dropped and is under way no more; nothing else is old enough."""
        assert not self.run(self.bench.erasing.erase())
        self.model.keep_house()

    @precondition(lambda self: self.model.copies)
    @rule(some=SOME)
    def redeliver(self, some: int) -> None:
        """Put a member's missed posts in the queue again, as an administrator may ask."""
        reader = self.some_reader(some)
        assume(self.status[reader.id] is not Status.REVOKED)
        count = self.run(self._redeliver(reader))
        assert count == self.model.redeliver(reader.id)

    async def _redeliver(self, reader: Reader) -> int:
        async with self.bench.store.begin() as work:
            return await work.redeliver(
                reader.list_id, reader.person.udf, NOW - timedelta(days=99), self.model.now
            )

    def some_reader(self, some: int) -> Reader:
        """Choose a member, of those with open copies if there are any."""
        copies_ = self.model.copies.items()
        ids = sorted({key[1] for key, copy in copies_ if copy.place in OPEN}) or [*self.readers]
        return self.readers[ids[some % len(ids)]]

    def some_post(self, some: int) -> int:
        """Choose a post."""
        posts = sorted({post for post, _ in self.model.copies})
        return posts[some % len(posts)]

    # --- what always holds

    @invariant()
    def every_copy_is_in_the_one_place_where_the_model_has_it(self) -> None:
        """Compare all rows; what has ended has none."""
        found: dict[Key, tuple[object, ...]] = {}
        for post, members, position in self.run(
            self.bench.rows("SELECT post_id, members, position FROM shards")
        ):
            ids = octets(members)[6 * number(position) :]
            for at in range(0, len(ids), 6):
                key = number(post), int.from_bytes(ids[at : at + 6], "big")
                assert key not in found
                found[key] = (Place.SHARD,)
        for post, member, *row in self.run(
            self.bench.rows(
                "SELECT post_id, member_id, state, attempts, faults, due FROM deliveries"
            )
        ):
            key = number(post), number(member)
            assert key not in found
            found[key] = (Place(row[0]), *row[1:3], row[3] if row[0] == 0 else None)
        assert found == {
            key: copy.row() for key, copy in self.model.copies.items() if copy.place not in ENDED
        }

    @invariant()
    def nobody_has_a_copy_more_often_than_doubts_allow(self) -> None:
        """Once, and once more for each crash, cut or request."""
        for copy in self.model.copies.values():
            assert copy.taken <= copy.allowed
            assert copy.taken or copy.place is not Place.DELIVERED

    @invariant()
    def the_operator_sees_what_there_is(self) -> None:
        """Compare the counts of `listserver queue`, and when there is something to do."""
        with open_upkeep(self.bench.file, VAULT) as upkeep:
            shown = upkeep.queue(self.model.now)
        counts = {
            each.id: (each.waiting, each.under_way, each.put_off, each.given_up, each.held)
            for each in shown
        }
        wanted = {post: self.model.counts(post) for post, _ in self.model.copies}
        assert counts == {post: each for post, each in wanted.items() if any(each)}
        assert {each.id for each in shown if each.stopped} == self.model.stopped & {*counts}
        due = self.run(self._next_due())
        assert due == self.model.next_due()

    async def _next_due(self) -> int | None:
        async with self.bench.store.begin() as work:
            due = await work.next_due(self.model.now)
        return None if due is None else int(due.timestamp())

    def teardown(self) -> None:
        """See that all that is left can be delivered, and end."""
        try:
            self.crash(hows=[], in_midst=False)
            self.mend_entries()
            self.keep_house()
            self.retry(some=0, all_=True)
            self.pass_time(seconds=5 * 24 * 3600)
            self.relay(set(), "taken")
            assert all(each.place in ENDED for each in self.model.copies.values())
            assert self.model.next_due() is None
        finally:
            self.run(self.bench.store.close())
            self.loop.close()
            self.folder.cleanup()


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)
