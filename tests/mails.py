"""Posts as senders write them: `from tests.mails import ...`."""

import base64
from collections.abc import Sequence
from email.message import Message
from email.parser import BytesParser
from typing import Final

from recrypt_core.encoding import JsonObject, write_json
from recrypt_core.envelope import Envelope, read_envelope
from recrypt_core.keys import PublicKey
from recrypt_core.sealing import seal

CONTENT: Final = b"Subject: lunch\r\n\r\nThe secret is out.\r\n"
MMX: Final = "application/vnd.recrypt"


def sealed(*keys: PublicKey, content: bytes = CONTENT) -> Envelope:
    """Seal a content to these keys."""
    return seal(content, keys, cty="message/rfc822")


def part(encrypted: bytes, kind: str = MMX) -> bytes:
    """Write a MIME part in base64."""
    head = f"Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head.encode() + base64.encodebytes(encrypted).replace(b"\n", b"\r\n")


def mail(
    encrypted: bytes, *, message_id: str = "<1@example.org>", fields: Sequence[str] = ()
) -> bytes:
    """Write a post that is the encrypted part alone."""
    head = ["From: Bob <bob@example.org>", "Subject: in the clear", f"Message-ID: {message_id}"]
    lines = [*head, *fields, "MIME-Version: 1.0"]
    return "".join(f"{line}\r\n" for line in lines).encode() + part(encrypted)


def mixed(*parts: bytes) -> bytes:
    """Write a post of several parts."""
    head = b'From: bob@example.org\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    return head + b"".join(b"--b\r\n" + each + b"\r\n" for each in parts) + b"--b--\r\n"


def with_head(envelope: Envelope, **members: object) -> bytes:
    """Give an `.mmx` with members of its JSON line set to these, or taken out by None."""
    head: JsonObject = {**envelope.head(), **members}  # type: ignore[dict-item]  # JSON, as given
    line = write_json({name: value for name, value in head.items() if value is not None})
    return line + b"\n" + envelope.ciphertext


def attachment(copy: bytes) -> bytes:
    """Take the `.mmx` out of a copy, as a stock mail program does."""
    (found,) = [each for each in message_of(copy).walk() if each.get_content_type() == MMX]
    octets = found.get_payload(decode=True)
    assert isinstance(octets, bytes)
    return octets


def message_of(copy: bytes) -> Message:
    """Parse a copy with the standard library."""
    return BytesParser().parsebytes(copy)


def envelope_of(parts: Sequence[bytes]) -> Envelope:
    """Read the envelope in a copy."""
    return read_envelope(attachment(b"".join(parts)))
