"""The documents of spec §4: profile, group, member entry, entries; from unverified to verified."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

import msgspec

from recrypt_core import limits
from recrypt_core.agreement import Split
from recrypt_core.encoding import JsonObject
from recrypt_core.errors import Malformed, NotAuthentic
from recrypt_core.keys import PublicKey
from recrypt_core.policy import Policy
from recrypt_core.signature_keys import SignaturePrivateKey, SignaturePublicKey
from recrypt_core.signing import Jws, Kind, sign_document, signer_of, unverified_payload
from recrypt_core.signing import verify_document as verify
from recrypt_core.udf import Udf
from recrypt_core.wire import (
    Document,
    Hash,
    SealedKey,
    Seconds,
    UdfText,
    check_utc,
    from_json,
    to_json,
)
from recrypt_core.words import Word

_Printed = Annotated[str, msgspec.Meta(pattern=r"\A[^\x00-\x1F\x7F-\x9F]*\Z")]
Account = Annotated[_Printed, msgspec.Meta(min_length=3, max_length=limits.ACCOUNT_OCTETS)]
"""An RFC 5321 address without control characters; who mails to it checks its grammar."""

Number = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
"""A number that readers of JSON have exactly: a count, or a place in an order."""

_AdministratorKeys = Annotated[
    tuple[SealedKey, ...], msgspec.Meta(max_length=limits.ADMINISTRATOR_KEYS)
]


class Privilege(Word):
    """What a member may do (v02 §4.4.2)."""

    RECRYPT = "RECRYPT"
    ADMIN = "ADMIN"
    SUPER = "SUPER"


class Status(Word):
    """Whether a member is served; members are never deleted (v02 §4.4.2)."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    REVOKED = "REVOKED"


class Profile(Document, frozen=True, kw_only=True):
    """The public keys and addresses of a user or group."""

    identifier: UdfText
    master_signature_key: SignaturePublicKey
    online_signature_keys: Annotated[
        tuple[SignaturePublicKey, ...], msgspec.Meta(max_length=limits.PROFILE_KEYS)
    ] = ()
    master_escrow_keys: Annotated[
        tuple[PublicKey, ...], msgspec.Meta(max_length=limits.PROFILE_KEYS)
    ] = ()
    encryption_keys: Annotated[
        tuple[PublicKey, ...], msgspec.Meta(max_length=limits.PROFILE_DEVICES)
    ] = ()
    accounts: Annotated[
        tuple[Account, ...], msgspec.Meta(min_length=1, max_length=limits.PROFILE_ACCOUNTS)
    ]
    updated: datetime

    def __post_init__(self) -> None:
        check_utc(self.updated)


@dataclass(frozen=True, slots=True)
class VerifiedProfile:
    """A profile that its own master key has signed; whose it is, only its fingerprint tells."""

    profile: Profile
    signed: Jws

    @property
    def identifier(self) -> Udf:
        """The fingerprint of its master signature key."""
        return self.profile.identifier

    @property
    def signature_keys(self) -> tuple[SignaturePublicKey, ...]:
        """The keys that sign for it: master and online."""
        return (self.profile.master_signature_key, *self.profile.online_signature_keys)

    def signature_key(self, kid: Udf) -> SignaturePublicKey | None:
        """Find the key of this fingerprint among those that sign for it."""
        return next((key for key in self.signature_keys if key.udf == kid), None)


def sign_profile(profile: Profile, master: SignaturePrivateKey) -> VerifiedProfile:
    """Sign a profile with its master key."""
    signed = sign_document(Kind.PROFILE, to_json(profile), master)
    return VerifiedProfile(profile, signed)


def verified_profile(signed: Jws) -> VerifiedProfile:
    """Check that a profile is signed by its own master key, which its Identifier names.

    Raises:
        Malformed: if it breaks the format.
        NotAuthentic: if it isn't.
    """
    stated = from_json(Profile, unverified_payload(signed))
    verify(signed, Kind.PROFILE, stated.master_signature_key)
    if stated.identifier != stated.master_signature_key.udf:
        raise NotAuthentic("a profile whose Identifier isn't its master key's fingerprint")
    return VerifiedProfile(stated, signed)


