"""Where this machine's mail programs hand over mail: SMTP on loopback, on aiosmtpd (RFC 6409).

Other people's programs may run here too: nothing is taken without the password.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeAlias

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session, syntax

from recrypt_client.errors import Trouble
from recrypt_client.mail_servers import is_loopback
from recrypt_client.submission import OCTETS, Reply, Submission

USER: Final = "recrypt"
IDLE_SECONDS: Final = 900  # of one command: a content, and all that is done with it
DRAIN_SECONDS: Final = 60  # for what is in hand when it is to end; ours

Deliver: TypeAlias = Callable[[Submission], Awaitable[Reply]]


class SmtpDoor:
    """A listener that gives each mail to `deliver`, and its answer to who handed it over."""

    def __init__(self, deliver: Deliver, password: str) -> None:
        self._deliver = deliver
        self._password = password
        self._server: asyncio.Server | None = None
        self._in_hand = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def open(self, host: str, port: int) -> int:
        """Listen; give the port.

        Raises:
            Trouble: if that can't be done, or would be open to other machines.
        """
        if not is_loopback(host):
            raise Trouble(
                f"{host} isn't an address of this machine alone",
                "Use --listen 127.0.0.1:PORT: what comes in there is in clear",
            )
        try:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(lambda: _Session(self), host, port)
        except OSError as problem:
            raise Trouble(
                f"{host}:{port}: {problem.strerror}", "Choose another port with --listen"
            ) from problem
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Take no more, and finish what is in hand."""
        if self._server is not None:
            self._server.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), DRAIN_SECONDS)

    def begin(self) -> None:
        """Have one mail more in hand."""
        self._in_hand += 1
        self._idle.clear()

    def end(self) -> None:
        """Have one mail less in hand: it was answered."""
        self._in_hand -= 1
        if not self._in_hand:
            self._idle.set()

    def authenticator(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, given: object
    ) -> AuthResult:
        """Know the one who has the password."""
        if not isinstance(given, LoginPassword):
            return AuthResult(success=False, handled=False)
        known = f"{USER} {self._password}".encode()
        good = hmac.compare_digest(known, given.login + b" " + given.password)
        return AuthResult(success=good, handled=False)

    async def handle_DATA(  # noqa: N802 - aiosmtpd finds and calls it so
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Hand one mail on; answer what came of it."""
        submission = Submission(
            envelope.mail_from or "",
            tuple(envelope.rcpt_tos),
            envelope.original_content or b"",
        )
        return str(await self._deliver(submission))


class _Session(SMTP):
    """One connection; of aiosmtpd's, AUTH is asked for without TLS, which loopback has none of."""

    def __init__(self, door: SmtpDoor) -> None:
        super().__init__(
            door,
            data_size_limit=OCTETS,
            hostname="localhost",
            ident="recrypt bridge",
            timeout=IDLE_SECONDS,
            auth_require_tls=False,
            authenticator=door.authenticator,
            loop=asyncio.get_running_loop(),
        )
        self._door = door

    async def check_auth_needed(self, caller_method: str) -> bool:
        """Refuse whatever is said before AUTH."""
        if self.session is not None and self.session.authenticated:
            return False
        await self.push(f"530 5.7.0 {caller_method}: log in first")
        return True

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - aiosmtpd finds it so
        """Take a mail; it is in hand until it was answered."""
        self._door.begin()
        try:
            await super().smtp_DATA(arg)
        finally:
            self._door.end()

    async def handle_exception(self, error: Exception) -> str:
        """Say that the mail wasn't sent; aiosmtpd would answer 500, for good."""
        return str(Reply(451, f"4.3.0 Not sent: {type(error).__name__} in recrypt bridge"))
