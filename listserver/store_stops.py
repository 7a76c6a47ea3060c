"""What a list's stop and its end ask of the store; a part of `Work` in listserver.store."""

from datetime import datetime
from typing import Protocol

from listserver.model import ListId


class StopWork(Protocol):
    """The part of a transaction for lists that are stopped for a while, or closed for good."""

    async def is_suspended(self, list_id: ListId) -> bool:
        """Tell whether the operator has stopped a list for now."""
        ...

    async def stopped(self, list_id: ListId) -> datetime | None:
        """Tell since when the operator has stopped a list for now."""
        ...

    async def end_list(self, list_id: ListId, until: datetime) -> None:
        """Note that a list is closed for good: its halves are to be erased after a time.

        Who waits to be a member of it is forgotten at once.
        """
        ...

    async def erase_ended(self, until: datetime) -> bool:
        """Erase some halves of closed lists whose time is over; True if there may be more.

        But for as long as a copy of a post to such a list is to be sent or is held, it keeps them.
        """
        ...
