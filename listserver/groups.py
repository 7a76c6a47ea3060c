"""The changes of a group: verified as its chain asks, halves checked, all or nothing (spec §6)."""

import asyncio
from collections.abc import Mapping
from datetime import datetime

from listserver.addresses import check_list_name, parse_address
from listserver.copies import recryption_octets
from listserver.model import EntryRow, Half, House, ListId, StoredList
from listserver.store import Store, Work
from recrypt_core import _random, chain, limits
from recrypt_core.agreement import halves_match
from recrypt_core.chain import Change, GroupState, Member, read_change
from recrypt_core.documents import (
    CreateAuthorization,
    FromPolicy,
    Head,
    History,
    MemberEntry,
    Policy,
    PostRight,
    UserDecryptionEntry,
    read_create,
)
from recrypt_core.encoding import write_json
from recrypt_core.errors import Malformed, NotAuthentic, Refused, Why
from recrypt_core.keys import PrivateKey
from recrypt_core.messages import AddMember, CreateGroup, UpdateMember
from recrypt_core.signature_keys import SignaturePublicKey
from recrypt_core.signing import Kind, SignedRequest, signer_of, verify_document
from recrypt_core.udf import Udf

USED_NONCE = "the nonce was used before: sign anew"
SECRET_OCTETS = 32  # of a list's own secret, which its Message-IDs are made with (spec §7)


async def authentic(
    work: Work, request: SignedRequest, group: str, *, named: frozenset[Udf] = frozenset()
) -> StoredList:
    """Find the list that a request is about, with its signer and the members `named`.

    Raises:
        NotAuthentic: if there is no such list, no such signer, or no such signature: all the same.
    """
    found = await work.find_list(group)
    if found is not None:
        found = await work.with_members(found, named=named, signer=request.signer)
        key = found.state.signer(request.signer)
        # One wording for a bad signature too: else it would tell whose keys are known here.
        if key is not None and _is_signed(request, key):
            return found
    raise NotAuthentic("signed by a key that is unknown here, or not by the key it names")


def _is_signed(request: SignedRequest, key: SignaturePublicKey) -> bool:
    try:
        request.verify(key)
    except (Malformed, NotAuthentic):
        return False
    return True


async def take_fresh(work: Work, request: SignedRequest, url: str, now: datetime) -> None:
    """Refuse a stale or replayed request, and remember its nonce (spec §5).

    Raises:
        NotAuthentic: with the reason.
    """
    request.check_fresh(url, now)
    until = now + 2 * limits.REQUEST_SKEW
    if not await work.take_nonce(request.signer, request.nonce, until=until, now=now):
        raise NotAuthentic(USED_NONCE)


class Groups:
    """Takes the requests that change a group."""

    def __init__(self, house: House, store: Store) -> None:
        self._house = house
        self._store = store

    async def create(self, request: SignedRequest, now: datetime) -> Head:
        """Register a group, for a profile that the operator has authorised (spec §5).

        Raises:
            Malformed: if it breaks the format, or its name can't be a list's.
            NotAuthentic: if the request or its Authorization isn't.
            Refused: FORBIDDEN without the operator's leave; CONFLICT if the name exists.
        """
        change = await asyncio.to_thread(read_change, request)
        if not isinstance(change.message, CreateGroup):
            raise Malformed("not a CreateGroup")
        async with self._store.begin() as work:
            repeated = await _repeated(work, change)
            if repeated is not None:
                return repeated
            request.check_fresh(self._house.public_url, now)
            await self._check_authorization(work, change.message, change.link.group, now)
        state = await asyncio.to_thread(chain.begin, change)
        self._check_name(state.name)
        _check_policy(state.policy)
        entries = change.message.recryption_group.members
        await asyncio.to_thread(_check_halves, state, entries, request.halves)
        async with self._store.begin() as work:
            repeated = await _repeated(work, change)
            if repeated is not None:
                return repeated
            for name in (state.identifier, state.name):
                if await work.find_list(name) is not None:
                    raise Refused(Why.CONFLICT, "a group of that name exists: choose another")
            await take_fresh(work, request, self._house.public_url, now)
            secret = _random.octets(SECRET_OCTETS)
            list_id = await work.create_list(state, request.jws, secret)
            await _put_members(work, list_id, _changed(state, entries), request.halves)
        return state.head

    async def change_members(self, request: SignedRequest, now: datetime) -> Head:
        """Add members, or replace their entries: all of them or none (spec §6).

        Raises:
            Malformed: if it breaks the format, or a half doesn't match its entry.
            NotAuthentic: if the request isn't.
            Refused: FORBIDDEN without the right, CONFLICT out of order or for an X held before,
                UNKNOWN for who is no member.
        """
        change = await asyncio.to_thread(read_change, request)
        if not isinstance(change.message, AddMember | UpdateMember):
            raise Malformed("neither AddMember nor UpdateMember")
        entries = change.message.member_entry
        named = frozenset(entry.recrypt_udf for entry in entries)
        group = change.message.recryption_group
        async with self._store.begin() as work:
            before = await authentic(work, request, group, named=named)
            if change.hash == before.state.head.hash:
                return before.state.head  # a repeat, as in `create`
            request.check_fresh(self._house.public_url, now)
            if await work.had_nonce(request.signer, request.nonce):
                raise NotAuthentic(USED_NONCE)
        state = await asyncio.to_thread(chain.advance, before.state, change)
        await asyncio.to_thread(_check_halves, state, entries, request.halves)
        async with self._store.begin() as work:
            repeated = await _repeated(work, change)
            if repeated is not None:
                return repeated
            await take_fresh(work, request, self._house.public_url, now)
            if not await work.append_change(before, state, request.jws):
                raise Refused(Why.CONFLICT, "the group has changed: fetch it, then sign anew")
            await _put_members(work, before.id, _changed(state, entries), request.halves)
        return state.head

    def _check_name(self, name: str) -> None:
        address = parse_address(name)
        if address.domain != self._house.domain or name != name.lower():
            raise Malformed(f"lists here are named in lower case, at {self._house.domain}")
        check_list_name(address.local)

    async def _check_authorization(
        self, work: Work, message: CreateGroup, group: Udf, now: datetime
    ) -> None:
        authorization = message.authorization
        kid = signer_of(authorization, Kind.CREATE)
        profile = await work.authorized(kid)
        key = None if profile is None else profile.signature_key(kid)
        if key is None:
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


