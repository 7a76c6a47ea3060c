"""What the flows ask of the store: each method a manual page, each block one transaction."""

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Protocol

from listserver.model import (
    Claim,
    DeliveryId,
    EntryRow,
    Erased,
    Half,
    ListId,
    MemberId,
    PostId,
    Readers,
    Record,
    Scoring,
    StoredList,
    StoredPost,
    Suspect,
)
from listserver.store_audit import AuditWork
from listserver.store_greeting import GreetingWork
from listserver.store_holding import HoldWork
from listserver.store_joins import JoinWork
from listserver.store_leaving import LeavingWork
from listserver.store_letters import LetterWork
from listserver.store_profiles import ProfileWork
from listserver.store_stops import StopWork
from recrypt_core.chain import GroupState
from recrypt_core.documents import MemberEntry, VerifiedProfile
from recrypt_core.envelope import Envelope
from recrypt_core.members import Member
from recrypt_core.signing import Jws
from recrypt_core.udf import Udf


class StoreTrouble(Exception):
    """The store can't do it now: a full disk, a lock, an I/O error. Nobody is told why."""


class StoreDamaged(StoreTrouble):
    """What was asked for can't be had, now or later; the store can do other things."""


def may_pass(problem: Exception) -> bool:
    """Tell whether the store may do a moment later what it couldn't."""
    return isinstance(problem, StoreTrouble) and not isinstance(problem, StoreDamaged)


class QueueFull(Exception):
    """So many letters wait that this one isn't taken. It undoes its block, so nothing is lost."""


