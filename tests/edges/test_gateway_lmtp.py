"""LMTP, rule by rule (RFC 2033): what is said, and how often."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from listserver import replies
from tests.doors import MOST, Doorway, Sender, door

TEAM = "RCPT TO:<team@lists.example>"
OTHER = "RCPT TO:<other@lists.example>"
FULL = "RCPT TO:<full@lists.example>"
NOBODY = "RCPT TO:<nobody@lists.example>"
POST = b"Subject: x\r\n\r\n.\r\n"


@asynccontextmanager
async def session(*commands: str) -> AsyncIterator[tuple[Doorway, Sender]]:
    """Begin a session with LHLO and these commands."""
    async with door() as it:
        sender = await it.sender(lmtp=True)
        await sender.reply()
        for command in ("LHLO client.example", *commands):
            await sender.ask(command)
        yield it, sender


@pytest.mark.asyncio
@pytest.mark.parametrize("verb", ["HELO", "EHLO"])
async def test_it_greets_by_lhlo_alone(verb: str) -> None:  # §4.1
    async with door() as it:
        sender = await it.sender(lmtp=True)
        assert await sender.reply() == "220 lists.example LMTP"
        for greeting in (verb, f"{verb} client.example"):
            assert (await sender.ask(greeting)).startswith("500")
        assert await sender.ask("MAIL FROM:<>") == str(replies.NO_HELLO)
        assert await sender.ask("LHLO") == str(replies.BAD_ARGUMENT)
        assert (await sender.ask("LHLO client.example"))[:3] == "250"
        assert (await sender.ask(f"{verb} client.example")).startswith("500")


@pytest.mark.asyncio
async def test_it_offers_what_it_must() -> None:  # §5; and no CHUNKING, §4.3
    async with session() as (_, sender):
        sender.send(b"LHLO client.example\r\n")
        lines = [(await sender.reader.readline()).decode()[4:].strip() for _ in range(6)]
    offered = [f"SIZE {MOST}", "8BITMIME", "PIPELINING", "ENHANCEDSTATUSCODES", "HELP"]
    assert lines == ["lists.example", *offered]


@pytest.mark.asyncio
@pytest.mark.parametrize("commands", [(), (NOBODY,), (NOBODY, "RCPT TO:<x@example.org>")])
async def test_data_without_an_accepted_recipient_is_503(commands: tuple[str, ...]) -> None:  # §4.2
    async with session("MAIL FROM:<>", *commands) as (_, sender):
        assert (await sender.ask("DATA"))[:3] == "503"
        assert (await sender.ask(TEAM))[:3] == "250"
        assert (await sender.ask("DATA"))[:3] == "354"


@pytest.mark.asyncio
async def test_after_the_dot_each_accepted_recipient_has_its_reply_in_their_order() -> None:  # §4.2
    async with session("MAIL FROM:<>", FULL, NOBODY, TEAM, OTHER, FULL, "DATA") as (it, sender):
        sender.send(POST + b"NOOP\r\n")
        said = [await sender.reply() for _ in range(5)]
        accepted, trouble = str(replies.ACCEPTED), str(replies.TROUBLE)
        assert said == [trouble, accepted, accepted, trouble, str(replies.DONE)]
        assert [to for _, to, _ in it.reception.received] == ["team", "other"]


@pytest.mark.asyncio
async def test_who_is_named_twice_has_two_replies() -> None:  # §4.2, its "Note"
    async with session("MAIL FROM:<>", TEAM, TEAM, "DATA") as (it, sender):
        sender.send(POST + b"NOOP\r\n")
        accepted = str(replies.ACCEPTED)
        assert [await sender.reply() for _ in range(3)] == [accepted] * 2 + [str(replies.DONE)]
        assert [to for _, to, _ in it.reception.received] == ["team"]  # and one mail


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (b"a" * 9_000 + b"\r\n.\r\n", replies.LONG_LINE),
        ((b"a" * 998 + b"\r\n") * 110 + b".\r\n", replies.too_large(MOST)),
    ],
)
async def test_a_refusal_of_the_content_too_is_said_to_each(
    content: bytes, refusal: replies.Reply
) -> None:  # §4.2
    async with session("MAIL FROM:<>", TEAM, NOBODY, OTHER, "DATA") as (it, sender):
        sender.send(content + b"NOOP\r\n")
        assert [await sender.reply() for _ in range(3)] == [str(refusal)] * 2 + [str(replies.DONE)]
        assert it.reception.received == []


@pytest.mark.asyncio
async def test_a_session_whose_content_has_bare_line_ends_ends_after_each_had_its_reply() -> None:
    async with session("MAIL FROM:<>", TEAM, OTHER, "DATA") as (_, sender):
        sender.send(b"a\nb\r\n.\r\nNOOP\r\n")
        assert await sender.rest() == ["554 5.6.0"] * 2


@pytest.mark.asyncio
async def test_a_mail_ends_with_its_replies() -> None:  # RFC 5321 §4.1.1.4: its buffers are cleared
    async with session("MAIL FROM:<>", TEAM, OTHER, "DATA") as (_, sender):
        sender.send(POST)
        assert [(await sender.reply())[:3] for _ in range(2)] == ["250"] * 2
        assert await sender.ask(TEAM) == str(replies.NO_MAIL)
        assert (await sender.ask("MAIL FROM:<>"))[:3] == "250"
        assert await sender.ask("DATA") == str(replies.NO_RECIPIENT)


@pytest.mark.asyncio
@pytest.mark.parametrize("forget", ["RSET", "LHLO client.example"])
async def test_what_begins_anew_forgets_the_recipients(forget: str) -> None:  # RFC 5321 §4.1.4
    async with session("MAIL FROM:<>", TEAM, OTHER, forget, "MAIL FROM:<>", OTHER) as (it, sender):
        assert (await sender.ask("DATA"))[:3] == "354"
        sender.send(POST + b"NOOP\r\n")
        assert [await sender.reply() for _ in range(2)] == [
            str(replies.ACCEPTED),
            str(replies.DONE),
        ]
        assert [to for _, to, _ in it.reception.received] == ["other"]


@pytest.mark.asyncio
async def test_a_group_of_commands_may_come_at_once() -> None:  # §5; RFC 2920 §3.1
    async with session() as (_, sender):
        group = f"MAIL FROM:<>\r\n{TEAM}\r\n{NOBODY}\r\n{OTHER}\r\nDATA\r\n".encode()
        sender.send(group)
        said = [(await sender.reply())[:3] for _ in range(5)]
        assert said == ["250", "250", "550", "250", "354"]


@pytest.mark.asyncio
async def test_one_lists_trouble_is_no_others() -> None:  # §4.2
    async with session("MAIL FROM:<>", TEAM, FULL, OTHER, "DATA") as (it, sender):
        sender.send(POST)
        assert [(await sender.reply())[:3] for _ in range(3)] == ["250", "451", "250"]
        assert len(it.reception.received) == 2
