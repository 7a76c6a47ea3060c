"""Who leaves, stays and leaves again; a clock that jumps; a row that can't be read."""

from datetime import timedelta

import pytest

from recrypt_core.messages import Redeliver
from tests.builders import TEAM
from tests.fakes import Bench
from tests.flows.test_leaving import left, posted_trio, stay_token, token_in
from tests.returned import BOB, Trio, member_row, post, sent_to


async def sent_late(bench: Bench, trio: Trio) -> None:
    """Send Bob what he was sent no copy of."""
    since = bench.clock.now() - timedelta(days=1)
    message = Redeliver(group_id=TEAM, recrypt_udf=trio.bob.udf, since=since)
    assert (await bench.ask(message, trio.alice)).status == 201
    await bench.relay_all()


@pytest.mark.asyncio
async def test_a_copy_that_was_made_late_of_a_post_from_before_somebody_stayed_has_a_good_link(
    bench: Bench,
) -> None:
    trio = await posted_trio(bench)
    before = token_in(bench, BOB)
    await bench.leaving.ask(before)
    await bench.keep_house()
    await post(bench, trio.team, 2)
    await bench.leaving.undo(stay_token(bench, trio.bob))
    bench.courier.sent.clear()
    await sent_late(bench, trio)
    late = token_in(bench, BOB)
    for token, copies in ((before, 1), (late, 0)):
        bench.courier.sent.clear()
        await bench.leaving.ask(token)
        await post(bench, trio.team, 4 - copies)
        assert len(sent_to(bench, BOB)) == copies


@pytest.mark.asyncio
async def test_who_stays_twice_has_no_link_left_but_the_newest_copys(bench: Bench) -> None:
    trio = await posted_trio(bench)
    old = []
    for number in (2, 3):
        old.append(token_in(bench, BOB))
        await bench.leaving.ask(old[-1])
        await bench.keep_house()
        await bench.leaving.undo(stay_token(bench, trio.bob))
        await post(bench, trio.team, number)
    for token in old:
        await bench.leaving.ask(token)
    newest = token_in(bench, BOB)
    bench.courier.sent.clear()
    await post(bench, trio.team, 4)
    assert len(sent_to(bench, BOB)) == 1
    await bench.leaving.ask(newest)
    await post(bench, trio.team, 5)
    assert len(sent_to(bench, BOB)) == 1


@pytest.mark.asyncio
async def test_a_clock_that_jumps_ahead_lets_nobody_have_left(bench: Bench) -> None:
    trio = await posted_trio(bench)
    await bench.leaving.ask(token_in(bench, BOB))
    await bench.keep_house()
    token = stay_token(bench, trio.bob)
    bench.clock.jump(timedelta(days=30))
    await bench.keep_house()
    bench.clock.jump(timedelta(days=-30))
    await bench.keep_house()
    assert await left(bench, trio.alice) == 0
    await bench.leaving.undo(token)
    bench.courier.sent.clear()
    await post(bench, trio.team, 2)
    assert len(sent_to(bench, BOB)) == 1


@pytest.mark.asyncio
async def test_who_leaves_and_can_not_be_read_has_no_letter_and_no_mail(bench: Bench) -> None:
    trio = await posted_trio(bench)
    token, row = token_in(bench, BOB), await member_row(bench, BOB)
    await bench.leaving.ask(token)
    async with bench.store.begin():
        damaged = "UPDATE members SET sealed = ? WHERE id = ?"
        await bench.store._rows.run(damaged, (b"x" * 50, row))
    bench.courier.sent.clear()
    await bench.keep_house()
    await post(bench, trio.team, 2)
    assert not sent_to(bench, BOB)
    bench.clock.advance(timedelta(days=7))
    await bench.keep_house()
    assert await bench.rows("SELECT leaving FROM members WHERE leaving NOT NULL") == [(3,)]
