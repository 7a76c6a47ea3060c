"""Mail out in groups of commands (RFC 2920): no mail is lost or doubled, whatever is answered."""

import asyncio
import dataclasses
import datetime
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from listserver import limits
from listserver.config import RelaySettings, Security
from listserver.edges.courier import SmtpCourier
from listserver.outcomes import Accepted, Answer, Broken, Phase, Refused
from listserver.ports import Errand, Errands, Outgoing
from recrypt_core.errors import Malformed
from tests.doors import make_certificate

HOST = "127.0.0.1"
RELAY = RelaySettings(HOST, 25, Security.NONE, None, None, connections=1)
MAIL = Outgoing("team-bounces@lists.example", "bob@example.org", (b"Subject: x\r\n\r\n", b"Hi\r\n"))
CONTENT = b"Subject: x\r\n\r\nHi\r\n.\r\n"
GROUP = f"MAIL FROM:<{MAIL.return_path}>\r\nRCPT TO:<{MAIL.recipient}>\r\nDATA\r\n".encode("ascii")
OFFER = b"250-mx\r\n250 PIPELINING\r\n"
AGREED = b"250 a\r\n250 b\r\n354 c\r\n"
HANG_UP = b""

Step = tuple[bytes, Sequence[bytes]]
"""What is read first, and the pieces that are said then."""

OPENING: Step = (b"EHLO lists.example\r\n", [OFFER])


