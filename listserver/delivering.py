"""Deliver what is due: claim -> half -> carrier -> record."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from listserver.bounces import weight_of_end
from listserver.bouncing import QUARTERS
from listserver.carrying import Carrier, CarrierLost, Copy, NotBegun
from listserver.copies import Frame, frame_octets, make_frame
from listserver.limits import (
    FAULT_DELAY,
    FAULTS,
    FRAMES_OCTETS,
    LARGE_OCTETS,
    QUEUE_PATIENCE,
    STORE_RETRY,
)
from listserver.links import Links
from listserver.model import Claim, Faulted, Half, PostId, Record, Untried, Withdrawn
from listserver.outcomes import (
    Accepted,
    Answer,
    Delivered,
    GaveUp,
    Outcome,
    Schedule,
    TryLater,
    has_reached,
    outcome_of,
)
from listserver.ports import Clock
from listserver.store import Store, StoreDamaged, may_pass
from recrypt_core.errors import RecryptError

# What rows that are damaged make of reading them.
_DAMAGED: Final = (RecryptError, StoreDamaged, TypeError, ValueError, LookupError)


@dataclass(frozen=True, slots=True)
class Batch:
    """Deliveries of one post that were claimed together."""

    frame: Frame
    claims: tuple[Claim, ...]

    @property
    def is_large(self) -> bool:
        """Whether copies aren't to wait in memory."""
        return frame_octets(self.frame) > LARGE_OCTETS