def kept_profile(signed: Jws) -> VerifiedProfile:
    """Read a profile from a record of one's own, which nobody else can write.

    It was verified before it was kept; to do it again takes three times as long.

    Raises:
        Malformed: if it breaks the format.
    """
    return VerifiedProfile(from_json(Profile, unverified_payload(signed)), signed)


class Head(msgspec.Struct, frozen=True):
    """The last change of a group's chain; {0, null} before the first."""

    seq: Number
    hash: Hash | None


NO_HEAD: Final = Head(0, None)


class GroupKey(Document, frozen=True, kw_only=True):
    """What CurrentEncryptionKey signs: the group's key, of a generation."""

    group_name: Account
    group_identifier: UdfText
    encryption_key: PublicKey
    generation: Annotated[int, msgspec.Meta(ge=1, lt=2**53)]
    created: datetime
    not_after: datetime
    previous: UdfText | None = None
    closed: datetime | None = None
    """When the group was closed for good; while it is open there is none."""
    head: Head

    def __post_init__(self) -> None:
        for moment in (self.created, self.not_after, self.closed or self.created):
            check_utc(moment)


@dataclass(frozen=True, slots=True)
class VerifiedGroupKey:
    """A group key that an online key of its group's Master has signed."""

    document: GroupKey
    signed: Jws

    @property
    def udf(self) -> Udf:
        """The fingerprint of A."""
        return self.document.encryption_key.udf


def sign_group_key(document: GroupKey, online: SignaturePrivateKey) -> VerifiedGroupKey:
    """Sign a group key with one of the Master's online keys."""
    return VerifiedGroupKey(document, sign_document(Kind.GROUP_KEY, to_json(document), online))


def verified_group_key(signed: Jws, master: VerifiedProfile) -> VerifiedGroupKey:
    """Check a group key from the group's Master on (spec §6, GetKey).

    Raises:
        Malformed: if it breaks the format.
        NotAuthentic: if no online key of the Master signed it, or it is another group's.
    """
    kid = signer_of(signed, Kind.GROUP_KEY)
    online = next((key for key in master.profile.online_signature_keys if key.udf == kid), None)
    if online is None:
        raise NotAuthentic("a group key that no online key of the group's Master signed")
    document = from_json(GroupKey, verify(signed, Kind.GROUP_KEY, online))
    if document.group_identifier != master.identifier:
        raise NotAuthentic("a group key of another group")
    if (document.group_name,) != master.profile.accounts:
        raise NotAuthentic("a group key of another name than its group's")
    return VerifiedGroupKey(document, signed)


def past_group_key(signed: Jws) -> VerifiedGroupKey:
    """Read a past key of a group from a record of one's own.

    It was verified when it was the current one; the online key that signed it may be gone since.

    Raises:
        Malformed: if it breaks the format.
    """
    return VerifiedGroupKey(from_json(GroupKey, unverified_payload(signed)), signed)


class UserDecryptionEntry(Document, frozen=True, kw_only=True):
    """One split of a group key for one member; the private r is never part of it."""

    encryption_key_udf: UdfText = msgspec.field(name="EncryptionKeyUDF")
    member_key_udf: UdfText = msgspec.field(name="MemberKeyUDF")
    account_name: str = ""
    split: Split = Split.SUM
    recryption_public: PublicKey
    decryption_public: PublicKey
    decryption_key: SealedKey

    def __post_init__(self) -> None:
        if self.decryption_public.udf != self.member_key_udf:
            raise ValueError("a MemberKeyUDF that isn't the fingerprint of DecryptionPublic")


@dataclass(frozen=True, slots=True)
class Quota:
    """How often a member may do something: one of a MemberEntry's Quotas, read."""

    recryptions_per_day: int

    @property
    def text(self) -> str:
        """As a MemberEntry states it."""
        return f"RecryptData per-day {self.recryptions_per_day}"


_QUOTA = re.compile(r"RecryptData per-day (0|[1-9]\d{0,8})", re.ASCII)


