"""RecryptData: who gets a partial, how often, and that nobody else learns anything by asking."""

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
import pytest_asyncio
from msgspec.structs import replace as but

from listserver import limits, recrypting
from listserver.model import House
from listserver.transactions import Transactions
from recrypt_core.agreement import partial
from recrypt_core.documents import Privilege, RecryptionGroup, Status
from recrypt_core.encoding import read_b64url
from recrypt_core.envelope import Envelope, Recryption
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.messages import (
    RecryptData,
    RecryptDataResponse,
    Response,
    UpdateGroup,
    UpdateProfile,
    write_message,
)
from recrypt_core.opening import open_decryption_key, open_whole, open_with_halves
from recrypt_core.policy import History as Kept
from recrypt_core.policy import Policy
from recrypt_core.sealing import seal
from recrypt_core.signing import sign_request
from recrypt_core.wire import EphemeralKey
from tests.asking import asked, noted_verifications
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
from tests.fakes import Bench, administrator, open_bench
from tests.lists import said

CONTENT = b"The plan.\n"
UNKNOWN = (404, f"Refused: {recrypting.UNKNOWN}.")
TODAYS_LAST_SECOND = NOW.replace(hour=23, minute=59, second=59)


@dataclass
class Team:
    """A list of Alice's with Bob and Carol, on a server, and a file that is sealed to it."""

    bench: Bench
    history: History
    alice: Person
    bob: Person
    carol: Person
    entries: dict[str, Membership]
    envelope: Envelope

    @property
    def question(self) -> RecryptData:
        """What Bob asks."""
        return asked(self.bob, self.entries["bob"], self.envelope)

    async def ask(self, message: RecryptData | UpdateProfile, by: Person | None = None) -> Response:
        """Ask, signed by Bob unless said."""
        return await self.bench.ask(message, by or self.bob)

    async def restate(self, *entries: Membership) -> None:
        """Replace members' entries."""
        await self.bench.restate(self.history, self.alice, *entries)

    async def bob_is(self, **changes: object) -> None:
        """State Bob's entry with these changes."""
        await self.restate(Membership(but(self.entries["bob"].entry, **changes), {}))

    async def set(self, **changes: object) -> None:
        """Change the group."""
        stated = RecryptionGroup(**{"group_name": TEAM, **changes})  # type: ignore[arg-type]  # fields by name
        change = self.history.sign(UpdateGroup(recryption_group=stated), self.alice.online)
        await self.bench.change(change, history=self.history)

    async def results(self) -> list[tuple[int, str]]:
        """Read who asked and what came of it, of the log."""
        async with self.bench.store.begin() as work:
            found = await work.find_list(TEAM)
            assert found is not None
            entries, _ = await work.audit_after(found.id, 0, 1000)
        return [(each.seq, each.result.value) for each in entries]

    def opened(self, answer: Response, by: Person) -> bytes:
        """Open the file by what the service answered."""
        assert isinstance(answer, RecryptDataResponse), answer
        key = self.question.group_key_id
        if answer.encrypted_partial is None:
            assert answer.partial is not None
            part = read_b64url(answer.partial)
        else:
            assert answer.partial is None
            part = open_whole(answer.encrypted_partial.envelope, by.devices)
        (half,) = self.entries["bob"].entry.entries
        recryption = Recryption(
            key, half.member_key_udf, answer.split, part, answer.decryption_key.envelope
        )
        return open_with_halves(
            self.envelope, recryption, open_decryption_key(recryption, by.devices)
        )


async def new_team(bench: Bench, *, curve: Curve = Curve.X25519) -> Team:
    group = new_group(curve=curve)
    alice, bob, carol = (
        new_person(f"{name}@example.org", curve=curve) for name in ("alice", "bob", "carol")
    )
    entries = {
        name: new_membership(person, group.key) for name, person in (("bob", bob), ("carol", carol))
    }
    history = await bench.create(
        group, administrator(alice, group), *entries.values(), authorised=alice
    )
    envelope = seal(CONTENT, [group.key.public])
    return Team(bench, history, alice, bob, carol, entries, envelope)


@pytest_asyncio.fixture
async def team(bench: Bench) -> Team:
    """Create the list."""
    return await new_team(bench)


