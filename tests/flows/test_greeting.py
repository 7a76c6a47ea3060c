"""Welcomes and goodbyes: who has one, once, sealed; and that many hold up nobody."""

from collections.abc import Sequence

import pytest

from listserver.edges import sqlite_letters
from listserver.limits import GREETINGS_AT_ONCE
from recrypt_core.documents import MemberEntry, RecryptionGroup, Status
from recrypt_core.messages import UpdateGroup, UpdateMember
from recrypt_core.policy import Policy
from tests.builders import (
    TEAM,
    URL,
    History,
    Membership,
    Person,
    new_group,
    new_membership,
    new_person,
)
from tests.fakes import Bench, administrator
from tests.returned import sent_to, words_of

WELCOMING = Policy(welcome=True)
WELCOME = "team: welcome to the list"
GOODBYE = "team: you are no longer on the list"


class House:
    """A list, and how its members change."""

    def __init__(self, bench: Bench, history: History, alice: Person) -> None:
        self.bench = bench
        self.history = history
        self.alice = alice

    async def add(self, *people: Person) -> list[Membership]:
        """Add people."""
        made = [new_membership(each, self.history.group.key) for each in people]
        change = self.history.sign(self.history.add_message(*made), self.alice.online)
        await self.bench.change(change, *made, history=self.history)
        return made

    async def update(self, person: Person, status: Status, *made: Membership) -> None:
        """Give somebody a status."""
        entry = MemberEntry(
            recrypt_udf=person.udf,
            account_name=person.address,
            profile=person.signed,
            status=status,
            entries=tuple(each for one in made for each in one.entry.entries),
        )
        message = UpdateMember(
            recryption_group=self.history.group.master.udf, member_entry=(entry,)
        )
        change = self.history.sign(message, self.alice.online)
        await self.bench.change(change, *made, history=self.history)

    async def told(self, person: Person) -> list[str]:
        """Give the subjects of somebody's letters."""
        await self.bench.keep_house()
        letters = sent_to(self.bench, person.address)
        return [words_of(each, person).partition("\n")[0] for each in letters]


async def new_house(bench: Bench, policy: Policy | None = WELCOMING) -> House:
    """Create the list, of Alice alone."""
    group, alice = new_group(), new_person("alice@example.org")
    history = await bench.create(group, administrator(alice, group), authorised=alice)
    if policy is not None:
        await set_policy(bench, history, alice, policy)
    return House(bench, history, alice)


async def set_policy(bench: Bench, history: History, alice: Person, policy: Policy) -> None:
    """Change the list's rules."""
    stated = RecryptionGroup(group_name=history.group.name, policy=policy)
    change = history.sign(UpdateGroup(recryption_group=stated), alice.online)
    await bench.change(change, history=history)


@pytest.mark.asyncio
async def test_who_is_added_is_welcomed_and_who_is_removed_has_a_goodbye(bench: Bench) -> None:
    house, bob = await new_house(bench), new_person("bob@example.org")
    (made,) = await house.add(bob)
    assert await house.told(bob) == [WELCOME]
    await house.update(bob, Status.SUSPENDED, made)
    await house.update(bob, Status.ACTIVE, made)
    assert await house.told(bob) == [WELCOME]
    await house.update(bob, Status.REVOKED)
    assert await house.told(bob) == [WELCOME, GOODBYE]
    await house.update(bob, Status.ACTIVE, new_membership(bob, house.history.group.key))
    assert await house.told(bob) == [WELCOME, GOODBYE, WELCOME]
    assert await bench.count("greetings") == 0


@pytest.mark.asyncio
async def test_a_welcome_names_the_service_and_the_fingerprint(bench: Bench) -> None:
    house, bob = await new_house(bench), new_person("bob@example.org")
    await house.add(bob)
    assert await house.told(bob)
    words = words_of(sent_to(bench, bob.address)[-1], bob)
    assert f"recrypt key {TEAM} --service {URL} \\" in words
    assert f"--fingerprint {house.history.group.master.udf}" in words


@pytest.mark.asyncio
async def test_a_letter_says_nothing_outside(bench: Bench) -> None:
    house, bob = await new_house(bench), new_person("bob@example.org")
    await house.add(bob)
    assert await house.told(bob)
    (letter,) = sent_to(bench, bob.address)
    assert b"welcome" not in b"".join(letter.parts).lower()
    assert b"Subject: [...]\r\n" in b"".join(letter.parts)


@pytest.mark.asyncio
async def test_unless_the_rules_say_so_nobody_is_told(bench: Bench) -> None:
    house, bob = await new_house(bench, None), new_person("bob@example.org")
    await house.add(bob)
    await house.update(bob, Status.REVOKED)
    assert await house.told(bob) == []


@pytest.mark.asyncio
async def test_what_changed_again_before_it_was_told_is_told_as_it_is_then(bench: Bench) -> None:
    house, bob = await new_house(bench), new_person("bob@example.org")
    await house.add(bob)
    await house.update(bob, Status.REVOKED)
    assert await house.told(bob) == [GOODBYE]


@pytest.mark.asyncio
async def test_many_are_told_as_there_is_room_and_each_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await new_house(bench)
    people = [new_person(f"p{number}@example.org") for number in range(GREETINGS_AT_ONCE + 5)]
    await house.add(*people)
    assert await bench.count("letters") == 0  # the change itself makes none
    monkeypatch.setattr(sqlite_letters, "LETTERS", 2 * GREETINGS_AT_ONCE)
    await all_told(bench)
    assert not await bench.greetings.write_some()
    assert await bench.count("greetings") == 5
    monkeypatch.setattr(sqlite_letters, "LETTERS", 4 * GREETINGS_AT_ONCE - 1)
    other, frank = new_group("other@lists.example"), new_person("frank@example.org")
    history = await bench.create(other, administrator(house.alice, other), authorised=house.alice)
    await set_policy(bench, history, house.alice, WELCOMING)
    await House(bench, history, house.alice).add(frank)
    await all_told(bench)
    assert await bench.count("greetings") == 5  # others don't wait for them
    await bench.carry_letters()
    assert await all_letters(house, people) == [1] * len(people)


async def all_told(bench: Bench) -> None:
    assert await bench.greetings.write_some()


async def all_letters(house: House, people: Sequence[Person]) -> list[int]:
    """Count each one's letters, when all are told."""
    return [len(await house.told(each)) for each in people]


@pytest.mark.asyncio
async def test_a_letter_that_is_out_of_date_ends_no_later_note_of_the_same_kind(
    bench: Bench,
) -> None:
    house, bob = await new_house(bench), new_person("bob@example.org")
    await house.add(bob)
    async with bench.store.begin() as work:
        found = await work.greetings(GREETINGS_AT_ONCE)
    await house.update(bob, Status.REVOKED)
    await house.update(bob, Status.ACTIVE, new_membership(bob, house.history.group.key))
    async with bench.store.begin() as work:
        assert await work.greeted(found) == frozenset()
    assert await house.told(bob) == [WELCOME]


@pytest.mark.asyncio
async def test_a_row_that_cannot_be_read_holds_up_nobody(bench: Bench) -> None:
    house = await new_house(bench)
    bob, carol = new_person("bob@example.org"), new_person("carol@example.org")
    await house.add(bob)
    await bench.rows("UPDATE members SET sealed = x'00' WHERE id = 2 RETURNING 1")
    await house.add(carol)
    assert await house.told(carol) == [WELCOME]
    assert await bench.count("greetings") == 0
