"""Posts that wait for a decision: where one stands, and the one table of what can happen to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from listserver.model import ListId, PostId
from recrypt_core.moderation import Decision


class HeldState(Enum):
    """Where a held post stands. Only one that waits is decided about."""

    WAITS = 0
    ACCEPTED = 1
    REJECTED = 2
    DISCARDED = 3
    EXPIRED = 4


class Share(Enum):
    """Of the room for what waits, whose part a post takes: what it says of its sender decides.

    Whoever fills one fills no other.
    """

    UNSIGNED = 0
    """It states no sender."""
    UNPROVEN = 1
    """It states one who isn't an ACTIVE member, or doesn't prove that it is."""
    MEMBERS = 2


NEXT: Final[Mapping[tuple[HeldState, Decision], HeldState]] = {
    (HeldState.WAITS, Decision.ACCEPT): HeldState.ACCEPTED,
    (HeldState.WAITS, Decision.REJECT): HeldState.REJECTED,
    (HeldState.WAITS, Decision.DISCARD): HeldState.DISCARDED,
}
"""All that moderators can do; what isn't decided in time is over: EXPIRED, as if discarded."""


@dataclass(frozen=True, slots=True)
class Held:
    """A post that was held.

    Attributes:
        number: The list's own, by which moderators name it, with its content id.
        post: What the moderators have copies of.
        is_there: Whether it is kept still; else it can't be accepted.
        cid: Its content id; None if it waits since that wasn't written.
    """

    list_id: ListId
    number: int
    post: PostId
    state: HeldState
    is_there: bool
    cid: bytes | None
