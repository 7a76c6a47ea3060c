"""UpdateGroup at the service: a new key once all have it, rules, Master; one change at a time."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
import pytest_asyncio
from msgspec.structs import replace as but

from recrypt_core import chain
from recrypt_core.documents import MemberEntry, Privilege, RecryptionGroup, Status, VerifiedGroupKey
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.members import AHEAD
from recrypt_core.messages import (
    Change,
    GetGroup,
    GetGroupResponse,
    GetKey,
    GetKeyResponse,
    UpdateGroup,
    write_message,
)
from recrypt_core.policy import FromPolicy, Policy
from recrypt_core.policy import History as Kept
from recrypt_core.sealing import seal
from recrypt_core.signing import sign_request
from recrypt_core.wire import SealedKey
from tests.builders import (
    NOW,
    TEAM,
    URL,
    History,
    Membership,
    Person,
    new_group,
    new_membership,
    new_person,
    signed_group_key,
)
from tests.fakes import Bench, administrator
from tests.lists import said
from tests.mails import mail, sealed


@dataclass
class Team:
    """A list of Alice's (all powers), Bob's (ADMIN) and Carol's (RECRYPT), on a server."""

    bench: Bench
    history: History
    alice: Person
    bob: Person
    carol: Person

    @property
    def key(self) -> PrivateKey:
        """The list's first key."""
        return self.history.group.key

    async def ask(
        self, by: Person | None = None, *halves: Membership, **changes: object
    ) -> tuple[int, str]:
        """Ask for an UpdateGroup of these members, and take it where the service does."""
        stated = RecryptionGroup(**{"group_name": TEAM, **changes})  # type: ignore[arg-type]  # fields by name
        change = self.history.sign(UpdateGroup(recryption_group=stated), (by or self.alice).online)
        response = await self.bench.send(change, *halves)
        if response.status == 201:
            self.history.take(change)
        return said(response)

    async def restate(self, *entries: Membership) -> None:
        """Replace members' entries."""
        await self.bench.restate(self.history, self.alice, *entries)

    async def prepare(self, person: Person, key: PrivateKey) -> None:
        """Give somebody an entry for the next key, beside those that stand."""
        stands = self.entry(person)
        made = new_membership(person, key)
        entries = (*stands.entries, *made.entry.entries)
        await self.restate(Membership(but(stands, entries=entries), made.halves))

    def entry(self, person: Person) -> MemberEntry:
        """The entry that stands."""
        return self.history.state.members[person.udf].entry

    def next_key(self, key: PrivateKey, **changes: object) -> VerifiedGroupKey:
        """Sign the next key."""
        head = self.history.state.head
        given = {"generation": 2, "previous": self.key.public.udf, "head": head}
        return signed_group_key(self.history.group.master, key, **{**given, **changes})  # type: ignore[arg-type]  # members by name


@pytest_asyncio.fixture
async def team(bench: Bench) -> Team:
    """Create the list."""
    group = new_group()
    alice, bob, carol = (new_person(f"{name}@example.org") for name in ("alice", "bob", "carol"))
    admin = new_membership(bob, group.key, privileges=(Privilege.RECRYPT, Privilege.ADMIN))
    members = [administrator(alice, group), admin, new_membership(carol, group.key)]
    history = await bench.create(group, *members, authorised=alice)
    return Team(bench, history, alice, bob, carol)


@pytest.mark.asyncio
async def test_a_new_key_counts_once_every_active_member_has_an_entry(team: Team) -> None:
    key = PrivateKey.generate(Curve.X25519)
    for lacking, person in zip((3, 2, 1), (team.alice, team.bob, team.carol), strict=True):
        words = f"Refused: {lacking} ACTIVE members lack an entry for the new key."
        new = team.next_key(key).signed
        assert await team.ask(current_encryption_key=new) == (409, words)
        await team.prepare(person, key)
    assert (await team.ask(team.bob, current_encryption_key=team.next_key(key).signed))[0] == 201
    _, found = await team.bench.transactions.answer(
        write_message(GetKey(group_id=TEAM)), signed=False
    )
    assert isinstance(found, GetKeyResponse)
    assert found.signed_key == team.history.state.key.signed
    assert chain.replay(team.history.changes) == team.history.state
    for number, each in enumerate((key, team.key)):
        assert (
            await team.bench.post(mail(sealed(each.public, content=b"%d" % number).mmx()))
        ).code == 250
    await team.bench.relay_all()
    assert len(team.bench.courier.sent) == 6


