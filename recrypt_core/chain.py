"""A group's history as a machine: (state, change) -> state, or a refusal (spec §5).

The service runs it before it takes a change, and an administrator's client runs it over what the
service says it took. It never sees a half, a socket or a clock.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from recrypt_core import limits, messages
from recrypt_core.documents import (
    NO_HEAD,
    Head,
    MemberEntry,
    Privilege,
    RecryptionGroup,
    UserDecryptionEntry,
    VerifiedGroupKey,
    VerifiedProfile,
    verified_group_key,
    verified_master,
    verified_profile,
)
from recrypt_core.encoding import read_b64url
from recrypt_core.errors import Malformed, NotAuthentic, Refused, TooLarge, Why
from recrypt_core.keys import PublicKey
from recrypt_core.members import Member, Members, check_stated
from recrypt_core.messages import AddMember, CreateGroup, UpdateGroup, UpdateMember
from recrypt_core.policy import History, Policy
from recrypt_core.signature_keys import SignaturePublicKey
from recrypt_core.signing import UNKNOWN_KEY, Jws, Link, SignedRequest, read_signed
from recrypt_core.udf import Udf
from recrypt_core.wire import SealedKey

_POWERS: Final = frozenset({Privilege.ADMIN, Privilege.SUPER})


@dataclass(frozen=True, slots=True)
class Change:
    """A change as it stands in a chain: parsed, its signature not yet checked."""

    request: SignedRequest
    link: Link
    message: messages.Change

    @property
    def hash(self) -> str:
        """Its name in the next change."""
        return self.request.jws.hash


@dataclass(frozen=True, slots=True)
class GroupState:
    """A group after some change of its chain.

    A service may give `advance` a state with only those members that the change names, its
    signer's, and all who are ACTIVE with ADMIN or SUPER: no rule but that of a new key looks at
    others.
    """

    name: str
    master: VerifiedProfile
    key: VerifiedGroupKey
    past_keys: tuple[VerifiedGroupKey, ...]
    administrator_keys: tuple[SealedKey, ...]
    policy: Policy
    members: Members
    head: Head

    @property
    def identifier(self) -> Udf:
        """The fingerprint of the group's Master."""
        return self.master.identifier

    @property
    def is_closed(self) -> bool:
        """Whether it was closed for good: its key says so, and nothing follows (spec §6)."""
        return self.key.document.closed is not None

    def public_key(self, udf: Udf) -> PublicKey | None:
        """Find the group's current or past key of this fingerprint."""
        keys = (self.key, *self.past_keys)
        return next((key.document.encryption_key for key in keys if key.udf == udf), None)

    def serves(self, key: Udf) -> bool:
        """Tell whether members may ask the service about this key: a past one as history says."""
        if key == self.key.udf:
            return True
        return self.policy.history is not History.NONE and self.public_key(key) is not None

    def signer(self, kid: Udf) -> SignaturePublicKey | None:
        """Find who may sign a request for this group: a key of the Master or of a member."""
        if found := self.master.signature_key(kid):
            return found
        member = self.member_of(kid)
        return None if member is None else member.profile.signature_key(kid)

    def member_of(self, kid: Udf) -> Member | None:
        """Find the member whose signature key this is."""
        return next(iter(self.members.holders(kid)), None)

    def may(self, kid: Udf, *privileges: Privilege) -> bool:
        """Tell whether a signer has one of these; the Master's key has all, its online keys ADMIN.

        A profile may list any public key, another member's too: it must not lock that one out.
        """
        if kid == self.master.profile.master_signature_key.udf:
            return True
        if self.master.signature_key(kid) is not None:
            return Privilege.ADMIN in privileges
        return any(holder.may(*privileges) for holder in self.members.holders(kid))

    def document(self, members: tuple[MemberEntry, ...] = ()) -> RecryptionGroup:
        """Give the group as a document, with these of its members."""
        return RecryptionGroup(
            group_name=self.name,
            master=self.master.signed,
            current_encryption_key=self.key.signed,
            past_encryption_keys=tuple(key.signed for key in self.past_keys),
            administrator_keys=self.administrator_keys,
            policy=self.policy,
            members=members,
        )

    def lacking(self, key: Udf) -> int:
        """Count the ACTIVE members without an entry for a group key."""
        return sum(each.is_active and each.entry_for(key) is None for each in self.members.values())


