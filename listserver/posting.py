"""Receive a post: read, decide, put in the queue; a positive reply means that it is committed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from listserver import quick, replies
from listserver.addresses import ListAddress, Role
from listserver.admission import Way
from listserver.letterheads import Letterhead
from listserver.limits import LIST_MEMORY
from listserver.model import House, ListId, Readers, StoredList
from listserver.own_posts import for_others
from listserver.ports import Clock, Log
from listserver.posts import PostHeaders, PostRefused, Reason, read_post
from listserver.preparing import Prepared, finished, prepare, with_fresh_id
from listserver.replies import Reply
from listserver.store import Store, Work
from listserver.together import Together
from listserver.ways import Verdict, hides_bans, judge, put
from recrypt_core.envelope import Envelope, read_post_envelope
from recrypt_core.errors import Malformed, Recrypted
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
        self._together = Together[_Arrived, Reply](store, self._admit)

    async def recipient(self, to: ListAddress) -> Reply:
        """Answer RCPT by whether there is such a list, and nothing else (spec §7).

        One that goes on is believed to for a moment; what counts is the end of DATA.
        """
        address = to.list
        seen = self._seen.get(address)
        if seen is not None and seen.is_good(self._clock.now()):
            return replies.RECIPIENT_OK
        async with self._store.begin() as work:
            found = await work.find_list(address)
            if found is None:
                return replies.NO_SUCH_LIST
            stopped = await _refused(work, found, to.role)
        if to.role is Role.POST and stopped is None:
            self._see(address, self._letterhead(address, found))
        return stopped or replies.RECIPIENT_OK

    async def receive(self, raw: bytes, to: ListAddress, *, sender: str) -> Reply:
        """Take a post, or say why not; bounces are taken and discarded (spec §7)."""
        if not sender or to.role is not Role.POST:
            self._log.event("mail-discarded")
            return replies.ACCEPTED
        try:
            post = await quick.done(lambda: _read(raw), len(raw))
        except PostRefused as problem:
            return self._refused(problem, to)
        except Recrypted:
            self._log.event("post-refused", reason="RECRYPTED")
            return replies.LOOP
        except Malformed as problem:
            self._log.event("post-refused", reason="ENVELOPE")
            return replies.malformed_post(f"Its envelope is no good: {problem}.")
        try:
            reply = await self._together.done(self._arrived(post, to))
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
                return replies.not_encrypted(problem.reason.value, to.list, self._house.public_url)
            case Reason.LOOP:
                return replies.LOOP
            case _:
                return replies.malformed_post(problem.reason.value)

    def _arrived(self, post: _Post, to: ListAddress) -> "_Arrived":
        """Prepare a post by its list as last seen, while another's commit has the store."""
        address = to.list
        seen = self._seen.get(address)
        if seen is None:
            return _Arrived(address, post)
        return _Arrived(address, post, seen.letterhead, self._prepare(post, seen.letterhead))

    async def _admit(self, work: Work, arrived: Sequence["_Arrived"]) -> list[Reply]:
        """Decide upon posts in one transaction: what is refused leaves nothing behind."""
        turn = _Turn(work)
        return [await self._admit_one(turn, each) for each in arrived]

    async def _admit_one(self, turn: "_Turn", arrived: "_Arrived") -> Reply:
        found = await turn.find_list(arrived.address)
        if isinstance(found, Reply):
            self._seen.pop(arrived.address, None)
            return found
        letterhead, prepared = self._letterhead(arrived.address, found), arrived.prepared
        if prepared is None or arrived.by is not letterhead:
            prepared = self._prepare(arrived.post, letterhead)
        self._see(arrived.address, letterhead)
        if isinstance(prepared, Reply):
            return prepared
        return await self._decide(turn, prepared)

    def _prepare(self, post: _Post, letterhead: Letterhead) -> Prepared | Reply:
        return prepare(letterhead, *post, now=self._clock.now())

    async def _decide(self, turn: "_Turn", prepared: Prepared) -> Reply:
        found, key, work = prepared.found, prepared.verdict.key, turn.work
        if key != found.state.key.udf and not await self._past_key_counts(work, prepared):
            reason = "It is encrypted to a key that this list no longer takes."
            return replies.not_encrypted(reason, found.state.name, self._house.public_url)
        verdict = await judge(work, prepared)
        if verdict is None:
            return replies.TOO_OFTEN
        if verdict.way is Way.REFUSE:
            return replies.NOT_ALLOWED_TO_POST
        return await self._queue(turn, prepared, verdict)

    async def _past_key_counts(self, work: Work, prepared: Prepared) -> bool:
        """Take a post to a past key while members have entries for it (spec §7)."""
        found = prepared.found
        return found.state.policy.past_keys and await work.has_entries(
            found.id, prepared.verdict.key
        )

    async def _queue(self, turn: "_Turn", prepared: Prepared, verdict: Verdict) -> Reply:
        """Put it in the queue, or hold it, if it wasn't had before.

        Raises:
            _TooLarge: its copies would be. What was written meanwhile is undone by it.
        """
        found, envelope, key = prepared.found, prepared.envelope, prepared.verdict.key
        work, poster = turn.work, verdict.poster
        hides = hides_bans(prepared, verdict.way)
        if hides and await work.had_otherwise(found.id, envelope, key):
            return replies.SEALED_OTHERWISE
        if not await work.take_content(found.id, envelope, key, is_aside=verdict.is_aside):
            # Had before: a sender that didn't see our 250, or a replay.
            if not hides:
                is_other = await work.had_otherwise(found.id, envelope, key)
                return replies.SEALED_OTHERWISE if is_other else replies.ACCEPTED
            verdict = replace(verdict, is_unheard=True)
        if not await work.take_message_id(found.id, prepared.facts.message_id):
            prepared = with_fresh_id(prepared)
            await work.take_message_id(found.id, prepared.facts.message_id)
        readers = await turn.readers(found.id, key)
        if verdict.way is Way.TAKE and await turn.own_unwanted(found.id):
            readers = await for_others(work, prepared, readers, poster=poster)
        longest = readers.longest_own
        post = finished(prepared, longest_own=longest, poster=poster, held=verdict.held)
        if isinstance(post, Reply):
            raise _TooLarge(post)
        await put(work, prepared, post, readers, verdict)
        return replies.ACCEPTED

    def _letterhead(self, address: str, found: StoredList) -> Letterhead:
        seen = self._seen.get(address)
        if seen is not None and seen.letterhead.found is found:
            return seen.letterhead
        return Letterhead(found, self._house)

    def _see(self, address: str, letterhead: Letterhead) -> None:
        if len(self._seen) >= _LISTS_SEEN:
            self._seen.clear()
        self._seen[address] = _Seen(letterhead, self._clock.now())


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A post, and what is made of it by its list as last seen; that is told by the reply then."""

    address: str
    post: _Post
    by: Letterhead | None = None
    prepared: Prepared | Reply | None = None


class _Turn:
    """What posts of one block ask of the store, each thing once."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self._lists: dict[str, StoredList | Reply] = {}
        self._readers: dict[tuple[ListId, Udf], Readers] = {}
        self._own_unwanted: dict[ListId, bool] = {}

    async def find_list(self, address: str) -> StoredList | Reply:
        """Find a list that takes posts, or say why it doesn't."""
        known = self._lists.get(address)
        if known is None:
            found = await self.work.find_list(address)
            stopped = replies.NO_SUCH_LIST if found is None else await _stopped(self.work, found)
            known = self._lists[address] = stopped or found or replies.NO_SUCH_LIST
        return known

    async def readers(self, list_id: ListId, key: Udf) -> Readers:
        """Give who is to have a post."""
        known = self._readers.get((list_id, key))
        if known is None:
            known = self._readers[list_id, key] = await self.work.readers(list_id, key)
        return known

    async def own_unwanted(self, list_id: ListId) -> bool:
        """Tell whether anybody wants no copies of its own posts."""
        known = self._own_unwanted.get(list_id)
        if known is None:
            known = self._own_unwanted[list_id] = await self.work.own_unwanted(list_id)
        return known