@pytest.mark.asyncio
@pytest.mark.parametrize("curve", list(Curve))
@pytest.mark.parametrize("encrypted", [False, True])
async def test_a_member_opens_a_file_by_the_answer(
    bench: Bench, curve: Curve, encrypted: bool
) -> None:
    team = await new_team(bench, curve=curve)
    answer = await team.ask(but(team.question, encrypted=encrypted))
    assert answer.status == 201
    assert team.opened(answer, team.bob) == CONTENT
    assert await team.results() == [(1, "DONE")]


@pytest.mark.asyncio
async def test_an_encrypted_partial_names_no_recipient_and_is_for_the_newest_devices(
    team: Team,
) -> None:
    device = PrivateKey.generate(Curve.X25519)
    newer = replace(
        team.bob.changed(encryption_keys=(team.bob.devices[0].public, device.public)),
        devices=(device,),
    )
    assert said(await team.ask(UpdateProfile(profile=newer.signed)))[0] == 201
    answer = await team.ask(but(team.question, encrypted=True))
    assert isinstance(answer, RecryptDataResponse)
    assert answer.encrypted_partial is not None
    envelope = answer.encrypted_partial.envelope
    assert [each.kid for each in envelope.recipients] == [None, None]
    (half,) = team.entries["bob"].halves.values()
    expected = partial(half, team.question.recipient.header.epk)
    for each in (device, *team.bob.devices):
        assert open_whole(envelope, [each]) == expected


@pytest.mark.asyncio
async def test_all_who_do_not_hold_the_entry_hear_the_same(team: Team) -> None:
    mine, other = team.question, asked(team.carol, team.entries["carol"], team.envelope)
    mallory = new_person("mallory@example.org")
    unknown = mallory.devices[0].public.udf
    for message, by in (
        (mine, mallory),
        (mine, team.carol),
        (mine, team.alice),
        (mine, team.history.group.master),
        (but(other, member_udf=team.bob.udf), team.bob),
        (other, team.bob),
        (but(mine, member_udf=mallory.udf), team.bob),
        (but(mine, member_key_udf=unknown), team.bob),
        (but(mine, member_key_udf=unknown), mallory),
        (replace_key(mine), team.bob),
    ):
        assert said(await team.ask(message, by)) == UNKNOWN
    good = sign_request(write_message(mine), team.bob.online, url=URL, now=NOW)
    other_nonce = sign_request(write_message(mine), team.bob.online, url=URL, now=NOW)
    forged = but(good, signature=other_nonce.signature)
    assert said(await team.bench.send(forged)) == UNKNOWN
    assert await team.results() == []
    assert await team.bench.count("nonces") == 1  # of the change that made the group


def replace_key(message: RecryptData) -> RecryptData:
    """Ask about another group key with the same X."""
    other = PrivateKey.generate(Curve.X25519).public.udf
    recipient = but(message.recipient, header=but(message.recipient.header, kid=other))
    return but(message, group_key_id=other, recipient=recipient)


