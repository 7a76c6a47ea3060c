"""Mail to who administers a list, in clear or not: sealed to each of them before it is queued.

It is never stored as it came (spec §7). What is sealed already isn't opened: it goes on as it is.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from listserver import mime, replies
from listserver.addresses import ListAddress, mailbox_of, parse_address, site_of
from listserver.answering import TooMany
from listserver.catalogue import Texts
from listserver.letters import owner_mail, write_enclosing
from listserver.limits import (
    LETTER_OCTETS,
    OWNER_MAILS_PER_DOMAIN,
    OWNER_MAILS_PER_LIST,
    OWNER_MAILS_PER_SENDER,
)
from listserver.manners import is_automatic
from listserver.mime import Fields, Unreadable, values_of
from listserver.model import House, JoinCount, Letter, LetterKind, StoredList
from listserver.ports import Clock, Log
from listserver.posts import HOPS
from listserver.replies import Reply
from listserver.store import QueueFull, Store, StoreTrouble, Work
from recrypt_core.errors import RecryptError
from recrypt_core.members import Member


class OwnerMail:
    """Puts letters to administrators in the queue."""

    def __init__(self, house: House, store: Store, clock: Clock, log: Log) -> None:
        self._house = house
        self._store = store
        self._clock = clock
        self._log = log
        self.on_written: Callable[[], None] = lambda: None
        """Called when there are letters in the queue."""

    async def receive(self, raw: bytes, to: ListAddress, *, sender: str) -> Reply:
        """Take a mail, or say why not; what programs wrote, or the list itself, is dropped.

        Raises:
            StoreTrouble: nothing was done; the sender may try again.
        """
        if len(raw) > LETTER_OCTETS:
            return replies.too_large(LETTER_OCTETS)
        try:
            fields = mime.read_message(raw).fields
        except Unreadable:
            return replies.malformed_post("Its header is broken, or too large.")
        if len(values_of(fields, "received")) > HOPS:
            return replies.LOOP
        if not sender or is_automatic(fields) or self._is_own(fields, to):
            self._log.event("mail-discarded")
            return replies.ACCEPTED
        reply = await self._pass_on(raw, to, sender)
        self._log.event("owner-mail", code=reply.code)
        return reply

    async def _pass_on(self, raw: bytes, to: ListAddress, sender: str) -> Reply:
        now = self._clock.now()
        try:
            async with self._store.begin() as work:
                found = await work.find_list(to.list)
                if found is None or found.state.is_closed:
                    return replies.NO_SUCH_LIST
                await _count(work, found, sender, now)
                # Where there is none that is told before all is sealed, and counts for nobody.
                await work.check_letter_room(_letter_of(raw, found))
                members = await work.administrators(found.id)
        except TooMany:
            return replies.OWNERS_BUSY
        except QueueFull:
            return replies.NO_ROOM
        texts = self._house.catalogue.of_list(found.state)
        written = await asyncio.to_thread(_letters, raw, sender, members, texts, now)
        if not written:
            raise StoreTrouble("no letter can be sealed to who administers the list")
        try:
            async with self._store.begin() as work:
                for letter in written:
                    await work.enqueue_letter(replace(letter, list_id=found.id), now)
        except QueueFull:
            return replies.NO_ROOM
        self.on_written()
        return replies.ACCEPTED

    def _is_own(self, fields: Fields, to: ListAddress) -> bool:
        own = f"<{to.list.replace('@', '.')}>"
        return any(own in value.lower() for value in values_of(fields, "list-id"))


async def _count(work: Work, found: StoredList, sender: str, now: datetime) -> None:
    """Count a mail of a sender, and to a list's administrators; who is known isn't looked at.

    Raises:
        TooMany: which undoes it: so neither one sender nor one domain uses up the list's share.
    """
    address, of_list = parse_address(sender), found.state.identifier
    bounds = (
        (JoinCount.OWNER, mailbox_of(address), OWNER_MAILS_PER_SENDER),
        (JoinCount.OWNER_AT, f"{of_list} {site_of(address)}", OWNER_MAILS_PER_DOMAIN),
        (JoinCount.OWNER, of_list, OWNER_MAILS_PER_LIST),
    )
    for of, what, most in bounds:
        if await work.count_join(of, what, now) > most:
            raise TooMany


def _letter_of(raw: bytes, found: StoredList) -> Letter:
    """Stand in for one of the letters, which is larger."""
    return Letter("", "", raw, kind=LetterKind.OWNER, list_id=found.id)


def _letters(
    raw: bytes, sender: str, members: Sequence[Member], texts: Texts, now: datetime
) -> list[Letter]:
    """Seal it to each of them; who can't have one, as a profile has no keys, holds up no other."""
    made, words = [], owner_mail(texts, sender)
    for each in members:
        try:
            octets = write_enclosing(raw, words, each, texts, now=now)
        except RecryptError:
            continue
        made.append(Letter(each.account, "", octets, kind=LetterKind.OWNER))
    return made
