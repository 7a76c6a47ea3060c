"""What of a post can be decided and written before its transaction, from the list as last seen.

Purely, so that it is done while another post's commit has the store: what is left for the
transaction is to see that the list is still the same, and to write.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from listserver import admission, copies, replies
from listserver.headers import CopyFacts, header_block
from listserver.links import leave_octets, list_page
from listserver.model import House, StoredList, StoredPost
from listserver.names import shown_name
from listserver.posts import PostHeaders
from listserver.replies import Reply
from listserver.threads import ThreadIds
from recrypt_core.envelope import Envelope
from recrypt_core.errors import Malformed
from recrypt_core.policy import FromPolicy, ReplyTo
from recrypt_core.udf import Udf


@dataclass(frozen=True, slots=True)
class Prepared:
    """A post that a list may take, if the store knows nothing against it.

    Attributes:
        found: The list that this was decided by; by another one it is to be decided anew.
        envelope: The post's.
        accepted: When.
        verdict: Which of the list's keys it is sealed to, and for which recipient.
        line: The JSON line of its copies, without its closing brace.
        facts: What their header is made of.
        header: Their header block.
    """

    found: StoredList
    envelope: Envelope
    accepted: datetime
    verdict: admission.Accept
    line: bytes
    facts: CopyFacts
    header: bytes


def prepare(
    found: StoredList, headers: PostHeaders, envelope: Envelope, house: House, *, now: datetime
) -> Prepared | Reply:
    """Decide by the envelope and the list, and write what copies would have in common."""
    verdict = admission.decide(envelope, headers, found.state, service=house.public_url)
    if isinstance(verdict, admission.Refuse):
        return verdict.reply
    threads, policy = _threads(found), found.state.policy
    facts = CopyFacts(
        list_name=threads.list_name,
        domain=threads.domain,
        accepted=now,
        message_id=threads.mapped(
            (headers.message_id or "").encode("ascii") or envelope.content_id
        ),
        references=threads.mapped_thread(headers.references),
        in_reply_to=threads.mapped_thread(headers.in_reply_to),
        auto_submitted=headers.auto_submitted,
        reply_to_list=policy.reply_to is ReplyTo.LIST,
        subject=policy.subject,
        page=list_page(house, found.state.name),
        author=shown_name(headers.senders) if policy.from_ is FromPolicy.VIA else None,
    )
    line = copies.common_line(envelope, verdict.recipient)
    return Prepared(found, envelope, now, verdict, line, facts, header_block(facts))


def with_fresh_id(prepared: Prepared) -> Prepared:
    """Give it a Message-ID of its content, for that of its author was relayed before (spec §7)."""
    threads = _threads(prepared.found)
    facts = replace(prepared.facts, message_id=threads.mapped(prepared.envelope.content_id))
    return replace(prepared, facts=facts, header=header_block(facts))


def finished(
    prepared: Prepared,
    house: House,
    *,
    longest_own: int,
    poster: Udf | None,
    held: int | None = None,
) -> StoredPost | Reply:
    """Write what its copies have in common, or say that they would be too large.

    longest_own: the octets of the longest recryption in them.
    """
    verdict, state = prepared.verdict, prepared.found.state
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
        held=held,
        text=copies.notice(house.catalogue.of_list(state), held),
    )
    own = leave_octets(state.name, house.public_url)
    octets = len(prepared.envelope.ciphertext)
    if copies.copy_octets(post, octets, own_octets=own) > house.post_octets:
        return replies.copy_too_large(house.post_octets)
    return post


def _threads(found: StoredList) -> ThreadIds:
    name, _, domain = found.state.name.partition("@")
    return ThreadIds(name, domain, found.secret)
