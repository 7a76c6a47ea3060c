"""Deliver what is due: claim -> partial -> copy -> courier -> record."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from listserver.addresses import ListAddress, Role, write_list_address
from listserver.copies import Frame, make_copy, make_frame
from listserver.model import Claim, PostId, Record, Withdrawn
from listserver.outcomes import Broken, GaveUp, Phase, TryLater, outcome_of
from listserver.ports import Clock, Courier, Outgoing
from listserver.store import Store, Work
from listserver.tokens import DeliveryToken, write_token
from listserver.vault import Vault
from recrypt_core.errors import RecryptError


@dataclass(frozen=True, slots=True)
class Batch:
    """Deliveries of one post that were claimed together."""

    frame: Frame
    claims: tuple[Claim, ...]


class Delivering:
    """Takes due deliveries from the store and carries each to the relay host."""

    def __init__(self, store: Store, courier: Courier, vault: Vault, clock: Clock) -> None:
        self._store = store
        self._courier = courier
        self._vault = vault
        self._clock = clock
        self._latest: tuple[PostId, Frame] | None = None

    async def recover(self) -> int:
        """Make due again what was under way when the last server was killed; count it."""
        async with self._store.begin() as work:
            return await work.release_claims()

    async def claim(self, limit: int) -> Batch | None:
        """Take up to `limit` due deliveries of one post; None if nothing is due."""
        async with self._store.begin() as work:
            claims = await work.claim(self._clock.now(), limit)
            if not claims:
                self._latest = None
                return None
            # In the same transaction: if the post can't be read now, nothing of it is claimed.
            frame = await self._frame(work, claims[0].post)
        if isinstance(frame, RecryptError):  # its claims stay, so it doesn't hold up other mail
            raise frame
        return Batch(frame, claims)

    async def attempt(self, frame: Frame, claim: Claim) -> Record:
        """Try one delivery once, and judge what came of it; never raises for the mail's sake."""
        if claim.half is None:
            return Record(claim.id, claim.post, Withdrawn())
        try:
            parts = make_copy(frame, claim.half)
            mail = Outgoing(self._return_path(frame, claim), claim.half.address, parts)
            answer = await self._courier.deliver(mail)
        except RecryptError as problem:
            answer = Broken(Phase.CONNECT, f"no copy could be made: {type(problem).__name__}")
        outcome = outcome_of(
            answer,
            attempts=claim.attempts,
            first=frame.post.accepted,
            now=self._clock.now(),
        )
        words = outcome.text if isinstance(outcome, GaveUp) else ""
        return Record(claim.id, claim.post, outcome, words)

    def untried(self, claim: Claim) -> Record:
        """Put back a claim that nothing was done for."""
        return Record(claim.id, claim.post, TryLater(self._clock.now(), ambiguous=False))

    async def record(self, records: Sequence[Record]) -> None:
        """Write outcomes, in one transaction."""
        async with self._store.begin() as work:
            await work.record(records)

    async def pause(self) -> timedelta | None:
        """Tell how long nothing will be due; None if nothing waits at all."""
        async with self._store.begin() as work:
            due = await work.next_due()
        return None if due is None else max(timedelta(0), due - self._clock.now())

    async def _frame(self, work: Work, post: PostId) -> Frame | RecryptError:
        """Make what the copies have in common, once while the post is the latest one."""
        if self._latest is None or self._latest[0] != post:
            self._latest = None
            try:
                stored, ciphertext = await work.read_post(post)
            except RecryptError as damage:
                return damage
            self._latest = (post, await asyncio.to_thread(make_frame, stored, ciphertext))
        return self._latest[1]

    def _return_path(self, frame: Frame, claim: Claim) -> str:
        """Write the envelope sender: a token for each delivery, unlinkable (spec §7)."""
        name, _, domain = frame.post.list_address.partition("@")
        token = write_token(self._vault, DeliveryToken(claim.post, claim.member))
        return str(write_list_address(ListAddress(name, Role.BOUNCES, token), domain))
