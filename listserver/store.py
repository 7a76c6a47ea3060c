"""What the flows ask of the store: each method a manual page, each block one transaction."""

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from listserver.model import Claim, EntryRow, Half, ListId, PostId, Record, StoredList, StoredPost
from recrypt_core.chain import GroupState, Member
from recrypt_core.documents import MemberEntry, VerifiedProfile
from recrypt_core.signing import Jws
from recrypt_core.udf import Udf


class StoreTrouble(Exception):
    """The store can't do it now: a full disk, a lock, an I/O error. Nobody is told why."""


class Work(Protocol):
    """One transaction of the store. Leaving the block commits; an exception undoes all of it."""

    # --- who may create groups

    async def authorize(self, profile: VerifiedProfile) -> None:
        """Let a profile create groups; a later form of it replaces the earlier one."""
        ...

    async def deauthorize(self, identifier: Udf) -> bool:
        """Take that right away again. False if it didn't have it."""
        ...

    async def authorized(self, kid: Udf) -> VerifiedProfile | None:
        """Find the profile with that right that has this signature key."""
        ...

    async def had_nonce(self, signer: Udf, nonce: bytes) -> bool:
        """Tell whether this signer used a nonce before."""
        ...

    async def take_nonce(
        self, signer: Udf, nonce: bytes, *, until: datetime, now: datetime
    ) -> bool:
        """Remember a nonce at least until `until`. False if this signer used it before."""
        ...

    # --- lists

    async def find_list(self, group: str) -> StoredList | None:
        """Find a list by its GroupName or Identifier; its state comes without members."""
        ...

    async def with_signer(self, stored: StoredList, kid: Udf) -> StoredList:
        """Add to its state all members with powers, and the one with this signature key.

        It takes as long where nobody has the key: the time must not tell whose keys are known.
        """
        ...

    async def named(
        self, list_id: ListId, members: Collection[Udf]
    ) -> tuple[tuple[Member, tuple[Half, ...]], ...]:
        """Read these members, those of them that there are, each with the halves of its entries."""
        ...

    async def create_list(self, state: GroupState, change: Jws, secret: bytes) -> ListId:
        """Write a new list without its members, and the first change of its chain."""
        ...

    async def append_change(self, stored: StoredList, state: GroupState, change: Jws) -> bool:
        """Write the state after a change, without its members, and the change.

        False, and nothing is written, if the list's head has moved since `stored` was read.
        """
        ...

    async def put_members(
        self, list_id: ListId, members: Sequence[tuple[Member, Sequence[EntryRow]]]
    ) -> None:
        """Write members whole; the rows of entries that they no longer have are erased."""
        ...

    async def take_halves(self, member_keys: Collection[Udf]) -> bool:
        """Remember each X for ever. False if one was held before, by anybody (spec §4)."""
        ...

    async def members_after(
        self, list_id: ListId, after: Udf | None, limit: int, *, octets: int
    ) -> tuple[tuple[MemberEntry, ...], bool]:
        """Read a page of members, in an order that stays; `after` needn't be a member.

        It holds up to `limit` of them, and about `octets` in all. True if there are more.
        """
        ...

    async def changes_after(
        self, list_id: ListId, after: int, limit: int, *, octets: int
    ) -> tuple[Jws, ...]:
        """Read changes from seq `after` + 1 on: up to `limit`, and about `octets` in all."""
        ...

    # --- posts

    async def signing_member(self, stored: StoredList, kid: Udf) -> Member | None:
        """Find the member with this signature key; it takes as long where nobody has it."""
        ...

    async def has_entries(self, list_id: ListId, key: Udf) -> bool:
        """Tell whether a served member has an entry for a group key."""
        ...

    async def longest_own(self, list_id: ListId, key: Udf) -> int:
        """Give the octets of the longest recryption among those who are to have a copy, or 0."""
        ...

    async def take_content(self, list_id: ListId, cid: bytes, key: Udf) -> bool:
        """Remember a content id. False if the list has had it (spec §7)."""
        ...

    async def had_message_id(self, list_id: ListId, message_id: str) -> bool:
        """Tell whether copies of a post had this Message-ID."""
        ...

    async def take_message_id(self, list_id: ListId, message_id: str) -> None:
        """Remember a Message-ID that copies have."""
        ...

    async def enqueue(self, list_id: ListId, post: StoredPost, ciphertext: bytes) -> int:
        """Put a post in the queue, for each member who is to have a copy.

        That is who is ACTIVE with RECRYPT and holds an entry for the post's key. The members are
        read in this transaction, so a revocation committed earlier is respected. They stand in
        random order. Returns how many there are.
        """
        ...

    # --- the relay

    async def release_claims(self) -> int:
        """Make due again what was under way when the last server was killed; count it.

        Each has a fault more: what was under way at two deaths is put off, and at three is held.
        """
        ...

    async def busy_post(self, now: datetime, after: PostId) -> PostId | None:
        """Find a post with something to do now: the next one after `after`, in a circle."""
        ...

    async def read_post(self, post: PostId) -> tuple[StoredPost, bytes]:
        """Read what the copies of a post have in common, and its ciphertext.

        Raises:
            NotAuthentic, Malformed: the row is damaged.
        """
        ...

    async def hold_post(self, post: PostId) -> None:
        """Keep a post that can't be read out of the queue, for people to see."""
        ...

    async def claim(self, post: PostId, now: datetime, limit: int) -> tuple[Claim, ...]:
        """Take up to `limit` deliveries of a post, and count their attempts.

        Members that had no attempt yet come first, then those that were put off.
        """
        ...

    async def half_of(self, claim: Claim) -> Half | None:
        """Read the half of a claim's member; None if the member is to have no copy any more.

        Raises:
            NotAuthentic, Malformed: the row is damaged.
        """
        ...

    async def record(self, records: Sequence[Record]) -> None:
        """Write outcomes; the ciphertext of a post whose deliveries all ended is erased."""
        ...

    async def next_due(self, now: datetime) -> datetime | None:
        """Tell when there is something to claim: now, or when the next delivery is due."""
        ...


class Store(Protocol):
    """Where all that lasts is kept."""

    def begin(self) -> AbstractAsyncContextManager[Work]:
        """Begin a transaction; blocks wait for each other.

        Left without an exception, it is committed to the disk before the block ends: only then
        may anybody be told.
        """
        ...
