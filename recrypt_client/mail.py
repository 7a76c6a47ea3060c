"""MIME in and out of posts, as octets: bodies are never written anew, and nothing is believed.

Header blocks are bounded before they are parsed. A list's copies come from mailboxes that may have
LF lines; what is sealed has CRLF lines (spec §7).
"""

import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses
from typing import Final

from recrypt_core.errors import Malformed

HEADER_OCTETS: Final = 64 * 2**10  # of one entity's header; ours
HEADER_FIELDS: Final = 1000  # of one entity's header; ours
MIME_FIELD_OCTETS: Final = 4 * 2**10  # of one Content-* field; ours
DEPTH: Final = 10  # multiparts inside each other; ours
PARTS: Final = 100  # leaves of one message; ours

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:(.*?)\r\n(?![ \t])", re.DOTALL)  # RFC 5322 §2.2
_ID = re.compile(r"<[!-;=?-~]{1,250}>")
_HEADER_END = re.compile(rb"\n\r?\n")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_FROM_LINE = re.compile(rb"From [^\n]*\n")
_FOLD = re.compile(r"\r\n(?=[ \t])")
ENVELOPES: Final = frozenset({"application/vnd.recrypt", "application/jose+json"})  # spec §7


@dataclass(frozen=True, slots=True)
class Field:
    """A header field: its name, and all of its octets, CRLF at their end."""

    name: str
    octets: bytes

    @property
    def value(self) -> str:
        """Its value unfolded; octets that aren't UTF-8 are replaced."""
        text = self.octets.partition(b":")[2].decode("utf-8", "replace")
        return _FOLD.sub("", text).strip()


@dataclass(frozen=True, slots=True)
class Entity:
    """A message or a part: header fields in their order, and the body's octets."""

    fields: tuple[Field, ...]
    body: bytes

    def all(self, *names: str) -> list[str]:
        """Give the values of all fields of these names."""
        wanted = {name.lower() for name in names}
        return [field.value for field in self.fields if field.name.lower() in wanted]

    def first(self, name: str) -> str | None:
        """Give the first value of a field, if there is one."""
        return next(iter(self.all(name)), None)

    def without(self, *names: str) -> "Entity":
        """Give the entity without fields of these names."""
        dropped = {name.lower() for name in names}
        kept = tuple(field for field in self.fields if field.name.lower() not in dropped)
        return replace(self, fields=kept)

    def with_field(self, name: str, value: str) -> "Entity":
        """Give the entity with this field, and no other of its name."""
        return replace(self, fields=(*self.without(name).fields, make_field(name, value)))

    def octets(self) -> bytes:
        """Give it whole."""
        return b"".join([*(field.octets for field in self.fields), b"\r\n", self.body])

    @property
    def media_type(self) -> str:
        """Its media type in lower case; text/plain where it says none (RFC 2045 §5.2)."""
        return (self.first("Content-Type") or "text/plain").partition(";")[0].strip().lower()

    def parameter(self, field: str, name: str) -> str | None:
        """Give a parameter of a Content-* field, RFC 2231 undone.

        Raises:
            Malformed: if the field is over its limit, or broken.
        """
        value = self.first(field)
        if value is None:
            return None
        if len(value) > MIME_FIELD_OCTETS:
            raise Malformed(f"a {field} of over {MIME_FIELD_OCTETS} octets")
        holder = Message()
        holder[field] = value
        try:
            found = holder.get_param(name, header=field)
        except (TypeError, ValueError):  # Python 3.11 on `name*` beside `name*0`
            raise Malformed(f"a {field} that is broken") from None
        return found[2] if isinstance(found, tuple) else found


def make_field(name: str, value: str) -> Field:
    """Make a field of a value that is ASCII and, if long, folded.

    Raises:
        Malformed: if the value would end its line, or isn't ASCII.
    """
    if not value.isascii() or re.search(r"[\r\n]", _FOLD.sub("", value)):
        raise Malformed(f"a {name} that can't stand in a header")
    return Field(name, f"{name}: {value}\r\n".encode("ascii"))


def message_in(octets: bytes) -> bytes:
    """Give a mail without the line of an mbox that some programs write before it."""
    found = _FROM_LINE.match(octets)
    return octets[found.end() :] if found else octets


def with_crlf(octets: bytes) -> bytes:
    """Give every line its CRLF; what has them already stays the same octets."""
    return _BARE_LF.sub(b"\r\n", octets)


