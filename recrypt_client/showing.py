"""What a person is shown of a message that was opened: who wrote it, its text, what is attached.

Pure. Characters that control a terminal are still in it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Final

from recrypt_client import mail
from recrypt_client.mail import Entity
from recrypt_client.reading import Authorship, Bad, Signed, Unsigned
from recrypt_client.submitting import MARK
from recrypt_core.errors import Malformed

NAME_LETTERS: Final = 100  # of an attachment's file; ours
_APART: Final = re.compile(  # elements that stand in lines of their own
    "address|article|blockquote|br|d[ldt]|div|figure|footer|h[1-6r]|header|li|main|[ou]l|p|pre"
    "|section|t[dhr]|table|title"
)
_UNSEEN: Final = frozenset({"head", "script", "style", "template"})
_NO_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f/\\:*?\"<>|]")


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that is said of who wrote a message; an alarm is one that mustn't be missed."""

    text: str
    is_alarm: bool = False


@dataclass(frozen=True, slots=True)
class Attachment:
    """What stands in a message as a file."""

    name: str
    octets: bytes


def said_of(authorship: Authorship) -> tuple[Said, ...]:
    """Say who wrote a message, in one line for each thing (spec §7)."""
    match authorship:
        case Bad(reason):
            words = f"BAD SIGNATURE: {reason}. Don't believe who it is from."
            return (Said(words, is_alarm=True),)
        case Unsigned(says, is_personal):
            to = " and sealed to you, not to a list" if is_personal else ""
            return (Said(f"not signed{to}: says {says or 'nothing'}, not proven"),)
        case Signed():
            return tuple(_said_of_signed(authorship))


def is_good(authorship: Authorship) -> bool:
    """Tell whether nothing is wrong with who wrote it: what isn't signed says nothing wrong."""
    match authorship:
        case Bad():
            return False
        case Unsigned():
            return True
        case Signed():
            return authorship.standing.other is None and authorship.says is None


def _said_of_signed(author: Signed) -> Iterator[Said]:
    known = author.standing
    who = f"{author.name} <{author.address}>" if author.name else author.address
    since = "first seen now" if known.since is None else f"known since {known.since:%Y-%m-%d}"
    if known.other is not None:
        words = (
            f"ANOTHER AUTHOR: signed by {author.identifier}, but {author.address} was "
            f"{known.other} ({since}). Ask the author by another way."
        )
        yield Said(words, is_alarm=True)
    else:
        yield Said(f"signed by {who} {author.identifier} ({since})")
    if author.says is not None:
        yield Said(f"FROM IS NOT THE AUTHOR: it says {author.says}.", is_alarm=True)
    if author.is_replay:
        words = "REPLAY: a message with this id was read before, in another envelope."
        yield Said(words, is_alarm=True)


def view(octets: bytes, authorship: Authorship, *, group: str | None) -> str:
    """Give a message as a mail program shows it: whom it is sealed to and who wrote it first.

    Raises:
        Malformed: if it is no message.
    """
    lines = [f"{MARK}{group or 'you alone'}]", *(f"[{each.text}]" for each in said_of(authorship))]
    if any(_name(leaf) for leaf in _leaves(mail.parse(octets))):
        lines.append("[to save what is attached: recrypt read --attachments FOLDER]")
    return "\n".join((*lines, readable(octets)))


def readable(octets: bytes) -> str:
    """Give a message as text: its main header fields, its plain text, names of what else it has.

    Lines of a mail that it encloses have a bar before them; what that encloses isn't shown.

    Raises:
        Malformed: if it is no message.
    """
    return _readable(octets, encloses=True)


def attachments(octets: bytes) -> Iterator[Attachment]:
    """Give what has a name in a message; names are one path's end, of letters that files may have.

    Raises:
        Malformed: if it is no message, or an attachment's encoding is broken.
    """
    for leaf in _leaves(mail.parse(octets)):
        name = _name(leaf)
        if name:
            yield Attachment(_of_file(name), mail.decoded(leaf))


def _readable(octets: bytes, *, encloses: bool) -> str:
    message = mail.parse(octets)
    shown = []
    for name in ("From", "To", "Cc", "Date", "Subject"):
        shown += [f"{name}: {mail.words(value)}" for value in message.all(name)]
    shown.append("")
    leaves = [*_leaves(message)]
    has_text = any(leaf.media_type == "text/plain" and not _name(leaf) for leaf in leaves)
    for leaf in leaves:
        if encloses and leaf.media_type == "message/rfc822":
            shown.append(_enclosed(leaf))
        else:
            shown.append(_text_of(leaf, with_pages=not has_text))
    return "\n".join(shown)


def _leaves(message: Entity) -> Iterator[Entity]:
    for count, leaf in enumerate(mail.leaves(message), start=1):
        if count > mail.PARTS:
            raise Malformed(f"over {mail.PARTS} parts")
        yield leaf


def _name(leaf: Entity) -> str | None:
    name = leaf.parameter("Content-Disposition", "filename") or leaf.parameter(
        "Content-Type", "name"
    )
    return mail.words(name) if name else None


def _of_file(name: str) -> str:
    """Give a name that is a file's in one folder, and hides from nobody."""
    kept = _NO_NAME.sub("_", re.split(r"[/\\]", name)[-1]).strip(". ")
    return kept[-NAME_LETTERS:].lstrip(". ") or "attachment"


def _enclosed(leaf: Entity) -> str:
    try:
        text = _readable(mail.decoded(leaf), encloses=False)
    except Malformed:
        return _text_of(leaf)
    return "".join(f"\n| {line}" for line in text.splitlines())


def _text_of(leaf: Entity, *, with_pages: bool = False) -> str:
    name, is_page = _name(leaf), leaf.media_type == "text/html" and with_pages
    if not (leaf.media_type == "text/plain" or is_page) or name:
        return f"[{leaf.media_type}{f': {name}' if name else ''}]"
    text = mail.decoded(leaf)
    try:
        shown = text.decode(leaf.parameter("Content-Type", "charset") or "utf-8", "replace")
    except LookupError:
        shown = text.decode("utf-8", "replace")
    shown = shown.replace("\r\n", "\n")
    return _words_of_page(shown) if is_page else shown


class _Text(HTMLParser):
    """The words of an HTML page, and where its lines end; nothing is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - HTMLParser's
        """Begin a line, or what isn't shown."""
        self._unseen += tag in _UNSEEN
        if _APART.fullmatch(tag):
            self.words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        """End a line, or what isn't shown."""
        self._unseen -= tag in _UNSEEN and self._unseen > 0
        if _APART.fullmatch(tag):
            self.words.append("\n")

    def handle_data(self, data: str) -> None:
        """Take words."""
        if not self._unseen:
            self.words.append(re.sub(r"\s+", " ", data))


def _words_of_page(page: str) -> str:
    parser = _Text()
    parser.feed(page)
    parser.close()
    lines = (line.strip() for line in "".join(parser.words).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
