"""What senders of mail say over SMTP and LMTP, and what they hear.

Of aiosmtpd 1.4.6 these are done anew: its DATA holds any number of octets until a CRLF comes, and
is cancelled when the sender hangs up; and it takes addresses that nothing else would.
"""

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass, field

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import Envelope

from listserver import limits, replies
from listserver.addresses import ListAddress, parse_address, read_list_address
from listserver.edges.connections import Connection
from listserver.edges.content import Content
from listserver.edges.door import Parting
from listserver.replies import Reply
from recrypt_core.errors import Malformed

_PATH = re.compile(r"(FROM|TO): ?<([^<> ]*)>((?: +[^ ]+)*)", re.IGNORECASE)


@dataclass(slots=True)
class _Transaction:
    """What MAIL and RCPT have brought (RFC 5321 §3.3); `noted` counts what isn't refused."""

    sender: str
    to: list[ListAddress] = field(default_factory=list)
    noted: int = 0


class SmtpSession(Connection):
    """One session over SMTP."""

    _mail: _Transaction | None = None

    def _create_envelope(self) -> Envelope:
        # At each greeting and RSET. We keep our own, as aiosmtpd's has no room for a ListAddress.
        self._mail = None
        return super()._create_envelope()

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd finds it so
        """Begin a mail."""
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
        if not self._door.room.has_room():
            return replies.DISK_FULL
        self._mail = _Transaction(sender=path)
        return replies.SENDER_OK

    def _problem_with(self, parameter: str) -> Reply | None:
        name, _, value = parameter.upper().partition("=")
        most = self._door.settings.max_post_octets
        match name:
            case "SMTPUTF8":
                return replies.NO_SMTPUTF8
            case "BODY" if value in ("7BIT", "8BITMIME"):  # RFC 6152 §3; RFC 3030 §3 is not offered
                return None
            case "SIZE" if not re.fullmatch("[0-9]{1,20}", value):  # RFC 1870 §6
                return replies.BAD_ARGUMENT
            case "SIZE":
                return replies.too_large(most) if int(value) > most else None
        return replies.BAD_PARAMETER

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd finds it so
        """Take a recipient: by the list alone, whoever sends (spec §7)."""
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
        if path.lower() == "postmaster":  # RFC 5321 §4.5.1
            path = f"{path}@{self._door.domains[0]}"
        try:
            address = parse_address(path)
        except Malformed:
            return replies.BAD_RECIPIENT
        return read_list_address(address, self._door.domains) or replies.NOT_RELAYED

    async def _add_recipient(self, mail: _Transaction, to: ListAddress) -> Reply:
        if mail.noted >= limits.RECIPIENTS:
            return replies.TOO_MANY_RECIPIENTS
        reply = await self._door.reception.recipient(to)
        if not reply.positive:
            return reply
        mail.noted += 1
        return reply if self._add(mail, to) else replies.ONE_LIST

    def _add(self, mail: _Transaction, to: ListAddress) -> bool:
        """Add a recipient; spec §7: there is one reply for all, so there is one list."""
        if not mail.to:
            mail.to.append(to)
        return mail.to == [to]

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd finds it so
        """Take the content."""
        self.end_group()
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
        """Tell nothing, politely (RFC 5321 §7.3)."""
        await self.say(replies.NOT_VERIFIED if arg else replies.BAD_ARGUMENT)

    async def smtp_HELP(self, _arg: str | None) -> None:  # noqa: N802 - aiosmtpd finds it so
        """Say the same to all."""
        await self.say(replies.HELP)

    async def smtp_QUIT(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd finds it so
        """Part."""
        if not arg:
            raise Parting(replies.BYE)
        await self.say(replies.BAD_ARGUMENT)

    # The content

    async def _take(self, mail: _Transaction) -> None:
        await self.say(replies.GO_AHEAD)
        content = Content(self._reader, self._door, self.loop.time)
        try:
            problem = await content.read(self._reset_timeout)
        except BaseException:
            content.let_go()
            raise
        self._mail = None
        self._reset_timeout(limits.COMMIT_TIMEOUT.total_seconds())
        # A sender that hangs up cancels this coroutine, but not the commit: it ends as it would.
        task = asyncio.create_task(self._answer(mail, problem or content))
        task.add_done_callback(lambda _: content.let_go())
        self._door.take_in_hand(task)
        self.answering = True
        await asyncio.shield(task)
        self.answering = False
        self._last_mail = self.loop.time()
        if problem is replies.BARE_LINE_END:
            raise Parting  # what follows was perhaps meant as content, by another's line ends

    async def _answer(self, mail: _Transaction, content: Content | Reply) -> None:
        """Give one reply for each recipient (RFC 2033 §4.2); over SMTP there is but one.

        Who is named twice is given the mail once.
        """
        octets = content if isinstance(content, Reply) else await content.whole()
        given: dict[ListAddress, Reply] = {}
        for to in mail.to:
            if isinstance(octets, Reply):
                given[to] = octets
            elif to not in given:
                given[to] = await self._receive(mail, to, octets)
            reply = given[to]
            if reply.positive:
                self._errors = 0
            with suppress(OSError):
                await self.say(reply)

    async def _receive(self, mail: _Transaction, to: ListAddress, content: bytes) -> Reply:
        try:
            return await self._door.reception.receive(content, to, sender=mail.sender)
        except Exception as error:  # noqa: BLE001 - whatever it is, the sender keeps the mail
            self._door.log.event("reception-trouble", error=type(error).__name__)
            return replies.TROUBLE


class LmtpSession(SmtpSession, LMTP):
    """One connection over LMTP: each recipient is taken, and answered, by itself."""

    ident = "LMTP"

    def _add(self, mail: _Transaction, to: ListAddress) -> bool:
        mail.to.append(to)
        return True


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
