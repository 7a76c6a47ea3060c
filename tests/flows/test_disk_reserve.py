"""Requests while the disk is nearly full: what adds to the store waits, all else is answered."""

import pytest

from recrypt_core.documents import Status
from recrypt_core.messages import GetGroup, GetKey, Redeliver, Request, UpdateMember, write_message
from recrypt_core.signing import Jws, sign_request
from tests.builders import (
    NOW,
    TEAM,
    URL,
    History,
    Membership,
    Person,
    create_message,
    new_group,
    new_membership,
    new_person,
    posted,
)
from tests.fakes import Bench, administrator
from tests.lists import said

WORDS = "The server's disk is nearly full; try again later."


async def ask(bench: Bench, request: Jws, *memberships: Membership) -> tuple[int, str]:
    """Ask something that is signed, while room is short."""
    body = posted(request, *memberships)
    _, response = await bench.transactions.answer(body, signed=True, has_room=False)
    return said(response)


async def founded(bench: Bench, alice: Person) -> History:
    """Create a list of Alice's, as long as there is room."""
    group = new_group()
    return await bench.create(group, administrator(alice, group), authorised=alice)


@pytest.mark.asyncio
async def test_a_group_is_not_created(bench: Bench) -> None:
    alice, group = new_person("alice@example.org"), new_group()
    await bench.authorize(alice)
    first = administrator(alice, group)
    made = create_message(group, (first,), alice.online)
    change = History(group).sign(made, group.master.online)
    assert await ask(bench, change, first) == (503, WORDS)
    assert await bench.count("lists") == 0


@pytest.mark.asyncio
async def test_members_are_not_added_or_given_entries_and_the_same_request_works_later(
    bench: Bench,
) -> None:
    alice = new_person("alice@example.org")
    history = await founded(bench, alice)
    bob = new_membership(new_person("bob@example.org"), history.group.key)
    change = history.sign(history.add_message(bob), alice.online)
    assert await ask(bench, change, bob) == (503, WORDS)
    await bench.change(change, bob, history=history)
    message = UpdateMember(recryption_group=history.group.master.udf, member_entry=(bob.entry,))
    assert await ask(bench, history.sign(message, alice.online)) == (503, WORDS)


@pytest.mark.asyncio
async def test_nothing_is_sent_late(bench: Bench) -> None:
    alice, eve = new_person("alice@example.org"), new_person("eve@example.org")
    await founded(bench, alice)
    late = write_message(Redeliver(group_id=TEAM, recrypt_udf=alice.udf, since=NOW))
    assert await ask(bench, sign_request(late, alice.online, url=URL, now=NOW)) == (503, WORDS)
    assert (await ask(bench, sign_request(late, eve.online, url=URL, now=NOW)))[0] == 401


@pytest.mark.asyncio
async def test_a_member_is_stopped_all_the_same(bench: Bench) -> None:
    alice, bob = new_person("alice@example.org"), new_person("bob@example.org")
    history = await founded(bench, alice)
    added = new_membership(bob, history.group.key)
    await bench.change(
        history.sign(history.add_message(added), alice.online), added, history=history
    )
    stopped = new_membership(bob, status=Status.REVOKED)
    message = UpdateMember(recryption_group=history.group.master.udf, member_entry=(stopped.entry,))
    assert (await ask(bench, history.sign(message, alice.online)))[0] == 201


@pytest.mark.asyncio
async def test_a_stranger_is_told_nothing_of_the_disk(bench: Bench) -> None:
    history = await founded(bench, new_person("alice@example.org"))
    eve = new_person("eve@example.org")
    added = new_membership(eve, history.group.key)
    change = history.sign(history.add_message(added), eve.online)
    assert (await ask(bench, change, added))[0] == 401


@pytest.mark.asyncio
async def test_what_only_reads_is_answered(bench: Bench) -> None:
    alice = new_person("alice@example.org")
    await founded(bench, alice)
    request: Request = GetGroup(group_id=TEAM)
    signed = sign_request(write_message(request), alice.online, url=URL, now=NOW)
    assert (await ask(bench, signed))[0] == 201
    body = write_message(GetKey(group_id=TEAM))
    _, response = await bench.transactions.answer(body, signed=False, has_room=False)
    assert response.status == 201
