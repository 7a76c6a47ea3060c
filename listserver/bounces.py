"""What a failure report says about a member's address: much, little or nothing.

A report is a stranger's text. Of it only the kind of failure is taken, as a status code that a
pattern has checked; addresses in it count for nothing, as its own recipient names the delivery, and
nothing of it is quoted.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice
from typing import Final

from listserver import mime, refusals, reports
from listserver.limits import PEER_TEXT_OCTETS
from listserver.mime import Entity, Span, Unreadable, values_of
from listserver.outcomes import GaveUp, Outcome
from listserver.reports import PlainPart, PlainReport

LEAVES: Final = 10  # of a report that are looked at; RFC 6522 §3: the second one is the report
PART_OCTETS: Final = 64 * 2**10  # of one part that are looked at; ours
GROUPS: Final = 100  # of fields in a report that are looked at; ours: our mail has one recipient
TEXT_CHARACTERS: Final = 200  # of a field that are looked at: its code stands first

STATUS_TYPES: Final = frozenset(
    {"message/delivery-status", "message/global-delivery-status"}  # RFC 3464 §2, RFC 6533 §4
)


class Weight(Enum):
    """What a failure says about the address; a greater value outweighs a smaller one."""

    NOTHING = 0
    """It is about this mail or about us, or there is no failure."""
    SOFT = 1
    """No mail comes through now: the mailbox is full, or its system is ill."""
    HARD = 2
    """There is no such address."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A report's weight; and the status code that it gave, such as "5.1.1", for administrators."""

    weight: Weight
    status: str | None = None


# By the longest beginning that fits; what fits none says nothing. A 4 weighs as a 5 does, but SOFT
# at most: it was given up, and another mail may pass (RFC 3463 §2).
_BY_STATUS: Final = {
    "5.0": Weight.HARD,  # RFC 3463 §3.1: no detail, but final
    "5.1": Weight.HARD,  # RFC 3463 §3.2: the address; RFC 7505: a domain without mail
    "5.1.5": Weight.NOTHING,  # a valid one
    "5.1.7": Weight.NOTHING,  # the sender's, which is ours
    "5.1.8": Weight.NOTHING,  # the same
    "5.2": Weight.SOFT,  # RFC 3463 §3.3: the mailbox; 5.2.2: full, 5.2.4: it is a list's
    "5.2.0": Weight.HARD,  # no detail
    "5.2.1": Weight.HARD,  # disabled
    "5.2.3": Weight.NOTHING,  # this mail is too long for it
    "5.3": Weight.SOFT,  # RFC 3463 §3.4: the mail system
    "5.3.4": Weight.NOTHING,  # this mail is too big for it
    "5.4": Weight.SOFT,  # RFC 3463 §3.5: the network and routing
    "5.4.1": Weight.HARD,  # Microsoft's, for addresses that don't exist
    "5.4.4": Weight.HARD,  # no way to such a domain
    "5.5": Weight.NOTHING,  # RFC 3463 §3.6: the protocol
    "5.6": Weight.NOTHING,  # RFC 3463 §3.7: this mail's content
    "5.7": Weight.NOTHING,  # RFC 3463 §3.8: who we are, which is refused to all members alike
}
# Subjects of statuses that are the address's own, whoever gives them (RFC 3463 §3.2, §3.3).
_OF_ADDRESS: Final = frozenset({"1", "2"})
# Codes of those who know no better one (Exim and Outlook.com write them for unknown users, others
# for whom they don't relay for): the SMTP reply decides, if there is one.
_VAGUE: Final = frozenset({"5.0.0", "5.1.0", "5.4.1", "5.5.0"})
# RFC 5321 §4.2.3. Any 4yz is SOFT; any other 5yz is about the dialogue, and says nothing.
_BY_REPLY: Final = {
    521: Weight.HARD,  # for hosts and domains that take no mail, as 556: RFC 7504
    550: Weight.HARD,
    551: Weight.HARD,
    552: Weight.SOFT,  # full
    553: Weight.HARD,
    554: Weight.SOFT,  # "transaction failed" may be about anything, disabled mailboxes too
    556: Weight.HARD,
}
_NO_MAIL: Final = 556  # RFC 7504 §4: no other reply is about the address by its number alone

