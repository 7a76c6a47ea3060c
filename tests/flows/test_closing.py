"""A list that its administrators close for good: nothing comes in, what was taken goes out."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from listserver import replies
from listserver.addresses import ListAddress, Role
from listserver.edges import sqlite_stops
from listserver.edges.sqlite_upkeep import copy_store
from listserver.outcomes import Phase
from listserver.outcomes import Refused as Turned
from listserver.store import Store, Work
from recrypt_core.documents import Privilege, RecryptionGroup
from recrypt_core.encoding import write_b64url
from recrypt_core.messages import (
    GetChanges,
    GetEntry,
    GetGroup,
    GetJoinRequests,
    GetKey,
    GetKeyResponse,
    JoinGroup,
    RecryptDataResponse,
    Redeliver,
    RedeliverResponse,
    Request,
    Response,
    UpdateGroup,
    UpdateMember,
    write_message,
)
from recrypt_core.policy import History as Kept
from recrypt_core.policy import Policy
from recrypt_core.sealing import seal
from tests.asking import asked
from tests.builders import (
    NOW,
    TEAM,
    History,
    Membership,
    Person,
    closed_key,
    create_message,
    new_group,
    new_membership,
    new_person,
)
from tests.fakes import TEAM_ADDRESS, Bench, administrator
from tests.lists import said
from tests.mails import mail, sealed

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
BOB = "bob@example.org"
CLOSED = "Refused: the group is closed for good: no change follows."


@dataclass
class Team:
    """A list of Alice's with Bob, who administers it, and Carol."""

    bench: Bench
    history: History
    alice: Person
    bob: Person
    carol: Person
    entries: dict[str, Membership]

    async def ask(self, message: Request, by: Person | None = None) -> Response:
        """Ask, signed by Alice unless said."""
        return await self.bench.ask(message, by or self.alice)

    async def set(self, *, by: Person | None = None, **changes: object) -> Response:
        """Ask for a change of the group, and take it if it is taken."""
        stated = RecryptionGroup(**{"group_name": TEAM, **changes})  # type: ignore[arg-type]  # fields by name
        change = self.history.sign(UpdateGroup(recryption_group=stated), (by or self.alice).online)
        response = await self.bench.send(change)
        if response.status == 201 and not self.history.state.is_closed:
            self.history.take(change)
        return response

    async def close(self, *, by: Person | None = None) -> Response:
        """Close it."""
        signed = closed_key(self.history.state, self.history.group.master)
        return await self.set(by=by, current_encryption_key=signed.signed)

    async def post(self, number: int = 0) -> replies.Reply:
        """Post to it."""
        key = self.history.group.key.public
        return await self.bench.post(mail(sealed(key).mmx(), message_id=f"<{number}@x.example>"))

    async def bob_asks(self) -> Response:
        """Have Bob ask for a recryption."""
        envelope = seal(b"the plan", [self.history.group.key.public])
        return await self.ask(asked(self.bob, self.entries["bob"], envelope), self.bob)


@pytest_asyncio.fixture
async def team(bench: Bench) -> Team:
    """Create the list."""
    group = new_group()
    alice, bob, carol = (new_person(f"{name}@example.org") for name in ("alice", "bob", "carol"))
    powers = (Privilege.RECRYPT, Privilege.ADMIN)
    entries = {
        "alice": administrator(alice, group),
        "bob": new_membership(bob, group.key, privileges=powers),
        "carol": new_membership(carol, group.key),
    }
    history = await bench.create(group, *entries.values(), authorised=alice)
    return Team(bench, history, alice, bob, carol, entries)


async def kept(bench: Bench) -> int:
    """Do the chore, and count the halves that are left."""
    while await bench.erasing.erase():
        pass
    return await bench.count("entries")


@pytest.mark.asyncio
async def test_a_closed_list_is_to_senders_as_one_that_never_was(team: Team) -> None:
    bench = team.bench
    assert await bench.posting.recipient(TEAM_ADDRESS) == replies.RECIPIENT_OK
    assert (await team.close()).status == 201
    assert await team.post() == replies.NO_SUCH_LIST
    assert await bench.count("posts") == await bench.count("contents") == 0
    bench.clock.advance(SECOND)
    assert await bench.posting.recipient(TEAM_ADDRESS) == replies.NO_SUCH_LIST
    clear = await bench.post(b"From: x@example.org\r\nTo: team@lists.example\r\n\r\nHello\r\n")
    unknown = ListAddress("gone@lists.example", Role.POST)
    assert clear.positive is False
    assert await bench.posting.recipient(unknown) == replies.NO_SUCH_LIST


