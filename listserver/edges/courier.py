"""Mail out: kept SMTP sessions with the relay host, on aiosmtplib. Tells what came, judges nothing.

Of aiosmtplib the connection, TLS and AUTH are used. Its own sending is not: it parses addresses
anew, copies a mail twice, waits for no slow peer, has one error for all phases and doesn't
pipeline. What comes after the opening goes over a Wire.
"""

import asyncio
import ssl
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final, TypeAlias

from aiosmtplib import SMTP, SMTPException, SMTPResponseException

from listserver import limits
from listserver.addresses import parse_address
from listserver.config import RelaySettings, Security
from listserver.edges.wire import Wire
from listserver.outcomes import Accepted, Answer, Broken, Phase, Refused
from listserver.ports import Outgoing

_AFTER_OPENING: Final = frozenset({Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.CONTENT})
_STALE: Final = frozenset({421})  # RFC 5321 §3.8: the peer ends the session, not the mail
_DOT: Final = b".\r\n"
_Command: TypeAlias = tuple[Phase, bytes, timedelta]


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
            if not keep or self._closed:
                session.abort()
            elif session.mails >= limits.MAILS_A_CONNECTION:
                session.leave()
            else:
                session.rest(self._idle)
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
        self.mails = 0
        """How many were begun on it."""
        self._wire: Wire | None = None
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
        return self._wire is not None and self._wire.is_in_step

    def _expire(self, idle: "list[_Session]") -> None:
        idle.remove(self)
        self.abort()

    def abort(self) -> None:
        """Drop the connection without a word."""
        transport = self._client.transport
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()
        self._client.close()

    def leave(self) -> None:
        """End the session and wait for nothing."""
        if self._wire is not None:
            self._wire.say([b"QUIT\r\n"])
        self._client.close()  # when that is written

    async def part(self) -> None:
        """End the session as RFC 5321 §4.1.1.10 asks."""
        await self._said(b"QUIT\r\n", within=limits.QUIT_TIMEOUT)
        self.abort()

    async def is_fit(self, answer: Answer) -> bool:
        """Make the session ready for another mail, if it can be."""
        if self._wire is None or not self._wire.is_in_step:
            return False
        if isinstance(answer, Accepted):
            return True
        if isinstance(answer, Broken) or self._phase not in _AFTER_OPENING:
            return False
        return await self._said(b"RSET\r\n", within=limits.RESET_TIMEOUT)

    async def _said(self, octets: bytes, *, within: timedelta) -> bool:
        """Say something that isn't of a mail; tell whether the peer agreed."""
        if self._wire is None:
            return False
        try:
            self._wire.say([octets])
            code, _ = await self._wire.reply(within)
        except OSError:
            return False
        return code // 100 == 2

    # One mail

    async def attempt(self, mail: Outgoing) -> Answer:
        """Go through the whole dialogue, as far as it goes."""
        try:
            return await self._attempt(mail)
        except SMTPResponseException as problem:
            return _judge(self._phase, problem.code, problem.message)
        except TimeoutError:
            return Broken(self._phase, TimeoutError.__name__)
        except (SMTPException, OSError) as problem:
            # No text: it may hold what the peer said.
            return Broken(self._phase, type(problem.__cause__ or problem).__name__)

    async def _attempt(self, mail: Outgoing) -> Answer:
        self.mails += 1
        wire = self._wire or await self._open()
        for group in self._groups(self._commands(mail)):
            if (refused := await self._ask(wire, group)) is not None:
                return refused
        await self._write(wire, mail.parts)
        code, text = await wire.reply(limits.CONTENT_TIMEOUT)
        return _judge(self._phase, code, text)

    def _commands(self, mail: Outgoing) -> tuple[_Command, ...]:
        announced = ""
        if self._client.supports_extension("size"):  # RFC 1870
            announced = f" SIZE={sum(map(len, mail.parts))}"
        if mail.eight_bit and self._client.supports_extension("8bitmime"):
            announced += " BODY=8BITMIME"
        begun = f"MAIL FROM:<{mail.return_path}>{announced}\r\n".encode("ascii")
        to = f"RCPT TO:<{mail.recipient}>\r\n".encode("ascii")
        return (
            (Phase.MAIL, begun, limits.MAIL_TIMEOUT),
            (Phase.RCPT, to, limits.RCPT_TIMEOUT),
            (Phase.DATA, b"DATA\r\n", limits.DATA_TIMEOUT),
        )

    def _groups(self, commands: tuple[_Command, ...]) -> Sequence[tuple[_Command, ...]]:
        """Part commands into those that are said at once (RFC 2920 §3.1)."""
        if self._client.supports_extension("pipelining"):
            return (commands,)
        return tuple((each,) for each in commands)

    async def _open(self) -> Wire:
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
        self._phase = Phase.MAIL
        self._check_in_step()
        self._wire = Wire.take_over(self._client.transport)
        return self._wire

    def _check_in_step(self) -> None:
        """Refuse a reply that came before its command, while the session is opened."""
        protocol = self._client.protocol
        if protocol is not None and protocol._buffer:  # noqa: SLF001 - no public way
            raise SMTPException("a reply to nothing")

    async def _ask(self, wire: Wire, group: Sequence[_Command]) -> Answer | None:
        """Say commands at once; give the first that isn't agreed to, and None if all are.

        The replies are in the order of the commands, and each is waited for (RFC 2920 §3.1).
        """
        self._phase = group[0][0]
        wire.check_in_step()
        wire.say([b"".join(octets for _, octets, _ in group)])
        for at, (phase, _, within) in enumerate(group, start=1):
            self._phase = phase
            code, text = await wire.reply(within)
            if not (code == 354 if phase is Phase.DATA else code // 100 == 2):
                answer = _judge(phase, code, text)
                if isinstance(answer, Refused):
                    await _end_group(wire, group[at:])
                return answer
        return None

    async def _write(self, wire: Wire, parts: tuple[bytes, ...]) -> None:
        """Write the content no faster than the peer reads; shared parts are not copied.

        What is short is one write with its dot. From the dot on, the peer may have the mail.
        """
        if sum(map(len, parts)) > limits.WRITE_OCTETS:
            for piece in _slices(parts):
                wire.say([piece])
                await wire.drain(limits.BLOCK_TIMEOUT)
            parts = ()
        wire.check_in_step()
        self._phase = Phase.CONTENT
        wire.say((*parts, _DOT))


async def _end_group(wire: Wire, rest: Sequence[_Command]) -> None:
    """Hear what is said to commands after a refused one; whoever wants content gets none.

    Nothing is judged by it: if it fails, the session is not fit for another mail.
    """
    try:
        for phase, _, _ in rest:
            code, _ = await wire.reply(limits.RESET_TIMEOUT)
            if phase is Phase.DATA and code == 354:  # RFC 2920 §3.1: a mail without recipients
                wire.say([_DOT])
                await wire.reply(limits.RESET_TIMEOUT)
    except OSError:
        wire.abort()


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


def _slices(parts: tuple[bytes, ...]) -> Iterator[memoryview]:
    for part in parts:
        whole = memoryview(part)
        for start in range(0, len(part), limits.WRITE_OCTETS):
            yield whole[start : start + limits.WRITE_OCTETS]
