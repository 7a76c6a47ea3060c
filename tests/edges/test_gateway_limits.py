"""The door's limits: at each of them all goes well, and one over is refused."""

import asyncio
import dataclasses
from datetime import timedelta

import pytest

from listserver import limits, replies
from listserver.edges.connections import Connection
from listserver.edges.door import Door, client_of
from tests.doors import MOST, OPENING, SETTINGS, FakeReception, door
from tests.fakes import FakeRoom, ListLog

CROWDED = "421 4.7.0 Too many connections. Try again later."


@pytest.mark.asyncio
@pytest.mark.parametrize(("in_all", "of_client"), [(3, 9), (9, 3)])
async def test_connections_are_counted_in_all_and_for_each_client(
    in_all: int, of_client: int
) -> None:
    settings = dataclasses.replace(SETTINGS, connections=in_all, connections_per_client=of_client)
    async with door(settings) as it:
        inside = [await it.greeted(), await it.greeted(), await it.sender(lmtp=True)]
        for lmtp in (False, True):
            late = await it.sender(lmtp=lmtp)
            assert (await late.reply(), await late.reply()) == (CROWDED, "")
        # Who is inside doesn't notice; and who leaves makes room.
        assert (await inside[0].ask("NOOP")).startswith("250")
        assert (await inside[1].ask("QUIT"), await inside[1].reply()) == (str(replies.BYE), "")
        assert (await (await it.sender()).reply()).startswith("220")


class Visitor:
    """A guest that does nothing."""

    answering = False

    async def hang_up(self) -> None:
        """Do nothing."""


def test_clients_are_counted_apart() -> None:
    settings = dataclasses.replace(SETTINGS, connections_per_client=1)
    it = Door(FakeReception(), ListLog(), settings, domains=("lists.example",), room=FakeRoom())
    first = Visitor()
    assert it.enter(first, "192.0.2.1")
    assert it.enter(Visitor(), "192.0.2.2")
    assert not it.enter(Visitor(), "192.0.2.1")
    it.leave(first)
    assert it.enter(Visitor(), "192.0.2.1")


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_a_client_is_an_address_or_a_network_of_one_customer(host: str, client: str) -> None:
    assert client_of(host) == client


@pytest.mark.asyncio
async def test_over_lmtp_a_hundred_recipients_are_taken_and_no_more() -> None:
    async with door() as it:
        sender = await it.sender(lmtp=True)
        await sender.reply()
        await sender.ask("LHLO client.example")
        await sender.ask("MAIL FROM:<>")
        asked = [await sender.ask("RCPT TO:<team@lists.example>") for _ in range(101)]
        assert [reply[:9] for reply in asked] == ["250 2.1.5"] * 100 + ["452 4.5.3"]


@pytest.mark.asyncio
async def test_over_smtp_no_more_than_a_hundred_recipients_are_looked_up() -> None:
    async with door() as it:
        sender = await it.greeted()
        await sender.ask("MAIL FROM:<>")
        names = ["team", *["other"] * limits.RECIPIENTS, "team"]
        asked = [await sender.ask(f"RCPT TO:<{name}@lists.example>") for name in names]
        assert asked[:2] == [str(replies.RECIPIENT_OK), str(replies.ONE_LIST)]
        assert asked[99:] == [str(replies.ONE_LIST), *[str(replies.TOO_MANY_RECIPIENTS)] * 2]
        assert len(it.reception.asked) == limits.RECIPIENTS
        assert (await sender.ask("DATA")).startswith("354")


@pytest.mark.asyncio
@pytest.mark.parametrize("command", ["NOOP", "HELP", "VRFY x", "EHLO client.example", "NOOP x"])
async def test_no_command_holds_a_session_for_ever(command: str) -> None:
    async with door() as it:
        sender = await it.sender()
        await sender.reply()
        for _ in range(limits.SESSION_COMMANDS):
            assert (await sender.ask(command))[0] == "2"
        assert await sender.ask(command) == str(replies.TOO_MANY_COMMANDS)
        assert await sender.reply() == ""


