"""The changes of a group: verified as its chain asks, halves checked, all or nothing (spec §6)."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from listserver import greeting, joining
from listserver.addresses import check_list_name, parse_address
from listserver.copies import recryption_octets
from listserver.model import EntryRow, Half, House, ListId, StoredList
from listserver.signers import USED_NONCE, authentic, take_fresh
from listserver.store import Store, Work
from recrypt_core import _random, chain, limits
from recrypt_core.agreement import halves_match
from recrypt_core.chain import GroupState, change_of
from recrypt_core.documents import (
    CreateAuthorization,
    Head,
    MemberEntry,
    UserDecryptionEntry,
    past_group_key,
    read_create,
    read_quota,
)
from recrypt_core.encoding import write_json
from recrypt_core.envelope import Envelope
from recrypt_core.errors import Malformed, NotAuthentic, Refused, Why
from recrypt_core.jose import ContentCipher
from recrypt_core.keys import PrivateKey
from recrypt_core.members import Member, Members, check_not_ahead
from recrypt_core.messages import AddMember, CreateGroup, UpdateGroup, UpdateMember
from recrypt_core.policy import FromPolicy, Policy
from recrypt_core.signing import Jws, Kind, SignedRequest, signer_of, verify_document
from recrypt_core.udf import Udf

_UNUSED = "halves that belong to no entry of the request"
READ_AT_ONCE = 100  # members, in one transaction; a tenth of a second
SECRET_OCTETS = 32  # of a list's own secret, which its Message-IDs are made with (spec §7)


class Groups:
    """Takes the requests that change a group."""

    def __init__(self, house: House, store: Store) -> None:
        self._house = house
        self._store = store
        self.on_greeting: Callable[[], None] = lambda: None
        """Called when members may be to be told of their new status."""

    async def create(self, request: SignedRequest, message: CreateGroup, now: datetime) -> Head:
        """Register a group, for a profile that the operator has authorised (spec §5).

        Raises:
            Malformed: if it breaks the format, or its name can't be a list's.
            NotAuthentic: if the request or its Authorization isn't.
            Refused: FORBIDDEN without the operator's leave; CONFLICT if the name exists; QUOTA if
                the profile has as many groups as it may.
        """
        change = change_of(request, message)
        async with self._store.begin() as work:
            repeated = await _repeated(work, request)
            if repeated is not None:
                return repeated
            request.check_fresh(self._house.public_url, now)
            founder = await self._check_authorization(work, message, change.link.group, now)
        state = await asyncio.to_thread(chain.begin, change)
        self._check_name(state.name)
        _check_policy(state.policy)
        _check_times(None, state, now)
        entries = message.recryption_group.members
        rows = await asyncio.to_thread(_rows, state, entries, request.halves, {})
        async with self._store.begin() as work:
            repeated = await _repeated(work, request)
            if repeated is not None:
                return repeated
            for name in (state.identifier, state.name):
                if await work.find_list(name) is not None:
                    raise Refused(Why.CONFLICT, "a group of that name exists: choose another")
            await take_fresh(work, request, self._house.public_url, now)
            secret = _random.octets(SECRET_OCTETS)
            if await work.founded(founder) >= self._house.groups_per_profile:
                raise Refused(
                    Why.QUOTA, "this profile has as many groups as it may: ask the operator"
                )
            list_id = await work.create_list(state, request.jws, secret, founder=founder)
            await _put(work, list_id, rows)
        return state.head

    async def change_members(
        self, request: SignedRequest, message: AddMember | UpdateMember, now: datetime
    ) -> Head:
        """Add members, or replace their entries: all of them or none (spec §6).

        Raises:
            Malformed: if it breaks the format, or a half doesn't match its entry.
            NotAuthentic: if the request isn't.
            Refused: FORBIDDEN without the right, CONFLICT out of order or for an X held before,
                UNKNOWN for who is no member.
        """
        async with self._store.begin() as work:
            repeated = await _repeated(work, request)
            if repeated is not None:
                return repeated
            before = await self._unused(work, request, message.recryption_group, now)
        change, entries = change_of(request, message), message.member_entry
        full, held = await self._with_named(before, entries)
        state = await asyncio.to_thread(chain.advance, full, change)
        _check_times(full, state, now)
        rows = await asyncio.to_thread(_rows, state, entries, request.halves, held)
        async with self._store.begin() as work:
            repeated = await _repeated(work, request)
            if repeated is not None:
                return repeated
            await self._append(work, request, before, state, now)
            await _put(work, before.id, rows)
            if state.policy.welcome:
                due = greeting.greetings_due(entries, full.members)
                await work.put_greetings(before.id, due)
        self.on_greeting()
        return state.head

    async def update(self, request: SignedRequest, message: UpdateGroup, now: datetime) -> Head:
        """Change a group but for its members: its key, Policy, AdministratorKeys, Master (spec §6).

        If that closes it, its halves are kept for as long as posts are, and for posts under way.

        Raises:
            Malformed: if it breaks the format, has Members, or a Policy that isn't kept here.
            NotAuthentic: if the request isn't.
            Refused: FORBIDDEN without the right; CONFLICT out of order, for a key that doesn't
                follow, and for a new one while ACTIVE members lack an entry for it.
        """
        stated = message.recryption_group
        if request.halves:
            raise Malformed(_UNUSED)
        async with self._store.begin() as work:
            repeated = await _repeated(work, request)
            if repeated is not None:
                return repeated
            before = await self._unused(work, request, stated.group_name, now)
            lacking = 0
            if stated.current_encryption_key is not None:
                new = past_group_key(stated.current_encryption_key)  # `advance` verifies it
                lacking = await work.lacking(before.id, new.udf)
        change = change_of(request, message)
        state = await asyncio.to_thread(chain.advance, before.state, change, lacking=lacking)
        _check_policy(state.policy)
        _check_times(before.state, state, now)
        async with self._store.begin() as work:
            repeated = await _repeated(work, request)
            if repeated is not None:
                return repeated
            await self._append(work, request, before, state, now)
            keep = timedelta(days=state.policy.keep)
            if state.policy.keep != before.state.policy.keep:
                await work.keep_posts(before.id, keep)
            if state.is_closed:
                await work.end_list(before.id, now + keep)
        return state.head

    async def _unused(
        self, work: Work, request: SignedRequest, group: str, now: datetime
    ) -> StoredList:
        """Find the list of a change that is authentic and fresh, and leave its nonce unused."""
        found = await authentic(work, request, group)
        request.check_fresh(self._house.public_url, now)
        if await work.had_nonce(request.signer, request.nonce):
            raise NotAuthentic(USED_NONCE)
        return found

    async def _append(
        self,
        work: Work,
        request: SignedRequest,
        before: StoredList,
        state: GroupState,
        now: datetime,
    ) -> None:
        """Write a list's new state, unless another change came between."""
        await take_fresh(work, request, self._house.public_url, now)
        # The head is compared there: if it is the same, so are all members that were read.
        if not await work.append_change(before, state, request.jws):
            raise Refused(Why.CONFLICT, "the group has changed: fetch it, then sign anew")

    async def _with_named(
        self, before: StoredList, entries: tuple[MemberEntry, ...]
    ) -> tuple[GroupState, dict[Udf, tuple[Half, ...]]]:
        """Add to a list's state the members that entries name; give the halves that each has.

        It reads some at a time, as nobody else has the store meanwhile.
        """
        members, held = dict(before.state.members), {}
        for at in range(0, len(entries), READ_AT_ONCE):
            udfs = [entry.recrypt_udf for entry in entries[at : at + READ_AT_ONCE]]
            async with self._store.begin() as work:
                for member, halves in await work.named(before.id, udfs):
                    members[member.profile.identifier] = member
                    held[member.profile.identifier] = halves
        return replace(before.state, members=Members(members.values())), held

    def _check_name(self, name: str) -> None:
        address = parse_address(name)
        if address.domain not in self._house.domains or name != name.lower():
            where = " or ".join(self._house.domains)
            raise Malformed(f"lists here are named in lower case, at {where}")
        check_list_name(address.local)

    async def _check_authorization(
        self, work: Work, message: CreateGroup, group: Udf, now: datetime
    ) -> Udf:
        """Give the Identifier of the authorised profile that answers for a new group."""
        authorization = message.authorization
        kid = signer_of(authorization, Kind.CREATE)
        profile = await work.authorized(kid)
        key = None if profile is None else profile.signature_key(kid)
        if profile is None or key is None:
            raise Refused(
                Why.FORBIDDEN,
                "the operator hasn't authorised this profile to create groups:"
                " ask for `listserver authorize PROFILE.json`",
            )
        stated = read_create(verify_document(authorization, Kind.CREATE, key))
        expected = CreateAuthorization(
            group_identifier=group,
            group_name=message.recryption_group.group_name,
            url=self._house.public_url,
            iat=stated.iat,
        )
        age = abs(now.timestamp() - stated.iat)
        if stated != expected or age > limits.REQUEST_SKEW.total_seconds():
            raise NotAuthentic("an Authorization for another group or service, or a stale one")
        return profile.identifier


