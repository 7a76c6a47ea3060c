"""The door under attack: smuggling, injection, oracles, and how much is held. Octets in."""

import asyncio
import dataclasses
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listserver.addresses import ListAddress, Role
from tests.doors import HERE, MOST, OPENING, SETTINGS, door

SMUGGLED = (
    b"MAIL FROM:<eve@example.org>\r\nRCPT TO:<other@lists.example>\r\nDATA\r\n"
    b"Subject: smuggled\r\n\r\n.\r\n"
)
# What some server takes for the end of a mail, and another one doesn't.
FALSE_ENDS = [
    b"\n.\n", b"\n.\r", b"\r.\n", b"\r.\r", b"\n.\r\n", b"\r.\r\n", b"\r\n\0.\r\n",
    b"\r\n.\n", b"\r\n.\r", b"\r\n.\r\r\n", b"\r\r\n.\r\r\n", b"\r\r\n.\r\n", b"\n\n.\r\n",
    b"\r\n\x85.\r\n", b"\r\n..\r\n", b"\r\n. \r\n", b"\r\n.\0\r\n", b"\r\n.\x0b\r\n",
]  # fmt: skip


@pytest.mark.asyncio
@pytest.mark.parametrize("lmtp", [False, True])
@pytest.mark.parametrize("end", FALSE_ENDS)
async def test_what_is_behind_a_false_end_is_never_a_mail(end: bytes, lmtp: bool) -> None:
    async with door() as it:
        sender = await it.sender(lmtp=lmtp)
        await sender.reply()
        for command in OPENING:
            await sender.post(command.replace(b"EHLO", b"LHLO") if lmtp else command)
        sender.send(b"Subject: x\r\n\r\nHello" + end + SMUGGLED)
        # Nothing answers the smuggled commands: one reply, and then the end of it or to QUIT.
        first = await sender.reply()
        sender.send(b"QUIT\r\n")
        said = await sender.rest()
        bare = b"\0" in end or not end.count(b"\n") == end.count(b"\r") == end.count(b"\r\n")
        assert first[:9] == ("554 5.6.0" if bare else "250 2.0.0")
        assert said == ([] if bare else ["221 2.0.0"])
        assert it.reception.asked == [ListAddress("team@lists.example", Role.POST)]
        assert len(it.reception.received) == (0 if bare else 1)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "octets",
    [
        b"NOOP\nMAIL FROM:<eve@example.org>\r\n",
        b"NOOP\rMAIL FROM:<eve@example.org>\r\n",
        b"MAIL FROM:<eve@example.org>\n",
        b"MAIL FROM:<eve\r@example.org>\r\n",
        b"MAIL FROM:<eve\0@example.org>\r\n",
        b"MAIL FROM:<eve@example.org>\0\r\n",
        b"\r\r\n",
    ],
)
async def test_a_line_with_another_end_than_crlf_ends_the_session(octets: bytes) -> None:
    async with door() as it:
        sender = await it.greeted()
        sender.send(octets + b"RCPT TO:<team@lists.example>\r\n")
        said = await sender.rest()
        assert said == ["500 5.5.2"]
        assert it.reception.asked == []


@pytest.mark.asyncio
@pytest.mark.parametrize("octet", [b"\xff", b"\xc3\xa9", b"\xed\xb0\x80", b"\xe2\x80\xa8", b"\x85"])
async def test_octets_beyond_ascii_are_refused_in_every_command(octet: bytes) -> None:
    async with door() as it:
        sender = await it.greeted()
        for command in (b"MAIL FROM:<%s@example.org>\r\n", b"EHLO %s\r\n", b"NO%sOP\r\n"):
            assert await sender.post(command % octet) == (
                "553 5.6.7 SMTPUTF8 is not offered here; use ASCII addresses."
            )
        await sender.ask("MAIL FROM:<>")
        assert (await sender.post(b"RCPT TO:<te%sam@lists.example>\r\n" % octet))[:3] == "553"
        assert it.reception.asked == []


@pytest.mark.asyncio
async def test_who_speaks_first_is_sent_away() -> None:
    async with door() as it:
        with _speak_first(it.ports[False]) as early:
            said = await asyncio.to_thread(_all_said, early)
    assert said == b"554 5.5.0 Wait for the reply before you send more (RFC 2920).\r\n"
    assert it.reception.asked == []


def _speak_first(port: int) -> socket.socket:
    # The loop doesn't run meanwhile, so all of this is there before the connection is accepted.
    talker = socket.create_connection((HERE.host, port))
    talker.sendall(b"".join(OPENING) + b"Subject: x\r\n\r\n.\r\n")
    return talker


def _all_said(talker: socket.socket) -> bytes:
    said = b""
    try:
        while piece := talker.recv(4096):
            said += piece
    except ConnectionError:
        pass
    return said


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("before", "octets"),
    [
        (0, OPENING[0] + OPENING[1]),
        (0, b"HELO client.example\r\n" + OPENING[1]),
        (3, OPENING[3] + b"Subject: x\r\n\r\n.\r\n"),
        (2, OPENING[2] + OPENING[3] + b"Subject: x\r\n\r\n.\r\n"),
        (1, OPENING[3] + b"RCPT TO:<team@lists.example>\r\n"),
    ],
)
async def test_more_than_a_group_of_commands_ends_the_session(before: int, octets: bytes) -> None:
    async with door() as it:
        sender = await it.sender()
        await sender.reply()
        for command in OPENING[:before]:
            await sender.post(command)
        sender.send(octets)
        said = await sender.rest()
        assert said[-1] == "554 5.5.0"
        assert len(said) <= 2
        assert it.reception.received == []


