"""Who leaves and asks to join again stays, once the address is proven; and nothing tells of it."""

from datetime import timedelta

import pytest
import pytest_asyncio

from listserver.limits import LEAVE_PATIENCE
from recrypt_core.documents import Status
from tests.builders import Membership, new_group, new_membership, new_person
from tests.fakes import Bench, administrator
from tests.flows.test_joining import DONE, NOT_TAKEN, Door
from tests.flows.test_leaving import left, post_to, token_in
from tests.returned import BOB, CAROL, sent_to


@pytest_asyncio.fixture
async def house(bench: Bench) -> tuple[Door, Membership]:
    """Give a list of Alice's, and Bob, whose members have had a copy; Carol is REVOKED."""
    group = new_group()
    alice, bob, carol = (new_person(each) for each in ("alice@example.org", BOB, CAROL))
    bobs = new_membership(bob, group.key)
    gone = new_membership(carol, status=Status.REVOKED)
    admin = administrator(alice, group)
    history = await bench.create(group, admin, bobs, gone, authorised=alice)
    await post_to(bench, history)
    return Door(bench, history, alice, bob, carol), bobs


async def has_mail(door: Door, number: int) -> bool:
    """Tell whether Bob is sent the next post."""
    door.bench.courier.sent.clear()
    await post_to(door.bench, door.history, number)
    return bool(sent_to(door.bench, BOB))


@pytest.mark.asyncio
async def test_who_leaves_by_a_link_stays_once_a_new_ask_to_join_is_proven_and_not_before(
    house: tuple[Door, Membership],
) -> None:
    door, _ = house
    link = token_in(door.bench, BOB)
    await door.bench.leaving.ask(link)
    await door.bench.keep_house()
    token = await door.token(door.bob)
    assert not await has_mail(door, 2)
    assert await door.answer(door.bob, token) == DONE
    assert await has_mail(door, 3)
    door.bench.clock.advance(LEAVE_PATIENCE + timedelta(days=1))
    await door.bench.keep_house()
    assert await left(door.bench, door.alice) == 0
    await door.bench.leaving.ask(link)  # which was made before that
    assert await has_mail(door, 4)


@pytest.mark.asyncio
async def test_who_has_left_for_good_stays_by_it_too(house: tuple[Door, Membership]) -> None:
    door, _ = house
    await door.bench.leaving.ask(token_in(door.bench, BOB))
    await door.bench.keep_house()
    door.bench.clock.advance(LEAVE_PATIENCE + timedelta(days=1))
    await door.bench.keep_house()
    assert await left(door.bench, door.alice) == 1
    await door.waits(door.bob)
    assert await left(door.bench, door.alice) == 0
    assert await has_mail(door, 2)


@pytest.mark.asyncio
async def test_an_answer_that_is_repeated_or_not_the_members_own_ends_no_leaving(
    house: tuple[Door, Membership],
) -> None:
    door, _ = house
    link = token_in(door.bench, BOB)
    token = await door.token(door.bob)
    assert await door.answer(door.carol, token) == NOT_TAKEN
    assert await door.answer(door.bob, token) == DONE
    await door.bench.leaving.ask(link)
    assert await door.answer(door.bob, token) == DONE
    assert not await has_mail(door, 2)


@pytest.mark.asyncio
async def test_a_proven_ask_costs_the_same_statements_whoever_it_is_of(
    house: tuple[Door, Membership],
) -> None:
    door, _ = house
    await door.bench.leaving.ask(token_in(door.bench, BOB))
    shapes = set()
    dave = new_person("dave@example.org")
    for who in (door.alice, door.bob, door.carol, dave):
        token = await door.token(who)
        with door.bench.statements() as statements:
            assert await door.answer(who, token) == DONE
        shapes.add(tuple(statements))
    assert len(shapes) == 1
