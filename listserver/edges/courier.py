"""Mail out: kept SMTP sessions with the relay host. Tells what came, judges nothing."""

import asyncio
import ssl

from listserver import limits
from listserver.addresses import is_plain, parse_address
from listserver.config import RelaySettings, Security
from listserver.edges.dialogue import Dialogue
from listserver.outcomes import Answer, Broken, Phase
from listserver.ports import Errand, Errands, Outgoing
from recrypt_core.errors import Malformed


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
        self._waiting = 0
        self._idle: list[Dialogue] = []
        self._busy = set[Dialogue]()
        self._closed = False

    async def deliver(self, mail: Outgoing) -> Answer:
        """Try once, on a kept session if there is one."""
        found: list[Answer | Exception] = []
        errands = iter([Errand(mail, found.append)])
        await self.carry(lambda: next(errands, None))
        if isinstance(found[0], Exception):
            raise found[0]
        return found[0]

    async def carry(self, errands: Errands) -> None:
        """Carry what is given on one connection; on another one when that has ended."""
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        try:
            errand = _checked(errands)
            while errand is not None and not self._closed:
                errand = await self._carry_on(self._session(), errand, errands)
            if errand is not None:
                errand.tell(Broken(Phase.CONNECT, "ConnectionAbortedError"))
        finally:
            self._slots.release()

    async def close(self) -> None:
        """Part from the relay host; what is under way still is broken off."""
        self._closed = True
        for session in self._busy:
            session.abort()
        idle = [session for session in self._idle if session.wake()]
        self._idle.clear()
        await asyncio.gather(*(session.part() for session in idle))

    def _session(self) -> Dialogue:
        """Give a kept session that still stands, or else a new one."""
        while self._idle:
            session = self._idle.pop()
            if session.wake():
                return session
        return Dialogue(self._settings, self._domain, password=self._password, tls=self._tls)

    async def _carry_on(self, session: Dialogue, errand: Errand, errands: Errands) -> Errand | None:
        """Carry as long as the session stands; give what another one is to begin with."""
        self._busy.add(session)
        try:
            left = await session.carry(errand, lambda: self._next(errands))
        except BaseException:  # also if the task is cancelled in the midst of a dialogue
            session.abort()
            raise
        finally:
            self._busy.discard(session)
        if self._closed or not session.is_fit:
            session.abort()
        elif session.mails >= limits.MAILS_A_CONNECTION:
            session.leave()
        else:
            session.rest(self._idle)
        return left

    def _next(self, errands: Errands) -> Errand | None:
        """Give the next, unless others wait for a connection, or all are to part."""
        return None if self._closed or self._waiting else _checked(errands)


def _checked(errands: Errands) -> Errand | None:
    """Give the next whose addresses can be said; who gave others is told."""
    while (errand := errands()) is not None:
        try:
            _check(errand.mail.recipient)
            if errand.mail.return_path:
                _check(errand.mail.return_path)
        except Malformed as problem:
            errand.tell(problem)
        else:
            return errand
    return None


def _check(address: str) -> None:
    if not is_plain(address):
        parse_address(address)
