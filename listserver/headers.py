"""The header block of a relayed copy, written from an allow-list: nothing else passes (spec §7)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

from listserver.addresses import Role
from listserver.names import is_name, phrase
from listserver.threads import is_id
from recrypt_core.errors import Malformed
from recrypt_core.policy import SUBJECT, SUBJECT_PATTERN

LINE_OCTETS: Final = 78  # of a header line without CRLF, where its words allow (RFC 5322 §2.1.1)

_ADDRESS = re.compile(r"[a-z0-9][a-z0-9._-]*@[a-z0-9][a-z0-9.-]*")
_KEYWORD = re.compile(r"[a-z-]{1,32}")
_SUBJECT = re.compile(SUBJECT_PATTERN)
_PAGE = re.compile(r"https?://[!#-+\--;=?-~]+")  # no comma, quote or angle bracket (RFC 2369 §2)


@dataclass(frozen=True, slots=True)
class ListFacts:
    """What of a list the header of its copies is made of. `page` is the list's for people."""

    list_name: str
    domain: str
    reply_to_list: bool = False
    subject: str = SUBJECT
    page: str | None = None


@dataclass(frozen=True, slots=True)
class CopyFacts:
    """What of a post the header of its copies is made of.

    `message_id`, `references` and `in_reply_to` are the list's own ids, already mapped. `accepted`
    is an aware time. `auto_submitted` is a keyword of RFC 3834 §5, or None. `author` is a name of
    `shown_name` for From to say, or None.
    """

    accepted: datetime
    message_id: str
    references: tuple[str, ...] = ()
    in_reply_to: tuple[str, ...] = ()
    auto_submitted: str | None = None
    author: str | None = None


class ListHeader:
    """The header fields of a list's copies; those of all its posts are written once."""

    __slots__ = ("_address", "_begin", "_date", "_end", "_facts", "_from", "_second")

    def __init__(self, facts: ListFacts) -> None:
        """Write what is the same in all posts.

        Raises:
            Malformed: a fact is not made of the few characters that it may have.
        """
        _check_list(facts)
        self._facts = facts
        self._address = address = f"{facts.list_name}@{facts.domain}"
        self._from = self._from_line()
        self._begin = _line("To", address) + _line("Subject", facts.subject)
        self._end = b"".join(
            (
                _line("Reply-To", *([address] if facts.reply_to_list else [])),
                _line("List-Id", f"<{facts.list_name}.{facts.domain}>"),  # RFC 2919 §3
                *_list_fields(facts, address),
                _line("Precedence", "list"),
            )
        )
        self._second: int | None = None
        self._date = b""

    def block(self, facts: CopyFacts) -> bytes:
        """Write a copy's header fields, CRLF lines, without MIME's own and without the empty line.

        Raises:
            Malformed: a fact is not made of the few characters that it may have, so that no value,
                wherever it came from, can end its line.
        """
        _check_copy(facts)
        return b"".join(
            (
                self._from if facts.author is None else self._from_line(facts.author),
                self._begin,
                self._dated(facts.accepted),
                _line("Message-ID", facts.message_id),
                _line("In-Reply-To", *facts.in_reply_to),
                _line("References", *facts.references),
                _line("Auto-Submitted", *([facts.auto_submitted] if facts.auto_submitted else [])),
                self._end,
            )
        )

    def _from_line(self, author: str | None = None) -> bytes:
        """Write the list's display name, after the author's if one is to be shown."""
        own = phrase(self._facts.list_name)
        words = own if author is None else [*phrase(author), "via", *own]
        return _line("From", *words, f"<{self._address}>")

    def _dated(self, accepted: datetime) -> bytes:
        """Write the time, always in +0000: the place of server or author doesn't show (spec §7)."""
        second = int(accepted.timestamp())
        if second != self._second:
            self._second = second
            self._date = _line("Date", format_datetime(accepted.astimezone(UTC)))
        return self._date


def _check_list(facts: ListFacts) -> None:
    """Refuse any fact outside its own small alphabet: no white space, control or 8-bit octet."""
    if not _ADDRESS.fullmatch(f"{facts.list_name}@{facts.domain}"):
        raise Malformed("The address of the copy isn't one.")
    if not (_SUBJECT.fullmatch(facts.subject) and SUBJECT in facts.subject):
        raise Malformed("The Subject of the copy isn't one.")
    if facts.page is not None and not _PAGE.fullmatch(facts.page):
        raise Malformed("The page of the list isn't one.")


def _check_copy(facts: CopyFacts) -> None:
    """Refuse what `_check_list` would."""
    if not all(map(is_id, (facts.message_id, *facts.references, *facts.in_reply_to))):
        raise Malformed("A Message-ID of the copy isn't one.")
    if facts.auto_submitted is not None and not _KEYWORD.fullmatch(facts.auto_submitted):
        raise Malformed("The Auto-Submitted of the copy isn't a keyword.")
    if facts.author is not None and not is_name(facts.author):
        raise Malformed("The author's name for the copy isn't one.")
    if facts.accepted.tzinfo is None:
        raise ValueError("the time of acceptance must be aware")


def _list_fields(facts: ListFacts, address: str) -> Iterator[bytes]:
    """Write where to post, ask for help, ask in, and ask a person (RFC 2369 §3).

    How to leave stands in each copy by itself, with a token of its own.
    """

    def mailto(role: Role, question: str = "") -> str:
        return f"<mailto:{facts.list_name}{role.value}@{facts.domain}{question}>"

    page = [f"<{facts.page}>"] if facts.page else []
    helping = ", ".join([mailto(Role.REQUEST, "?subject=help"), *page])
    yield _line("List-Post", f"<mailto:{address}>")
    yield _line("List-Help", *helping.split(" "))
    yield _line("List-Subscribe", mailto(Role.SUBSCRIBE))
    yield _line("List-Owner", mailto(Role.OWNER))


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
