"""MIME structure read from octets: entities, header fields, leaves and transfer encodings.

Believes nothing. Every size is checked before anything is parsed, because the email package needs
seconds for half a megabyte of parameters and overflows the stack on deep nesting. Bodies are opaque
octets, found by their delimiter lines; a message is never written anew, and no error quotes it.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from enum import Enum
from typing import Final, NamedTuple

from recrypt_core.encoding import read_base64
from recrypt_core.errors import Malformed

HEADER_OCTETS: Final = 64 * 2**10  # of one entity's header; ours (Postfix takes 100 KiB)
BASE64_OCTETS: Final = 2**20  # of an encoded part that are decoded at once; ours
HEADER_LINES: Final = 1000  # of one entity's header; ours
MIME_FIELD_OCTETS: Final = 4 * 2**10  # of one Content-* field, unfolded; ours
MIME_PARAMETERS: Final = 100  # of one Content-* field; ours
DEPTH: Final = 10  # multiparts inside each other; ours
PARTS: Final = 100  # leaves of a whole message, preambles and epilogues included; ours

_CR: Final = 0x0D
_FOLD = re.compile(r"\r\n(?=[ \t])")
_FIELD = re.compile(r"^([!-9;-~]+):([^\r\n]*)", re.MULTILINE)  # RFC 5322 §3.6.8
_MEDIA_TYPE = re.compile(r"\s*([\w.+-]+/[\w.+-]+)\s*(?:;|\Z)", re.ASCII)
_BOUNDARY = re.compile(r"[ -~]{0,69}[!-~]")  # RFC 2046 §5.1.1, with any printable character
_DELIMITER_END = re.compile(rb"(--)?[ \t]*(?:\r\n|\Z)")  # close mark, transport padding
_BROKEN_QP = re.compile(rb"=(?!\r\n|[0-9A-Fa-f]{2}|\Z)|[ \t]\r\n")  # RFC 2045 §6.7 (1), (3)
_QP_OCTETS = bytes([*b"\t\r\n", *range(0x20, 0x7F)])


class Fault(Enum):
    """What keeps a message from being read."""

    BROKEN_ENCODING = "a transfer encoding is unknown or broken"
    BROKEN_MIME = "the MIME structure is broken"
    HEADER_TOO_LARGE = "a header or header field is too large"
    TOO_COMPLEX = "there are too many parts, or parts too deep inside each other"


class Unreadable(Malformed):
    """The message is broken or over a limit of this room. Its words never quote the message."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


class Span(NamedTuple):
    """Some octets of a message, by place: nothing is copied while the structure is read."""

    start: int
    end: int


Fields = tuple[tuple[str, str], ...]  # lower-case name and unfolded value, octets as Latin-1


@dataclass(frozen=True, slots=True)
class Entity:
    """A message, a part, or a preamble or epilogue (which is text without a header)."""

    body: Span
    media_type: str = "text/plain"  # RFC 2045 §5.2
    fields: Fields = ()
    is_part: bool = True  # no preamble, no epilogue

    @property
    def size(self) -> int:
        """Count the octets of the body, as encoded."""
        return self.body.end - self.body.start


# --- transfer encodings (RFC 2045 §6) ----------------------------------------------------------


def transfer_encoding(part: Entity) -> str:
    """Return the name of a part's transfer encoding, in lower case.

    Raises:
        Unreadable: the field is too large, or there are two.
    """
    encoding = _single(part.fields, "content-transfer-encoding")
    return "7bit" if encoding is None else encoding.strip().lower()


def decoded(raw: bytes, part: Entity) -> bytes:
    """Undo the transfer encoding strictly: of line ends, only CRLF is dropped.

    Raises:
        Unreadable: with the fault.
    """
    match transfer_encoding(part):
        case "7bit" | "8bit" | "binary":
            return raw[part.body.start : part.body.end]
        case "base64":
            return from_base64(raw, part.body, at_once=BASE64_OCTETS)
        case "quoted-printable":
            body = raw[part.body.start : part.body.end]
            if body.translate(None, _QP_OCTETS) or _BROKEN_QP.search(body):
                raise Unreadable(Fault.BROKEN_ENCODING)
            return binascii.a2b_qp(body)
        case _:
            raise Unreadable(Fault.BROKEN_ENCODING)


def from_base64(raw: bytes, body: Span, *, at_once: int) -> bytes:
    """Decode so many octets at once, so that a large body isn't held once more for each step.

    Raises:
        Unreadable: it isn't base64 to the last bit.
    """
    result, rest = bytearray(), b""
    at = body.start
    while at < body.end:
        end = min(at + at_once, body.end)
        if raw[end - 1] == _CR:  # the CRLF stays whole
            end = min(end + 1, body.end)
        text = rest + b"".join(raw[at:end].split(b"\r\n"))  # in half the time that replace() takes
        # The last four characters wait for what follows: only the very end may be padded.
        whole = len(text) if end == body.end else max(0, len(text) - len(text) % 4 - 4)
        piece, rest = text[:whole], text[whole:]
        if end < body.end and b"=" in piece:
            raise Unreadable(Fault.BROKEN_ENCODING)
        try:
            result += read_base64(piece)
        except Malformed:
            raise Unreadable(Fault.BROKEN_ENCODING) from None
        at = end
    return bytes(result)


# --- structure: multiparts and their delimiter lines (RFC 2046 §5.1) ---------------------------


def read_message(raw: bytes) -> Entity:
    """Read a message's own header; its lines end with CRLF.

    Raises:
        Unreadable: with the fault.
    """
    return _entity(raw, Span(0, len(raw)))