class Delivering:
    """Takes due deliveries from the store and carries each to the relay host."""

    def __init__(
        self, store: Store, carrier: Carrier, links: Links, clock: Clock, schedule: Schedule
    ) -> None:
        self._schedule = schedule
        self._store = store
        self._carrier = carrier
        self._links = links
        self._clock = clock
        self._last = PostId(0)
        self._frames: dict[PostId, Frame] = {}
        self._failures = Counter[PostId]()
        self.on_trouble: Callable[[], None] = lambda: None
        """Called when there may be something to probe for, or to tell."""

    async def recover(self) -> int:
        """Make due again what was under way when the last server was killed; count it."""
        async with self._store.begin() as work:
            return await work.release_claims()

    async def claim(self, limit: int) -> Batch | None:
        """Take up to `limit` deliveries of one post; None if there is nothing to do now.

        Posts take turns. A post that can't be read is held, as is one that nothing could be taken
        of three times, and the next one has its turn.
        """
        while (frame := await self._next_frame()) is not None:
            try:
                async with self._store.begin() as work:
                    claims = await work.claim(self._last, self._clock.now(), limit)
            except _DAMAGED:
                await self._note_failure(self._last)
            else:
                del self._failures[self._last]
                return Batch(frame, claims)
        return None

    async def attempt(
        self, frame: Frame, claims: Sequence[Claim]
    ) -> AsyncIterator[tuple[Claim, Record | Exception]]:
        """Try deliveries of one post once, and judge what came of each, as it comes.

        The members' entries are read now, so one that ended a moment ago is respected (spec §4),
        and so is the list's operator, who has stopped it.
        """
        ready: list[tuple[Claim, Half]] = []
        for claim, half in zip(claims, await self._halves(claims), strict=True):
            match half:
                case Half():
                    ready.append((claim, half))
                case None:
                    yield claim, Record(claim.id, claim.post, Withdrawn())
                case _:
                    yield claim, self._after(claim, half)
        async for found in self._carrier.carry(frame, self._copies(frame, ready)):
            for at, answer in found:
                yield ready[at][0], self._record(ready[at][0], answer)

    async def _halves(self, claims: Sequence[Claim]) -> Sequence[Half | Exception | None]:
        """Read what these are made with; one that can't be read is no other's trouble."""
        try:
            async with self._store.begin() as work:
                members = [each.member for each in claims]
                halves = await work.halves_of(claims[0].post, members)
        except Exception as problem:  # noqa: BLE001 - each is told
            if len(claims) == 1 or may_pass(problem):
                return [problem] * len(claims)
        else:
            return [NotBegun()] * len(claims) if halves is None else halves
        return [(await self._halves([each]))[0] for each in claims]

    def _copies(self, frame: Frame, ready: Sequence[tuple[Claim, Half]]) -> list[Copy]:
        if not ready:
            return []
        readers = [(claim.member, half.stays) for claim, half in ready]
        own = self._links.of_copies(frame.post.list_address, ready[0][0].post, readers)
        return [Copy(half, *each) for (_, half), each in zip(ready, own, strict=True)]

    def _record(self, claim: Claim, answer: Answer | Exception) -> Record | Exception:
        if isinstance(answer, Accepted):  # as most are: it needs no clock
            return Record(claim.id, claim.post, Delivered(), reached=True)
        if isinstance(answer, Exception):
            return self._after(claim, answer)
        outcome = outcome_of(
            answer,
            self._schedule,
            attempts=claim.attempts,
            first=claim.since,
            now=self._clock.now(),
        )
        return Record(claim.id, claim.post, outcome, _last_words(outcome), has_reached(answer))

    def _after(self, claim: Claim, problem: Exception) -> Record | Exception:
        if isinstance(problem, CarrierLost):  # what is done after a crash
            return Record(claim.id, claim.post, Faulted(self._clock.now()))
        if isinstance(problem, NotBegun):
            return self.untried(claim)
        return self.faulted(claim, problem) if isinstance(problem, RecryptError) else problem

    def faulted(self, claim: Claim, problem: Exception) -> Record:
        """Put off a delivery that our own program failed at; the third time it will be held."""
        due = self._clock.now() + FAULT_DELAY
        return Record(claim.id, claim.post, Faulted(due), f"a fault here: {type(problem).__name__}")

    def untried(self, claim: Claim) -> Record:
        """Put back a claim that nothing was done for."""
        return Record(claim.id, claim.post, Untried())

    def put_off(self, claim: Claim) -> Record:
        """Put back a claim that the store had no answer for; a moment later it may have one."""
        return Record(claim.id, claim.post, Untried(self._clock.now() + STORE_RETRY))

    def cut_off(self, claim: Claim) -> Record:
        """Put back a claim whose attempt was broken off: the peer may have the mail."""
        return Record(claim.id, claim.post, TryLater(self._clock.now(), ambiguous=True))

    async def record(self, records: Sequence[Record]) -> None:
        """Write outcomes, in one transaction; what was refused counts as a bounce."""
        refusals = [
            (each.id, quarters)
            for each in records
            if isinstance(each.outcome, GaveUp)
            and (quarters := QUARTERS[weight_of_end(each.outcome)])
        ]
        async with self._store.begin() as work:
            await work.record(records)
            if refusals:
                await work.refused(refusals, self._clock.now())
        if any(isinstance(each.outcome, GaveUp | Faulted) for each in records):
            self.on_trouble()

    async def pause(self) -> timedelta:
        """Tell how long there will be nothing to do, if nothing comes; at most 30 seconds."""
        async with self._store.begin() as work:
            due = await work.next_due(self._clock.now())
        if due is None:
            return QUEUE_PATIENCE
        return min(QUEUE_PATIENCE, max(timedelta(0), due - self._clock.now()))

    async def _next_frame(self) -> Frame | None:
        """Find the next post with something to do, and make what its copies have in common.

        A post that can't be read, or not be made copies of, is held.
        """
        while True:
            async with self._store.begin() as work:
                post = await work.busy_post(self._clock.now(), self._last)
            if post is None:
                self._frames.clear()
                return None
            self._last = post
            if post not in self._frames:
                try:
                    self._keep(post, await self._made(post))
                except _DAMAGED:
                    await self._hold(post)
                    continue
            return self._frames[post]

    async def _made(self, post: PostId) -> Frame:
        async with self._store.begin() as work:
            stored, ciphertext = await work.read_post(post)
        return await asyncio.to_thread(make_frame, stored, ciphertext)

    async def _note_failure(self, post: PostId) -> None:
        self._failures[post] += 1
        if self._failures[post] >= FAULTS:
            await self._hold(post)

    async def _hold(self, post: PostId) -> None:
        async with self._store.begin() as work:
            await work.hold_post(post)
        del self._failures[post]

    def _keep(self, post: PostId, frame: Frame) -> None:
        """Keep the frames of the latest posts, which take turns, as far as they fit."""
        self._frames[post] = frame
        octets = sum(map(frame_octets, self._frames.values()))
        while len(self._frames) > 1 and octets > FRAMES_OCTETS:
            octets -= frame_octets(self._frames.pop(next(iter(self._frames))))


def _last_words(outcome: Outcome) -> str:
    """Say why it was given up; the words are a peer's."""
    if not isinstance(outcome, GaveUp):
        return ""
    return outcome.text if outcome.code is None else f"{outcome.code} {outcome.text}"
