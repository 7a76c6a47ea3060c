"""What comes back: tokens, scores, a probe, mail off; nothing answered, nothing passed on."""

from datetime import timedelta

import pytest
import pytest_asyncio

from listserver import limits, replies
from listserver.outcomes import Answer, Broken, Phase, Refused
from tests.builders import new_group, new_person
from tests.fakes import Bench
from tests.lists import new_list_of
from tests.returned import (
    ABOUT_US,
    BOB,
    BUSY,
    FULL,
    HARD,
    SOFT,
    UNKNOWN,
    Trio,
    back_to,
    member_row,
    new_trio,
    path_of,
    post,
    probe_path_of,
    sent_to,
)

DAY = timedelta(days=1)


@pytest_asyncio.fixture
async def trio(bench: Bench) -> Trio:
    """Create the list, post, and deliver it."""
    made = await new_trio(bench)
    await post(bench, made.team)
    return made


async def points(bench: Bench) -> list[int]:
    """Give the quarters of a point of each day and member."""
    rows = await bench.rows("SELECT quarters FROM bounces ORDER BY day, member_id")
    return [int(row[0] or 0) for row in rows]


@pytest.mark.asyncio
@pytest.mark.usefixtures("trio")
@pytest.mark.parametrize(
    ("status", "quarters"), [(HARD, [4]), (SOFT, [1]), (ABOUT_US, []), ("2.1.5", [])]
)
async def test_a_report_counts_by_its_kind(bench: Bench, status: str, quarters: list[int]) -> None:
    (copy,) = sent_to(bench, BOB)
    assert await back_to(bench, copy.return_path, status) == replies.ACCEPTED
    assert await points(bench) == quarters


@pytest.mark.asyncio
@pytest.mark.usefixtures("trio")
async def test_a_day_counts_once_and_by_its_worst(bench: Bench) -> None:
    (copy,) = sent_to(bench, BOB)
    for status, quarters in ((SOFT, 1), (HARD, 4), (HARD, 4), (SOFT, 4)):
        await back_to(bench, copy.return_path, status)
        assert await points(bench) == [quarters]
    bench.clock.advance(DAY)
    await back_to(bench, copy.return_path, SOFT)
    assert await points(bench) == [4, 1]


@pytest.mark.asyncio
@pytest.mark.usefixtures("trio")
@pytest.mark.parametrize("upper", [False, True])
async def test_a_token_counts_in_any_case(bench: Bench, upper: bool) -> None:
    (copy,) = sent_to(bench, BOB)
    path = copy.return_path.upper() if upper else copy.return_path
    await back_to(bench, path)
    assert await points(bench) == [4]


@pytest.mark.asyncio
@pytest.mark.usefixtures("trio")
async def test_what_has_no_token_that_counts_is_taken_with_the_same_words(bench: Bench) -> None:
    other = new_group("other@lists.example")
    await new_list_of(bench, other, new_person("dan@example.org"))
    bob, dan = await member_row(bench, BOB), 4
    (copy,) = sent_to(bench, BOB)
    for path in (
        "team-bounces@lists.example",
        "team-bounces+aaaaaaaaaaaaaaaaaaaaaaaaaa@lists.example",
        "team-bounces+short@lists.example",
        copy.return_path.replace("team", "other"),
        path_of(bench, 1, dan),
        path_of(bench, 1, dan, name="other"),
        path_of(bench, 2, bob),
        path_of(bench, 0, bob),
        probe_path_of(bench, bench.clock.now(), bob),
        probe_path_of(bench, bench.clock.now(), dan),
        probe_path_of(bench, bench.clock.now(), bob, name="other"),
    ):
        assert await back_to(bench, path) == replies.ACCEPTED, path
    assert await points(bench) == []
    assert await bench.rows("SELECT DISTINCT off FROM members") == [(None,)]


