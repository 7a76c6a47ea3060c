"""Signed documents and requests: JWS made and verified, the signed octets kept (spec §4, §5).

A `Jws` is unverified until `verify` has given its payload.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Annotated, Final

import msgspec

from recrypt_core import _random, jose, limits
from recrypt_core.encoding import (
    JsonObject,
    read_b64url,
    read_json,
    read_seconds,
    write_b64url,
    write_json,
)
from recrypt_core.errors import Malformed, NotAuthentic, TooLarge
from recrypt_core.keys import PrivateKey
from recrypt_core.signature_keys import SignaturePrivateKey, SignaturePublicKey
from recrypt_core.udf import Udf, read_udf
from recrypt_core.wire import Hash, Seconds, UdfText, from_json

UNKNOWN_KEY: Final = "signed by a key that is unknown here"
"""What a stranger is told, who is told apart by it from a member whose clock is wrong."""

_HEADER_OCTETS: Final = 4096
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)


class Kind(Enum):
    """The kind of a signed document, its `typ`; one is never read as another (spec §4)."""

    PROFILE = "recrypt-profile"
    GROUP_KEY = "recrypt-group-key"
    REQUEST = "recrypt-request"
    CREATE = "recrypt-create"
    JOIN = "recrypt-join"
    SENDER = "recrypt-sender"
    AUTHOR = "recrypt-author"
    DECIDE = "recrypt-decide"


class Jws(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A flattened JWS in JSON with one signature, as it was received; nothing in it is believed."""

    payload: str
    protected: str
    signature: str

    @property
    def hash(self) -> str:
        """Name these octets: as a change of a group is named in the next one (spec §5)."""
        text = f"{self.protected}.{self.payload}.{self.signature}"
        return write_b64url(hashlib.sha256(text.encode()).digest())

    def json(self) -> JsonObject:
        """Give it as JSON."""
        return {"payload": self.payload, "protected": self.protected, "signature": self.signature}

    def compact(self) -> str:
        """Give the compact form (RFC 7515 §7.1)."""
        return f"{self.protected}.{self.payload}.{self.signature}"


def read_compact(text: str) -> Jws:
    """Read a JWS in compact form.

    Raises:
        Malformed: if it isn't three parts of base64url.
    """
    parts = _COMPACT.fullmatch(text)
    if parts is None:
        raise Malformed("not a JWS in compact form")
    return Jws(protected=parts[1], payload=parts[2], signature=parts[3])


