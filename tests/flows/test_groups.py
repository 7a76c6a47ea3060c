"""Changes of a group through the service: who may do what, all or nothing, and in order."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from msgspec.structs import replace as but

from listserver.model import House
from listserver.transactions import Transactions
from recrypt_core.documents import CreateAuthorization, Status, sign_create
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.members import AHEAD
from recrypt_core.messages import Change, ChangeResponse, CreateGroup, Response, UpdateMember
from recrypt_core.policy import FromPolicy, Policy
from recrypt_core.signing import Jws
from tests.builders import (
    NOW,
    TEAM,
    URL,
    Group,
    History,
    Membership,
    Person,
    create_message,
    new_group,
    new_membership,
    new_person,
    signed_group_key,
)
from tests.fakes import Bench, administrator
from tests.lists import said


async def ask(bench: Bench, message: CreateGroup, group: Group, *halves: Membership) -> Response:
    """Ask for a group that is signed as it should be."""
    return await bench.send(History(group).sign(message, group.master.online), *halves)


@pytest.mark.asyncio
async def test_only_whom_the_operator_authorised_may_create(bench: Bench) -> None:
    group, alice = new_group(), new_person("alice@example.org")
    first = administrator(alice, group)
    message = create_message(group, [first], alice.online)
    refused = await ask(bench, message, group, first)
    assert said(refused) == (
        403,
        "Refused: the operator hasn't authorised this profile to create groups:"
        " ask for `listserver authorize PROFILE.json`.",
    )
    assert await bench.count("lists") == await bench.count("nonces") == 0
    await bench.authorize(alice)
    await bench.authorize(alice.changed())
    assert (await ask(bench, message, group, first)).status == 201
    async with bench.store.begin() as work:
        assert await work.deauthorize(alice.udf)
        assert not await work.deauthorize(alice.udf)
    other = new_group("other@lists.example")
    entry = administrator(alice, other)
    assert (
        await ask(bench, create_message(other, [entry], alice.online), other, entry)
    ).status == 403


@pytest.mark.asyncio
async def test_an_authorization_for_something_else_is_refused(bench: Bench) -> None:
    group, alice = new_group(), new_person("alice@example.org")
    await bench.authorize(alice)
    first = administrator(alice, group)
    message = create_message(group, [first], alice.online)
    right = CreateAuthorization(
        group_identifier=group.master.udf,
        group_name=TEAM,
        url=URL,
        iat=int(NOW.timestamp()),
    )
    for wrong in (
        but(right, group_identifier=alice.udf),
        but(right, group_name="other@lists.example"),
        but(right, url="https://other.example"),
        but(right, iat=right.iat - 301),
        but(right, iat=right.iat + 301),
        but(right, iat=10**11),
    ):
        made = sign_create(wrong, alice.online)
        refused = await ask(bench, but(message, authorization=made), group, first)
        assert said(refused) == (
            401,
            "Not authentic: an Authorization for another group or service, or a stale one.",
        )
    for beyond in (-1, 10**15, 10**400):
        made = sign_create(but(right, iat=beyond), alice.online)
        refused = await ask(bench, but(message, authorization=made), group, first)
        assert refused.status == 400
    honest = message.authorization
    forged = Jws(honest.payload, honest.protected, honest.signature[::-1])
    assert (await ask(bench, but(message, authorization=forged), group, first)).status in (400, 401)
    assert await bench.count("lists") == 0


@pytest.mark.asyncio
async def test_a_name_is_taken_once_and_a_repeat_is_answered_again(bench: Bench) -> None:
    group, alice = new_group(), new_person("alice@example.org")
    first = administrator(alice, group)
    history = await bench.create(group, first, authorised=alice)
    bench.clock.advance(timedelta(days=30))
    repeated = await bench.send(history.changes[0], first)
    assert isinstance(repeated, ChangeResponse)
    assert (repeated.status, repeated.head) == (201, history.state.head)
    bench.clock.advance(-timedelta(days=30))
    rival = new_group()
    entry = administrator(alice, rival)
    taken = (409, "Refused: a group of that name exists: choose another.")
    message = create_message(rival, [entry], alice.online)
    assert said(await ask(bench, message, rival, entry)) == taken
    message = create_message(group, [first], alice.online)
    assert said(await ask(bench, message, group, first)) == taken
    # Nor is an Identifier given twice, under another name.
    master = group.master.changed(accounts=("crew@lists.example",))
    crew = replace(group, master=master, signed_key=signed_group_key(master, group.key))
    entry = administrator(alice, crew)
    message = create_message(crew, [entry], alice.online)
    assert said(await ask(bench, message, crew, entry)) == taken
    assert await bench.count("lists") == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("team@other.example", "lists here are named in lower case, at lists.example"),
        ("Team@lists.example", "lists here are named in lower case, at lists.example"),
        ("team-owner@lists.example", "A list's name can't end in -owner"),
        ("postmaster@lists.example", "The names postmaster and abuse belong"),
        (f"{'x' * 26}@lists.example", "A list's name has at most 25 characters"),
        ("a team@lists.example", "The part before the @ must be ASCII"),
        ("team", "An address is name@domain"),
    ],
)
async def test_a_name_that_no_list_can_have_is_refused(bench: Bench, name: str, words: str) -> None:
    group, alice = new_group(name), new_person("alice@example.org")
    await bench.authorize(alice)
    first = administrator(alice, group)
    response = await ask(bench, create_message(group, [first], alice.online), group, first)
    assert response.status == 400
    assert response.status_description.startswith(f"Malformed: {words}")


@pytest.mark.asyncio
@pytest.mark.parametrize("policy", [Policy(from_=FromPolicy.VIA)], ids=["via"])
async def test_rules_that_are_not_kept_yet_are_refused(bench: Bench, policy: Policy) -> None:
    group, alice = new_group(), new_person("alice@example.org")
    await bench.authorize(alice)
    first = administrator(alice, group)
    message = create_message(group, [first], alice.online)
    ruled = but(message, recryption_group=but(message.recryption_group, policy=policy))
    response = await ask(bench, ruled, group, first)
    assert response.status == 400
    assert response.status_description.startswith("Malformed: this service takes ")


@pytest.mark.asyncio
async def test_a_chain_that_does_not_begin_well_is_refused(bench: Bench) -> None:
    group, alice = new_group(), new_person("alice@example.org")
    await bench.authorize(alice)
    nobody = create_message(group, [new_membership(alice, group.key)], alice.online)
    member = new_membership(alice, group.key)
    assert (await ask(bench, nobody, group, member)).status == 409
    first = administrator(alice, group)
    message: Change = create_message(group, [first], alice.online)
    by_another = History(group).sign(message, alice.online)
    assert (await bench.send(by_another, first)).status == 401
    assert await bench.count("lists") == 0


async def new_team(bench: Bench) -> tuple[History, Person]:
    """Create a list of Alice's."""
    group, alice = new_group(), new_person("alice@example.org")
    return await bench.create(group, administrator(alice, group), authorised=alice), alice


