"""Send a member what a group had since a time: no change, and as unread as before (spec §6)."""

from collections.abc import Callable
from datetime import datetime

from listserver.model import StoredList
from listserver.signers import Signers
from listserver.store import Work
from recrypt_core import messages
from recrypt_core.documents import Privilege
from recrypt_core.errors import Malformed, Refused, Why
from recrypt_core.signing import SignedRequest
from recrypt_core.udf import Udf


class Redelivering:
    """Puts the posts that are kept in the queue again."""

    def __init__(self, signers: Signers, wake: Callable[[], None]) -> None:
        self._signers = signers
        self._wake = wake

    async def redeliver(
        self, request: SignedRequest, message: messages.Redeliver, now: datetime
    ) -> messages.RedeliverResponse:
        """Send a member what was missed.

        Raises:
            NotAuthentic, Refused: for who isn't an administrator; Refused too if the member isn't
                to have anything.
            Malformed: for a Since in the future.
        """
        async with self._signers.administered(request, message.group_id, now) as (work, found):
            if message.since > now:
                raise Malformed("a Since in the future: check this machine's clock")
            await _check_served(work, found, message.recrypt_udf)
            posts = await work.redeliver(found.id, message.recrypt_udf, message.since, now)
        if posts:
            self._wake()
        return messages.RedeliverResponse(posts=posts)


async def _check_served(work: Work, found: StoredList, udf: Udf) -> None:
    """Refuse to send anything to who isn't to have it."""
    named = await work.named(found.id, [udf])
    if not named:
        raise Refused(Why.UNKNOWN, "no member of the group has that RecryptUDF: fetch its members")
    ((member, _),) = named
    if not member.may(Privilege.RECRYPT):
        raise Refused(
            Why.CONFLICT,
            "only an ACTIVE member with RECRYPT can be sent anything: resume the member first",
        )
    if await work.undeliverable(found.id, [udf]):
        raise Refused(
            Why.CONFLICT, "mail to the member is off after bounces: resume the member first"
        )
    if not await work.wants_mail(found.id, udf):
        raise Refused(Why.CONFLICT, "the member wants no mail now, or has left: nothing is sent")
