"""Who at the server takes a mail: a `Reception` of listserver.ports, by the address's role."""

from listserver import replies
from listserver.addresses import ListAddress, Role
from listserver.bouncing import Bouncing
from listserver.forwarding import Forwarding
from listserver.posting import Posting
from listserver.replies import Reply


class Receiving:
    """Hands each mail to the flow that its address names."""

    def __init__(self, posting: Posting, bouncing: Bouncing, forwarding: Forwarding) -> None:
        self._posting = posting
        self._bouncing = bouncing
        self._forwarding = forwarding

    async def recipient(self, to: ListAddress) -> Reply:
        """Answer RCPT by the address alone, and nothing else (spec §7)."""
        match to.role:
            case Role.POST | Role.BOUNCES:
                return await self._posting.recipient(to)
            case Role.OPERATOR:
                return self._forwarding.recipient()
        return replies.NO_SUCH_LIST

    async def receive(self, raw: bytes, to: ListAddress, *, null_sender: bool) -> Reply:
        """Take a mail, or say why not."""
        match to.role:
            case Role.POST:
                return await self._posting.receive(raw, to, null_sender=null_sender)
            case Role.BOUNCES:
                return await self._bouncing.receive(raw, to)
            case Role.OPERATOR:
                return await self._forwarding.receive(raw)
        return replies.NO_SUCH_LIST