async def _repeated(work: Work, request: SignedRequest) -> Head | None:
    """Give the head if it is this very change: a repeat, whatever its iat and nonce (spec §5)."""
    found = None if request.link is None else await work.find_list(request.link.group)
    if found is None or found.state.head.hash != request.jws.hash:
        return None
    return found.state.head


def _check_policy(policy: Policy) -> None:
    """Refuse rules that this service doesn't keep yet, rather than not keep them."""
    if policy.from_ is not FromPolicy.LIST:
        raise Malformed("this service takes from = list only")


def _check_times(before: GroupState | None, state: GroupState, now: datetime) -> None:
    """Refuse a profile that is dated ahead, unless it is held already: that is to be restated."""
    for profile in (state.master, *(each.profile for each in state.members.values())):
        if before is None or profile.signed != _held(before, profile.identifier):
            check_not_ahead(profile, now)


def _held(state: GroupState, udf: Udf) -> Jws | None:
    """Give the profile of the group or of a member, as the group has it."""
    if udf == state.identifier:
        return state.master.signed
    member = state.members.get(udf)
    return None if member is None else member.profile.signed


def _rows(
    state: GroupState,
    entries: tuple[MemberEntry, ...],
    halves: Mapping[Udf, PrivateKey],
    held: Mapping[Udf, tuple[Half, ...]],
) -> "_Rows":
    """Make the rows of the members that entries state, each r checked (spec §1).

    Args:
        state: The group after the change.
        entries: What the change states.
        halves: Each r that came beside the signature.
        held: The halves that each of these members has already.

    Raises:
        Malformed: if a half is missing, or doesn't belong to its entry.
    """
    made, unused = _Rows([], []), set(halves)
    for member in [state.members[entry.recrypt_udf] for entry in entries]:
        parse_address(member.account)
        for quota in member.entry.quotas:
            read_quota(quota)
        old = {half.member_key: half for half in held.get(member.profile.identifier, ())}
        stated = member.entry.entries
        rows = [_row(member, each, _half(each, old, halves)) for each in stated]
        made.members.append((member, rows))
        keys = [each.member_key_udf for each in stated]
        made.new.extend(key for key in keys if key not in old)
        unused.difference_update(keys)
    if unused:
        raise Malformed(_UNUSED)
    return made