def parse(octets: bytes) -> Entity:
    """Part header from body; if a line of the header ends with LF alone, all lines are given CRLF.

    Programs keep mail with the lines of their system, and some write a header's end anew.

    Raises:
        Malformed: if the header is none, or over its limits.
    """
    if octets.startswith(b"\r\n"):
        return Entity((), octets[2:])
    found = _HEADER_END.search(octets, 0, HEADER_OCTETS)
    if _BARE_LF.search(octets, 0, found.end() if found else HEADER_OCTETS):
        octets = with_crlf(octets)
    if octets.startswith(b"\r\n"):
        return Entity((), octets[2:])
    end = octets.find(b"\r\n\r\n", 0, HEADER_OCTETS)
    header, body = (octets, b"") if end < 0 else (octets[: end + 2], octets[end + 4 :])
    return Entity(_fields(header), body)


def leaves(entity: Entity, *, depth: int = 0) -> Iterator[Entity]:
    """Yield the parts that are no multiparts, in order (RFC 2046 §5.1).

    Raises:
        Malformed: if they are nested deeper than `DEPTH`, or broken.
    """
    if not entity.media_type.startswith("multipart/"):
        yield entity
        return
    if depth == DEPTH:
        raise Malformed(f"parts nested deeper than {DEPTH}")
    for part in _parts(entity):
        yield from leaves(parse(part), depth=depth + 1)


def envelope_in(octets: bytes) -> bytes:
    """Find the one encrypted part of a message, its transfer encoding undone.

    Raises:
        Malformed: if there is none, or more than one, or its encoding is broken.
    """
    found = envelopes_in(parse(octets))
    if len(found) != 1:
        raise Malformed(f"{len(found) or 'no'} encrypted parts where there is to be one")
    return decoded(found[0])


def envelopes_in(message: Entity) -> list[Entity]:
    """Find the encrypted parts of a message (spec §7)."""
    found = []
    for count, leaf in enumerate(leaves(message), start=1):
        if count > PARTS:
            raise Malformed(f"over {PARTS} parts")
        if leaf.media_type in ENVELOPES or _is_named_mmx(leaf):
            found.append(leaf)
    return found


def decoded(part: Entity) -> bytes:
    """Undo a part's transfer encoding (RFC 2045 §6).

    Raises:
        Malformed: if it is unknown or broken.
    """
    match (part.first("Content-Transfer-Encoding") or "7bit").strip().lower():
        case "7bit" | "8bit" | "binary":
            return part.body
        case "quoted-printable":
            return binascii.a2b_qp(part.body)
        case "base64":
            try:
                return binascii.a2b_base64(part.body.translate(None, b" \t\r\n"), strict_mode=True)
            except binascii.Error:
                raise Malformed("a part with broken base64") from None
    raise Malformed("a part of an unknown transfer encoding")


def addresses(values: Sequence[str]) -> list[tuple[str, str]]:
    """Read (name, address) of fields like To; the names' encoded words are undone."""
    return [(words(name), address) for name, address in getaddresses(values) if address]


def ids(values: Sequence[str]) -> list[str]:
    """Read the message ids in fields like References, with their angle brackets."""
    return [each for value in values for each in _ID.findall(value)]


def words(value: str) -> str:
    """Undo a value's encoded words (RFC 2047); what is broken stays as it is."""
    try:
        parts = decode_header(value)
        return "".join(
            part if isinstance(part, str) else part.decode(charset or "ascii", "replace")
            for part, charset in parts
        )
    except (HeaderParseError, LookupError, ValueError):
        return value


def _fields(header: bytes) -> tuple[Field, ...]:
    if len(header) > HEADER_OCTETS:
        raise Malformed(f"a header of over {HEADER_OCTETS} octets")
    if not header.endswith(b"\r\n"):
        header += b"\r\n"
    fields: list[Field] = []
    at = 0
    while at < len(header):
        found = _FIELD.match(header, at)
        if found is None or len(fields) == HEADER_FIELDS:
            raise Malformed("no mail message: its header is broken")
        fields.append(Field(found[1].decode("ascii"), found[0]))
        at = found.end()
    return tuple(fields)


def _parts(multipart: Entity) -> Iterator[bytes]:
    """Yield the octets between the delimiter lines; a missing last one is forgiven."""
    boundary = multipart.parameter("Content-Type", "boundary")
    if not boundary:
        raise Malformed("a multipart without a boundary")
    dashes = re.escape(b"\r\n--" + boundary.encode("utf-8", "replace"))
    line = re.compile(dashes + rb"(--)?[ \t]*(?=\r\n|\Z)")
    body = b"\r\n" + multipart.body
    start = None
    for found in line.finditer(body):
        if start is not None:
            yield body[start : max(start, found.start())]
        start = None if found[1] else found.end() + 2
        if found[1]:
            return
    if start is not None:
        yield body[start:]


def _is_named_mmx(leaf: Entity) -> bool:
    if leaf.media_type != "application/octet-stream":
        return False
    names = (
        leaf.parameter("Content-Disposition", "filename"),
        leaf.parameter("Content-Type", "name"),
    )
    return any(words(name).lower().endswith(".mmx") for name in names if name)