class Work(
    AuditWork,
    GreetingWork,
    HoldWork,
    JoinWork,
    LeavingWork,
    LetterWork,
    ProfileWork,
    StopWork,
    Protocol,
):
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
        """Add to its state all who are ACTIVE with powers, and those with this signature key.

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

        So are newer profiles that an entry has caught up with. Mail that was off is turned on again
        and what bounced before is forgotten, but not by a rekey: see `bouncing.turns_mail_on`.
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

    # --- posts

    async def signing_member(self, stored: StoredList, kid: Udf) -> Member | None:
        """Find the one member whose newest profile has this signature key.

        Whom the chain has with it comes first; if two have it still, it is nobody's. It takes as
        long where nobody has it. Its profile is the newest one.
        """
        ...

    async def has_entries(self, list_id: ListId, key: Udf) -> bool:
        """Tell whether a served member has an entry for a group key."""
        ...

    async def readers(self, list_id: ListId, key: Udf) -> Readers:
        """Find who is to have a copy of a post to a group key.

        That is who is ACTIVE with RECRYPT, holds an entry for the key, and whose mail isn't turned
        off: so a revocation that was committed earlier is respected.
        """
        ...

    async def take_content(
        self, list_id: ListId, envelope: Envelope, key: Udf, *, is_aside: bool
    ) -> bool:
        """Remember what an envelope holds. False if the list has had it (spec §7).

        It has if its readers have that cid, or if it was set aside, held or for nobody, with the
        same `sender`: for without one, or with another's, it isn't the same post.
        """
        ...

    async def had_otherwise(self, list_id: ListId, envelope: Envelope, key: Udf) -> bool:
        """Tell whether a list has had what an envelope holds, but never sealed to its key as here.

        What it had may have been damaged, so that no reader can open it.
        """
        ...

    async def had_content(self, list_id: ListId, envelope: Envelope, *, is_aside: bool) -> bool:
        """Tell whether a list has had what an envelope holds.

        is_aside: it is to be set aside, where another `sender` makes another post; else none does.
        """
        ...

    async def release_content(self, list_id: ListId, cid: bytes, key: Udf) -> bool:
        """Remember that readers have a cid that was set aside. False if they had it before."""
        ...

    async def take_message_id(self, list_id: ListId, message_id: str) -> bool:
        """Remember a Message-ID that copies have. False if those of a post before had it."""
        ...

    async def enqueue(
        self, readers: Readers, post: StoredPost, ciphertext: bytes, *, keep_until: datetime
    ) -> None:
        """Put a post in the queue for its readers, who stand there in random order.

        They were found in this transaction. The ciphertext is kept until then for late delivery,
        even if there is nobody.
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

    async def erase_old(self, until: datetime) -> bool:
        """Erase some of what was kept long enough at a time; True if there may be more of it.

        That are ciphertexts, what is left of dropped posts, and posts that no return path names.
        """
        ...

    async def erased_until(self) -> Erased | None:
        """Give what `set_erased_until` remembered last, to the second."""
        ...

    async def set_erased_until(self, erased: Erased) -> None:
        """Remember up to when things may be erased."""
        ...

    # --- the relay

    async def release_claims(self) -> int:
        """Make due again what was under way when the last server was killed; count deliveries.

        Each has a fault more: what was under way at two deaths is put off, and at three is held.
        """
        ...

    async def busy_post(self, now: datetime, after: PostId) -> PostId | None:
        """Find a post with something to do now: the next one after `after`, in a circle.

        Not those of lists that the operator has stopped.
        """
        ...

    async def read_post(self, post: PostId) -> tuple[StoredPost, bytes]:
        """Read what the copies of a post have in common, and its ciphertext.

        Raises:
            NotAuthentic, Malformed: the row is damaged.
        """
        ...

    async def hold_post(self, post: PostId) -> None:
        """Keep a post that can't be read out of the queue, for people to see.

        But not one that was dropped meanwhile.
        """
        ...

    async def claim(self, post: PostId, now: datetime, limit: int) -> tuple[Claim, ...]:
        """Take up to `limit` deliveries of a post, and count their attempts.

        Members that had no attempt yet come first, then those that were put off. Who is no member,
        as the queue is damaged, is passed over.
        """
        ...

    async def halves_of(
        self, post: PostId, members: Sequence[MemberId]
    ) -> Sequence[Half | None] | None:
        """Read what these members' copies of a post are made with, in their order.

        None is for who is to have no copy any more; in place of all, while the operator has
        stopped the list.

        Raises:
            NotAuthentic, Malformed: a row is damaged.
        """
        ...

    async def record(self, records: Sequence[Record]) -> None:
        """Write outcomes; a post whose deliveries all ended isn't open any more."""
        ...

    async def next_due(self, now: datetime) -> datetime | None:
        """Tell when there is something to claim: now, or when the next delivery is due.

        What waits for a list that is stopped isn't due.
        """
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
        """Note the same of deliveries that were given up, each with its quarters of a point.

        It waits to be counted: see `settle_refusals`.
        """
        ...

    async def settle_refusals(self, now: datetime, after: PostId) -> PostId | None:
        """Count what was refused, or forget it, of limits.SETTLED posts after one; None: of all.

        It gives the post to go on after: of one post it is limits.FORGOTTEN at a time.

        It counts when the relay host took a copy of this post, or of one that was accepted after it
        within limits.HOST_MEMORY. Then it is forgotten, if no copy is due any more.
        """
        ...

    async def probe_bounced(
        self, list_id: ListId, member: MemberId, sent: datetime, now: datetime
    ) -> bool:
        """Turn a member's mail off, if its latest probe was sent then. False if it wasn't."""
        ...

    async def take_suspects(
        self, scoring: Scoring, now: datetime, limit: int
    ) -> tuple[Suspect, ...] | None:
        """Look at up to `limit` members whose mail came back since somebody looked last.

        Those whose score has reached the threshold, and who have no probe yet, are suspects, while
        few enough of their list are probed or were turned off of late (`bouncing.doubted_at_once`);
        the others have their turn tomorrow. None if there was nobody to look at.
        """
        ...

    async def probe_sent(self, member: MemberId, now: datetime) -> None:
        """Note that a member was sent a probe."""
        ...

    async def forget_bounces(self, scoring: Scoring, now: datetime) -> bool:
        """Forget what is out of the window, and all of those whose probe has arrived.

        True if there may be more than the limits.FORGOTTEN of each that were forgotten now.
        """
        ...


class Store(Protocol):
    """Where all that lasts is kept."""

    def begin(self) -> AbstractAsyncContextManager[Work]:
        """Begin a transaction; blocks wait for each other.

        Left without an exception, it is committed to the disk before the block ends: only then
        may anybody be told.
        """
        ...