def _half(
    entry: UserDecryptionEntry, held: Mapping[Udf, Half], halves: Mapping[Udf, PrivateKey]
) -> PrivateKey:
    """Give the r of an entry: the one that the member has already, or a new one beside it."""
    old, half = held.get(entry.member_key_udf), halves.get(entry.member_key_udf)
    if half is not None and not _belongs(entry, half):
        raise Malformed("halves that don't match: r and X don't make up the group's key")
    if old is None:
        if half is None:
            raise Malformed("an entry without its half beside the signature")
        return half
    same = (old.group_key, old.split, old.recryption.public)
    if same != (entry.encryption_key_udf, entry.split, entry.recryption_public):
        raise Malformed("an entry that was changed: split anew")
    return old.recryption


def _belongs(entry: UserDecryptionEntry, half: PrivateKey) -> bool:
    return half.public == entry.recryption_public and halves_match(
        entry.split, half, entry.decryption_public, entry.encryption_key_udf
    )


def _row(member: Member, entry: UserDecryptionEntry, recryption: PrivateKey) -> EntryRow:
    half = Half(
        address=member.account,
        group_key=entry.encryption_key_udf,
        member_key=entry.member_key_udf,
        split=entry.split,
        recryption=recryption,
        decryption_key=_decryption_key(entry.decryption_key.envelope),
    )
    return EntryRow(half, recryption_octets(half))


def _decryption_key(envelope: Envelope) -> bytes:
    """Write the JWE of x as copies carry it; it must fit there, and link nobody (spec §4)."""
    if envelope.cipher is not ContentCipher.A256GCM:
        raise Malformed("a DecryptionKey that isn't A256GCM")
    if any(each.kid is not None for each in envelope.recipients):
        raise Malformed("a DecryptionKey whose recipients have a kid")
    if envelope.recryption is not None or envelope.sender is not None:
        raise Malformed("a DecryptionKey with a recryption or a sender")
    octets = write_json(envelope.json())
    if len(octets) > limits.DECRYPTION_KEY_OCTETS:
        raise Malformed("a DecryptionKey that is too large for a copy")
    return octets


async def _put(work: Work, list_id: ListId, rows: "_Rows") -> None:
    if not await work.take_halves(rows.new):
        raise Refused(Why.CONFLICT, "an X that was held before: split anew for every entry")
    await work.put_members(list_id, rows.members)
    await joining.added(work, list_id, [member.profile.identifier for member, _ in rows.members])


@dataclass(frozen=True, slots=True)
class _Rows:
    """Members with their entries' rows, and each X that is new here."""

    members: list[tuple[Member, list[EntryRow]]]
    new: list[Udf]
