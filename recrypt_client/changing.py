"""Changes of a group, made on its state of now: if another comes first, they are made anew.

What was made for an older state would undo what the other administrator did, so nothing of it is
sent again: the chain is verified once more, and the change written on what it says then.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from recrypt_client import chains, entries
from recrypt_client.chains import Desk
from recrypt_client.entries import Made
from recrypt_client.errors import ServiceRefused
from recrypt_core.chain import GroupState
from recrypt_core.documents import RecryptionGroup
from recrypt_core.messages import AddMember, UpdateGroup, UpdateMember
from recrypt_core.udf import Udf

TRIES: Final = 5  # in a row that another comes first; each costs the whole chain once


def _untold(_done: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a command of many changes gets on.

    Attributes:
        clock: Gives the time: a request is stale after 300 s, and some commands take longer.
        progress: Is told how many members more are done.
    """

    clock: Callable[[], datetime]
    progress: Callable[[int], None] = _untold


def change_members(
    desk: Desk,
    kind: type[AddMember | UpdateMember],
    write: Callable[[GroupState], Iterator[Made]],
    pace: Pace,
    *,
    state: GroupState | None = None,
) -> tuple[GroupState, set[Udf]]:
    """Send what `write` makes of the group as it is; tell how it is then, and who was changed.

    Args:
        desk: Who changes it.
        kind: Whether members are added or changed.
        write: Is called anew with what another administrator has left.
        pace: The time, and who is told.
        state: The group, if it was verified just before.

    Raises:
        ServiceRefused: if the service says no, or others come first again and again.
        Trouble: if it isn't allowed, or the service can't be reached.
    """
    counted, changed = set[Udf](), set[Udf]()
    late = 0
    while True:
        state = state or chains.current(desk, now=pace.clock())
        try:
            for batch in entries.batches(_counted(write(state), counted, pace)):
                state = _send(desk, state, kind, batch, now=pace.clock())
                changed |= {each.entry.recrypt_udf for each in batch}
                late = 0
        except ServiceRefused as refusal:
            late += 1
            if late == TRIES or not chains.is_conflict(refusal):
                raise
            state = None
        else:
            if changed:
                chains.confirm(desk, state, now=pace.clock())
            return state, changed


def update_group(
    desk: Desk,
    state: GroupState,
    write: Callable[[GroupState], RecryptionGroup | None],
    pace: Pace,
) -> GroupState:
    """Send the UpdateGroup that `write` makes of the group as it is, if it makes one.

    Raises:
        ServiceRefused: if the service says no, or others come first again and again.
        Trouble: if it isn't allowed, or the service can't be reached.
    """
    for late in range(1, TRIES + 1):
        group = write(state)
        if group is None:
            return state
        try:
            message = UpdateGroup(recryption_group=group)
            state = chains.append(desk, state, message, halves={}, now=pace.clock())
        except ServiceRefused as refusal:
            if late == TRIES or not chains.is_conflict(refusal):
                raise
            state = chains.current(desk, now=pace.clock())
        else:
            chains.confirm(desk, state, now=pace.clock())
            return state
    return state


def _counted(made: Iterable[Made], counted: set[Udf], pace: Pace) -> Iterator[Made]:
    """Tell of each member once, however often the entry is written."""
    for each in made:
        if each.entry.recrypt_udf not in counted:
            counted.add(each.entry.recrypt_udf)
            pace.progress(1)
        yield each


def _send(
    desk: Desk,
    state: GroupState,
    kind: type[AddMember | UpdateMember],
    batch: Sequence[Made],
    *,
    now: datetime,
) -> GroupState:
    message = kind(
        recryption_group=state.identifier, member_entry=tuple(each.entry for each in batch)
    )
    halves = {udf: half for each in batch for udf, half in each.halves.items()}
    return chains.append(desk, state, message, halves=halves, now=now)
