"""What came of an attempt to deliver: the policy of trying again, in one place.

An `Answer` is what a peer said or did; an `Outcome` is what it means for the delivery.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import assert_never

from listserver import limits


class Phase(Enum):
    """How far the dialogue with the peer had come."""

    CONNECT = auto()
    HELLO = auto()
    TLS = auto()
    AUTH = auto()
    MAIL = auto()
    RCPT = auto()
    DATA = auto()
    """From the DATA command until before the final dot: the peer can't have taken the mail."""
    CONTENT = auto()
    """The final dot was sent, the reply hasn't come: the peer may have taken the mail."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The peer took the mail, with a 2yz after the final dot."""

    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The peer said 4yz or 5yz; `text` is its own, so it may name an address."""

    phase: Phase
    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Broken:
    """No usable reply came; `what` is the kind of trouble, without a peer's words."""

    phase: Phase
    what: str


Answer = Accepted | Refused | Broken


@dataclass(frozen=True, slots=True)
class Delivered:
    """Final: the peer has it."""


@dataclass(frozen=True, slots=True)
class TryLater:
    """Try again when `due` has come; `ambiguous` if the peer may have the mail already."""

    due: datetime
    ambiguous: bool


_AFTER_RCPT = frozenset({Phase.RCPT, Phase.DATA, Phase.CONTENT})


@dataclass(frozen=True, slots=True)
class GaveUp:
    """Final: refused, or tried too long.

    phase: where the last attempt ended.
    code: the peer's reply; None if there was none.
    """

    phase: Phase
    code: int | None
    text: str

    @property
    def blames_recipient(self) -> bool:
        """Whether the peer refused after it was told for whom: before that, it refused us."""
        return self.phase in _AFTER_RCPT


Outcome = Delivered | TryLater | GaveUp


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a mail is tried again: after `first`, then after twice as long, at most `longest`.

    lifetime: how long it is tried in all.
    """

    first: timedelta = limits.FIRST_DELAY
    longest: timedelta = limits.LONGEST_DELAY
    lifetime: timedelta = limits.LIFETIME

    def delay_after(self, attempts: int) -> timedelta:
        """Tell how long to wait after so many attempts."""
        delay = self.first
        for _ in range(attempts - 1):
            if delay >= self.longest:
                break
            delay *= 2
        return min(delay, self.longest)

    @property
    def least_attempts(self) -> int:
        """Give how often a mail is tried at the least, however old a clock makes it."""
        attempts, age = 1, self.first
        while attempts < limits.LEAST_ATTEMPTS and age < self.lifetime:
            attempts += 1
            age += self.delay_after(attempts)
        return attempts


# A peer that refuses these refuses this mail; one that refuses earlier refuses us.
_ABOUT_THE_MAIL = frozenset({Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.CONTENT})
_ABOUT_US = frozenset({530})  # log in or use TLS first: RFC 4954 §6, RFC 3207 §4


def outcome_of(
    answer: Answer, schedule: Schedule, *, attempts: int, first: datetime, now: datetime
) -> Outcome:
    """Judge one attempt (RFC 5321 §4.2.1, §4.5.4.1). An unclear end of DATA is TryLater.

    attempts: how many there have been, this one counted.
    first: when the mail was first due.
    """
    match answer:
        case Accepted():
            return Delivered()
        case Refused(phase, code, text) if _is_final(phase, code):
            return GaveUp(phase, code, text)
        case Refused(phase, code, text):
            last_words = GaveUp(phase, code, text)
        case Broken(phase, what):
            last_words = GaveUp(phase, None, what)
        case _:
            assert_never(answer)
    end = first + schedule.lifetime
    # A clock that was set forward makes a mail old, but not tried often.
    if now >= end and attempts >= schedule.least_attempts:
        return last_words
    ambiguous = isinstance(answer, Broken) and answer.phase is Phase.CONTENT
    due = now + schedule.delay_after(attempts)
    # The last attempt falls on the end itself.
    return TryLater(min(due, end) if now < end else due, ambiguous)


def has_reached(answer: Answer) -> bool:
    """Tell whether the peer could be connected to; if not, it is so for every mail."""
    return not (isinstance(answer, Broken) and answer.phase is Phase.CONNECT)


def _is_final(phase: Phase, code: int) -> bool:
    return code // 100 == 5 and phase in _ABOUT_THE_MAIL and code not in _ABOUT_US