def read_change(request: SignedRequest | Jws) -> Change:
    """Read a change of a chain, believing nothing.

    Raises:
        TooLarge: if it has over 1,000 entries.
        Malformed: if it is no signed request that changes a group.
    """
    signed = read_signed(request) if isinstance(request, Jws) else request
    return change_of(signed, messages.read_message(read_b64url(signed.jws.payload)))


def change_of(signed: SignedRequest, message: messages.Request) -> Change:
    """Take a signed request, whose payload was read as `message`, as a change; believe nothing.

    Raises:
        TooLarge: if it has over 1,000 entries.
        Malformed: if it is no change.
    """
    if not isinstance(message, messages.Change):
        raise Malformed(f"{message.transaction} is not a change")
    if signed.link is None:
        raise Malformed("a change without group, seq and prev in its protected header")
    if not isinstance(message, UpdateGroup):
        _check_size(_entries_of(message))
    return Change(signed, signed.link, message)


def begin(change: Change) -> GroupState:
    """Give the state after change 1, which a key of the group's own Master signs.

    Raises:
        Malformed: if it is no complete group.
        NotAuthentic: if the Master didn't sign it.
        Refused: if nobody in it could administer the group.
    """
    if not isinstance(change.message, CreateGroup) or change.link.seq != 1:
        raise Malformed("a chain that doesn't begin with CreateGroup")
    group = change.message.recryption_group
    if group.master is None or group.current_encryption_key is None:
        raise Malformed("a group without Master or CurrentEncryptionKey")
    master = verified_master(group.master, group.group_name)
    if change.link.group != master.identifier:
        raise Malformed("a change whose group isn't the Master's Identifier")
    _verify(change, master.signature_key(change.request.signer))
    key = verified_group_key(group.current_encryption_key, master)
    first = key.document
    if (first.generation, first.previous, first.head, first.closed) != (1, None, NO_HEAD, None):
        raise Malformed("a first group key of another Generation, or with Previous, Head, Closed")
    if group.past_encryption_keys:
        raise Malformed("a new group with PastEncryptionKeys")
    bare = GroupState(
        name=group.group_name,
        master=master,
        key=key,
        past_keys=(),
        administrator_keys=_administrator_keys(group.administrator_keys or ()),
        policy=group.policy or Policy(),
        members=Members(),
        head=NO_HEAD,
    )
    return _moved(replace(bare, members=_with_members(bare, group.members)), change)


def advance(state: GroupState, change: Change, *, lacking: int | None = None) -> GroupState:
    """Give the state after one more change.

    Args:
        state: The group before it.
        change: What is asked for.
        lacking: How many ACTIVE members have no entry for the new key of this change, told by who
            gives a state without all members; else they are counted.

    Raises:
        Malformed: if the change breaks the format.
        NotAuthentic: if its signer is unknown to the group, or didn't sign it.
        Refused: if it is out of order, or its signer lacks the right.
    """
    if change.link.group != state.identifier:
        raise Malformed("a change of another group")
    _verify(change, state.signer(change.request.signer))
    if state.is_closed:
        raise Refused(Why.CONFLICT, "the group is closed for good: no change follows")
    if (change.link.seq, change.link.prev) != (state.head.seq + 1, state.head.hash):
        raise Refused(
            Why.CONFLICT,
            f"the group is at change {state.head.seq}: fetch its changes, then sign anew",
        )
    match change.message:
        case CreateGroup():
            raise Refused(Why.CONFLICT, "the group exists")
        case AddMember() | UpdateMember():
            return _moved(_with_entries(state, change, change.message), change)
        case UpdateGroup():
            return _moved(_updated(state, change, change.message, lacking=lacking), change)


