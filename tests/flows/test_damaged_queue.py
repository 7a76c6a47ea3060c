"""A queue with damage in it, or that is changed meanwhile: one post's trouble is no other's."""

from datetime import timedelta

import pytest

from listserver.edges.sqlite_upkeep import open_upkeep
from listserver.model import PostId
from listserver.store import StoreDamaged
from tests.builders import new_group, new_membership, new_person
from tests.fakes import Bench
from tests.lists import Team, new_list_of
from tests.mails import mail, sealed

NAMES = ("alice", "bob", "carol")
SECOND_IS_NOBODY = (
    "UPDATE shards SET members = CAST(substr(members, 1, 6) || x'0000000f4240'"  # a million
    " || substr(members, 13) AS BLOB) WHERE post_id = 1"
)
SECOND_IS_FIRST = (
    "UPDATE shards SET members = CAST(substr(members, 1, 6) || substr(members, 1, 6)"
    " || substr(members, 13) AS BLOB) WHERE post_id = 1"
)
NOTHING_CAN_BE_TAKEN = (
    "CREATE TRIGGER stuck BEFORE DELETE ON shards WHEN old.post_id = 1"
    " BEGIN SELECT RAISE(ABORT, 'damaged'); END"
)


async def posted(bench: Bench, posts: int) -> Team:
    """Create a list of three, and post to it."""
    group = new_group()
    others = [new_membership(new_person(f"{name}@example.org"), group.key) for name in NAMES[1:]]
    team = await new_list_of(bench, group, new_person("alice@example.org"), *others)
    for number in range(posts):
        post = mail(sealed(group.key.public).mmx(), message_id=f"<{number}@example.org>")
        assert (await bench.post(post)).positive
    return team


async def damage(bench: Bench, statement: str) -> None:
    """Change the store, as a fault would."""
    async with bench.store.begin():
        await bench.store._rows.run(statement)


@pytest.mark.asyncio
@pytest.mark.parametrize("statement", [SECOND_IS_NOBODY, SECOND_IS_FIRST])
async def test_who_is_no_member_is_passed_over_and_the_others_have_their_copies(
    bench: Bench, statement: str
) -> None:
    await posted(bench, 2)
    await damage(bench, statement)
    await bench.relay_all()
    assert len(bench.courier.sent) == 2 * len(NAMES) - 1
    assert await bench.rows("SELECT open, held FROM posts") == [(0, 0)] * 2


@pytest.mark.asyncio
async def test_a_post_that_nothing_can_be_taken_of_is_held_and_the_others_go_on(
    bench: Bench,
) -> None:
    await posted(bench, 2)
    await damage(bench, NOTHING_CAN_BE_TAKEN)
    await bench.relay_all()
    assert len(bench.courier.sent) == len(NAMES)
    assert await bench.rows("SELECT id, held FROM posts ORDER BY id") == [(1, 1), (2, 0)]
    assert await bench.delivering.pause() > timedelta(0)
    await damage(bench, "DROP TRIGGER stuck")
    with open_upkeep(bench.file, bench.vault) as upkeep:
        assert upkeep.retry(PostId(1), bench.clock.now()).posts == 1
    await bench.relay_all()
    assert len(bench.courier.sent) == 2 * len(NAMES)


@pytest.mark.asyncio
async def test_twice_is_no_reason_to_hold_it(bench: Bench) -> None:
    await posted(bench, 1)
    await damage(bench, NOTHING_CAN_BE_TAKEN)
    for _ in range(2):
        post = await bench.delivering._next_frame()
        assert post is not None
        await bench.delivering._note_failure(PostId(1))
    await damage(bench, "DROP TRIGGER stuck")
    await bench.relay_all()
    assert len(bench.courier.sent) == len(NAMES)


@pytest.mark.asyncio
async def test_what_the_store_cannot_do_for_now_is_told_from_damage(bench: Bench) -> None:
    await posted(bench, 1)
    await damage(bench, NOTHING_CAN_BE_TAKEN)
    with pytest.raises(StoreDamaged):
        await damage(bench, "DELETE FROM shards")
    assert await bench.count("shards") == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("under_way", [0, 1])
async def test_a_post_that_is_dropped_while_it_is_read_is_not_told_of_as_held(
    bench: Bench, under_way: int
) -> None:
    await posted(bench, 1)
    if under_way:
        assert await bench.delivering.claim(under_way) is not None
    with open_upkeep(bench.file, bench.vault) as upkeep:
        assert upkeep.drop(PostId(1), bench.clock.now()) is not None
    await bench.delivering._hold(PostId(1))
    async with bench.store.begin() as work:
        assert await work.lists_in_trouble(bench.clock.now(), timedelta(hours=1)) == ()
    assert await bench.rows("SELECT held, dropped FROM posts") == [(under_way, 1)]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("UPDATE shards SET position = -2 WHERE post_id = 1", id="before the first"),
        pytest.param("UPDATE shards SET position = 1 << 40 WHERE post_id = 1", id="after the last"),
        pytest.param(
            "UPDATE shards SET members = CAST(members || x'00' AS BLOB) WHERE post_id = 1",
            id="a part of a place",
        ),
    ],
)
async def test_a_post_whose_place_in_the_queue_cannot_be_is_held_and_the_others_go_on(
    bench: Bench, statement: str
) -> None:
    await posted(bench, 2)
    await damage(bench, statement)
    await bench.relay_all()
    assert len(bench.courier.sent) == len(NAMES)
    assert await bench.rows("SELECT id, held FROM posts ORDER BY id") == [(1, 1), (2, 0)]


@pytest.mark.asyncio
async def test_a_post_whose_last_places_name_nobody_is_at_its_end(bench: Bench) -> None:
    await posted(bench, 1)
    await damage(bench, "UPDATE shards SET members = x'0000000f4240'")
    await bench.relay_all()
    assert await bench.rows("SELECT open, held FROM posts") == [(0, 0)]


@pytest.mark.asyncio
@pytest.mark.parametrize("time", [1 << 50, -(1 << 60)])
@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("UPDATE deliveries SET since = ? WHERE id = 2", id="since"),
        pytest.param("UPDATE deliveries SET due = ? WHERE id = 2", id="due"),
    ],
)
async def test_a_copy_with_a_time_that_cannot_be_is_sent_and_so_are_the_others(
    bench: Bench, statement: str, time: int
) -> None:
    await posted(bench, 2)
    while (batch := await bench.delivering.claim(9)) is not None:
        await bench.delivering.record([bench.delivering.put_off(each) for each in batch.claims])
    bench.clock.advance(timedelta(hours=1))
    async with bench.store.begin():
        await bench.store._rows.run(statement, (time,))
    await bench.relay_all()
    assert len(bench.courier.sent) == 2 * len(NAMES)
    assert await bench.delivering.pause() > timedelta(0)


@pytest.mark.asyncio
async def test_far_times_of_a_held_post_hide_no_others_after_the_clock_was_set_right(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listserver.edges.sqlite_queue.BUSY_POSTS", 2)
    await posted(bench, 2)
    bench.clock.advance(timedelta(days=3))
    while (batch := await bench.delivering.claim(9)) is not None:
        await bench.delivering.record([bench.delivering.put_off(each) for each in batch.claims])
    bench.clock.advance(timedelta(days=-3))
    async with bench.store.begin() as work:
        await work.hold_post(PostId(1))
    await bench.relay_all()
    assert len(bench.courier.sent) == len(NAMES)