@pytest.mark.asyncio
@pytest.mark.usefixtures("trio")
async def test_a_token_counts_for_thirty_days(bench: Bench) -> None:
    (copy,) = sent_to(bench, BOB)
    bench.clock.advance(limits.TOKEN_LIFE)
    await back_to(bench, copy.return_path)
    assert await points(bench) == []
    bench.clock.advance(timedelta(seconds=-1))
    await back_to(bench, copy.return_path)
    assert await points(bench) == [4]


@pytest.mark.asyncio
@pytest.mark.usefixtures("trio")
async def test_a_report_is_never_answered_nor_sent_on(bench: Bench) -> None:
    (copy,) = sent_to(bench, BOB)
    before = len(bench.courier.sent)
    await back_to(bench, copy.return_path)
    await bench.relay_all()
    await bench.keep_house()
    assert len(bench.courier.sent) == before
    assert await bench.count("letters") == 0


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answer", "quarters"),
    [
        (UNKNOWN, [4]),
        (FULL, [1]),
        (Refused(Phase.CONTENT, 554, "5.6.0 not this"), []),
        (Refused(Phase.RCPT, 550, "relay not permitted"), []),
        (Refused(Phase.RCPT, 553, "that domain isn't in my list of rcpthosts (#5.7.1)"), []),
        (Refused(Phase.RCPT, 554, "5.7.1 <bob@example.org>: Relay access denied"), []),
        (Refused(Phase.RCPT, 550, "no such user"), [4]),
        (Refused(Phase.MAIL, 550, "5.1.1 we don't know your sender"), []),
        (BUSY, []),
    ],
)
async def test_what_the_relay_host_refuses_counts_as_if_it_had_come_back(
    bench: Bench, answer: Answer, quarters: list[int]
) -> None:
    bench.courier.script(BOB, answer)
    trio = await new_trio(bench)
    await post(bench, trio.team)
    await bench.probing.probe()
    assert await points(bench) == quarters


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answer", "quarters"),
    [
        (Broken(Phase.CONNECT, "ConnectionRefusedError"), []),
        (Refused(Phase.CONNECT, 421, "4.3.2 busy"), []),
        (Refused(Phase.MAIL, 450, "4.7.1 slow down"), []),
        (BUSY, []),
        (Refused(Phase.RCPT, 450, "4.2.2 full"), [1]),
    ],
)
async def test_five_days_of_a_relay_host_in_trouble_say_nothing_of_an_address(
    bench: Bench, answer: Answer, quarters: list[int]
) -> None:
    bench.courier.script(BOB, *[answer] * 99)
    trio = await new_trio(bench)
    await post(bench, trio.team)
    while await bench.waiting():
        bench.clock.advance(limits.LONGEST_DELAY)
        await bench.relay_all()
    await bench.probing.probe()
    assert await points(bench) == quarters
    assert await bench.rows("SELECT state FROM deliveries") == [(2,)]


@pytest.mark.asyncio
async def test_nobody_elses_score_moves_and_a_member_makes_one_row_a_day(bench: Bench) -> None:
    trio = await new_trio(bench)
    for number in range(3):
        bench.courier.script(BOB, UNKNOWN)
        await post(bench, trio.team, number)
    bob = await member_row(bench, BOB)
    await bench.probing.probe()
    assert await bench.rows("SELECT member_id, quarters FROM bounces") == [(bob, 4)]


@pytest.mark.asyncio
async def test_whoever_is_updated_begins_anew_but_older_copies_still_count(
    bench: Bench, trio: Trio
) -> None:
    (copy,) = sent_to(bench, BOB)
    await back_to(bench, copy.return_path)
    assert await points(bench) == [4]
    async with bench.store.begin() as work:
        found = await work.find_list("team@lists.example")
        assert found is not None
        ((member, _),) = await work.named(found.id, [trio.bob.udf])
        await work.put_members(found.id, [(member, [])])
    assert await points(bench) == []
    await back_to(bench, copy.return_path)  # the row of who left and came back is the same
    assert await points(bench) == [4]
