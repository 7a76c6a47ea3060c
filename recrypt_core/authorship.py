"""Who wrote a post: `recrypt-sender` for the gateway, `recrypt-author` for readers (spec §7)."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from recrypt_core import limits
from recrypt_core.documents import VerifiedProfile, verified_profile
from recrypt_core.encoding import JsonObject, read_seconds, write_b64url
from recrypt_core.errors import Malformed, NotAuthentic
from recrypt_core.signature_keys import SignaturePrivateKey, SignaturePublicKey
from recrypt_core.signing import (
    Jws,
    Kind,
    read_compact,
    sign_document,
    signer_of,
    unverified_payload,
    verify_document,
)
from recrypt_core.udf import Udf
from recrypt_core.wire import Hash, Seconds, UdfText, from_json

AUTHOR_FIELD: Final = b"Recrypt-Signature: "


class _Sender(msgspec.Struct, frozen=True):
    """The payload of a `recrypt-sender`."""

    list: str
    iat: Seconds
    cid: Hash


class _Author(msgspec.Struct, frozen=True):
    """The payload of a `recrypt-author`."""

    group: UdfText
    key: UdfText
    id: str
    iat: Seconds
    sha256: Hash
    profile: Jws


@dataclass(frozen=True, slots=True)
class Author:
    """Who signed a content: proven to hold the keys of this profile, nothing more.

    Attributes:
        profile: The author's profile, which a reader pins on first use.
        message_id: The author's Message-ID; a reader flags one that it has seen before.
        issued: When it was signed, by the author's clock.
    """

    profile: VerifiedProfile
    message_id: str
    issued: datetime


def sign_sender(list_name: str, cid: bytes, key: SignaturePrivateKey, *, now: datetime) -> str:
    """Write a `recrypt-sender` for the gateway's eyes, in compact form."""
    payload: JsonObject = {
        "list": list_name,
        "iat": int(now.timestamp()),
        "cid": write_b64url(cid),
    }
    return sign_document(Kind.SENDER, payload, key).compact()


def sender_kid(text: str) -> Udf:
    """Read which key says to have signed a `recrypt-sender`.

    Raises:
        Malformed: if it is none.
    """
    return signer_of(read_compact(text), Kind.SENDER)


def verify_sender(
    text: str, key: SignaturePublicKey, *, list_name: str, cid: bytes, now: datetime
) -> None:
    """Check that a `recrypt-sender` is for this list and content, and recent (spec §7).

    Raises:
        Malformed: if it breaks the format.
        NotAuthentic: if it is another's, for something else, or older than 5 days.
    """
    stated = from_json(_Sender, verify_document(read_compact(text), Kind.SENDER, key))
    if stated.list != list_name or not hmac.compare_digest(stated.cid, write_b64url(cid)):
        raise NotAuthentic("a sender's signature for another list or content")
    age = now - read_seconds(stated.iat)
    if not -limits.REQUEST_SKEW <= age <= limits.SENDER_LIFE:
        raise NotAuthentic("a sender's signature that is too old, or from the future")


def sign_content(
    entity: bytes,
    *,
    group: tuple[Udf, Udf],
    message_id: str,
    signer: tuple[VerifiedProfile, SignaturePrivateKey],
    now: datetime,
) -> bytes:
    """Put the authorship line before a MIME entity (spec §7).

    Args:
        entity: The content, CRLF lines.
        group: The group's Identifier and the fingerprint of A.
        message_id: The author's Message-ID.
        signer: The author's profile, and one of its signature keys.
        now: The time.
    """
    profile, key = signer
    identifier, group_key = group
    payload: JsonObject = {
        "group": identifier,
        "key": group_key,
        "id": message_id,
        "iat": int(now.timestamp()),
        "sha256": _digest(entity),
        "profile": profile.signed.json(),
    }
    line = sign_document(Kind.AUTHOR, payload, key).compact()
    return AUTHOR_FIELD + line.encode("ascii") + b"\r\n" + entity


def split_content(content: bytes) -> tuple[str | None, bytes]:
    """Part a content into its authorship line, if it has one, and the MIME entity.

    Raises:
        Malformed: if the line is too long, or no text.
    """
    if not content.startswith(AUTHOR_FIELD):
        return None, content
    end = content.find(b"\r\n", 0, limits.AUTHOR_LINE_OCTETS)
    if end < 0:
        raise Malformed("an authorship line without an end")
    try:
        return content[len(AUTHOR_FIELD) : end].decode("ascii"), content[end + 2 :]
    except UnicodeDecodeError:
        raise Malformed("an authorship line that is not ASCII") from None


def verify_author(line: str, entity: bytes, *, group: Udf | None, group_key: Udf) -> Author:
    """Check an authorship line against its entity, group and group key.

    Args:
        line: The line without its field name.
        entity: All octets after the line's CRLF.
        group: The group's Identifier, None where the reader knows none yet.
        group_key: The fingerprint of the key that the envelope was sealed to.

    Raises:
        Malformed: if it breaks the format.
        NotAuthentic: if the signature is bad, or for another content, group or key.
    """
    signed = read_compact(line)
    stated = from_json(_Author, unverified_payload(signed))
    profile = verified_profile(stated.profile)
    key = profile.signature_key(signer_of(signed, Kind.AUTHOR))
    if key is None:
        raise NotAuthentic("an authorship line that no key of its profile signed")
    verify_document(signed, Kind.AUTHOR, key)
    if stated.key != group_key or (group is not None and stated.group != group):
        raise NotAuthentic("an authorship line for another group or group key")
    if not hmac.compare_digest(stated.sha256, _digest(entity)):
        raise NotAuthentic("an authorship line for another content")
    return Author(profile, stated.id, read_seconds(stated.iat))


def _digest(entity: bytes) -> str:
    return write_b64url(hashlib.sha256(entity).digest())
