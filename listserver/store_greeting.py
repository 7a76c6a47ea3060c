"""What welcomes and goodbyes ask of the store; a part of `Work` in listserver.store."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from listserver.model import ListId, MemberId, StoredList
from recrypt_core.members import Member
from recrypt_core.udf import Udf


class Greeting(Enum):
    """What a member is told of its new status."""

    WELCOME = 1
    GOODBYE = 2


@dataclass(frozen=True, slots=True)
class Greeted:
    """A member who is to be told something, by its newest profile.

    row: Of the note: a later one for the same member has another.
    list, member: None if a row that tells of it can't be read.
    """

    id: MemberId
    row: int
    greeting: Greeting
    list: StoredList | None
    member: Member | None


class GreetingWork(Protocol):
    """The part of a transaction that welcomes and goodbyes use."""

    async def put_greetings(self, list_id: ListId, greetings: Mapping[Udf, Greeting]) -> None:
        """Note what members are to be told; the latest counts."""
        ...

    async def greetings(self, limit: int) -> tuple[Greeted, ...]:
        """Read up to `limit` of them, the first noted first.

        Not of lists for which so many letters have no room now: others needn't wait for them.
        """
        ...

    async def greeted(self, told: Collection[Greeted]) -> frozenset[MemberId]:
        """Forget these; give those of them that hadn't been noted anew meanwhile."""
        ...
