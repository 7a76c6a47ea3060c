"""Mail that a program hands over to be sent: to a list it goes sealed, or not at all (spec §8).

Pure. Whose name is on an envelope is read as strictly as it takes to miss no list: where two
programs might read it in two ways, both are counted.
"""

import getopt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from recrypt_client import mail
from recrypt_client.errors import Trouble, about
from recrypt_client.pins import Pin
from recrypt_core.errors import Malformed
from recrypt_core.mailboxes import folded

# Options of sendmail and of those that stand in for it, each with a colon if a value follows.
_OPTIONS: Final = "A:B:b:C:cD:d:e:F:f:Gh:IiL:M:mN:nO:o:p:q:R:r:sTtUV:vX:x"
MARK: Final = "[recrypt: sealed to "  # begins what `recrypt read --view` shows
_SENDS: Final = "m"  # -bm: the mode of whoever names none
_LIST_ID = re.compile(r"<m\.[a-z2-7]{26}\.[a-z2-7]{8}@([^<>@]+)>")  # that lists write (spec §7)
_RECIPIENTS: Final = ("To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc", "Apparently-To")


class Unsendable(Trouble):
    """A mail that can't go out as it is; nothing of it was sent."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a `sendmail` is asked for by its arguments.

    Attributes:
        mode: The letter of -b: `m` to send what stands on standard input.
        recipients: That are named, as they are.
        reads_header: Whether To, Cc and Bcc name more of them (-t).
        sender: The return path, if one is given (-f, -r).
    """

    mode: str
    recipients: tuple[str, ...]
    reads_header: bool
    sender: str | None


def read_order(arguments: Sequence[str]) -> Order:
    """Read the arguments of `sendmail` as it does.

    Raises:
        Trouble: if one is unknown.
    """
    try:
        options, recipients = getopt.getopt([*arguments], _OPTIONS)
    except getopt.GetoptError as problem:
        raise Trouble(
            f"an option that sendmail doesn't have: {problem.msg}", "See recrypt send --help"
        ) from problem
    given = dict(options)
    return Order(
        mode=given.get("-b", _SENDS),
        recipients=tuple(recipients),
        reads_header="-t" in given,
        sender=given.get("-f", given.get("-r")),
    )


def recipients_of(order: Order, octets: bytes) -> list[str]:
    """Give the addresses that a mail is for.

    Raises:
        Unsendable: if its header, which names them, can't be read.
    """
    named = [*order.recipients]
    if order.reads_header:
        try:
            with about("the message"):
                header = mail.parse(octets)
        except Trouble as problem:
            raise Unsendable(problem.what, "It was not sent: who it is for can't be read") from None
        named += header.all(*_RECIPIENTS)
    return [address for _, address in mail.addresses(named)]


def list_among(pins: Iterable[Pin], addresses: Sequence[str]) -> Pin | None:
    """Find the list that a mail is for; None if it is for people alone.

    A list's other addresses, such as team-request@lists.example, are for what isn't sealed.

    Raises:
        Unsendable: if it is for a list and anybody else, who would get it in clear.
    """
    known = {folded(pin.group_name): pin for pin in pins}
    named = {_compared(each): each for each in addresses}
    lists = [known[each] for each in named if each in known]
    if not lists:
        return None
    others = [each for key, each in named.items() if key != folded(lists[0].group_name)]
    if others:
        raise Unsendable(
            f"{lists[0].group_name} gets sealed mail, and {', '.join(others)} can't read that",
            "Nothing was sent: write to the list alone, without Cc or Bcc, and to others apart",
        )
    return lists[0]


def check_may_go_in_clear(octets: bytes, pins: Iterable[Pin], recipients: Sequence[str]) -> None:
    """Refuse a mail to people that quotes what was sealed, or answers a list's mail.

    Raises:
        Unsendable: if it may.
    """
    check_quotes_nothing(octets)
    try:
        ids = mail.ids(mail.parse(octets).all("In-Reply-To", "References"))
    except Malformed:
        return  # what is no mail answers none
    known = {_domain(pin.group_name) for pin in pins}
    answered = {found[1] for each in ids if (found := _LIST_ID.fullmatch(each))} & known
    others = [each for each in recipients if _domain(each) not in answered]
    if answered and others:
        raise Unsendable(
            f"it answers mail of a list at {answered.pop()}, and would go to "
            f"{', '.join(others)} in clear",
            "Nothing was sent: answer the list, or write a new mail that quotes nothing of it",
        )


def check_quotes_nothing(octets: bytes) -> None:
    """Refuse a mail in clear with the line that `recrypt read --view` puts above what was sealed.

    So an answer to somebody else doesn't quote it unnoticed. What isn't text isn't searched.

    Raises:
        Unsendable: if it has it.
    """
    try:
        texts = [
            mail.decoded(leaf)
            for leaf in mail.leaves(mail.parse(octets))
            if leaf.media_type.startswith("text/")
        ]
    except Malformed:
        texts = [octets]
    if any(MARK.encode() in text for text in texts):
        raise Unsendable(
            "it quotes what was sealed to a list, and would go out in clear",
            f"Nothing was sent: answer the list alone, or take the line with {MARK}…] out of it, "
            "and what isn't for others",
        )


def _domain(address: str) -> str:
    return folded(address).rpartition("@")[2]


def _compared(address: str) -> str:
    """Give an address as any mail server might take it: without quotes and a root's dot."""
    return folded(address).replace('"', "").replace("\\", "").strip(" <>").rstrip(".")
