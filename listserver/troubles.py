"""What people are to be told that went wrong, or that happened to a list's members."""

from dataclasses import dataclass, field

from listserver.model import PostId, StoredList, StoredPost
from recrypt_core.members import Member


@dataclass(frozen=True, slots=True)
class InVain:
    """A post that reached nobody, and who posted, by the newest profile; None if it's no member.

    list, post: None if a row that tells of it can't be read.
    """

    id: PostId
    list: StoredList | None
    post: StoredPost | None
    poster: Member | None


@dataclass(frozen=True, slots=True)
class Failure:
    """A copy that was given up or is held, for the list's administrators.

    Attributes:
        account: The member's address in the list.
        post: What the copies of the post have in common.
        held: It failed here, and an operator is to look at it.
        words: The peer's last ones, or the kind of fault.
    """

    account: str
    post: StoredPost
    held: bool
    words: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Troubles:
    """What the administrators of a list weren't told yet.

    Attributes:
        failures: Copies that failed; some of them, the oldest first.
        more: How many there are besides.
        turned_off: Addresses of members whose mail was turned off after bounces; some of them.
        more_off: How many there are besides.
        asking: How many people wait to be let in.
        waiting: How many posts wait for a decision.
        stopped: How many posts are held whole, so that nobody has more copies of them.
        left: Addresses of members who have left; some of them.
        more_left: How many there are besides.
        mark: What there was to tell when this was read; for the store alone.
    """

    list: StoredList
    failures: tuple[Failure, ...]
    more: int
    turned_off: tuple[str, ...]
    more_off: int
    asking: int = 0
    waiting: int = 0
    stopped: int = 0
    left: tuple[str, ...] = ()
    more_left: int = 0
    mark: tuple[tuple[int, int], ...] = ()