_NUMBER: Final = r"(?:0|[1-9][0-9]{0,2})"
_STATUS: Final = rf"[245]\.{_NUMBER}\.{_NUMBER}(?!\.?[0-9])"  # RFC 3463 §2
_STATUS_FIELD: Final = re.compile(rf"\s*({_STATUS})")
# RFC 3464 §2.3.6: "smtp; 550-5.1.1 …"; or what a peer said, with or without the reply code.
_LEADING: Final = re.compile(
    rf"\s*(?:[\w.-]{{1,32}}\s*;\s*)?(?:([45][0-9][0-9])(?![\w.]))?[ -]*\(?#?({_STATUS})?", re.ASCII
)
# What qmail and its like end with: "(#5.1.1)", "(#5.1.1 - chkuser)".
_TRAILING: Final = re.compile(rf"\(#({_STATUS})[^()]{{0,60}}\)\s*\Z")
# In running text a code counts beside another only, or behind qmail's "#".
_IN_TEXT: Final = re.compile(rf"(?:(?<![\w.])([45][0-9][0-9])[ -]\(?#?|#)({_STATUS})", re.ASCII)
# RFC 3464 §2.3.3; OpenSMTPD writes "error". Comments may follow.
_FAILED: Final = re.compile(r"\s*(?:failed|failure|error)\b", re.IGNORECASE)
_BLANK_LINE: Final = re.compile(r"\n[ \t]*\n")
_FOLD: Final = re.compile(r"\n[ \t]+")


def read_report(raw: bytes) -> Verdict:
    """Read a message that came to a delivery's return path; whatever it is, there is a verdict.

    It may take a tenth of a second for hostile input: to be run in a thread. What is broken or too
    complex where the report should be says nothing.
    """
    try:
        message = mime.read_message(raw)
    except Unreadable:
        return Verdict(Weight.NOTHING)
    leaves = _first_leaves(raw, message)
    for leaf in leaves:
        if leaf.media_type in STATUS_TYPES:
            return _worst(_text(raw, leaf))
    return _by_text(_plain_report(raw, message, leaves), message)


def weight_of(code: int | None, text: str) -> Verdict:
    """Weigh what the relay host replied to RCPT or later: it counts if it is about the address.

    A host in trouble, or that doesn't relay for us, refuses all members alike. So the statuses of
    the address and its mailbox count, and where there is none, or a vague one, what the words say.

    code: of its reply; None if there was none, which says nothing about an address.
    text: of its reply, which may begin (RFC 2034 §4) or end (qmail) with a status code.
    """
    if code is None:
        return Verdict(Weight.NOTHING)
    said = text[:PEER_TEXT_OCTETS]
    _, status = _codes(said)
    if status is None or status in _VAGUE:
        return Verdict(_by_words(code, said), status)
    is_of_address = status.split(".")[1] in _OF_ADDRESS and not refusals.blame_sender(said)
    return Verdict(_by_status(status) if is_of_address else Weight.NOTHING, status)


def weight_of_end(outcome: Outcome) -> Weight:
    """Weigh how a delivery ended: only what the relay host refused for its recipient counts."""
    if isinstance(outcome, GaveUp) and outcome.blames_recipient:
        return weight_of(outcome.code, outcome.text).weight
    return Weight.NOTHING


# --- the tables -----------------------------------------------------------------------------------


def _weigh(
    statuses: list[str | None], reply: int | None, *, otherwise: Weight, said: str = ""
) -> Verdict:
    """Weigh the first status that says more than "other"; else the reply; else what there is."""
    given = [status for status in statuses if status]
    if exact := next((status for status in given if status not in _VAGUE), None):
        is_ours = refusals.blame_sender(said)
        return Verdict(Weight.NOTHING if is_ours else _by_status(exact), exact)
    vague = given[0] if given else None
    if reply is not None:
        about_us = refusals.blame_us(said)
        return Verdict(Weight.NOTHING if about_us else _by_reply(reply), vague)
    return Verdict(_by_status(vague) if vague else otherwise, vague)


def _by_status(status: str) -> Weight:
    kind, subject, detail = status.split(".")
    beginnings = (f"5.{subject}.{detail}", f"5.{subject}")
    final = next((_BY_STATUS[one] for one in beginnings if one in _BY_STATUS), Weight.NOTHING)
    match kind:
        case "5":
            return final
        case "4" if final is not Weight.NOTHING:
            return Weight.SOFT
        case _:  # RFC 3463 §2: class 2 is success
            return Weight.NOTHING