@pytest.mark.asyncio
async def test_a_session_carries_many_mails_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "SESSION_MAILS", 3)
    async with door() as it:
        sender = await it.greeted()
        for _ in range(3):
            await sender.ask("MAIL FROM:<>")
            await sender.ask("RCPT TO:<team@lists.example>")
            await sender.ask("DATA")
            assert await sender.post(b"Subject: x\r\n\r\n.\r\n") == str(replies.ACCEPTED)
        assert await sender.ask("MAIL FROM:<>") == str(replies.TOO_MANY_COMMANDS)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "command",
    ["XYZZY", "", "MAIL FROM:alice", "RCPT TO:<>", "é", "EHLO", "N" * 600, "EXPN x", "AUTH PLAIN"],
)
async def test_a_session_ends_with_its_twentieth_error(command: str) -> None:
    async with door() as it:
        sender = await it.greeted()
        for _ in range(limits.SESSION_ERRORS - 1):
            assert (await sender.ask(command))[0] == "5"
        assert (await sender.ask("NOOP"))[:3] == "250"
        assert (await sender.ask(command))[0] == "5"
        assert await sender.reply() == str(replies.TOO_MANY_ERRORS)
        assert await sender.reply() == ""


@pytest.mark.asyncio
async def test_a_mail_that_was_taken_makes_up_for_errors() -> None:
    async with door() as it:
        sender = await it.greeted()
        for _ in range(3):
            await sender.ask("MAIL FROM:<>")
            for _ in range(limits.SESSION_ERRORS - 1):
                assert (await sender.ask("RCPT TO:<nobody@lists.example>"))[:3] == "550"
            await sender.ask("RCPT TO:<team@lists.example>")
            await sender.ask("DATA")
            assert await sender.post(b"Subject: x\r\n\r\n.\r\n") == str(replies.ACCEPTED)


@pytest.mark.asyncio
async def test_our_own_trouble_is_no_error_of_the_sender() -> None:
    async with door() as it:
        sender = await it.greeted()
        await sender.ask("MAIL FROM:<>")
        for _ in range(limits.SESSION_ERRORS + 1):
            assert await sender.ask("RCPT TO:<trouble@lists.example>") == str(replies.TROUBLE)


@pytest.mark.asyncio
@pytest.mark.parametrize("extra", [0, 1])
async def test_a_command_may_have_512_octets(extra: int) -> None:
    async with door() as it:
        sender = await it.sender()
        await sender.reply()
        name = "a" * (limits.COMMAND_OCTETS - len("EHLO \r\n") + extra)
        reply = await sender.ask(f"EHLO {name}")
        assert reply == (str(replies.LONG_COMMAND) if extra else "250 HELP")
        assert (await sender.ask("NOOP")).startswith("250")


@pytest.mark.asyncio
async def test_a_command_without_an_end_ends_the_session() -> None:
    async with door() as it:
        sender = await it.greeted()
        sender.send(b"A" * (2 * limits.READ_OCTETS))
        assert await sender.rest() == ["500 5.5.2"]


@pytest.mark.asyncio
async def test_a_session_without_mail_ends_however_busy_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with door() as it:
        sender = await it.greeted()
        await sender.ask("MAIL FROM:<>")
        await sender.ask("RCPT TO:<team@lists.example>")
        await sender.ask("DATA")
        monkeypatch.setattr(limits, "SESSION_AGE", timedelta(0))
        # A mail in progress comes to its end.
        assert await sender.post(b"Subject: x\r\n\r\n.\r\n") == str(replies.ACCEPTED)
        assert await sender.ask("NOOP") == str(replies.TOO_OLD)
        assert await sender.reply() == ""


