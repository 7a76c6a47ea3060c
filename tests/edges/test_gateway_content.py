"""The content of a mail at the door: checked as it comes, at a pace, in a room for large ones."""

import asyncio
import dataclasses
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listserver import limits, replies
from listserver.edges.content import Content
from listserver.edges.door import Door, Pace
from listserver.replies import Reply
from tests.doors import MOST, SETTINGS, Doorway, FakeReception, Sender, door
from tests.fakes import FakeRoom, ListLog

LARGE = (b"a" * 998 + b"\r\n") * (MOST // 1000 - 1)


class Watch:
    """A clock of seconds that moves when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def content_of(
    reader: asyncio.StreamReader, clock: Callable[[], float], most: int = MOST
) -> Content:
    settings = dataclasses.replace(SETTINGS, max_post_octets=most)
    shared = Door(FakeReception(), ListLog(), settings, domains=("lists.example",), room=FakeRoom())
    return Content(reader, shared, clock)


async def until(met: Callable[[], bool]) -> None:
    """Let the others go on until it is so."""
    async with asyncio.timeout(10):
        while not met():  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0)


# What is checked

OCTETS = st.lists(st.sampled_from([b"\r\n", b"\r\n", b".", b"a", b"\r", b"\n", b"\0"]), max_size=60)


@given(OCTETS, st.integers(8, 40))
def test_a_content_is_judged_alike_in_whatever_pieces_it_is_read(
    tokens: list[bytes], limit: int
) -> None:
    sent = b"".join(tokens) + b"\r\n.\r\n"
    assert asyncio.run(_read(sent, limit)) == _judged_at_once(b"\r\n" + sent)


def _judged_at_once(sent: bytes) -> bytes | Reply:
    content = sent[: sent.index(b"\r\n.\r\n") + 2]
    if not content.count(b"\r\n") == content.count(b"\r") == content.count(b"\n"):
        return replies.BARE_LINE_END
    if b"\0" in content:
        return replies.BARE_LINE_END
    return content.replace(b"\r\n.", b"\r\n")[2:]


async def _read(octets: bytes, limit: int) -> bytes | Reply:
    reader = asyncio.StreamReader(limit=limit)
    reader.feed_data(octets)
    content = content_of(reader, Watch())
    return await content.read(lambda _: None) or await content.whole()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (b"b" * 8190 + b"\r\n", None),
        (b"b" * 8191 + b"\r\n", replies.LONG_LINE),
        (b"b" * 200_000 + b"\r\n", replies.LONG_LINE),
    ],
)
@pytest.mark.parametrize("before", [0, 8_000, 65_535 - 8191, 65_536 - 5])
async def test_a_long_line_is_found_wherever_a_piece_ends(
    lines: bytes, problem: Reply | None, before: int
) -> None:
    reader = asyncio.StreamReader(limit=limits.READ_OCTETS)
    reader.feed_data(b"a\r\n" * (before // 3) + lines + b"c" * 70 + b"\r\n.\r\n")
    content = content_of(reader, Watch(), most=300_000)
    assert await content.read(lambda _: None) is problem


@pytest.mark.asyncio
async def test_eight_bit_octets_come_through_as_they_are() -> None:
    octets = bytes(set(range(1, 256)) - set(b"\r\n")) + b"\r\n"
    async with door() as it:
        sender = await it.greeted()
        for parameter in ("", " BODY=7BIT", " BODY=8BITMIME"):  # of whom it says that, or not
            await sender.ask(f"MAIL FROM:<>{parameter}")
            await sender.ask("RCPT TO:<team@lists.example>")
            await sender.ask("DATA")
            assert await sender.post(octets + b".\r\n") == str(replies.ACCEPTED)
        assert [raw for raw, _, _ in it.reception.received] == [octets] * 3


# The pace


def test_a_steady_pace_never_ends_and_a_slower_one_does() -> None:
    patience = timedelta(seconds=300)
    for rate, ends in ((500, False), (499, True), (100, True), (10**9, False)):
        pace, now = Pace(500, patience, 0.0), 0.0
        for _ in range(10_000):
            now += 65_536 / rate
            pace.heard(65_536, now)
        assert (pace.left(now) < 0) is ends


def test_a_fast_start_buys_no_more_than_one_pause() -> None:
    pace = Pace(500, timedelta(seconds=300), 0.0)
    pace.heard(2**40, 10.0)
    assert pace.left(10.0) == 300
    assert pace.left(311.0) == -1


@pytest.mark.asyncio
async def test_a_sender_has_five_minutes_and_two_more_for_each_64_kib_but_five_at_most() -> None:
    reader, watch = asyncio.StreamReader(limit=limits.READ_OCTETS), Watch()
    content = content_of(reader, watch, most=10 * MOST)
    left: list[float] = []
    reading = asyncio.create_task(content.read(left.append))
    for seconds in (0, 250, 250, 250):
        watch.now += seconds
        reader.feed_data(b"\r\n" * (limits.READ_OCTETS // 2 + 10))
        told = len(left)
        await until(lambda told=told: len(left) > told)  # type: ignore[misc]  # mypy can't infer it
    reader.feed_data(b"\r\n.\r\n")
    assert await reading is None
    pieces = limits.READ_OCTETS / limits.DATA_RATE
    assert left[:3] == pytest.approx([300, 50 + pieces, pieces * 2 - 200], abs=1)
    assert left[3] < 0  # the session's timer has ended it before


@pytest.mark.asyncio
async def test_a_session_ends_when_whole_pieces_come_too_slowly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "DATA_RATE", 10**12)  # so that none brings more time
    monkeypatch.setattr(limits, "COMMAND_TIMEOUT", timedelta(seconds=0.3))
    async with door(dataclasses.replace(SETTINGS, max_post_octets=2**28)) as it:
        sender = await it.sender()
        await sender.begin()
        with pytest.raises(ConnectionError):
            while True:
                sender.send(b"a" * 998 + b"\r\n")
                await sender.writer.drain()
                await asyncio.sleep(0)
        assert it.gateway.door.guests == ()
        assert it.gateway.door._held == {}
        assert it.reception.received == []


# The room for large mails


async def half_sent(it: Doorway) -> Sender:
    """Send most of a large mail."""
    sender = await it.sender()
    await sender.begin()
    sender.send(LARGE[:-1000])
    await until(lambda: len(it.gateway.door._held) > 0)
    return sender


async def whole_sent(it: Doorway) -> str:
    """Send a large mail, and give the reply."""
    sender = await it.sender()
    await sender.begin()
    return await sender.post(LARGE + b".\r\n")


@pytest.fixture
def one_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be room for one large mail."""
    monkeypatch.setattr(limits, "LARGE_POSTS", 1)
    monkeypatch.setattr(limits, "SMALL_POST_OCTETS", 1000)


@pytest.mark.asyncio
@pytest.mark.usefixtures("one_large")
async def test_where_room_is_short_a_slow_large_mail_gives_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "LARGE_PATIENCE", timedelta(0))  # so that a pause makes it slow
    async with door() as it:
        slow = await half_sent(it)
        assert await whole_sent(it) == str(replies.ACCEPTED)
        assert await slow.post(LARGE[-1000:] + b".\r\n") == str(replies.NO_ROOM)
        assert it.log.events == [("slow-mail-gave-way", {})]
        assert it.gateway.door._held == {}
        # The session goes on.
        assert (await slow.ask("MAIL FROM:<>")).startswith("250")


