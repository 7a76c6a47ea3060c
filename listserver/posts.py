"""A post's MIME: the one encrypted part, and the few header facts that copies may use (spec §7).

Believes nothing: `mime` reads the structure within its limits. What is not the encrypted part is
dropped unread, and no error quotes it.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.header import decode_header
from enum import Enum
from typing import Final

from listserver import mime
from listserver.mime import Entity
from listserver.threads import first_id, ids_in
from recrypt_core.errors import Malformed

NOTICE_OCTETS: Final = 8 * 2**10  # text beside the envelope, all together, as encoded (spec §7)
HOPS: Final = 50  # Received fields (RFC 5321 §6.3 asks for a limit; Postfix takes 50)

NOTICE_TYPES: Final = frozenset({"text/plain", "text/html"})
# RFC 3834 §5, and auto-notified, which RFC 5436 §2.7.1 added.
AUTO_SUBMITTED: Final = frozenset({"no", "auto-generated", "auto-replied", "auto-notified"})

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

    Ids keep their angle brackets; `list_ids` are lower-case, without them. `senders` are the values
    of From, octets as Latin-1. Nothing here is proven.
    """

    message_id: str | None
    references: tuple[str, ...]
    in_reply_to: tuple[str, ...]
    auto_submitted: str | None
    list_ids: tuple[str, ...]
    hops: int
    senders: tuple[str, ...] = field(default=(), repr=False)


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
    with _refusing():
        message = mime.read_message(raw)
        headers = _post_headers(message.fields)
        if headers.hops > HOPS:
            raise PostRefused(Reason.LOOP)
        kind, envelope = _only_envelope(mime.leaves(raw, message))
        return Post(kind, mime.decoded(raw, envelope), headers)


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn what mime can't read into a refusal; each of its faults is a reason by the same name."""
    try:
        yield
    except mime.Unreadable as problem:
        raise PostRefused(Reason[problem.fault.name]) from None


# --- what is in it ---------------------------------------------------------------------------


def _only_envelope(leaves: Iterable[Entity]) -> tuple[Kind, Entity]:
    """Find the one encrypted leaf; beside it only a little text may stand (spec §7)."""
    envelopes: list[tuple[Kind, Entity]] = []
    notice_octets = 0
    has_other = False
    for leaf in leaves:
        if kind := _kind(leaf):
            envelopes.append((kind, leaf))
        elif leaf.media_type in NOTICE_TYPES:
            notice_octets += leaf.size
        else:
            has_other = True
    if not envelopes:
        raise PostRefused(Reason.IN_CLEAR)
    if len(envelopes) > 1:
        raise PostRefused(Reason.TWO_ENVELOPES)
    if has_other or notice_octets > NOTICE_OCTETS:
        raise PostRefused(Reason.BESIDE)
    return envelopes[0]


def _kind(leaf: Entity) -> Kind | None:
    if leaf.media_type == "application/octet-stream":
        names = (
            mime.parameter(leaf, "content-disposition", "filename"),
            mime.parameter(leaf, "content-type", "name"),
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


# --- what copies may know of it ------------------------------------------------------------------


def _post_headers(fields: mime.Fields) -> PostHeaders:
    """Take what copies may use; a value that breaks its grammar is as if it weren't there."""
    found = mime.by_name(fields)
    keywords = (re.match(r"\s*([a-z-]*)", one.lower()) for one in found.get("auto-submitted", ()))
    known = (keyword[1] for keyword in keywords if keyword and keyword[1] in AUTO_SUBMITTED)
    list_ids = (_LIST_ID.findall(value.lower()) for value in found.get("list-id", ()))
    return PostHeaders(
        message_id=first_id(found.get("message-id", ())),
        references=ids_in(found.get("references", ())),
        in_reply_to=ids_in(found.get("in-reply-to", ())),
        auto_submitted=next(known, None),
        list_ids=tuple(one for ids in list_ids for one in ids),
        hops=len(found.get("received", ())),
        senders=tuple(found.get("from", ())),
    )