def leaves(raw: bytes, message: Entity) -> Iterator[Entity]:
    """Yield what is not a multipart, in order; lazily, so that who has seen enough can stop.

    Raises:
        Unreadable: with the fault, when the reading comes to it.
    """
    for count, leaf in enumerate(_leaves(raw, message, depth=0), start=1):
        if count > PARTS:
            raise Unreadable(Fault.TOO_COMPLEX)
        yield leaf


def _leaves(raw: bytes, entity: Entity, *, depth: int) -> Iterator[Entity]:
    if not entity.media_type.startswith("multipart/"):
        yield entity
        return
    if depth == DEPTH:
        raise Unreadable(Fault.TOO_COMPLEX)
    for child in _children(raw, entity):
        yield from _leaves(raw, child, depth=depth + 1)


def _children(raw: bytes, multipart: Entity) -> Iterator[Entity]:
    """Yield the parts, of which there is at least one, and preamble and epilogue if not empty."""
    start, end = multipart.body
    lines = _delimiters(raw, b"\r\n--" + _boundary(multipart), multipart.body)
    first = next(lines)
    if start < first.start:
        yield Entity(Span(start, first.start), is_part=False)
    after = first.end
    for line in lines:
        yield _entity(raw, Span(after, max(after, line.start)))
        after = line.end
    if after == first.end:
        raise Unreadable(Fault.BROKEN_MIME)
    if after < end:
        yield Entity(Span(after, end), is_part=False)


def _delimiters(raw: bytes, dashes: bytes, body: Span) -> Iterator[Span]:
    """Yield the delimiter lines, from their CRLF on, up to the one that closes.

    Refuses a body without the closing one, and a line that goes on after the boundary: RFC 2046
    §5.1.1 takes it for a delimiter, most programs don't. Neither guess is made, and a message full
    of such lines costs nothing.
    """
    after, closes = body.start, None
    while closes is None:
        # The CRLF before a body or at the end of a delimiter line may be the next delimiter's.
        at = raw.find(dashes, after - 2, body.end)
        tail = _DELIMITER_END.match(raw, at + len(dashes), body.end) if at >= 0 else None
        if tail is None:
            raise Unreadable(Fault.BROKEN_MIME)
        after, closes = tail.end(), tail[1]
        yield Span(at, after)


def _boundary(multipart: Entity) -> bytes:
    boundary = parameter(multipart, "content-type", "boundary")
    if boundary is None or not _BOUNDARY.fullmatch(boundary):
        raise Unreadable(Fault.BROKEN_MIME)
    return boundary.encode("ascii")


# --- headers -----------------------------------------------------------------------------------


def values_of(fields: Fields, name: str) -> list[str]:
    """Return the values of all fields of this lower-case name."""
    return [value for other, value in fields if other == name]


def by_name(fields: Fields) -> dict[str, list[str]]:
    """Return the values of all fields by their lower-case names: for who asks for many of them."""
    found: dict[str, list[str]] = {}
    for name, value in fields:
        found.setdefault(name, []).append(value)
    return found


def parameter(entity: Entity, name: str, parameter: str) -> str | None:
    """Return a field's parameter, RFC 2231 undone but its character set not (octets as Latin-1).

    Raises:
        Unreadable: the field is too large, stands twice, or its parameters are broken.
    """
    value = _single(entity.fields, name)
    if value is None:
        return None
    holder = Message()
    holder[name] = value
    try:
        found = holder.get_param(parameter, header=name)
    except (TypeError, ValueError):  # Python 3.11 on `name*` beside `name*0`
        raise Unreadable(Fault.BROKEN_MIME) from None
    return found[2] if isinstance(found, tuple) else found


def _entity(raw: bytes, span: Span) -> Entity:
    """Part header from body at the first empty line; without one, all is header."""
    if raw.startswith(b"\r\n", span.start, span.end):
        return Entity(Span(span.start + 2, span.end))
    ends = raw.find(b"\r\n\r\n", span.start, min(span.end, span.start + HEADER_OCTETS + 4))
    header_end, body_start = (ends, ends + 4) if ends >= 0 else (span.end, span.end)
    if header_end - span.start > HEADER_OCTETS:
        raise Unreadable(Fault.HEADER_TOO_LARGE)
    fields = _fields(raw[span.start : header_end])
    return Entity(Span(body_start, span.end), _media_type(fields), fields)


def _fields(header: bytes) -> Fields:
    """Split a bounded header into fields; a line that is none breaks it (`Name :` does too)."""
    ends = header.count(b"\r\n")
    if ends >= HEADER_LINES:
        raise Unreadable(Fault.HEADER_TOO_LARGE)
    if not ends == header.count(b"\r") == header.count(b"\n") or b"\0" in header:
        raise Unreadable(Fault.BROKEN_MIME)
    unfolded = _FOLD.sub("", header.removesuffix(b"\r\n").decode("latin-1"))
    pairs = _FIELD.findall(unfolded)
    if len(pairs) != unfolded.count("\n") + bool(unfolded):  # a line isn't one
        raise Unreadable(Fault.BROKEN_MIME)
    return tuple([(name.lower(), value) for name, value in pairs])


def _single(fields: Fields, name: str) -> str | None:
    """Return the value of a MIME field, which stands once or not at all, and is small."""
    values = values_of(fields, name)
    if len(values) > 1:
        raise Unreadable(Fault.BROKEN_MIME)
    value = values[0] if values else ""
    if len(value) > MIME_FIELD_OCTETS or value.count(";") > MIME_PARAMETERS:
        raise Unreadable(Fault.HEADER_TOO_LARGE)
    return value if values else None


def _media_type(fields: Fields) -> str:
    value = _single(fields, "content-type")
    found = _MEDIA_TYPE.match("text/plain" if value is None else value)
    if found is None:
        raise Unreadable(Fault.BROKEN_MIME)
    return found[1].lower()
