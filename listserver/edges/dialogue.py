"""One SMTP session with the relay host, on aiosmtplib: mails go out one behind the other.

Of aiosmtplib the connection, TLS and AUTH are used. Its own sending is not: it parses addresses
anew, copies a mail twice, waits for no slow peer, has one error for all phases and doesn't
pipeline. What comes after the opening goes over a Wire.
"""

import asyncio
import ssl
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final, TypeAlias, cast

from aiosmtplib import SMTP, SMTPException, SMTPResponseException

from listserver import limits
from listserver.config import RelaySettings, Security
from listserver.edges.wire import Wire
from listserver.outcomes import Accepted, Answer, Broken, Phase, Refused
from listserver.ports import Errand, Errands, Outgoing

_AFTER_OPENING: Final = frozenset({Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.CONTENT})
_STALE: Final = frozenset({421})  # RFC 5321 §3.8: the peer ends the session, not the mail
_DOT: Final = b".\r\n"
_Step: TypeAlias = tuple[Phase, timedelta]
_STEPS: Final[Sequence[_Step]] = (
    (Phase.MAIL, limits.MAIL_TIMEOUT),
    (Phase.RCPT, limits.RCPT_TIMEOUT),
    (Phase.DATA, limits.DATA_TIMEOUT),
)


class Dialogue:
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
        self.is_fit = False
        """Whether it may begin another one."""
        self._pipelines = False
        self._is_quick = False  # in its reply to the last mail
        self._ahead: Errand | None = None  # whose commands are said behind the mail in hand
        self._is_said = False  # the same of the mail in hand
        self._wire: Wire | None = None
        self._timer: asyncio.TimerHandle | None = None

    # The kept session

    def rest(self, idle: "list[Dialogue]") -> None:
        """Wait among the idle ones for the next mail; end if none comes for a while."""
        idle.append(self)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(limits.IDLE_TIME.total_seconds(), self._expire, idle)

    def wake(self) -> bool:
        """Say whether the connection still stands, and be kept no more."""
        if self._timer is not None:
            self._timer.cancel()
        return self._wire is not None and self._wire.is_in_step

    def _expire(self, idle: "list[Dialogue]") -> None:
        idle.remove(self)
        self.abort()

    def abort(self) -> None:
        """Drop the connection without a word."""
        if self._client.transport is not None:
            cast(asyncio.WriteTransport, self._client.transport).abort()
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

    async def _made_fit(self, answer: Answer) -> bool:
        """Make the session ready for another mail, if it can be."""
        if self._wire is None or isinstance(answer, Broken):
            return False
        if self._ahead is not None:
            return True
        if not self._wire.is_in_step or self._phase not in _AFTER_OPENING:
            return False
        return isinstance(answer, Accepted) or await self._said(
            b"RSET\r\n", within=limits.RESET_TIMEOUT
        )

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

    # Mails

    async def carry(self, errand: Errand, errands: Errands) -> Errand | None:
        """Carry mails while the session is fit; give what is left to begin elsewhere.

        The next one is begun behind the dot of the one before it (RFC 2920 §3.1), so that the
        relay host needn't wait for it, if that answered the last one at once.
        """
        while True:
            is_kept = self.mails > 0
            answer = await self._attempt(errand.mail, errands)
            if is_kept and _is_stale(answer):
                self.is_fit = False
                return errand
            self.is_fit = await self._made_fit(answer)
            errand.tell(answer)
            ahead, self._ahead = self._ahead, None
            self._is_said = ahead is not None
            if (following := ahead or errands()) is None:
                return None
            if not self.is_fit or self.mails >= limits.MAILS_A_CONNECTION:
                return following
            errand = following

    async def _attempt(self, mail: Outgoing, errands: Errands) -> Answer:
        """Go through the whole dialogue, as far as it goes."""
        self.mails += 1
        try:
            wire = self._wire or await self._open()
            if (refused := await self._ask(wire, mail)) is not None:
                return refused
            await self._write(wire, mail.parts, errands)
            return await self._end(wire)
        except SMTPResponseException as problem:
            return _judge(self._phase, problem.code, problem.message)
        except TimeoutError:
            return Broken(self._phase, TimeoutError.__name__)
        except (SMTPException, OSError) as problem:
            # No text: it may hold what the peer said.
            return Broken(self._phase, type(problem.__cause__ or problem).__name__)

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
        self._pipelines = self._client.supports_extension("pipelining")
        self._wire = Wire.take_over(self._client.transport)
        return self._wire

    def _check_in_step(self) -> None:
        """Refuse a reply that came before its command, while the session is opened."""
        protocol = self._client.protocol
        if protocol is not None and protocol._buffer:  # noqa: SLF001 - no public way
            raise SMTPException("a reply to nothing")

    async def _ask(self, wire: Wire, mail: Outgoing) -> Answer | None:
        """Say what comes before the content, at once if the peer offers that (RFC 2920).

        Gives the first reply that doesn't agree, and None if all do.
        """
        self._phase = Phase.MAIL
        if self._pipelines:
            if not self._is_said:
                wire.check_in_step()
                wire.say(self._lines(mail))
            return await self._hear(wire, _STEPS)
        for line, step in zip(self._lines(mail), _STEPS, strict=True):
            self._phase, _ = step
            wire.check_in_step()
            wire.say([line])
            if (refused := await self._hear(wire, [step])) is not None:
                return refused
        return None

    def _lines(self, mail: Outgoing) -> tuple[bytes, bytes, bytes]:
        announced = ""
        if self._client.supports_extension("size"):  # RFC 1870
            announced = f" SIZE={sum(map(len, mail.parts))}"
        if mail.eight_bit and self._client.supports_extension("8bitmime"):
            announced += " BODY=8BITMIME"
        begun = f"MAIL FROM:<{mail.return_path}>{announced}\r\n".encode("ascii")
        return begun, f"RCPT TO:<{mail.recipient}>\r\n".encode("ascii"), b"DATA\r\n"

    async def _hear(self, wire: Wire, steps: Sequence[_Step]) -> Answer | None:
        """Wait for each reply, in the order of the commands; give the first that doesn't agree."""
        for at, (phase, within) in enumerate(steps, start=1):
            self._phase = phase
            code, text = wire.next_reply() or await wire.reply(within)
            if not (code == 354 if phase is Phase.DATA else code // 100 == 2):
                answer = _judge(phase, code, text)
                if isinstance(answer, Refused):
                    await _end_group(wire, steps[at:])
                return answer
        return None

    async def _write(self, wire: Wire, parts: tuple[bytes, ...], errands: Errands) -> None:
        """Write the content no faster than the peer reads; shared parts are not copied.

        What is short is one write with its dot, and with the commands of the mail behind it. From
        the dot on, the peer may have the mail.
        """
        ahead: tuple[bytes, ...] = ()
        if sum(map(len, parts)) > limits.WRITE_OCTETS:
            for piece in _slices(parts):
                wire.say([piece])
                await wire.drain(limits.BLOCK_TIMEOUT)
            parts = ()
        elif self._is_quick and self._pipelines and self.mails < limits.MAILS_A_CONNECTION:
            self._ahead = errands()
            ahead = () if self._ahead is None else self._lines(self._ahead.mail)
        wire.check_in_step()
        self._phase = Phase.CONTENT
        wire.say((*parts, _DOT, *ahead))

    async def _end(self, wire: Wire) -> Answer:
        """Hear what becomes of the mail."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        code, text = await wire.reply(limits.CONTENT_TIMEOUT)
        self._is_quick = loop.time() - begun < limits.QUICK_REPLY.total_seconds()
        return _judge(self._phase, code, text)


async def _end_group(wire: Wire, rest: Sequence[_Step]) -> None:
    """Hear what is said to commands after a refused one; whoever wants content gets none.

    Nothing is judged by it: if it fails, the session is not fit for another mail.
    """
    try:
        for phase, _ in rest:
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
    words = text[: limits.PEER_TEXT_OCTETS]
    if not words.isascii():  # octets that are no UTF-8 are lone surrogates, which none could write
        words = words.encode("utf-8", "replace").decode()
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
