"""The envelope: a JWE as data, its `.mmx` form and its JSON form (spec §3).

What is read here is well formed, and nothing more: nobody has opened it yet.
"""

import hashlib
from dataclasses import dataclass
from enum import Enum
from typing import Final

from recrypt_core import limits
from recrypt_core.agreement import Split
from recrypt_core.encoding import (
    JsonObject,
    JsonValue,
    read_b64url,
    read_json,
    write_b64url,
    write_json,
)
from recrypt_core.errors import Malformed
from recrypt_core.jose import ContentCipher
from recrypt_core.keys import PublicKey
from recrypt_core.udf import Udf, read_udf

_RECIPIENT_NAMES: Final = ("alg", "kid", "epk", "apu", "apv")
_WRAPPED_OVERHEAD: Final = 8  # octets that AES-KW adds (RFC 3394)


class KeyWrap(Enum):
    """A key agreement with key wrapping that is accepted (spec §3), with octets of its key."""

    A256KW = ("ECDH-ES+A256KW", 32)
    A128KW = ("ECDH-ES+A128KW", 16)

    def __init__(self, alg: str, octets: int) -> None:
        self.alg = alg
        self.octets = octets


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient of an envelope.

    Attributes:
        wrap: Its `alg`.
        kid: What it says whose key this is; often a fingerprint, not believed.
        epk: The sender's ephemeral key.
        apu: Octets for the key derivation, as is `apv` (RFC 7518 §4.6.1).
        encrypted_key: The content key, wrapped.
        header: Those of the five names that don't stand in the protected header.
    """

    wrap: KeyWrap
    kid: str | None
    epk: PublicKey
    apu: bytes
    apv: bytes
    encrypted_key: bytes
    header: JsonObject

    def json(self) -> JsonObject:
        """Give it as JSON, without a header that would be empty (RFC 7516 §7.2.1)."""
        header: JsonObject = {"header": self.header} if self.header else {}
        return {**header, "encrypted_key": write_b64url(self.encrypted_key)}


@dataclass(frozen=True, slots=True)
class Recryption:
    """What the service adds for one member: a partial and the wrapped x (spec §7)."""

    group_key: Udf
    member_key: Udf
    split: Split
    partial: bytes
    decryption_key: "Envelope"

    def json(self) -> JsonObject:
        """Give it as JSON."""
        return {
            "GroupKeyID": self.group_key,
            "MemberKeyUDF": self.member_key,
            "Split": self.split.value,
            "Partial": write_b64url(self.partial),
            "DecryptionKey": self.decryption_key.json(),
        }


@dataclass(frozen=True, slots=True)
class Envelope:
    """A group-encrypted message.

    Attributes:
        protected: The protected header as it was received: base64url of its octets.
        cipher: Its `enc`.
        cty: Its content type, if it says so.
        aad: Additional data as received, base64url.
        sender: The `recrypt-sender` beside it, unread (spec §7).
    """

    protected: str
    cipher: ContentCipher
    cty: str | None
    recipients: tuple[Recipient, ...]
    iv: bytes
    tag: bytes
    ciphertext: bytes
    aad: str | None = None
    sender: str | None = None
    recryption: Recryption | None = None

    @property
    def additional_data(self) -> bytes:
        """The octets that the tag covers beside the ciphertext (RFC 7516 §5.1)."""
        text = self.protected if self.aad is None else f"{self.protected}.{self.aad}"
        return text.encode("ascii")

    @property
    def content_id(self) -> bytes:
        """Name the sealed content, whatever its recipients: 32 octets (spec §3)."""
        h = write_b64url(hashlib.sha256(self.ciphertext).digest())
        parts = (self.protected, write_b64url(self.iv), write_b64url(self.tag), h)
        return hashlib.sha256(".".join(parts).encode("ascii")).digest()

    def head(self) -> JsonObject:
        """Give the JSON members in the one form that we write, but for the ciphertext."""
        head: JsonObject = {"protected": self.protected}
        if self.aad is not None:
            head["aad"] = self.aad
        head["iv"] = write_b64url(self.iv)
        head["tag"] = write_b64url(self.tag)
        head["recipients"] = [each.json() for each in self.recipients]
        if self.sender is not None:
            head["sender"] = self.sender
        if self.recryption is not None:
            head["recryption"] = self.recryption.json()
        return head

    def json(self) -> JsonObject:
        """Give the complete JWE as JSON."""
        return {**self.head(), "ciphertext": write_b64url(self.ciphertext)}

    def mmx(self) -> bytes:
        """Give the `.mmx` form: one line of JSON, then the ciphertext octets.

        Raises:
            Malformed: if there are so many recipients that the line is over its limit.
        """
        line = write_json(self.head()) + b"\n"
        _check_line(len(line))
        return line + self.ciphertext


def read_envelope(octets: bytes) -> Envelope:
    """Read an envelope in either form, `.mmx` or JSON (spec §3).

    Raises:
        Malformed: for whatever spec §3 doesn't accept.
    """
    end = octets.find(b"\n", 0, limits.ENVELOPE_LINE_OCTETS)
    if end >= 0 and octets[:end].rstrip(b" ").endswith(b"}"):
        head = read_json(octets[:end], limit=limits.ENVELOPE_LINE_OCTETS)
        if "ciphertext" not in head:
            return _from_head(head, octets[end + 1 :])
    if len(octets) > limits.ENVELOPE_LINE_OCTETS and not octets.lstrip(b" \t\r\n").startswith(b"{"):
        raise Malformed("neither an .mmx file nor a JWE in JSON")
    whole = read_json(octets, limit=limits.CONTENT_OCTETS * 4 // 3 + limits.ENVELOPE_LINE_OCTETS)
    _check_line(len(octets) - len(_text(whole, "ciphertext")))
    return envelope_from_json(whole)


def envelope_from_json(whole: JsonObject) -> Envelope:
    """Read a complete JWE that stands in a JSON document.

    Raises:
        Malformed: for whatever spec §3 doesn't accept.
    """
    head = {name: value for name, value in whole.items() if name != "ciphertext"}
    return _from_head(head, read_b64url(_text(whole, "ciphertext")))


def _from_head(head: JsonObject, ciphertext: bytes) -> Envelope:
    if len(ciphertext) > limits.CONTENT_OCTETS + 32:  # a block of CBC padding at most
        raise Malformed("content of over 64 MiB")
    protected_text = _text(head, "protected")
    protected = read_json(read_b64url(protected_text), limit=limits.ENVELOPE_LINE_OCTETS)
    cipher = _cipher(protected)
    iv, tag = read_b64url(_text(head, "iv")), read_b64url(_text(head, "tag"))
    if len(iv) != cipher.iv_octets or len(tag) != cipher.tag_octets:
        raise Malformed(f"an iv or a tag of another length than {cipher.enc} has")
    aad = _optional_text(head, "aad")
    if aad is not None:
        read_b64url(aad)
    return Envelope(
        protected=protected_text,
        cipher=cipher,
        cty=_optional_text(protected, "cty"),
        recipients=_recipients(head, protected, cipher),
        iv=iv,
        tag=tag,
        ciphertext=ciphertext,
        aad=aad,
        sender=_optional_text(head, "sender"),
        recryption=_recryption(head),
    )


def _cipher(protected: JsonObject) -> ContentCipher:
    for cipher in ContentCipher:
        if protected.get("enc") == cipher.enc:
            return cipher
    raise Malformed("an enc that isn't accepted, or isn't in the protected header")


def _recipients(
    head: JsonObject, protected: JsonObject, cipher: ContentCipher
) -> tuple[Recipient, ...]:
    """Read the recipients of the general form, or the one of the flattened form."""
    shared = _object(head.get("unprotected", {}))
    listed = head.get("recipients")
    if listed is None:
        listed = [
            {name: head[name] for name in ("header", "encrypted_key") if name in head},
        ]
    elif "header" in head or "encrypted_key" in head:
        raise Malformed("an envelope of both the general and the flattened form")
    if not isinstance(listed, list) or not 1 <= len(listed) <= limits.ENVELOPE_RECIPIENTS:
        raise Malformed(f"not 1 to {limits.ENVELOPE_RECIPIENTS} recipients")
    return tuple(_recipient(_object(each), shared, protected, cipher) for each in listed)


def _recipient(
    entry: JsonObject, shared: JsonObject, protected: JsonObject, cipher: ContentCipher
) -> Recipient:
    own = _object(entry.get("header", {}))
    names = [*protected, *shared, *own]
    if len(set(names)) != len(names):
        raise Malformed("a header name that stands in two headers")  # RFC 7516 §7.2.1
    merged = {**protected, **shared, **own}
    if "zip" in merged or "crit" in merged:
        raise Malformed("an envelope with zip or crit")
    outside = {**shared, **own}
    if "enc" in outside:
        raise Malformed("an enc outside of the protected header")
    encrypted_key = read_b64url(_text(entry, "encrypted_key"))
    if len(encrypted_key) != cipher.key_octets + _WRAPPED_OVERHEAD:
        raise Malformed("an encrypted key of the wrong length")
    return Recipient(
        wrap=_key_wrap(merged),
        kid=_optional_text(merged, "kid"),
        epk=PublicKey.from_jwk(_object(merged.get("epk"))),
        apu=read_b64url(_optional_text(merged, "apu") or ""),
        apv=read_b64url(_optional_text(merged, "apv") or ""),
        encrypted_key=encrypted_key,
        header={name: outside[name] for name in _RECIPIENT_NAMES if name in outside},
    )


def _key_wrap(merged: JsonObject) -> KeyWrap:
    for wrap in KeyWrap:
        if merged.get("alg") == wrap.alg:
            return wrap
    raise Malformed("an alg that isn't accepted")


def _recryption(head: JsonObject) -> Recryption | None:
    if "recryption" not in head:
        return None
    part = _object(head["recryption"])
    try:
        split = Split(part.get("Split"))
    except ValueError:
        raise Malformed("a recryption of an unknown Split") from None
    return Recryption(
        group_key=read_udf(_text(part, "GroupKeyID")),
        member_key=read_udf(_text(part, "MemberKeyUDF")),
        split=split,
        partial=read_b64url(_text(part, "Partial")),
        decryption_key=envelope_from_json(_object(part.get("DecryptionKey"))),
    )


def _check_line(octets: int) -> None:
    if octets > limits.ENVELOPE_LINE_OCTETS:
        raise Malformed("an envelope with over 64 KiB beside its ciphertext")


def _object(value: JsonValue) -> JsonObject:
    if not isinstance(value, dict):
        raise Malformed("an envelope with something else where an object belongs")
    return value


def _text(holder: JsonObject, name: str) -> str:
    text = holder.get(name)
    if not isinstance(text, str):
        raise Malformed(f"an envelope without {name}")
    return text


def _optional_text(holder: JsonObject, name: str) -> str | None:
    return _text(holder, name) if name in holder else None