def replay(changes: Iterable[Jws]) -> GroupState:
    """Verify a whole chain and give the state that follows from it.

    Raises:
        Malformed, NotAuthentic, Refused: at the first change that isn't in order.
    """
    state: GroupState | None = None
    for each in changes:
        change = read_change(each)
        state = begin(change) if state is None else advance(state, change)
    if state is None:
        raise Malformed("a chain without a change")
    return state


def _verify(change: Change, key: SignaturePublicKey | None) -> None:
    if key is None:
        raise NotAuthentic(UNKNOWN_KEY)
    change.request.verify(key)


def _moved(state: GroupState, change: Change) -> GroupState:
    """Set the new head; a state that nobody could administer, or too many, is refused."""
    if not state.members.supers:
        raise Refused(Why.CONFLICT, "the group would be without an ACTIVE SUPER")
    if state.members.administrators > limits.ADMINISTRATORS:
        raise Refused(
            Why.CONFLICT, f"over {limits.ADMINISTRATORS} ACTIVE members with ADMIN or SUPER"
        )
    return replace(state, head=Head(change.link.seq, change.hash))


def _entries_of(message: CreateGroup | AddMember | UpdateMember) -> tuple[MemberEntry, ...]:
    if isinstance(message, CreateGroup):
        return message.recryption_group.members
    return message.member_entry


def _check_size(entries: tuple[MemberEntry, ...]) -> None:
    if max(len(entries), sum(len(each.entries) for each in entries)) > limits.REQUEST_ENTRIES:
        raise TooLarge(f"over {limits.REQUEST_ENTRIES} entries: send them in several changes")
    if len({each.recrypt_udf for each in entries}) != len(entries):
        raise Malformed("two entries for one member in one change")


def _with_entries(
    state: GroupState, change: Change, message: AddMember | UpdateMember
) -> GroupState:
    if message.recryption_group != state.identifier:
        raise Malformed("a change whose RecryptionGroup isn't the group's Identifier")
    if not message.member_entry:
        raise Malformed("a change without a MemberEntry")
    powers = frozenset(each for each in _POWERS if state.may(change.request.signer, each))
    for entry in message.member_entry:
        before = state.members.get(entry.recrypt_udf)
        _check_right(powers, entry, before)
        if before is not None and isinstance(message, AddMember):
            raise Refused(Why.CONFLICT, "already in the group: use UpdateMember")
        if before is None and isinstance(message, UpdateMember):
            raise Refused(Why.UNKNOWN, "not in the group: use AddMember")
    return replace(state, members=_with_members(state, message.member_entry))


def _check_right(powers: frozenset[Privilege], entry: MemberEntry, before: Member | None) -> None:
    """Refuse a signer, who has these powers, without the one of spec §6 for this entry."""
    privileges = {*entry.privileges, *(before.entry.privileges if before else ())}
    is_high = bool(privileges & _POWERS) and not (before and _grant(entry) == _grant(before.entry))
    needed = (Privilege.SUPER,) if is_high else (Privilege.ADMIN, Privilege.SUPER)
    if powers.isdisjoint(needed):
        raise Refused(Why.FORBIDDEN, f"only an ACTIVE {needed[0].value} may do that")


def _grant(entry: MemberEntry) -> tuple[object, ...]:
    """Give what an entry grants: all but its Entries and its Profile."""
    return (entry.account_name, entry.privileges, entry.quotas, entry.status)


def _with_members(state: GroupState, entries: tuple[MemberEntry, ...]) -> Members:
    return state.members.with_changed(_member(state, entry) for entry in entries)


def _member(state: GroupState, entry: MemberEntry) -> Member:
    """Check a member entry by itself (spec §4)."""
    before = state.members.get(entry.recrypt_udf)
    is_known = before is not None and before.profile.signed == entry.profile
    profile = before.profile if before and is_known else verified_profile(entry.profile)
    if profile.identifier != entry.recrypt_udf:
        raise Malformed("a RecryptUDF that isn't its Profile's Identifier")
    if entry.account_name not in (None, *profile.profile.accounts):
        raise Malformed("an AccountName that isn't one of its Profile's Accounts")
    if before is not None and before.profile.profile.updated > profile.profile.updated:
        raise Refused(Why.CONFLICT, "a Profile older than the group has: ask for the newer one")
    check_stated(entry)
    for each in entry.entries:
        _check_entry(state, each)
    return Member(entry, profile)


