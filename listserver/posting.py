"""Receive a post: read, decide, put in the queue; a positive reply means that it is committed."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from listserver import admission, replies
from listserver.addresses import ListAddress, Role
from listserver.limits import LIST_MEMORY, QUICK_OCTETS
from listserver.model import House, StoredList
from listserver.ports import Clock, Log
from listserver.posts import PostHeaders, PostRefused, Reason, read_post
from listserver.preparing import Prepared, finished, prepare, with_fresh_id
from listserver.replies import Reply
from listserver.store import Store, Work
from recrypt_core.envelope import Envelope, read_post_envelope
from recrypt_core.errors import Malformed, Recrypted
from recrypt_core.policy import PostRight
from recrypt_core.udf import Udf

_Post: TypeAlias = tuple[PostHeaders, Envelope]

_LISTS_SEEN: Final = 500  # ours: the store keeps as many


class Posting:
    """A `Reception` of listserver.ports."""

    def __init__(self, house: House, store: Store, clock: Clock, log: Log) -> None:
        self._house = house
        self._store = store
        self._clock = clock
        self._log = log
        self.arrived = asyncio.Event()
        """Set whenever there is something new in the queue."""
        self._seen: dict[str, _Seen] = {}

    async def recipient(self, to: ListAddress) -> Reply:
        """Answer RCPT by whether there is such a list, and nothing else (spec §7).

        One that goes on is believed to for a moment; what counts is the end of DATA.
        """
        if to.role not in (Role.POST, Role.BOUNCES):
            return replies.NO_SUCH_LIST
        address = self._address(to)
        seen = self._seen.get(address)
        if seen is not None and seen.is_good(self._clock.now()):
            return replies.RECIPIENT_OK
        async with self._store.begin() as work:
            found = await work.find_list(address)
            if found is None:
                return replies.NO_SUCH_LIST
            stopped = None if to.role is Role.BOUNCES else await _stopped(work, found)
        if to.role is Role.POST and stopped is None:
            self._see(address, found)
        return stopped or replies.RECIPIENT_OK

    async def receive(self, raw: bytes, to: ListAddress, *, null_sender: bool) -> Reply:
        """Take a post, or say why not; bounces are taken and discarded (spec §7)."""
        if null_sender or to.role is not Role.POST:
            self._log.event("mail-discarded")
            return replies.ACCEPTED
        try:
            if len(raw) <= QUICK_OCTETS:
                post = _read(raw)
            else:
                post = await asyncio.to_thread(_read, raw)
        except PostRefused as problem:
            return self._refused(problem, to)
        except Recrypted:
            self._log.event("post-refused", reason="RECRYPTED")
            return replies.LOOP
        except Malformed as problem:
            self._log.event("post-refused", reason="ENVELOPE")
            return replies.malformed_post(f"Its envelope is no good: {problem}.")
        try:
            reply = await self._admit(post, to)
        except _TooLarge as problem:
            reply = problem.reply
        if reply.positive:
            self.arrived.set()
        self._log.event("post", code=reply.code)
        return reply

    def _refused(self, problem: PostRefused, to: ListAddress) -> Reply:
        self._log.event("post-refused", reason=problem.reason.name)
        match problem.reason:
            case Reason.IN_CLEAR:
                return replies.not_encrypted(
                    problem.reason.value, self._address(to), self._house.public_url
                )
            case Reason.LOOP:
                return replies.LOOP
            case _:
                return replies.malformed_post(problem.reason.value)

    async def _admit(self, post: _Post, to: ListAddress) -> Reply:
        """Decide in one transaction: what is refused leaves nothing behind."""
        address = self._address(to)
        seen = self._seen.get(address)
        prepared = None if seen is None else self._prepare(post, seen.list)
        async with self._store.begin() as work:
            found = await work.find_list(address)
            if found is None:
                return replies.NO_SUCH_LIST
            if stopped := await _stopped(work, found):
                self._seen.pop(address, None)
                return stopped
            if prepared is None or seen is None or found is not seen.list:
                prepared = self._prepare(post, found)
            self._see(address, found)
            if isinstance(prepared, Reply):
                return prepared
            return await self._decide(work, prepared)

    def _prepare(self, post: _Post, found: StoredList) -> Prepared | Reply:
        return prepare(found, *post, self._house, now=self._clock.now())

    async def _decide(self, work: Work, prepared: Prepared) -> Reply:
        found, verdict = prepared.found, prepared.verdict
        if verdict.key != found.state.key.udf and not await self._past_key_counts(work, prepared):
            reason = "It is encrypted to a key that this list no longer takes."
            return replies.not_encrypted(reason, found.state.name, self._house.public_url)
        may_post, poster = await self._may_post(work, prepared)
        return (
            await self._queue(work, prepared, poster) if may_post else replies.NOT_ALLOWED_TO_POST
        )

    async def _past_key_counts(self, work: Work, prepared: Prepared) -> bool:
        """Take a post to a past key while members have entries for it (spec §7)."""
        found = prepared.found
        return found.state.policy.past_keys and await work.has_entries(
            found.id, prepared.verdict.key
        )

    async def _may_post(self, work: Work, prepared: Prepared) -> tuple[bool, Udf | None]:
        """Look for the sender where the list's Policy asks for one, and only there."""
        found, envelope = prepared.found, prepared.envelope
        if found.state.policy.post is PostRight.ANYONE:
            return True, None
        kid = admission.signer_of(envelope)
        member = None if kid is None else await work.signing_member(found, kid)
        may_post = admission.may_post(envelope, found.state, member, now=prepared.accepted)
        return may_post, member.profile.identifier if may_post and member else None

    async def _queue(self, work: Work, prepared: Prepared, poster: Udf | None) -> Reply:
        """Put it in the queue, if it wasn't had before.

        Raises:
            _TooLarge: its copies would be. What was written meanwhile is undone by it.
        """
        found, envelope, key = prepared.found, prepared.envelope, prepared.verdict.key
        if not await work.take_content(found.id, envelope.content_id, key):
            return replies.ACCEPTED  # had before: a sender that didn't see our 250, or a replay
        if not await work.take_message_id(found.id, prepared.facts.message_id):
            prepared = with_fresh_id(prepared, self._house)
            await work.take_message_id(found.id, prepared.facts.message_id)
        readers = await work.readers(found.id, key)
        post = finished(prepared, self._house, longest_own=readers.longest_own, poster=poster)
        if isinstance(post, Reply):
            raise _TooLarge(post)
        kept = prepared.accepted + timedelta(days=found.state.policy.keep)
        await work.enqueue(readers, post, envelope.ciphertext, keep_until=kept)
        return replies.ACCEPTED

    def _see(self, address: str, found: StoredList) -> None:
        if len(self._seen) >= _LISTS_SEEN:
            self._seen.clear()
        self._seen[address] = _Seen(found, self._clock.now())

    def _address(self, to: ListAddress) -> str:
        return f"{to.name}@{self._house.domain}"


@dataclass(frozen=True, slots=True)
class _Seen:
    """A list that went on when it was looked at."""

    list: StoredList
    at: datetime

    def is_good(self, now: datetime) -> bool:
        """Tell whether that was a moment ago; a clock that was set back tells nothing."""
        return timedelta(0) <= now - self.at < LIST_MEMORY


class _TooLarge(Exception):
    """The copies of a post would be too large: with what the sender is told."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


async def _stopped(work: Work, found: StoredList) -> Reply | None:
    """Refuse posts to a list that is closed, as to none, or stopped for now (spec §7)."""
    if found.state.is_closed:
        return replies.NO_SUCH_LIST
    return replies.LIST_STOPPED if await work.is_suspended(found.id) else None


def _read(raw: bytes) -> _Post:
    """Read a post and its envelope; of a large one for a thread, as it takes a while."""
    post = read_post(raw)
    envelope = read_post_envelope(post.encrypted)
    _ = envelope.content_id  # hashed here too, not in the transaction
    return post.headers, envelope
