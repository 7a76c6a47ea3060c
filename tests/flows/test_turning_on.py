"""Mail that is off stays off through a rekey, and is turned on by what is about the member."""

from dataclasses import dataclass

import pytest
import pytest_asyncio
from msgspec.structs import replace as but

from listserver.bouncing import turns_mail_on
from listserver.model import ListId, MemberId
from recrypt_core.documents import MemberEntry, Privilege, Quota, Status
from recrypt_core.keys import Curve, PrivateKey
from tests.builders import History, Membership, Person, new_group, new_membership, new_person
from tests.fakes import Bench, administrator
from tests.returned import ALICE, BOB, member_row, off


def new_key() -> PrivateKey:
    return PrivateKey.generate(Curve.X25519)


@dataclass
class Duo:
    """A list of Alice's with Bob, whose mail is off."""

    bench: Bench
    history: History
    alice: Person
    bob: Person
    entry: MemberEntry

    async def state(self, entry: MemberEntry, *new: Membership) -> int:
        """Send an UpdateMember of Bob, with its halves; count to whom mail is off after it."""
        halves = {name: half for each in new for name, half in each.halves.items()}
        await self.bench.restate(self.history, self.alice, Membership(entry, halves))
        self.entry = entry
        return await off(self.bench)

    async def rekey(self) -> int:
        """Make Bob's entry for the next key, as a rekey does for all."""
        made = new_membership(self.bob, new_key())
        return await self.state(with_entries(self.entry, made), made)


def with_entries(entry: MemberEntry, more: Membership) -> MemberEntry:
    return but(entry, entries=(*entry.entries, *more.entry.entries))


@pytest_asyncio.fixture
async def duo(bench: Bench) -> Duo:
    """Create it."""
    group = new_group()
    alice, bob = new_person(ALICE), new_person(BOB)
    membership = new_membership(bob, group.key)
    history = await bench.create(group, administrator(alice, group), membership, authorised=alice)
    row, now = MemberId(await member_row(bench, BOB)), bench.clock.now()
    async with bench.store.begin() as work:
        await work.probe_sent(row, now)
        assert await work.probe_bounced(ListId(1), row, now, now)
        await work.bounced(row, 4, now)
    return Duo(bench, history, alice, bob, membership.entry)


@pytest.mark.asyncio
async def test_a_rekey_leaves_mail_off_and_what_bounced_counts(duo: Duo) -> None:
    assert await duo.rekey() == 1
    assert await duo.state(but(duo.entry, entries=duo.entry.entries[1:])) == 1  # the past one ends
    assert await duo.bench.count("bounces") == 1


@pytest.mark.asyncio
async def test_a_rekey_goes_on_waiting_for_a_probe(duo: Duo) -> None:
    assert await duo.state(duo.entry) == 0
    row, now = MemberId(await member_row(duo.bench, BOB)), duo.bench.clock.now()
    async with duo.bench.store.begin() as work:
        await work.probe_sent(row, now)
    await duo.rekey()
    async with duo.bench.store.begin() as work:
        assert await work.probe_bounced(ListId(1), row, now, now)


@pytest.mark.asyncio
@pytest.mark.parametrize("amidst_rekey", [False, True])
async def test_an_entry_that_is_restated_turns_mail_on_and_forgets_all(
    duo: Duo, amidst_rekey: bool
) -> None:
    if amidst_rekey:
        await duo.rekey()
    assert await duo.state(duo.entry) == 0
    assert await duo.bench.count("bounces") == 0


@pytest.mark.asyncio
async def test_what_a_newer_profile_or_another_status_brings_turns_mail_on(duo: Duo) -> None:
    newer = duo.bob.changed(accounts=(BOB, "b@example.org"))
    assert await duo.state(but(duo.entry, profile=newer.signed)) == 0


@pytest.mark.asyncio
async def test_who_is_suspended_and_resumed_has_mail_again(duo: Duo) -> None:
    assert await duo.state(but(duo.entry, status=Status.SUSPENDED)) == 0


@pytest.mark.asyncio
async def test_nobody_elses_mail_is_turned_on(duo: Duo) -> None:
    alices = duo.history.state.members[duo.alice.udf].entry
    await duo.bench.restate(duo.history, duo.alice, Membership(alices, {}))
    assert await off(duo.bench) == 1


def test_what_turns_mail_on() -> None:
    bob, current, following = new_person(BOB), new_key(), new_key()
    before = new_membership(bob, current).entry
    again, later = (new_membership(bob, key) for key in (current, following))
    for after, is_turned_on in (
        (before, True),
        (but(before, privileges=(Privilege.RECRYPT, Privilege.ADMIN)), False),
        (before.limited((Quota(9).text,)), False),
        (but(before, account_name="b@example.org"), True),
        (but(before, profile=bob.changed().signed), True),
        (but(before, status=Status.SUSPENDED), True),
        (but(with_entries(before, later), status=Status.SUSPENDED), True),
        (with_entries(before, again), True),
        (again.entry, True),
        (with_entries(before, later), False),
        (but(before, entries=()), False),
        (later.entry, False),
    ):
        assert turns_mail_on(before, after, current.public.udf) is is_turned_on
