"""What holding posts asks of the store; a part of `Work` in listserver.store."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from listserver.held import Held, HeldState, Share
from listserver.model import ListId, Readers, StoredPost
from recrypt_core.envelope import Envelope
from recrypt_core.moderation import HeldName, HeldPost
from recrypt_core.udf import Udf


class HoldWork(Protocol):
    """The part of a transaction that moderation uses."""

    async def moderators(self, list_id: ListId, key: Udf) -> Readers:
        """Find, of the readers of a post to a group key, those with ADMIN or SUPER."""
        ...

    async def next_held(self, list_id: ListId) -> int:
        """Give the number of the list's next held post."""
        ...

    async def shares_held(self, list_id: ListId) -> Mapping[Share, int]:
        """Count what waits for a decision, by share; none of a share that isn't there."""
        ...

    async def hold(
        self,
        moderators: Readers,
        post: StoredPost,
        envelope: Envelope,
        *,
        until: datetime,
        share: Share | None,
    ) -> None:
        """Put a held post in the queue for the moderators alone, to wait for a decision.

        It was numbered in this transaction. Its ciphertext is kept until the decision. One without
        a share doesn't wait: it goes to nobody, and is erased soon.
        """
        ...

    async def held_after(
        self, list_id: ListId, after: int, limit: int
    ) -> tuple[tuple[HeldPost, ...], bool]:
        """Read up to `limit` posts that wait, from number `after` + 1 on. True if there are more.

        One whose row is damaged has the time of its end as its beginning, and no sender.
        """
        ...

    async def held(self, list_id: ListId, name: HeldName) -> Held | None:
        """Find a post that waits, or that was decided about of late; None if it has another cid."""
        ...

    async def end_held(self, held: Held, state: HeldState) -> None:
        """Write what was decided: no more copies go to moderators, and what is kept is erased.

        What is EXPIRED the list hasn't had: it may be sent again.
        """
        ...

    async def overdue_held(self, until: datetime, limit: int) -> tuple[Held, ...]:
        """Find posts that wait still, of which the time was over at a time."""
        ...

    async def forget_held(self, until: datetime) -> None:
        """Erase the rows of what was decided about, and was to be over long before a time."""
        ...
