"""One connection at the door, on aiosmtpd: lines in, replies out, TLS, and when it ends.

Of aiosmtpd 1.4.6 the command loop is done anew: it ends lines at a bare LF, reads a line of any
length and a session of any age, and answers an exception with 500 and the exception's text. So is
its STARTTLS, after which it offers AUTH.
"""

import asyncio
import ssl
from collections import Counter
from typing import AnyStr

from aiosmtpd.smtp import SMTP, Envelope, Session

from listserver import limits, replies
from listserver.edges.door import Door, Parting
from listserver.replies import Reply

_OF_A_MAIL = frozenset({"MAIL", "RCPT", "DATA", "RSET"})
# What isn't a sender of mail, or sends content that would be read as commands (RFC 3030 §2).
_OUT_OF_PLACE = frozenset({"BDAT", "CONNECT", "GET", "HEAD", "OPTIONS", "POST", "PUT"})
# What aiosmtpd says by itself, in our words: fixed, and with an enhanced status (RFC 2034).
_OWN_WORDS = {
    "250 OK": replies.DONE,
    "500": replies.NOT_UNDERSTOOD,
    "501": replies.BAD_ARGUMENT,
    "502": replies.NOT_OFFERED,  # EXPN
    "503": replies.NO_HELLO,
    "538": replies.NOT_OFFERED,  # AUTH
}