@pytest.mark.asyncio
@pytest.mark.parametrize("line", ["BDAT 86 LAST", "POST / HTTP/1.1", "CONNECT lists.example:25"])
async def test_who_speaks_another_protocol_ends_the_session(line: str) -> None:
    async with door() as it:
        sender = await it.greeted()
        sender.send(line.encode() + b"\r\nMAIL FROM:<eve@example.org>\r\n" + OPENING[2])
        assert await sender.rest() == ["502 5.5.1"]
        assert it.reception.asked == []


@pytest.mark.asyncio
async def test_a_reply_to_rcpt_never_depends_on_who_sends() -> None:
    senders = (
        "alice@example.org",
        "eve@example.org",
        "",
        "team@lists.example",
        "x@unknown.example",
    )
    recipients = ("team", "nobody", "team-owner", "postmaster", "team-bounces+" + "a" * 26)
    async with door() as it:
        answers = set()
        for sender in senders:
            session = await it.greeted()
            await session.ask(f"MAIL FROM:<{sender}>")
            answers.add(
                tuple([await session.ask(f"RCPT TO:<{x}@lists.example>") for x in recipients])
            )
        assert len(answers) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("command", ["VRFY", "EXPN"])
async def test_nobody_is_told_who_is_known(command: str) -> None:
    async with door() as it:
        sender = await it.greeted()
        names = ("team", "nobody", "alice@example.org", "team@lists.example", "<>", "postmaster")
        assert len({await sender.ask(f"{command} {name}") for name in names}) == 1
        assert it.reception.asked == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "to"),
    [
        ("postmaster", ListAddress("postmaster@lists.example", Role.OPERATOR)),
        ("POSTMASTER", ListAddress("postmaster@lists.example", Role.OPERATOR)),
        ("Abuse@Lists.Example", ListAddress("postmaster@lists.example", Role.OPERATOR)),
        ("Team-Owner@lists.example", ListAddress("team@lists.example", Role.OWNER)),
        ("Team-Owner@News.Example", ListAddress("team@news.example", Role.OWNER)),
        ("Abuse@News.Example", ListAddress("postmaster@lists.example", Role.OPERATOR)),
    ],
)
async def test_what_is_handed_on_is_the_address_taken_apart(path: str, to: ListAddress) -> None:
    async with door() as it:
        sender = await it.greeted()
        await sender.ask("MAIL FROM:<>")
        await sender.ask(f"RCPT TO:<{path}>")
        assert it.reception.asked == [to]


@pytest.mark.parametrize("begin", [b"".join(OPENING), b""])
@pytest.mark.parametrize("piece", [b"A" * 2**16, b"A" * 998 + b"\r\n"])
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_sixty_mebibytes_of_anything_leave_memory_as_it_is(begin: bytes, piece: bytes) -> None:
    grown = asyncio.run(_growth_under(begin, piece * (2**16 // len(piece)), octets=60 * 2**20))
    assert grown < 2 * 10 * MOST


async def _growth_under(begin: bytes, piece: bytes, *, octets: int) -> int:
    settings = dataclasses.replace(SETTINGS, max_post_octets=10 * MOST)
    async with door(settings) as it:
        await asyncio.to_thread(_flood, it.ports[False], begin, piece, octets // 10)
        before = _forget_the_highest()
        await asyncio.to_thread(_flood, it.ports[False], begin, piece, octets)
        assert it.reception.received == []
        return _memory("VmHWM") - before


def _forget_the_highest() -> int:
    """Let VmHWM begin anew (proc(5)), and give what is used now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _flood(port: int, begin: bytes, piece: bytes, octets: int) -> None:
    """Send so many octets, over as many connections as it takes."""
    sent = 0
    while sent < octets:
        with socket.create_connection((HERE.host, port)) as flood:
            try:
                _begin(flood, begin)
                while sent < octets:
                    flood.sendall(piece)
                    sent += len(piece)
            except ConnectionError:
                continue


def _begin(flood: socket.socket, begin: bytes) -> None:
    flood.recv(4096)
    for line in begin.splitlines(keepends=True):
        flood.sendall(line)
        flood.recv(4096)


def _memory(name: str) -> int:
    status = Path("/proc/self/status").read_text("ascii")
    (line,) = (x for x in status.splitlines() if x.startswith(name))
    return int(line.split()[1]) * 1024


WORDS = b"LHLO x\r\n|RSET\r\n|STARTTLS\r\n|QUIT\r\n|NOOP\r\n|BDAT 3|.\r\n|\r\n|\r|\n|\0|.| |\xff|<>"
TOKENS = st.sampled_from([*OPENING, *WORDS.split(b"|"), b"A" * 9_000])


@given(st.lists(TOKENS | st.none() | st.binary(max_size=9), max_size=30), st.booleans())
def test_whatever_comes_the_session_ends_and_nothing_is_left(
    octets: list[bytes | None], rudely: bool
) -> None:
    asyncio.run(_ends_after(octets, rudely=rudely))


async def _ends_after(octets: list[bytes | None], *, rudely: bool) -> None:
    """Send it, waiting a turn at each None, and leave."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, it: complaints.append(it))
    async with door() as it:
        sender = await it.sender(lmtp=rudely)
        for piece in octets:
            if piece is None:
                await asyncio.sleep(0)
            else:
                sender.send(piece)
        if rudely:
            sender.writer.transport.abort()
        elif not sender.writer.is_closing():
            sender.writer.write_eof()
        await sender.rest()
        await it.gateway.close()
        assert it.gateway.door.guests == ()
        assert it.gateway.door._held == {}
        assert it.log.events == complaints == []