@pytest.mark.asyncio
async def test_who_is_not_active_needs_no_entry_and_an_administrator_does(team: Team) -> None:
    key = PrivateKey.generate(Curve.X25519)
    await team.prepare(team.alice, key)
    idle = but(team.entry(team.carol), status=Status.SUSPENDED)
    admin = but(team.entry(team.bob), privileges=(Privilege.ADMIN,), entries=())
    await team.restate(Membership(idle, {}), Membership(admin, {}))
    one = (409, "Refused: 1 ACTIVE members lack an entry for the new key.")
    assert await team.ask(current_encryption_key=team.next_key(key).signed) == one
    # Rows of an earlier version don't say who is ACTIVE: then their entries are read.
    async with team.bench.store.begin():
        await team.bench.store._rows.run("UPDATE members SET active = NULL WHERE NOT served")
    assert await team.ask(current_encryption_key=team.next_key(key).signed) == one
    await team.prepare(team.bob, key)
    assert (await team.ask(current_encryption_key=team.next_key(key).signed))[0] == 201


@pytest.mark.asyncio
async def test_a_past_key_is_posted_to_while_entries_stand_and_the_rules_say_so(
    team: Team,
) -> None:
    key = PrivateKey.generate(Curve.X25519)
    for person in (team.alice, team.bob, team.carol):
        await team.prepare(person, key)
    await team.ask(current_encryption_key=team.next_key(key).signed)

    async def posts(content: bytes) -> int:
        return (await team.bench.post(mail(sealed(team.key.public, content=content).mmx()))).code

    assert await posts(b"first") == 250
    assert (await team.ask(policy=Policy(past_keys=False)))[0] == 201
    assert await posts(b"second") == 554
    await team.ask(policy=Policy())
    assert await posts(b"third") == 250
    for person in (team.alice, team.bob, team.carol):
        stands = team.entry(person)
        kept = tuple(each for each in stands.entries if each.encryption_key_udf == key.public.udf)
        await team.restate(Membership(but(stands, entries=kept), {}))
    assert await posts(b"fourth") == 554


@pytest.mark.asyncio
async def test_a_key_that_does_not_follow_is_refused_and_the_current_one_signed_again(
    team: Team,
) -> None:
    key = PrivateKey.generate(Curve.X25519)
    for person in (team.alice, team.bob, team.carol):
        await team.prepare(person, key)
    for wrong in (
        team.next_key(key, previous=None),
        team.next_key(key, previous=key.public.udf),
        team.next_key(key, generation=3),
        team.next_key(team.key, generation=2),
    ):
        assert (await team.ask(current_encryption_key=wrong.signed))[0] == 409
    stranger = new_person(TEAM, devices=0)
    forged = signed_group_key(stranger, key, generation=2, previous=team.key.public.udf)
    assert (await team.ask(current_encryption_key=forged.signed))[0] == 401
    again = team.next_key(team.key, generation=1, previous=None)
    assert (await team.ask(current_encryption_key=again.signed))[0] == 201
    assert team.history.state.past_keys == ()


