"""Automatic answers of a list's desk: what they tell, and the mail (RFC 3834 §3; spec §7).

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

from listserver.catalogue import Words
from listserver.links import list_page
from listserver.model import House, Letter, LetterKind
from listserver.plain_text import subject_field, text_entity
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


_PARTS: Final = {
    Topic.HELP: ("what", "key", "join", "post", "leave", "owner"),
    Topic.KEY: ("what", "key-use"),
    Topic.JOIN: ("what", "join", "owner"),
    Topic.LEAVE: ("what", "leave", "owner"),
}


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
        parts += _with_file(words, _key_file_name(group), key_file(group))
    else:
        parts += text_entity(words.lines)
    octets = "\r\n".join(parts).encode("ascii")
    return Letter(to.address, "", octets, kind=LetterKind.ANSWER)


def key_file(group: GroupState) -> bytes:
    """Write what GetKey tells of a group, as clients read it from a file too (spec §6, GetKey)."""
    answer = GetKeyResponse(signed_key=group.key.signed, master=group.master.signed)
    return write_response("GetKey", answer)


def words_about(topic: Topic, group: GroupState, house: House) -> Words:
    """Choose the words: the same for everybody who asks."""
    texts, values = house.catalogue.of_list(group), _values(group, house)
    parts = [texts.lines(f"desk-{part}", **values) for part in _PARTS[topic]]
    lines = [line for part in parts for line in (*part, "")]
    return Words(texts.say(f"subject-{topic.name.lower()}"), tuple(lines))


def _values(group: GroupState, house: House) -> dict[str, str]:
    """Give what the parts tell of a group."""
    name, _, domain = group.name.partition("@")
    roles = {role: f"{name}-{role}@{domain}" for role in ("key", "subscribe", "owner")}
    return roles | {
        "fingerprint": group.identifier,
        "service": house.public_url,
        "page": list_page(house, group.name),
        "file": _key_file_name(group),
    }


def _header(list_address: str, words: Words, asker: str, now: datetime) -> tuple[str, ...]:
    """Write the outer fields: an answer says that it is one (RFC 3834 §3.1.7)."""
    name, _, domain = list_address.partition("@")
    return (
        f'From: "{name}" <{name}-request@{domain}>',
        f"To: {asker}",
        subject_field(words.subject),
        f"Date: {format_datetime(now.astimezone(UTC))}",
        f"Message-ID: <n.{write_b64url(_random.octets(16))}@{domain}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
    )


def _thread(asked: str | None) -> Sequence[str]:
    """Name what is answered (RFC 3834 §3.1.6), but not what that answered: it isn't ours to say."""
    return () if asked is None else (f"In-Reply-To: {asked}", f"References: {asked}")


def _with_file(words: Words, name: str, octets: bytes) -> tuple[str, ...]:
    boundary = write_b64url(_random.octets(16))
    encoded = binascii.b2a_base64(octets, newline=False).decode("ascii")
    return (
        f'Content-Type: multipart/mixed; boundary="{boundary}"',
        "", f"--{boundary}", *text_entity(words.lines), f"--{boundary}",
        f'Content-Type: application/json; name="{name}"',
        f'Content-Disposition: attachment; filename="{name}"',
        "Content-Transfer-Encoding: base64",
        "", *(encoded[at : at + _LINE] for at in range(0, len(encoded), _LINE)),
        f"--{boundary}--", "",
    )  # fmt: skip


def _key_file_name(group: GroupState) -> str:
    return f"{group.name.partition('@')[0]}.key.json"
