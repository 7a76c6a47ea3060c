"""A group as a dict of seats: who may do what, and what the service has to answer (spec §6)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from recrypt_core.documents import Privilege, Status
from recrypt_core.policy import Policy
from recrypt_core.signing import Jws
from recrypt_core.udf import Udf

Powers: TypeAlias = tuple[Privilege, ...]
Entries: TypeAlias = Mapping[Udf, Udf]
"""By X, the group key that an entry is of."""

ADMIN, SUPER = Privilege.ADMIN, Privilege.SUPER
POWERS: Final = frozenset({ADMIN, SUPER})
MASTER: Final = -1  # who signs by the group's master key
ONLINE: Final = -2  # who signs by its Master's online key, which may what ADMIN may
DONE, WRONG, STRANGER, FORBIDDEN, UNKNOWN, CONFLICT = 201, 400, 401, 403, 404, 409


@dataclass(frozen=True)
class Seat:
    """What the chain says of a member."""

    powers: Powers
    status: Status
    entries: Entries
    profile: int

    def may(self, *needed: Privilege) -> bool:
        """Tell whether it is ACTIVE with one of these privileges."""
        return self.status is Status.ACTIVE and not {*needed}.isdisjoint(self.powers)


@dataclass
class Model:
    """The group, its chain as it was sent, each X that there ever was, and newer profiles."""

    key: Udf
    chain: list[Jws]
    seats: dict[int, Seat] = field(default_factory=dict)
    past: tuple[Udf, ...] = ()
    policy: Policy = field(default_factory=Policy)
    spent: set[Udf] = field(default_factory=set)
    newest: dict[int, int] = field(default_factory=dict)

    def is_known(self, signer: int) -> bool:
        """Tell whether the service knows a signer's key."""
        return signer in (MASTER, ONLINE) or signer in self.seats

    def may(self, signer: int, *needed: Privilege) -> bool:
        """Tell who may, by the table of the spec."""
        if signer in (MASTER, ONLINE):
            return signer == MASTER or ADMIN in needed
        return signer in self.seats and self.seats[signer].may(*needed)

    def of_group(self, signer: int, *needed: Privilege) -> int:
        """Give the answer to a change of the group, or to a read, if nothing else is wrong."""
        if not self.is_known(signer):
            return STRANGER
        return DONE if self.may(signer, *needed) else FORBIDDEN

    def of_member(self, signer: int, who: int, seat: Seat, *, is_update: bool) -> int:
        """Give the answer to a change of a member."""
        before = self.seats.get(who)
        if not self.is_known(signer):
            return STRANGER
        if not self.may(signer, *_needed(before, seat)):
            return FORBIDDEN
        if (before is not None) != is_update:
            return UNKNOWN if is_update else CONFLICT
        if seat.status is Status.REVOKED and seat.entries:
            return WRONG
        others = [each for number, each in self.seats.items() if number != who]
        is_older = before is not None and before.profile > seat.profile
        is_last = not any(each.may(SUPER) for each in (*others, seat))
        is_spent = not self._fresh(before, seat).isdisjoint(self.spent)
        return CONFLICT if is_older or is_last or is_spent else DONE

    def put(self, who: int, seat: Seat) -> None:
        """Take a change of a member."""
        self.spent |= self._fresh(self.seats.get(who), seat)
        self.seats[who] = seat

    def lacking(self, key: Udf) -> int:
        """Count the ACTIVE members without an entry for a key."""
        active = [each for each in self.seats.values() if each.status is Status.ACTIVE]
        return sum(key not in each.entries.values() for each in active)

    def switch(self, key: Udf) -> None:
        """Take another group key."""
        self.past, self.key = (*self.past, self.key), key

    def newer(self) -> dict[int, int]:
        """Give the profiles that members sent, and that their entries don't have yet."""
        return {
            who: profile
            for who, profile in self.newest.items()
            if who in self.seats and profile > self.seats[who].profile
        }

    def halves(self) -> set[Udf]:
        """Give each X of a member's Entries: the service has the r of these, and no other."""
        return {x for seat in self.seats.values() for x in seat.entries}

    def _fresh(self, before: Seat | None, seat: Seat) -> set[Udf]:
        return {*seat.entries} - {*(before.entries if before else ())}


def _needed(before: Seat | None, after: Seat) -> Powers:
    """Give who may: SUPER alone, if it grants or takes power, or a change of who has it."""
    if before is not None and (before.powers, before.status) == (after.powers, after.status):
        return (ADMIN, SUPER)
    touched = {*after.powers, *(before.powers if before else ())}
    return (ADMIN, SUPER) if touched.isdisjoint(POWERS) else (SUPER,)
