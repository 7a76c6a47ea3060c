"""Letters to one member, sealed to the keys of its profile: what they tell, and the MIME (spec §7).

Outside stand the list, the member's own address and nothing of what the letter is about.
"""

import binascii
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

from listserver import limits
from listserver.catalogue import Texts, Words
from listserver.model import StoredPost
from listserver.plain_text import subject_field
from listserver.troubles import Failure, Troubles
from recrypt_core import _random
from recrypt_core.encoding import write_b64url
from recrypt_core.limits import CONTENT_OCTETS
from recrypt_core.members import Member
from recrypt_core.padding import padding
from recrypt_core.sealing import seal

SUBJECT: Final = "[...]"  # of every letter, outside (spec §7, RFC 9788 §3.2.1)
_LINE: Final = 76  # of base64 (RFC 2045 §6.8)
_NOT_PLAIN = re.compile(r"[^ -~]+")
_MESSAGE_ID = re.compile(rb"^Message-ID: (<[!-~]+>)\r$", re.MULTILINE)


def write_letter(words: Words, to: Member, list_address: str, *, now: datetime) -> bytes:
    """Write a letter from a list's server to a member, sealed to all keys of its profile."""
    content = _text(("", *words.lines, ""))
    return _letter(words.subject, content, to, list_address=list_address, now=now)


def write_enclosing(mail: bytes, words: Words, to: Member, texts: Texts, *, now: datetime) -> bytes:
    """Write a letter with a mail in it, as that came, to one who administers the list."""
    boundary = write_b64url(_random.octets(16))
    encoding = "7bit" if mail.isascii() else "8bit"
    fields, text = _text(("", *words.lines))
    before = ("", f"--{boundary}", *fields, "")
    between = (
        "", f"--{boundary}", "Content-Type: message/rfc822",
        f"Content-Transfer-Encoding: {encoding}", "", "",
    )  # fmt: skip
    octets = _joined(before) + text + _joined(between) + mail + _joined(("", f"--{boundary}--", ""))
    content = ((f'Content-Type: multipart/mixed; boundary="{boundary}"',), octets)
    return _letter(words.subject, content, to, list_address=texts.list_address, now=now)


def _joined(lines: Sequence[str]) -> bytes:
    return "\r\n".join(lines).encode("ascii")


def _text(lines: Sequence[str]) -> tuple[tuple[str, ...], bytes]:
    """Give the fields of a text and its octets: inside a seal nothing has to be encoded."""
    text = "\r\n".join(lines)
    if text.isascii():
        return ("Content-Type: text/plain; charset=us-ascii",), text.encode("ascii")
    fields = ("Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit")
    return fields, text.encode()


def _letter(
    subject: str,
    content: tuple[tuple[str, ...], bytes],
    to: Member,
    *,
    list_address: str,
    now: datetime,
) -> bytes:
    """Write and seal a letter; the content is its fields, and its octets from the empty line on.

    It is generated mail (RFC 3834 §5), and no recipient of the envelope is named (spec §4).
    """
    name, _, domain = list_address.partition("@")
    outer = (
        f'From: "{name}" <postmaster@{domain}>',
        f"To: {to.account}",
        f"Subject: {SUBJECT}",
        f"Date: {format_datetime(now.astimezone(UTC))}",
        f"Message-ID: <n.{write_b64url(_random.octets(16))}@{domain}>",
        "Auto-Submitted: auto-generated",
    )
    inner = (
        *outer[:2], subject_field(subject), *outer[3:],
        *(f"HP-Outer: {field}" for field in outer),
        "MIME-Version: 1.0",
        f'{content[0][0]}; hp="cipher"; protected-headers="v1"', *content[0][1:], "",
    )  # fmt: skip
    sealed = seal(
        _padded("\r\n".join(inner).encode("ascii"), content[1]),
        to.profile.profile.encryption_keys,
        cty="message/rfc822",
        named=False,
    )
    encoded = binascii.b2a_base64(sealed.mmx(), newline=False).decode("ascii")
    whole = (
        *outer,
        "MIME-Version: 1.0",
        'Content-Type: application/vnd.recrypt; name="message.mmx"',
        'Content-Disposition: attachment; filename="message.mmx"',
        "Content-Transfer-Encoding: base64",
        "", *(encoded[at : at + _LINE] for at in range(0, len(encoded), _LINE)), "",
    )  # fmt: skip
    return "\r\n".join(whole).encode("ascii")


