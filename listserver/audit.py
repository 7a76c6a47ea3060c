"""The log of RecryptData: administrators read it, and what is old is erased (spec §6)."""

from datetime import datetime, timedelta

from listserver.erasing import ErasingTime
from listserver.ports import Clock
from listserver.signers import Signers
from listserver.store import Store
from recrypt_core import messages
from recrypt_core.signing import SignedRequest


class Audit:
    """Shows the log to who administers the list."""

    def __init__(self, signers: Signers) -> None:
        self._signers = signers

    async def page(
        self, request: SignedRequest, message: messages.GetAudit, now: datetime
    ) -> messages.GetAuditResponse:
        """Tell an administrator a page of the log, the oldest first.

        Raises:
            NotAuthentic, Refused: for anyone else.
        """
        async with self._signers.administered(request, message.group_id, now) as (work, found):
            entries, more = await work.audit_after(found.id, message.after, message.limit)
        return messages.GetAuditResponse(entries=entries, next=entries[-1].seq if more else None)


class AuditKeeping:
    """Erases what was kept long enough: a chore of the house."""

    def __init__(self, store: Store, clock: Clock, time: ErasingTime, keep: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._time = time
        self._keep = keep

    async def erase_old(self) -> None:
        """Erase rows of the log that are too old, and counts of days that are over."""
        until, now = await self._time.now(), self._clock.now()
        async with self._store.begin() as work:
            await work.erase_audit(now, self._keep + (now - until))