def _by_reply(code: int) -> Weight:
    return Weight.SOFT if code // 100 == 4 else _BY_REPLY.get(code, Weight.NOTHING)


def _by_words(code: int, text: str) -> Weight:
    if code == _NO_MAIL or refusals.blame_address(text):
        return _by_reply(code)
    return Weight.SOFT if refusals.say_full(text) else Weight.NOTHING


def _codes(said: str) -> tuple[int | None, str | None]:
    """Find the reply code that a peer's words begin with, and the status there or at the end."""
    leading, trailing = _LEADING.match(said), _TRAILING.search(said)
    reply, status = leading.groups() if leading else (None, None)
    return int(reply) if reply else None, status or (trailing[1] if trailing else None)


# --- reports by the standard (RFC 3464 §2) --------------------------------------------------------


def _first_leaves(raw: bytes, message: Entity) -> list[Entity]:
    """Return the first leaves; what follows them may be broken, as returned mail is cut short."""
    found: list[Entity] = []
    with suppress(Unreadable):
        found.extend(islice(mime.leaves(raw, message), LEAVES))
    return found


def _text(raw: bytes, part: Entity) -> str:
    """Return a part's first lines, ended by LF; nothing if its encoding is broken."""
    start, end = part.body
    first = replace(part, body=Span(start, min(end, start + PART_OCTETS)))
    try:
        octets = mime.decoded(raw, first)
    except Unreadable:
        return ""
    return octets.decode("ascii", "replace").replace("\r\n", "\n")


def _worst(status: str) -> Verdict:
    """Return the verdict of most weight among the groups of fields, one with a code first."""
    verdicts = map(_of_group, islice(_groups(status), GROUPS))
    return max(verdicts, key=lambda one: (one.weight.value, one.status is not None))


def _groups(status: str) -> Iterator[str]:
    at = 0
    for blank in _BLANK_LINE.finditer(status):
        yield _FOLD.sub(" ", status[at : blank.start()])
        at = blank.end()
    yield _FOLD.sub(" ", status[at:])


def _of_group(group: str) -> Verdict:
    """Weigh one group; only an Action of `failed` counts (RFC 3464 §2.3.3)."""
    if not _FAILED.match(_field(group, "action")):
        return Verdict(Weight.NOTHING)
    status = _STATUS_FIELD.match(_field(group, "status"))
    said = _field(group, "diagnostic-code")
    reply, detail = _codes(said)
    statuses = [status[1] if status else None, detail]
    # Without a code, against RFC 3464 §2.3.4, it is final and no more is known.
    return _weigh(statuses, reply, otherwise=Weight.SOFT, said=said)


def _field(group: str, name: str) -> str:
    found = re.search(rf"^{name}[ \t]*:(.*)", group, re.IGNORECASE | re.MULTILINE)
    return found[1][:TEXT_CHARACTERS] if found else ""


# --- reports that follow no standard --------------------------------------------------------------


def _plain_report(raw: bytes, message: Entity, leaves: list[Entity]) -> PlainReport:
    parts = tuple(
        PlainPart(
            leaf.media_type,
            _value(leaf, "content-description").strip().lower() == "notification",
            _text(raw, leaf) if leaf.media_type == "text/plain" else "",
        )
        for leaf in leaves
        if leaf.is_part
    )
    return PlainReport(
        message.media_type,
        sender=_value(message, "from"),
        failed_recipients=_value(message, "x-failed-recipients"),
        mailer=_value(message, "x-mailer"),
        parts=parts,
    )


def _by_text(report: PlainReport, message: Entity) -> Verdict:
    if report.media_type == "multipart/report":  # of another kind: read receipts, complaints
        return Verdict(Weight.NOTHING)
    # RFC 3834 §5: what answers by itself; Exim's reports say so of themselves too.
    is_reply = _value(message, "auto-submitted").strip().lower().startswith("auto-replied")
    if is_reply and not report.failed_recipients:
        return Verdict(Weight.NOTHING)
    text = reports.failure_in(report)
    if text is None:
        return Verdict(Weight.NOTHING)
    code = _IN_TEXT.search(text)
    reply, status = code.groups() if code else (None, None)
    return _weigh([status], int(reply) if reply else None, otherwise=Weight.HARD)


def _value(entity: Entity, name: str) -> str:
    return next(iter(values_of(entity.fields, name)), "")
