"""The envelope: a JWE as data, its `.mmx` form and its JSON form (spec §3).

What is read here is well formed, and nothing more: nobody has opened it yet.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from recrypt_core import limits
from recrypt_core.agreement import Split
from recrypt_core.encoding import (
    JsonObject,
    JsonValue,
    read_b64url,
    read_json,
    read_object,
    read_text,
    write_b64url,
    write_json,
)
from recrypt_core.errors import Malformed, Recrypted, TooLarge
from recrypt_core.jose import ContentCipher
from recrypt_core.keys import PublicKey
from recrypt_core.udf import Udf, read_udf

_RECIPIENT_NAMES: Final = ("alg", "kid", "epk", "apu", "apv")
_JSON_OCTETS: Final = limits.CONTENT_OCTETS * 4 // 3 + limits.ENVELOPE_LINE_OCTETS
_JSON = re.compile(rb"[ \t\r\n]*\{")
_CIPHERTEXT = re.compile(rb'"ciphertext"[ \t\r\n]*:[ \t\r\n]*"')
_WRAPPED_OVERHEAD: Final = 8  # octets that AES-KW adds (RFC 3394)


class KeyWrap(Enum):
    """A key agreement with key wrapping that is accepted (spec §3), with octets of its key."""

    A256KW = ("ECDH-ES+A256KW", 32)
    A128KW = ("ECDH-ES+A128KW", 16)

    def __init__(self, alg: str, octets: int) -> None:
        self.alg = alg
        self.octets = octets


_KEY_WRAPS: Final[Mapping[str, KeyWrap]] = {wrap.alg: wrap for wrap in KeyWrap}
_CIPHERS: Final[Mapping[str, ContentCipher]] = {each.enc: each for each in ContentCipher}


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
    _content_id: bytes | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def additional_data(self) -> bytes:
        """The octets that the tag covers beside the ciphertext (RFC 7516 §5.1)."""
        text = self.protected if self.aad is None else f"{self.protected}.{self.aad}"
        return text.encode("ascii")

    @property
    def content_id(self) -> bytes:
        """Name the sealed content, whatever its recipients: 32 octets (spec §3).

        It is computed once: of 64 MiB it takes a while.
        """
        if self._content_id is None:
            h = write_b64url(hashlib.sha256(self.ciphertext).digest())
            text = f"{self.protected}.{write_b64url(self.iv)}.{write_b64url(self.tag)}.{h}"
            found = hashlib.sha256(text.encode("ascii")).digest()
            object.__setattr__(self, "_content_id", found)
            return found
        return self._content_id

    def head(self) -> JsonObject:
        """Give the JSON members in the one form that we write, but for the ciphertext."""
        head = self.sealed_head([each.json() for each in self.recipients])
        if self.sender is not None:
            head["sender"] = self.sender
        if self.recryption is not None:
            head["recryption"] = self.recryption.json()
        return head

    def sealed_head(self, recipients: list[JsonValue]) -> JsonObject:
        """Give the members that a JWE has, but for the ciphertext, with these recipients."""
        head: JsonObject = {"protected": self.protected}
        if self.aad is not None:
            head["aad"] = self.aad
        head["iv"] = write_b64url(self.iv)
        head["tag"] = write_b64url(self.tag)
        head["recipients"] = recipients
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
    """Read an envelope in either form, `.mmx` or JSON, with the recryption of a copy (spec §3).

    Raises:
        Malformed: for whatever spec §3 doesn't accept; TooLarge for content of over 64 MiB.
    """
    head, ciphertext = _parts(octets)
    return _from_head(head, ciphertext, _recryption(head))


def read_post_envelope(octets: bytes) -> Envelope:
    """Read an envelope as a gateway does: a new one, that nobody has recrypted yet (spec §7).

    Raises:
        Recrypted: if its JSON has a `recryption`, whatever that is, and whatever else is wrong.
        Malformed: for whatever spec §3 doesn't accept; TooLarge for content of over 64 MiB.
    """
    head, ciphertext = _parts(octets)
    if "recryption" in head:
        raise Recrypted("an envelope with a recryption")
    return _from_head(head, ciphertext)


def envelope_from_json(whole: JsonObject) -> Envelope:
    """Read a complete JWE that stands in a JSON document.

    Raises:
        Malformed: for whatever spec §3 doesn't accept.
    """
    ciphertext = read_b64url(_text(whole, "ciphertext"))
    return _from_head(whole, ciphertext, _recryption(whole))


def _parts(octets: bytes) -> tuple[JsonObject, bytes]:
    """Part an envelope in either form into its JSON members and the ciphertext."""
    end = octets.find(b"\n", 0, limits.ENVELOPE_LINE_OCTETS)
    if end >= 0 and octets[:end].rstrip(b" ").endswith(b"}"):
        head = read_json(octets[:end], limit=limits.ENVELOPE_LINE_OCTETS)
        if "ciphertext" not in head:
            return head, octets[end + 1 :]
    if len(octets) > 2 * limits.ENVELOPE_LINE_OCTETS:
        return _large_parts(octets)
    whole = read_json(octets, limit=2 * limits.ENVELOPE_LINE_OCTETS)
    text = _text(whole, "ciphertext")
    _check_line(len(octets) - len(text))
    return whole, read_b64url(text)


def _large_parts(octets: bytes) -> tuple[JsonObject, bytes]:
    """Part a JWE in JSON of over 128 KiB, parsing only what stands beside its ciphertext.

    That is 64 KiB at most, so the ciphertext is the one long text, and it begins in the first
    64 KiB. Parsed as JSON, 85 MiB of small objects would take seconds and a gibibyte.
    """
    if not _JSON.match(octets):
        raise Malformed("neither an .mmx file nor a JWE in JSON")
    if len(octets) > _JSON_OCTETS:
        raise TooLarge("content of over 64 MiB")
    spans = [
        (octets.find(b'"', found.end()), found.end())
        for found in _CIPHERTEXT.finditer(octets, 0, limits.ENVELOPE_LINE_OCTETS)
    ]
    end, start = max(spans, key=lambda span: span[0] - span[1], default=(0, 0))
    _check_line(len(octets) - max(end - start, 0))
    before, after = octets[: start - 1], octets[end + 1 :]
    # Put in place of the text, each mark comes out as this member, or it is another member's.
    marked = [read_json(before + mark + after, limit=len(octets)) for mark in (b"0", b"1")]
    if [head.get("ciphertext") for head in marked] != [0, 1]:
        raise Malformed("an envelope with over 64 KiB beside its ciphertext")
    return marked[0], read_b64url(octets[start:end].decode("latin-1"))


def _from_head(
    head: JsonObject, ciphertext: bytes, recryption: Recryption | None = None
) -> Envelope:
    if len(ciphertext) > limits.CONTENT_OCTETS + 32:  # a block of CBC padding at most
        raise TooLarge("content of over 64 MiB")
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
        recryption=recryption,
    )


def _cipher(protected: JsonObject) -> ContentCipher:
    enc = protected.get("enc")
    cipher = _CIPHERS.get(enc) if isinstance(enc, str) else None
    if cipher is None:
        raise Malformed("an enc that isn't accepted, or isn't in the protected header")
    return cipher


def _recipients(
    head: JsonObject, protected: JsonObject, cipher: ContentCipher
) -> tuple[Recipient, ...]:
    """Read the recipients of the general form, or the one of the flattened form."""
    shared = _object(head.get("unprotected", {}))
    flattened: JsonObject = {
        name: head[name] for name in ("header", "encrypted_key") if name in head
    }
    if flattened and "recipients" in head:
        raise Malformed("an envelope of both the general and the flattened form")
    listed = head.get("recipients", [flattened])
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
    alg = merged.get("alg")
    wrap = _KEY_WRAPS.get(alg) if isinstance(alg, str) else None
    if wrap is None:
        raise Malformed("an alg that isn't accepted")
    return wrap


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
    return read_object(value, what="an envelope")


def _text(holder: JsonObject, name: str) -> str:
    return read_text(holder, name, what="an envelope")


def _optional_text(holder: JsonObject, name: str) -> str | None:
    return _text(holder, name) if name in holder else None
