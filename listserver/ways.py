"""What a list does with a post that it could take: by whom it is, how many came, what Policy says.

Who is banned is as a stranger, in words and in work: what a stranger's post would become is
written, by the same statements, as sealed to a key that nobody has. So nobody hears from a list who
is known to it.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from listserver import admission
from listserver.admission import Standing, Way
from listserver.held import HeldState
from listserver.model import JoinCount, Readers, StoredPost
from listserver.preparing import Prepared
from listserver.store import Work
from recrypt_core.udf import Udf


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to become of a post.

    Attributes:
        way: Where it goes.
        poster: Who is proven to have sent it, if that was looked at.
        is_banned: It comes to nothing.
        number: Its own, if it is held.
    """

    way: Way
    poster: Udf | None = None
    is_banned: bool = False
    number: int | None = None


async def judge(work: Work, prepared: Prepared) -> Verdict | None:
    """Decide where a post goes; None if so many came today, or wait, that it is to come later.

    Its sender is looked for where the list's Policy asks for one, and only there.
    """
    policy, poster = prepared.found.state.policy, None
    standing = Standing.NOBODY
    if admission.asks_for_sender(policy):
        standing, poster = await _sender(work, prepared)
    way = admission.way_of(policy, standing)
    if way is Way.REFUSE:
        return Verdict(way)
    if await _is_over_rate(work, prepared, poster):
        return None
    is_banned = standing is Standing.BANNED
    if way is Way.TAKE:
        return Verdict(way, poster, is_banned)
    number = await work.next_held(prepared.found.id)
    return None if number is None else Verdict(way, poster, is_banned, number)


async def put(
    work: Work, prepared: Prepared, post: StoredPost, readers: Readers, verdict: Verdict
) -> None:
    """Write a post where it goes: to its readers, to the moderators, or to nobody."""
    state, ciphertext = prepared.found.state, prepared.envelope.ciphertext
    if verdict.way is Way.HOLD:
        readers = await work.moderators(readers.list_id, post.group_key)
    if verdict.is_banned:
        # No entry is for the group's signature key: so the relay finds no half, now or later.
        post = replace(post, group_key=state.identifier, poster=None)
    if verdict.way is Way.HOLD:
        until = prepared.accepted + timedelta(days=state.policy.hold_days)
        begins = HeldState.DISCARDED if verdict.is_banned else HeldState.WAITS
        await work.hold(readers, post, ciphertext, until=until, begins=begins)
    else:
        kept = prepared.accepted + timedelta(days=state.policy.keep)
        await work.enqueue(readers, post, ciphertext, keep_until=kept)


async def _sender(work: Work, prepared: Prepared) -> tuple[Standing, Udf | None]:
    found, envelope = prepared.found, prepared.envelope
    kid = admission.signer_of(envelope)
    member = None if kid is None else await work.signing_member(found, kid)
    standing = admission.standing_of(envelope, found.state, member, now=prepared.accepted)
    if member is None or standing is Standing.NOBODY:
        return standing, None
    return standing, member.profile.identifier


async def _is_over_rate(work: Work, prepared: Prepared, poster: Udf | None) -> bool:
    """Count a post where Policy asks for it, of its list and of who sent it; a replay is no post.

    A stranger's key is counted as a member is, and what proves nothing, by the key that it states,
    apart from what does: so no count tells who is a member, and nobody uses another's up.
    """
    found, now, envelope = prepared.found, prepared.accepted, prepared.envelope
    own, whole = found.state.policy.posts_per_day, found.state.policy.list_posts_per_day
    if (own, whole) == (None, None) or await work.had_content(found.id, envelope.content_id):
        return False
    kid, is_over = admission.signer_of(envelope), False
    if own is not None and kid is not None:
        who = f"{kid} stated" if poster is None else f"{poster} proven"
        is_over = await work.count_join(JoinCount.POSTER, f"{found.id} {who}", now) > own
    if whole is not None:
        is_over = await work.count_join(JoinCount.POSTS, f"{found.id}", now) > whole or is_over
    return is_over