async def adding(bench: Bench, history: History, by: Person, *entries: Membership) -> Response:
    """Ask to add members."""
    return await bench.send(history.sign(history.add_message(*entries), by.online), *entries)


NO_MATCH = "halves that don't match: r and X don't make up the group's key"


@pytest.mark.asyncio
@pytest.mark.parametrize("curve", Curve, ids=lambda curve: curve.value)
async def test_halves_that_do_not_match_are_refused(bench: Bench, curve: Curve) -> None:
    group, alice = new_group(curve=curve), new_person("alice@example.org")
    history = await bench.create(group, administrator(alice, group), authorised=alice)
    bob, carol = (new_person(f"{name}@example.org") for name in ("bob", "carol"))
    one, other = new_membership(bob, group.key), new_membership(carol, group.key)
    for_another_key = new_membership(bob, PrivateKey.generate(curve))
    (entry,), (wrong,) = for_another_key.entry.entries, one.entry.entries
    relabelled = but(entry, encryption_key_udf=wrong.encryption_key_udf)
    another_r = but(wrong, recryption_public=entry.recryption_public)
    (x,), (y,) = one.halves, other.halves
    for memberships, words in (
        ([replace(one, halves={x: other.halves[y]})], NO_MATCH),
        ([replace(one, halves={x: PrivateKey.generate(curve)})], NO_MATCH),
        (
            [replace(for_another_key, entry=but(for_another_key.entry, entries=(relabelled,)))],
            NO_MATCH,
        ),
        ([replace(one, entry=but(one.entry, entries=(another_r,)))], NO_MATCH),
        ([replace(one, halves={})], "an entry without its half beside the signature"),
        ([one, replace(other, halves={})], "an entry without its half beside the signature"),
        (
            [replace(one, halves={**one.halves, **other.halves})],
            "halves that belong to no entry of the request",
        ),
    ):
        response = await adding(bench, history, alice, *memberships)
        assert said(response) == (400, f"Malformed: {words}.")
    assert await bench.count("members") == await bench.count("changes") == 1
    assert (await adding(bench, history, alice, one, other)).status == 201


@pytest.mark.asyncio
async def test_one_bad_entry_of_many_changes_nothing(bench: Bench) -> None:
    history, alice = await new_team(bench)
    people = [new_person(f"m{at}@example.org") for at in range(6)]
    entries = [new_membership(each, history.group.key) for each in people]
    before = {table: await bench.rows(f"SELECT * FROM {table}") for table in TABLES}  # noqa: S608
    broken = replace(entries[-1], halves={})
    assert (await adding(bench, history, alice, *entries[:-1], broken)).status == 400
    assert {table: await bench.rows(f"SELECT * FROM {table}") for table in TABLES} == before  # noqa: S608
    assert (await adding(bench, history, alice, *entries)).status == 201
    assert await bench.count("entries") == 7


TABLES = ("lists", "changes", "members", "signers", "entries", "halves_seen", "nonces")


