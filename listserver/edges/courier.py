"""Mail out: kept SMTP sessions with the relay host, on aiosmtplib. Tells what came, judges nothing.

Of aiosmtplib the connection, TLS, AUTH and replies are used. Its own sending is not: it parses
addresses anew, copies a mail twice, waits for no slow peer, and one error stands for all phases.
"""

import asyncio
import ssl
from collections.abc import Iterator
from datetime import timedelta

from aiosmtplib import SMTP, SMTPException, SMTPResponseException

from listserver import limits
from listserver.addresses import parse_address
from listserver.config import RelaySettings, Security
from listserver.outcomes import Accepted, Answer, Broken, Phase, Refused
from listserver.ports import Outgoing

_AFTER_OPENING = frozenset({Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.CONTENT})
_STALE = frozenset({421})  # RFC 5321 §3.8: the peer ends the session, not the mail


class SmtpCourier:
    """A `Courier` of listserver.ports: at most `settings.connections` sessions, kept for a while.

    domain: what we greet with.
    password: of settings.username; it goes nowhere else.
    tls: for tests; a connection is verified with the system's certificates.
    """

    def __init__(
        self,
        settings: RelaySettings,
        domain: str,
        *,
        password: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._settings = settings
        self._domain = domain
        self._password = password
        plain = settings.security is Security.NONE
        self._tls = None if plain else tls or ssl.create_default_context()
        self._slots = asyncio.Semaphore(settings.connections)
        self._idle: list[_Session] = []
        self._closed = False

    async def deliver(self, mail: Outgoing) -> Answer:
        """Try once, on a kept session if there is one."""
        parse_address(mail.recipient)
        if mail.return_path:
            parse_address(mail.return_path)
        async with self._slots:
            while self._idle:
                session = self._idle.pop()
                if session.wake() and not _is_stale(answer := await self._attempt(session, mail)):
                    return answer
            return await self._attempt(self._new_session(), mail)

    async def close(self) -> None:
        """Part from the relay host."""
        self._closed = True
        idle = [session for session in self._idle if session.wake()]
        self._idle.clear()
        await asyncio.gather(*(session.part() for session in idle))

    def _new_session(self) -> "_Session":
        return _Session(self._settings, self._domain, password=self._password, tls=self._tls)

    async def _attempt(self, session: "_Session", mail: Outgoing) -> Answer:
        keep = False
        try:
            answer = await session.attempt(mail)
            keep = await session.is_fit(answer)
        finally:  # also if the task is cancelled in the midst of a dialogue
            if keep and not self._closed:
                session.rest(self._idle)
            else:
                session.abort()
        return answer


class _Session:
    """One connection, and how far the dialogue on it has come."""

    def __init__(
        self, settings: RelaySettings, domain: str, *, password: str, tls: ssl.SSLContext | None
    ) -> None:
        self._settings = settings
        self._password = password
        self._client = SMTP(
            hostname=settings.host,
            port=settings.port,
            local_hostname=domain,
            timeout=limits.CONNECT_TIMEOUT.total_seconds(),
            use_tls=settings.security is Security.TLS,
            start_tls=False,
            tls_context=tls,
        )
        self._phase = Phase.CONNECT
        self._writer: asyncio.StreamWriter | None = None
        self._timer: asyncio.TimerHandle | None = None

    # The kept session

    def rest(self, idle: "list[_Session]") -> None:
        """Wait among the idle ones for the next mail; end if none comes for a while."""
        idle.append(self)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(limits.IDLE_TIME.total_seconds(), self._expire, idle)

    def wake(self) -> bool:
        """Say whether the connection still stands, and be kept no more."""
        if self._timer is not None:
            self._timer.cancel()
        return self._client.is_connected

    def _expire(self, idle: "list[_Session]") -> None:
        idle.remove(self)
        self.abort()

    def abort(self) -> None:
        """Drop the connection without a word."""
        transport = self._client.transport
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()
        self._client.close()

    async def part(self) -> None:
        """End the session as RFC 5321 §4.1.1.10 asks."""
        try:
            await self._client.quit(timeout=limits.QUIT_TIMEOUT.total_seconds())
        except (SMTPException, OSError):
            self.abort()

    async def is_fit(self, answer: Answer) -> bool:
        """Make the session ready for another mail, if it can be."""
        if isinstance(answer, Accepted):
            return self._client.is_connected
        if isinstance(answer, Broken) or self._phase not in _AFTER_OPENING:
            return False
        try:
            await self._client.rset(timeout=limits.RESET_TIMEOUT.total_seconds())
        except (SMTPException, OSError):
            return False
        return True

    # One mail

    async def attempt(self, mail: Outgoing) -> Answer:
        """Go through the whole dialogue, as far as it goes."""
        try:
            return await self._attempt(mail)
        except SMTPResponseException as problem:
            return _judge(self._phase, problem.code, problem.message)
        except (SMTPException, OSError) as problem:
            # No text: it may hold what the peer said.
            return Broken(self._phase, type(problem.__cause__ or problem).__name__)

    async def _attempt(self, mail: Outgoing) -> Answer:
        if self._writer is None:
            await self._open()
        size = f"SIZE={sum(map(len, mail.parts))}"  # RFC 1870
        announced = [size] if self._client.supports_extension("size") else []
        if mail.eight_bit and self._client.supports_extension("8bitmime"):
            announced.append("BODY=8BITMIME")
        await self._ask(
            Phase.MAIL, f"FROM:<{mail.return_path}>", *announced, within=limits.MAIL_TIMEOUT
        )
        await self._ask(Phase.RCPT, f"TO:<{mail.recipient}>", within=limits.RCPT_TIMEOUT)
        await self._ask(Phase.DATA, within=limits.DATA_TIMEOUT)
        await self._write(mail.parts)
        self._check_in_step()
        self._phase = Phase.CONTENT
        code, text = await self._client.execute_command(
            b".", timeout=limits.CONTENT_TIMEOUT.total_seconds()
        )
        return _judge(self._phase, code, text)

    async def _open(self) -> None:
        self._phase = Phase.CONNECT
        await self._client.connect()
        self._phase = Phase.HELLO
        self._check_in_step()
        await self._client.ehlo()
        if self._settings.security is Security.STARTTLS:
            self._phase = Phase.TLS
            await self._client.starttls()  # drops what came in clear behind the 220
            await self._client.ehlo()
        if self._settings.username is not None:
            self._phase = Phase.AUTH
            self._check_in_step()
            await self._client.login(self._settings.username, self._password)
        # Held as long as the session: a StreamWriter that goes closes its connection.
        self._writer = _writer_of(self._client)

    async def _ask(self, phase: Phase, *words: str, within: timedelta) -> None:
        """Send a command and want its one positive reply: 354 to DATA, else 2yz."""
        self._phase = phase
        self._check_in_step()
        command = [phase.name.encode(), *(word.encode("ascii") for word in words)]
        code, text = await self._client.execute_command(*command, timeout=within.total_seconds())
        if not (code == 354 if phase is Phase.DATA else code // 100 == 2):
            raise SMTPResponseException(code, text)

    def _check_in_step(self) -> None:
        """Refuse a reply that came before its command: a 250, say, before the final dot."""
        protocol = self._client.protocol
        if protocol is not None and protocol._buffer:  # noqa: SLF001 - no public way
            raise SMTPException("a reply to nothing")

    async def _write(self, parts: tuple[bytes, ...]) -> None:
        """Write the content no faster than the peer reads; shared parts are not copied."""
        if self._writer is None:
            return
        for piece in _slices(parts):
            self._writer.write(piece)
            async with asyncio.timeout(limits.BLOCK_TIMEOUT.total_seconds()):
                await self._writer.drain()


def _is_stale(answer: Answer) -> bool:
    """Say whether a kept session had ended before the mail was begun on it."""
    match answer:
        case Broken(Phase.MAIL, _):
            return True
        case Refused(Phase.MAIL, code, _):
            return code in _STALE
    return False


def _judge(phase: Phase, code: int, text: str) -> Answer:
    # Octets that are no UTF-8 come as lone surrogates, which nothing could write again.
    words = text[: limits.PEER_TEXT_OCTETS].encode("utf-8", "replace").decode()
    match code // 100:
        case 2 if phase is Phase.CONTENT:
            return Accepted(code, words)
        case 4 | 5:
            return Refused(phase, code, words)
    return Broken(phase, "UnexpectedReply")


def _writer_of(client: SMTP) -> asyncio.StreamWriter:
    """Make what knows when the peer is slow, for a connection that stands."""
    transport, protocol = client.transport, client.protocol
    if protocol is None or not isinstance(transport, asyncio.WriteTransport):
        raise ConnectionResetError
    return asyncio.StreamWriter(transport, protocol, None, asyncio.get_running_loop())


def _slices(parts: tuple[bytes, ...]) -> Iterator[memoryview]:
    for part in parts:
        whole = memoryview(part)
        for start in range(0, len(part), limits.WRITE_OCTETS):
            yield whole[start : start + limits.WRITE_OCTETS]
