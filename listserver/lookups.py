"""What the service only tells: itself, keys, groups, chains, a member's own entries (spec §6)."""

from collections.abc import Iterable
from datetime import datetime

from listserver.limits import PAGE_OCTETS
from listserver.model import House
from listserver.signers import Signers
from listserver.store import Store
from recrypt_core import limits, messages, records
from recrypt_core.errors import Refused, Why
from recrypt_core.keys import Curve
from recrypt_core.members import Member
from recrypt_core.signing import SignedRequest
from recrypt_core.udf import Udf


class Lookups:
    """Answers what is only read."""

    def __init__(self, house: House, store: Store, signers: Signers) -> None:
        self._house = house
        self._store = store
        self._signers = signers

    def hello(self) -> messages.HelloResponse:
        """Tell what the service is."""
        return messages.HelloResponse(
            version=records.Version(major=1, minor=0),
            algorithms=tuple(curve.value for curve in Curve),
            encodings=("JSON",),
            limits=records.ServiceLimits(
                request_octets=limits.REQUEST_OCTETS,
                request_entries=limits.REQUEST_ENTRIES,
                post_octets=self._house.post_octets,
            ),
        )

    async def key(self, message: messages.GetKey) -> messages.GetKeyResponse:
        """Tell anyone a group's signed key.

        Raises:
            Refused: UNKNOWN if there is no such group.
        """
        async with self._store.begin() as work:
            found = await work.find_list(message.group_id)
        if found is None:
            raise Refused(Why.UNKNOWN, "there is no such group here: check its name")
        state = found.state
        return messages.GetKeyResponse(signed_key=state.key.signed, master=state.master.signed)

    async def group(
        self, request: SignedRequest, message: messages.GetGroup, now: datetime
    ) -> messages.GetGroupResponse:
        """Tell an administrator the group and a page of its members.

        Raises:
            NotAuthentic, Refused: for anyone else.
        """
        async with self._signers.administered(request, message.group_id, now) as (work, found):
            members, more = await work.members_after(
                found.id, message.after, message.limit, octets=PAGE_OCTETS
            )
            named = [each.recrypt_udf for each in members]
            undeliverable = await work.undeliverable(found.id, named)
            left = await work.left(found.id, named)
            newer = await work.newer_profiles(found.id, named)
            stopped = await work.stopped(found.id)
        return messages.GetGroupResponse(
            recryption_group=found.state.document(() if message.beside else members),
            next=named[-1] if more else None,
            head=found.state.head,
            undeliverable=tuple(udf for udf in named if udf in undeliverable),
            left=tuple(udf for udf in named if udf in left),
            newer_profiles=tuple(newer[udf].signed for udf in named if udf in newer),
            stopped=stopped,
        )

    async def changes(
        self, request: SignedRequest, message: messages.GetChanges, now: datetime
    ) -> messages.GetChangesResponse:
        """Tell an administrator a page of the chain.

        Raises:
            NotAuthentic, Refused: for anyone else.
        """
        async with self._signers.administered(request, message.group_id, now) as (work, found):
            changes = await work.changes_after(
                found.id, message.after, message.limit, octets=PAGE_OCTETS
            )
        return messages.GetChangesResponse(changes=changes, head=found.state.head)

    async def entries(
        self, request: SignedRequest, message: messages.GetEntry, now: datetime
    ) -> messages.GetEntryResponse:
        """Tell a member its own entries: for the keys that it may ask RecryptData about (spec §6).

        Anybody may list anybody's signature key: so the profile counts that the request names.

        Raises:
            NotAuthentic: for who isn't known to the group.
            Refused: FORBIDDEN for who is no ACTIVE member of it; CONFLICT where no profile is
                named, and several have the key.
        """
        async with self._signers.known(request, message.group_id, now) as (_, found):
            state = found.state
        member = _asking(state.members.holders(request.signer), request.signer, message.member_udf)
        return messages.GetEntryResponse(
            entries=tuple(
                each for each in member.entry.entries if state.serves(each.encryption_key_udf)
            )
        )


def _asking(holders: Iterable[Member], signer: Udf, named: Udf | None) -> Member:
    """Tell which of the ACTIVE members who have a signature key asks by it."""
    active = {each.profile.identifier: each for each in holders if each.is_active}
    if named is None and len(active) == 1:
        (named,) = active
    # A master key is its profile's own.
    found = active.get(signer if named is None else named)
    if found is not None:
        return found
    if named is None and active:
        raise Refused(Why.CONFLICT, "several profiles have your key: name your own in MemberUDF")
    raise Refused(Why.FORBIDDEN, "only an ACTIVE member has entries")