class Link(msgspec.Struct, frozen=True):
    """The place of a change in its group's chain (spec §5)."""

    group: Udf
    seq: int
    prev: str | None


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The protected header of a signed document: these members and no other (spec §4)."""

    alg: str
    kid: UdfText
    typ: str


class _RequestHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The protected header of a signed request (spec §5)."""

    alg: str
    kid: UdfText
    typ: str
    url: str
    iat: Seconds
    nonce: str
    group: UdfText | None = None
    seq: Annotated[int, msgspec.Meta(ge=1, lt=2**53)] | None = None
    prev: Hash | None = None


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A signed request as it was received: well formed, its signature not yet checked.

    Attributes:
        jws: Its octets, which are kept if it changes a group.
        signer: The fingerprint of the key that it says to be signed by.
        url: The service that it is meant for.
        issued: When it was signed, by the signer's clock.
        nonce: 16 octets that this signer never used before.
        link: Its place in a group's chain, if it is a change.
        halves: The recryption keys beside it, by MemberKeyUDF.
    """

    jws: Jws
    signer: Udf
    url: str
    issued: datetime
    nonce: bytes
    link: Link | None
    halves: Mapping[Udf, PrivateKey]

    def verify(self, key: SignaturePublicKey) -> bytes:
        """Give the payload that was signed.

        Raises:
            NotAuthentic: if the signature isn't the key's.
        """
        return _verified_payload(self.jws, self.signer, key)

    def check_fresh(self, url: str, now: datetime) -> None:
        """Refuse a request for another service, or signed over 300 s from `now` (spec §5).

        Raises:
            NotAuthentic: with the reason, which may be told.
        """
        if self.url != url:
            raise NotAuthentic("the request is for another service: check the configured address")
        if abs(now - self.issued) > limits.REQUEST_SKEW:
            raise NotAuthentic(
                "the request was signed over 300 s from the time here: check the clock"
            )


def sign_document(kind: Kind, payload: JsonObject, key: SignaturePrivateKey) -> Jws:
    """Sign a document of a kind."""
    return _sign({"kid": key.public.udf, "typ": kind.value}, write_json(payload), key)


def signer_of(document: Jws, kind: Kind) -> Udf:
    """Read who says to have signed a document; believe it after `verify_document`.

    Raises:
        Malformed: if it is of another kind, or its header is not the one of spec §4.
    """
    header = from_json(_Header, _read_header(document))
    _check_header(header.alg, header.typ, kind)
    return header.kid


def verify_document(document: Jws, kind: Kind, key: SignaturePublicKey) -> JsonObject:
    """Give the payload of a document of a kind that `key` signed.

    Raises:
        Malformed: if it is of another kind, or breaks the format.
        NotAuthentic: if it is another key's, or was changed.
    """
    payload = _verified_payload(document, signer_of(document, kind), key)
    return read_json(payload, limit=limits.REQUEST_OCTETS)


def unverified_payload(document: Jws) -> JsonObject:
    """Read a payload only to find the key that it must be signed by.

    Raises:
        Malformed: if it breaks the format.
    """
    return read_json(read_b64url(document.payload), limit=limits.REQUEST_OCTETS)


def sign_request(
    payload: bytes, key: SignaturePrivateKey, *, url: str, now: datetime, link: Link | None = None
) -> Jws:
    """Sign a request to the service at `url`, with a fresh nonce (spec §5)."""
    header: JsonObject = {
        "kid": key.public.udf,
        "typ": Kind.REQUEST.value,
        "url": url,
        "iat": int(now.timestamp()),
        "nonce": write_b64url(_random.octets(limits.NONCE_OCTETS)),
    }
    if link is not None:
        header |= {"group": link.group, "seq": link.seq, "prev": link.prev}
    return _sign(header, payload, key)


def request_body(request: Jws, halves: Mapping[Udf, PrivateKey]) -> bytes:
    """Give the body of a signed request, with the halves beside the signature (spec §5)."""
    body = request.json()
    if halves:
        body["halves"] = {udf: half.to_secret_jwk() for udf, half in halves.items()}
    return write_json(body)


def read_request(body: bytes) -> SignedRequest:
    """Read a signed request of at most 8 MiB, believing nothing.

    Raises:
        TooLarge: if it is over 8 MiB, or has over 1,000 halves.
        Malformed: if it breaks the format of spec §5.
    """
    members = read_json(body, limit=limits.REQUEST_OCTETS)
    halves = members.pop("halves", {})
    if not isinstance(halves, dict):
        raise Malformed("halves that are not an object")
    if len(halves) > limits.REQUEST_ENTRIES:
        raise TooLarge(
            f"over {limits.REQUEST_ENTRIES} halves: send their entries in several changes"
        )
    request = read_signed(from_json(Jws, members))
    read = {read_udf(udf): _read_half(half) for udf, half in halves.items()}
    return replace(request, halves=read)


def read_signed(jws: Jws) -> SignedRequest:
    """Read a signed request without halves, as a chain keeps it, believing nothing.

    Raises:
        Malformed: if it breaks the format of spec §5.
    """
    members = _read_header(jws)
    header = from_json(_RequestHeader, members)
    _check_header(header.alg, header.typ, Kind.REQUEST)
    nonce = read_b64url(header.nonce)
    if len(nonce) != limits.NONCE_OCTETS:
        raise Malformed(f"a nonce that is not {limits.NONCE_OCTETS} octets long")
    return SignedRequest(
        jws=jws,
        signer=header.kid,
        url=header.url,
        issued=read_seconds(header.iat),
        nonce=nonce,
        link=_link(header, members),
        halves={},
    )


def _link(header: _RequestHeader, members: JsonObject) -> Link | None:
    """Read the place in the chain: all three members, or none of them."""
    given = {"group", "seq", "prev"} & members.keys()
    if not given:
        return None
    if len(given) < 3 or header.group is None or header.seq is None:
        raise Malformed("a change without group, seq or prev in its protected header")
    if (header.prev is None) != (header.seq == 1):
        raise Malformed("a change whose prev doesn't suit its seq")
    return Link(header.group, header.seq, header.prev)


def _read_half(half: object) -> PrivateKey:
    if not isinstance(half, dict):
        raise Malformed("a half that is not a JWK")
    return PrivateKey.from_secret_jwk(half)


def _read_header(document: Jws) -> JsonObject:
    return read_json(read_b64url(document.protected), limit=_HEADER_OCTETS)


def _check_header(alg: str, typ: str, kind: Kind) -> None:
    if alg != jose.SIGNATURE_ALGORITHM:
        raise Malformed(f"a signature that is not {jose.SIGNATURE_ALGORITHM}")
    if typ != kind.value:
        raise Malformed(f"not a signed document of the kind {kind.value}")


def _sign(header: JsonObject, payload: bytes, key: SignaturePrivateKey) -> Jws:
    protected, body, signature = jose.sign(key, header, payload)
    return Jws(protected=protected, payload=body, signature=signature)


def _verified_payload(document: Jws, signer: Udf, key: SignaturePublicKey) -> bytes:
    if signer != key.udf:
        raise NotAuthentic("signed by another key")
    payload = read_b64url(document.payload)
    jose.verify(key, document.protected, document.payload, document.signature)
    return payload
