"""Takes mail to a list's desk: for help, the key, to join, to prove an address, to leave (spec §7).

The reply never tells what came of it, and is the same for member and stranger. What is answered by
mail goes to the envelope's sender, and says what anybody may know.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

from listserver import attachments, mime, quick, replies
from listserver.addresses import ListAddress, Role
from listserver.answering import Answering
from listserver.answers import Topic
from listserver.attachments import Brought
from listserver.joining import Joining
from listserver.leaving import Leaving
from listserver.limits import LETTER_OCTETS
from listserver.manners import is_automatic
from listserver.mime import Fields, Unreadable
from listserver.ports import Clock, Log
from listserver.replies import Reply
from recrypt_core.errors import Malformed, NotAuthentic, Refused
from recrypt_core.messages import ConfirmJoin


class FrontDesk:
    """Hands each mail on to the flow that it is for."""

    def __init__(
        self, answering: Answering, joining: Joining, leaving: Leaving, clock: Clock, log: Log
    ) -> None:
        self._answering = answering
        self._joining = joining
        self._leaving = leaving
        self._clock = clock
        self._log = log
        self.decide: Callable[[bytes, datetime], Awaitable[bool]] = _decide_nothing
        """Does what a mail to -request says that an administrator has signed, if it does."""

    async def receive(self, raw: bytes, to: ListAddress, *, sender: str) -> Reply:
        """Take a mail to one of the desk's addresses of a list that there is.

        sender: of the envelope; "" is the null one.

        Raises:
            StoreTrouble: nothing was done; the sender may try again.
        """
        if len(raw) > LETTER_OCTETS:
            return replies.too_large(LETTER_OCTETS)
        if await self._is_done(raw, to):
            return replies.ACCEPTED
        try:
            fields, brought = await _read(raw)
        except Unreadable:
            self._log.event("mail-discarded")
            return replies.ACCEPTED
        match to.role:
            case Role.CONFIRM:
                await self._confirm(brought, to.token)
            case Role.SUBSCRIBE:
                await self._subscribe(to.list, fields, brought, sender=sender)
            case Role.UNSUBSCRIBE:
                await self._answering.answer(Topic.LEAVE, to.list, fields, sender)
            case Role.KEY:
                await self._answering.answer(Topic.KEY, to.list, fields, sender)
            case _:
                await self._answering.answer(Topic.HELP, to.list, fields, sender)
        return replies.ACCEPTED

    async def _is_done(self, raw: bytes, to: ListAddress) -> bool:
        """Do what a token asks, or what is signed, wherever it stands in the mail."""
        if to.role is Role.UNSUBSCRIBE and to.token is not None:
            await self._leaving.ask(to.token)  # whatever the mail says: mail programs write little
            return True
        return to.role is Role.REQUEST and await self.decide(raw, self._clock.now())

    async def _subscribe(
        self, to: str, fields: Fields, brought: Brought | None, *, sender: str
    ) -> None:
        """Take a profile for a JoinGroup (spec §6, Joining); without one, say how to join."""
        if not sender or is_automatic(fields):
            self._log.event("mail-discarded")
            return
        try:
            if brought is not None:
                now = self._clock.now()
                await self._joining.ask_by_mail(to, brought, sender=sender, now=now)
                return
        except (Malformed, NotAuthentic):
            self._log.event("join-refused")
        except Refused:
            self._log.event("join-refused")
            return
        await self._answering.answer(Topic.JOIN, to, fields, sender)

    async def _confirm(self, brought: Brought | None, token: str | None) -> None:
        """Take a token that came back, in the answer that is signed; nobody is answered."""
        if brought is None or token is None:
            self._log.event("mail-discarded")
            return
        try:
            await self._joining.confirm(
                ConfirmJoin(answer=brought.document), self._clock.now(), token=token
            )
        except (Malformed, NotAuthentic, Refused):
            self._log.event("confirm-refused")


async def _decide_nothing(_raw: bytes, _now: datetime) -> bool:
    return False


async def _read(raw: bytes) -> tuple[Fields, Brought | None]:
    """Read a mail; a large one in a thread, as it takes a while."""

    def read() -> tuple[Fields, Brought | None]:
        message = mime.read_message(raw)
        return message.fields, attachments.document_in(raw, message)

    return await quick.done(read, len(raw))
