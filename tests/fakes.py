"""What stands in for the world outside: clock, log, courier; and a server on a real store."""

import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from listserver.addresses import ListAddress, Role
from listserver.answering import Answering
from listserver.bouncing import Bouncing
from listserver.carrying import Carrying
from listserver.copies import Frame
from listserver.delivering import Batch, Delivering
from listserver.edges.sqlite import SqliteStore, open_store
from listserver.erasing import Erasing, ErasingTime
from listserver.forwarding import Forwarding
from listserver.front_desk import FrontDesk
from listserver.greeting import Greetings
from listserver.holding import Holding
from listserver.joining import Joining
from listserver.leaving import LeaveKeeping, Leaving
from listserver.links import Links
from listserver.mailing import Mailing
from listserver.model import Claim, House, Record, Scoring
from listserver.notices import Notices
from listserver.outcomes import Accepted, Answer, Schedule
from listserver.owner_mail import OwnerMail
from listserver.ports import Courier, Errands, Outgoing
from listserver.posting import Posting
from listserver.probing import Probing
from listserver.receiving import Receiving
from listserver.replies import Reply
from listserver.signers import Signers
from listserver.store import Store, StoreTrouble, Work
from listserver.transactions import Transactions
from listserver.vault import Vault
from recrypt_core.messages import Request, Response, UpdateMember, write_message
from recrypt_core.signing import Jws, sign_request
from tests.builders import (
    EVERY_POWER,
    NOW,
    URL,
    Group,
    History,
    Membership,
    Person,
    create_message,
    new_membership,
    posted,
)

POST_OCTETS: Final = 200_000
POSTER: Final = "sender@example.org"  # of envelopes; nobody looks at who it is
TEAM_ADDRESS: Final = ListAddress("team@lists.example", Role.POST)
CONNECTIONS: Final = 2
TAKEN: Final = Accepted(250, "queued")
SECOND_DOMAIN: Final = "news.example"
OPERATOR: Final = "operator@mail.example"
SCORING: Final = Scoring(threshold=2, window_days=10, patience_days=7)
_VALUES: Final = re.compile(r"x?'[^']*'|-?\b\d+(\.\d+)?\b|\bNULL\b", re.IGNORECASE)


class FixedClock:
    """A clock that moves when it is told to."""

    def __init__(self, now: datetime = NOW) -> None:
        self._now = now
        self._steady = timedelta(0)

    def now(self) -> datetime:
        """Return the same moment until `advance`."""
        return self._now

    def steady(self) -> timedelta:
        """Return how much time has passed."""
        return self._steady

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self._now += by
        self._steady += max(by, timedelta(0))

    def jump(self, by: timedelta) -> None:
        """Set the clock, in no time."""
        self._now += by


class ListLog:
    """Keeps events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, int | str]]] = []

    def event(self, name: str, **counts: int | str) -> None:
        """Keep it."""
        self.events.append((name, counts))


class FakeRoom:
    """Has room until it is told otherwise."""

    there = True

    def has_room(self) -> bool:
        """Say what it was told."""
        return self.there


class ScriptedCourier:
    """Answers each recipient by its script, then with 250; keeps what it was given."""

    def __init__(self, scripts: Mapping[str, Sequence[Answer]] | None = None) -> None:
        self._scripts = {to: list(script) for to, script in (scripts or {}).items()}
        self.sent: list[Outgoing] = []

    def script(self, recipient: str, *answers: Answer) -> None:
        """Have the next mails to a recipient answered so."""
        self._scripts[recipient] = [*answers]

    async def deliver(self, mail: Outgoing) -> Answer:
        """Keep it, and give the next answer."""
        self.sent.append(mail)
        script = self._scripts.get(mail.recipient)
        return script.pop(0) if script else TAKEN

    async def carry(self, errands: Errands) -> None:
        """Deliver what is given, one after the other."""
        while (errand := errands()) is not None:
            try:
                answer: Answer | Exception = await self.deliver(errand.mail)
            except Exception as problem:  # noqa: BLE001 - as it is with a real one
                answer = problem
            errand.tell(answer)

    async def close(self) -> None:
        """Do nothing."""


class TroubledStore:
    """A store that fails the next transactions: begun and left, but never committed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.failures = 0

    def begin(self) -> AbstractAsyncContextManager[Work]:
        """Begin a transaction, which comes to nothing while there are failures left."""
        return self._begin()

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[Work]:
        async with self._store.begin() as work:
            yield work
            if self.failures:
                self.failures -= 1
                raise StoreTrouble("disk full")


