"""Failure reports that follow no standard, told by flufl.bounce: the only room that uses it.

Its patterns take cubic time on hostile lines (a line of 2,000 characters: seconds), and the email
package's parser takes more on hostile structure. So nothing that a stranger wrote is parsed here: a
flat message is built of values from small alphabets and of short text, which is cheap whatever it
says, and on which no detector fails.
"""

import re
from dataclasses import dataclass
from email.message import Message
from typing import Final

from flufl.bounce import all_failures

LINES: Final = 80  # of all texts that are looked at; ours: reports say it before they quote mail
LINE_CHARACTERS: Final = 100  # of a line that are looked at; ours: the patterns' time is cubic
VALUE_CHARACTERS: Final = 1000  # of a header field that are looked at; ours
ADDRESSES: Final = 10  # of X-Failed-Recipients; ours

_ADDRESS: Final = re.compile(r"[\w.+-]{1,64}@[\w.-]{1,255}", re.ASCII)
_MAILER: Final = re.compile(r"\s*([\w<>. -]{1,40})", re.ASCII)
_DAEMONS: Final = ("mailer-daemon@", "postmaster@")  # RFC 5321 §4.5.1 and old custom


@dataclass(frozen=True, slots=True)
class PlainPart:
    """A part of a report, by its media type; `text` is empty unless it is text/plain."""

    media_type: str
    is_notification: bool  # its Content-Description is "Notification", as Postfix has it
    text: str


@dataclass(frozen=True, slots=True)
class PlainReport:
    """A message that may be a report: media type, values of three fields as they came, parts.

    If it isn't a multipart, its body is its only part.
    """

    media_type: str
    sender: str
    failed_recipients: str
    mailer: str
    parts: tuple[PlainPart, ...]


def failure_in(report: PlainReport) -> str | None:
    """Return the text in which a mail system tells that it gave up; None if there is none.

    Who isn't a mail system by its From or X-Failed-Recipients (Exim) isn't believed: people's own
    replies hold words that some detector takes for a report. Which addresses the text names counts
    for nothing.
    """
    failed = _addresses(report.failed_recipients)
    sender = next(iter(_addresses(report.sender)), "").lower()
    if not failed and not sender.startswith(_DAEMONS):
        return None
    parts = _shortened(report.parts)
    message = _message(report, parts)
    message["From"] = sender
    if failed:  # of an empty field some Pythons make one address, which is empty
        message["X-Failed-Recipients"] = ", ".join(failed)
    if mailer := _MAILER.match(report.mailer):
        message["X-Mailer"] = mailer[1]
    _, permanent = all_failures(message)
    return "\n".join(part.text for part in parts) if permanent else None


def _addresses(value: str) -> list[str]:
    return _ADDRESS.findall(value[:VALUE_CHARACTERS])[:ADDRESSES]


def _shortened(parts: tuple[PlainPart, ...]) -> list[PlainPart]:
    """Cut long lines, and what stands after the first ones of all parts together."""
    left, found = LINES, []
    for part in parts:
        lines = [line[:LINE_CHARACTERS] for line in part.text.splitlines()[:left]]
        left -= len(lines)
        found.append(PlainPart(part.media_type, part.is_notification, "\n".join(lines)))
    return found


def _message(report: PlainReport, parts: list[PlainPart]) -> Message:
    """Build what the detectors look at: at most one level deep, all text in ASCII."""
    message = Message()
    message["Content-Type"] = report.media_type
    if not report.media_type.startswith("multipart/"):
        message.set_payload(_ascii(parts[0].text) if parts else "")
        return message
    for part in parts:
        inner = Message()
        inner["Content-Type"] = part.media_type
        if part.is_notification:
            inner["Content-Description"] = "Notification"
        inner.set_payload(_ascii(part.text))
        message.attach(inner)
    return message


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode("ascii")
