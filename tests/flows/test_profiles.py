"""Newer profiles that members send: what they count for at once, and who learns of it."""

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
import pytest_asyncio
from msgspec.structs import replace as but

from listserver import profiles
from listserver.limits import PROFILES_PER_DAY
from listserver.signers import USED_NONCE
from recrypt_core.authorship import sign_sender
from recrypt_core.documents import Privilege, RecryptionGroup, Status
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.members import AHEAD
from recrypt_core.messages import (
    GetEntry,
    GetEntryResponse,
    GetGroup,
    GetGroupResponse,
    UpdateGroup,
    UpdateProfile,
    write_message,
)
from recrypt_core.policy import History as Kept
from recrypt_core.policy import Policy, PostRight
from recrypt_core.signature_keys import SignatureCurve, SignaturePrivateKey
from recrypt_core.signing import Link, request_body, sign_request
from recrypt_core.udf import Udf
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
from tests.mails import mail, sealed, with_head

DONE = (201, "Operation completed successfully")
STRANGE = (
    401,
    "Not authentic: signed by a key that is unknown here, or not by the key it names.",
)


@dataclass
class Team:
    """A list of Alice's, and of Bob's (ADMIN), on a server."""

    bench: Bench
    history: History
    alice: Person
    bob: Person
    entry: Membership

    async def send(self, newer: Person, by: Person | None = None) -> tuple[int, str]:
        """Send a profile."""
        return said(await self.bench.ask(UpdateProfile(profile=newer.signed), by or newer))

    async def page(self, by: Person | None = None) -> GetGroupResponse:
        """Read the group."""
        answer = await self.bench.ask(GetGroup(group_id=TEAM), by or self.alice)
        assert isinstance(answer, GetGroupResponse)
        return answer

    async def restate(self, *entries: Membership) -> None:
        """Replace members' entries."""
        await self.bench.restate(self.history, self.alice, *entries)

    async def posts(self, by: Person, number: int) -> int:
        """Post with a `sender`."""
        envelope = sealed(self.history.group.key.public, content=b"%d" % number)
        sender = sign_sender(TEAM, envelope.content_id, by.online, now=NOW)
        return (await self.bench.post(mail(with_head(envelope, sender=sender)))).code


@pytest_asyncio.fixture
async def team(bench: Bench) -> Team:
    """Create the list."""
    group, alice, bob = new_group(), new_person("alice@example.org"), new_person("bob@example.org")
    entry = new_membership(bob, group.key, privileges=(Privilege.RECRYPT, Privilege.ADMIN))
    history = await bench.create(group, administrator(alice, group), entry, authorised=alice)
    return Team(bench, history, alice, bob, entry)


def with_other_keys(person: Person) -> Person:
    """Give a newer profile of somebody, with another online key and another device."""
    online = SignaturePrivateKey.generate(SignatureCurve.ED25519)
    device = PrivateKey.generate(Curve.X25519)
    given = replace(person, online=online, devices=(device,))
    return given.changed(online_signature_keys=(online.public,), encryption_keys=(device.public,))


@pytest.mark.asyncio
async def test_administrators_see_a_newer_profile_until_an_entry_has_it(team: Team) -> None:
    newer = with_other_keys(team.bob)
    assert (await team.page()).newer_profiles == ()
    assert await team.send(newer) == DONE
    page = await team.page()
    assert page.newer_profiles == (newer.signed,)
    stated = {each.recrypt_udf: each.profile for each in page.recryption_group.members}
    assert stated[team.bob.udf] == team.bob.signed
    beside = await team.bench.ask(GetGroup(group_id=TEAM, beside=True), team.alice)
    assert isinstance(beside, GetGroupResponse)
    assert (beside.newer_profiles, beside.recryption_group.members) == ((newer.signed,), ())
    again = new_membership(
        newer, team.history.group.key, privileges=(Privilege.RECRYPT, Privilege.ADMIN)
    )
    await team.restate(team.entry)
    assert (await team.page()).newer_profiles == (newer.signed,)
    await team.restate(again)
    assert (await team.page()).newer_profiles == ()
    assert await team.bench.count("profiles") == await team.bench.count("newer_signers") == 0