@pytest.mark.asyncio
@pytest.mark.parametrize("before", range(len(OPENING) + 1))
async def test_a_session_ends_when_nothing_whole_comes(before: int) -> None:
    async with door() as it:
        sender = await it.sender()
        await sender.reply()
        for command in OPENING[:before]:
            await sender.post(command)
        (guest,) = it.gateway.door.guests
        assert isinstance(guest, Connection)
        assert guest._timeout_duration == limits.COMMAND_TIMEOUT.total_seconds()
        guest._reset_timeout(0.01)  # as if the rest of it had passed
        sender.send(b"NO")  # a trickle: part of a line gives no more time
        assert await sender.rest() == ["421 4.4.2"]
        assert it.reception.received == []


@pytest.mark.asyncio
async def test_who_reads_nothing_is_cut_off_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "COMMAND_TIMEOUT", timedelta(milliseconds=20))
    monkeypatch.setattr(limits, "QUIT_TIMEOUT", timedelta(milliseconds=20))
    monkeypatch.setattr(limits, "SESSION_COMMANDS", 10**9)
    async with door() as it:
        sender = await it.greeted()
        transport = sender.writer.transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.pause_reading()
        with pytest.raises(ConnectionError):
            while True:
                sender.send(b"HELP\r\n" * 1000)
                await sender.writer.drain()
        assert it.gateway.door.guests == ()


@pytest.mark.asyncio
@pytest.mark.parametrize("piece", [b"A", b"NOOP\r\n", b"\r\n..\r\n"])
async def test_a_mail_without_an_end_ends_the_session_at_twice_the_limit(piece: bytes) -> None:
    async with door() as it:
        sender = await it.sender()
        await sender.begin()
        sender.send(piece * ((2 * MOST + 2 * limits.READ_OCTETS) // len(piece)))
        assert await sender.rest() == ["552 5.3.4"]
        assert it.reception.received == []


@pytest.mark.asyncio
async def test_there_is_room_for_so_much_mail_and_for_small_ones_always(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "LARGE_POSTS", 1)
    monkeypatch.setattr(limits, "SMALL_POST_OCTETS", 1000)
    large = (b"a" * 998 + b"\r\n") * (MOST // 1000 - 1)
    async with door() as it:
        first, second = await it.sender(), await it.sender()
        await first.begin()
        await second.begin()
        it.reception.may_go_on.clear()
        first.send(large + b".\r\n")
        await it.reception.begun.wait()
        # While the first is in hand, there is no room for such another one.
        assert await second.post(large + b".\r\n") == str(replies.NO_ROOM)
        it.reception.may_go_on.set()
        assert await first.reply() == str(replies.ACCEPTED)
        for content in (large, b"Subject: x\r\n"):
            await second.ask("MAIL FROM:<>")
            await second.ask("RCPT TO:<team@lists.example>")
            await second.ask("DATA")
            assert await second.post(content + b".\r\n") == str(replies.ACCEPTED)
        assert it.gateway.door._held == {}


@pytest.mark.asyncio
async def test_who_leaves_within_a_large_mail_takes_no_room() -> None:
    settings = dataclasses.replace(SETTINGS, max_post_octets=10 * MOST)
    async with door(settings) as it:
        sender = await it.sender()
        await sender.begin()
        sender.send(b"a" * 9 * MOST)
        await sender.writer.drain()
        sender.writer.write_eof()
        assert await sender.reader.read() == b""
        assert it.gateway.door._held == {}


@pytest.mark.asyncio
async def test_nine_hundred_idle_connections_delay_nobody() -> None:
    settings = dataclasses.replace(SETTINGS, connections=1000, connections_per_client=1000)
    async with door(settings) as it:
        for _ in range(900):
            await it.sender()
        assert (await it.senders[-1].reply())[:3] == "220"
        assert len(it.gateway.door.guests) == 900
        async with asyncio.timeout(3):
            honest = await it.sender()
            await honest.begin()
            assert await honest.post(b"Subject: x\r\n\r\n.\r\n") == str(replies.ACCEPTED)
