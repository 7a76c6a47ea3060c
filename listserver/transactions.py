"""One request, one answer: read it, hand it to the flow that answers it, or refuse (spec §6)."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from listserver import quick
from listserver.audit import Audit
from listserver.groups import Groups
from listserver.holding import Holding
from listserver.inviting import Inviting
from listserver.joining import Joining
from listserver.limits import SHORT_REQUEST_OCTETS
from listserver.lookups import Lookups
from listserver.model import House
from listserver.ports import Clock, Log
from listserver.profiles import Profiles
from listserver.recrypting import Recrypting
from listserver.redelivering import Redelivering
from listserver.signers import Signers, authentic
from listserver.store import Store, StoreTrouble
from listserver.wishes import Wishes
from recrypt_core import messages
from recrypt_core.documents import Head, Status
from recrypt_core.encoding import read_b64url
from recrypt_core.errors import (
    Malformed,
    NotAuthentic,
    NotForThisKey,
    RecryptError,
    Refused,
    TooLarge,
    Why,
)
from recrypt_core.invitations import Invite
from recrypt_core.messages import Response
from recrypt_core.moderation import Decide, Decision, GetHeld
from recrypt_core.signing import SignedRequest, read_request
from recrypt_core.wishes import SetMail

_DISK_FULL: Final = Response(
    status=503, status_description="The server's disk is nearly full; try again later."
)
_STATUS: Final = {
    Why.FORBIDDEN: 403, Why.UNKNOWN: 404, Why.CONFLICT: 409, Why.QUOTA: 429, Why.STOPPED: 503,
}  # fmt: skip


class Transactions:
    """Answers the service's requests; no exception of the core leaves it."""

    def __init__(
        self, house: House, store: Store, clock: Clock, log: Log, *, wake: Callable[[], None]
    ) -> None:
        """Answer for a house; `wake` is called when there is a new post or letter in a queue."""
        self._store = store
        self._clock = clock
        self._log = log
        signers = Signers(house, store)
        self.on_greeting: Callable[[], None] = lambda: None
        """Called when members may be to be told of their new status, or administrators who left."""
        self._groups = Groups(house, store)
        self._groups.on_greeting = lambda: self.on_greeting()
        self._profiles = Profiles(house, store)
        self._wishes = Wishes(house, store)
        self._lookups = Lookups(house, store, signers)
        self._redelivering = Redelivering(signers, wake)
        self._recrypting = Recrypting(house, store)
        self._audit = Audit(signers)
        self._joining = Joining(house, store, signers, wake)
        self._inviting = Inviting(house, signers, wake)
        self._holding = Holding(house, store, signers, wake)

    async def answer(
        self, body: bytes, *, signed: bool, has_room: bool = True
    ) -> tuple[str, Response]:
        """Give the name of the transaction and its response; the Status is in it.

        Args:
            body: At most limits.REQUEST_OCTETS, believed in nothing.
            signed: Whether it came as `application/jose+json`.
            has_room: Whether the store may be added to; else only what leaves it as large is done.
        """
        name = messages.ANY
        try:
            request, opened = await quick.done(
                lambda: _open(body, signed), len(body), quick=SHORT_REQUEST_OCTETS
            )
            name = opened.transaction
            if request is None:
                response = await self._plain(opened.read(), self._clock.now())
            else:
                response = await self._signed(request, opened, self._clock.now(), has_room=has_room)
        except (RecryptError, StoreTrouble) as problem:
            response = refusal(problem)
        self._log.event("transaction", kind=name, status=response.status)
        return name, response

    async def _plain(self, message: messages.Request, now: datetime) -> Response:
        """Answer what isn't signed; the Answer of a ConfirmJoin is."""
        match message:
            case messages.Hello():
                return self._lookups.hello()
            case messages.GetKey():
                return await self._lookups.key(message)
            case messages.ConfirmJoin():
                return await self._joining.confirm(message, now)
            case _:
                raise NotAuthentic(f"{message.transaction} must be signed (application/jose+json)")

    async def _signed(
        self,
        request: SignedRequest,
        opened: messages.UnreadRequest,
        now: datetime,
        *,
        has_room: bool,
    ) -> Response:
        try:
            size = len(request.jws.payload)
            message = await quick.done(opened.read, size, quick=SHORT_REQUEST_OCTETS)
            if not has_room and _adds(message):
                await self._check_signer(request, opened)
                return _DISK_FULL
            return await self._answered(request, message, now)
        except Malformed:
            await self._check_signer(request, opened)
            raise

    async def _check_signer(self, request: SignedRequest, opened: messages.UnreadRequest) -> None:
        """Refuse a stranger, whatever is asked (spec §5); but anyone may try to create a group."""
        if opened.kind is not messages.CreateGroup and opened.group_id is not None:
            async with self._store.begin() as work:
                await authentic(work, request, opened.group_id, newest=not _is_change(opened))

    async def _answered(
        self, request: SignedRequest, message: messages.Request, now: datetime
    ) -> Response:
        """Hand a signed request to the room that answers it."""
        match message:
            case (
                messages.CreateGroup()
                | messages.AddMember()
                | messages.UpdateMember()
                | messages.UpdateGroup()
            ):
                return messages.ChangeResponse(head=await self._change(request, message, now))
            case (
                messages.GetGroup()
                | messages.GetChanges()
                | messages.GetEntry()
                | messages.GetAudit()
            ):
                return await self._look_up(request, message, now)
            case messages.Redeliver() | GetHeld() | Decide():
                return await self._of_posts(request, message, now)
            case messages.UpdateProfile() | SetMail():
                return await self._of_own(request, message, now)
            case messages.RecryptData():
                return await self._recrypting.recrypt(request, message, now)
            case messages.JoinGroup() | messages.GetJoinRequests() | messages.DenyJoin() | Invite():
                return await self._join(request, message, now)
            case messages.Hello() | messages.GetKey() | messages.ConfirmJoin():
                raise Malformed(f"{message.transaction} is not signed: send it as application/json")

    async def _of_posts(
        self, request: SignedRequest, message: messages.Redeliver | GetHeld | Decide, now: datetime
    ) -> Response:
        """Hand on what an administrator asks about posts."""
        match message:
            case messages.Redeliver():
                return await self._redelivering.redeliver(request, message, now)
            case GetHeld():
                return await self._holding.waiting(request, message, now)
            case Decide():
                return await self._holding.decide(request, message, now)

    async def _of_own(
        self, request: SignedRequest, message: messages.UpdateProfile | SetMail, now: datetime
    ) -> Response:
        """Hand on what a member says of itself."""
        match message:
            case messages.UpdateProfile():
                return await self._profiles.update(request, message, now)
            case SetMail():
                answer = await self._wishes.set_mail(request, message, now)
                self.on_greeting()
                return answer

    async def _change(
        self, request: SignedRequest, message: messages.Change, now: datetime
    ) -> Head:
        match message:
            case messages.CreateGroup():
                return await self._groups.create(request, message, now)
            case messages.AddMember() | messages.UpdateMember():
                return await self._groups.change_members(request, message, now)
            case messages.UpdateGroup():
                return await self._groups.update(request, message, now)

    async def _join(
        self,
        request: SignedRequest,
        message: messages.JoinGroup | messages.GetJoinRequests | messages.DenyJoin | Invite,
        now: datetime,
    ) -> Response:
        match message:
            case messages.JoinGroup():
                return await self._joining.ask(request, message, now)
            case messages.GetJoinRequests():
                return await self._joining.requests(request, message, now)
            case messages.DenyJoin():
                return await self._joining.deny(request, message, now)
            case Invite():
                return await self._inviting.invite(request, message, now)

    async def _look_up(
        self,
        request: SignedRequest,
        message: messages.GetGroup | messages.GetChanges | messages.GetEntry | messages.GetAudit,
        now: datetime,
    ) -> Response:
        match message:
            case messages.GetGroup():
                return await self._lookups.group(request, message, now)
            case messages.GetChanges():
                return await self._lookups.changes(request, message, now)
            case messages.GetEntry():
                return await self._lookups.entries(request, message, now)
            case messages.GetAudit():
                return await self._audit.page(request, message, now)


