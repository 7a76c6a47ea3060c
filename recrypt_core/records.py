"""What messages hold besides documents: limits, a recipient asked about, entries, requests."""

from datetime import datetime
from typing import Annotated

import msgspec

from recrypt_core import limits
from recrypt_core.documents import Account, Number
from recrypt_core.signing import Jws
from recrypt_core.wire import Document, EphemeralKey, Hash, UdfText, check_utc
from recrypt_core.words import Word

GroupId = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.ACCOUNT_OCTETS)]
"""A GroupName or a group's Identifier."""

B64url = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{0,128}\Z")]
"""Up to 96 octets in base64url: a partial, a wrapped content key."""

PageSize = Annotated[int, msgspec.Meta(ge=1, le=1000)]
"""How many rows a page of an answer has at most."""


class Version(Document, frozen=True, kw_only=True):
    """A version of the protocol."""

    major: int
    minor: int


class ServiceLimits(Document, frozen=True, kw_only=True):
    """What a service takes: octets of a request and of a copy, entries of a request."""

    request_octets: int
    request_entries: int
    post_octets: int


class RecipientHeader(msgspec.Struct, frozen=True, kw_only=True):
    """The headers of an envelope's recipient, merged; those that aren't known are passed over."""

    alg: str
    kid: UdfText
    epk: EphemeralKey
    apu: str | None = None
    apv: str | None = None


class MergedRecipient(msgspec.Struct, frozen=True, kw_only=True):
    """The group's recipient of an envelope, as a member asks about it."""

    header: RecipientHeader
    encrypted_key: B64url


class AuditResult(Word):
    """What came of a RecryptData."""

    DONE = "DONE"
    REFUSED = "REFUSED"
    QUOTA = "QUOTA"


class AuditEntry(Document, frozen=True, kw_only=True):
    """One RecryptData: when, by which member, of which entry and which envelope (epk)."""

    seq: Number
    time: datetime
    recrypt_udf: UdfText
    member_key_udf: UdfText = msgspec.field(name="MemberKeyUDF")
    ephemeral_udf: UdfText
    result: AuditResult

    def __post_init__(self) -> None:
        check_utc(self.time)


class JoinRequest(Document, frozen=True, kw_only=True):
    """One who waits for a decision: address and key are proven, whose they are isn't."""

    account_name: Account
    profile: Jws
    since: datetime
    invitation: Hash | None = None
    """The proof of an invitation (spec §6), which only who invited can check."""

    def __post_init__(self) -> None:
        check_utc(self.since)
