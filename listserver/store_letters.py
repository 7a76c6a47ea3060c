"""What letters, and those who are told by them, ask of the store; a part of `Work`."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from listserver.model import Letter, LetterClaim, LetterRecord, ListId, PostId
from listserver.troubles import InVain, Troubles
from recrypt_core.members import Member


class LetterWork(Protocol):
    """The part of a transaction that notices and letters use.

    What people are told is noted in the transaction that has their letters, and not before.
    """

    # --- what people are told

    async def lists_in_trouble(self, now: datetime, patience: timedelta) -> tuple[ListId, ...]:
        """Find lists with troubles that administrators weren't told, nor others for so long.

        If they were told in vain of late, only after limits.NOTICE_RETRY.
        """
        ...

    async def troubles(self, list_id: ListId, limit: int) -> Troubles | None:
        """Read what the administrators of a list weren't told.

        limit: of copies and of members that are named; the others are counted. None if the list
        can't be read.
        """
        ...

    async def troubles_told(self, list_id: ListId, found: Troubles | None, now: datetime) -> bool:
        """Note that these were told; if it is None, only that it was tried.

        False, and nothing is written, if there are others by now.
        """
        ...

    async def administrators(self, list_id: ListId) -> tuple[Member, ...]:
        """Read the members with ADMIN or SUPER who are ACTIVE.

        Not those whose own mail is off, or who leave or want none for a while, unless all do.
        """
        ...

    async def in_vain(self, after: PostId, limit: int) -> tuple[InVain, ...]:
        """Read posts that reached nobody and whose poster is known and wasn't told, by number."""
        ...

    async def posters_told(self, posts: Collection[PostId]) -> None:
        """Note that their posters were told, or that there is nobody to tell."""
        ...

    # --- letters

    async def check_letter_room(self, letter: Letter) -> None:
        """Fail as `enqueue_letter` would, so that one that isn't written looks the same.

        Raises:
            QueueFull: limits.LETTERS of its kind wait already, or limits.LETTERS_OCTETS; or if its
                list's would have more of that room then than is left for all others.
        """
        ...

    async def enqueue_letter(
        self, letter: Letter, now: datetime, *, tells: ListId | None = None
    ) -> None:
        """Put a letter in the queue.

        tells: the list whose troubles it tells; `troubles_told` has the same `now`.

        Raises:
            QueueFull: as `check_letter_room`.
        """
        ...

    async def claim_letters(self, now: datetime, limit: int) -> tuple[LetterClaim, ...]:
        """Take up to `limit` letters that are due, and count their attempts.

        The operator's mail comes first; of each other kind there is one at least, if there is room
        for it, so that none waits for another's end.
        """
        ...

    async def read_letter(self, claim: LetterClaim) -> Letter:
        """Read a letter.

        Raises:
            NotAuthentic, Malformed: the row is damaged.
        """
        ...

    async def record_letters(self, records: Sequence[LetterRecord], now: datetime) -> None:
        """Write outcomes. A letter that failed here too often is given up too.

        What is given up is erased, but the operator's mail is held, for people to see, while there
        is room: limits.HELD_LETTERS and limits.HELD_OCTETS. A probe that bounced turns its member's
        mail off, if it wasn't forgotten meanwhile, and if the relay host has taken a copy of a post
        since limits.HOST_MEMORY before the probe. What a notice told is untold when the last of its
        letters is given up, if none was taken.
        """
        ...

    async def release_letters(self, now: datetime) -> None:
        """Make due again what was under way when the last server was killed.

        What was under way at two deaths is put off, and at three is given up.
        """
        ...

    async def next_letter_due(self, now: datetime) -> datetime | None:
        """Tell when there is a letter to claim: now, or when the next one is due."""
        ...
