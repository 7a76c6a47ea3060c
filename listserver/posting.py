"""Receive a post: read, decide, put in the queue; a positive reply means that it is committed."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from listserver import admission, copies, replies
from listserver.addresses import ListAddress, Role
from listserver.headers import CopyFacts, header_block
from listserver.limits import QUICK_OCTETS
from listserver.model import House, StoredList, StoredPost
from listserver.ports import Clock, Log
from listserver.posts import PostHeaders, PostRefused, Reason, read_post
from listserver.replies import Reply
from listserver.store import Store, Work
from listserver.threads import ThreadIds
from recrypt_core.documents import PostRight, ReplyTo
from recrypt_core.envelope import Envelope, read_post_envelope
from recrypt_core.errors import Malformed, Recrypted
from recrypt_core.udf import Udf


class Posting:
    """A `Reception` of listserver.ports."""

    def __init__(self, house: House, store: Store, clock: Clock, log: Log) -> None:
        self._house = house
        self._store = store
        self._clock = clock
        self._log = log
        self.arrived = asyncio.Event()
        """Set whenever there is something new in the queue."""
        self._known: set[str] = set()

    async def recipient(self, to: ListAddress) -> Reply:
        """Answer RCPT by whether there is such a list, and nothing else (spec §7)."""
        if to.role not in (Role.POST, Role.BOUNCES):
            return replies.NO_SUCH_LIST
        address = self._address(to)
        if address not in self._known:
            async with self._store.begin() as work:
                found = await work.find_list(address)
            if found is None:
                return replies.NO_SUCH_LIST
            self._known.add(address)  # no list ever ends
        return replies.RECIPIENT_OK

    async def receive(self, raw: bytes, to: ListAddress, *, null_sender: bool) -> Reply:
        """Take a post, or say why not; bounces are taken and discarded (spec §7)."""
        if null_sender or to.role is not Role.POST:
            self._log.event("mail-discarded")
            return replies.ACCEPTED
        try:
            if len(raw) <= QUICK_OCTETS:
                headers, envelope = _read(raw)
            else:
                headers, envelope = await asyncio.to_thread(_read, raw)
        except PostRefused as problem:
            return self._refused(problem, to)
        except Recrypted:
            self._log.event("post-refused", reason="RECRYPTED")
            return replies.LOOP
        except Malformed as problem:
            self._log.event("post-refused", reason="ENVELOPE")
            return replies.malformed_post(f"Its envelope is no good: {problem}.")
        async with self._store.begin() as work:
            reply = await self._admit(work, headers, envelope, to)
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

    async def _admit(
        self, work: Work, headers: PostHeaders, envelope: Envelope, to: ListAddress
    ) -> Reply:
        """Decide in one transaction: what is refused leaves nothing behind."""
        now = self._clock.now()
        found = await work.find_list(self._address(to))
        if found is None:
            return replies.NO_SUCH_LIST
        verdict = admission.decide(envelope, headers, found.state, service=self._house.public_url)
        if isinstance(verdict, admission.Refuse):
            return verdict.reply
        if verdict.key != found.state.key.udf and not await self._past_key_counts(
            work, found, verdict
        ):
            reason = "It is encrypted to a key that this list no longer takes."
            return replies.not_encrypted(reason, found.state.name, self._house.public_url)
        may_post, poster = await self._may_post(work, envelope, found, now)
        if not may_post:
            return replies.NOT_ALLOWED_TO_POST
        accepted = _Accepted(headers, envelope, verdict, now, poster)
        return await self._queue(work, accepted, found)

    async def _past_key_counts(
        self, work: Work, found: StoredList, verdict: admission.Accept
    ) -> bool:
        """Take a post to a past key while members have entries for it (spec §7)."""
        return found.state.policy.past_keys and await work.has_entries(found.id, verdict.key)

    async def _may_post(
        self, work: Work, envelope: Envelope, found: StoredList, now: datetime
    ) -> tuple[bool, Udf | None]:
        """Look for the sender where the list's Policy asks for one, and only there."""
        if found.state.policy.post is PostRight.ANYONE:
            return True, None
        kid = admission.signer_of(envelope)
        member = None if kid is None else await work.signing_member(found, kid)
        may_post = admission.may_post(envelope, found.state, member, now=now)
        return may_post, member.profile.identifier if may_post and member else None

    async def _queue(self, work: Work, accepted: "_Accepted", found: StoredList) -> Reply:
        envelope, verdict = accepted.envelope, accepted.verdict
        line = copies.common_line(envelope, verdict.recipient)
        longest = await work.longest_own(found.id, verdict.key)
        try:
            size = copies.line_octets(line, longest)
        except Malformed as problem:
            return replies.malformed_post(str(problem))
        policy = found.state.policy
        facts = await self._facts(work, accepted, found)
        post = StoredPost(
            header=header_block(facts),
            line=line,
            line_octets=size,
            group_key=verdict.key,
            epk=verdict.recipient.epk,
            notice=policy.notice,
            list_address=found.state.name,
            accepted=accepted.now,
            poster=accepted.poster,
        )
        if copies.copy_octets(post, len(envelope.ciphertext)) > self._house.post_octets:
            return replies.copy_too_large(self._house.post_octets)
        if not await work.take_content(found.id, envelope.content_id, verdict.key):
            return replies.ACCEPTED  # had before: a sender that didn't see our 250, or a replay
        await work.take_message_id(found.id, facts.message_id)
        kept = accepted.now + timedelta(days=policy.keep)
        await work.enqueue(found.id, post, envelope.ciphertext, keep_until=kept)
        return replies.ACCEPTED

    async def _facts(self, work: Work, accepted: "_Accepted", found: StoredList) -> CopyFacts:
        headers, cid = accepted.headers, accepted.envelope.content_id
        threads = ThreadIds(_name(found), self._house.domain, found.secret)
        message_id = threads.mapped((headers.message_id or "").encode("ascii") or cid)
        if await work.had_message_id(found.id, message_id):
            message_id = threads.mapped(cid)
        return CopyFacts(
            list_name=_name(found),
            domain=self._house.domain,
            accepted=accepted.now,
            message_id=message_id,
            references=threads.mapped_thread(headers.references),
            in_reply_to=threads.mapped_thread(headers.in_reply_to),
            auto_submitted=headers.auto_submitted,
            reply_to_list=found.state.policy.reply_to is ReplyTo.LIST,
        )

    def _address(self, to: ListAddress) -> str:
        return f"{to.name}@{self._house.domain}"


@dataclass(frozen=True, slots=True)
class _Accepted:
    """A post that the list takes, if it isn't too large and wasn't had before."""

    headers: PostHeaders
    envelope: Envelope
    verdict: admission.Accept
    now: datetime
    poster: Udf | None


def _read(raw: bytes) -> tuple[PostHeaders, Envelope]:
    """Read a post and its envelope; of a large one for a thread, as it takes a while."""
    post = read_post(raw)
    envelope = read_post_envelope(post.encrypted)
    _ = envelope.content_id  # hashed here too, not in the transaction
    return post.headers, envelope


def _name(found: StoredList) -> str:
    return found.state.name.partition("@")[0]