def _is_change(opened: messages.UnreadRequest) -> bool:
    return issubclass(opened.kind, messages.Change)


def _adds(message: messages.Request) -> bool:
    """Tell whether a request adds to the store; to stop a member is possible on a full disk."""
    match message:
        case messages.CreateGroup() | messages.AddMember() | messages.JoinGroup() | Invite():
            return True
        case messages.UpdateProfile() | messages.Redeliver() | messages.RecryptData():
            return True  # to all its lists; to the queue; to its log, as it isn't done unlogged
        case Decide():
            return message.decision is not Decision.DISCARD
        case messages.UpdateGroup():
            return message.recryption_group.administrator_keys is not None
        case messages.UpdateMember():
            return any(entry.status is Status.ACTIVE for entry in message.member_entry)
        case _:
            return False


def refusal(problem: RecryptError | StoreTrouble) -> Response:
    """Give the answer to a request that failed; it reveals nothing about members (spec §6)."""
    match problem:
        case TooLarge():
            return Response(status=413, status_description=f"Too large: {problem}.")
        case Malformed():
            return Response(status=400, status_description=f"Malformed: {problem}.")
        case NotAuthentic() | NotForThisKey():
            return Response(status=401, status_description=f"Not authentic: {problem}.")
        case Refused():
            return Response(status=_STATUS[problem.why], status_description=f"Refused: {problem}.")
        case _:
            return Response(status=503, status_description="Trouble here: try again later.")


def _open(body: bytes, signed: bool) -> tuple[SignedRequest | None, messages.UnreadRequest]:
    """Read a request and its name; 8 MiB take a while."""
    request = read_request(body) if signed else None
    return request, messages.open_message(
        body if request is None else read_b64url(request.jws.payload)
    )
