"""Letters: carried, tried again, given up without a word; what fails here is erased at last."""

from datetime import timedelta

import pytest

from listserver import limits
from listserver.model import Letter, LetterClaim, LetterRecord
from listserver.outcomes import Answer, Broken, Phase, Refused
from listserver.ports import Outgoing
from tests.builders import NOW
from tests.fakes import OPERATOR, TAKEN, Bench

LATER = Refused(Phase.RCPT, 451, "later")
NEVER = Refused(Phase.RCPT, 550, "5.1.1 no")
HELLO = b"Subject: Hello\r\n\r\nHello.\r\n"


async def put(bench: Bench, octets: bytes = HELLO) -> None:
    """Put a letter to the operator in the queue."""
    async with bench.store.begin() as work:
        await work.enqueue_letter(Letter(OPERATOR, "", octets), bench.clock.now())


async def claimed(bench: Bench) -> tuple[LetterClaim, ...]:
    """Claim what is due."""
    batch = await bench.mailing.claim(9)
    return () if batch is None else batch.claims


@pytest.mark.asyncio
async def test_a_letter_is_carried_once_and_erased(bench: Bench) -> None:
    await put(bench)
    assert await bench.mailing.pause() == timedelta(0)
    await bench.carry_letters()
    assert bench.courier.sent == [Outgoing("", OPERATOR, (HELLO,))]
    assert await bench.count("letters") == 0
    assert await bench.mailing.pause() == limits.QUEUE_PATIENCE


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("octets", "sent", "eight_bit"),
    [
        (b".a\r\n\r\n.\r\n..b\r\n", b"..a\r\n\r\n..\r\n...b\r\n", False),
        (b"a: b\r\n\r\nc.\r\n", b"a: b\r\n\r\nc.\r\n", False),
        ("a: ä\r\n\r\nb\r\n".encode(), "a: ä\r\n\r\nb\r\n".encode(), True),
    ],
)
async def test_lines_that_begin_with_a_dot_are_stuffed_and_eight_bits_announced(
    bench: Bench, octets: bytes, sent: bytes, eight_bit: bool
) -> None:
    await put(bench, octets)
    await bench.carry_letters()
    assert bench.courier.sent == [Outgoing("", OPERATOR, (sent,), eight_bit=eight_bit)]


@pytest.mark.asyncio
async def test_what_is_put_off_is_tried_again_later_and_later(bench: Bench) -> None:
    bench.courier.script(OPERATOR, LATER, Broken(Phase.CONTENT, "lost"), TAKEN)
    await put(bench)
    for delay in (5, 10):
        await bench.carry_letters()
        bench.clock.advance(timedelta(minutes=delay, seconds=-1))
        assert await claimed(bench) == ()
        assert await bench.mailing.pause() == timedelta(seconds=1)
        bench.clock.advance(timedelta(seconds=1))
    await bench.carry_letters()
    assert len(bench.courier.sent) == 3
    assert await bench.count("letters") == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("answer", [NEVER, LATER, Broken(Phase.CONNECT, "refused")])
async def test_what_is_given_up_is_erased_and_nobody_told(bench: Bench, answer: Answer) -> None:
    bench.courier.script(OPERATOR, *[answer] * 99)
    await put(bench)
    while await bench.count("letters"):
        assert bench.clock.now() <= NOW + limits.LIFETIME + limits.LONGEST_DELAY
        await bench.carry_letters()
        bench.clock.advance(limits.LONGEST_DELAY)
    await bench.keep_house()
    assert {each.recipient for each in bench.courier.sent} == {OPERATOR}


@pytest.mark.asyncio
async def test_a_letter_that_cannot_be_read_is_erased_after_three_attempts_and_delays_none(
    bench: Bench,
) -> None:
    await put(bench)
    await put(bench, b"another\r\n")
    async with bench.store.begin():
        await bench.store._rows.run("UPDATE letters SET sealed = zeroblob(99) WHERE id = 1")
    for left in (1, 1, 0):
        await bench.carry_letters()
        assert await bench.count("letters") == left
        bench.clock.advance(limits.FAULT_DELAY)
    assert [each.parts for each in bench.courier.sent] == [(b"another\r\n",)]


@pytest.mark.asyncio
async def test_what_was_under_way_at_three_deaths_of_the_server_is_erased(bench: Bench) -> None:
    await put(bench)
    for attempts, waits in ((1, 0), (2, 1), (3, 0)):
        (claim,) = await claimed(bench)
        assert claim.attempts == attempts
        assert await claimed(bench) == ()
        await bench.mailing.recover()
        assert bool(await bench.count("letters")) is (attempts < limits.FAULTS)
        if waits:  # at once after the first death, five minutes after the second
            assert await claimed(bench) == ()
            bench.clock.advance(limits.FAULT_DELAY)


@pytest.mark.asyncio
@pytest.mark.parametrize("is_untried", [False, True])
async def test_what_was_put_back_at_a_stop_is_due_at_once(bench: Bench, is_untried: bool) -> None:
    await put(bench)
    (claim,) = await claimed(bench)
    back = bench.mailing.untried(claim) if is_untried else bench.mailing.cut_off(claim)
    await bench.mailing.record([back])
    (again,) = await claimed(bench)
    assert again.attempts == (1 if is_untried else 2)


@pytest.mark.asyncio
async def test_a_clock_set_back_delays_no_letter(bench: Bench) -> None:
    bench.courier.script(OPERATOR, LATER, TAKEN)
    bench.clock.advance(timedelta(days=9))
    await put(bench)
    await bench.carry_letters()
    bench.clock.advance(-timedelta(days=9))
    assert await bench.mailing.pause() == timedelta(0)
    await bench.carry_letters()
    assert await bench.count("letters") == 0


@pytest.mark.asyncio
async def test_what_comes_back_calls_for_the_chores(bench: Bench) -> None:
    woken: list[int] = []
    bench.mailing.on_trouble = lambda: woken.append(1)
    await put(bench)
    (claim,) = await claimed(bench)
    ((_, record),) = [each async for each in bench.mailing.attempt(None, [claim])]
    await bench.mailing.record([record])
    assert woken == []
    await bench.mailing.record([LetterRecord(claim.id, record.outcome, bounced=True)])
    assert woken == [1]


@pytest.mark.asyncio
@pytest.mark.parametrize("made", [1 << 40, -(1 << 60)])
async def test_a_letter_with_a_time_that_cannot_be_delays_none(bench: Bench, made: int) -> None:
    await put(bench)
    await put(bench)
    async with bench.store.begin():
        await bench.store._rows.run("UPDATE letters SET made = ? WHERE id = 1", (made,))
    await bench.carry_letters()
    assert len(bench.courier.sent) == 2
    assert await bench.count("letters") == 0
