"""The door: dialogues, the octets that come through it, and what a rude sender can do."""

import asyncio
import gc
import smtplib
import tracemalloc
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listserver import limits, replies
from listserver.addresses import ListAddress
from listserver.config import Endpoint
from listserver.edges.gateway import Gateway
from listserver.replies import Reply

MOST = 100_000
HERE = Endpoint("127.0.0.1", 0)
DIALOGUES = {
    path.name: path.read_text("utf-8").splitlines()
    for path in sorted((Path(__file__).parents[1] / "dialogues").glob("*.[sl]mtp"))
}
INNER_WORDS = "bob@example.org is no member of team"


class FakeReception:
    """Knows three lists, one of them in trouble, and keeps what it takes."""

    def __init__(self) -> None:
        self.received: list[tuple[bytes, str, bool]] = []
        self.begun = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def recipient(self, to: ListAddress) -> Reply:
        """Answer by the list's name alone."""
        if to.name == "trouble":
            raise RuntimeError(INNER_WORDS)
        known = to.name in {"team", "other", "full"}
        return replies.RECIPIENT_OK if known else replies.NO_SUCH_LIST

    async def receive(self, raw: bytes, to: ListAddress, *, null_sender: bool) -> Reply:
        """Keep it, once it may go on."""
        self.begun.set()
        await self.may_go_on.wait()
        if b"raise" in raw or to.name == "full":
            raise RuntimeError(INNER_WORDS)
        self.received.append((raw, to.name, null_sender))
        return replies.ACCEPTED


class FakeLog:
    """Keeps events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, int | str]]] = []

    def event(self, name: str, **counts: int | str) -> None:
        """Keep it."""
        self.events.append((name, counts))


class Sender:
    """The other side of the door, without manners of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, octets: bytes) -> None:
        """Send octets as they are."""
        self.writer.write(octets)

    async def reply(self) -> str:
        """Give the last line of one reply; "" when the connection is at its end."""
        while True:
            line = await asyncio.wait_for(self.reader.readline(), 10)
            if line[3:4] != b"-":
                return line.decode().rstrip()

    async def ask(self, command: str) -> str:
        """Send a command, and give the last line of the reply."""
        self.send(command.encode() + b"\r\n")
        return await self.reply()

    async def begin(self) -> None:
        """Go as far as 354."""
        await self.reply()
        for command in ("EHLO client.example", "MAIL FROM:<alice@example.org>"):
            assert (await self.ask(command)).startswith("250")
        assert (await self.ask("RCPT TO:<team@lists.example>")).startswith("250")
        assert (await self.ask("DATA")).startswith("354")

    async def post(self, octets: bytes) -> str:
        """Send content, and give the last line of the reply."""
        self.send(octets)
        return await self.reply()


class Door:
    """A gateway on loopback, its fakes, and the senders at it."""

    def __init__(self, most: int) -> None:
        self.reception = FakeReception()
        self.log = FakeLog()
        self.gateway = Gateway(self.reception, self.log, domain="lists.example", max_octets=most)
        self.senders: list[Sender] = []
        self.ports = {True: 0, False: 0}

    async def sender(self, *, lmtp: bool = False) -> Sender:
        """Connect."""
        sender = Sender(*await asyncio.open_connection(HERE.host, self.ports[lmtp]))
        self.senders.append(sender)
        return sender


@asynccontextmanager
async def door(most: int = MOST) -> AsyncIterator[Door]:
    it = Door(most)
    for lmtp in (False, True):
        server = await it.gateway.listen(HERE, lmtp=lmtp)
        it.ports[lmtp] = server.sockets[0].getsockname()[1]
    try:
        yield it
    finally:
        await it.gateway.close()
        for sender in it.senders:
            sender.writer.close()


def test_there_are_dialogues() -> None:
    assert len(DIALOGUES) >= 5


@pytest.mark.asyncio
@pytest.mark.parametrize("name", DIALOGUES)
async def test_a_dialogue_goes_as_it_is_written(name: str) -> None:
    async with door() as it:
        sender = await it.sender(lmtp=name.endswith(".lmtp"))
        for line in DIALOGUES[name]:
            if line.startswith("C:"):
                sender.send(line[3:].encode() + b"\r\n")
                continue
            reply = await sender.reply()
            assert fnmatchcase(reply, line[3:]), f"{line!r} was {reply!r}"
            assert INNER_WORDS not in reply


