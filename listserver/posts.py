"""A post's MIME: the one encrypted part, and the few header facts that copies may use (spec §7).

Believes nothing. Every size is checked before anything is parsed, because the email package needs
seconds for half a megabyte of parameters and overflows the stack on deep nesting. Bodies are opaque
octets, found by their delimiter lines; a message is never written anew. What is not the encrypted
part is dropped unread, and no error quotes it.
"""

import binascii
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from enum import Enum
from typing import Final, NamedTuple

from listserver.threads import first_id, ids_in
from recrypt_core.errors import Malformed

NOTICE_OCTETS: Final = 8 * 2**10  # text beside the envelope, all together, as encoded (spec §7)
HEADER_OCTETS: Final = 64 * 2**10  # of one entity's header; ours (Postfix takes 100 KiB)
HEADER_LINES: Final = 1000  # of one entity's header; ours
MIME_FIELD_OCTETS: Final = 4 * 2**10  # of one Content-* field, unfolded; ours
MIME_PARAMETERS: Final = 100  # of one Content-* field; ours
DEPTH: Final = 10  # multiparts inside each other; ours
PARTS: Final = 100  # leaves of the whole post, preambles and epilogues included; ours
BASE64_OCTETS: Final = 2**20  # of an encoded part that are decoded at once; ours
HOPS: Final = 50  # Received fields (RFC 5321 §6.3 asks for a limit; Postfix takes 50)

NOTICE_TYPES: Final = frozenset({"text/plain", "text/html"})
# RFC 3834 §5, and auto-notified, which RFC 5436 §2.7.1 added.
AUTO_SUBMITTED: Final = frozenset({"no", "auto-generated", "auto-replied", "auto-notified"})

_CR: Final = 0x0D
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")
_FIELD_NAME = re.compile(r"[!-9;-~]+")  # RFC 5322 §3.6.8
_MEDIA_TYPE = re.compile(r"\s*([\w.+-]+/[\w.+-]+)\s*(?:;|\Z)", re.ASCII)
_BOUNDARY = re.compile(r"[ -~]{0,69}[!-~]")  # RFC 2046 §5.1.1, with any printable character
_DELIMITER_END = re.compile(rb"(--)?[ \t]*(?:\r\n|\Z)")  # close mark, transport padding
_BROKEN_QP = re.compile(rb"=(?!\r\n|[0-9A-Fa-f]{2}|\Z)|[ \t]\r\n")  # RFC 2045 §6.7 (1), (3)
_QP_OCTETS = bytes([*b"\t\r\n", *range(0x20, 0x7F)])
_LIST_ID = re.compile(r"<([!-;=?-~]{1,255})>")  # RFC 2919 §3


class Reason(Enum):
    """Why a post can't be taken: a sentence about the format alone. Replies choose the code."""

    IN_CLEAR = "It holds no part that is encrypted to the list."
    TWO_ENVELOPES = "It holds more than one encrypted part; send them one by one."
    BESIDE = "There is content beside the envelope; put everything inside before encrypting."
    BROKEN_ENCODING = "The transfer encoding of the encrypted part is unknown or broken."
    BROKEN_MIME = "Its MIME structure is broken."
    HEADER_TOO_LARGE = "A header or header field in it is too large."
    TOO_COMPLEX = "It has too many parts, or parts too deep inside each other."
    LOOP = "It has passed too many servers: a loop."