class _Greeting:
    """aiosmtpd's handler: adds to the answers to EHLO, LHLO and HELO."""

    async def handle_EHLO(  # noqa: N802 - aiosmtpd finds and calls it so
        self,
        server: "Connection",
        session: Session,
        _envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        server.end_group()
        session.host_name = hostname
        offered = ["250-PIPELINING", "250-ENHANCEDSTATUSCODES"]  # RFC 2033 §5 asks for them
        if server.offers_tls:
            offered.append("250-STARTTLS")
        return ["\r\n".join([*responses[:-1], *offered, responses[-1]])]

    async def handle_HELO(  # noqa: N802 - aiosmtpd finds and calls it so
        self, server: "Connection", session: Session, _envelope: Envelope, hostname: str
    ) -> str:
        server.end_group()
        session.host_name = hostname
        return f"250 {server.hostname}"


class Connection(SMTP):
    """What all sessions do, whatever is said in them."""

    ident = "ESMTP"
    line_length_limit = limits.READ_OCTETS  # the reader's, of commands and of pieces of content

    def __init__(self, door: Door) -> None:
        super().__init__(
            _Greeting(),
            data_size_limit=door.settings.max_post_octets,
            hostname=door.domains[0],
            ident=self.ident,
            timeout=limits.COMMAND_TIMEOUT.total_seconds(),
            loop=asyncio.get_running_loop(),
        )
        # aiosmtpd's is one for all sessions, and grows with every EHLO.
        self.command_size_limits = Counter()
        self.answering = False
        self._deadline = 0.0
        self._door = door
        self._last_mail = self.loop.time()
        self._counts: Counter[str] = Counter()
        self._errors = 0

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the session, unless there are too many."""
        host, *_ = transport.get_extra_info("peername") or ("",)
        if self._door.enter(self, host):
            super().connection_made(transport)
        elif isinstance(transport, asyncio.Transport):
            transport.set_protocol(asyncio.Protocol())
            transport.write(replies.CROWDED.octets)
            transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """End the session."""
        super().connection_lost(error)
        self._door.leave(self)
        self._let_go()

    def _let_go(self) -> None:
        """Untie the rings that aiosmtpd and asyncio make of a session, so that it is freed now.

        In a ring it would wait for Python's collector, with all that has come of a mail, for which
        the door has new room already. This may be called twice.
        """
        self._smtp_methods.clear()
        self._auth_methods.clear()
        self._client_connected_cb = None
        self._writer = None  # type: ignore[assignment]  # typed for a session that goes on

    async def hang_up(self) -> None:
        """Close the connection; what was said still goes out, if the peer reads it."""
        self._part(replies.STOPPING)
        if self._handler_coroutine is not None:
            await asyncio.wait({self._handler_coroutine})

    def _part(self, last: Reply | None) -> None:
        transport = self.transport
        if isinstance(transport, asyncio.WriteTransport) and not transport.is_closing():
            if last is not None:
                transport.write(last.octets)
            transport.close()
            self._reset_timeout(limits.QUIT_TIMEOUT.total_seconds())

    def _reset_timeout(self, duration: float | None = None) -> None:
        """Give the peer so many seconds from now on.

        A timer that ends before them goes on when it does: to set one for each line takes long.
        """
        now = self.loop.time()
        self._deadline = now + (duration or self._timeout_duration)
        timer = self._timeout_handle
        if timer is None or not now < timer.when() <= self._deadline:
            if timer is not None:
                timer.cancel()
            self._timeout_handle = self.loop.call_at(self._deadline, self._look_at_time)

    def _look_at_time(self) -> None:
        if self.loop.time() < self._deadline:
            self._timeout_handle = self.loop.call_at(self._deadline, self._look_at_time)
        else:
            self._timeout_cb()

    def _timeout_cb(self) -> None:
        # close() would wait for a peer that reads nothing.
        if isinstance(self.transport, asyncio.WriteTransport) and self.transport.is_closing():
            self.transport.abort()
        self._part(replies.IDLE)

    async def say(self, reply: Reply) -> None:
        """Send a reply, and count the refusals."""
        if reply.code >= 500:
            self._errors += 1
        transport = self.transport
        if not isinstance(transport, asyncio.WriteTransport):  # None, if the connection is lost
            raise ConnectionResetError
        transport.write(reply.octets)
        if transport.get_write_buffer_size():
            await self._writer.drain()

    async def push(self, status: AnyStr) -> None:
        """Send what aiosmtpd says, in our words."""
        words = status.decode("ascii") if isinstance(status, bytes) else status
        own = _OWN_WORDS.get(words) or _OWN_WORDS.get(words[:3])
        await (super().push(words) if own is None else self.say(own))

    # The command loop

    async def _handle_client(self) -> None:
        last = None
        try:
            await self._talk()
        except Parting as end:
            last = end.reply
        except asyncio.CancelledError:
            pass  # the connection is lost; as this task's outcome it would keep all its frames
        finally:
            self._part(last)

    async def _talk(self) -> None:
        await asyncio.sleep(0)  # lets in what came with the connection
        self.end_group()  # RFC 5321 §4.3.1: who speaks first isn't a sender of mail
        await self.push(f"220 {self.hostname} {self.ident}")
        while True:
            line = await self._read_line()
            try:
                await self._obey(line)
            except Parting:
                raise
            except Exception as error:  # noqa: BLE001 - the text may name members, a 5yz lose mail
                self._door.log.event("session-trouble", error=type(error).__name__)
                await self.say(replies.TROUBLE)
            if self._errors >= limits.SESSION_ERRORS:
                raise Parting(replies.TOO_MANY_ERRORS)

    async def _read_line(self) -> bytes:
        try:
            line = await self._reader.readuntil()
        except asyncio.LimitOverrunError:
            raise Parting(replies.LONG_COMMAND) from None
        self._reset_timeout()
        # RFC 5321 §2.3.8: nothing but CRLF ends a line.
        if not line.endswith(b"\r\n") or b"\r" in line[:-2] or b"\0" in line:
            raise Parting(replies.BARE_COMMAND)
        return line[:-2]

    async def _obey(self, line: bytes) -> None:
        if len(line) + 2 > limits.COMMAND_OCTETS:
            await self.say(replies.LONG_COMMAND)
            return
        verb, _, arg = (line if line.isascii() else b"").decode("ascii").partition(" ")
        self._count(verb := verb.upper())
        method = self._smtp_methods.get(verb)
        if method is not None:
            await method(arg.strip() or None)
        elif line.isascii():
            await self.say(replies.NOT_UNDERSTOOD)
        else:
            await self.say(replies.NO_SMTPUTF8)

    def _count(self, verb: str) -> None:
        if verb in _OUT_OF_PLACE:
            raise Parting(replies.NOT_OFFERED)
        kind = verb if verb in _OF_A_MAIL else ""
        self._counts[kind] += 1
        if self._counts[kind] > (limits.SESSION_MAILS if kind else limits.SESSION_COMMANDS):
            raise Parting(replies.TOO_MANY_COMMANDS)
        if self.loop.time() - self._last_mail >= limits.SESSION_AGE.total_seconds():
            raise Parting(replies.TOO_OLD)

    def end_group(self) -> None:
        """Part with who sends more before the reply to what ends a group (RFC 2920 §3.1).

        The rest may be content, or what another had put into the connection before TLS.
        """
        if self._reader._buffer:  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
            raise Parting(replies.OUT_OF_STEP)

    # STARTTLS

    @property
    def offers_tls(self) -> bool:
        """Say whether STARTTLS can be done now."""
        return self._door.tls is not None and self.session is not None and self.session.ssl is None

    async def smtp_STARTTLS(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd finds it so
        """Begin TLS (RFC 3207)."""
        context, plain = self._door.tls, self.transport
        if not (self.offers_tls and context and isinstance(plain, asyncio.Transport)):
            await self.say(replies.NOT_OFFERED)
        elif arg:
            await self.say(replies.BAD_ARGUMENT)
        else:
            # From here on nothing is read in clear: what comes so is taken for a bad handshake.
            plain.pause_reading()
            self.end_group()
            await self.say(replies.START_TLS)
            await self._start_tls(plain, context)

    async def _start_tls(self, plain: asyncio.Transport, context: ssl.SSLContext) -> None:
        try:
            secured = await self._shake_hands(plain, context)
        except OSError as error:
            self._door.log.event("tls-failed")
            self.connection_lost(error)  # asyncio may not tell it, or tell it again
            raise Parting from error
        self._writer._transport = secured  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
        self._reader._transport = secured  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
        self.transport = secured
        # RFC 3207 §4.2: nothing that was said in clear counts.
        self.session = self._create_session()
        self.session.ssl = {}
        self.envelope = self._create_envelope()

    async def _shake_hands(
        self, plain: asyncio.Transport, context: ssl.SSLContext
    ) -> asyncio.Transport:
        secured = await self.loop.start_tls(
            plain,
            self,
            context,
            server_side=True,
            ssl_handshake_timeout=limits.HANDSHAKE_TIMEOUT.total_seconds(),
        )
        if secured is None:  # asyncio's word for a connection that ended meanwhile
            raise ConnectionAbortedError
        return secured
