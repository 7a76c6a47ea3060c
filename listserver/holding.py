"""Posts that are held: moderators see which, and decide; what nobody decides on is over (spec §7).

A decision is one transaction: a post is queued for its readers, or its sender told, and it waits no
more, or nothing of that has happened. The first decision counts.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from listserver import admission, letters, quick
from listserver.copies import line_octets, notice
from listserver.decisions import signed_in
from listserver.erasing import ErasingTime
from listserver.held import NEXT, Held, HeldState
from listserver.letters import write_letter
from listserver.limits import HELD_ENDED
from listserver.model import House, Letter, StoredList, StoredPost
from listserver.signers import Signers
from listserver.store import QueueFull, Store, StoreTrouble, Work
from recrypt_core import messages
from recrypt_core.documents import Privilege
from recrypt_core.errors import Malformed, NotAuthentic, Refused, Why
from recrypt_core.messages import Response
from recrypt_core.moderation import (
    Decide,
    Decision,
    GetHeld,
    HeldName,
    SignedDecision,
    check_decision,
    unverified_decision,
)
from recrypt_core.signing import SignedRequest

_FULL: Final = "the queue of letters is full"
_NONE: Final = "no such post waits: see which do with recrypt held"


class Holding:
    """Shows moderators what waits, and takes their decisions.

    wake: is called when there is a new post or letter in a queue.
    """

    def __init__(
        self, house: House, store: Store, signers: Signers, wake: Callable[[], None]
    ) -> None:
        self._catalogue = house.catalogue
        self._store = store
        self._signers = signers
        self._wake = wake

    async def waiting(
        self, request: SignedRequest, message: GetHeld, now: datetime
    ) -> messages.GetHeldResponse:
        """Tell an administrator which posts wait, the oldest first.

        Raises:
            NotAuthentic, Refused: for anyone else.
        """
        async with self._signers.administered(request, message.group_id, now) as (work, found):
            page, more = await work.held_after(found.id, message.after, message.limit)
        return messages.GetHeldResponse(held=page, next=page[-1].post if more else None)

    async def decide(self, request: SignedRequest, message: Decide, now: datetime) -> Response:
        """Do what an administrator decides about a post.

        Raises:
            NotAuthentic, Refused: for anyone else; UNKNOWN if there is no such post, CONFLICT if it
                was decided about before, or can't be accepted any more.
        """
        try:
            async with self._signers.administered(request, message.group_id, now) as (work, found):
                await self._decide(work, found, message.name, message.decision, now=now)
        except QueueFull:
            raise StoreTrouble(_FULL) from None
        self._wake()
        return Response()

    async def decide_by_mail(self, octets: bytes, now: datetime) -> bool:
        """Do what a mail says that an administrator has signed; False if there is no such thing.

        What is signed by another, or comes too late, is passed over: nobody is told.

        Raises:
            StoreTrouble: not all of it is done; the same mail again does the rest.
        """
        texts = await quick.done(lambda: signed_in(octets), len(octets))
        read = [(stated, each) for each in texts if (stated := _stated(each)) is not None]
        for stated, text in read:
            with suppress(Refused, Malformed):
                await self._decide_if_proven(stated, text, now)
        self._wake()
        return bool(read)

    async def _decide_if_proven(self, stated: SignedDecision, text: str, now: datetime) -> None:
        try:
            async with self._store.begin() as work:
                if found := await _proven(work, stated, text, now):
                    await self._decide(work, found, stated.post, stated.decision, now=now)
        except QueueFull:
            raise StoreTrouble(_FULL) from None

    async def _decide(
        self, work: Work, found: StoredList, name: HeldName, decision: Decision, *, now: datetime
    ) -> None:
        held = await work.held(found.id, name)
        if held is None:
            raise Refused(Why.UNKNOWN, _NONE)
        state = NEXT.get((held.state, decision))
        if state is None:
            raise Refused(Why.CONFLICT, f"post {held.number} was {held.state.name.lower()} already")
        if held.is_there:
            await self._follow(work, found, held, decision, now=now)
        elif decision is Decision.ACCEPT:
            raise Refused(Why.CONFLICT, f"post {held.number} isn't kept any more: discard it")
        await work.end_held(held, state)

    async def _follow(
        self, work: Work, found: StoredList, held: Held, decision: Decision, *, now: datetime
    ) -> None:
        """Let a decision have its consequence."""
        match decision:
            case Decision.ACCEPT:
                if found.state.is_closed:
                    raise Refused(Why.CONFLICT, "the group is closed for good: discard the post")
                await self._release(work, found, held, now)
            case Decision.REJECT:
                post, _ = await _read(work, held)
                await self._tell(work, found, post, now)
            case Decision.DISCARD:
                return

    async def _release(self, work: Work, found: StoredList, held: Held, now: datetime) -> None:
        """Queue a post for all who are its readers now, as any that is taken now."""
        post, ciphertext = await _read(work, held)
        is_past = post.group_key != found.state.key.udf
        if is_past and not await work.has_entries(found.id, post.group_key):
            words = f"nobody has an entry for the key of post {held.number} any more: discard it"
            raise Refused(Why.CONFLICT, words)
        cid = held.cid
        if cid and not await work.release_content(found.id, cid, post.group_key):
            words = f"post {held.number} came another time, and readers have it: discard it"
            raise Refused(Why.CONFLICT, words)
        readers = await work.readers(found.id, post.group_key)
        if post.poster is not None and await work.own_unwanted(found.id):
            readers = await work.without_own(readers, post.poster)
        size = line_octets(post.line, readers.longest_own)
        text = notice(self._catalogue.of_list(found.state))
        released = replace(post, held=None, accepted=now, line_octets=size, text=text)
        keep = timedelta(days=found.state.policy.keep)
        await work.enqueue(readers, released, ciphertext, keep_until=now + keep)

    async def _tell(self, work: Work, found: StoredList, post: StoredPost, now: datetime) -> None:
        """Tell the sender of a rejected post, if that was proven, is a member still and stays."""
        if post.poster is None or await work.leaves(found.id, post.poster):
            return
        named = await work.named(found.id, [post.poster])
        for member, _ in named:
            newer = await work.newer_profiles(found.id, [member.profile.identifier])
            to = replace(member, profile=newer.get(member.profile.identifier, member.profile))
            if to.is_active and to.profile.profile.encryption_keys:
                texts, name = self._catalogue.of_list(found.state), found.state.name
                words = letters.rejected(texts, post)
                octets = await asyncio.to_thread(write_letter, words, to, name, now=now)
                await work.enqueue_letter(Letter(to.account, "", octets), now)


class HoldKeeping:
    """Ends what waited too long, as if it had been discarded: a chore of the house."""

    def __init__(self, store: Store, time: ErasingTime) -> None:
        self._store = store
        self._time = time

    async def end_old(self) -> bool:
        """End some of it; True if there may be more."""
        until = await self._time.now()
        async with self._store.begin() as work:
            overdue = await work.overdue_held(until, HELD_ENDED)
            for each in overdue:
                await work.end_held(each, HeldState.EXPIRED)
            await work.forget_held(until)
        return len(overdue) == HELD_ENDED


def _stated(text: str) -> SignedDecision | None:
    try:
        return unverified_decision(text)
    except Malformed:
        return None


async def _proven(
    work: Work, stated: SignedDecision, text: str, now: datetime
) -> StoredList | None:
    """Find the list of a decision that an ACTIVE administrator of it has signed."""
    found = await work.find_list(stated.group)
    if found is None:
        return None
    found = await work.with_signer(found, stated.signer, newest=True)
    key = found.state.signer(stated.signer)
    try:
        if key is None:
            admission.verify_strangers(text, found.state)
            return None
        check_decision(text, key, now=now)
    except (Malformed, NotAuthentic):
        return None
    may = found.state.may(stated.signer, Privilege.ADMIN, Privilege.SUPER)
    return found if may else None


async def _read(work: Work, held: Held) -> tuple[StoredPost, bytes]:
    try:
        return await work.read_post(held.post)
    except (Malformed, NotAuthentic):
        words = f"post {held.number} can't be read any more: discard it"
        raise Refused(Why.CONFLICT, words) from None