class PostRefused(Malformed):
    """The post is not what spec §7 describes. Its words never quote the post."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Kind(Enum):
    """The two forms of an envelope in mail (spec §3), by media type."""

    MMX = "application/vnd.recrypt"
    JOSE_JSON = "application/jose+json"


@dataclass(frozen=True, slots=True)
class PostHeaders:
    """What copies and loop checks may know of a post's header; all else is gone.

    Ids keep their angle brackets; `list_ids` are lower-case, without them. Nothing here is proven.
    """

    message_id: str | None
    references: tuple[str, ...]
    in_reply_to: tuple[str, ...]
    auto_submitted: str | None
    list_ids: tuple[str, ...]
    hops: int


@dataclass(frozen=True, slots=True)
class Post:
    """A post as received: `encrypted` holds the octets of the envelope, not yet parsed."""

    kind: Kind
    encrypted: bytes = field(repr=False)
    headers: PostHeaders


def read_post(raw: bytes) -> Post:
    """Read a message as SMTP brought it: CRLF lines, dots unstuffed, size already bounded.

    A body in 7bit, 8bit or binary is taken as it is; if it stands alone, it ends with the message.

    Raises:
        PostRefused: with the reason.
    """
    message = _entity(raw, _Span(0, len(raw)))
    headers = _post_headers(message.fields)
    if headers.hops > HOPS:
        raise PostRefused(Reason.LOOP)
    kind, envelope = _only_envelope(_leaves(raw, message, depth=0))
    return Post(kind, _decoded(raw, envelope), headers)


# --- what is in it ---------------------------------------------------------------------------


class _Span(NamedTuple):
    """Some octets of the post, by place: nothing is copied while the structure is read."""

    start: int
    end: int


_Fields = tuple[tuple[str, str], ...]  # lower-case name and unfolded value, octets as Latin-1


@dataclass(frozen=True, slots=True)
class _Entity:
    """A message, a part, or a preamble or epilogue (which is text without a header)."""

    body: _Span
    media_type: str = "text/plain"  # RFC 2045 §5.2
    fields: _Fields = ()


def _only_envelope(leaves: Iterable[_Entity]) -> tuple[Kind, _Entity]:
    """Find the one encrypted leaf; beside it only a little text may stand (spec §7)."""
    envelopes: list[tuple[Kind, _Entity]] = []
    notice_octets = 0
    has_other = False
    for count, leaf in enumerate(leaves, start=1):
        if count > PARTS:
            raise PostRefused(Reason.TOO_COMPLEX)
        if kind := _kind(leaf):
            envelopes.append((kind, leaf))
        elif leaf.media_type in NOTICE_TYPES:
            notice_octets += leaf.body.end - leaf.body.start
        else:
            has_other = True
    if not envelopes:
        raise PostRefused(Reason.IN_CLEAR)
    if len(envelopes) > 1:
        raise PostRefused(Reason.TWO_ENVELOPES)
    if has_other or notice_octets > NOTICE_OCTETS:
        raise PostRefused(Reason.BESIDE)
    return envelopes[0]


def _kind(leaf: _Entity) -> Kind | None:
    if leaf.media_type == "application/octet-stream":
        names = (
            _parameter(leaf, "content-disposition", "filename"),
            _parameter(leaf, "content-type", "name"),
        )
        return Kind.MMX if any(name and _ends_mmx(name) for name in names) else None
    return next((kind for kind in Kind if kind.value == leaf.media_type), None)


def _ends_mmx(name: str) -> bool:
    """Look at the end of a name only, so that no character set has to be believed.

    Names in encoded words are against RFC 2047 §5, but what large webmail services write.
    """
    try:
        end, _ = decode_header(name)[-1]
    except HeaderParseError:
        return False
    octets = end.encode("latin-1", "replace") if isinstance(end, str) else end
    return octets.lower().endswith(b".mmx")


def _decoded(raw: bytes, part: _Entity) -> bytes:
    """Undo the transfer encoding (RFC 2045 §6) strictly: of line ends, only CRLF is dropped."""
    encoding = _single(part.fields, "content-transfer-encoding")
    match "7bit" if encoding is None else encoding.strip().lower():
        case "7bit" | "8bit" | "binary":
            return raw[part.body.start : part.body.end]
        case "base64":
            return _from_base64(raw, part.body)
        case "quoted-printable":
            body = raw[part.body.start : part.body.end]
            if body.translate(None, _QP_OCTETS) or _BROKEN_QP.search(body):
                raise PostRefused(Reason.BROKEN_ENCODING)
            return binascii.a2b_qp(body)
        case _:
            raise PostRefused(Reason.BROKEN_ENCODING)


def _from_base64(raw: bytes, body: _Span) -> bytes:
    """Decode a piece at a time, so that a large post isn't held once more for each step."""
    decoded, rest = bytearray(), b""
    at = body.start
    while at < body.end:
        end = min(at + BASE64_OCTETS, body.end)
        if raw[end - 1] == _CR:  # the CRLF stays whole
            end = min(end + 1, body.end)
        text = rest + raw[at:end].replace(b"\r\n", b"")
        # The last four characters wait for what follows: only the very end may be padded.
        whole = len(text) if end == body.end else max(0, len(text) - len(text) % 4 - 4)
        piece, rest = text[:whole], text[whole:]
        if end < body.end and b"=" in piece:
            raise PostRefused(Reason.BROKEN_ENCODING)
        try:
            decoded += binascii.a2b_base64(piece, strict_mode=True)
        except binascii.Error:
            raise PostRefused(Reason.BROKEN_ENCODING) from None
        at = end
    return bytes(decoded)


# --- structure: multiparts and their delimiter lines (RFC 2046 §5.1) -------------------------


def _leaves(raw: bytes, entity: _Entity, *, depth: int) -> Iterator[_Entity]:
    """Yield what is not a multipart, in order; lazily, so that the caller's count stops it."""
    if not entity.media_type.startswith("multipart/"):
        yield entity
        return
    if depth == DEPTH:
        raise PostRefused(Reason.TOO_COMPLEX)
    for child in _children(raw, entity):
        yield from _leaves(raw, child, depth=depth + 1)


def _children(raw: bytes, multipart: _Entity) -> Iterator[_Entity]:
    """Yield the parts, of which there is at least one, and preamble and epilogue if not empty."""
    start, end = multipart.body
    lines = _delimiters(raw, b"\r\n--" + _boundary(multipart), multipart.body)
    first = next(lines)
    if start < first.start:
        yield _Entity(_Span(start, first.start))
    after = first.end
    for line in lines:
        yield _entity(raw, _Span(after, max(after, line.start)))
        after = line.end
    if after == first.end:
        raise PostRefused(Reason.BROKEN_MIME)
    if after < end:
        yield _Entity(_Span(after, end))


