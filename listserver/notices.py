"""Tell people what went wrong, in mail that is sealed to them: administrators, and posters.

Nobody is told anything about a post that was refused: its sender had the words in the dialogue. And
nobody whose address wasn't proven: mail to forged senders is an attack on them.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from listserver import letters
from listserver.catalogue import Words
from listserver.letters import write_letter
from listserver.limits import NOTICE_LINES, NOTICE_PATIENCE, POSTERS_TOLD, TELLING_TRIES
from listserver.model import House, Letter, ListId, PostId
from listserver.ports import Clock, Log
from listserver.store import QueueFull, Store, Work
from listserver.troubles import InVain, Troubles
from recrypt_core.errors import RecryptError
from recrypt_core.members import Member


class Notices:
    """Puts letters in the queue.

    They are sealed between two transactions, of which the second has the letters and notes what
    they tell: so nothing is told that isn't in a letter, and what isn't has its turn again. So has
    what administrators were told, if the relay host took none of the letters.
    """

    def __init__(
        self, house: House, store: Store, clock: Clock, log: Log, *, written: Callable[[], None]
    ) -> None:
        self._catalogue = house.catalogue
        self._store = store
        self._clock = clock
        self._log = log
        self._written = written

    async def tell(self) -> None:
        """Tell what people weren't told yet: administrators at most once in an hour and list.

        Raises:
            QueueFull: what is left to tell stays so until the next round.
        """
        now = self._clock.now()
        async with self._store.begin() as work:
            lists = await work.lists_in_trouble(now, NOTICE_PATIENCE)
        full: QueueFull | None = None
        for list_id in lists:
            try:
                await self._tell_administrators(list_id, now)
            except QueueFull as problem:  # of this list's share, it may be
                full = problem
        last: PostId | None = PostId(0)
        while last is not None:
            last = await self._tell_posters(last, now)
        self._written()
        if full is not None:
            raise full

    async def _tell_administrators(self, list_id: ListId, now: datetime) -> None:
        for _ in range(TELLING_TRIES):
            async with self._store.begin() as work:
                found, members = await _troubles(work, list_id)
            written = await self._about(found, members, now)
            async with self._store.begin() as work:
                if await self._told(work, list_id, found, written):
                    return
        # Where more comes all the time, who has the letters sealed has the store meanwhile.
        async with self._store.begin() as work:
            found, members = await _troubles(work, list_id)
            await self._told(work, list_id, found, await self._about(found, members, now))

    async def _about(
        self, found: Troubles | None, members: Sequence[Member], now: datetime
    ) -> list[Letter]:
        if found is None:
            return []
        texts, address = self._catalogue.of_list(found.list.state), found.list.state.name
        words = letters.troubles(texts, found)
        return await self._sealed([(words, each, address) for each in members], now)

    async def _told(
        self, work: Work, list_id: ListId, found: Troubles | None, written: Sequence[Letter]
    ) -> bool:
        """Put letters in the queue, unless there is more to tell by now."""
        now = self._clock.now()
        # Where it reaches nobody it is tried again, and no more often than once in an hour.
        if not await work.troubles_told(list_id, found if written else None, now):
            return False
        for letter in written:
            await work.enqueue_letter(replace(letter, list_id=list_id), now, tells=list_id)
            self._log.event("notice")
        return True

    async def _tell_posters(self, after: PostId, now: datetime) -> PostId | None:
        """Tell some; give the number of the last post that was looked at, if there was one."""
        async with self._store.begin() as work:
            posts = await work.in_vain(after, POSTERS_TOLD)
        known = [each for each in posts if each.list is not None and each.post is not None]
        written = await self._sealed(
            [about for each in known for about in self._to_poster(each)], now
        )
        if known:
            async with self._store.begin() as work:
                await work.posters_told([each.id for each in known])
                for letter in written:
                    await work.enqueue_letter(letter, now)
                    self._log.event("notice")
        return posts[-1].id if posts else None

    async def _sealed(
        self, letters_to: Sequence[tuple[Words, Member, str]], now: datetime
    ) -> list[Letter]:
        """Write letters, in a thread; who can't have one holds up no other."""
        made = await asyncio.to_thread(
            lambda: [_letter(words, to, address, now) for words, to, address in letters_to]
        )
        for each in made:
            if not isinstance(each, Letter):  # a profile without keys
                self._log.event("notice-fault", error=type(each).__name__)
        return [each for each in made if isinstance(each, Letter)]

    def _to_poster(self, found: InVain) -> list[tuple[Words, Member, str]]:
        """Give the letter about a post to write, if its poster is a member still."""
        if found.list is None or found.post is None or found.poster is None:
            return []
        if not found.poster.is_active:
            return []
        words = letters.in_vain(self._catalogue.of_list(found.list.state), found.post)
        return [(words, found.poster, found.list.state.name)]


async def _troubles(work: Work, list_id: ListId) -> tuple[Troubles | None, tuple[Member, ...]]:
    found = await work.troubles(list_id, NOTICE_LINES)
    return found, () if found is None else await work.administrators(list_id)


def _letter(words: Words, to: Member, address: str, now: datetime) -> Letter | RecryptError:
    try:
        return Letter(to.account, "", write_letter(words, to, address, now=now))
    except RecryptError as problem:
        return problem
