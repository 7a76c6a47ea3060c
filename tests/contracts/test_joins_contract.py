"""What every Store does with requests to join."""

from datetime import datetime, timedelta

import pytest

from listserver.limits import JOIN_PATIENCE, QUOTA_DAYS
from listserver.model import Applicant, JoinCount, JoinState, Letter, ListId
from listserver.store import QueueFull, Work
from tests.builders import EVERY_POWER, NOW, new_group, new_history, new_membership, new_person

ALICE, BOB, CAROL = (new_person(f"{name}@example.org") for name in ("alice", "bob", "carol"))
FIRST, SECOND = (Applicant(each.address, each.verified) for each in (BOB, CAROL))
SOON, LATER = NOW + timedelta(days=1), NOW + timedelta(days=2)


async def new_list(work: Work, name: str = "team@lists.example") -> ListId:
    group = new_group(name)
    first = new_membership(ALICE, group.key, privileges=EVERY_POWER)
    history = new_history(group, first, authorised=ALICE)
    return await work.create_list(history.state, history.changes[0], b"s" * 32, founder=ALICE.udf)


@pytest.mark.asyncio
async def test_a_request_is_found_by_its_token_until_its_time_is_over(work: Work) -> None:
    list_id = await new_list(work)
    await work.put_asked(list_id, "a", FIRST, now=NOW, until=SOON)
    found = await work.join_of_token("a", NOW)
    assert found is not None
    assert (found.list.id, found.state, found.applicant) == (list_id, JoinState.ASKED, FIRST)
    assert await work.join_of_token("b", NOW) is None
    assert await work.join_of_token("a", SOON) is None
    await work.put_confirmed("a", now=NOW, until=LATER)
    confirmed = await work.join_of_token("a", SOON)
    assert confirmed is not None
    assert confirmed.state is JoinState.CONFIRMED


@pytest.mark.asyncio
async def test_confirmed_ones_of_a_list_wait_one_of_each_applicant(work: Work) -> None:
    list_id, other = await new_list(work), await new_list(work, "other@lists.example")
    for token, applicant, where in (
        ("a", FIRST, list_id), ("b", FIRST, list_id), ("c", FIRST, other), ("d", SECOND, list_id)
    ):  # fmt: skip
        await work.put_asked(where, token, applicant, now=NOW, until=LATER)
    assert await work.waiting_joins(list_id, NOW) == 0
    for token, count in (("a", 1), ("b", 1), ("c", 1), ("d", 2)):
        await work.put_confirmed(token, now=SOON, until=LATER)
        assert await work.waiting_joins(list_id, SOON) == count
    assert await work.join_of_token("a", NOW) is None
    assert await work.waiting_joins(other, SOON) == 1
    assert await work.waiting_joins(list_id, LATER) == 0
    assert await work.waiting_joins(list_id, SOON, site="example.org") == 2
    assert await work.waiting_joins(other, SOON, site="example.org") == 1
    assert await work.waiting_joins(list_id, SOON, site="example.com") == 0
    assert await work.waiting_joins(list_id, LATER, site="example.org") == 0


@pytest.mark.asyncio
async def test_administrators_are_told_once_of_who_has_waited(work: Work) -> None:
    list_id, hour = await new_list(work), timedelta(hours=1)

    async def told(now: datetime) -> int:
        (found,) = await work.lists_in_trouble(now, hour)
        troubles = await work.troubles(found, 9)
        assert troubles is not None
        assert await work.troubles_told(found, troubles, now)
        assert await work.lists_in_trouble(now + hour, hour) == ()
        return troubles.asking

    for token, applicant in (("a", FIRST), ("b", SECOND)):
        await work.put_asked(list_id, token, applicant, now=NOW, until=LATER)
    assert await work.lists_in_trouble(NOW + hour, hour) == ()
    await work.put_confirmed("a", now=NOW, until=LATER)
    assert await work.lists_in_trouble(NOW + hour - timedelta(seconds=1), hour) == ()
    assert await work.lists_in_trouble(NOW - hour, hour) == (list_id,)  # the clock was set back
    assert await told(NOW + hour) == 1
    await work.put_asked(list_id, "c", FIRST, now=SOON, until=LATER)  # who asks again
    await work.put_confirmed("c", now=SOON, until=LATER)
    assert await work.lists_in_trouble(SOON + hour, hour) == ()
    await work.put_confirmed("b", now=SOON, until=LATER, quietly=True)
    assert await work.lists_in_trouble(SOON + hour, hour) == ()
    assert await work.waiting_joins(list_id, SOON) == 2
    await work.end_joins(list_id, [CAROL.udf], list(JoinState))
    await work.put_asked(list_id, "d", SECOND, now=SOON, until=LATER)
    await work.put_confirmed("d", now=SOON, until=LATER)
    assert await told(SOON + hour) == 1


