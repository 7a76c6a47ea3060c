"""Who at the server takes a mail: a `Reception` of listserver.ports, by the address's role."""

from listserver.addresses import ListAddress, Role
from listserver.bouncing import Bouncing
from listserver.forwarding import Forwarding
from listserver.front_desk import FrontDesk
from listserver.owner_mail import OwnerMail
from listserver.posting import Posting
from listserver.replies import Reply


class Receiving:
    """Hands each mail to the flow that its address names."""

    def __init__(
        self,
        posting: Posting,
        bouncing: Bouncing,
        forwarding: Forwarding,
        desk: FrontDesk,
        owner_mail: OwnerMail,
    ) -> None:
        self._posting = posting
        self._bouncing = bouncing
        self._forwarding = forwarding
        self._desk = desk
        self._owner_mail = owner_mail

    async def recipient(self, to: ListAddress) -> Reply:
        """Answer RCPT by the address alone, and nothing else (spec §7)."""
        if to.role is Role.OPERATOR:
            return self._forwarding.recipient()
        return await self._posting.recipient(to)

    async def receive(self, raw: bytes, to: ListAddress, *, sender: str) -> Reply:
        """Take a mail, or say why not."""
        match to.role:
            case Role.POST:
                return await self._posting.receive(raw, to, sender=sender)
            case Role.BOUNCES:
                return await self._bouncing.receive(raw, to)
            case Role.OPERATOR:
                return await self._forwarding.receive(raw)
            case Role.OWNER:
                return await self._owner_mail.receive(raw, to, sender=sender)
        # What counts is the end of DATA: the list may have been closed meanwhile.
        reply = await self._posting.recipient(to)
        return await self._desk.receive(raw, to, sender=sender) if reply.positive else reply
