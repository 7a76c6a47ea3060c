"""Mail in: SMTP and LMTP (RFC 2033) on aiosmtpd. Translates, and decides nothing about mail.

Four things of aiosmtpd 1.4.6 are done anew here: it holds any number of octets until a CRLF
comes; it cancels what handles a mail when the sender hangs up; it answers an exception with 500
and the exception's text; and it takes addresses that nothing else would.
"""

import asyncio
import logging
import re
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import AnyStr

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from listserver import limits, replies
from listserver.addresses import ListAddress, parse_address, read_list_address
from listserver.config import Endpoint
from listserver.ports import Log, Reception
from listserver.replies import Reply
from recrypt_core.errors import Malformed

_PATH = re.compile(r"(FROM|TO): ?<([^<> ]*)>((?: +[^ ]+)*)", re.IGNORECASE)
_LINE_END = b"\r\n"
_CONTENT_END = b"\r\n.\r\n"
# What aiosmtpd says by itself, in our words: fixed, and with an enhanced status (RFC 2034).
_OWN_WORDS = {
    "221 Bye": replies.BYE,
    "250 OK": replies.DONE,
    "454": replies.NOT_OFFERED,  # STARTTLS
    "500 Error: strict ASCII mode": replies.NO_SMTPUTF8,
    "500": replies.NOT_UNDERSTOOD,
    "501": replies.BAD_ARGUMENT,
    "502 EXPN not implemented": replies.NOT_OFFERED,
    "503": replies.NO_HELLO,
    "538": replies.NOT_OFFERED,  # AUTH
}


class Gateway:
    """The door: its listeners, the sessions at them and the mail in hand."""

    def __init__(self, reception: Reception, log: Log, *, domain: str, max_octets: int) -> None:
        self.reception = reception
        self.log = log
        self.domain = domain
        self.max_octets = max_octets
        self.sessions: set[_Session] = set()
        self._servers: list[asyncio.Server] = []
        self._in_hand: set[asyncio.Task[None]] = set()

    async def listen(self, at: Endpoint, *, lmtp: bool = False) -> asyncio.Server:
        """Open a listener; the server's `sockets` tell where, if the port was 0.

        Raises:
            OSError: the port is in use, or not ours to take.
        """
        # aiosmtpd's own log names peers and addresses, which no log of ours does (spec §7).
        logging.getLogger("mail.log").disabled = True
        kind = _LmtpSession if lmtp else _Session
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: kind(self), at.host, at.port)
        self._servers.append(server)
        return server

    def take_in_hand(self, task: asyncio.Task[None]) -> None:
        """Keep a task alive until it ends, even if its sender is gone."""
        self._in_hand.add(task)
        task.add_done_callback(self._in_hand.discard)

    async def drain(self) -> None:
        """Wait until every mail that has come whole is committed and answered."""
        while self._in_hand:
            await asyncio.wait(self._in_hand)

    async def close(self) -> None:
        """Stop listening, finish what is in hand, and hang up."""
        for server in self._servers:
            server.close()
        await asyncio.gather(*(x.hang_up() for x in self.sessions if not x.answering))
        await self.drain()
        await asyncio.gather(*(x.hang_up() for x in self.sessions))


@dataclass(slots=True)
class _Transaction:
    """What MAIL and RCPT have brought (RFC 5321 §3.3)."""

    null_sender: bool
    to: list[ListAddress] = field(default_factory=list)