@pytest.mark.asyncio
async def test_a_newer_profile_counts_at_once_but_for_the_chain(team: Team) -> None:
    stated = RecryptionGroup(group_name=TEAM, policy=Policy(post=PostRight.MEMBERS))
    change = team.history.sign(UpdateGroup(recryption_group=stated), team.alice.online)
    await team.bench.change(change, history=team.history)
    newer = with_other_keys(team.bob)
    assert [await team.posts(team.bob, 1), await team.posts(newer, 2)] == [250, 550]
    assert said(await team.bench.ask(GetEntry(group_id=TEAM), newer)) == STRANGE
    await team.send(newer)
    assert [await team.posts(team.bob, 3), await team.posts(newer, 4)] == [550, 250]
    assert said(await team.bench.ask(GetEntry(group_id=TEAM), team.bob)) == STRANGE
    assert said(await team.bench.ask(GetGroup(group_id=TEAM), team.bob)) == STRANGE
    await team.page(newer)
    carol = new_membership(new_person("carol@example.org"), team.history.group.key)
    added = team.history.add_message(carol)
    withdrawn = await team.bench.send(team.history.sign(added, newer.online), carol)
    assert said(withdrawn) == STRANGE
    await team.bench.change(team.history.sign(added, team.bob.online), carol, history=team.history)


@pytest.mark.asyncio
async def test_who_is_told_what_is_malformed_is_who_could_ask_it(team: Team) -> None:
    newer = with_other_keys(team.bob)
    await team.send(newer)
    change = b'{"AddMemberRequest":{"RecryptionGroup":"%s","MemberEntry":7}}' % TEAM.encode()
    read = b'{"GetGroupRequest":{"GroupID":"%s","Limit":"all"}}' % TEAM.encode()
    head = team.history.state.head
    link = Link(team.history.group.master.udf, head.seq + 1, head.hash)
    for payload, told, place in ((change, team.bob, link), (read, newer, None)):
        for by in (team.bob, newer):
            made = sign_request(payload, by.online, url=URL, now=NOW, link=place)
            expected = 400 if by is told else 401
            assert (await team.bench.send(made)).status == expected


@pytest.mark.asyncio
async def test_the_newest_stays_and_an_older_one_is_refused(team: Team) -> None:
    first, last = (team.bob.changed(seconds=after) for after in (1, 3))
    older = (409, "Refused: there is a newer profile of yours here: send that.")
    assert await team.send(last) == await team.send(last) == DONE
    for wrong in (first, team.bob, team.bob.changed(seconds=3, accounts=("b@example.org",))):
        assert await team.send(wrong) == older
    assert (await team.page()).newer_profiles == (last.signed,)
    newest = team.bob.changed(seconds=4)
    assert await team.send(newest) == DONE
    assert (await team.page()).newer_profiles == (newest.signed,)
    assert await team.bench.count("profiles") == 1


@pytest.mark.asyncio
async def test_a_profile_dated_ahead_is_refused_from_anybody(team: Team) -> None:
    """Else no later one would be signed until that day, and one of a thief stayed for good."""
    for person in (team.bob, new_person("carol@example.org")):
        assert await team.send(person.changed(seconds=90_000)) == (400, f"Malformed: {AHEAD}.")
    assert await team.send(team.bob.changed(seconds=80_000)) == DONE


@pytest.mark.asyncio
async def test_nobody_learns_of_a_membership_by_a_profile(team: Team) -> None:
    mallory, stranger = new_person("mallory@example.org"), new_person("carol@example.org")
    newer = with_other_keys(team.bob)
    for person in (stranger, stranger.changed(), stranger, newer, newer):
        assert await team.send(person) == DONE
    # The key that the newer profile withdrew may be a thief's by now.
    for thief in (team.bob, team.bob.changed(seconds=0), stranger):
        assert await team.send(thief) == DONE
    for other in (newer, team.bob, stranger):
        assert await team.send(other, mallory) == STRANGE
    forged = replace(newer, verified=mallory.verified)
    assert await team.send(forged) == STRANGE
    assert (await team.page()).newer_profiles == (newer.signed,)
    assert await team.bench.count("profiles") == 1
    nonces = await team.bench.count("nonces")
    await team.send(stranger)
    assert await team.bench.count("nonces") == nonces


