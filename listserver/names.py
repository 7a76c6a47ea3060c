"""The name that a post's outer From shows, for lists whose copies say "Name via team" (spec §7).

Nobody has proven it, and a stranger chose it: it is read within bounds, and what is left of it can
neither end its line nor pass for an address or for other text than it is.
"""

import re
import unicodedata
from collections.abc import Sequence
from email.errors import HeaderParseError
from email.header import Header, decode_header
from email.utils import getaddresses
from typing import Final

NAME_CHARACTERS: Final = 40  # of a name that is shown; ours
FROM_OCTETS: Final = 998  # of a From that is read at all: one line of RFC 5322 §2.1.1

_WORD_OCTETS: Final = 72  # of an encoded word; RFC 2047 §2 has 75, of which `From: ` takes some
_CHARSET: Final = re.compile(r"us-ascii|utf-8|iso-8859-\d{1,2}|windows-125\d|koi8-[ru]")
# What would end a quoted string, or make the name look like an address (RFC 5322 §3.2.4, §3.4).
_MISLEADING: Final = frozenset('@<>"\\\N{FULLWIDTH COMMERCIAL AT}\N{SMALL COMMERCIAL AT}')
_ATOMS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")


def shown_name(senders: Sequence[str]) -> str | None:
    """Give the name in the From fields of a post, if there is one that can be shown.

    senders: the unfolded values of its From fields, octets as Latin-1.
    """
    if len(senders) != 1 or len(senders[0]) > FROM_OCTETS:
        return None
    try:
        mailboxes = getaddresses([senders[0].encode("latin-1").decode("utf-8")])
        name = "".join(map(_decoded, decode_header(mailboxes[0][0])))
    except (HeaderParseError, LookupError, ValueError):
        return None
    return _cleaned(name) if len(mailboxes) == 1 else None


def is_name(text: str) -> bool:
    """Say whether this is one line that can be seen and passes for no address."""
    return bool(text) and text.isprintable() and _MISLEADING.isdisjoint(text)


def phrase(text: str) -> list[str]:
    """Write a name, without quotes or backslashes in it, in words between which it may be folded.

    A dot, among others, may stand in a quoted string only (RFC 5322 §3.2.5); what isn't ASCII in
    encoded words.
    """
    if not text.isascii() or "=?" in text:
        return Header(text, "utf-8", maxlinelen=_WORD_OCTETS).encode(splitchars="").split()
    return text.split() if _ATOMS.fullmatch(text) else [f'"{text}"']


def _decoded(part: tuple[bytes | str, str | None]) -> str:
    text, charset = part
    if isinstance(text, str):
        return text
    if charset is None:
        return text.decode("raw-unicode-escape")  # how decode_header encoded it
    if not _CHARSET.fullmatch(charset.lower()):
        raise LookupError("a character set that isn't read here")
    return text.decode(charset)


def _cleaned(name: str) -> str | None:
    """Leave one line of letters, marks, digits and signs, as they are seen, or nothing.

    What isn't seen goes: control, formatting (right-to-left overrides too), unassigned characters.
    """
    seen = (" " if unicodedata.category(each)[0] == "Z" else each for each in name)
    kept = "".join(each for each in seen if unicodedata.category(each)[0] != "C")
    one_line = " ".join(unicodedata.normalize("NFC", kept).split())
    return one_line[:NAME_CHARACTERS].strip() if is_name(one_line) else None
