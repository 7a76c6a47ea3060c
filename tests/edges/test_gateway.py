"""The door: dialogues, the octets that come through it, and what a rude sender can do."""

import asyncio
import dataclasses
import smtplib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listserver import limits, replies
from listserver.replies import Reply
from listserver.sections import Endpoint
from tests.doors import HERE, INNER_WORDS, MOST, SETTINGS, door

DIALOGUES = {
    path.name: path.read_text("utf-8").splitlines()
    for path in sorted((Path(__file__).parents[1] / "dialogues").glob("*.[sl]mtp"))
}


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
    async with door(dataclasses.replace(SETTINGS, max_post_octets=10**6)) as it:
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
    async with door(dataclasses.replace(SETTINGS, max_post_octets=len(content))) as it:
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
        assert (await idle.reply()).startswith("421 4.3.2")
        assert await idle.reply() == ""
        it.reception.may_go_on.set()
        assert await busy.reply() == "250 2.0.0 Accepted."
        assert (await busy.reply()).startswith("421 4.3.2")
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
        assert reply[0] in ("3", reply[4])  # RFC 2034 §3: only 2yz, 4yz and 5yz have a status
    assert "recrypt key team@lists.example --service https://lists.example" in str(made[2])