@pytest.mark.asyncio
async def test_a_stranger_costs_as_much_with_many_lists_as_with_few(team: Team) -> None:
    async def asked_by(person: Person) -> int:
        with team.bench.statements() as statements:
            assert await team.send(person) == DONE
        return len(statements)

    rows = team.bench.store._rows
    stranger, thief = new_person("carol@example.org"), team.bob
    assert await team.send(with_other_keys(team.bob)) == DONE
    few = await asked_by(stranger)
    assert await asked_by(thief) == few
    async with team.bench.store.begin():
        made = [(b"%32d" % at, b"%32d" % at) for at in range(2000)]
        await rows.many(
            "INSERT INTO lists (name, group_name, head_seq, sealed) VALUES (?, ?, 1, x'00')", made
        )
    assert await asked_by(stranger) == await asked_by(thief) == few


@pytest.mark.asyncio
async def test_a_members_profile_is_not_taken_twice_nor_too_often(team: Team) -> None:
    newer = team.bob.changed(seconds=1)
    message = write_message(UpdateProfile(profile=newer.signed))
    request = sign_request(message, team.bob.online, url=URL, now=NOW)
    assert said(await team.bench.send(request)) == DONE
    again = (401, f"Not authentic: {USED_NONCE}.")
    assert said(await team.bench.send(request)) == again
    for after in range(1, PROFILES_PER_DAY):
        assert await team.send(team.bob.changed(seconds=after)) == DONE
    last = team.bob.changed(seconds=PROFILES_PER_DAY)
    assert (await team.send(last))[0] == 429
    assert await team.send(team.alice.changed()) == DONE
    team.bench.clock.advance(timedelta(days=1))
    assert await team.send(last) == DONE


@pytest.mark.asyncio
async def test_on_a_full_disk_no_profile_is_taken_from_anybody(team: Team) -> None:
    for person in (team.bob.changed(), new_person("carol@example.org")):
        octets = write_message(UpdateProfile(profile=person.signed))
        body = request_body(sign_request(octets, person.online, url=URL, now=NOW), {})
        _, answer = await team.bench.transactions.answer(body, signed=True, has_room=False)
        assert said(answer) == (
            503, "The server's disk is nearly full; try again later."
        )  # fmt: skip
    assert await team.bench.count("profiles") == 0


