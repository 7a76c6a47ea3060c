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
from listserver.model import StoredPost
from listserver.troubles import Failure, Troubles
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
    """Write a letter from a list's server to a member, sealed to all keys of its profile."""
    body = ("", *words.lines, "")
    content = ("text/plain; charset=us-ascii", "\r\n".join(body).encode("ascii"))
    return _letter(words.subject, content, to, list_address=list_address, now=now)


def write_enclosing(
    mail: bytes, sender: str, to: Member, *, list_address: str, now: datetime
) -> bytes:
    """Write a letter with a mail in it, as that came, to one who administers the list.

    sender: of its envelope, which nobody has proven.
    """
    name = list_address.partition("@")[0]
    boundary = write_b64url(_random.octets(16))
    encoding = "7bit" if mail.isascii() else "8bit"
    before = (
        "", f"--{boundary}", "Content-Type: text/plain; charset=us-ascii", "",
        f"{sender} seems to have written to those who administer",
        f"{list_address}. What came is attached; nothing in it is proven.",
        f"--{boundary}", "Content-Type: message/rfc822", f"Content-Transfer-Encoding: {encoding}",
        "", "",
    )  # fmt: skip
    octets = "\r\n".join(before).encode("ascii") + mail + f"\r\n--{boundary}--\r\n".encode("ascii")
    content = (f'multipart/mixed; boundary="{boundary}"', octets)
    subject = f"{name}: mail to those who administer the list"
    return _letter(subject, content, to, list_address=list_address, now=now)


def _letter(
    subject: str, content: tuple[str, bytes], to: Member, *, list_address: str, now: datetime
) -> bytes:
    """Write and seal a letter; the content is its type, and its octets from the empty line on.

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
        *outer[:2], f"Subject: {subject}", *outer[3:],
        *(f"HP-Outer: {field}" for field in outer),
        "MIME-Version: 1.0",
        f'Content-Type: {content[0]}; hp="cipher"; protected-headers="v1"', "",
    )  # fmt: skip
    sealed = seal(
        "\r\n".join(inner).encode("ascii") + content[1],
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
    """Tell administrators what waits, was given up or is held, and whose mail was turned off."""
    address = found.list.state.name
    failed, off = len(found.failures) + found.more, len(found.turned_off) + found.more_off
    left = len(found.left) + found.more_left
    subjects = {
        f"posts that wait for a decision: {found.waiting}": found.waiting,
        f"posts that are held: {found.stopped}": found.stopped,
        f"copies that failed: {failed}": failed,
        f"members without mail: {off}": off,
        f"members who left: {left}": left,
    }
    parts = ", ".join(part for part, count in subjects.items() if count)
    lines = (
        *(_waiting(found, address) if found.waiting else ()),
        *(_stopped(found, address) if found.stopped else ()),
        *(_failed(found, address) if failed else ()),
        *(_off(found, address) if off else ()),
        *(_left(found, address) if left else ()),
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
            f"within {limits.JOIN_TOKEN_LIFE.days} days. It sends this back, which is good once",
            "(with --by-mail it writes a mail that does):",
            "",
            f"  Token: {token}",
            "",
            "Then an administrator of the list decides. If it wasn't you, do nothing.",
        ),
    )


def leaving(list_address: str, page: str, address: str) -> Words:
    """Tell who is to leave how to stay; the page and the address have the token for it."""
    days = limits.LEAVE_PATIENCE.days
    return Words(
        f"{list_address.partition('@')[0]}: you are leaving the list",
        (
            f"By a link in a copy that you had from the list {list_address}",
            "somebody asked that you be sent nothing more. Nothing is, from now on.",
            "",
            f"If that was you, there is nothing to do: in {days} days you have left.",
            "If it wasn't, or you want to stay, open this page within that time,",
            "",
            f"  {page}",
            "",
            "or send a mail, with whatever in it, to",
            "",
            f"  {address}",
            "",
            f"or run: recrypt mail {list_address} on",
            "",
            "Then mail comes again, and links in the copies that you had before do",
            "nothing any more. What came meanwhile an administrator can send you.",
        ),
    )


def welcome(list_address: str, account: str) -> Words:
    """Tell a new member that it is one."""
    return Words(
        f"{list_address.partition('@')[0]}: welcome to the list",
        (
            f"You are a member of the list {list_address} now, as {account}.",
            "Nobody but its administrators is told so. Copies of what is written to it come",
            "to this address; `recrypt read` shows them.",
            "",
            "To write to the list, so that only its members can read it:",
            "",
            f"  recrypt seal --to {list_address} --from {account}",
            "",
            "makes a mail from the mail on its standard input. If you want no mail for a",
            "while, or to leave:",
            "",
            f"  recrypt mail {list_address} off",
            f"  recrypt leave {list_address}",
            "",
            "Keep a back-up of your keys: recrypt profile export FILE. Without them nobody,",
            "not even an administrator, can make readable to you what you have.",
        ),
    )


def goodbye(list_address: str, account: str) -> Words:
    """Tell who was removed that it is no member any more; not by whom, or why."""
    return Words(
        f"{list_address.partition('@')[0]}: you are no longer on the list",
        (
            f"You, as {account}, are no member of the list {list_address} any more,",
            "and get nothing more from it. Nobody but its administrators is told so.",
            "",
            "Copies that you have you can read as before, if you keep your keys.",
            "",
            f"To ask to be a member again: recrypt join {list_address}",
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


def rejected(post: StoredPost) -> Words:
    """Tell a poster that moderators rejected a post; not who did."""
    return Words(
        f"{post.list_address.partition('@')[0]}: your post was not accepted",
        (
            f"Your post to {post.list_address} waited for a decision,",
            "and those who administer the list have rejected it. Nobody else got it.",
            "",
            f"  {_when(post)}",
        ),
    )


def _waiting(found: Troubles, address: str) -> tuple[str, ...]:
    return (
        f"Posts to {address} that wait for a decision: {found.waiting}.",
        "Who administers the list has a copy of each. To see and to decide:",
        f"  recrypt held {address}",
        f"  recrypt held {address} accept NUMBER", "",
    )  # fmt: skip


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


def _left(found: Troubles, address: str) -> tuple[str, ...]:
    return (
        "These members have left, and are sent nothing more:", "",
        *(f"  {account}" for account in found.left),
        *(
            (f"... and {found.more_left} more: recrypt members {address}",)
            if found.more_left
            else ()
        ),
        "", "They can read what they have, and are members until you end that:",
        f"  recrypt refresh {address}", "",
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
