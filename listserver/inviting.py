"""An administrator has invitations mailed to people, who needn't have keys yet (spec §6, Inviting).

Nobody is looked up on the way: a letter to a member is as one to a stranger. No token is kept.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from listserver.addresses import mailbox_of, parse_address
from listserver.invitations import write_invitation
from listserver.join_bounds import note_invited
from listserver.joining import check_mailbox
from listserver.limits import INVITATION_LETTERS, INVITATIONS_PER_LIST
from listserver.model import House, JoinCount, StoredList
from listserver.signers import Signers
from listserver.stopping import check_goes_on
from listserver.store import QueueFull, StoreTrouble, Work
from recrypt_core.errors import Malformed, Refused, Why
from recrypt_core.invitations import Invite, Invited, read_token
from recrypt_core.messages import Response
from recrypt_core.signing import SignedRequest


class Inviting:
    """Puts letters with invitations in the queue."""

    def __init__(self, house: House, signers: Signers, wake: Callable[[], None]) -> None:
        self._house = house
        self._signers = signers
        self._wake = wake

    async def invite(self, request: SignedRequest, message: Invite, now: datetime) -> Response:
        """Mail all of them, or none; an address that has had its letters of the day gets none.

        That isn't told: another list may have invited it.

        Raises:
            Malformed: if one is no mailbox, or no invitation to this group at this service.
            NotAuthentic, Refused: for who isn't an administrator; CONFLICT if the group is closed,
                STOPPED if its operator has stopped it; QUOTA if it has invited too many today.
            StoreTrouble: if there is no room for the letters.
        """
        try:
            async with self._signers.administered(request, message.group_id, now) as (work, found):
                if found.state.is_closed:
                    raise Refused(Why.CONFLICT, "the group is closed for good: nobody can join it")
                await check_goes_on(work, found)
                for each in message.invitations:
                    await self._check(work, found, each)
                for each in message.invitations:
                    await self._put(work, found, each, now)
        except QueueFull:
            raise StoreTrouble("the queue of letters is full") from None
        self._wake()
        return Response()

    async def _check(self, work: Work, found: StoredList, invited: Invited) -> None:
        await check_mailbox(work, self._house, invited.account_name)
        stated = read_token(invited.token)
        here = (found.state.name, self._house.public_url, found.state.identifier)
        if (stated.group_name, stated.service, stated.identifier) != here:
            raise Malformed("an invitation to another group, or at another service")

    async def _put(self, work: Work, found: StoredList, invited: Invited, now: datetime) -> None:
        group, address = found.state, invited.account_name
        if await work.count_join(JoinCount.INVITING, group.identifier, now) > INVITATIONS_PER_LIST:
            raise Refused(
                Why.QUOTA, "the list has invited as many as it may on a day: go on tomorrow (UTC)"
            )
        await note_invited(work, found, address, now)
        mailbox = mailbox_of(parse_address(address))
        if await work.count_join(JoinCount.INVITED, mailbox, now) <= INVITATION_LETTERS:
            texts = self._house.catalogue.of_list(group)
            letter = write_invitation(texts, address, invited.token, now=now)
            await work.enqueue_letter(replace(letter, list_id=found.id), now)