async def _repeated(work: Work, change: Change) -> Head | None:
    """Give the head if it is this very change: a repeat, whatever its iat and nonce (spec §5)."""
    found = await work.find_list(change.link.group)
    if found is None or found.state.head.hash != change.hash:
        return None
    return found.state.head


def _check_policy(policy: Policy) -> None:
    """Refuse rules that this service doesn't keep yet, rather than not keep them."""
    if policy.post not in (PostRight.ANYONE, PostRight.MEMBERS):
        raise Malformed("this service takes post = anyone or members only")
    if policy.from_ is not FromPolicy.LIST:
        raise Malformed("this service takes from = list only")
    if policy.history is not History.NONE:
        raise Malformed("this service takes history = none only")


def _changed(state: GroupState, entries: tuple[MemberEntry, ...]) -> list[Member]:
    return [state.members[entry.recrypt_udf] for entry in entries]


def _check_halves(
    state: GroupState, entries: tuple[MemberEntry, ...], halves: Mapping[Udf, PrivateKey]
) -> None:
    """Refuse a half that doesn't belong to its entry: A must come of R and X (spec §1)."""
    unused = set(halves)
    for member in _changed(state, entries):
        parse_address(member.account)
        for each in member.entry.entries:
            half = halves.get(each.member_key_udf)
            if half is not None and not _belongs(each, half):
                raise Malformed("halves that don't match: r and X don't make up the group's key")
            unused.discard(each.member_key_udf)
            if len(each.decryption_key.envelope.mmx()) > limits.DECRYPTION_KEY_OCTETS:
                raise Malformed("a DecryptionKey that is too large for a copy")
    if unused:
        raise Malformed("halves that belong to no entry of the request")


def _belongs(entry: UserDecryptionEntry, half: PrivateKey) -> bool:
    return half.public == entry.recryption_public and halves_match(
        entry.split, half, entry.decryption_public, entry.encryption_key_udf
    )


async def _put_members(
    work: Work, list_id: ListId, members: list[Member], halves: Mapping[Udf, PrivateKey]
) -> None:
    for member in members:
        held = {
            row.half.member_key: row.half
            for row in await work.entries_of(list_id, member.profile.identifier)
        }
        rows = [
            _row(member, entry, await _half(work, entry, held, halves))
            for entry in member.entry.entries
        ]
        await work.put_member(list_id, member, rows)


async def _half(
    work: Work,
    entry: UserDecryptionEntry,
    held: Mapping[Udf, Half],
    halves: Mapping[Udf, PrivateKey],
) -> PrivateKey:
    """Give the r of an entry: the one that the member has already, or a new one beside it."""
    old = held.get(entry.member_key_udf)
    if old is not None:
        same = (old.group_key, old.split, old.recryption.public)
        if same != (entry.encryption_key_udf, entry.split, entry.recryption_public):
            raise Malformed("an entry that was changed: split anew")
        return old.recryption
    half = halves.get(entry.member_key_udf)
    if half is None:
        raise Malformed("an entry without its half beside the signature")
    if not await work.take_half(entry.member_key_udf):
        raise Refused(Why.CONFLICT, "an X that was held before: split anew for every entry")
    return half


def _row(member: Member, entry: UserDecryptionEntry, recryption: PrivateKey) -> EntryRow:
    half = Half(
        address=member.account,
        group_key=entry.encryption_key_udf,
        member_key=entry.member_key_udf,
        split=entry.split,
        recryption=recryption,
        decryption_key=write_json(entry.decryption_key.envelope.json()),
    )
    return EntryRow(half, recryption_octets(half))