@pytest.mark.asyncio
async def test_a_page_goes_on_after_an_applicant_and_holds_so_many_octets(work: Work) -> None:
    list_id = await new_list(work)
    for token, applicant in (("a", FIRST), ("b", SECOND)):
        await work.put_asked(list_id, token, applicant, now=NOW, until=LATER)
        await work.put_confirmed(token, now=SOON, until=LATER)
    both, more = await work.joins_after(list_id, None, SOON, octets=10**6)
    assert not more
    assert [each.since for each in both] == [SOON, SOON]
    (one,), more = await work.joins_after(list_id, None, SOON, octets=1)
    assert (one, more) == (both[0], True)
    udf = {each.profile.signed: each.profile.identifier for each in (FIRST, SECOND)}[one.profile]
    assert await work.joins_after(list_id, udf, SOON, octets=1) == (both[1:], False)
    assert await work.joins_after(list_id, None, LATER, octets=1) == ((), False)


@pytest.mark.asyncio
async def test_requests_end_by_applicant_and_state(work: Work) -> None:
    list_id, other = await new_list(work), await new_list(work, "other@lists.example")
    await work.put_asked(list_id, "a", FIRST, now=NOW, until=LATER)
    await work.put_asked(list_id, "b", FIRST, now=NOW, until=LATER)
    await work.put_confirmed("b", now=NOW, until=LATER)
    assert await work.end_joins(other, [BOB.udf], list(JoinState)) == 0
    assert await work.end_joins(list_id, [CAROL.udf], list(JoinState)) == 0
    assert await work.end_joins(list_id, [], list(JoinState)) == 0
    assert await work.end_joins(list_id, [BOB.udf], [JoinState.CONFIRMED]) == 1
    assert await work.join_of_token("b", NOW) is None
    assert await work.end_joins(list_id, [BOB.udf, CAROL.udf], list(JoinState)) == 1
    assert await work.join_of_token("a", NOW) is None


@pytest.mark.asyncio
async def test_counts_are_of_a_day_and_of_one_thing(work: Work) -> None:
    assert [await work.count_join(JoinCount.ADDRESS, "x", NOW) for _ in range(3)] == [1, 2, 3]
    assert await work.count_join(JoinCount.SIGNER, "x", NOW) == 1
    assert await work.count_join(JoinCount.ADDRESS, "y", NOW) == 1
    assert await work.count_join(JoinCount.ADDRESS, "x", SOON) == 1
    assert await work.counted(JoinCount.ADDRESS, "x", SOON) == 1
    assert await work.counted(JoinCount.ADDRESS, "x", SOON, days=2) == 4
    assert await work.counted(JoinCount.ADDRESS, "x", NOW, days=2) == 3
    assert await work.counted(JoinCount.ADDRESS, "z", NOW) == 0
    assert await work.count_join(JoinCount.LIST, "x", NOW, times=3) == 3
    assert await work.count_join(JoinCount.LIST, "x", NOW, times=2) == 5
    await work.erase_joins(NOW + timedelta(days=QUOTA_DAYS))
    assert await work.count_join(JoinCount.ADDRESS, "x", NOW) == 4
    await work.erase_joins(NOW + timedelta(days=QUOTA_DAYS + 1))
    assert await work.count_join(JoinCount.ADDRESS, "x", NOW) == 1
    assert await work.count_join(JoinCount.ADDRESS, "x", SOON) == 2


@pytest.mark.asyncio
async def test_what_is_over_or_of_another_clock_is_erased(work: Work) -> None:
    list_id = await new_list(work)
    await work.put_asked(list_id, "over", FIRST, now=NOW, until=SOON)
    await work.put_asked(list_id, "open", FIRST, now=NOW, until=SOON + JOIN_PATIENCE)
    ahead = SOON + JOIN_PATIENCE + timedelta(seconds=1)
    await work.put_asked(list_id, "ahead", FIRST, now=NOW, until=ahead)
    await work.erase_joins(SOON)
    found = [await work.join_of_token(each, NOW) for each in ("over", "open", "ahead")]
    assert [each is not None for each in found] == [False, True, False]


@pytest.mark.asyncio
async def test_the_room_for_letters_is_the_queues(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listserver.edges.sqlite_letters.LETTERS", 1)
    letter = Letter(BOB.address, "", b"x")
    await work.check_letter_room(letter)
    await work.enqueue_letter(letter, NOW)
    with pytest.raises(QueueFull):
        await work.check_letter_room(letter)
