"""The header block of a relayed copy, written from an allow-list: nothing else passes (spec §7)."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

from listserver.threads import is_id
from recrypt_core.errors import Malformed

LINE_OCTETS: Final = 78  # of a header line without CRLF, where its words allow (RFC 5322 §2.1.1)
SUBJECT: Final = "[...]"  # of every copy: the real one is inside the envelope (spec §7)

_ADDRESS = re.compile(r"[a-z0-9][a-z0-9._-]*@[a-z0-9][a-z0-9.-]*")
_KEYWORD = re.compile(r"[a-z-]{1,32}")


@dataclass(frozen=True, slots=True)
class CopyFacts:
    """All that the header of a copy is made of: the same for every copy of one post.

    `message_id`, `references` and `in_reply_to` are the list's own ids, already mapped. `accepted`
    is an aware time. `auto_submitted` is a keyword of RFC 3834 §5, or None.
    """

    list_name: str
    domain: str
    accepted: datetime
    message_id: str
    references: tuple[str, ...] = ()
    in_reply_to: tuple[str, ...] = ()
    auto_submitted: str | None = None
    reply_to_list: bool = False


def header_block(facts: CopyFacts) -> bytes:
    """Write a copy's header fields, CRLF lines, without MIME's own and without the empty line.

    Raises:
        Malformed: a fact is not made of the few characters that it may have, so that no value,
            wherever it came from, can end its line.
    """
    _check(facts)
    address = f"{facts.list_name}@{facts.domain}"
    return b"".join(
        (
            _line("From", _phrase(facts.list_name), f"<{address}>"),
            _line("To", address),
            _line("Subject", SUBJECT),
            # Always +0000, so that the place of the server or the author doesn't show (spec §7).
            _line("Date", format_datetime(facts.accepted.astimezone(UTC))),
            _line("Message-ID", facts.message_id),
            _line("In-Reply-To", *facts.in_reply_to),
            _line("References", *facts.references),
            _line("Auto-Submitted", *([facts.auto_submitted] if facts.auto_submitted else [])),
            _line("Reply-To", *([address] if facts.reply_to_list else [])),
            _line("List-Id", f"<{facts.list_name}.{facts.domain}>"),  # RFC 2919 §3
            _line("List-Post", f"<mailto:{address}>"),  # RFC 2369 §3.4
            _line("Precedence", "list"),
        )
    )


def _check(facts: CopyFacts) -> None:
    """Refuse any fact outside its own small alphabet: no white space, control or 8-bit octet."""
    if not _ADDRESS.fullmatch(f"{facts.list_name}@{facts.domain}"):
        raise Malformed("The address of the copy isn't one.")
    if not all(map(is_id, (facts.message_id, *facts.references, *facts.in_reply_to))):
        raise Malformed("A Message-ID of the copy isn't one.")
    if facts.auto_submitted is not None and not _KEYWORD.fullmatch(facts.auto_submitted):
        raise Malformed("The Auto-Submitted of the copy isn't a keyword.")
    if facts.accepted.tzinfo is None:
        raise ValueError("the time of acceptance must be aware")


def _phrase(list_name: str) -> str:
    """Return the display name; a dot may stand in a quoted string only (RFC 5322 §3.2.5)."""
    return f'"{list_name}"' if "." in list_name else list_name


def _line(name: str, *words: str) -> bytes:
    """Write one field, folded between words (RFC 5322 §2.2.3); nothing if it has no words."""
    if not words:
        return b""
    whole = f"{name}: {' '.join(words)}"
    if len(whole) <= LINE_OCTETS:
        return f"{whole}\r\n".encode("ascii")
    lines = [f"{name}:"]
    for word in words:
        # Never folded before the first word: some readers take `Name:` alone for an empty field.
        if len(lines[-1]) + 1 + len(word) <= LINE_OCTETS or lines[-1] == f"{name}:":
            lines[-1] += f" {word}"
        else:
            lines.append(f" {word}")
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")