def _padded(header: bytes, body: bytes) -> bytes:
    """Put a letter together, in one size whatever it tells, if it is an ordinary one (spec §7)."""
    octets, least = len(header) + len(body), limits.SEALED_OCTETS
    field, tail = padding(octets, header=len(header), least=least, most=CONTENT_OCTETS)
    return header + field + body + tail


def troubles(texts: Texts, found: Troubles) -> Words:
    """Tell administrators who and what waits, what failed or is held, and whose mail has ended."""
    failed, off = len(found.failures) + found.more, len(found.turned_off) + found.more_off
    left = len(found.left) + found.more_left
    values: dict[str, tuple[int, dict[str, str]]] = {
        "asking": (found.asking, {}),
        "waiting": (found.waiting, {}),
        "stopped": (found.stopped, {}),
        "failed": (failed, {"copies": _copies(texts, found)}),
        "off": (off, {"members": _members(texts, found.turned_off, found.more_off)}),
        "left": (left, {"members": _members(texts, found.left, found.more_left)}),
    }
    parts = [
        texts.letter(f"troubles-{what}", count=count, **more)
        for what, (count, more) in values.items()
        if count
    ]
    name = found.list.state.name.partition("@")[0]
    subject = f"{name}: {', '.join(part.subject for part in parts)}"
    return Words(subject, tuple(line for part in parts for line in (*part.lines, "")))


def asking(texts: Texts, account: str, token: str) -> Words:
    """Ask who wants to be a member whether the address is theirs: the token comes back."""
    days = limits.JOIN_TOKEN_LIFE.days
    return texts.letter("asking", account=account, token=f"Token: {token}", days=days)


def leaving(texts: Texts, page: str, address: str) -> Words:
    """Tell who is to leave how to stay; the page and the address have the token for it."""
    return texts.letter("leaving", page=page, address=address, days=limits.LEAVE_PATIENCE.days)


def owner_mail(texts: Texts, sender: str) -> Words:
    """Tell administrators of a mail to them; its sender, of the envelope, nobody has proven."""
    return texts.letter("owner-mail", sender=sender)


def in_vain(texts: Texts, post: StoredPost) -> Words:
    """Tell a poster that a post reached nobody; not whom it was for."""
    return texts.letter("in-vain", post=_when(texts, post))


def rejected(texts: Texts, post: StoredPost) -> Words:
    """Tell a poster that moderators rejected a post; not who did."""
    return texts.letter("rejected", post=_when(texts, post))


def _copies(texts: Texts, found: Troubles) -> str:
    more = (texts.say("more-copies", count=found.more),) if found.more else ()
    return "\n\n".join((*(_failure(texts, each) for each in found.failures), *more))


def _members(texts: Texts, accounts: Sequence[str], more: int) -> str:
    others = (texts.say("more-members", count=more),) if more else ()
    return "\n".join((*(f"  {account}" for account in accounts), *others))


def _failure(texts: Texts, failure: Failure) -> str:
    state = texts.say("held" if failure.held else "given-up")
    words = _NOT_PLAIN.sub("?", failure.words)[: limits.NOTICE_WORDS]
    said = f"\n    {words}" if words else ""
    return f"  {failure.account}: {state}\n    {_when(texts, failure.post)}{said}"


def _when(texts: Texts, post: StoredPost) -> str:
    """Name a post by its time and the Message-ID that its copies have."""
    found = _MESSAGE_ID.search(post.header)
    message_id = found[1].decode("ascii") if found else "-"
    time = f"{post.accepted.astimezone(UTC):%Y-%m-%d %H:%M}"
    return texts.say("post", message_id=message_id, time=time)
