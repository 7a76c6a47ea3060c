"""Joining by mail alone: the mails to a list's desk, and the key's file that it mails (spec §7).

Pure. What is written is for any mail program, or `sendmail -t`.
"""

import binascii
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

from recrypt_client import mail
from recrypt_core.documents import VerifiedProfile
from recrypt_core.encoding import JsonObject, write_json
from recrypt_core.errors import Malformed
from recrypt_core.limits import DOCUMENT_OCTETS
from recrypt_core.messages import GetKeyResponse, read_response
from recrypt_core.signing import Jws

_LINE: Final = 76  # of base64 (RFC 2045 §6.8)
_KEY_FILE: Final = ".key.json"  # what its name ends with
_WORDS: Final = "The attached file is for the list's server."
_BOUNDARY: Final = "=_part"  # which can't stand in base64, nor in these words


def asking(
    profile: VerifiedProfile, group: str, *, now: datetime, invitation: str | None = None
) -> bytes:
    """Write the mail by which the owner of a profile asks to be a member.

    invitation: The proof of one, which stands beside the profile.
    """
    beside: JsonObject = {} if invitation is None else {"invitation": invitation}
    file = write_json(profile.signed.json() | beside)
    to = _role(group, "subscribe")
    return _mail(_header(profile, to, "Asking to join", now), "profile.json", file)


def answering(
    profile: VerifiedProfile, group: str, answer: Jws, token: str, *, now: datetime
) -> bytes:
    """Write the mail that brings a token back, with the signed answer."""
    to = _role(group, f"confirm+{token}")
    return _mail(_header(profile, to, "Answer", now), "answer.json", write_json(answer.json()))


def key_in(octets: bytes) -> GetKeyResponse:
    """Read a group's signed key from the file that a desk mails, or from that mail as it came.

    Nothing in it is believed yet.

    Raises:
        Malformed: if there is none.
    """
    file = octets if octets.lstrip().startswith(b"{") else _key_file_in(octets)
    answer = read_response(file.strip(), "GetKey", GetKeyResponse, limit=3 * DOCUMENT_OCTETS)
    if not isinstance(answer, GetKeyResponse):
        raise Malformed("a file that holds no group's key")
    return answer


def _key_file_in(octets: bytes) -> bytes:
    for leaf in mail.leaves(mail.parse(octets)):
        name = leaf.parameter("Content-Disposition", "filename") or ""
        if name.endswith(_KEY_FILE):
            return mail.decoded(leaf)
    raise Malformed(f"a mail without a file whose name ends in {_KEY_FILE}")


def _role(group: str, role: str) -> str:
    name, _, domain = group.partition("@")
    return f"{name}-{role}@{domain}"


def _header(profile: VerifiedProfile, to: str, subject: str, now: datetime) -> tuple[str, ...]:
    return (
        f"From: {profile.profile.accounts[0]}",
        f"To: {to}",
        f"Subject: {subject}",
        f"Date: {format_datetime(now.astimezone(UTC))}",
    )


def _mail(header: tuple[str, ...], name: str, file: bytes) -> bytes:
    """Write a mail with a file."""
    encoded = binascii.b2a_base64(file, newline=False).decode("ascii")
    lines = (
        *header,
        "MIME-Version: 1.0",
        f'Content-Type: multipart/mixed; boundary="{_BOUNDARY}"',
        "", f"--{_BOUNDARY}",
        "Content-Type: text/plain; charset=us-ascii", "", _WORDS,
        f"--{_BOUNDARY}",
        f'Content-Type: application/json; name="{name}"',
        f'Content-Disposition: attachment; filename="{name}"',
        "Content-Transfer-Encoding: base64",
        "", *(encoded[at : at + _LINE] for at in range(0, len(encoded), _LINE)),
        f"--{_BOUNDARY}--", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode("ascii")