def read_quota(text: str) -> Quota:
    """Read one of a MemberEntry's Quotas: `RecryptData per-day 1000` is the one form (spec §4).

    Raises:
        Malformed: for another one.
    """
    found = _QUOTA.fullmatch(text)
    if found is None:
        raise Malformed("a quota that isn't known: write `RecryptData per-day 1000`")
    return Quota(int(found[1]))


class MemberEntry(Document, frozen=True, kw_only=True):
    """A member of a group, as an administrator states it."""

    recrypt_udf: UdfText
    account_name: Account | None = None
    profile: Jws
    privileges: tuple[Privilege, ...] = (Privilege.RECRYPT,)
    quotas: tuple[str, ...] = ()
    status: Status = Status.ACTIVE
    entries: tuple[UserDecryptionEntry, ...] = ()

    def addressed(self, account: str) -> "MemberEntry":
        """Give the same entry with this AccountName."""
        return msgspec.structs.replace(self, account_name=account)

    def limited(self, quotas: tuple[str, ...]) -> "MemberEntry":
        """Give the same entry with these Quotas."""
        return msgspec.structs.replace(self, quotas=quotas)


class RecryptionGroup(Document, frozen=True, kw_only=True):
    """A group, or for an UpdateGroup its name and what changes."""

    group_name: Account
    master: Jws | None = None
    current_encryption_key: Jws | None = None
    past_encryption_keys: tuple[Jws, ...] = ()
    members: tuple[MemberEntry, ...] = ()
    administrator_keys: _AdministratorKeys | None = None
    policy: Policy | None = None


class CreateAuthorization(Document, frozen=True, kw_only=True):
    """What `recrypt-create` signs: that this profile creates this group, here and now (spec §5)."""

    group_identifier: UdfText
    group_name: Account
    url: str = msgspec.field(name="url")
    iat: Seconds = msgspec.field(name="iat")


def sign_create(authorization: CreateAuthorization, key: SignaturePrivateKey) -> Jws:
    """Sign a `recrypt-create` with a key of a profile that the operator has authorised."""
    return sign_document(Kind.CREATE, to_json(authorization), key)


def read_create(payload: JsonObject) -> CreateAuthorization:
    """Read the payload of a `recrypt-create` whose signature was checked.

    Raises:
        Malformed: if it breaks the format.
    """
    return from_json(CreateAuthorization, payload)


class JoinAnswer(Document, frozen=True, kw_only=True):
    """What `recrypt-join` signs: that who has this profile got the token at this address."""

    group_identifier: UdfText
    token: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] = msgspec.field(name="token")
    account_name: Account
    identifier: UdfText


def sign_join(answer: JoinAnswer, key: SignaturePrivateKey) -> Jws:
    """Sign a `recrypt-join` with a key of the applicant's profile."""
    return sign_document(Kind.JOIN, to_json(answer), key)


def unverified_join(signed: Jws) -> JoinAnswer:
    """Read a `recrypt-join` only to find the applicant whose key it must be signed by.

    Raises:
        Malformed: if it breaks the format.
    """
    return from_json(JoinAnswer, unverified_payload(signed))


def verified_join(signed: Jws, profile: VerifiedProfile) -> JoinAnswer:
    """Check that a key of this profile signed a `recrypt-join` about it (spec §6).

    Raises:
        Malformed: if it breaks the format.
        NotAuthentic: if another key signed it, or it is about another profile.
    """
    key = profile.signature_key(signer_of(signed, Kind.JOIN))
    if key is None:
        raise NotAuthentic("a recrypt-join that no key of its profile signed")
    answer = from_json(JoinAnswer, verify(signed, Kind.JOIN, key))
    if answer.identifier != profile.identifier:
        raise NotAuthentic("a recrypt-join about another profile")
    return answer


def verified_master(signed: Jws, group_name: str) -> VerifiedProfile:
    """Check the Master of a group: a profile with the group's name and no EncryptionKeys (spec §4).

    Raises:
        Malformed: if it is not a Master, or of another name.
        NotAuthentic: if its own master key didn't sign it.
    """
    master = verified_profile(signed)
    if master.profile.accounts != (group_name,):
        raise Malformed("a Master whose Accounts are not the GroupName alone")
    if master.profile.encryption_keys:
        raise Malformed("a Master with EncryptionKeys")
    return master