class _Greeting:
    """aiosmtpd's handler: adds what RFC 2033 §5 asks for to the answer to EHLO and LHLO."""

    async def handle_EHLO(  # noqa: N802 - aiosmtpd finds and calls it so
        self,
        _server: SMTP,
        session: Session,
        _envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", "250-ENHANCEDSTATUSCODES", responses[-1]]


class _Session(SMTP):
    """One connection over SMTP."""

    ident = "ESMTP"
    line_length_limit = limits.READ_OCTETS  # the reader's; lines are measured in _problem_of

    def __init__(self, gateway: Gateway) -> None:
        # aiosmtpd's is one for all sessions, and grows with every EHLO.
        self.command_size_limits = defaultdict(lambda: self.command_size_limit)
        often = dict.fromkeys(("MAIL", "RCPT", "DATA", "RSET"), limits.SESSION_MAILS)
        super().__init__(
            _Greeting(),
            data_size_limit=gateway.max_octets,
            hostname=gateway.domain,
            ident=self.ident,
            timeout=limits.COMMAND_TIMEOUT.total_seconds(),
            command_call_limit={"*": limits.SESSION_COMMANDS, **often},
            loop=asyncio.get_running_loop(),
        )
        self._gateway = gateway
        self._mail: _Transaction | None = None
        self.answering = False

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._gateway.sessions.add(self)
        if self._handler_coroutine is not None:
            self._handler_coroutine.add_done_callback(_hear)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._gateway.sessions.discard(self)

    async def hang_up(self) -> None:
        """Close the connection; what was said still goes out, if the peer reads it."""
        if self.transport is None or self._handler_coroutine is None:
            return
        self.transport.close()
        handler = {self._handler_coroutine}
        await asyncio.wait(handler, timeout=limits.QUIT_TIMEOUT.total_seconds())
        self._timeout_cb()

    def _timeout_cb(self) -> None:
        # close() would wait for a peer that reads nothing.
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()

    def _create_envelope(self) -> Envelope:
        # At each greeting and RSET. We keep our own, as aiosmtpd's has no room for a ListAddress.
        self._mail = None
        return super()._create_envelope()

    async def say(self, reply: Reply) -> None:
        await super().push(str(reply))

    async def push(self, status: AnyStr) -> None:
        words = status.decode("ascii") if isinstance(status, bytes) else status
        own = _OWN_WORDS.get(words) or _OWN_WORDS.get(words[:3])
        await super().push(words if own is None else str(own))

    async def handle_exception(self, error: Exception) -> str:
        # The text may name members, and a 5yz would make others drop their mail.
        self._gateway.log.event("session-trouble", error=type(error).__name__)
        return str(replies.TROUBLE)

    # The commands

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd finds it so
        if not await self.check_helo_needed():
            await self.say(self._begin_mail(arg))

    def _begin_mail(self, arg: str | None) -> Reply:
        if self._mail is not None:
            return replies.NESTED_MAIL
        path, parameters = _read_path("FROM", arg)
        if path is None:
            return replies.BAD_ARGUMENT
        if path and not _is_address(path):
            return replies.BAD_SENDER
        for parameter in parameters:
            if problem := self._problem_with(parameter):
                return problem
        self._mail = _Transaction(null_sender=not path)
        return replies.SENDER_OK

    def _problem_with(self, parameter: str) -> Reply | None:
        name, _, value = parameter.upper().partition("=")
        match name:
            case "SMTPUTF8":
                return replies.NO_SMTPUTF8
            case "BODY":  # RFC 6152 §3
                return None if value in ("7BIT", "8BITMIME") else replies.BAD_ARGUMENT
            case "SIZE" if not re.fullmatch("[0-9]{1,20}", value):  # RFC 1870 §6
                return replies.BAD_ARGUMENT
            case "SIZE" if int(value) > self._gateway.max_octets:
                return replies.too_large(self._gateway.max_octets)
            case "SIZE":
                return None
        return replies.BAD_PARAMETER

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd finds it so
        if await self.check_helo_needed():
            return
        if self._mail is None:
            await self.say(replies.NO_MAIL)
            return
        to = self._read_recipient(arg)
        reply = to if isinstance(to, Reply) else await self._add_recipient(self._mail, to)
        await self.say(reply)

    def _read_recipient(self, arg: str | None) -> ListAddress | Reply:
        path, parameters = _read_path("TO", arg)
        if path is None:
            return replies.BAD_ARGUMENT
        if parameters:
            return replies.BAD_PARAMETER
        try:
            address = parse_address(path)
        except Malformed:
            return replies.BAD_RECIPIENT
        return read_list_address(address, self._gateway.domain) or replies.NOT_RELAYED

    async def _add_recipient(self, mail: _Transaction, to: ListAddress) -> Reply:
        reply = await self._gateway.reception.recipient(to)
        if reply.positive and mail.to != [to]:
            if mail.to:  # spec §7: there is one reply for all, so there is one list
                return replies.ONE_LIST
            mail.to.append(to)
        return reply

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd finds it so
        if await self.check_helo_needed():
            return
        if arg:
            await self.say(replies.BAD_ARGUMENT)
        elif self._mail is None:
            await self.say(replies.NO_MAIL)
        elif not self._mail.to:
            await self.say(replies.NO_RECIPIENT)
        else:
            await self._take(self._mail)

    async def smtp_VRFY(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd finds it so
        await self.say(replies.NOT_VERIFIED if arg else replies.BAD_ARGUMENT)

    async def smtp_HELP(self, _arg: str | None) -> None:  # noqa: N802 - aiosmtpd finds it so
        await self.say(replies.HELP)

    # The content

    async def _take(self, mail: _Transaction) -> None:
        await super().push("354 End data with <CR><LF>.<CR><LF>")
        content = await self._read_content()
        self._mail = None
        self._reset_timeout(limits.COMMIT_TIMEOUT.total_seconds())
        # A sender that hangs up cancels this coroutine, but not the commit: it ends as it would.
        task = asyncio.create_task(self._answer(mail, content))
        self._gateway.take_in_hand(task)
        self.answering = True
        await asyncio.shield(task)
        self.answering = False

    async def _answer(self, mail: _Transaction, content: bytes | Reply) -> None:
        """Give one reply for each recipient (RFC 2033 §4.2); over SMTP there is but one."""
        for to in mail.to:
            reply = (
                content if isinstance(content, Reply) else await self._receive(mail, to, content)
            )
            with suppress(ConnectionError):
                await self.say(reply)

    async def _receive(self, mail: _Transaction, to: ListAddress, content: bytes) -> Reply:
        receiving = self._gateway.reception.receive(content, to, null_sender=mail.null_sender)
        (reply,) = await asyncio.gather(receiving, return_exceptions=True)
        if isinstance(reply, Reply):
            return reply
        self._gateway.log.event("reception-trouble", error=type(reply).__name__)
        return replies.TROUBLE

    async def _read_content(self) -> bytes | Reply:
        """Read until the final dot: never more than the limit is held, or twice it read.

        The time-out is for each piece, so a slow sender may be as slow as one READ_OCTETS each.
        """
        # The line end before the content is the DATA command's. Put back, it makes one mark of all
        # ends, also of the one that comes at once.
        self._reader._buffer[:0] = _LINE_END  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
        most = self._gateway.max_octets + len(_CONTENT_END)
        pieces: list[bytes] = []
        octets, ended = 0, False
        while not ended:
            piece, ended = await self._read_piece()
            self._reset_timeout()
            octets += len(piece)
            pieces.append(piece)
            if octets > most:
                pieces.clear()
            if octets > 2 * most:
                await self._cut_off()
        if octets > most:
            return replies.too_large(self._gateway.max_octets)
        pieces[-1] = pieces[-1].removesuffix(b".\r\n")
        pieces[0] = pieces[0].removeprefix(_LINE_END)
        content = b"".join(pieces)
        pieces.clear()
        return _problem_of(content) or _without_stuffing(content)

    async def _read_piece(self) -> tuple[bytes, bool]:
        """Read up to the content's end or until READ_OCTETS are there; tell whether it ended."""
        try:
            return await self._reader.readuntil(_CONTENT_END), True
        except asyncio.LimitOverrunError as full:
            return await self._reader.readexactly(full.consumed), False

    async def _cut_off(self) -> None:
        await self.say(replies.too_large(self._gateway.max_octets))
        self._writer.close()
        # Ends the session now: what has come of the content may not be read as commands.
        raise asyncio.CancelledError


class _LmtpSession(_Session, LMTP):
    """One connection over LMTP: each recipient is taken, and answered, by itself."""

    ident = "LMTP"

    async def _add_recipient(self, mail: _Transaction, to: ListAddress) -> Reply:
        if len(mail.to) >= limits.RECIPIENTS:
            return replies.TOO_MANY_RECIPIENTS
        reply = await self._gateway.reception.recipient(to)
        if reply.positive:
            mail.to.append(to)
        return reply


def _read_path(keyword: str, arg: str | None) -> tuple[str | None, list[str]]:
    """Take FROM:<path> or TO:<path> apart, with its parameters (RFC 5321 §4.1.2)."""
    found = _PATH.fullmatch(arg or "")
    if found is None or found[1].upper() != keyword:
        return None, []
    return found[2], found[3].split()


def _is_address(text: str) -> bool:
    try:
        parse_address(text)
    except Malformed:
        return False
    return True


def _problem_of(content: bytes) -> Reply | None:
    """Find what no mail may hold: bare CR, bare LF, NUL (RFC 5321 §2.3.8), or a very long line.

    Where servers disagree about line ends, one mail becomes two ("SMTP smuggling"). Lines of over
    1,000 octets are tolerated, as header fields often are so long; nothing relayed has them.
    """
    lines = content.count(_LINE_END)
    if not lines == content.count(b"\r") == content.count(b"\n") or b"\0" in content:
        return replies.BARE_LINE_END
    start = 0
    while start < len(content):
        end = content.rfind(b"\n", start, start + limits.LINE_OCTETS)
        if end < 0:
            return replies.LONG_LINE
        start = end + 1
    return None


def _without_stuffing(content: bytes) -> bytes:
    """Take off the first dot of each line that begins with one (RFC 5321 §4.5.2)."""
    return content.removeprefix(b".").replace(b"\r\n.", b"\r\n")


def _hear(task: "asyncio.Task[None]") -> None:
    """Take note that a session ended with its connection, so that nobody else complains."""
    if not task.cancelled():
        task.exception()