@pytest.mark.asyncio
async def test_the_greeting_offers_what_we_can_and_no_more() -> None:
    async with door() as it:
        sender = await it.sender()
        await sender.reply()
        sender.send(b"EHLO client.example\r\n")
        lines = [(await sender.reader.readline()).decode()[4:].strip() for _ in range(6)]
    offered = [f"SIZE {MOST}", "8BITMIME", "PIPELINING", "ENHANCEDSTATUSCODES", "HELP"]
    assert lines == ["lists.example", *offered]


@pytest.mark.asyncio
async def test_a_stock_client_is_served() -> None:
    async with door() as it:
        await asyncio.to_thread(_send_by_smtplib, it.ports[False])
        assert it.reception.received == [(b"Subject: x\r\n\r\n.dot\r\n", "team", False)]


def _send_by_smtplib(port: int) -> None:
    with smtplib.SMTP(HERE.host, port) as client:
        message = b"Subject: x\r\n\r\n.dot\r\n"
        assert client.sendmail("alice@example.org", ["team@lists.example"], message) == {}


CONTENTS = st.lists(
    st.text("a. \t", max_size=5).map(str.encode) | st.just(b"b" * 8000), max_size=30
)


@given(st.lists(CONTENTS, min_size=1, max_size=3))
def test_what_is_received_is_what_was_sent_however_it_comes(mails: list[list[bytes]]) -> None:
    contents = [b"".join(line + b"\r\n" for line in lines) for lines in mails]
    assert asyncio.run(_received_of(contents)) == contents


async def _received_of(contents: Iterable[bytes]) -> list[bytes]:
    async with door(most=10**6) as it:
        sender = await it.sender()
        await sender.begin()
        for content in contents:
            stuffed = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
            for piece in (stuffed[:7], stuffed[7:] + b".\r"):
                sender.send(piece)
                await sender.writer.drain()
            # In the same breath as the end come the next commands: none of them is lost.
            sender.send(b"\nMAIL FROM:<>\r\nRCPT TO:<team@lists.example>\r\nDATA\r\n")
            assert [(await sender.reply())[:3] for _ in range(4)] == ["250", "250", "250", "354"]
        return [raw for raw, _, _ in it.reception.received]


@pytest.mark.asyncio
async def test_a_big_mail_comes_through_to_the_octet() -> None:
    content = b"Subject: x\r\n\r\n" + (b"A" * 76 + b"\r\n") * 60_000
    async with door(most=len(content)) as it:
        sender = await it.sender()
        await sender.begin()
        assert await sender.post(content + b".\r\n") == "250 2.0.0 Accepted."
        assert it.reception.received == [(content, "team", False)]


@pytest.mark.asyncio
@pytest.mark.parametrize("extra", [0, 1])
async def test_the_limit_itself_is_taken_and_one_octet_more_is_not(extra: int) -> None:
    async with door() as it:
        sender = await it.sender()
        await sender.begin()
        lines = (b"a" * 998 + b"\r\n") * 100
        reply = await sender.post(b"a" * extra + lines + b".\r\n")
        assert reply.startswith("552 5.3.4" if extra else "250 2.0.0")
        assert len(it.reception.received) == 1 - extra
        assert await sender.ask("NOOP") == "250 2.0.0 OK"


@pytest.mark.asyncio
async def test_twice_the_limit_without_a_line_end_is_cut_off_and_never_held() -> None:
    async with door() as it:
        sender = await it.sender()
        await sender.begin()
        gc.collect()
        tracemalloc.start()
        try:
            sent = await _pour(sender, octets=400 * MOST)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert sent < 400 * MOST
        assert peak < 40 * MOST
        assert it.reception.received == []


async def _pour(sender: Sender, *, octets: int) -> int:
    sent, piece = 0, b"NOOP" * 2_500
    while sent < octets:
        sender.send(piece)
        try:
            await sender.writer.drain()
        except ConnectionError:
            break
        sent += len(piece)
    return sent


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "line_end",
    [
        b"\n.\n", b"\n.\r", b"\r.\n", b"\r.\r", b"\n.\r\n", b"\r.\r\n", b"\r\n\0.\r\n",
        b"\r\n.\n", b"\r\n.\r", b"\r\n.\r\r\n", b"\r\r\n.\r\n", b"\0", b"\r", b"\n",
    ],
)  # fmt: skip
async def test_no_other_end_ends_a_mail_and_all_are_refused(line_end: bytes) -> None:
    async with door() as it:
        sender = await it.sender()
        await sender.begin()
        inner = b"MAIL FROM:<eve@example.org>\r\n"
        ends = line_end.endswith(b"\r\n.\r\n")
        rest = b"" if ends else inner + b".\r\n"
        reply = await sender.post(b"Subject: x\r\n\r\nHello" + line_end + rest)
        assert reply.startswith("554 5.6.0")
        assert it.reception.received == []
        assert await sender.ask("NOOP") == "250 2.0.0 OK"


