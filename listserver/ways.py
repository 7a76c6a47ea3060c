"""What a list does with a post that it could take: by whom it is, how many came, what Policy says.

Who is banned is as a stranger, in words and in work: what a stranger's post would become is
written, by the same statements, as sealed to a key that nobody has. So nobody hears from a list who
is known to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from listserver import admission
from listserver.admission import Standing, Way
from listserver.held import Share
from listserver.limits import HELD_MEMBERS, HELD_UNPROVEN, HELD_UNSIGNED
from listserver.model import JoinCount, Readers, StoredPost
from listserver.preparing import Prepared
from listserver.store import Work
from recrypt_core.encoding import write_b64url
from recrypt_core.moderation import HeldName
from recrypt_core.policy import PostRight
from recrypt_core.udf import Udf

_ROOM: Final[Mapping[Share, int]] = {
    Share.UNSIGNED: HELD_UNSIGNED,
    Share.UNPROVEN: HELD_UNPROVEN,
    Share.MEMBERS: HELD_MEMBERS,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to become of a post.

    Attributes:
        way: Where it goes.
        poster: Who is proven to have sent it, if that was looked at; nobody who is banned.
        is_unheard: It comes to nothing, as what who is banned sends.
        held: What it is named by, if it is held.
        share: Whose part of the room for what waits it takes, if it is held and not unheard.
    """

    way: Way
    poster: Udf | None = None
    is_unheard: bool = False
    held: HeldName | None = None
    share: Share | None = None

    @property
    def is_aside(self) -> bool:
        """Tell whether it goes to others than the list's readers, or to nobody."""
        return self.way is Way.HOLD or self.is_unheard


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
    if await _is_over_rate(work, prepared, way, poster):
        return None
    is_banned = standing is Standing.BANNED
    verdict = Verdict(way, None if is_banned else poster, is_unheard=is_banned)
    return verdict if way is Way.TAKE else await _held(work, prepared, verdict, standing)


def hides_bans(prepared: Prepared, way: Way) -> bool:
    """Tell whether readers get what strangers post, but not what who is banned does.

    After who is banned another may send the same, which is new then: so as much is done where a
    stranger's was taken before, for nobody.
    """
    policy = prepared.found.state.policy
    return way is Way.TAKE and policy.post is PostRight.ANYONE and bool(policy.banned)


async def put(
    work: Work, prepared: Prepared, post: StoredPost, readers: Readers, verdict: Verdict
) -> None:
    """Write a post where it goes: to its readers, to the moderators, or to nobody."""
    state, envelope = prepared.found.state, prepared.envelope
    if verdict.way is Way.HOLD:
        readers = await work.moderators(readers.list_id, post.group_key)
    if verdict.is_unheard:
        # No entry is for the group's signature key: so the relay finds no half, now or later.
        post = replace(post, group_key=state.identifier, poster=None)
    if verdict.way is Way.HOLD:
        until = prepared.accepted + timedelta(days=state.policy.hold_days)
        await work.hold(readers, post, envelope, until=until, share=verdict.share)
    else:
        kept = prepared.accepted + timedelta(days=state.policy.keep)
        await work.enqueue(readers, post, envelope.ciphertext, keep_until=kept)


async def _held(
    work: Work, prepared: Prepared, verdict: Verdict, standing: Standing
) -> Verdict | None:
    """Number what is to be held, while there is room; None if it is to come later, if it is new.

    Whoever states a sender is told the same, whether that proves anything: so what finds no room,
    but would if it came from a member, isn't put off, but comes to nothing.
    """
    at, envelope = prepared.found.id, prepared.envelope
    held = HeldName(await work.next_held(at), write_b64url(envelope.content_id))
    waiting = await work.shares_held(at)
    has_sender = admission.signer_of(envelope) is not None
    stated = Share.MEMBERS if has_sender else Share.UNSIGNED
    is_full = waiting.get(stated, 0) >= _ROOM[stated]
    if is_full and not await work.had_content(at, envelope, is_aside=True):
        return None
    is_member = standing in (Standing.MEMBER, Standing.ADMINISTRATOR)
    share = Share.UNPROVEN if has_sender and not is_member else stated
    if verdict.is_unheard or waiting.get(share, 0) >= _ROOM[share]:
        return replace(verdict, is_unheard=True, held=held)
    return replace(verdict, held=held, share=share)


async def _sender(work: Work, prepared: Prepared) -> tuple[Standing, Udf | None]:
    found, envelope = prepared.found, prepared.envelope
    kid = admission.signer_of(envelope)
    member = None if kid is None else await work.signing_member(found, kid)
    standing = admission.standing_of(envelope, found.state, member, now=prepared.accepted)
    if member is None or standing is Standing.NOBODY:
        return standing, None
    return standing, member.profile.identifier


async def _is_over_rate(work: Work, prepared: Prepared, way: Way, poster: Udf | None) -> bool:
    """Count a post where Policy asks for it, of its list and of who sent it; a replay is no post.

    But of the list it is one where work is done for it (`hides_bans`).

    A stranger's key is counted as a member is, and what proves nothing, by the key that it states,
    apart from what does: so no count tells who is a member, and nobody uses another's up.
    """
    found, now, envelope = prepared.found, prepared.accepted, prepared.envelope
    own, whole = found.state.policy.posts_per_day, found.state.policy.list_posts_per_day
    if (own, whole) == (None, None):
        return False
    is_had = await work.had_content(found.id, envelope, is_aside=way is Way.HOLD)
    kid, is_over = admission.signer_of(envelope), False
    if own is not None and kid is not None and not is_had:
        who = f"{kid} stated" if poster is None else f"{poster} proven"
        is_over = await work.count_join(JoinCount.POSTER, f"{found.id} {who}", now) > own
    if whole is not None and (not is_had or hides_bans(prepared, way)):
        is_over = await work.count_join(JoinCount.POSTS, f"{found.id}", now) > whole or is_over
    return is_over
