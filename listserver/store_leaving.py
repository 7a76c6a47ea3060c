"""What leaving, and a member's other wishes, ask of the store; a part of `Work`."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from listserver.model import ListId, MemberId, Readers, StoredList
from recrypt_core.members import Member
from recrypt_core.udf import Udf
from recrypt_core.wishes import Mail


@dataclass(frozen=True, slots=True)
class Leaver:
    """A member who asked to leave by a copy's link, and when; with its newest profile."""

    id: MemberId
    asked: datetime
    list: StoredList
    member: Member


class LeavingWork(Protocol):
    """The part of a transaction that leaving uses."""

    async def list_of_member(self, member: MemberId) -> StoredList | None:
        """Find the list that a member is of, whatever its status; None if there is no such one."""
        ...

    async def ask_to_leave(self, member: MemberId, stays: int, now: datetime) -> None:
        """Let a member be one who leaves, and has no mail meanwhile.

        Nothing comes of it for who leaves already, and by a copy that was made before the member
        stayed, or came back: when it had done so another number of times. It writes something
        whoever it is, so that it takes as long.
        """
        ...

    async def stay(self, member: MemberId, asked: datetime) -> None:
        """End that again, if it was asked then and isn't final yet; it writes as much."""
        ...

    async def ask_back(self, list_id: ListId, member: Udf) -> None:
        """End the leaving of who has asked to join again; it writes as much for who is none."""
        ...

    async def next_leaver(self) -> Leaver | None:
        """Find one who wasn't written to yet, of a list that has room for a letter.

        Who is REVOKED stays; who can't be read leaves without a letter.
        """
        ...

    async def leaver_told(self, leaver: Leaver) -> bool:
        """Note that one was written to. False if it was undone meanwhile."""
        ...

    async def end_leaving(self, asked_until: datetime, limit: int) -> int:
        """Make it final for up to `limit` who asked until then; count them."""
        ...

    async def put_wishes(
        self, list_id: ListId, member: Udf, *, mail: Mail | None, own_posts: bool | None,
        now: datetime,
    ) -> None:  # fmt: skip
        """Write what a member wants of a list's mail; None: as it was."""
        ...

    async def note_asking(self) -> None:
        """Write something for who isn't a member, so that it takes as long."""
        ...

    async def left(self, list_id: ListId, members: Collection[Udf]) -> frozenset[Udf]:
        """Find who has left, and isn't REVOKED, among these."""
        ...

    async def wants_mail(self, list_id: ListId, member: Udf) -> bool:
        """Tell whether a member neither leaves nor has asked for no mail for a while."""
        ...

    async def leaves(self, list_id: ListId, member: Udf) -> bool:
        """Tell whether a member has left, or asked to."""
        ...

    async def own_unwanted(self, list_id: ListId) -> bool:
        """Tell whether there is anybody in a list who wants no copies of own posts."""
        ...

    async def without_own(self, readers: Readers, poster: Udf) -> Readers:
        """Leave who posted out of who is to have a copy, if it wants none."""
        ...
