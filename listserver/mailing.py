"""Carry letters, the server's own mail: claim -> courier -> record, as deliveries are."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from listserver.bounces import Weight, weight_of_end
from listserver.limits import FAULT_DELAY, QUEUE_PATIENCE, STORE_RETRY
from listserver.model import Faulted, Letter, LetterClaim, LetterRecord, Untried
from listserver.outcomes import Schedule, TryLater, has_reached, outcome_of
from listserver.ports import Clock, Courier, Outgoing
from listserver.store import Store
from recrypt_core.errors import RecryptError


@dataclass(frozen=True, slots=True)
class LetterBatch:
    """Letters that were claimed together."""

    claims: tuple[LetterClaim, ...]
    frame: None = None
    is_large: bool = True


class Mailing:
    """Takes due letters from the store and carries each to the relay host.

    Of a letter that is given up nobody is told, or one notice would make another: it is erased, but
    the operator's mail is held. What it told administrators is told again (`Notices`).
    """

    def __init__(self, store: Store, courier: Courier, clock: Clock, schedule: Schedule) -> None:
        self._schedule = schedule
        self._store = store
        self._courier = courier
        self._clock = clock
        self.on_trouble: Callable[[], None] = lambda: None
        """Called when there may be something to probe for, or to tell."""

    async def recover(self) -> None:
        """Make due again what was under way when the last server was killed."""
        async with self._store.begin() as work:
            await work.release_letters(self._clock.now())

    async def claim(self, limit: int) -> LetterBatch | None:
        """Take up to `limit` letters; None if there is nothing to do now."""
        async with self._store.begin() as work:
            claims = await work.claim_letters(self._clock.now(), limit)
        return LetterBatch(claims) if claims else None

    async def attempt(
        self, _frame: None, claims: Sequence[LetterClaim]
    ) -> AsyncIterator[tuple[LetterClaim, LetterRecord]]:
        """Try letters once, one after the other, and judge what came of each."""
        for claim in claims:
            yield claim, await self._attempt(claim)

    async def _attempt(self, claim: LetterClaim) -> LetterRecord:
        try:
            async with self._store.begin() as work:
                letter = await work.read_letter(claim)
        except RecryptError as problem:
            return self.faulted(claim, problem)
        answer = await self._courier.deliver(_outgoing(letter))
        now = self._clock.now()
        outcome = outcome_of(
            answer, self._schedule, attempts=claim.attempts, first=claim.made, now=now
        )
        bounced = weight_of_end(outcome) is not Weight.NOTHING
        return LetterRecord(claim.id, outcome, bounced, has_reached(answer))

    def faulted(self, claim: LetterClaim, _problem: Exception) -> LetterRecord:
        """Put off a letter that our own program failed at; the third time it is given up."""
        return LetterRecord(claim.id, Faulted(self._clock.now() + FAULT_DELAY))

    def untried(self, claim: LetterClaim) -> LetterRecord:
        """Put back a claim that nothing was done for."""
        return LetterRecord(claim.id, Untried())

    def put_off(self, claim: LetterClaim) -> LetterRecord:
        """Put back a claim that the store had no answer for; a moment later it may have one."""
        return LetterRecord(claim.id, Untried(self._clock.now() + STORE_RETRY))

    def cut_off(self, claim: LetterClaim) -> LetterRecord:
        """Put back a claim whose attempt was broken off: the peer may have it."""
        return LetterRecord(claim.id, TryLater(self._clock.now(), ambiguous=True))

    async def record(self, records: Sequence[LetterRecord]) -> None:
        """Write outcomes, in one transaction."""
        async with self._store.begin() as work:
            await work.record_letters(records, self._clock.now())
        if any(each.bounced for each in records):
            self.on_trouble()

    async def pause(self) -> timedelta:
        """Tell how long there will be nothing to do, if nothing comes; at most 30 seconds."""
        now = self._clock.now()
        async with self._store.begin() as work:
            due = await work.next_letter_due(now)
        return QUEUE_PATIENCE if due is None else min(QUEUE_PATIENCE, due - now)


def _outgoing(letter: Letter) -> Outgoing:
    """Stuff dots (RFC 5321 §4.5.2): what is passed on may have lines that begin with one."""
    octets = letter.octets.replace(b"\r\n.", b"\r\n..")
    stuffed = b"." + octets if octets.startswith(b".") else octets
    return Outgoing(
        letter.return_path, letter.recipient, (stuffed,), eight_bit=not stuffed.isascii()
    )
