"""One request, one answer: who asks, what for, and the transactions that only read (spec §6)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from listserver.groups import Groups, authentic, take_fresh
from listserver.limits import PAGE_OCTETS
from listserver.model import House, StoredList
from listserver.ports import Clock, Log
from listserver.store import Store, StoreTrouble, Work
from recrypt_core import limits, messages
from recrypt_core.documents import Privilege
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
from recrypt_core.keys import Curve
from recrypt_core.messages import Response
from recrypt_core.signing import SignedRequest, read_request

_STATUS: Final = {Why.FORBIDDEN: 403, Why.UNKNOWN: 404, Why.CONFLICT: 409}


class Transactions:
    """Answers the service's requests; no exception of the core leaves it."""

    def __init__(self, house: House, store: Store, clock: Clock, log: Log) -> None:
        self._house = house
        self._store = store
        self._clock = clock
        self._log = log
        self._groups = Groups(house, store)

    async def answer(self, body: bytes, *, signed: bool) -> tuple[str, Response]:
        """Give the name of the transaction and its response; the Status is in it.

        Args:
            body: At most limits.REQUEST_OCTETS, believed in nothing.
            signed: Whether it came as `application/jose+json`.
        """
        name = messages.ANY
        try:
            request, opened = await asyncio.to_thread(_open, body, signed)
            name = opened.transaction
            if request is None:
                response = await self._plain(opened.read())
            else:
                response = await self._signed(request, opened, self._clock.now())
        except (RecryptError, StoreTrouble) as problem:
            response = refusal(problem)
        self._log.event("transaction", kind=name, status=response.status)
        return name, response

    async def _plain(self, message: messages.Request) -> Response:
        match message:
            case messages.Hello():
                return self._hello()
            case messages.GetKey():
                return await self._get_key(message)
            case _:
                raise NotAuthentic(f"{message.transaction} must be signed (application/jose+json)")

    async def _signed(
        self, request: SignedRequest, opened: messages.UnreadRequest, now: datetime
    ) -> Response:
        try:
            message = await asyncio.to_thread(opened.read)
            return await self._answered(request, message, now)
        except Malformed:
            await self._check_signer(request, opened)
            raise

    async def _check_signer(self, request: SignedRequest, opened: messages.UnreadRequest) -> None:
        """Refuse a stranger, whatever is asked (spec §5); but anyone may try to create a group."""
        if opened.kind is not messages.CreateGroup and opened.group_id is not None:
            async with self._store.begin() as work:
                await authentic(work, request, opened.group_id)

    async def _answered(
        self, request: SignedRequest, message: messages.Request, now: datetime
    ) -> Response:
        match message:
            case messages.CreateGroup():
                head = await self._groups.create(request, message, now)
                return messages.ChangeResponse(head=head)
            case messages.AddMember() | messages.UpdateMember():
                head = await self._groups.change_members(request, message, now)
                return messages.ChangeResponse(head=head)
            case messages.GetGroup():
                return await self._get_group(request, message, now)
            case messages.GetChanges():
                return await self._get_changes(request, message, now)
            case messages.UpdateGroup():
                raise Malformed("UpdateGroup is not offered by this service")
            case messages.Hello() | messages.GetKey():
                raise Malformed(f"{message.transaction} is not signed: send it as application/json")

    def _hello(self) -> Response:
        return messages.HelloResponse(
            version=messages.Version(major=1, minor=0),
            algorithms=tuple(curve.value for curve in Curve),
            encodings=("JSON",),
            limits=messages.ServiceLimits(
                request_octets=limits.REQUEST_OCTETS,
                request_entries=limits.REQUEST_ENTRIES,
                post_octets=self._house.post_octets,
            ),
        )

    async def _get_key(self, message: messages.GetKey) -> Response:
        async with self._store.begin() as work:
            found = await work.find_list(message.group_id)
        if found is None:
            raise Refused(Why.UNKNOWN, "there is no such group here: check its name")
        state = found.state
        return messages.GetKeyResponse(signed_key=state.key.signed, master=state.master.signed)

    async def _get_group(
        self, request: SignedRequest, message: messages.GetGroup, now: datetime
    ) -> Response:
        async with self._administered(request, message.group_id, now) as (work, found):
            members, more = await work.members_after(
                found.id, message.after, message.limit, octets=PAGE_OCTETS
            )
        return messages.GetGroupResponse(
            recryption_group=found.state.document(members),
            next=members[-1].recrypt_udf if more else None,
            head=found.state.head,
        )

    async def _get_changes(
        self, request: SignedRequest, message: messages.GetChanges, now: datetime
    ) -> Response:
        async with self._administered(request, message.group_id, now) as (work, found):
            changes = await work.changes_after(
                found.id, message.after, message.limit, octets=PAGE_OCTETS
            )
        return messages.GetChangesResponse(changes=changes, head=found.state.head)

    @asynccontextmanager
    async def _administered(
        self, request: SignedRequest, group: str, now: datetime
    ) -> AsyncIterator[tuple[Work, StoredList]]:
        """Begin a transaction about a list for one who administers it."""
        async with self._store.begin() as work:
            found = await authentic(work, request, group)
            await take_fresh(work, request, self._house.public_url, now)
            if not found.state.may(request.signer, Privilege.ADMIN, Privilege.SUPER):
                raise Refused(Why.FORBIDDEN, "only an ACTIVE ADMIN or SUPER may do that")
            yield work, found


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
    """Read a request and its name; for a thread of its own, as 8 MiB take a while."""
    request = read_request(body) if signed else None
    return request, messages.open_message(
        body if request is None else read_b64url(request.jws.payload)
    )