@pytest.mark.asyncio
@pytest.mark.usefixtures("one_large")
async def test_a_large_mail_that_keeps_the_pace_does_not_give_way() -> None:
    async with door() as it:
        first = await half_sent(it)
        assert await whole_sent(it) == str(replies.NO_ROOM)
        assert await first.post(LARGE[-1000:] + b".\r\n") == str(replies.ACCEPTED)
        assert it.log.events == []


@pytest.mark.asyncio
@pytest.mark.usefixtures("one_large")
async def test_a_mail_that_has_come_whole_never_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LARGE_PATIENCE", timedelta(0))
    async with door() as it:
        it.reception.may_go_on.clear()
        first = await half_sent(it)
        first.send(LARGE[-1000:] + b".\r\n")
        await it.reception.begun.wait()
        assert await whole_sent(it) == str(replies.NO_ROOM)
        it.reception.may_go_on.set()
        assert await first.reply() == str(replies.ACCEPTED)


class Holding:
    """A large mail with a given slack, in seconds."""

    def __init__(self, door: Door, slack: float) -> None:
        self._door = door
        self._slack = slack
        self.gave_way = False

    def slack(self) -> float:
        """Tell it."""
        return self._slack

    def give_way(self) -> None:
        """Give way."""
        self.gave_way = True
        self._door.let_go(self)


@pytest.mark.parametrize(
    ("slacks", "newcomer", "gone"),
    [
        ((-1.0, -2.0, 1.0), 5.0, [False, True, False]),  # the slowest alone
        ((1.0, 0.0, 2.0), 5.0, None),
        ((-1.0, 1.0, 2.0), -2.0, [True, False, False]),  # who has nothing yet can't give way
    ],
)
def test_the_slowest_gives_way_first(
    slacks: tuple[float, ...], newcomer: float, gone: list[bool] | None
) -> None:
    settings = dataclasses.replace(SETTINGS, max_post_octets=30 // limits.LARGE_POSTS + 1)
    it = Door(FakeReception(), ListLog(), settings, domains=("lists.example",), room=FakeRoom())
    inside = [Holding(it, slack) for slack in slacks]
    assert all(it.hold(each, 10) for each in inside)
    assert it.hold(Holding(it, newcomer), 10) is (gone is not None)
    assert [each.gave_way for each in inside] == (gone or [False] * 3)


def test_the_slowest_of_all_makes_no_room_for_itself() -> None:
    settings = dataclasses.replace(SETTINGS, max_post_octets=30 // limits.LARGE_POSTS + 1)
    it = Door(FakeReception(), ListLog(), settings, domains=("lists.example",), room=FakeRoom())
    slowest, slow = Holding(it, -2.0), Holding(it, -1.0)
    assert it.hold(slowest, 15)
    assert it.hold(slow, 15)
    assert not it.hold(slowest, 10)
    assert not slow.gave_way


@pytest.mark.asyncio
@pytest.mark.usefixtures("one_large")
async def test_a_large_mail_is_committed_though_its_sender_hangs_up_at_once() -> None:
    async with door() as it:
        sender = await half_sent(it)
        (guest,) = it.gateway.door.guests
        sender.send(LARGE[-1000:] + b".\r\n")
        await until(lambda: guest.answering)
        sender.writer.transport.abort()
        await until(lambda: not it.gateway.door.guests)
        await it.gateway.drain()
        assert it.reception.received == [(LARGE, "team", False)]
        assert it.gateway.door._held == {}


@pytest.mark.asyncio
@pytest.mark.usefixtures("one_large")
async def test_a_stop_waits_for_a_large_mail_that_has_come_whole() -> None:
    async with door() as it:
        sender = await half_sent(it)
        (guest,) = it.gateway.door.guests
        sender.send(LARGE[-1000:] + b".\r\n")
        await until(lambda: guest.answering)
        await it.gateway.close()
        assert await sender.rest() == ["250 2.0.0", "421 4.3.2"]
        assert it.reception.received == [(LARGE, "team", False)]