@pytest.mark.asyncio
async def test_members_of_before_are_noted_a_part_at_a_time_and_damaged_ones_passed_over(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = with_other_keys(team.bob)
    assert await team.send(newer) == DONE
    async with team.bench.store.begin():
        for sql in (
            "DELETE FROM memberships",
            "UPDATE members SET noted = NULL",
            "UPDATE members SET sealed = x'00' WHERE id = 1",
        ):
            await team.bench.store._rows.run(sql)
    team.bench.store._members.clear()
    monkeypatch.setattr(profiles, "READ_AT_ONCE", 1)
    await profiles.note_members(team.bench.store)
    async with team.bench.store.begin() as work:
        assert await work.known_profile(team.alice.udf) is None
        assert list((await work.newest_profiles(team.bob.udf)).values()) == [newer.verified]
        assert await work.note_members(1) == 0
    assert (await team.send(team.bob.changed(seconds=0), newer))[0] == 401
    assert await team.bench.count("memberships") == 1


@pytest.mark.asyncio
async def test_a_stale_misdirected_or_large_profile_is_refused(team: Team) -> None:
    newer = team.bob.changed()
    octets = write_message(UpdateProfile(profile=newer.signed))
    for url, now in ((URL, NOW - timedelta(seconds=301)), ("https://other.example", NOW)):
        made = sign_request(octets, team.bob.online, url=url, now=now)
        assert (await team.bench.send(made)).status == 401
    large = replace(
        newer, verified=replace(newer.verified, signed=but(newer.signed, payload="A" * 65537))
    )
    assert (await team.send(large))[0] == 413
    most = [SignaturePrivateKey.generate(SignatureCurve.ED25519).public for _ in range(32)]
    devices = [PrivateKey.generate(Curve.X25519).public for _ in range(32)]
    full = team.bob.changed(
        online_signature_keys=(team.bob.online.public, *most[1:]),
        encryption_keys=tuple(devices),
        master_escrow_keys=tuple(devices),
        accounts=tuple(f"{at:064}@example.org" for at in range(32)),
    )
    assert await team.send(full) == DONE


@pytest.mark.asyncio
async def test_a_profile_with_another_members_key_in_it_locks_nobody_out(team: Team) -> None:
    stated = RecryptionGroup(group_name=TEAM, policy=Policy(post=PostRight.MEMBERS))
    change = team.history.sign(UpdateGroup(recryption_group=stated), team.alice.online)
    await team.bench.change(change, history=team.history)
    keys = (team.bob.online.public, team.alice.online.public)
    assert await team.send(team.bob.changed(online_signature_keys=keys)) == DONE
    await team.page(team.alice)
    assert await team.posts(team.alice, 1) == 250
    idle = but(team.entry.entry, status=Status.SUSPENDED)
    await team.restate(Membership(idle, {}))
    await team.page(team.alice)
    assert await team.posts(team.alice, 2) == 250


@pytest.mark.asyncio
async def test_a_member_reads_own_entries_of_the_keys_that_history_names(team: Team) -> None:
    async def mine() -> tuple[int, list[object]]:
        answer = await team.bench.ask(GetEntry(group_id=TEAM), team.bob)
        entries = answer.entries if isinstance(answer, GetEntryResponse) else ()
        return answer.status, list(entries)

    (first,) = team.entry.entry.entries
    assert await mine() == (201, [first])
    key = PrivateKey.generate(Curve.X25519)
    prepared = [new_membership(person, key) for person in (team.alice, team.bob)]
    for made in prepared:
        stands = team.history.state.members[made.entry.recrypt_udf].entry
        entries = (*stands.entries, *made.entry.entries)
        await team.restate(Membership(but(stands, entries=entries), made.halves))
    assert await mine() == (201, [first])  # the next key isn't the group's yet
    (second,) = prepared[1].entry.entries
    group, head = team.history.group, team.history.state.head
    past = group.key.public.udf
    new = signed_group_key(group.master, key, generation=2, previous=past, head=head)
    for kept, expected in (
        (Kept.NONE, [second]), (Kept.SINCE_JOIN, [first, second]), (Kept.ALL, [first, second])
    ):  # fmt: skip
        stated = RecryptionGroup(
            group_name=TEAM, current_encryption_key=new.signed, policy=Policy(history=kept)
        )
        change = team.history.sign(UpdateGroup(recryption_group=stated), team.alice.online)
        await team.bench.change(change, history=team.history)
        assert await mine() == (201, expected)
    idle = but(team.history.state.members[team.bob.udf].entry, status=Status.SUSPENDED)
    await team.restate(Membership(idle, {}))
    assert await mine() == (403, [])
    master = team.history.group.master
    assert said(await team.bench.ask(GetEntry(group_id=TEAM), master))[0] == 403


@pytest.mark.asyncio
async def test_a_member_has_own_entries_though_another_lists_the_same_key(team: Team) -> None:
    """Mallory, who is a member too, lists Bob's key: Bob isn't misled, and learns of nobody."""

    async def entries(by: SignaturePrivateKey, named: Udf | None = None) -> object:
        message = write_message(GetEntry(group_id=TEAM, member_udf=named))
        answer = await team.bench.send(sign_request(message, by, url=URL, now=NOW))
        return answer.entries if isinstance(answer, GetEntryResponse) else answer.status

    mallory = new_person("mallory@example.org")
    greedy = mallory.changed(online_signature_keys=(mallory.online.public, team.bob.online.public))
    made = new_membership(mallory, team.history.group.key)
    added = team.history.add_message(made)
    await team.bench.change(team.history.sign(added, team.alice.online), made, history=team.history)
    own, others = team.entry.entry.entries, made.entry.entries
    assert await team.send(greedy) == DONE
    assert await entries(team.bob.online, team.bob.udf) == own
    assert await entries(team.bob.online) == 409
    assert await entries(team.bob.master, None) == own
    assert await entries(mallory.online, mallory.udf) == await entries(mallory.online) == others
    for udf in (team.bob.udf, team.alice.udf, new_person("dave@example.org").udf):
        assert await entries(mallory.online, udf) == 403
    idle = but(team.entry.entry, status=Status.SUSPENDED)
    await team.restate(Membership(idle, {}))
    assert await entries(team.bob.online, team.bob.udf) == 403
