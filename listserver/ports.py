"""What the flows ask of the world outside, and the edges of the flows: each a manual page."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from listserver.addresses import ListAddress
from listserver.outcomes import Answer
from listserver.replies import Reply


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return this moment, aware and in UTC. It may jump, in either direction."""
        ...

    def steady(self) -> timedelta:
        """Return how long it is since some beginning, another one in each process.

        It goes forward only, whatever becomes of the clock, and may stand while the machine sleeps.
        """
        ...


class Log(Protocol):
    """Takes down what happened, for the operator."""

    def event(self, name: str, **counts: int | str) -> None:
        """Note one event.

        name: a word or two with hyphens, such as "post-taken".
        counts: figures and kinds. Never an address, a key, a text from outside or anything about
            one member (spec §7). `error`, the class of an exception, makes it an error.
        """
        ...


class Room(Protocol):
    """Knows whether there is room for what is new."""

    def has_room(self) -> bool:
        """Say whether mail and members may be taken; what is queued goes on in any case.

        Raises:
            OSError: nobody can tell. It is to be answered as any trouble of ours.
        """
        ...


class Reception(Protocol):
    """Decides about mail at the door; the gateway only translates."""

    async def recipient(self, to: ListAddress) -> Reply:
        """Answer RCPT.

        The answer depends on the list alone: never on who sends or who is a member (spec §7).
        """
        ...

    async def receive(self, raw: bytes, to: ListAddress, *, sender: str) -> Reply:
        """Take a mail, or say why not. A positive reply means that it is committed.

        It runs to its end even if the sender hangs up meanwhile, so the same mail may come again.

        raw: the octets as they came, dots un-stuffed. Every line ends in CRLF and has at most
            limits.LINE_OCTETS; there is no bare CR or LF and no NUL. Nothing else is believed.
        to: one that `recipient` gave a positive reply for in this transaction.
        sender: the reverse-path, an address that `parse_address` takes, which nobody has proven;
            "" is <>, from which bounces come (RFC 5321 §4.5.5).

        Any exception becomes 451 4.3.0, and none of its text leaves the house.
        """
        ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One mail to one recipient.

    return_path: an address, or "" for the null one.
    parts: joined they are the message, with CRLF lines, none of which begins with a dot, and
        a CRLF at the end. Parts may be shared by many mails, so they are never copied whole.
    eight_bit: whether octets over 127 are in it (RFC 6152).
    """

    return_path: str
    recipient: str
    parts: tuple[bytes, ...]
    eight_bit: bool = False


@dataclass(slots=True)
class Errand:
    """One mail, and who is told once what came of it: an answer, or what our own program failed at.

    From when it is given until it is told, the relay host may have the mail.
    """

    mail: Outgoing
    tell: Callable[[Answer | Exception], None]


Errands: TypeAlias = Callable[[], Errand | None]
"""Gives the next one to begin now; None if there is none."""


class Courier(Protocol):
    """Carries mail to the relay host."""

    async def carry(self, errands: Errands) -> None:
        """Carry one mail after the other, while there is one, or until others wait to be carried.

        One or two are begun at any time, so that the relay host needn't wait for the second. It
        raises nothing: each errand is told.
        """
        ...

    async def deliver(self, mail: Outgoing) -> Answer:
        """Try once, and tell what came of it; what it means is for `outcomes.outcome_of`.

        Many may wait at once; no more are under way than there are connections. Nothing that a
        peer or the network does is raised. If the task is cancelled, the peer may have the mail.

        Raises:
            Malformed: an address breaks the grammar of `parse_address`. Nothing was sent.
        """
        ...

    async def close(self) -> None:
        """Part from all peers. Deliveries that are under way are to be finished before."""
        ...
