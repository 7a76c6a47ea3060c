"""What RecryptData and its log ask of the store; a part of `Work` in listserver.store."""

from datetime import datetime, timedelta
from typing import Protocol

from listserver.model import Asked, HeldEntry, ListId, MemberId, Recryptions
from recrypt_core.records import AuditEntry
from recrypt_core.udf import Udf


class AuditWork(Protocol):
    """The part of a transaction that RecryptData uses."""

    async def entry_by_half(self, member_key: Udf) -> HeldEntry | None:
        """Find the entry with this X; where there is none, any other one. None if there is none.

        So that it takes as long: the caller must compare. Its member has its newest profile.
        """
        ...

    async def recryptions(
        self, list_id: ListId, member: MemberId | None, now: datetime
    ) -> Recryptions:
        """Tell what was counted today (UTC) of a member; None: of all members of the list."""
        ...

    async def audit(self, list_id: ListId, member: MemberId, asked: Asked) -> None:
        """Write a row of the audit log, and count it."""
        ...

    async def audit_after(
        self, list_id: ListId, after: int, limit: int
    ) -> tuple[tuple[AuditEntry, ...], bool]:
        """Read up to `limit` rows of the log from seq `after` + 1 on. True if there are more."""
        ...

    async def erase_audit(self, now: datetime, keep: timedelta) -> None:
        """Erase rows of the log that were kept for so long, and counts of days that are over."""
        ...
