"""What the flows ask of the store: each method a manual page, each block one transaction."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Protocol

from listserver.model import (
    Claim,
    DeliveryId,
    EntryRow,
    Half,
    Letter,
    LetterClaim,
    LetterRecord,
    ListId,
    MemberId,
    PostId,
    Record,
    Scoring,
    StoredList,
    StoredPost,
    Suspect,
    Troubles,
)
from listserver.store_audit import AuditWork
from listserver.store_joins import JoinWork
from recrypt_core.chain import GroupState, Member
from recrypt_core.documents import MemberEntry, VerifiedProfile
from recrypt_core.signing import Jws
from recrypt_core.udf import Udf


class StoreTrouble(Exception):
    """The store can't do it now: a full disk, a lock, an I/O error. Nobody is told why."""


class QueueFull(Exception):
    """So many letters wait that this one isn't taken. It undoes its block, so nothing is lost."""


class Work(AuditWork, JoinWork, Protocol):
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

    async def with_signer(
        self, stored: StoredList, kid: Udf, *, newest: bool = False
    ) -> StoredList:
        """Add to its state all members with powers, and those with this signature key.

        newest: By their newest profiles, and with them, instead of those that the chain carries.

        It takes as long where nobody has the key: the time must not tell whose keys are known.
        """
        ...

    async def named(
        self, list_id: ListId, members: Collection[Udf]
    ) -> tuple[tuple[Member, tuple[Half, ...]], ...]:
        """Read these members, those of them that there are, each with the halves of its entries."""
        ...

    async def founded(self, founder: Udf) -> int:
        """Count the lists that a profile created."""
        ...

    async def create_list(
        self, state: GroupState, change: Jws, secret: bytes, *, founder: Udf
    ) -> ListId:
        """Write a new list without its members, and the first change of its chain."""
        ...

    async def lacking(self, list_id: ListId, key: Udf) -> int:
        """Count the ACTIVE members without an entry for a group key."""
        ...

    async def append_change(self, stored: StoredList, state: GroupState, change: Jws) -> bool:
        """Write the state after a change, without its members, and the change.

        False, and nothing is written, if the list's head has moved since `stored` was read.
        """
        ...

    async def put_members(
        self, list_id: ListId, members: Sequence[tuple[Member, Sequence[EntryRow]]]
    ) -> None:
        """Write members whole; the rows of entries that they no longer have are erased.

        So are newer profiles that an entry has caught up with. Their mail is turned on again, and
        what bounced before is forgotten.
        """
        ...

    async def undeliverable(self, list_id: ListId, members: Collection[Udf]) -> frozenset[Udf]:
        """Find whose mail was turned off after bounces, among these."""
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

    # --- profiles

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

    # --- posts

    async def signing_member(self, stored: StoredList, kid: Udf) -> Member | None:
        """Find a member whose newest profile has this signature key, a served one if there is any.

        It takes as long where nobody has it. Its profile is the newest one.
        """
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

    async def enqueue(
        self, list_id: ListId, post: StoredPost, ciphertext: bytes, *, keep_until: datetime
    ) -> int:
        """Put a post in the queue, for each member who is to have a copy.

        That is who is ACTIVE with RECRYPT, holds an entry for the post's key, and whose mail isn't
        turned off. The members are read in this transaction, so a revocation committed earlier is
        respected. They stand in random order. Returns how many there are; the ciphertext is kept
        until then for late delivery, even if there is none.
        """
        ...

    async def keep_posts(self, list_id: ListId, time: timedelta) -> None:
        """Keep the ciphertexts that are still there for so long from their acceptance on."""
        ...

    async def redeliver(self, list_id: ListId, member: Udf, since: datetime, now: datetime) -> int:
        """Put the kept posts since a time in the queue once more, for one member; count them.

        Those are posts that the member has an entry for, whether it had a copy before or not, but
        for what is in the queue for it already.
        """
        ...

    async def erase_old(self, now: datetime) -> None:
        """Erase ciphertexts that were kept long enough, and posts that no return path names now."""
        ...

    # --- the relay

    async def release_claims(self) -> int:
        """Make due again what was under way when the last server was killed; count deliveries.

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
        """Write outcomes; a post whose deliveries all ended isn't open any more."""
        ...

    async def next_due(self, now: datetime) -> datetime | None:
        """Tell when there is something to claim: now, or when the next delivery is due."""
        ...

    # --- bounces

    async def delivery_known(
        self, list_id: ListId, post: PostId, member: MemberId, now: datetime
    ) -> bool:
        """Tell whether a return path's post and member are this list's, and the post not old."""
        ...

    async def bounced(self, member: MemberId, quarters: int, now: datetime) -> None:
        """Note what came back of a member's mail, in quarters of a point; a day's worst counts."""
        ...

    async def refused(self, refusals: Sequence[tuple[DeliveryId, int]], now: datetime) -> None:
        """Note the same of deliveries that were given up, each with its quarters of a point."""
        ...

    async def probe_bounced(self, list_id: ListId, member: MemberId, now: datetime) -> bool:
        """Turn a member's mail off, if a probe was sent to it. False if none was."""
        ...

    async def take_suspects(
        self, scoring: Scoring, now: datetime, limit: int
    ) -> tuple[Suspect, ...] | None:
        """Look at up to `limit` members whose mail came back since somebody looked last.

        Those whose score has reached the threshold, and who have no probe yet, are suspects. None
        if there was nobody to look at.
        """
        ...

    async def probe_sent(self, member: MemberId, now: datetime) -> None:
        """Note that a member was sent a probe."""
        ...

    async def forget_bounces(self, scoring: Scoring, now: datetime) -> None:
        """Forget what is out of the window, and all of those whose probe has arrived."""
        ...

    # --- what people are told

    async def lists_in_trouble(self, now: datetime, patience: timedelta) -> tuple[ListId, ...]:
        """Find lists with troubles that administrators weren't told, nor others for so long."""
        ...

    async def take_troubles(self, list_id: ListId, now: datetime, limit: int) -> Troubles | None:
        """Read what the administrators of a list weren't told, and note that they were now.

        limit: of copies and of members that are named; the others are counted. None if the list
        can't be read.
        """
        ...

    async def administrators(self, list_id: ListId) -> tuple[Member, ...]:
        """Read the members with ADMIN or SUPER who are ACTIVE.

        Not those whose own mail is off, unless it is off to all of them.
        """
        ...

    async def take_in_vain(self, limit: int) -> tuple[tuple[StoredList, StoredPost], ...]:
        """Read posts that reached nobody and whose poster is known, and note that it was told."""
        ...

    # --- letters

    async def enqueue_letter(self, letter: Letter, now: datetime, *, most: int) -> None:
        """Put a letter in the queue.

        Raises:
            QueueFull: `most` wait already.
        """
        ...

    async def claim_letters(self, now: datetime, limit: int) -> tuple[LetterClaim, ...]:
        """Take up to `limit` letters that are due, and count their attempts."""
        ...

    async def read_letter(self, claim: LetterClaim) -> Letter:
        """Read a letter.

        Raises:
            NotAuthentic, Malformed: the row is damaged.
        """
        ...

    async def record_letters(self, records: Sequence[LetterRecord], now: datetime) -> None:
        """Write outcomes. A letter that failed here too often is erased too.

        A probe that bounced turns its member's mail off, if it wasn't forgotten meanwhile.
        """
        ...

    async def release_letters(self) -> None:
        """Make due again what was under way when the last server was killed.

        What was under way at two deaths is put off, and at three is erased.
        """
        ...

    async def next_letter_due(self, now: datetime) -> datetime | None:
        """Tell when there is a letter to claim: now, or when the next one is due."""
        ...


class Store(Protocol):
    """Where all that lasts is kept."""

    def begin(self) -> AbstractAsyncContextManager[Work]:
        """Begin a transaction; blocks wait for each other.

        Left without an exception, it is committed to the disk before the block ends: only then
        may anybody be told.
        """
        ...
