"""A post for a list: what stands inside the envelope, and what outside.

Pure. Inside are the author's own header and body, protected (RFC 9788); outside is only what
mail needs on its way to the list (spec §7).
"""

import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, formataddr, parsedate_to_datetime
from typing import Final

from recrypt_client import mail
from recrypt_client.mail import Entity, Field, make_field
from recrypt_core import _random, limits
from recrypt_core.errors import Malformed
from recrypt_core.padding import FIELD, padding

SUBJECT: Final = "[...]"  # of every post, outside (spec §7, RFC 9788 §3.2.1)
LINE_OCTETS: Final = 76  # of base64 (RFC 2045 §6.8)
THREAD_IDS: Final = 20  # of References and In-Reply-To that go along (spec §7)

# Written by mail's own programs, or for them alone: none of the author's business.
_DROPPED: Final = (
    "Bcc",
    "Resent-Bcc",
    "Return-Path",
    "Received",
    "Delivered-To",
    "DKIM-Signature",
    "HP-Outer",
    FIELD,
)
_ENCODING: Final = "Content-Transfer-Encoding"
_RECIPIENTS: Final = ("To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc")
_PROTECTION = re.compile(r";\s*(hp|protected-headers)\s*=\s*(\"[^\"]*\"|[^\s;]*)", re.IGNORECASE)
_BOUNDARY: Final = b"=_recrypt"  # base64 and our notice have no such line
_NOTICE: Final = (
    "This message is encrypted to the members of its list. The list's server\r\n"
    "can't read it; members read it with: recrypt read\r\n"
)


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that is ready to be sealed.

    Attributes:
        message: It, with From, To, Date and Message-ID.
        message_id: Its id, inside and outside.
        outer: The header fields that stand outside, but for MIME's own.
    """

    message: Entity
    message_id: str
    outer: tuple[Field, ...]


def draft(
    octets: bytes, group: str, *, author: str | None, own: str | None, now: datetime
) -> Draft:
    """Make ready a message as a mail program gives it; missing fields are added.

    Args:
        octets: The message, CRLF or LF lines.
        group: The list's address.
        author: Who it is from, if not who it says.
        own: Who it is from, if nothing says so.
        now: The time, where it has no Date.

    Raises:
        Malformed: if it is no message, is for others than the list, or is from nobody.
    """
    message = mail.parse(mail.with_crlf(octets))
    check_recipients(message, group)
    if author is not None or message.first("From") is None:
        message = message.with_field("From", _mailbox(author or own))
    if message.first("To") is None:
        message = message.with_field("To", group)
    sent = _date(message.first("Date"))
    if sent is None:
        sent, message = now, message.with_field("Date", format_datetime(now.astimezone(UTC)))
    senders = mail.addresses(message.all("From"))
    if len(senders) != 1 or "@" not in senders[0][1]:
        raise Malformed("a message whose From is not one address")
    found = mail.ids(message.all("Message-ID"))
    message_id = found[0] if len(found) == 1 else _new_id(senders[0][1])
    if len(found) != 1:
        message = message.with_field("Message-ID", message_id)
    return Draft(message, message_id, _outer(message, group, sent=sent, message_id=message_id))


def check_recipients(message: Entity, group: str) -> None:
    """Refuse a message that is for others too: what they got would be a copy in clear.

    Raises:
        Malformed: if it is.
    """
    for _, address in mail.addresses(message.all(*_RECIPIENTS)):
        if address.lower() != group:
            raise Malformed(
                f"To, Cc or Bcc name others than {group}, who would get it in clear: "
                "take them out, and send to them by themselves"
            )


def content(ready: Draft, *, before: int = 0) -> bytes:
    """Give the entity that is sealed: with a protected header (RFC 9788 §2.1, §2.2), and padded.

    before: the octets that will stand before it, whose length is to tell as little.
    """
    message = ready.message.without(*_DROPPED, "Content-Type")
    if message.first("MIME-Version") is None:
        message = message.with_field("MIME-Version", "1.0")
    if not message.body.isascii() and not ready.message.all("Content-Type", _ENCODING):
        message = message.with_field(_ENCODING, "8bit")
    outer = tuple(Field("HP-Outer", b"HP-Outer: " + field.octets) for field in ready.outer)
    fields = (*message.fields, *outer, _protected_type(ready.message))
    header = len(Entity(fields, b"").octets())
    octets = before + header + len(message.body)
    field, tail = padding(octets, header=header, most=limits.CONTENT_OCTETS)
    return Entity((*fields, Field(FIELD, field)), message.body + tail).octets()


def post(ready: Draft, mmx: bytes) -> bytes:
    """Give the post: the outer header, a notice, and the envelope as an attachment."""
    encoded = binascii.b2a_base64(mmx, newline=False)
    lines = [encoded[at : at + LINE_OCTETS] for at in range(0, len(encoded), LINE_OCTETS)]
    return b"".join(
        [
            *(field.octets for field in ready.outer),
            b"MIME-Version: 1.0\r\n",
            b'Content-Type: multipart/mixed; boundary="' + _BOUNDARY + b'"\r\n\r\n',
            b"--" + _BOUNDARY + b"\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n",
            _NOTICE.encode("ascii"),
            b"\r\n--" + _BOUNDARY + b"\r\n",
            b'Content-Type: application/vnd.recrypt; name="message.mmx"\r\n',
            b'Content-Disposition: attachment; filename="message.mmx"\r\n',
            b"Content-Transfer-Encoding: base64\r\n\r\n",
            b"\r\n".join(lines),
            b"\r\n--" + _BOUNDARY + b"--\r\n",
        ]
    )


def _outer(message: Entity, group: str, *, sent: datetime, message_id: str) -> tuple[Field, ...]:
    """Write what stands outside: no names, no subject, no time zone (RFC 9788 §3.2.2)."""
    (_, sender) = mail.addresses(message.all("From"))[0]
    fields = [
        make_field("From", sender),
        make_field("To", group),
        make_field("Subject", SUBJECT),
        make_field("Date", format_datetime(sent.astimezone(UTC))),
        make_field("Message-ID", message_id),
    ]
    for name in ("In-Reply-To", "References"):
        found = mail.ids(message.all(name))[-THREAD_IDS:]
        if found:
            fields.append(make_field(name, _folded(found)))
    return tuple(fields)


def _folded(found: Sequence[str]) -> str:
    return "\r\n ".join(found)


def _protected_type(message: Entity) -> Field:
    """Give the Content-Type with the marks of a protected header beside its own parameters."""
    own = next((each for each in message.fields if each.name.lower() == "content-type"), None)
    if own is None:
        charset = "us-ascii" if message.body.isascii() else "utf-8"
        value = f"text/plain; charset={charset}"
    else:
        text = own.octets.partition(b":")[2].decode("latin-1")
        value = _PROTECTION.sub("", text).strip().rstrip("; \t\r\n")
    marked = f'Content-Type: {value};\r\n hp="cipher"; protected-headers="v1"\r\n'
    return Field("Content-Type", marked.encode("latin-1"))


def _mailbox(author: str | None) -> str:
    found = mail.addresses([author or ""])
    if len(found) != 1:
        raise Malformed("a message without From: say who it is from with --from ADDRESS")
    return formataddr(found[0])


def _date(value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        found = parsedate_to_datetime(value)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def _new_id(sender: str) -> str:
    domain = sender.rpartition("@")[2]
    return f"<{_random.octets(16).hex()}@{domain}>"
