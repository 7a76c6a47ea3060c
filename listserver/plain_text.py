"""Text in mail: as it is where it is ASCII, else UTF-8 in quoted-printable (RFC 2045 §6.7)."""

import binascii
from collections.abc import Sequence
from email.header import Header
from typing import Final

_ASCII: Final = ("Content-Type: text/plain; charset=us-ascii",)
_QUOTED: Final = (
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: quoted-printable",
)


def text_entity(lines: Sequence[str]) -> tuple[str, ...]:
    """Write a text as an entity: its fields, an empty line and its lines (RFC 2045 §6.7).

    No line has "=_" in it, with which our boundaries begin.
    """
    text = "\r\n".join(lines)
    if text.isascii() and "=_" not in text:
        return (*_ASCII, "", *lines)
    quoted = binascii.b2a_qp(text.encode()).decode("ascii")
    return (*_QUOTED, "", *quoted.split("\r\n"))


def subject_field(subject: str) -> str:
    """Write a Subject, folded into encoded words if it isn't ASCII (RFC 2047 §2)."""
    if subject.isascii():
        return f"Subject: {subject}"
    words = Header(subject, "utf-8", header_name="Subject").encode(linesep="\r\n")
    return f"Subject: {words}"
