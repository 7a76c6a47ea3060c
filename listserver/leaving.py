"""A member leaves, or stays after all, by a token that only a copy or a letter to it has (spec §7).

Whoever asks hears the same, after the same work: a copy may have been passed on, so its token is no
proof of who asks, and is to tell nothing of where the member stands.
"""

import asyncio
from collections.abc import Callable

from listserver import letters
from listserver.erasing import ErasingTime
from listserver.letters import write_letter
from listserver.limits import LEAVE_PATIENCE, LEFT_AT_ONCE
from listserver.links import STAY_PAGE, unsubscribe_address
from listserver.model import House, Letter, MemberId, PostId, StoredList
from listserver.ports import Clock, Log
from listserver.store import Store
from listserver.store_leaving import Leaver
from listserver.tokens import LeaveToken, OwnToken, StayToken, read_own_token, write_token
from listserver.vault import Vault
from recrypt_core.errors import Malformed, RecryptError

_NOBODY = LeaveToken(PostId(0), MemberId(0))  # whom a token that isn't ours is taken to be of


class Leaving:
    """Sends a member who is to leave nothing more, and lets that be undone for a week."""

    def __init__(self, house: House, store: Store, vault: Vault, clock: Clock, log: Log) -> None:
        self._house = house
        self._store = store
        self._vault = vault
        self._clock = clock
        self._log = log
        self.on_asked: Callable[[], None] = lambda: None
        """Called when somebody may be to be written to."""
        self.on_written: Callable[[], None] = lambda: None
        """Called when there may be letters in the queue."""

    async def of_token(self, token: str) -> StoredList | None:
        """Find the list that a token of either kind is of; None if it isn't ours.

        It doesn't tell where the member stands.
        """
        async with self._store.begin() as work:
            return await work.list_of_member(self._read(token).member)

    async def ask(self, token: str) -> None:
        """Send a member nothing more from now on; it will be written how that is undone.

        It is final after limits.LEAVE_PATIENCE. A letter's token undoes it instead, as its mail
        address is of -unsubscribe too. Nothing comes of a token that isn't ours, or is of a copy
        from before the member stayed, nor of one who leaves already; it takes as long.

        Raises:
            StoreTrouble: nothing was done; who asks may try again.
        """
        match self._read(token):
            case LeaveToken(_, member, stays):
                async with self._store.begin() as work:
                    await work.ask_to_leave(member, stays, self._clock.now())
            case StayToken(asked, member):
                async with self._store.begin() as work:
                    await work.stay(member, asked)
        self.on_asked()

    async def undo(self, token: str) -> None:
        """Send mail again to who was to leave, by the token of the letter about it; as `ask`.

        Raises:
            StoreTrouble: nothing was done; who asks may try again.
        """
        if isinstance(self._read(token), StayToken):
            await self.ask(token)
        else:  # a copy's token does nothing here, in the same time
            await self.ask("")

    async def write_some(self) -> bool:
        """Write to one who was to leave how that is undone: a chore. False if nobody waits.

        Raises:
            QueueFull: who is left has no mail already, and is written to in the next round.
        """
        async with self._store.begin() as work:
            leaver = await work.next_leaver()
        if leaver is None:
            return False
        letter = await asyncio.to_thread(self._letter, leaver)
        async with self._store.begin() as work:
            if await work.leaver_told(leaver) and letter is not None:
                await work.enqueue_letter(letter, self._clock.now())
        self._log.event("leave-asked" if letter else "leave-fault")
        self.on_written()
        return True

    def _read(self, token: str) -> OwnToken:
        try:
            return read_own_token(self._vault, token)
        except Malformed:
            return _NOBODY

    def _letter(self, leaver: Leaver) -> Letter | None:
        """Seal the letter to the member; a profile without keys can have none."""
        address = leaver.list.state.name
        token = write_token(self._vault, StayToken(leaver.asked, leaver.id))
        page = f"{self._house.public_url}{STAY_PAGE}{token}"
        texts = self._house.catalogue.of_list(leaver.list.state)
        words = letters.leaving(texts, page, unsubscribe_address(address, token))
        try:
            octets = write_letter(words, leaver.member, address, now=self._clock.now())
        except RecryptError:
            return None
        return Letter(leaver.member.account, "", octets, list_id=leaver.list.id)


class LeaveKeeping:
    """Lets those have left who didn't stay in time: a chore of the house."""

    def __init__(self, store: Store, time: ErasingTime, log: Log) -> None:
        self._store = store
        self._time = time
        self._log = log

    async def make_final(self) -> bool:
        """Do it; a clock that jumps ahead does it to nobody. True if there may be more."""
        until = await self._time.now() - LEAVE_PATIENCE
        async with self._store.begin() as work:
            ended = await work.end_leaving(until, LEFT_AT_ONCE)
        if ended:
            self._log.event("left", members=ended)
        return ended == LEFT_AT_ONCE
