"""What moderators ask about held posts, and how they decide: ours, not the drafts' (spec §6)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar

import msgspec

from recrypt_core import limits
from recrypt_core.encoding import JsonObject, read_seconds
from recrypt_core.errors import NotAuthentic
from recrypt_core.records import GroupId
from recrypt_core.signature_keys import SignaturePrivateKey, SignaturePublicKey
from recrypt_core.signing import (
    Kind,
    read_compact,
    sign_document,
    signer_of,
    unverified_payload,
    verify_document,
)
from recrypt_core.udf import Udf
from recrypt_core.wire import Document, Seconds, UdfText, check_utc, from_json
from recrypt_core.words import Word

_Number = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
_Limit = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class Decision(Word):
    """What becomes of a post that is held."""

    ACCEPT = "accept"
    """All readers get it."""
    REJECT = "reject"
    """Nobody does, and its sender is told, if that was proven."""
    DISCARD = "discard"
    """Nobody does, and nobody is told."""


class GetHeld(Document, frozen=True, kw_only=True):
    """Ask which posts wait for a decision, in pages after a number."""

    transaction: ClassVar[str] = "GetHeld"
    group_id: GroupId
    after: _Number = 0
    limit: _Limit = 100


class Decide(Document, frozen=True, kw_only=True):
    """Decide about one that waits."""

    transaction: ClassVar[str] = "Decide"
    group_id: GroupId
    post: _Number
    decision: Decision


class HeldPost(Document, frozen=True, kw_only=True):
    """A post that waits: its number in its list, its octets, and its sender, if that is proven."""

    post: _Number
    since: datetime
    until: datetime
    octets: _Number
    recrypt_udf: UdfText | None = None

    def __post_init__(self) -> None:
        check_utc(self.since)
        check_utc(self.until)


class _Stated(msgspec.Struct, frozen=True):
    """The payload of a `recrypt-decide`."""

    group: UdfText
    post: _Number
    decision: Decision
    iat: Seconds


@dataclass(frozen=True, slots=True)
class SignedDecision:
    """A decision that comes by mail: of which group, about which post, by which key."""

    group: Udf
    post: int
    decision: Decision
    signer: Udf


def sign_decision(
    group: Udf, post: int, decision: Decision, key: SignaturePrivateKey, *, now: datetime
) -> str:
    """Write a `recrypt-decide`, in compact form."""
    payload: JsonObject = {
        "group": group,
        "post": post,
        "decision": str(decision.value),
        "iat": int(now.timestamp()),
    }
    return sign_document(Kind.DECIDE, payload, key).compact()


def unverified_decision(text: str) -> SignedDecision:
    """Read a `recrypt-decide`, to find the key that it must be signed by.

    Raises:
        Malformed: if it is none.
    """
    signed = read_compact(text)
    signer = signer_of(signed, Kind.DECIDE)
    stated = from_json(_Stated, unverified_payload(signed))
    return SignedDecision(stated.group, stated.post, stated.decision, signer)


def check_decision(text: str, key: SignaturePublicKey, *, now: datetime) -> None:
    """Check that a key has signed a `recrypt-decide`, and within the time that mail may take.

    Raises:
        Malformed: if it breaks the format.
        NotAuthentic: if it is another's, or older than 5 days.
    """
    stated = from_json(_Stated, verify_document(read_compact(text), Kind.DECIDE, key))
    age = now - read_seconds(stated.iat)
    if not -limits.REQUEST_SKEW <= age <= limits.SENDER_LIFE:
        raise NotAuthentic("a decision that is too old, or from the future")
