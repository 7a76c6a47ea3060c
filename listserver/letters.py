"""Letters to one member, sealed to the keys of its profile: the words and the MIME (spec §7).

Outside stand the list, the member's own address and nothing of what the letter is about.
"""

import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

from listserver import limits
from listserver.model import Failure, StoredPost, Troubles
from recrypt_core import _random
from recrypt_core.encoding import write_b64url
from recrypt_core.members import Member
from recrypt_core.sealing import seal

SUBJECT: Final = "[...]"  # of every letter, outside (spec §7, RFC 9788 §3.2.1)
_LINE: Final = 76  # of base64 (RFC 2045 §6.8)
_NOT_PLAIN = re.compile(r"[^ -~]+")
_MESSAGE_ID = re.compile(rb"^Message-ID: (<[!-~]+>)\r$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Words:
    """What a letter says: a subject, and lines of plain ASCII."""

    subject: str
    lines: tuple[str, ...]


def write_letter(words: Words, to: Member, list_address: str, *, now: datetime) -> bytes:
    """Write a letter from a list's server to a member, sealed to all keys of its profile.

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
        *outer[:2], f"Subject: {words.subject}", *outer[3:],
        *(f"HP-Outer: {field}" for field in outer),
        "MIME-Version: 1.0",
        'Content-Type: text/plain; charset=us-ascii; hp="cipher"; protected-headers="v1"',
        "", *words.lines, "",
    )  # fmt: skip
    sealed = seal(
        "\r\n".join(inner).encode("ascii"),
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


def troubles(found: Troubles) -> Words:
    """Tell administrators what was given up, what is held, and whose mail was turned off."""
    address = found.list.state.name
    failed, off = len(found.failures) + found.more, len(found.turned_off) + found.more_off
    subjects = {
        f"posts that are held: {found.stopped}": found.stopped,
        f"copies that failed: {failed}": failed,
        f"members without mail: {off}": off,
    }
    parts = ", ".join(part for part, count in subjects.items() if count)
    lines = (
        *(_stopped(found, address) if found.stopped else ()),
        *(_failed(found, address) if failed else ()),
        *(_off(found, address) if off else ()),
    )
    return Words(f"{address.partition('@')[0]}: {parts}", lines)


def probe(list_address: str) -> Words:
    """Ask a member, whose mail came back, nothing: that this arrives is the answer."""
    return Words(
        f"{list_address.partition('@')[0]}: is your address working?",
        (
            f"Mail from the list {list_address} to you came back several times.",
            "If you can read this, your address works again, and there is nothing to do.",
            "If this comes back as well, the list sends you nothing more until an",
            "administrator of it turns your mail on again.",
        ),
    )


def asking(list_address: str, account: str, token: str) -> Words:
    """Ask who wants to be a member whether the address is theirs: the token comes back."""
    return Words(
        f"{list_address.partition('@')[0]}: do you want to be on the list?",
        (
            f"Who has the keys that open this asked that {account}",
            f"be a member of the list {list_address}.",
            "",
            "If that was you, save this mail as LETTER, as it came or opened, and run",
            "",
            f"  recrypt join {list_address} --token LETTER",
            "",
            f"within {limits.JOIN_TOKEN_LIFE.days} days. It sends this back, which is good once:",
            "",
            f"  Token: {token}",
            "",
            "Then an administrator of the list decides. If it wasn't you, do nothing.",
        ),
    )


def in_vain(post: StoredPost) -> Words:
    """Tell a poster that a post reached nobody; not whom it was for."""
    return Words(
        f"{post.list_address.partition('@')[0]}: your post reached nobody",
        (
            f"Your post to {post.list_address} was taken, and could be delivered to nobody.",
            "",
            f"  {_when(post)}",
            "",
            "Its administrators know. You can send it again later, or ask them.",
        ),
    )


def _stopped(found: Troubles, address: str) -> tuple[str, ...]:
    return (
        f"Posts to {address} that failed at the server, and are held there: {found.stopped}.",
        "Nobody gets copies of them any more until its operator has mended that and",
        "runs `listserver queue retry`.", "",
    )  # fmt: skip


def _failed(found: Troubles, address: str) -> tuple[str, ...]:
    return (
        f"Copies of posts to {address} that could not be delivered:", "",
        *(line for failure in found.failures for line in (*_failure(failure), "")),
        *((f"... and {found.more} more.", "") if found.more else ()),
        "They are not tried again. While a post is kept, you can send it once more:",
        f"  recrypt redeliver {address} ADDRESS --since DATE",
        "What is held failed at the server; its operator sees it with `listserver queue`.", "",
    )  # fmt: skip


def _off(found: Troubles, address: str) -> tuple[str, ...]:
    return (
        "Mail to these members came back too often, and is not sent any more:", "",
        *(f"  {account}" for account in found.turned_off),
        *((f"... and {found.more_off} more: recrypt members {address}",) if found.more_off else ()),
        "", "When their address works again:",
        f"  recrypt resume {address} ADDRESS",
        f"  recrypt redeliver {address} ADDRESS --since DATE", "",
    )  # fmt: skip


def _failure(failure: Failure) -> tuple[str, ...]:
    state = "held, as it failed at the server" if failure.held else "given up"
    words = _NOT_PLAIN.sub("?", failure.words)[: limits.NOTICE_WORDS]
    said = (f"    {words}",) if words else ()
    return (f"  {failure.account}: {state}", f"    {_when(failure.post)}", *said)


def _when(post: StoredPost) -> str:
    """Name a post by its time and the Message-ID that its copies have."""
    found = _MESSAGE_ID.search(post.header)
    message_id = found[1].decode("ascii") if found else "a post"
    return f"{message_id} of {post.accepted.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
