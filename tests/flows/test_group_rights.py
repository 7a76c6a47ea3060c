"""Who may change a group, with which signature, in which order; and that an ended r is gone."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
import pytest_asyncio
from msgspec.structs import replace as but

from recrypt_core.agreement import Split
from recrypt_core.documents import Privilege, Status
from recrypt_core.encoding import write_b64url
from recrypt_core.errors import NotAuthentic
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.messages import AddMember, GetGroup, Redeliver, UpdateMember, write_message
from recrypt_core.sealing import seal
from recrypt_core.signature_keys import SignatureCurve, SignaturePrivateKey
from recrypt_core.signing import Jws, Link, sign_request
from recrypt_core.wire import SealedKey
from tests.asking import noted_verifications
from tests.builders import (
    EVERY_POWER,
    NOW,
    URL,
    Group,
    History,
    Membership,
    Person,
    create_message,
    new_group,
    new_membership,
    new_person,
    recryption_for,
    signed_group_key,
)
from tests.fakes import Bench, administrator
from tests.lists import said
from tests.mails import sealed

STRANGE = (
    401,
    "Not authentic: signed by a key that is unknown here, or not by the key it names.",
)


@dataclass
class Team:
    """A list of Alice's, on a server; requests are signed with her online key unless said."""

    bench: Bench
    history: History
    alice: Person

    @property
    def group(self) -> Group:
        """The list's group."""
        return self.history.group

    def entry(self, person: Person, *privileges: Privilege) -> Membership:
        """Make an entry for the list's key."""
        given = privileges or (Privilege.RECRYPT,)
        return new_membership(person, self.group.key, privileges=given)

    def added(self, *entries: Membership) -> AddMember:
        """Write an AddMember."""
        return self.history.add_message(*entries)

    def updated(self, *entries: Membership) -> UpdateMember:
        """Write an UpdateMember."""
        return UpdateMember(
            recryption_group=self.group.master.udf,
            member_entry=tuple(each.entry for each in entries),
        )

    async def ask(
        self, message: AddMember | UpdateMember, *entries: Membership, by: Person | None = None
    ) -> tuple[int, str]:
        """Ask for a change for the next place."""
        key = (by or self.alice).online
        return said(await self.bench.send(self.history.sign(message, key), *entries))

    async def do(
        self, message: AddMember | UpdateMember, *entries: Membership, by: Person | None = None
    ) -> None:
        """Ask for a change that is taken."""
        change = self.history.sign(message, (by or self.alice).online)
        await self.bench.change(change, *entries, history=self.history)

    async def join(self, person: Person, *privileges: Privilege) -> Membership:
        """Add somebody."""
        entry = self.entry(person, *privileges)
        await self.do(self.added(entry), entry)
        return entry


@pytest_asyncio.fixture
async def team(bench: Bench) -> Team:
    """Create a list."""
    group, alice = new_group(), new_person("alice@example.org")
    history = await bench.create(group, administrator(alice, group), authorised=alice)
    return Team(bench, history, alice)


def signed(
    team: Team,
    entry: Membership,
    key: SignaturePrivateKey,
    *,
    url: str = URL,
    now: datetime = NOW,
) -> Jws:
    """Sign an AddMember for the next place, with whatever else is wrong."""
    head = team.history.state.head
    link = Link(team.group.master.udf, head.seq + 1, head.hash)
    return sign_request(write_message(team.added(entry)), key, url=url, now=now, link=link)


@pytest.mark.asyncio
async def test_a_bad_signature_an_unknown_signer_and_an_unknown_group_are_one(team: Team) -> None:
    bob, stranger = new_person("bob@example.org"), new_person("carol@example.org")
    await team.join(bob)
    entry = team.entry(new_person("dave@example.org"))
    elsewhere = replace(team, history=History(new_group("none@lists.example")))
    elsewhere.history.states.append(team.history.state)
    honest = signed(team, entry, team.alice.online)
    other = signed(team, entry, team.alice.online)
    for change in (
        signed(team, entry, stranger.online),
        signed(elsewhere, entry, team.alice.online),
        Jws(honest.payload, honest.protected, other.signature),
        Jws(honest.payload, honest.protected, "AAAA"),
        Jws(honest.payload, honest.protected, "A"),
        Jws(honest.payload, signed(team, entry, bob.online).protected, honest.signature),
        Jws(honest.payload, signed(team, entry, stranger.online).protected, honest.signature),
    ):
        assert said(await team.bench.send(change, entry)) == STRANGE
    assert (await team.bench.send(honest, entry)).status == 201


