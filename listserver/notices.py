"""Tell people what went wrong, in mail that is sealed to them: administrators, and posters.

Nobody is told anything about a post that was refused: its sender had the words in the dialogue. And
nobody whose address wasn't proven: mail to forged senders is an attack on them.
"""

from collections.abc import Callable
from datetime import datetime

from listserver import letters
from listserver.letters import Words, write_letter
from listserver.limits import LETTERS, NOTICE_LINES, NOTICE_PATIENCE, POSTERS_TOLD
from listserver.model import Letter, ListId, StoredList, StoredPost
from listserver.ports import Clock, Log
from listserver.store import Store, Work
from recrypt_core.chain import Member
from recrypt_core.errors import RecryptError


class Notices:
    """Puts letters in the queue."""

    def __init__(self, store: Store, clock: Clock, log: Log, written: Callable[[], None]) -> None:
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
        for list_id in lists:
            async with self._store.begin() as work:
                await self._tell_administrators(work, list_id, now)
        async with self._store.begin() as work:
            for stored, post in await work.take_in_vain(POSTERS_TOLD):
                try:
                    await self._tell_poster(work, stored, post, now)
                except RecryptError as problem:  # a row that can't be read holds up no other
                    self._log.event("notice-fault", error=type(problem).__name__)
        self._written()

    async def _tell_administrators(self, work: Work, list_id: ListId, now: datetime) -> None:
        found = await work.take_troubles(list_id, now, NOTICE_LINES)
        if found is None:
            return
        words = letters.troubles(found)
        for member in await work.administrators(list_id):
            await self._send(work, words, member, found.list, now)

    async def _tell_poster(
        self, work: Work, stored: StoredList, post: StoredPost, now: datetime
    ) -> None:
        named = () if post.poster is None else await work.named(stored.id, [post.poster])
        for member, _ in named:
            if member.is_active:
                await self._send(work, letters.in_vain(post), member, stored, now)

    async def _send(
        self, work: Work, words: Words, to: Member, stored: StoredList, now: datetime
    ) -> None:
        try:
            octets = write_letter(words, to, stored.state.name, now=now)
        except RecryptError as problem:  # a profile without keys: the others are told all the same
            self._log.event("notice-fault", error=type(problem).__name__)
            return
        await work.enqueue_letter(Letter(to.account, "", octets), now, most=LETTERS)
        self._log.event("notice")
