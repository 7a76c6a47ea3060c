"""Answers mail to a list's desk by mail: where that is allowed, and not too often (RFC 3834)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from listserver.addresses import mailbox_of, parse_address, site_of
from listserver.answers import Asker, Topic, write_answer
from listserver.joining import is_ours
from listserver.limits import ANSWERS_PER_ADDRESS, ANSWERS_PER_LIST, ANSWERS_PER_SOURCE
from listserver.manners import may_be_answered
from listserver.mime import Fields, values_of
from listserver.model import House, JoinCount, StoredList
from listserver.ports import Clock, Log
from listserver.store import QueueFull, Store, Work
from listserver.threads import first_id


class TooMany(Exception):
    """There was as much of something on this day as may be; it undoes its block."""


class Answering:
    """Puts automatic answers in the queue. Nobody is looked up: all who ask get the same."""

    def __init__(self, house: House, store: Store, clock: Clock, log: Log) -> None:
        self._house = house
        self._store = store
        self._clock = clock
        self._log = log
        self.on_written: Callable[[], None] = lambda: None
        """Called when there may be letters in the queue."""

    async def answer(self, topic: Topic, to: str, asked: Fields, sender: str) -> None:
        """Answer a mail to the desk of a list, or let it be, without a word to anybody.

        Raises:
            StoreTrouble: nothing was done; the sender may try again.
        """
        written = 0
        if may_be_answered(asked, sender):
            try:
                async with self._store.begin() as work:
                    written = int(await self._write(work, topic, to, (asked, sender)))
            except (TooMany, QueueFull):  # an answer is a courtesy: no mail is kept back for it
                self._log.event("answers-full")
        self._log.event("answer", written=written)
        self.on_written()

    async def _write(self, work: Work, topic: Topic, to: str, came: tuple[Fields, str]) -> bool:
        asked, sender = came
        now = self._clock.now()
        found = await work.find_list(to)
        if found is None or found.state.is_closed or await is_ours(work, self._house, sender):
            return False
        await _count(work, found, sender, now)
        asker = Asker(sender, first_id(values_of(asked, "message-id")))
        letter = write_answer(topic, found.state, self._house, asker, now=now)
        await work.enqueue_letter(replace(letter, list_id=found.id), now)
        return True


async def _count(work: Work, found: StoredList, sender: str, now: datetime) -> None:
    """Count an answer to an address, for its domain, and for the list; none is lost to the others.

    Raises:
        TooMany: which undoes it.
    """
    address = parse_address(sender)
    bounds = (
        (JoinCount.ANSWERED, mailbox_of(address), ANSWERS_PER_ADDRESS),
        (JoinCount.ANSWERED_AT, site_of(address), ANSWERS_PER_SOURCE),
        (JoinCount.ANSWERING, found.state.identifier, ANSWERS_PER_LIST),
    )
    for of, what, most in bounds:
        if await work.count_join(of, what, now) > most:
            raise TooMany
