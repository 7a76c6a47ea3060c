"""What joining asks of the store; a part of `Work` in listserver.store."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from listserver.model import Applicant, Join, JoinCount, JoinState, ListId
from recrypt_core.records import JoinRequest
from recrypt_core.udf import Udf


class JoinWork(Protocol):
    """The part of a transaction that joining uses. A request is kept only while it is open."""

    async def count_join(self, of: JoinCount, what: str, now: datetime, *, times: int = 1) -> int:
        """Count one more on this day (UTC) of an address, a list or a signer; give how many.

        times: as how many it counts.
        """
        ...

    async def put_asked(
        self, list_id: ListId, token: str, applicant: Applicant, *, now: datetime, until: datetime
    ) -> None:
        """Write a new request, to be found again by its token alone."""
        ...

    async def join_of_token(self, token: str, now: datetime) -> Join | None:
        """Find the open request whose token this is, unless it was good until earlier."""
        ...

    async def put_confirmed(
        self, token: str, *, now: datetime, until: datetime, quietly: bool = False
    ) -> None:
        """Let a request wait for a decision; an earlier one of the same applicant ends.

        Administrators are told of it, unless they were of the earlier one; quietly: not at all.
        """
        ...

    async def counted(self, of: JoinCount, what: str, now: datetime, *, days: int = 1) -> int:
        """Tell how many were counted on this day and those before it, so many days in all."""
        ...

    async def waiting_joins(
        self, list_id: ListId, now: datetime, *, site: str | None = None
    ) -> int:
        """Count the requests that wait for a decision; site: those of its addresses alone."""
        ...

    async def joins_after(
        self, list_id: ListId, after: Udf | None, now: datetime, *, octets: int
    ) -> tuple[tuple[JoinRequest, ...], bool]:
        """Read a page of those, in an order that tells nothing; `after` needn't wait.

        It holds about `octets` in all. True if there are more.
        """
        ...

    async def end_joins(
        self, list_id: ListId, applicants: Collection[Udf], states: Collection[JoinState]
    ) -> int:
        """Erase the open requests of these applicants in these states; count them."""
        ...

    async def erase_joins(self, now: datetime) -> None:
        """Erase requests whose time is over, and counts of days that are."""
        ...