@pytest.mark.asyncio
async def test_an_empty_server_says_the_same(
    bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    team = await new_team(bench)
    async with open_bench(tmp_path_factory.mktemp("empty")) as empty:
        made = sign_request(write_message(team.question), team.bob.online, url=URL, now=NOW)
        assert said(await empty.send(made)) == UNKNOWN


@pytest.mark.asyncio
async def test_a_stranger_costs_the_same_work_as_a_member(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose X it is isn't told by time: a row is read and a signature verified for everybody."""
    verified = noted_verifications(monkeypatch)
    statements: list[list[str]] = []
    unknown = but(team.question, member_key_udf=new_person("x@example.org").devices[0].public.udf)
    for message, by in (
        (team.question, team.carol),
        (unknown, team.carol),
        (unknown, new_person("mallory@example.org")),
        (team.question, new_person("mallory@example.org")),
    ):
        with team.bench.statements() as seen:
            assert said(await team.ask(message, by)) == UNKNOWN
        statements.append(seen)
    assert verified == [False] * 4
    assert all(each == statements[0] for each in statements)


@pytest.mark.asyncio
async def test_an_entry_that_ended_is_unknown_at_once(team: Team) -> None:
    await team.ask(team.question)
    anew = new_membership(team.bob, team.history.group.key)
    await team.restate(anew)
    assert said(await team.ask(team.question)) == UNKNOWN
    assert (await team.ask(asked(team.bob, anew, team.envelope))).status == 201
    await team.restate(new_membership(team.bob, status=Status.REVOKED))
    assert said(await team.ask(asked(team.bob, anew, team.envelope))) == UNKNOWN


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "changes",
    [{"status": Status.SUSPENDED}, {"privileges": (Privilege.ADMIN,)}, {"privileges": ()}],
)
async def test_who_is_not_served_is_refused_at_once_and_this_is_logged(
    team: Team, changes: dict[str, object]
) -> None:
    assert (await team.ask(team.question)).status == 201
    await team.bob_is(**changes)
    words = "Refused: only an ACTIVE member with RECRYPT may ask: ask the group's administrator."
    for _ in range(limits.AUDIT_REFUSALS + 2):
        assert said(await team.ask(team.question)) == (403, words)
    refused = [(2 + at, "REFUSED") for at in range(limits.AUDIT_REFUSALS)]
    assert await team.results() == [(1, "DONE"), *refused]
    await team.bob_is()
    assert (await team.ask(team.question)).status == 201


@pytest.mark.asyncio
async def test_a_past_key_is_answered_as_history_says(team: Team) -> None:
    key = PrivateKey.generate(Curve.X25519)
    for name, person in (("alice", team.alice), ("bob", team.bob), ("carol", team.carol)):
        stands = team.history.state.members[person.udf].entry
        made = new_membership(person, key)
        entry = but(stands, entries=(*stands.entries, *made.entry.entries))
        await team.restate(Membership(entry, made.halves))
        team.entries[f"{name} next"] = made
    mine, group = team.question, team.history.group
    past, head = group.key.public.udf, team.history.state.head
    new = signed_group_key(group.master, key, generation=2, previous=past, head=head)
    later = asked(team.bob, team.entries["bob next"], seal(CONTENT, [key.public]))
    assert (await team.ask(later)).status == 403  # it isn't the group's yet
    await team.set(current_encryption_key=new.signed)
    assert (await team.ask(later)).status == 201
    for kept, status in ((Kept.NONE, 403), (Kept.SINCE_JOIN, 201), (Kept.ALL, 201)):
        await team.set(policy=Policy(history=kept))
        assert (await team.ask(mine)).status == status


@pytest.mark.asyncio
async def test_a_newer_profile_takes_a_signature_key_its_right(team: Team) -> None:
    newer = replace(team.bob, online=new_person("x@example.org").online)
    newer = newer.changed(online_signature_keys=(newer.online.public,))
    assert said(await team.ask(UpdateProfile(profile=newer.signed), newer))[0] == 201
    assert said(await team.ask(team.question, team.bob)) == UNKNOWN
    assert team.opened(await team.ask(team.question, newer), team.bob) == CONTENT


@pytest.mark.asyncio
async def test_an_epk_of_another_curve_is_refused_and_not_counted(team: Team) -> None:
    other = PrivateKey.generate(Curve.P256).public
    header = but(team.question.recipient.header, epk=EphemeralKey(other.curve, other.x, other.y))
    message = but(team.question, recipient=but(team.question.recipient, header=header))
    words = "Malformed: an epk of another curve than the group's key."
    assert said(await team.ask(message)) == (400, words)
    assert said(await team.ask(message, team.carol)) == UNKNOWN
    assert await team.results() == []


@pytest.mark.asyncio
async def test_a_stale_misdirected_or_replayed_request_is_refused(team: Team) -> None:
    octets, key = write_message(team.question), team.bob.online
    for url, now in ((URL, NOW - timedelta(seconds=301)), ("https://other.example", NOW)):
        assert (await team.bench.send(sign_request(octets, key, url=url, now=now))).status == 401
    made = sign_request(octets, key, url=URL, now=NOW)
    assert [(await team.bench.send(made)).status for _ in range(2)] == [201, 401]
    assert await team.results() == [(1, "DONE")]


@pytest.mark.asyncio
async def test_a_full_disk_answers_nobody(team: Team) -> None:
    for by in (team.bob, new_person("mallory@example.org")):
        made = sign_request(write_message(team.question), by.online, url=URL, now=NOW)
        body = b'{"payload":"%s","protected":"%s","signature":"%s"}' % (
            made.payload.encode(), made.protected.encode(), made.signature.encode()
        )  # fmt: skip
        _, answer = await team.bench.transactions.answer(body, signed=True, has_room=False)
        assert answer.status == 503


# --- quotas


def until(day: str) -> str:
    return f"as often as allowed on a day: ask again from {day}T00:00:00Z on."


@pytest.mark.asyncio
async def test_a_members_quota_ends_with_the_day_in_utc(team: Team) -> None:
    await team.bob_is(quotas=("RecryptData per-day 2",))
    team.bench.clock.advance(TODAYS_LAST_SECOND - NOW)
    assert [(await team.ask(team.question)).status for _ in range(2)] == [201, 201]
    words = f"Refused: you have asked {until('2026-11-23')}"
    assert said(await team.ask(team.question)) == (429, words)
    mine = asked(team.carol, team.entries["carol"], team.envelope)
    assert (await team.ask(mine, team.carol)).status == 201
    team.bench.clock.advance(timedelta(seconds=1))
    assert [(await team.ask(team.question)).status for _ in range(3)] == [201, 201, 429]


@pytest.mark.asyncio
async def test_of_refusals_by_quota_the_first_of_a_day_are_logged(team: Team) -> None:
    await team.bob_is(quotas=("RecryptData per-day 0", "RecryptData per-day 5"))
    for _ in range(limits.AUDIT_REFUSALS + 2):
        assert (await team.ask(team.question)).status == 429
    assert await team.results() == [(1 + at, "QUOTA") for at in range(limits.AUDIT_REFUSALS)]


@pytest.mark.asyncio
async def test_the_groups_quota_is_for_all_members_together(team: Team) -> None:
    await team.set(policy=Policy(recrypt_per_day=3))
    mine = asked(team.carol, team.entries["carol"], team.envelope)
    for message, by in ((team.question, team.bob), (mine, team.carol), (mine, team.carol)):
        assert (await team.ask(message, by)).status == 201
    words = f"Refused: the group's members have asked {until('2026-11-23')}"
    for message, by in ((team.question, team.bob), (mine, team.carol)):
        assert said(await team.ask(message, by)) == (429, words)
    await team.set(policy=Policy(recrypt_per_day=4))
    assert [(await team.ask(team.question)).status for _ in range(2)] == [201, 429]


@pytest.mark.asyncio
@pytest.mark.parametrize(("member", "group"), [(2, 9), (9, 2)])
async def test_the_operators_bounds_stand_whatever_the_group_says(
    team: Team, member: int, group: int
) -> None:
    await team.bob_is(quotas=("RecryptData per-day 5",))
    await team.set(policy=Policy(recrypt_per_day=5))
    bench = team.bench
    house = House(
        "lists.example", URL, 1, recryptions_per_member=member, recryptions_per_group=group
    )
    bench.transactions = Transactions(house, bench.store, bench.clock, bench.log, wake=lambda: None)
    assert [(await team.ask(team.question)).status for _ in range(3)] == [201, 201, 429]


@pytest.mark.asyncio
async def test_counts_outlive_a_restart_and_a_new_entry(team: Team) -> None:
    quota = ("RecryptData per-day 2",)
    await team.bob_is(quotas=quota)
    assert (await team.ask(team.question)).status == 201
    anew = new_membership(team.bob, team.history.group.key)
    await team.restate(replace(anew, entry=but(anew.entry, quotas=quota)))
    async with open_bench(team.bench.file.parent) as again:
        for expected in (201, 429):
            message = write_message(asked(team.bob, anew, team.envelope))
            made = sign_request(message, team.bob.online, url=URL, now=NOW)
            assert (await again.send(made)).status == expected


@pytest.mark.asyncio
async def test_a_clock_that_jumps_ahead_and_back_renews_no_quota_and_locks_nobody_out(
    team: Team,
) -> None:
    await team.bob_is(quotas=("RecryptData per-day 1",))
    assert [(await team.ask(team.question)).status for _ in range(2)] == [201, 429]
    jump = timedelta(days=limits.QUOTA_DAYS)
    for by, expected in ((jump, 201), (-jump, 429), (timedelta(days=1), 201), (jump * 9, 201)):
        team.bench.clock.advance(by)
        async with team.bench.store.begin() as work:
            await work.erase_audit(team.bench.clock.now(), timedelta(days=90))
        assert (await team.ask(team.question)).status == expected
