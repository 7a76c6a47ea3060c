"""What moderators ask about held posts, and how they decide: ours, not the drafts' (spec §6)."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

import msgspec

from recrypt_core import limits
from recrypt_core.documents import Number
from recrypt_core.encoding import JsonObject, read_seconds
from recrypt_core.errors import Malformed, NotAuthentic
from recrypt_core.records import GroupId, PageSize
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
from recrypt_core.wire import Document, Hash, Seconds, UdfText, check_utc, from_json
from recrypt_core.words import Word

_NAME: Final = re.compile(r"([1-9][0-9]{0,14})(?::([\w-]{43}))?", re.ASCII)


class Decision(Word):
    """What becomes of a post that is held."""

    ACCEPT = "accept"
    """All readers get it."""
    REJECT = "reject"
    """Nobody does, and its sender is told, if that was proven."""
    DISCARD = "discard"
    """Nobody does, and nobody is told."""


@dataclass(frozen=True, slots=True)
class HeldName:
    """What moderators name a post by: so that no decision is about another of the same number.

    Attributes:
        number: Its list's own.
        cid: Its content id, in base64url; None for one that waits since such had no part in it.
    """

    number: int
    cid: str | None = None

    def __str__(self) -> str:
        return f"{self.number}" if self.cid is None else f"{self.number}:{self.cid}"


def read_name(text: str) -> HeldName:
    """Read a name as it is written: NUMBER or NUMBER:CID.

    Raises:
        Malformed: if it is neither.
    """
    found = _NAME.fullmatch(text)
    if found is None:
        raise Malformed("a post is named by its number, or by that, a colon and its content id")
    return HeldName(int(found[1]), found[2])


class GetHeld(Document, frozen=True, kw_only=True):
    """Ask which posts wait for a decision, in pages after a number."""

    transaction: ClassVar[str] = "GetHeld"
    group_id: GroupId
    after: Number = 0
    limit: PageSize = 100


class Decide(Document, frozen=True, kw_only=True):
    """Decide about one that waits."""

    transaction: ClassVar[str] = "Decide"
    group_id: GroupId
    post: Number
    content_id: Hash | None = None
    decision: Decision

    @property
    def name(self) -> HeldName:
        """Give what it is about."""
        return HeldName(self.post, self.content_id)


class HeldPost(Document, frozen=True, kw_only=True):
    """A post that waits: its name in its list, its octets, and its sender, if that is proven."""

    post: Number
    content_id: Hash | None = None
    since: datetime
    until: datetime
    octets: Number
    recrypt_udf: UdfText | None = None

    def __post_init__(self) -> None:
        check_utc(self.since)
        check_utc(self.until)

    @property
    def name(self) -> HeldName:
        """Give what a decision names it by."""
        return HeldName(self.post, self.content_id)


class _Stated(msgspec.Struct, frozen=True):
    """The payload of a `recrypt-decide`."""

    group: UdfText
    post: Number
    decision: Decision
    iat: Seconds
    cid: Hash | None = None


@dataclass(frozen=True, slots=True)
class SignedDecision:
    """A decision that comes by mail: of which group, about which post, by which key."""

    group: Udf
    post: HeldName
    decision: Decision
    signer: Udf


def sign_decision(
    group: Udf, post: HeldName, decision: Decision, key: SignaturePrivateKey, *, now: datetime
) -> str:
    """Write a `recrypt-decide`, in compact form."""
    payload: JsonObject = {
        "group": group,
        "post": post.number,
        "decision": str(decision.value),
        "iat": int(now.timestamp()),
    }
    if post.cid is not None:
        payload["cid"] = post.cid
    return sign_document(Kind.DECIDE, payload, key).compact()


def unverified_decision(text: str) -> SignedDecision:
    """Read a `recrypt-decide`, to find the key that it must be signed by.

    Raises:
        Malformed: if it is none.
    """
    signed = read_compact(text)
    signer = signer_of(signed, Kind.DECIDE)
    stated = from_json(_Stated, unverified_payload(signed))
    named = HeldName(stated.post, stated.cid)
    return SignedDecision(stated.group, named, stated.decision, signer)


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