@dataclass(frozen=True, slots=True)
class _Seen:
    """A list that went on when it was looked at."""

    letterhead: Letterhead
    at: datetime

    def is_good(self, now: datetime) -> bool:
        """Tell whether that was a moment ago; a clock that was set back tells nothing."""
        return timedelta(0) <= now - self.at < LIST_MEMORY


class _TooLarge(Exception):
    """The copies of a post would be too large: with what the sender is told."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


async def _refused(work: Work, found: StoredList, role: Role) -> Reply | None:
    """Refuse mail to an address of a list; while it is stopped, people can leave it (spec §7)."""
    if role is Role.BOUNCES:
        return None
    if role in (Role.POST, Role.SUBSCRIBE):
        return await _stopped(work, found)
    return replies.NO_SUCH_LIST if found.state.is_closed else None


async def _stopped(work: Work, found: StoredList) -> Reply | None:
    """Refuse posts to a list that is closed, as to none, or stopped for now (spec §7)."""
    if found.state.is_closed:
        return replies.NO_SUCH_LIST
    return replies.LIST_STOPPED if await work.is_suspended(found.id) else None


def _read(raw: bytes) -> _Post:
    """Read a post and its envelope."""
    post = read_post(raw)
    envelope = read_post_envelope(post.encrypted)
    _ = envelope.content_id  # hashed here too, not in the transaction
    return post.headers, envelope