@pytest.mark.asyncio
async def test_it_is_so_after_a_second_though_it_was_seen_open_just_before(team: Team) -> None:
    await team.bench.posting.recipient(TEAM_ADDRESS)
    await team.close()
    team.bench.clock.advance(SECOND)
    assert await team.bench.posting.recipient(TEAM_ADDRESS) == replies.NO_SUCH_LIST
    for role in (role for role in Role if role is not Role.OPERATOR):
        taken = replies.RECIPIENT_OK if role is Role.BOUNCES else replies.NO_SUCH_LIST
        to = ListAddress("team@lists.example", role, "a" * 26)
        assert await team.bench.receiving.recipient(to) == taken


@pytest.mark.asyncio
@pytest.mark.parametrize("role", [Role.REQUEST, Role.KEY, Role.OWNER, Role.SUBSCRIBE])
async def test_what_comes_to_its_desk_in_the_second_in_which_it_closes_comes_to_nothing(
    team: Team, role: Role
) -> None:
    to = ListAddress("team@lists.example", role)
    assert await team.bench.receiving.recipient(to) == replies.RECIPIENT_OK
    await team.close()
    said = await team.bench.receiving.receive(b"A: b\r\n\r\n", to, sender="zoe@example.org")
    assert said == replies.NO_SUCH_LIST
    assert await team.bench.count("letters") == 0


@pytest.mark.asyncio
async def test_what_was_taken_before_goes_out(team: Team) -> None:
    later = Turned(Phase.RCPT, 451, "try later")
    team.bench.courier.script(BOB, later, later)
    assert await team.post() == replies.ACCEPTED
    assert (await team.close()).status == 201
    await team.bench.relay_all()
    assert len(team.bench.courier.sent) == 3
    for _ in range(2):
        team.bench.clock.advance(timedelta(hours=5))
        assert await kept(team.bench) == 3
        await team.bench.relay_all()
    assert await team.bench.waiting() == 0
    assert [each.recipient for each in team.bench.courier.sent].count(BOB) == 3


@pytest.mark.asyncio
async def test_no_change_is_taken_any_more_and_everything_can_be_looked_at(team: Team) -> None:
    await team.close()
    state = team.history.state
    assert said(await team.set(policy=Policy(keep=1))) == (409, CLOSED)
    message = UpdateMember(
        recryption_group=state.identifier, member_entry=(new_membership(team.carol).entry,)
    )
    change = team.history.sign(message, team.alice.online)
    assert said(await team.bench.send(change)) == (409, CLOSED)
    for asked_ in (GetGroup(group_id=TEAM), GetChanges(group_id=TEAM)):
        assert (await team.ask(asked_)).status == 201
    assert (await team.ask(GetEntry(group_id=TEAM), team.carol)).status == 201
    _, found = await team.bench.transactions.answer(
        write_message(GetKey(group_id=TEAM)), signed=False
    )
    assert isinstance(found, GetKeyResponse)
    assert found.signed_key == state.key.signed


@pytest.mark.asyncio
async def test_the_same_request_again_is_answered_as_the_first_time(team: Team) -> None:
    signed = closed_key(team.history.state, team.history.group.master)
    stated = RecryptionGroup(group_name=TEAM, current_encryption_key=signed.signed)
    change = team.history.sign(UpdateGroup(recryption_group=stated), team.alice.online)
    first, again = [await team.bench.send(change) for _ in range(2)]
    assert first == again
    assert first.status == 201


@pytest.mark.asyncio
async def test_an_admin_does_not_close_it(team: Team) -> None:
    words = "Refused: only an ACTIVE SUPER may close the group for good."
    assert said(await team.close(by=team.bob)) == (403, words)
    assert await team.post() == replies.ACCEPTED


@pytest.mark.asyncio
async def test_its_name_is_never_another_lists(team: Team) -> None:
    await team.close()
    other = new_group()
    entry = administrator(team.alice, other)
    message = create_message(other, [entry], team.alice.online)
    change = History(other).sign(message, other.master.online)
    response = await team.bench.send(change, entry)
    assert said(response) == (409, "Refused: a group of that name exists: choose another.")


@pytest.mark.asyncio
async def test_who_waits_to_join_is_forgotten_and_nobody_asks_in(team: Team) -> None:
    dave, erin = new_person("dave@example.org"), new_person("erin@example.org")

    async def asks(person: Person) -> Response:
        message = JoinGroup(group_name=TEAM, account_name=person.address, profile=person.signed)
        return await team.ask(message, person)

    assert (await asks(dave)).status == 201
    assert await team.bench.count("joins") == 1
    await team.close()
    assert await team.bench.count("joins") == 0
    words = "Refused: the group is closed for good: nobody can join it."
    assert said(await asks(erin)) == (409, words)
    assert (await team.ask(GetJoinRequests(group_id=TEAM))).status == 201


