"""A new member is welcomed, and one who is removed has a goodbye, sealed to the member (spec §7).

What is to be told is noted with the change, and told by a chore, as the queue of letters has room:
so ten thousand new members hold up nobody.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from listserver.letters import write_letter
from listserver.limits import GREETINGS_AT_ONCE
from listserver.model import House, Letter, LetterKind
from listserver.ports import Clock, Log
from listserver.store import Store
from listserver.store_greeting import Greeted, Greeting
from recrypt_core.documents import MemberEntry, Status
from recrypt_core.errors import RecryptError
from recrypt_core.members import Member
from recrypt_core.udf import Udf


class Greetings:
    """Puts welcomes and goodbyes in the queue of letters."""

    def __init__(self, house: House, store: Store, clock: Clock, log: Log) -> None:
        self._house = house
        self._store = store
        self._clock = clock
        self._log = log
        self.on_written: Callable[[], None] = lambda: None
        """Called when there may be letters in the queue."""

    async def write_some(self) -> bool:
        """Tell some who are to be told: a chore. False if nobody is left, or whose list has room.

        Raises:
            QueueFull: the others are told in a later round.
        """
        now = self._clock.now()
        async with self._store.begin() as work:
            found = await work.greetings(GREETINGS_AT_ONCE)
        if not found:
            return False
        written = await asyncio.to_thread(
            lambda: [_letter(each, self._house, now) for each in found]
        )
        async with self._store.begin() as work:
            ended = await work.greeted(found)
            for greeted, letter in zip(found, written, strict=True):
                if letter is not None and greeted.id in ended:
                    await work.enqueue_letter(letter, now)
        self._log.event("greeted", letters=sum(each is not None for each in written))
        self.on_written()
        return True


def greetings_due(
    entries: Iterable[MemberEntry], before: Mapping[Udf, Member]
) -> dict[Udf, Greeting]:
    """Tell who is to be told what of a change: its new entries, and the members as they were.

    Who was suspended for a while, or has entries for another key, is told nothing.
    """
    found: dict[Udf, Greeting] = {}
    for entry in entries:
        member = before.get(entry.recrypt_udf)
        status = None if member is None else member.entry.status
        if entry.status is Status.ACTIVE and status in (None, Status.REVOKED):
            found[entry.recrypt_udf] = Greeting.WELCOME
        elif entry.status is Status.REVOKED and status in (Status.ACTIVE, Status.SUSPENDED):
            found[entry.recrypt_udf] = Greeting.GOODBYE
    return found


def _letter(told: Greeted, house: House, now: datetime) -> Letter | None:
    """Seal one; who can't have it, as its row or its profile has no keys, holds up nobody."""
    if told.list is None or told.member is None:
        return None
    state, account = told.list.state, told.member.account
    text = {Greeting.WELCOME: "welcome", Greeting.GOODBYE: "goodbye"}[told.greeting]
    words = house.catalogue.of_list(state).letter(
        text, account=account, service=house.public_url, identifier=state.identifier
    )
    try:
        octets = write_letter(words, told.member, state.name, now=now)
    except RecryptError:
        return None
    return Letter(account, "", octets, kind=LetterKind.GREETING, list_id=told.list.id)
