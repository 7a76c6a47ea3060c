"""How much may wait for a decision: nobody fills another's share, and no share tells who is in."""

from datetime import timedelta

import pytest
import pytest_asyncio

from listserver import limits, replies
from listserver.held import Share
from listserver.holding import HoldKeeping
from recrypt_core.messages import GetHeldResponse
from recrypt_core.moderation import Decision, GetHeld
from recrypt_core.policy import Policy, PostRight
from tests.builders import TEAM
from tests.fakes import Bench
from tests.moderated import House

STEPS = 10_000  # of SQLite's machine: a millisecond
EACH = 10  # steps between two looks
ENDED = (
    "WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
    " INSERT INTO holding (list_id, number, post_id, state, until, share)"
    " SELECT list_id, i, post_id + i, 3, until, 1 FROM holding, n WHERE number = 1"
)
ROOM = {Share.UNSIGNED: 2, Share.UNPROVEN: 2, Share.MEMBERS: 2}


@pytest_asyncio.fixture
async def house(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> House:
    """Create a moderated list with little room, where Bob is banned, though he administers it."""
    monkeypatch.setattr("listserver.ways._ROOM", ROOM)
    house = House(bench)
    await house.found(Policy(post=PostRight.MODERATED))
    await house.set(banned=(house.people["bob"].udf,))
    await house.bench.post(house.written("alice"))  # so that the list is known
    return house


async def waiting(house: House) -> list[bool]:
    """Tell of each post that waits whether a member sent it."""
    answer = await house.ask(GetHeld(group_id=TEAM))
    assert isinstance(answer, GetHeldResponse)
    return [each.recrypt_udf is not None for each in answer.held]


def test_members_have_half_of_the_room() -> None:
    assert limits.HELD_MEMBERS == limits.HELD_UNSIGNED + limits.HELD_UNPROVEN == 500


@pytest.mark.asyncio
async def test_what_states_no_sender_is_to_come_later_when_its_share_is_full(house: House) -> None:
    for _ in range(2):
        assert await house.post() == replies.ACCEPTED
    late = house.written()
    assert str(await house.bench.post(late)).startswith("450 4.7.1 ")
    for by in ("carol", "dave", "erin", "bob"):
        assert await house.post(by) == replies.ACCEPTED
    assert (await house.decide((await house.held())[0], Decision.DISCARD))[0] == 201
    assert await house.bench.post(late) == replies.ACCEPTED


@pytest.mark.asyncio
async def test_strangers_fill_no_members_share_and_are_not_told_that_theirs_is_full(
    house: House,
) -> None:
    for by in ("erin", "dave", "bob", "erin", "dave", "bob"):
        assert await house.bench.post(house.written(by)) == replies.ACCEPTED
    assert await house.bench.post(house.written("carol", is_forged=True)) == replies.ACCEPTED
    assert await waiting(house) == [False, False]
    for _ in range(2):
        assert await house.bench.post(house.written("carol")) == replies.ACCEPTED
    assert await waiting(house) == [False, False, True, True]
    for by in ("carol", "dave", "erin", "bob"):
        assert await house.bench.post(house.written(by)) == replies.TOO_OFTEN
    assert await house.post("alice") == replies.ACCEPTED


@pytest.mark.asyncio
@pytest.mark.parametrize("filled", [(), ("erin", "erin"), ("carol", "carol")], ids=str)
async def test_however_full_it_is_who_states_a_sender_hears_what_all_do(
    house: House, filled: tuple[str, ...]
) -> None:
    for by in filled:
        await house.bench.post(house.written(by))
    heard = {}
    for by in ("erin", "dave", "bob", "carol"):
        with house.bench.statements() as statements:
            reply = await house.bench.post(house.written(by))
        heard[by] = (reply, statements)
    assert heard["carol"] == heard["dave"] == heard["bob"] == heard["erin"]


@pytest.mark.asyncio
async def test_what_finds_no_room_is_erased_soon(house: House) -> None:
    for _ in range(3):
        await house.bench.post(house.written("erin"))
    await house.bench.relay_all()
    kept = await house.bench.count("ciphertexts")
    await house.bench.erasing.erase()
    assert await house.bench.count("ciphertexts") == kept - 1


@pytest.mark.asyncio
@pytest.mark.parametrize("by", [None, "carol"], ids=str)
async def test_what_waits_already_is_taken_for_a_repeat_however_full_it_is(
    house: House, by: str | None
) -> None:
    first = house.written(by)
    for each in (first, house.written(by)):
        assert await house.bench.post(each) == replies.ACCEPTED
    assert await house.bench.post(house.written(by)) == replies.TOO_OFTEN
    assert await house.bench.post(first) == replies.ACCEPTED
    assert await house.held() == [1, 2]


@pytest.mark.asyncio
async def test_what_came_to_nothing_costs_what_waits_nothing(house: House) -> None:
    await house.bench.post(house.written("carol"))
    async with house.bench.store.begin():
        await house.bench.store._rows.run(ENDED, large=True)
    keeping, steps = HoldKeeping(house.bench.store, house.bench.erasing_time), 0

    def count() -> bool:
        nonlocal steps
        steps += EACH
        return False

    connection = house.bench.store._rows._connection
    for days, expected in ((0, [1]), (8, [])):
        house.bench.clock.advance(timedelta(days=days))
        connection.set_progress_handler(count, EACH)
        await keeping.end_old()
        assert await house.held() == expected
        connection.set_progress_handler(None, 0)
        assert 0 < steps < STEPS