@pytest.mark.asyncio
async def test_rules_change_also_for_posts_that_are_stored(team: Team) -> None:
    await team.bench.post(mail(sealed(team.key.public).mmx()))
    await team.bench.relay_all()

    async def days() -> list[int]:
        rows = await team.bench.rows(
            "SELECT seconds FROM keeping JOIN posts USING (list_id) WHERE NOT erased"
        )
        return [int(row[0] or 0) // 86400 for row in rows]

    assert await days() == [14]
    for keep in (3, 30):
        assert (await team.ask(team.bob, policy=Policy(keep=keep)))[0] == 201
        assert await days() == [keep]
    await team.ask(policy=Policy(keep=0))
    team.bench.clock.advance(timedelta(seconds=1))
    await team.bench.erasing.erase()
    assert await days() == []


@pytest.mark.asyncio
async def test_who_may_not_or_what_is_not_kept_changes_nothing(team: Team) -> None:
    head = team.history.state.head
    bare = Policy()
    admins, supers = ((403, f"Refused: only an ACTIVE {name} may do that.") for name in
                      ("ADMIN", "SUPER"))  # fmt: skip
    assert await team.ask(team.carol, policy=bare) == admins
    master = team.history.group.master.changed()
    assert await team.ask(team.bob, master=master.signed) == supers
    assert (await team.ask(new_person("mallory@example.org"), policy=bare))[0] == 401
    status, words = await team.ask(policy=Policy(from_=FromPolicy.VIA))
    assert (status, words[:37]) == (400, "Malformed: this service takes " + words[30:37])
    entry = new_membership(new_person("dave@example.org"), team.key)
    members = (400, "Malformed: an UpdateGroup with Members or PastEncryptionKeys.")
    assert await team.ask(members=(entry.entry,)) == members
    unused = (400, "Malformed: halves that belong to no entry of the request.")
    assert await team.ask(None, entry, policy=bare) == unused
    older = team.history.group.master.changed(seconds=-1)
    assert (await team.ask(master=older.signed))[0] == 409
    assert (await team.ask(group_name="none@lists.example"))[0] == 401
    assert team.history.state.head == head
    assert (await team.ask(policy=Policy(history=Kept.ALL)))[0] == 201


@pytest.mark.asyncio
async def test_a_master_and_the_administrators_keys_are_replaced(team: Team) -> None:
    sealed_key = SealedKey(seal(b"{}", team.alice.verified.profile.encryption_keys))
    master = team.history.group.master.changed()
    assert (await team.ask(master=master.signed, administrator_keys=(sealed_key,)))[0] == 201
    made = sign_request(write_message(GetGroup(group_id=TEAM)), team.alice.online, url=URL, now=NOW)
    read = await team.bench.send(made)
    assert isinstance(read, GetGroupResponse)
    assert read.recryption_group.master == master.signed
    assert read.recryption_group.administrator_keys == (sealed_key,)
    gone = new_person(TEAM, devices=0)
    later = replace(team.history.group.master, online=gone.online)
    unsigned = later.changed(seconds=2, online_signature_keys=(gone.online.public,))
    # The key must be signed anew by an online key that the new Master has.
    assert (await team.ask(master=unsigned.signed))[0] == 401
    key = signed_group_key(unsigned, team.key)  # its Head is another
    assert (await team.ask(master=unsigned.signed, current_encryption_key=key.signed))[0] == 409
    key = signed_group_key(unsigned, team.key, head=team.history.state.head)
    assert (await team.ask(master=unsigned.signed, current_encryption_key=key.signed))[0] == 201


@pytest.mark.asyncio
async def test_a_master_dated_ahead_is_refused(team: Team) -> None:
    """No later one could take its place until then."""
    master = team.history.group.master.changed(seconds=86_401)
    assert await team.ask(master=master.signed) == (400, f"Malformed: {AHEAD}.")
    team.bench.clock.advance(timedelta(seconds=1))
    assert (await team.ask(master=master.signed))[0] == 201


@pytest.mark.asyncio
async def test_of_two_changes_at_once_one_is_made_and_the_other_after_it(team: Team) -> None:
    """Both are read before either is written; who comes late is told, and nothing is lost."""
    key, signers = team.key, (team.alice.online, team.bob.online)

    async def at_once(*asked: tuple[Change, tuple[Membership, ...]]) -> int:
        """Have Alice and Bob ask for one change each; tell whose wasn't made."""
        pairs = zip(asked, signers, strict=True)
        changes = [team.history.sign(message, key) for (message, _), key in pairs]
        sent = zip(changes, asked, strict=True)
        answers = await asyncio.gather(
            *(team.bench.send(change, *entries) for change, (_, entries) in sent)
        )
        statuses = [each.status for each in answers]
        assert sorted(statuses) == [201, 409]
        late = statuses.index(409)
        assert answers[late].status_description.startswith("Refused: the group ")
        team.history.take(changes[1 - late])
        return late

    rules = [RecryptionGroup(group_name=TEAM, policy=Policy(keep=days)) for days in (1, 2)]
    late = await at_once(*((UpdateGroup(recryption_group=each), ()) for each in rules))
    assert team.history.state.policy == rules[1 - late].policy
    new = [new_membership(new_person(f"{name}@example.org"), key) for name in ("dave", "erin")]
    late = await at_once(*((team.history.add_message(each), (each,)) for each in new))
    again = team.history.sign(team.history.add_message(new[late]), signers[late])
    await team.bench.change(again, new[late], history=team.history)
    members = chain.replay(team.history.changes).members
    assert {each.entry.recrypt_udf for each in new} < members.keys()
    assert len(members) == await team.bench.count("members") == 5
    assert await team.bench.count("changes") == len(team.history.changes)