class Peer:
    """A next mail host that plays a script in each session, and keeps all that it hears."""

    def __init__(self, *scripts: Sequence[Step]) -> None:
        self.scripts = list(scripts)
        self.heard: list[bytes] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.begun = asyncio.Event()
        self.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.port = 0

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Begin a session."""
        self.tasks.append(asyncio.create_task(self._hold(reader, writer)))

    async def _hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session, script = len(self.heard), self.scripts.pop(0)
        self.heard.append(b"")
        writer.write(b"220 mx\r\n")
        with suppress(ConnectionError):
            for wanted, pieces in script:
                heard = await reader.read(len(wanted))
                while heard and len(heard) < len(wanted):
                    heard += await reader.read(len(wanted) - len(heard))
                self.heard[session] += heard
                if heard == GROUP:
                    self.begun.set()
                assert heard in {wanted, b""}
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    if piece.startswith(b"220 go"):
                        await writer.start_tls(self.tls)
                if HANG_UP in pieces:
                    break
            else:
                self.heard[session] += await reader.read(1000)
        writer.close()


@asynccontextmanager
async def courier_to(
    peer: Peer, settings: RelaySettings = RELAY, tls: ssl.SSLContext | None = None
) -> AsyncIterator[SmtpCourier]:
    server = await asyncio.start_server(peer.serve, HOST, 0)
    peer.port = server.sockets[0].getsockname()[1]
    settings = dataclasses.replace(settings, port=peer.port)
    courier = SmtpCourier(settings, "lists.example", tls=tls)
    async with server:
        try:
            yield courier
        finally:
            await courier.close()
    await asyncio.gather(*peer.tasks)


async def delivered(*script: Step) -> tuple[Answer, bytes]:
    """Try one mail on a session that goes so after the opening; what came, and what was said."""
    peer = Peer([OPENING, *script])
    async with courier_to(peer) as courier:
        answer = await courier.deliver(MAIL)
    return answer, peer.heard[0].removeprefix(OPENING[0])


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [1, 2, 7, 100])
async def test_the_replies_to_a_group_may_come_in_any_pieces(size: int) -> None:
    pieces = [AGREED[at : at + size] for at in range(0, len(AGREED), size)]
    answer, said = await delivered((GROUP, pieces), (CONTENT, [b"250-2.0.0\r\n250 ok\r\n"]))
    assert answer == Accepted(250, "2.0.0\nok")
    assert said == GROUP + CONTENT + b"QUIT\r\n"


@pytest.mark.asyncio
@pytest.mark.parametrize("last", [b"503 no", b"554 no"])
async def test_after_a_refused_recipient_nothing_is_sent_and_the_session_goes_on(
    last: bytes,
) -> None:
    peer = Peer(
        [
            OPENING,
            (GROUP, [b"250 a\r\n550 5.1.1 who\r\n", last + b"\r\n"]),
            (b"RSET\r\n", [b"250 d\r\n"]),
            (GROUP, [AGREED]),
            (CONTENT, [b"250 e\r\n"]),
        ]
    )
    async with courier_to(peer) as courier:
        assert await courier.deliver(MAIL) == Refused(Phase.RCPT, 550, "5.1.1 who")
        assert await courier.deliver(MAIL) == Accepted(250, "e")
    assert len(peer.heard) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("end", [b"554 none\r\n", b"250 taken\r\n"])
@pytest.mark.parametrize(
    ("replies", "refused"),
    [
        (b"250 a\r\n450 later\r\n354 c\r\n", Refused(Phase.RCPT, 450, "later")),
        (b"550 no\r\n503 b\r\n354 c\r\n", Refused(Phase.MAIL, 550, "no")),
    ],
)
async def test_who_wants_content_after_a_refusal_gets_a_dot_and_is_not_believed(
    replies: bytes, refused: Refused, end: bytes
) -> None:
    answer, said = await delivered((GROUP, [replies]), (b".\r\n", [end]), (b"RSET\r\n", [HANG_UP]))
    assert answer == refused
    assert said == GROUP + b".\r\nRSET\r\n"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("replies", "broken"),
    [
        (b"250 a\r\n250 b\r\n250 c\r\n", Phase.DATA),
        (b"354 c\r\n250 a\r\n250 b\r\n", Phase.MAIL),
        (b"250 a\r\n354 c\r\n250 b\r\n", Phase.RCPT),
        (AGREED + b"250 taken\r\n", Phase.DATA),
        (AGREED + b"2", Phase.DATA),
        (b"250 a\r\nwhat?\r\n354 c\r\n", Phase.RCPT),
    ],
)
async def test_replies_out_of_step_end_the_session_before_any_content(
    replies: bytes, broken: Phase
) -> None:
    answer, said = await delivered((GROUP, [replies]))
    assert isinstance(answer, Broken)
    assert answer.phase is broken
    assert said == GROUP


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("replies", "broken"),
    [
        (b"250 a\r\n", Phase.RCPT),
        (b"250 a\r\n250 b\r\n", Phase.DATA),
        (b"250 a\r\n250 b\r\n35", Phase.DATA),
    ],
)
async def test_a_cut_in_a_group_is_told_with_its_phase(replies: bytes, broken: Phase) -> None:
    answer, _ = await delivered((GROUP, [replies, HANG_UP]))
    assert isinstance(answer, Broken)
    assert answer.phase is broken


@pytest.mark.asyncio
@pytest.mark.parametrize("replies", [[HANG_UP], [b"2", HANG_UP]])
async def test_after_the_dot_a_cut_is_ambiguous(replies: list[bytes]) -> None:
    answer, _ = await delivered((GROUP, [AGREED]), (CONTENT, replies))
    assert isinstance(answer, Broken)
    assert answer.phase is Phase.CONTENT


@pytest.mark.asyncio
@pytest.mark.parametrize("pieces", [[HANG_UP], [b"421 too many\r\n", HANG_UP]])
async def test_a_kept_session_that_ends_at_the_next_group_is_replaced(pieces: list[bytes]) -> None:
    peer = Peer(
        [OPENING, (GROUP, [AGREED]), (CONTENT, [b"250 one\r\n"]), (GROUP, pieces)],
        [OPENING, (GROUP, [AGREED]), (CONTENT, [b"250 two\r\n"])],
    )
    async with courier_to(peer) as courier:
        assert await courier.deliver(MAIL) == Accepted(250, "one")
        assert await courier.deliver(MAIL) == Accepted(250, "two")
    assert [heard.count(CONTENT) for heard in peer.heard] == [1, 1]


@pytest.mark.asyncio
async def test_a_refusal_stands_though_the_rest_of_the_group_is_never_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "RESET_TIMEOUT", datetime.timedelta(milliseconds=20))
    answer, said = await delivered((GROUP, [b"250 a\r\n550 no\r\n"]))
    assert answer == Refused(Phase.RCPT, 550, "no")
    assert said == GROUP


@pytest.mark.asyncio
async def test_a_peer_that_never_ends_a_reply_is_left() -> None:
    answer, _ = await delivered((GROUP, [b"250-more\r\n" * 10_000]))
    assert answer == Broken(Phase.MAIL, "BadReply")


@pytest.mark.asyncio
async def test_long_content_waits_for_the_peer_and_its_dot_comes_last() -> None:
    body = (b"A" * 76 + b"\r\n") * 20_000
    peer = Peer([OPENING, (GROUP, [AGREED]), (body + b".\r\n", [b"250 f\r\n"])])
    async with courier_to(peer) as courier:
        answer = await courier.deliver(dataclasses.replace(MAIL, parts=(body,)))
    assert answer == Accepted(250, "f")


@pytest.mark.asyncio
@pytest.mark.parametrize("before", [b"250 STARTTLS\r\n", b"250-PIPELINING\r\n250 STARTTLS\r\n"])
@pytest.mark.parametrize("after", [OFFER, b"250 mx\r\n"])
async def test_what_is_offered_counts_as_of_the_last_greeting(
    tmp_path: Path, before: bytes, after: bytes
) -> None:
    mail, to, _ = GROUP.splitlines(keepends=True)
    alone: list[Step] = [
        (mail, [b"250 a\r\n"]),
        (to, [b"250 b\r\n"]),
        (b"DATA\r\n", [b"354 c\r\n"]),
    ]
    together: list[Step] = [(GROUP, [AGREED])]
    peer = Peer(
        [
            (OPENING[0], [b"250-mx\r\n" + before]),
            (b"STARTTLS\r\n", [b"220 go\r\n"]),
            (OPENING[0], [after]),
            *(together if after == OFFER else alone),
            (CONTENT, [b"250 g\r\n"]),
        ]
    )
    certificate, key = make_certificate(tmp_path)
    peer.tls.load_cert_chain(certificate, key)
    settings = dataclasses.replace(RELAY, security=Security.STARTTLS)
    async with courier_to(peer, settings, ssl.create_default_context(cafile=certificate)) as it:
        assert await it.deliver(MAIL) == Accepted(250, "g")


def given(peer_answers: list[Answer | Exception], number: int) -> Errands:
    """Give the mail so often; take down what came of each."""
    errands = iter([Errand(MAIL, peer_answers.append)] * number)
    return lambda: next(errands, None)


async def carried(peer: Peer, number: int) -> list[Answer | Exception]:
    """Have so many mails carried on one connection."""
    found: list[Answer | Exception] = []
    async with courier_to(peer) as courier:
        await courier.carry(given(found, number))
    return found


AHEAD: Step = (CONTENT + GROUP, [b"250 taken\r\n" + AGREED])
FIRST: list[Step] = [OPENING, (GROUP, [AGREED]), (CONTENT, [b"250 first\r\n"]), (GROUP, [AGREED])]
"""What comes before a host is known to be quick."""


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [1, 5, 1000])
async def test_the_next_mail_is_begun_behind_the_dot_of_the_one_before(size: int) -> None:
    said = b"250 taken\r\n" + AGREED
    pieces = [said[at : at + size] for at in range(0, len(said), size)]
    peer = Peer([*FIRST, (AHEAD[0], pieces), AHEAD, (CONTENT, [b"250 last\r\n"])])
    found = await carried(peer, 4)
    assert found == [
        Accepted(250, "first"),
        *[Accepted(250, "taken")] * 2,
        Accepted(250, "last"),
    ]
    assert peer.heard[0].endswith(CONTENT + b"QUIT\r\n")


@pytest.mark.asyncio
async def test_a_refused_content_is_its_own_and_not_the_next_one_s() -> None:
    peer = Peer(
        [*FIRST, (AHEAD[0], [b"554 no\r\n" + AGREED]), (CONTENT, [b"250 last\r\n"])],
    )
    assert await carried(peer, 3) == [
        Accepted(250, "first"),
        Refused(Phase.CONTENT, 554, "no"),
        Accepted(250, "last"),
    ]


@pytest.mark.asyncio
async def test_a_mail_that_is_refused_behind_another_is_parted_from_the_next() -> None:
    peer = Peer(
        [
            *FIRST,
            (AHEAD[0], [b"250 taken\r\n250 a\r\n550 who\r\n354 c\r\n"]),
            (b".\r\n", [b"554 none\r\n"]),
            (b"RSET\r\n", [b"250 d\r\n"]),
            (GROUP, [AGREED]),
            (CONTENT, [b"250 last\r\n"]),
        ]
    )
    assert await carried(peer, 4) == [
        Accepted(250, "first"),
        Accepted(250, "taken"),
        Refused(Phase.RCPT, 550, "who"),
        Accepted(250, "last"),
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("replies", "second"),
    [
        ([b"250 taken\r\n", HANG_UP], Accepted(250, "taken")),
        ([b"250 taken\r\n421 enough\r\n", HANG_UP], Accepted(250, "taken")),
        ([b"421 enough\r\n", HANG_UP], Refused(Phase.CONTENT, 421, "enough")),
        ([HANG_UP], Broken(Phase.CONTENT, "ConnectionResetError")),
    ],
)
async def test_what_was_begun_behind_a_last_mail_goes_out_on_another_connection(
    replies: list[bytes], second: Answer
) -> None:
    peer = Peer(
        [*FIRST, (AHEAD[0], replies)],
        [OPENING, (GROUP, [AGREED]), (CONTENT, [b"250 last\r\n"])],
    )
    assert await carried(peer, 3) == [Accepted(250, "first"), second, Accepted(250, "last")]
    assert [heard.count(CONTENT) for heard in peer.heard] == [2, 1]


@pytest.mark.asyncio
async def test_a_cut_behind_the_content_is_told_of_each_mail_with_its_phase() -> None:
    peer = Peer([*FIRST, (AHEAD[0], [b"250 taken\r\n250 a\r\n", HANG_UP])])
    first, second, third = await carried(peer, 3)
    assert (first, second) == (Accepted(250, "first"), Accepted(250, "taken"))
    assert isinstance(third, Broken)
    assert third.phase is Phase.RCPT


@pytest.mark.asyncio
async def test_nothing_is_begun_behind_a_mail_that_a_host_is_slow_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "QUICK_REPLY", datetime.timedelta(0))
    turn: list[Step] = [(GROUP, [AGREED]), (CONTENT, [b"250 taken\r\n"])]
    peer = Peer([OPENING, *turn, *turn, *turn])
    assert await carried(peer, 3) == [Accepted(250, "taken")] * 3


@pytest.mark.asyncio
async def test_nothing_is_begun_behind_the_last_mail_of_a_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "MAILS_A_CONNECTION", 2)
    turn: list[Step] = [(GROUP, [AGREED]), (CONTENT, [b"250 taken\r\n"])]
    peer = Peer([OPENING, *turn, *turn], [OPENING, *turn])
    assert await carried(peer, 3) == [Accepted(250, "taken")] * 3
    assert peer.heard[0].endswith(CONTENT + b"QUIT\r\n")


@pytest.mark.asyncio
async def test_who_waits_for_a_connection_gets_the_next_that_is_free() -> None:
    turn: list[Step] = [(GROUP, [AGREED]), (CONTENT, [b"250 taken\r\n"])]
    peer = Peer([OPENING, *turn * 6])
    found: list[Answer | Exception] = []
    waiting = set[asyncio.Task[Answer]]()

    async with courier_to(peer) as courier:
        errands = given(found, 5)

        def begun() -> Errand | None:
            errand = errands()
            if len(found) == 1 and not waiting:
                waiting.add(asyncio.create_task(courier.deliver(MAIL)))
            return errand

        await courier.carry(begun)
        (letter,) = waiting
        assert await letter == Accepted(250, "taken")
        assert len(found) < 5
        await courier.carry(begun)
    assert found == [Accepted(250, "taken")] * 5


@pytest.mark.asyncio
async def test_a_bad_address_among_others_is_told_and_never_said() -> None:
    peer = Peer([OPENING, (GROUP, [AGREED]), (CONTENT, [b"250 taken\r\n"])])
    found: list[Answer | Exception] = []
    bad = dataclasses.replace(MAIL, recipient="bob@example.org> X")
    errands = iter([Errand(bad, found.append), Errand(MAIL, found.append)])
    async with courier_to(peer) as courier:
        await courier.carry(lambda: next(errands, None))
    assert isinstance(found[0], Malformed)
    assert found[1:] == [Accepted(250, "taken")]


@pytest.mark.asyncio
async def test_a_stop_breaks_off_what_is_under_way_and_begins_nothing() -> None:
    peer = Peer([OPENING, (GROUP, [])], [])
    found: list[Answer | Exception] = []
    async with courier_to(peer) as courier:
        task = asyncio.create_task(courier.carry(given(found, 3)))
        await peer.begun.wait()
        await courier.close()
        await task
    assert found == [Broken(Phase.MAIL, "ConnectionResetError")]