@pytest.mark.asyncio
@pytest.mark.parametrize(("length", "code"), [(limits.LINE_OCTETS, "250"), (10_000, "554")])
async def test_a_very_long_line_is_refused(length: int, code: str) -> None:
    async with door() as it:
        sender = await it.sender()
        await sender.begin()
        line = b"a" * (length - 2) + b"\r\n"
        reply = await sender.post(b"Subject: x\r\n" + line + b"\r\n.\r\n")
        assert reply.startswith(code)


@pytest.mark.asyncio
async def test_a_commit_goes_on_when_its_sender_hangs_up() -> None:
    async with door() as it:
        it.reception.may_go_on.clear()
        sender = await it.sender()
        await sender.begin()
        sender.send(b"Subject: x\r\n.\r\nQUIT\r\n")
        await it.reception.begun.wait()
        sender.writer.write_eof()
        assert await sender.reader.read() == b""  # the session has ended
        it.reception.may_go_on.set()
        await it.gateway.drain()
        assert len(it.reception.received) == 1


@pytest.mark.asyncio
async def test_a_sender_that_hangs_up_within_the_content_leaves_nothing() -> None:
    async with door() as it:
        sender = await it.sender()
        await sender.begin()
        sender.send(b"Subject: x\r\n")
        sender.writer.write_eof()
        assert await sender.reader.read() == b""
        await it.gateway.drain()
        assert it.reception.received == []


@pytest.mark.asyncio
async def test_a_stop_answers_what_is_in_hand_and_hangs_up_on_the_others() -> None:
    async with door() as it:
        it.reception.may_go_on.clear()
        busy, idle = await it.sender(), await it.sender()
        await idle.reply()
        await busy.begin()
        busy.send(b"Subject: x\r\n.\r\n")
        await it.reception.begun.wait()
        closing = asyncio.create_task(it.gateway.close())
        assert await idle.reply() == ""
        it.reception.may_go_on.set()
        assert await busy.reply() == "250 2.0.0 Accepted."
        assert await busy.reply() == ""
        await closing
        with pytest.raises(OSError, match=r"Connect call failed"):
            await it.sender()


@pytest.mark.asyncio
async def test_an_exception_is_logged_by_its_class_alone() -> None:
    async with door() as it:
        sender = await it.sender()
        await sender.begin()
        await sender.post(b"Subject: raise\r\n.\r\n")
        await sender.ask("MAIL FROM:<>")
        await sender.ask("RCPT TO:<trouble@lists.example>")
        assert it.log.events == [
            ("reception-trouble", {"error": "RuntimeError"}),
            ("session-trouble", {"error": "RuntimeError"}),
        ]


@pytest.mark.asyncio
async def test_the_null_sender_is_told_from_others() -> None:
    async with door() as it:
        sender = await it.sender()
        await sender.begin()
        await sender.post(b"1\r\n.\r\n")
        for command in ("MAIL FROM:<>", "RCPT TO:<team@lists.example>", "DATA"):
            await sender.ask(command)
        await sender.post(b"2\r\n.\r\n")
        assert [null for _, _, null in it.reception.received] == [False, True]


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
async def test_noop_holds_no_session_for_ever() -> None:
    async with door() as it:
        sender = await it.sender()
        await sender.reply()
        for _ in range(limits.SESSION_COMMANDS):
            assert await sender.ask("NOOP") == "250 2.0.0 OK"
        assert (await sender.ask("NOOP")).startswith("421 4.7.0")
        assert await sender.reply() == ""


@pytest.mark.asyncio
async def test_a_port_in_use_is_an_os_error() -> None:
    async with door() as it:
        with pytest.raises(OSError, match="address already in use"):
            await it.gateway.listen(Endpoint(HERE.host, it.ports[False]))


def test_every_reply_is_one_short_line_of_ascii() -> None:
    made = [
        replies.too_large(1),
        replies.malformed_post("é\r\n" * 500),
        replies.not_encrypted("Not encrypted.", "team@lists.example", "https://lists.example"),
    ]
    fixed = [value for value in vars(replies).values() if isinstance(value, Reply)]
    assert len(fixed) > 20
    for reply in (str(x) for x in fixed + made):
        assert reply.isascii() and reply.isprintable() and len(reply) < 512
        assert reply[0] == reply[4]
    assert "recrypt key team@lists.example --service https://lists.example" in str(made[2])