@pytest.mark.asyncio
async def test_a_signature_is_verified_for_strangers_too(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose key is known isn't told by time: of a change, a read, and what breaks the format."""
    bob, entry = new_person("bob@example.org"), team.entry(new_person("carol@example.org"))
    await team.join(bob)
    honest = signed(team, entry, team.alice.online)
    verified = noted_verifications(monkeypatch)
    for key in (bob.online, new_person("mallory@example.org").online):
        bad = b'{"GetGroupRequest":{"GroupID":"%s","Limit":"all"}}' % team.group.name.encode()
        reads = [
            sign_request(payload, key, url=URL, now=NOW)
            for payload in (write_message(GetGroup(group_id=team.group.name)), bad)
        ]
        for made in (signed(team, entry, key), *reads):
            other = Jws(made.payload, made.protected, honest.signature)
            assert said(await team.bench.send(other, entry)) == STRANGE
    assert verified == [False] * 6


@pytest.mark.asyncio
async def test_whom_a_stranger_names_is_not_looked_up(team: Team) -> None:
    entry = await team.join(new_person("bob@example.org"))
    async with team.bench.store.begin():
        await team.bench.store._rows.run("UPDATE members SET sealed = x'00' WHERE NOT powerful")
    stranger = new_person("mallory@example.org")
    assert await team.ask(team.updated(entry), entry, by=stranger) == STRANGE
    with pytest.raises(NotAuthentic, match="damaged store"):
        async with team.bench.store.begin() as work:
            found = await work.find_list(team.group.name)
            assert found is not None
            await work.named(found.id, [entry.entry.recrypt_udf])


@pytest.mark.asyncio
async def test_a_repeat_of_a_change_that_takes_its_signers_own_key_away_is_answered(
    team: Team,
) -> None:
    other = SignaturePrivateKey.generate(SignatureCurve.ED25519)
    newer = team.alice.changed(online_signature_keys=(other.public,))
    entry = team.entry(newer, *EVERY_POWER)
    change = team.history.sign(team.updated(entry), team.alice.online)
    first = await team.bench.send(change, entry)
    assert said(first)[0] == 201
    assert await team.bench.send(change, entry) == first


@pytest.mark.asyncio
async def test_a_stale_replayed_or_misdirected_request_is_refused(team: Team) -> None:
    entry = team.entry(new_person("bob@example.org"))
    key = team.alice.online
    clock = "Not authentic: the request was signed over 300 s from the time here: check the clock."
    service = "Not authentic: the request is for another service: check the configured address."
    for change, words in (
        (signed(team, entry, key, now=NOW - timedelta(seconds=301)), clock),
        (signed(team, entry, key, now=NOW + timedelta(seconds=301)), clock),
        (signed(team, entry, key, url="https://other.example"), service),
        (signed(team, entry, key, url=f"{URL}/"), service),
    ):
        assert said(await team.bench.send(change, entry)) == (401, words)
    first = signed(team, entry, key, now=NOW - timedelta(seconds=300))
    await team.bench.change(first, entry, history=team.history)
    await team.join(new_person("carol@example.org"))
    replayed = (401, "Not authentic: the nonce was used before: sign anew.")
    assert said(await team.bench.send(first, entry)) == replayed


@pytest.mark.asyncio
async def test_a_nonce_is_remembered_for_as_long_as_its_request_is_fresh(team: Team) -> None:
    entry = team.entry(new_person("bob@example.org"))
    early = signed(team, entry, team.alice.online, now=NOW + timedelta(seconds=300))
    await team.bench.change(early, entry, history=team.history)
    await team.join(new_person("carol@example.org"))
    team.bench.clock.advance(timedelta(seconds=600))
    assert (await team.bench.send(early, entry)).status_description.startswith(
        "Not authentic: the nonce was used before"
    )
    team.bench.clock.advance(timedelta(seconds=1))
    assert "check the clock" in (await team.bench.send(early, entry)).status_description


@pytest.mark.asyncio
async def test_a_change_out_of_order_is_refused(team: Team) -> None:
    entry = team.entry(new_person("bob@example.org"))
    group, head = team.group.master.udf, team.history.state.head
    for link in (
        Link(group, 3, head.hash),
        Link(group, 2, write_b64url(bytes(32))),
        Link(group, 1, None),
    ):
        change = team.history.sign(team.added(entry), team.alice.online, link=link)
        assert said(await team.bench.send(change, entry)) == (
            409,
            "Refused: the group is at change 1: fetch its changes, then sign anew.",
        )
    other = Link(team.alice.udf, 2, head.hash)
    change = team.history.sign(team.added(entry), team.alice.online, link=other)
    assert (await team.bench.send(change, entry)).status == 400


@pytest.mark.asyncio
async def test_only_an_active_admin_adds_and_only_a_super_makes_admins(team: Team) -> None:
    bob, carol = new_person("bob@example.org"), new_person("carol@example.org")
    await team.join(bob)
    await team.join(carol, Privilege.ADMIN)
    entry = team.entry(new_person("dave@example.org"))
    power = team.entry(new_person("erin@example.org"), Privilege.ADMIN)
    admins, supers = ((403, f"Refused: only an ACTIVE {name} may do that.") for name in
                      ("ADMIN", "SUPER"))  # fmt: skip
    assert await team.ask(team.added(entry), entry, by=bob) == admins
    assert await team.ask(team.added(power), power, by=carol) == supers
    idle = new_membership(carol, privileges=(Privilege.ADMIN,), status=Status.SUSPENDED)
    assert await team.ask(team.updated(idle), by=carol) == supers
    await team.do(team.updated(idle))
    assert await team.ask(team.added(entry), entry, by=carol) == admins
    await team.do(team.added(power), power)
    await team.do(team.added(entry), entry, by=team.group.master)


@pytest.mark.asyncio
async def test_only_an_active_admin_or_super_has_posts_sent_again(team: Team) -> None:
    bob, carol, power = (new_person(f"{name}@example.org") for name in ("bob", "carol", "power"))
    await team.join(bob)
    await team.join(carol, Privilege.RECRYPT, Privilege.ADMIN)
    await team.join(power, Privilege.SUPER)

    async def ask(by: Person, *, group: str = team.group.name, url: str = URL) -> tuple[int, str]:
        message = Redeliver(group_id=group, recrypt_udf=bob.udf, since=NOW)
        return said(
            await team.bench.send(sign_request(write_message(message), by.online, url=url, now=NOW))
        )

    for by in (team.alice, carol, power, team.group.master):
        assert (await ask(by))[0] == 201
    assert (await ask(carol, group=team.group.master.udf))[0] == 201
    admins = (403, "Refused: only an ACTIVE ADMIN or SUPER may do that.")
    assert await ask(bob) == admins
    idle = new_membership(carol, privileges=(Privilege.ADMIN,), status=Status.SUSPENDED)
    await team.do(team.updated(idle))
    assert await ask(carol) == admins
    assert await ask(new_person("mallory@example.org")) == STRANGE
    assert await ask(team.alice, group="none@lists.example") == STRANGE
    assert (await ask(team.alice, url="https://other.example"))[0] == 401
    once = Redeliver(group_id=team.group.name, recrypt_udf=bob.udf, since=NOW)
    signed_once = sign_request(write_message(once), team.alice.online, url=URL, now=NOW)
    assert [(await team.bench.send(signed_once)).status for _ in range(2)] == [201, 401]


@pytest.mark.asyncio
async def test_add_is_for_the_new_update_for_the_known_and_a_super_stays(team: Team) -> None:
    entry = team.entry(new_person("bob@example.org"))
    assert await team.ask(team.updated(entry), entry) == (
        404,
        "Refused: not in the group: use AddMember.",
    )
    await team.do(team.added(entry), entry)
    again = new_membership(new_person("bob@example.org"), status=Status.REVOKED)
    assert (await team.ask(team.updated(again)))[0] == 404
    assert await team.ask(team.added(entry), entry) == (
        409,
        "Refused: already in the group: use UpdateMember.",
    )
    for last in (
        new_membership(team.alice),
        new_membership(team.alice, privileges=(Privilege.SUPER,), status=Status.SUSPENDED),
    ):
        assert await team.ask(team.updated(last)) == (
            409,
            "Refused: the group would be without an ACTIVE SUPER.",
        )


@pytest.mark.asyncio
async def test_an_x_is_taken_once_by_anybody_and_for_ever(team: Team) -> None:
    bob = new_person("bob@example.org")
    entry = await team.join(bob)
    seen = (409, "Refused: an X that was held before: split anew for every entry.")
    carol = new_person("carol@example.org")
    await team.join(carol)
    handed = replace(entry, entry=but(new_membership(carol).entry, entries=entry.entry.entries))
    ended = new_membership(bob, status=Status.REVOKED)
    assert await team.ask(team.updated(ended, handed), handed) == seen
    await team.do(team.updated(new_membership(bob, status=Status.REVOKED)))
    assert await team.ask(team.updated(entry), entry) == seen
    moved = new_membership(new_person("dave@example.org"))
    taken = replace(entry, entry=but(moved.entry, entries=entry.entry.entries))
    assert await team.ask(team.added(taken), taken) == seen
    master, key = new_person("other@lists.example", devices=0), team.group.key
    other = Group(master, key, signed_group_key(master, key))
    first = [administrator(team.alice, other), entry]
    change = History(other).sign(create_message(other, first, team.alice.online), master.online)
    assert said(await team.bench.send(change, *first)) == seen
    assert await team.bench.count("lists") == 1


@pytest.mark.asyncio
async def test_an_entry_that_is_held_stands_without_its_half_and_unchanged(team: Team) -> None:
    bob = new_person("bob@example.org")
    entry = await team.join(bob)
    kept = replace(entry, entry=but(entry.entry, privileges=(Privilege.RECRYPT, Privilege.ADMIN)))
    await team.do(team.updated(kept))
    (only,) = entry.entry.entries
    other = PrivateKey.generate(Curve.X25519).public
    for wrong in (
        but(only, recryption_public=other),
        but(only, split=Split.PRODUCT),
        but(only, encryption_key_udf=other.udf),
    ):
        changed = replace(kept, entry=but(kept.entry, entries=(wrong,)), halves={})
        assert await team.ask(team.updated(changed)) == (
            400,
            "Malformed: an entry that was changed: split anew.",
        )
    await team.do(team.updated(new_membership(bob, status=Status.REVOKED)))
    assert (await team.ask(team.updated(replace(kept, halves={}))))[1] == (
        "Malformed: an entry without its half beside the signature."
    )
    again = team.entry(bob)
    await team.do(team.updated(again), again)
    assert await team.bench.count("entries") == 2


@pytest.mark.asyncio
async def test_a_decryption_key_that_links_or_would_not_fit_is_refused_kept_or_new(
    team: Team,
) -> None:
    bob = new_person("bob@example.org", devices=2)
    entry = await team.join(bob)
    (only,) = entry.entry.entries
    wrapped = only.decryption_key.envelope
    devices = bob.verified.profile.encryption_keys
    first = wrapped.recipients[0]
    long = replace(first, header={**first.header, "apu": "A" * 400})
    for wrong, words in (
        (seal(b"{}", devices), "whose recipients have a kid"),
        (replace(wrapped, sender="a.b.c"), "with a recryption or a sender"),
        (replace(wrapped, recryption=recryption_for(entry, sealed(team.group.key.public))),
         "with a recryption or a sender"),
        (replace(wrapped, protected=write_b64url(b'{"enc":"A128GCM"}'), recipients=tuple(
            replace(each, encrypted_key=bytes(24)) for each in wrapped.recipients)),
         "that isn't A256GCM"),
        (replace(wrapped, recipients=(long,) * 60), "that is too large for a copy"),
    ):  # fmt: skip
        changed = but(only, decryption_key=SealedKey(wrong))
        kept = replace(entry, entry=but(entry.entry, entries=(changed,)))
        said = (400, f"Malformed: a DecryptionKey {words}.")
        assert await team.ask(team.updated(kept), kept) == said
        new = team.entry(new_person("carol@example.org"))
        (fresh,) = new.entry.entries
        made = but(fresh, decryption_key=SealedKey(wrong))
        new = replace(new, entry=but(new.entry, entries=(made,)))
        assert await team.ask(team.added(new), new) == said