def _delimiters(raw: bytes, dashes: bytes, body: _Span) -> Iterator[_Span]:
    """Yield the delimiter lines, from their CRLF on, up to the one that closes.

    Refuses a body without the closing one, and a line that goes on after the boundary: RFC 2046
    §5.1.1 takes it for a delimiter, most programs don't. Neither guess is made, and a post full of
    such lines costs nothing.
    """
    after, closes = body.start, None
    while closes is None:
        # The CRLF before a body or at the end of a delimiter line may be the next delimiter's.
        at = raw.find(dashes, after - 2, body.end)
        tail = _DELIMITER_END.match(raw, at + len(dashes), body.end) if at >= 0 else None
        if tail is None:
            raise PostRefused(Reason.BROKEN_MIME)
        after, closes = tail.end(), tail[1]
        yield _Span(at, after)


def _boundary(multipart: _Entity) -> bytes:
    boundary = _parameter(multipart, "content-type", "boundary")
    if boundary is None or not _BOUNDARY.fullmatch(boundary):
        raise PostRefused(Reason.BROKEN_MIME)
    return boundary.encode("ascii")


# --- headers -----------------------------------------------------------------------------------


def _entity(raw: bytes, span: _Span) -> _Entity:
    """Part header from body at the first empty line; without one, all is header."""
    if raw.startswith(b"\r\n", span.start, span.end):
        return _Entity(_Span(span.start + 2, span.end))
    ends = raw.find(b"\r\n\r\n", span.start, min(span.end, span.start + HEADER_OCTETS + 4))
    header_end, body_start = (ends, ends + 4) if ends >= 0 else (span.end, span.end)
    if header_end - span.start > HEADER_OCTETS:
        raise PostRefused(Reason.HEADER_TOO_LARGE)
    fields = _fields(raw[span.start : header_end])
    return _Entity(_Span(body_start, span.end), _media_type(fields), fields)


def _fields(header: bytes) -> _Fields:
    """Split a bounded header into fields; a line that is none breaks it (`Name :` does too)."""
    if header.count(b"\r\n") >= HEADER_LINES:
        raise PostRefused(Reason.HEADER_TOO_LARGE)
    if _BARE.search(header):
        raise PostRefused(Reason.BROKEN_MIME)
    unfolded = re.sub(r"\r\n(?=[ \t])", "", header.removesuffix(b"\r\n").decode("latin-1"))
    pairs = [line.partition(":") for line in unfolded.split("\r\n") if unfolded]
    if not all(colon and _FIELD_NAME.fullmatch(name) for name, colon, _ in pairs):
        raise PostRefused(Reason.BROKEN_MIME)
    return tuple((name.lower(), value) for name, _, value in pairs)


def _all(fields: _Fields, name: str) -> list[str]:
    return [value for other, value in fields if other == name]


def _single(fields: _Fields, name: str) -> str | None:
    """Return the value of a MIME field, which stands once or not at all, and is small."""
    values = _all(fields, name)
    if len(values) > 1:
        raise PostRefused(Reason.BROKEN_MIME)
    value = values[0] if values else ""
    if len(value) > MIME_FIELD_OCTETS or value.count(";") > MIME_PARAMETERS:
        raise PostRefused(Reason.HEADER_TOO_LARGE)
    return value if values else None


def _media_type(fields: _Fields) -> str:
    value = _single(fields, "content-type")
    found = _MEDIA_TYPE.match("text/plain" if value is None else value)
    if found is None:
        raise PostRefused(Reason.BROKEN_MIME)
    return found[1].lower()


def _parameter(entity: _Entity, name: str, parameter: str) -> str | None:
    """Return one parameter, RFC 2231 undone but its character set not (octets as Latin-1)."""
    value = _single(entity.fields, name)
    if value is None:
        return None
    holder = Message()
    holder[name] = value
    try:
        found = holder.get_param(parameter, header=name)
    except (TypeError, ValueError):  # Python 3.11 on `name*` beside `name*0`
        raise PostRefused(Reason.BROKEN_MIME) from None
    return found[2] if isinstance(found, tuple) else found


def _post_headers(fields: _Fields) -> PostHeaders:
    """Take what copies may use; a value that breaks its grammar is as if it weren't there."""
    keywords = (re.match(r"\s*([a-z-]*)", one.lower()) for one in _all(fields, "auto-submitted"))
    known = (found[1] for found in keywords if found and found[1] in AUTO_SUBMITTED)
    list_ids = (_LIST_ID.findall(value.lower()) for value in _all(fields, "list-id"))
    return PostHeaders(
        message_id=first_id(_all(fields, "message-id")),
        references=ids_in(_all(fields, "references")),
        in_reply_to=ids_in(_all(fields, "in-reply-to")),
        auto_submitted=next(known, None),
        list_ids=tuple(one for found in list_ids for one in found),
        hops=len(_all(fields, "received")),
    )
