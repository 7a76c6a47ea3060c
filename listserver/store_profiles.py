"""What members' profiles ask of the store; a part of `Work` in listserver.store."""

from collections.abc import Collection, Mapping
from typing import Protocol

from listserver.model import KnownProfile, ListId
from recrypt_core.documents import VerifiedProfile
from recrypt_core.udf import Udf


class ProfileWork(Protocol):
    """The part of a transaction that profiles use: in entries, and newer ones beside them."""

    async def known_profile(self, identifier: Udf) -> KnownProfile | None:
        """Tell of somebody's newest profile in any list; None for who is a member of none.

        It takes as long for a stranger, and however many lists it is in.
        """
        ...

    async def newest_profiles(self, identifier: Udf) -> Mapping[ListId, VerifiedProfile]:
        """Read somebody's newest profile in each list; none where it isn't a member."""
        ...

    async def put_profile(self, list_id: ListId, profile: VerifiedProfile) -> None:
        """Keep a member's profile beside its entry, in place of an earlier one kept so."""
        ...

    async def newer_profiles(
        self, list_id: ListId, members: Collection[Udf]
    ) -> Mapping[Udf, VerifiedProfile]:
        """Read the profiles that are newer than their entries', of those of these who have one."""
        ...

    async def note_members(self, limit: int) -> int:
        """Note which lists members are in whom an earlier version wrote: up to `limit`; count them.

        Nobody else is found by `known_profile` and `newest_profiles`.
        """
        ...