@dataclass
class Bench:
    """A server without sockets: the flows on a real store."""

    file: Path
    store: SqliteStore
    vault: Vault
    clock: FixedClock
    courier: ScriptedCourier
    log: ListLog = field(default_factory=ListLog)
    post_octets: int = POST_OCTETS

    def __post_init__(self) -> None:
        house = House(
            "lists.example", URL, self.post_octets, OPERATOR, more_domains=(SECOND_DOMAIN,)
        )
        self.posting = Posting(house, self.store, self.clock, self.log)
        self.links = Links(self.vault, URL)
        self.delivering = self.delivering_by(self.store, self.courier)
        self.transactions = Transactions(
            house, self.store, self.clock, self.log, wake=self.posting.arrived.set
        )
        self.erasing_time = ErasingTime(self.store, self.clock, self.log)
        self.erasing = Erasing(self.store, self.erasing_time)
        self.mailing = Mailing(self.store, self.courier, self.clock, Schedule())
        self.bouncing = Bouncing(house, self.store, self.vault, self.clock, self.log)
        self.probing = Probing(self.store, self.vault, self.clock, self.log, scoring=SCORING)
        self.notices = Notices(house, self.store, self.clock, self.log, written=lambda: None)
        self.greetings = Greetings(house, self.store, self.clock, self.log)
        self.leaving = Leaving(house, self.store, self.vault, self.clock, self.log)
        self.left = LeaveKeeping(self.store, self.erasing_time, self.log)
        joining = Joining(house, self.store, Signers(house, self.store), lambda: None)
        answering = Answering(house, self.store, self.clock, self.log)
        signers = Signers(house, self.store)
        desk = FrontDesk(answering, joining, self.leaving, self.clock, self.log)
        desk.decide = Holding(house, self.store, signers, self.posting.arrived.set).decide_by_mail
        self.receiving = Receiving(
            self.posting,
            self.bouncing,
            Forwarding(house, self.store, self.clock, self.log, written=lambda: None),
            desk,
            OwnerMail(house, self.store, self.clock, self.log),
        )

    def delivering_by(self, store: Store, courier: Courier) -> Delivering:
        """Deliver from this store by this courier."""
        return Delivering(store, Carrying(courier, CONNECTIONS), self.links, self.clock, Schedule())

    async def authorize(self, person: Person) -> None:
        """Let somebody create groups."""
        async with self.store.begin() as work:
            await work.authorize(person.verified)

    async def send(self, change: Jws, *memberships: Membership) -> Response:
        """Send a signed request to the service, with its halves."""
        _, response = await self.transactions.answer(posted(change, *memberships), signed=True)
        return response

    async def ask(self, message: Request, by: Person) -> Response:
        """Send a request that is no change of a chain, signed."""
        key, now = by.online, self.clock.now()
        return await self.send(sign_request(write_message(message), key, url=URL, now=now))

    async def create(self, group: Group, *memberships: Membership, authorised: Person) -> History:
        """Create a group through the service."""
        await self.authorize(authorised)
        history = History(group)
        change = history.sign(
            create_message(group, memberships, authorised.online), group.master.online
        )
        response = await self.send(change, *memberships)
        assert response.status == 201, response.status_description
        history.take(change)
        return history

    async def change(self, change: Jws, *memberships: Membership, history: History) -> None:
        """Send a change that the service takes."""
        response = await self.send(change, *memberships)
        assert response.status == 201, response.status_description
        history.take(change)

    async def restate(self, history: History, by: Person, *memberships: Membership) -> None:
        """Replace members' entries."""
        entries = tuple(each.entry for each in memberships)
        message = UpdateMember(recryption_group=history.group.master.udf, member_entry=entries)
        await self.change(history.sign(message, by.online), *memberships, history=history)

    async def post(self, mail: bytes) -> Reply:
        """Post to team@lists.example."""
        return await self.posting.receive(mail, TEAM_ADDRESS, sender=POSTER)

    async def count(self, table: str) -> int:
        """Count the rows of a table, in a transaction of its own."""
        return len(await self.rows(f"SELECT 1 FROM {table}"))  # noqa: S608 - a test's own words

    async def rows(self, sql: str) -> list[tuple[bytes | int | str | None, ...]]:
        """Look into the store behind everybody's back."""
        async with self.store.begin():
            return await self.store._rows.all(sql)

    @contextmanager
    def statements(self) -> Iterator[list[str]]:
        """Note what the store is asked and told, without the values.

        Emptying the write-ahead log isn't noted: the store does that when it comes to it.
        """
        noted: list[str] = []

        def note(sql: str) -> None:
            if "wal_checkpoint" not in sql:
                noted.append(_VALUES.sub("?", sql))

        with self.traced(note):
            yield noted

    @contextmanager
    def traced(self, note: Callable[[str], None]) -> Iterator[None]:
        """Have the store tell of each statement before it runs."""
        connection = self.store._rows._connection
        # There, as a statement that runs there may want Python's lock while this waits for its end.
        thread = self.store._thread
        thread.submit(connection.set_trace_callback, note).result()
        try:
            yield
        finally:
            thread.submit(connection.set_trace_callback, None).result()

    async def tried(self, batch: Batch) -> list[Record]:
        """Try each that was claimed, one after the other."""
        return [await self.attempt(batch.frame, each) for each in batch.claims]

    async def attempt(self, frame: Frame, claim: Claim) -> Record:
        """Try one delivery, at which our own program doesn't fail."""
        ((_, record),) = [each async for each in self.delivering.attempt(frame, [claim])]
        if isinstance(record, Exception):
            raise record
        return record

    async def relay_all(self) -> None:
        """Deliver what is due now, one after the other."""
        while batch := await self.delivering.claim(100):
            await self.delivering.record(await self.tried(batch))

    async def carry_letters(self) -> None:
        """Carry the letters that are due now, one after the other."""
        while batch := await self.mailing.claim(100):
            attempted = self.mailing.attempt(batch.frame, batch.claims)
            await self.mailing.record([record async for _, record in attempted])

    async def keep_house(self) -> None:
        """Do the chores once, and carry the letters that come of them."""
        while await self.greetings.write_some():
            pass
        while await self.leaving.write_some() or await self.left.make_final():
            pass
        await self.notices.tell()
        await self.probing.probe()
        await self.carry_letters()

    async def waiting(self) -> int:
        """Count the deliveries that are still to be made, with a row or without one."""
        (row,) = await self.rows(
            "SELECT coalesce(sum(length(members) / 6 - position), 0) FROM shards"
        )
        (open_,) = await self.rows("SELECT count(*) FROM deliveries WHERE state < 2")
        return int(row[0] or 0) + int(open_[0] or 0)

    def octets_on_disk(self) -> bytes:
        """Give every octet of the store's files, the write-ahead log's too."""
        files = sorted(self.file.parent.glob(f"{self.file.name}*"))
        assert len(files) > 1, "no write-ahead log"
        return b"".join(file.read_bytes() for file in files)


@asynccontextmanager
async def open_bench(
    folder: Path, *, courier: ScriptedCourier | None = None, post_octets: int = POST_OCTETS
) -> AsyncIterator[Bench]:
    """Open a server on the store in a folder; the same folder is the same store."""
    vault = Vault(b"v" * 32)
    file = folder / "store.db"
    store = await open_store(file, vault)
    try:
        given = courier or ScriptedCourier()
        yield Bench(file, store, vault, FixedClock(), given, post_octets=post_octets)
    finally:
        await store.close()


def administrator(person: Person, group: Group) -> Membership:
    """Make the entry of a group's first member."""
    return new_membership(person, group.key, privileges=EVERY_POWER)
