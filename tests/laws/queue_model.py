"""The queue as a dict: what each member is to have of each post, and what events do to it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import assert_never

from listserver.limits import FAULT_DELAY, FAULTS, LONGEST_DELAY
from listserver.model import Claim, Faulted, Record, Untried, Withdrawn
from listserver.outcomes import Delivered, GaveUp, TryLater

Key = tuple[int, int]  # post, member


class Place(Enum):
    """Where one copy is; a row of the store has the value, what has none is None there."""

    SHARD = "in its shard"
    DUE = 0
    CLAIMED = 1
    GIVEN_UP = 2
    HELD = 3
    DELIVERED = "delivered"
    WITHDRAWN = "withdrawn"
    DROPPED = "dropped"


OPEN = (Place.SHARD, Place.DUE, Place.CLAIMED)
ENDED = (Place.DELIVERED, Place.WITHDRAWN, Place.DROPPED)


@dataclass
class Copy:
    """One member's copy of one post.

    Attributes:
        due: In seconds since 1970.
        taken: How often a peer has taken it, or may have.
        allowed: How often a peer may have: once, once more for each end in doubt or request.
        unwritten: Whether a peer has taken it, and the store doesn't know yet.
    """

    place: Place = Place.SHARD
    attempts: int = 0
    faults: int = 0
    due: int = 0
    taken: int = 0
    allowed: int = 1
    unwritten: bool = False

    def row(self) -> tuple[object, ...]:
        """Give what the store has of it while it hasn't ended."""
        if self.place is Place.SHARD:
            return (Place.SHARD,)
        due = self.due if self.place is Place.DUE else None
        return (self.place, self.attempts, self.faults, due)


@dataclass
class Model:
    """All copies; posts that were dropped while they were under way, and those that are erased."""

    now: datetime
    copies: dict[Key, Copy] = field(default_factory=dict)
    stopped: set[int] = field(default_factory=set)
    erased: set[int] = field(default_factory=set)

    @property
    def seconds(self) -> int:
        """This moment, as the store has it."""
        return int(self.now.timestamp())

    def of(self, post: int | None) -> dict[Key, Copy]:
        """Give the copies of a post, or all."""
        return {key: copy for key, copy in self.copies.items() if post in (None, key[0])}

    def is_due(self, copy: Copy) -> bool:
        """Tell whether its time has come; one too far off is of a clock that was set back."""
        far = int((self.now + LONGEST_DELAY).timestamp())
        return not self.seconds < copy.due <= far

    def ready(self) -> dict[Key, Copy]:
        """Give what may be claimed now."""
        return {
            key: copy
            for key, copy in self.copies.items()
            if key[0] not in self.stopped
            and (copy.place is Place.SHARD or (copy.place is Place.DUE and self.is_due(copy)))
        }

    def next_due(self) -> int | None:
        """Tell when there is something to claim."""
        if self.ready():
            return self.seconds
        return min(
            (
                copy.due
                for (post, _), copy in self.copies.items()
                if copy.place is Place.DUE and post not in self.stopped
            ),
            default=None,
        )

    def counts(self, post: int) -> tuple[int, ...]:
        """Count as `Upkeep.queue` does: waiting, under way, put off, given up, held."""
        copies = self.of(post).values()
        put_off = sum(each.place is Place.DUE and not self.is_due(each) for each in copies)
        waiting = sum(each.place in (Place.SHARD, Place.DUE) for each in copies) - put_off
        places = [each.place for each in copies]
        others = map(places.count, (Place.GIVEN_UP, Place.HELD))
        return (waiting, places.count(Place.CLAIMED), put_off, *others)

    # --- events

    def claim(self, claim: Claim) -> None:
        """Take a copy that is ready; its attempt is counted."""
        assert (claim.post, claim.member) in self.ready()
        copy = self.copies[claim.post, claim.member]
        copy.place, copy.attempts, copy.due = Place.CLAIMED, copy.attempts + 1, self.seconds
        assert claim.attempts == copy.attempts

    def take(self, key: Key, *, in_doubt: bool) -> None:
        """Let a peer take a copy; in doubt, only the peer knows."""
        copy = self.copies[key]
        copy.taken += 1
        copy.allowed += in_doubt
        copy.unwritten = not in_doubt

    def record(self, key: Key, record: Record) -> None:
        """Write an outcome."""
        copy = self.copies[key]
        copy.unwritten = False
        match record.outcome:
            case Delivered():
                copy.place = Place.DELIVERED
            case Withdrawn():
                copy.place = Place.WITHDRAWN
            case GaveUp():
                copy.place = Place.GIVEN_UP
            case TryLater(due):
                self._put_off(copy, due)
            case Faulted(due):
                copy.faults += 1
                self._put_off(copy, due)
            case Untried():
                copy.place, copy.attempts = Place.DUE, copy.attempts - 1
            case _:
                assert_never(record.outcome)

    def crash(self) -> None:
        """Lose what wasn't written, and start again."""
        for copy in self.copies.values():
            if copy.place is Place.CLAIMED:
                copy.allowed += copy.unwritten
                copy.unwritten = False
                copy.faults += 1
                copy.place = Place.HELD if copy.faults >= FAULTS else Place.DUE
                if copy.place is Place.DUE:
                    copy.due += (copy.faults - 1) * int(FAULT_DELAY.total_seconds())

    def retry(self, post: int | None) -> int:
        """Have given-up and held copies due, but of what was dropped; count them."""
        gone = self.stopped | self.erased
        found = [
            copy
            for key, copy in self.of(post).items()
            if copy.place in (Place.GIVEN_UP, Place.HELD) and key[0] not in gone
        ]
        for copy in found:
            self._again(copy)
        return len(found)

    def drop(self, post: int) -> tuple[int, int]:
        """End what isn't under way; count it, and what is."""
        copies = self.of(post).values()
        ended = [copy for copy in copies if copy.place not in (Place.CLAIMED, *ENDED)]
        for copy in ended:
            copy.place = Place.DROPPED
        under_way = sum(copy.place is Place.CLAIMED for copy in copies)
        if under_way:
            self.stopped.add(post)
        else:
            self.stopped.discard(post)
            self.erased.add(post)
        return len(ended), under_way

    def keep_house(self) -> None:
        """End what was dropped, when none of it is under way any more."""
        for post in [*self.stopped]:
            if all(copy.place is not Place.CLAIMED for copy in self.of(post).values()):
                self.drop(post)

    def redeliver(self, member: int) -> int:
        """Have a member's copies due once more, but for what is in the queue or erased."""
        gone = self.stopped | self.erased
        found = [
            copy
            for (post, whose), copy in self.copies.items()
            if whose == member and post not in gone and copy.place in (Place.GIVEN_UP, *ENDED)
        ]
        for copy in found:
            copy.allowed += copy.place is not Place.GIVEN_UP
            self._again(copy)
        return len(found)

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self.now += by

    def _put_off(self, copy: Copy, due: datetime) -> None:
        copy.place = Place.HELD if copy.faults >= FAULTS else Place.DUE
        copy.due = int(due.timestamp())

    def _again(self, copy: Copy) -> None:
        copy.place, copy.attempts, copy.faults, copy.due = Place.DUE, 0, 0, self.seconds
