"""A relay host that refuses us, whatever it says, turns nobody's mail off; slow where many fail."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from listserver import limits
from listserver.outcomes import Answer, Phase, Refused
from listserver.ports import Outgoing
from tests.builders import new_group, new_membership, new_person
from tests.fakes import Bench, ScriptedCourier, open_bench
from tests.lists import Team, new_list_of
from tests.returned import ALICE, UNKNOWN, Trio, back_to, new_trio, off, post, sent_to

DAY: Final = timedelta(days=1)
HOUR: Final = timedelta(hours=1)
NO_HOST: Final = Refused(Phase.RCPT, 550, "5.1.2 Host unknown")


class Relay(ScriptedCourier):
    """A relay host that refuses all but some mails, if it was told to."""

    def __init__(self) -> None:
        super().__init__()
        self.refusal: Answer | None = None
        self.but: set[str] = set()

    async def deliver(self, mail: Outgoing) -> Answer:
        """Refuse it, if it is to be."""
        answer = await super().deliver(mail)
        is_refused = self.refusal is not None and mail.recipient not in self.but
        return self.refusal if is_refused and self.refusal else answer


@pytest.fixture
def relay() -> Relay:
    """Give the relay host."""
    return Relay()


@pytest_asyncio.fixture
async def bench(tmp_path: Path, relay: Relay) -> AsyncIterator[Bench]:
    """Open a server."""
    async with open_bench(tmp_path, courier=relay) as opened:
        yield opened


async def days_of(bench: Bench, trio: Trio, count: int) -> None:
    """Post once a day."""
    for number in range(count):
        await post(bench, trio.team, number)
        await bench.keep_house()
        bench.clock.advance(DAY)


async def points(bench: Bench) -> int:
    """Count the bounces that count, when chores are done."""
    await bench.probing.probe()
    return await bench.count("bounces")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "refusal",
    [
        UNKNOWN,
        NO_HOST,
        Refused(Phase.RCPT, 550, "account suspended"),
        Refused(Phase.CONTENT, 552, "5.2.2 quota"),
    ],
)
async def test_a_host_that_refuses_everybody_turns_nobody_off(
    bench: Bench, relay: Relay, refusal: Answer
) -> None:
    trio = await new_trio(bench)
    relay.refusal = refusal
    await days_of(bench, trio, 20)
    assert await off(bench) == 0
    assert await bench.count("bounces") == 0
    assert await bench.rows("SELECT count(*) FROM members WHERE probed NOT NULL") == [(0,)]
    assert await bench.count("refusals") <= 2 * 3  # of the last day
    relay.refusal = None
    relay.sent.clear()
    await days_of(bench, trio, 1)
    assert len([each for each in relay.sent if each.return_path]) == 3


@pytest.mark.asyncio
async def test_who_is_refused_first_counts_when_another_has_had_a_copy(
    bench: Bench, relay: Relay
) -> None:
    trio = await new_trio(bench)
    relay.refusal, relay.but = UNKNOWN, {ALICE}
    await post(bench, trio.team)
    assert await points(bench) == 2
    assert await bench.count("refusals") == 0


@pytest.mark.asyncio
@pytest.mark.parametrize(("later", "counted"), [(HOUR, 3), (DAY - HOUR, 3), (DAY + HOUR, 0)])
async def test_a_post_that_nobody_had_counts_if_the_host_takes_another_within_a_day(
    bench: Bench, relay: Relay, later: timedelta, counted: int
) -> None:
    trio = await new_trio(bench)
    await post(bench, trio.team, 1)
    bench.clock.advance(HOUR)
    relay.refusal = UNKNOWN
    await post(bench, trio.team, 2)
    assert await points(bench) == 0
    bench.clock.advance(later)
    relay.refusal = None
    await post(bench, trio.team, 3)
    assert await points(bench) == counted
    assert await bench.count("refusals") == 0


@pytest.mark.asyncio
async def test_it_counts_on_the_day_of_the_refusal(bench: Bench, relay: Relay) -> None:
    trio = await new_trio(bench)
    relay.refusal = UNKNOWN
    bench.clock.advance(timedelta(hours=10))  # an hour or two before midnight
    await post(bench, trio.team, 1)
    bench.clock.advance(3 * HOUR)
    relay.refusal = None
    await post(bench, trio.team, 2)
    await points(bench)
    days = "SELECT DISTINCT accepted / 86400 - day FROM bounces, posts WHERE posts.id = 1"
    assert await bench.rows(days) == [(0,)]


@pytest.mark.asyncio
async def test_a_clock_set_back_keeps_no_refusal_waiting(bench: Bench, relay: Relay) -> None:
    trio = await new_trio(bench)
    relay.refusal = UNKNOWN
    await post(bench, trio.team)
    bench.clock.advance(-9 * DAY)
    assert await points(bench) == 0
    assert await bench.count("refusals") == 0


@pytest.mark.asyncio
async def test_whose_mail_is_turned_on_begins_without_what_waits_to_count(
    bench: Bench, relay: Relay
) -> None:
    trio = await new_trio(bench)
    relay.refusal, relay.but = UNKNOWN, {ALICE}
    await post(bench, trio.team)
    async with bench.store.begin() as work:
        found = await work.find_list("team@lists.example")
        assert found is not None
        ((bob, halves),) = await work.named(found.id, [trio.bob.udf])
        await work.put_members(found.id, [(bob, [])])
    assert halves
    assert await points(bench) == 1  # Carol's


@pytest.mark.asyncio
@pytest.mark.parametrize(("age", "is_off"), [(HOUR, 1), (DAY + HOUR, 0)])
async def test_a_probe_that_is_refused_counts_if_the_host_took_a_copy_of_late(
    bench: Bench, relay: Relay, age: timedelta, is_off: int
) -> None:
    trio = await new_trio(bench)
    await post(bench, trio.team)
    (copy,) = sent_to(bench, "bob@example.org")
    bench.clock.advance(-2 * DAY)
    for _ in range(3):
        await back_to(bench, copy.return_path)
        bench.clock.advance(DAY)
    bench.clock.advance(age - DAY)
    relay.refusal = UNKNOWN
    await bench.keep_house()
    assert len(sent_to(bench, "bob@example.org")) == 2
    assert await off(bench) == is_off


async def list_of(bench: Bench, size: int) -> Team:
    """Create a list of Alice and others."""
    group = new_group()
    others = [new_membership(new_person(f"m{at}@example.org"), group.key) for at in range(1, size)]
    return await new_list_of(bench, group, new_person(ALICE), *others)


@pytest.mark.asyncio
@pytest.mark.parametrize(("size", "dead", "weeks"), [(8, 3, [2, 3, 3]), (3, 2, [1, 2, 2])])
async def test_of_a_list_a_quarter_at_most_is_turned_off_in_a_week(
    bench: Bench, relay: Relay, size: int, dead: int, weeks: list[int]
) -> None:
    team = await list_of(bench, size)
    relay.refusal = UNKNOWN
    relay.but = {ALICE, *(f"m{at}@example.org" for at in range(1, size - dead))}
    for number in range(2):
        await post(bench, team, number)
        await bench.keep_house()
        bench.clock.advance(DAY)
    turned_off = []
    for week in range(3):
        for day in range(7):
            await post(bench, team, 9 + 7 * week + day)
            await bench.keep_house()
            await bench.carry_letters()
            bench.clock.advance(DAY)
        turned_off.append(await off(bench))
    assert turned_off == weeks


@pytest.mark.asyncio
async def test_who_waits_for_a_probe_is_looked_at_once_a_day(bench: Bench, relay: Relay) -> None:
    trio = await new_trio(bench)
    relay.but = {ALICE}
    relay.refusal = UNKNOWN
    for number in range(3):
        await post(bench, trio.team, number)
        await points(bench)
        bench.clock.advance(min(2 - number, 1) * DAY)
    await points(bench)
    assert await bench.rows("SELECT count(*) FROM bounces WHERE unseen = 1") == [(0,)]
    assert await bench.rows("SELECT count(*) FROM bounces WHERE unseen > 1") != [(0,)]
    assert await bench.rows("SELECT count(*) FROM members WHERE probed NOT NULL") == [(1,)]
    bench.clock.advance(-9 * DAY)  # then what was to come is due
    relay.refusal = None
    await points(bench)
    await bench.carry_letters()
    assert await bench.rows("SELECT count(*) FROM members WHERE probed NOT NULL") == [(1,)]
    assert limits.PROBED_SHARE == 4
