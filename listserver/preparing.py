"""What of a post can be decided and written before its transaction, from the list as last seen.

Purely, so that it is done while another post's commit has the store: what is left for the
transaction is to see that the list is still the same, and to write.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from listserver import admission, copies, replies
from listserver.headers import CopyFacts
from listserver.letterheads import Letterhead
from listserver.model import StoredList, StoredPost
from listserver.names import shown_name
from listserver.posts import PostHeaders
from listserver.replies import Reply
from recrypt_core.envelope import Envelope
from recrypt_core.errors import Malformed
from recrypt_core.moderation import HeldName
from recrypt_core.policy import FromPolicy
from recrypt_core.udf import Udf


@dataclass(frozen=True, slots=True)
class Prepared:
    """A post that a list may take, if the store knows nothing against it.

    Attributes:
        letterhead: Of the list that this was decided by; by another it is to be decided anew.
        envelope: The post's.
        accepted: When.
        verdict: Which of the list's keys it is sealed to, and for which recipient.
        line: The JSON line of its copies, without its closing brace.
        facts: What their header is made of.
        header: Their header block.
    """

    letterhead: Letterhead
    envelope: Envelope
    accepted: datetime
    verdict: admission.Accept
    line: bytes
    facts: CopyFacts
    header: bytes

    @property
    def found(self) -> StoredList:
        """Give the list."""
        return self.letterhead.found


def prepare(
    letterhead: Letterhead, headers: PostHeaders, envelope: Envelope, *, now: datetime
) -> Prepared | Reply:
    """Decide by the envelope and the list, and write what copies would have in common."""
    state, threads = letterhead.found.state, letterhead.threads
    verdict = admission.decide(envelope, headers, state, service=letterhead.house.public_url)
    if isinstance(verdict, admission.Refuse):
        return verdict.reply
    facts = CopyFacts(
        accepted=now,
        message_id=threads.mapped(
            (headers.message_id or "").encode("ascii") or envelope.content_id
        ),
        references=threads.mapped_thread(headers.references),
        in_reply_to=threads.mapped_thread(headers.in_reply_to),
        auto_submitted=headers.auto_submitted,
        author=shown_name(headers.senders) if state.policy.from_ is FromPolicy.VIA else None,
    )
    line = copies.common_line(envelope, verdict.recipient)
    header = letterhead.header.block(facts)
    return Prepared(letterhead, envelope, now, verdict, line, facts, header)


def with_fresh_id(prepared: Prepared) -> Prepared:
    """Give it a Message-ID of its content, for that of its author was relayed before (spec §7)."""
    letterhead = prepared.letterhead
    fresh = letterhead.threads.mapped(prepared.envelope.content_id)
    facts = replace(prepared.facts, message_id=fresh)
    return replace(prepared, facts=facts, header=letterhead.header.block(facts))


def finished(
    prepared: Prepared, *, longest_own: int, poster: Udf | None, held: HeldName | None = None
) -> StoredPost | Reply:
    """Write what its copies have in common, or say that they would be too large.

    longest_own: the octets of the longest recryption in them.
    """
    verdict, letterhead = prepared.verdict, prepared.letterhead
    state, most = letterhead.found.state, letterhead.house.post_octets
    try:
        line_octets = copies.line_octets(prepared.line, longest_own)
    except Malformed as problem:
        return replies.malformed_post(str(problem))
    post = StoredPost(
        header=prepared.header,
        line=prepared.line,
        line_octets=line_octets,
        group_key=verdict.key,
        epk=verdict.recipient.epk,
        notice=state.policy.notice,
        list_address=state.name,
        accepted=prepared.accepted,
        poster=poster,
        held=None if held is None else held.number,
        text=letterhead.notice(held),
    )
    octets = len(prepared.envelope.ciphertext)
    if copies.copy_octets(post, octets, around=letterhead.around(held)) > most:
        return replies.copy_too_large(most)
    return post
