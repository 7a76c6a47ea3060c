"""Automatic answers of a list's desk: the words, and the mail (RFC 3834 §3; spec §7).

They are in clear, and hold nothing but what anybody is told of the list, and nothing of what they
answer but its Message-ID: who is answered may be who a stranger wants written to.
"""

import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from enum import Enum, auto
from typing import Final

from listserver.letters import Words
from listserver.links import list_page
from listserver.model import House, Letter, LetterKind
from recrypt_core import _random
from recrypt_core.chain import GroupState
from recrypt_core.encoding import write_b64url
from recrypt_core.messages import GetKeyResponse, write_response

_LINE: Final = 76  # of base64 (RFC 2045 §6.8)


class Topic(Enum):
    """What is asked about."""

    HELP = auto()
    KEY = auto()
    JOIN = auto()
    LEAVE = auto()


@dataclass(frozen=True, slots=True)
class Asker:
    """Who is answered: an address, and the Message-ID of the mail that asked, if it is one."""

    address: str
    asked: str | None


def write_answer(
    topic: Topic, group: GroupState, house: House, to: Asker, *, now: datetime
) -> Letter:
    """Write one, to go out with the null return path."""
    words = words_about(topic, group, house)
    parts = [*_header(group.name, words, to.address, now), *_thread(to.asked)]
    if topic is Topic.KEY:
        parts += _with_file(words, f"{_name(group)}.key.json", key_file(group))
    else:
        parts += _text(words)
    octets = "\r\n".join(parts).encode("ascii")
    return Letter(to.address, "", octets, kind=LetterKind.ANSWER)


def key_file(group: GroupState) -> bytes:
    """Write what GetKey tells of a group, as clients read it from a file too (spec §6, GetKey)."""
    answer = GetKeyResponse(signed_key=group.key.signed, master=group.master.signed)
    return write_response("GetKey", answer)


def words_about(topic: Topic, group: GroupState, house: House) -> Words:
    """Choose the words: the same for everybody who asks."""
    name = _name(group)
    match topic:
        case Topic.HELP:
            body = (*_key(group, house), *_join(group, house), *_post(group), *_leave(group))
            return Words(f"{name}: help", (*_what(group, house), *body, *_owner(group)))
        case Topic.KEY:
            return Words(f"{name}: the list's key", (*_what(group, house), *_key_use(group, house)))
        case Topic.JOIN:
            body = (*_what(group, house), *_join(group, house), *_owner(group))
            return Words(f"{name}: to be a member", body)
        case Topic.LEAVE:
            body = (*_what(group, house), *_leave(group), *_owner(group))
            return Words(f"{name}: to leave", body)


def _what(group: GroupState, house: House) -> tuple[str, ...]:
    return (
        f"{group.name} is an encrypted mailing list: what is written to it only its",
        "members can read, and the server that sends it on can't.", "",
        f"  Fingerprint: {group.identifier}",
        f"  Service:     {house.public_url}",
        f"  Page:        {list_page(house.public_url, _name(group))}", "",
        "Compare the fingerprint with what its administrators tell you by another way.", "",
    )  # fmt: skip


def _key(group: GroupState, house: House) -> tuple[str, ...]:
    return (
        "To get its key, run",
        f"  recrypt key {group.name} --service {house.public_url}",
        f"or send an empty mail to {_at(group, 'key')}", "",
    )  # fmt: skip


def _key_use(group: GroupState, house: House) -> tuple[str, ...]:
    name = _name(group)
    return (
        f"Its key is in the attached file {name}.key.json, signed. Save it, and run",
        f"  recrypt key {group.name} --service {house.public_url} \\",
        f"    --file {name}.key.json --fingerprint FINGERPRINT",
        "which checks it from the fingerprint on. Then `recrypt seal` and `recrypt encrypt`",
        "write to the list. Any JOSE library can too, with the EncryptionKey in the payload",
        "of SignedKey: a JWE, ECDH-ES+A256KW and A256GCM, whose kid is that key's.", "",
    )  # fmt: skip


def _join(group: GroupState, house: House) -> tuple[str, ...]:
    return (
        "To ask to be a member, run",
        f"  recrypt join {group.name} --service {house.public_url}",
        "or by mail alone: make a profile with `recrypt profile create`, and send the file",
        f"that `recrypt profile show --out profile.json` writes to {_at(group, 'subscribe')}",
        f"(`recrypt join {group.name} --by-mail` writes that mail). A letter comes to",
        "the profile's address; answer it as it says. Then an administrator decides.", "",
    )  # fmt: skip


def _post(group: GroupState) -> tuple[str, ...]:
    return (
        f"To write to the list, encrypt to its key: recrypt seal --to {group.name}",
        "makes a mail of the mail on its standard input. What isn't encrypted is refused.", "",
    )  # fmt: skip


def _leave(group: GroupState) -> tuple[str, ...]:
    return (
        f"To leave, run: recrypt leave {group.name}",
        "or use the link to unsubscribe in any copy that you had from the list.", "",
    )  # fmt: skip


def _owner(group: GroupState) -> tuple[str, ...]:
    return (
        f"To write to who administers the list: {_at(group, 'owner')}",
        "What is sent there in clear is sealed to them as it arrives.", "",
    )  # fmt: skip


def _header(list_address: str, words: Words, asker: str, now: datetime) -> tuple[str, ...]:
    """Write the outer fields: an answer says that it is one (RFC 3834 §3.1.7)."""
    name, _, domain = list_address.partition("@")
    return (
        f'From: "{name}" <{name}-request@{domain}>',
        f"To: {asker}",
        f"Subject: {words.subject}",
        f"Date: {format_datetime(now.astimezone(UTC))}",
        f"Message-ID: <n.{write_b64url(_random.octets(16))}@{domain}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
    )


def _thread(asked: str | None) -> Sequence[str]:
    """Name what is answered (RFC 3834 §3.1.6), but not what that answered: it isn't ours to say."""
    return () if asked is None else (f"In-Reply-To: {asked}", f"References: {asked}")


def _text(words: Words) -> tuple[str, ...]:
    return ("Content-Type: text/plain; charset=us-ascii", "", *words.lines)


def _with_file(words: Words, name: str, octets: bytes) -> tuple[str, ...]:
    boundary = write_b64url(_random.octets(16))
    encoded = binascii.b2a_base64(octets, newline=False).decode("ascii")
    return (
        f'Content-Type: multipart/mixed; boundary="{boundary}"',
        "", f"--{boundary}", *_text(words), f"--{boundary}",
        f'Content-Type: application/json; name="{name}"',
        f'Content-Disposition: attachment; filename="{name}"',
        "Content-Transfer-Encoding: base64",
        "", *(encoded[at : at + _LINE] for at in range(0, len(encoded), _LINE)),
        f"--{boundary}--", "",
    )  # fmt: skip


def _name(group: GroupState) -> str:
    return group.name.partition("@")[0]


def _at(group: GroupState, role: str) -> str:
    name, _, domain = group.name.partition("@")
    return f"{name}-{role}@{domain}"