def _check_entry(state: GroupState, entry: UserDecryptionEntry) -> None:
    """Check the curves of an entry; a key that isn't the group's may be its next one (spec §6)."""
    curve = entry.decryption_public.curve
    key = state.public_key(entry.encryption_key_udf)
    if entry.recryption_public.curve is not curve or (key is not None and key.curve is not curve):
        raise Malformed("an entry of another curve than its group key")


def _updated(
    state: GroupState, change: Change, message: UpdateGroup, *, lacking: int | None
) -> GroupState:
    """Apply an UpdateGroup (spec §6): Policy, AdministratorKeys, Master, a new or re-signed key."""
    group = message.recryption_group
    if group.group_name != state.name:
        raise Malformed("an UpdateGroup of another GroupName")
    if group.members or group.past_encryption_keys:
        raise Malformed("an UpdateGroup with Members or PastEncryptionKeys")
    needed = (Privilege.SUPER,) if group.master else (Privilege.ADMIN, Privilege.SUPER)
    if not state.may(change.request.signer, *needed):
        raise Refused(Why.FORBIDDEN, f"only an ACTIVE {needed[0].value} may do that")
    state = replace(state, policy=group.policy or state.policy)
    if group.administrator_keys is not None:
        sealed = _administrator_keys(group.administrator_keys)
        state = replace(state, administrator_keys=sealed)
    if group.master is not None:
        state = _with_master(state, group.master)
    after = _with_key(state, group.current_encryption_key or state.key.signed, lacking=lacking)
    if after.is_closed and not state.may(change.request.signer, Privilege.SUPER):
        raise Refused(Why.FORBIDDEN, "only an ACTIVE SUPER may close the group for good")
    return after


def _administrator_keys(sealed: tuple[SealedKey, ...]) -> tuple[SealedKey, ...]:
    """Refuse AdministratorKeys that are too large: the service reads them with the group."""
    octets = sum(len(each.envelope.ciphertext) for each in sealed)
    if octets > limits.ADMINISTRATOR_KEYS_OCTETS:
        raise TooLarge(f"AdministratorKeys of over {limits.ADMINISTRATOR_KEYS_OCTETS} octets")
    return sealed


def _with_master(state: GroupState, signed: Jws) -> GroupState:
    master = verified_master(signed, state.name)
    if master.identifier != state.identifier:
        raise Malformed("a Master with another Identifier")
    if master.profile.updated <= state.master.profile.updated:
        raise Refused(Why.CONFLICT, "a Master that isn't later than the group's")
    return replace(state, master=master)


def _with_key(state: GroupState, signed: Jws, *, lacking: int | None) -> GroupState:
    """Take the group key: the same, checked against a new Master; re-signed; or the next one."""
    key = verified_group_key(signed, state.master)
    old, new = state.key.document, key.document
    if signed != state.key.signed and new.head != state.head:
        raise Refused(Why.CONFLICT, "a key whose Head isn't the group's: sign it anew")
    if new.encryption_key == old.encryption_key:
        if (new.generation, new.previous) != (old.generation, old.previous):
            raise Refused(Why.CONFLICT, "a key re-signed with another Generation or Previous")
        return replace(state, key=key)
    if new.closed is not None:
        raise Refused(Why.CONFLICT, "a new key that is closed as it begins")
    if new.previous != state.key.udf or new.generation != old.generation + 1:
        raise Refused(Why.CONFLICT, "a new key that doesn't follow the group's current one")
    if state.public_key(key.udf) is not None:
        raise Refused(Why.CONFLICT, "a new key that the group had before")
    if count := state.lacking(key.udf) if lacking is None else lacking:
        raise Refused(Why.CONFLICT, f"{count} ACTIVE members lack an entry for the new key")
    return replace(state, key=key, past_keys=(*state.past_keys, state.key))