@pytest.mark.asyncio
async def test_two_changes_for_one_place_do_not_both_succeed(bench: Bench) -> None:
    history, alice = await new_team(bench)
    entries = [new_membership(new_person(f"m{at}@example.org"), history.group.key) for at in "12"]
    answers = await asyncio.gather(*(adding(bench, history, alice, each) for each in entries))
    assert sorted(each.status for each in answers) == [201, 409]
    assert await bench.count("members") == await bench.count("changes") == 2


@pytest.mark.asyncio
async def test_one_change_sent_twice_at_once_is_taken_once_and_answered_alike(
    bench: Bench,
) -> None:
    history, alice = await new_team(bench)
    entry = new_membership(new_person("bob@example.org"), history.group.key)
    change = history.sign(history.add_message(entry), alice.online)
    answers = await asyncio.gather(*(bench.send(change, entry) for _ in range(3)))
    assert [each.status for each in answers] == [201] * 3
    assert len({str(each) for each in answers}) == 1
    bench.clock.advance(timedelta(days=1))
    assert (await bench.send(change, entry)).status == 201
    assert await bench.count("changes") == 2
    group, alice = new_group("other@lists.example"), new_person("alice@example.org")
    await bench.authorize(alice)
    bench.clock.advance(-timedelta(days=1))
    first = administrator(alice, group)
    create = create_message(group, [first], alice.online)
    change = History(group).sign(create, group.master.online)
    answers = await asyncio.gather(*(bench.send(change, first) for _ in range(3)))
    assert [each.status for each in answers] == [201] * 3
    assert await bench.count("lists") == 2


@pytest.mark.asyncio
async def test_a_profile_creates_as_many_groups_as_the_operator_lets_it(bench: Bench) -> None:
    house = House("lists.example", URL, bench.post_octets, groups_per_profile=2)
    bench.transactions = Transactions(
        house, bench.store, bench.clock, bench.log, wake=bench.posting.arrived.set
    )
    alice, bob = new_person("alice@example.org"), new_person("bob@example.org")

    async def create(person: Person, name: str) -> tuple[int, str]:
        group = new_group(f"{name}@lists.example")
        first = administrator(person, group)
        message = create_message(group, [first], person.online)
        return said(await ask(bench, message, group, first))

    full = (429, "Refused: this profile has as many groups as it may: ask the operator.")
    for person in (alice, bob):
        await bench.authorize(person)
    assert [(await create(alice, name))[0] for name in ("one", "two", "two")] == [201, 201, 409]
    assert await create(alice, "three") == full
    await bench.authorize(alice.changed())
    assert await create(alice, "three") == full
    assert (await create(bob, "three"))[0] == 201


@pytest.mark.asyncio
async def test_an_entry_that_is_held_and_stated_twice_is_refused(bench: Bench) -> None:
    group, alice, bob = new_group(), new_person("alice@example.org"), new_person("bob@example.org")
    held = new_membership(bob, group.key)
    history = await bench.create(group, administrator(alice, group), held, authorised=alice)
    for twice, status in ((held.entry.entries * 2, 400), (held.entry.entries, 201)):
        entry = but(held.entry, entries=twice)
        message = UpdateMember(recryption_group=history.state.identifier, member_entry=(entry,))
        assert (await bench.send(history.sign(message, alice.online))).status == status


@pytest.mark.asyncio
async def test_a_profile_dated_ahead_is_refused_unless_it_is_held(bench: Bench) -> None:
    ahead = (400, f"Malformed: {AHEAD}.")
    group, alice, bob = new_group(), new_person("alice@example.org"), new_person("bob@example.org")
    await bench.authorize(alice)
    late = administrator(alice.changed(seconds=86_600), group)
    assert said(await ask(bench, create_message(group, [late], alice.online), group, late)) == ahead
    history = await bench.create(group, administrator(alice, group), authorised=alice)
    given = new_membership(bob.changed(seconds=86_600), group.key)
    change = history.sign(history.add_message(given), alice.online)
    assert said(await bench.send(change, given)) == ahead
    bench.clock.advance(timedelta(seconds=250))
    await bench.change(change, given, history=history)
    bench.clock.advance(-timedelta(seconds=250))
    stopped = but(given.entry, status=Status.SUSPENDED)
    message = UpdateMember(recryption_group=history.state.identifier, member_entry=(stopped,))
    assert (await bench.send(history.sign(message, alice.online))).status == 201


@pytest.mark.asyncio
async def test_quotas_that_nobody_would_keep_are_refused(bench: Bench) -> None:
    group, alice = new_group(), new_person("alice@example.org")
    await bench.authorize(alice)
    first = administrator(alice, group)
    for quota, status in (("10 a day", 400), ("RecryptData per-day 10", 201)):
        entry = but(first.entry, quotas=(quota,))
        given = replace(first, entry=entry)
        message = create_message(group, [given], alice.online)
        assert (await ask(bench, message, group, given)).status == status
