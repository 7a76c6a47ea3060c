"""An opened message as an ordinary mail, for programs that know nothing of lists. Pure.

Its header is written from an allow-list: what its author sealed says what it is, who relayed it
gives only the ids that thread it, and who wrote it is told in Recrypt-Author, which is ours.
"""

import re
from email.header import Header
from typing import Final

from recrypt_client import mail
from recrypt_client.mail import Entity
from recrypt_client.posts import THREAD_IDS
from recrypt_client.reading import Authorship, Bad, Opened, Signed, Unsigned
from recrypt_client.terminal import plain_line

AUTHOR: Final = "Recrypt-Author"
_INNER: Final = (
    "From", "To", "Cc", "Date", "Subject", "MIME-Version", "Content-Type",
    "Content-Transfer-Encoding", "Content-Disposition", "Content-Language", "Content-ID",
)  # fmt: skip
_SUBJECT: Final = "Subject"
_FOLD = re.compile(rb"\r\n(?=[ \t])")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def plain_mail(octets: bytes, opened: Opened, group: str | None) -> bytes:
    """Write the mail, with the line ends of a Maildir.

    Args:
        octets: The mail that it came in.
        opened: What was in that.
        group: The list that it was sealed to. Answers go there and to nobody else (spec §7).

    Raises:
        Malformed: if either is no message.
    """
    outer, inner = mail.parse(octets), mail.parse(opened.entity)
    words = author_words(opened.authorship)
    lines = [_line(AUTHOR, words), *_threads(outer)]
    if group is not None:
        lines += [b"Reply-To: " + group.encode("ascii"), _list_id(group)]
    lines += _own(inner, mark=_mark(words))
    return b"\n".join(lines) + b"\n\n" + inner.body.replace(b"\r\n", b"\n")


def author_words(authorship: Authorship) -> str:
    """Say who wrote a message: `signed`, `unsigned`, `suspect` or `bad`, and why or who."""
    match authorship:
        case Bad(reason):
            return f"bad; {reason}"
        case Unsigned(says, is_personal):
            to = "sealed to you, not to a list; " if is_personal else ""
            return f"unsigned; {to}says {says or 'nothing'}, not proven"
        case Signed(address=address, identifier=identifier, standing=known):
            who = f"{address}; {identifier}"
            if known.other is not None:
                return f"suspect; {who}; but {address} was {known.other} until now"
            if authorship.says is not None:
                return f"suspect; {who}; but From says {authorship.says}"
            if authorship.is_replay:
                return f"suspect; {who}; a message with this id was read before in another envelope"
            since = "now" if known.since is None else f"{known.since:%Y-%m-%d}"
            return f"signed; {who}; known since {since}"


def _mark(words: str) -> bytes:
    """Give what stands before the subject where something is wrong: few look at a header."""
    state = words.partition(";")[0]
    return {"bad": b" [BAD SIGNATURE]", "suspect": b" [AUTHOR IS SUSPECT]"}.get(state, b"")


def _own(inner: Entity, *, mark: bytes) -> list[bytes]:
    """Give the author's own fields, each once; no line of theirs can become a field."""
    lines = []
    for name in _INNER:
        found = next((each for each in inner.fields if each.name.lower() == name.lower()), None)
        value = b"" if found is None else found.octets.partition(b":")[2].removesuffix(b"\r\n")
        folds = [_CONTROL.sub(b" ", each) for each in _FOLD.split(value)]
        kept = b"\n".join(each for each in folds if each.strip())
        before = mark if name == _SUBJECT else b""
        if kept or before:
            lines.append(name.encode("ascii") + b":" + before + kept)
    return lines


def _threads(outer: Entity) -> list[bytes]:
    """Give the ids outside, which are the list's own."""
    lines = [f"Message-ID: {each}" for each in mail.ids(outer.all("Message-ID"))[:1]]
    for name in ("In-Reply-To", "References"):
        found = mail.ids(outer.all(name))[-THREAD_IDS:]
        lines += [f"{name}: " + "\n ".join(found)] if found else []
    return [line.encode("ascii") for line in lines]


def _list_id(group: str) -> bytes:
    return f"List-Id: <{group.replace('@', '.')}>".encode("ascii")


def _line(name: str, value: str) -> bytes:
    text = plain_line(value)
    header = Header(text, None if text.isascii() else "utf-8", header_name=name, maxlinelen=78)
    return f"{name}: {header.encode()}".encode("ascii")