@dataclass
class Meanwhile:
    """A store before whose second transaction something else is done."""

    store: Store
    do: Callable[[], Awaitable[Response]]
    begun: int = 0

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Work]:
        """Begin a transaction."""
        self.begun += 1
        if self.begun == 2:
            assert (await self.do()).status == 201
        async with self.store.begin() as work:
            yield work


@pytest.mark.asyncio
async def test_who_asks_in_while_it_closes_leaves_nothing(team: Team) -> None:
    dave = new_person("dave@example.org")
    team.bench.transactions._joining._store = Meanwhile(team.bench.store, team.close)
    message = JoinGroup(group_name=TEAM, account_name=dave.address, profile=dave.signed)
    assert (await team.ask(message, dave)).status == 409
    assert await team.bench.count("joins") == await team.bench.count("letters") == 0


@pytest.mark.asyncio
async def test_members_read_what_they_have_for_as_long_as_posts_are_kept(team: Team) -> None:
    keep = Policy().keep
    await team.set(policy=Policy(history=Kept.ALL))
    await team.post()
    await team.bench.relay_all()
    await team.close()
    team.bench.clock.advance(keep * DAY - SECOND)
    assert await kept(team.bench) == 3
    assert isinstance(await team.bob_asks(), RecryptDataResponse)
    since = Redeliver(group_id=TEAM, recrypt_udf=team.carol.udf, since=NOW)
    sent = await team.ask(since)
    assert isinstance(sent, RedeliverResponse)
    assert sent.posts == 1
    await team.bench.relay_all()
    team.bench.clock.advance(SECOND)
    assert await kept(team.bench) == 0
    assert (await team.bob_asks()).status == 404
    assert await team.bench.count("ciphertexts") == 0


@pytest.mark.asyncio
async def test_what_is_under_way_is_waited_for_and_a_copy_that_is_held_too(team: Team) -> None:
    later = Turned(Phase.RCPT, 451, "try later")
    team.bench.courier.script(BOB, later)
    await team.set(policy=Policy(keep=0))
    await team.post()
    await team.close()
    await team.bench.relay_all()
    assert await kept(team.bench) == 3
    team.bench.clock.advance(timedelta(hours=5))
    await team.bench.relay_all()
    assert await kept(team.bench) == 0
    assert await team.bench.rows("SELECT 1 FROM lists WHERE ends NOT NULL") == []


@pytest.mark.asyncio
async def test_many_halves_are_erased_piece_by_piece_and_another_lists_stay(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = new_group("other@lists.example")
    await team.bench.create(other, administrator(team.alice, other), authorised=team.alice)
    await team.set(policy=Policy(keep=0))
    await team.close()
    monkeypatch.setattr(sqlite_stops, "ERASED_HALVES", 2)
    for left in (2, 1):
        assert await team.bench.erasing.erase()
        assert await team.bench.count("entries") == left
    assert not await team.bench.erasing.erase()
    assert await team.bench.count("entries") == 1


@pytest.mark.asyncio
async def test_every_r_is_erased_from_the_files_and_a_later_back_up_even_for_who_has_the_key(
    team: Team, tmp_path: Path
) -> None:
    bench = team.bench
    rows = [row[0] for row in await bench.rows("SELECT sealed FROM entries")]
    tails = [row[-200:] for row in rows if isinstance(row, bytes)]
    assert len(tails) == 3
    assert all(tail in bench.octets_on_disk() for tail in tails)
    await team.set(policy=Policy(keep=0))
    await team.post()
    await team.close()
    await bench.relay_all()
    assert await kept(bench) == 0
    copy_store(bench.file, tmp_path / "copy.db")
    octets = bench.octets_on_disk() + (tmp_path / "copy.db").read_bytes()
    assert not [tail for tail in tails if tail in octets]
    halves = [half for each in team.entries.values() for half in each.halves.values()]
    plain = b""
    for table, sql in (
        ("lists", "SELECT sealed, group_name FROM lists"),
        ("members", "SELECT sealed, name FROM members"),
        ("changes", "SELECT sealed, CAST(list_id || ':' || seq AS BLOB) FROM changes"),
    ):
        for sealed_row, name in await bench.rows(sql):
            assert isinstance(sealed_row, bytes)
            assert isinstance(name, bytes)
            plain += bench.vault.unseal(table, sealed_row, row=name)
    assert not [each for each in halves if write_b64url(each.to_secret_bytes()).encode() in plain]
