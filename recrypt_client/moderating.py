"""What waits for a decision in a list, deciding about it, and who is banned from it (spec §7)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from recrypt_client import chains, changing, deciding, policies
from recrypt_client.administering import Directory, is_named
from recrypt_client.chains import Desk
from recrypt_client.changing import Pace
from recrypt_client.errors import ServiceRefused, Trouble
from recrypt_core import limits
from recrypt_core.chain import GroupState
from recrypt_core.documents import RecryptionGroup
from recrypt_core.errors import Malformed
from recrypt_core.messages import GetHeldResponse, Response
from recrypt_core.moderation import Decide, Decision, GetHeld, HeldName, HeldPost, sign_decision
from recrypt_core.udf import Udf, read_udf

PAGES: Final = 1000  # ours: a hundred thousand posts

_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Ban:
    """Whose ban was changed, or was so already."""

    state: GroupState
    changed: tuple[Udf, ...]
    skipped: tuple[Udf, ...]


def waiting(desk: Desk, *, now: datetime) -> Iterator[HeldPost]:
    """Ask which posts wait for a decision, the oldest first; it is the service's word alone.

    Raises:
        ServiceRefused: if the service says no.
        Trouble: if it can't be reached, or its pages go in a circle or don't end.
    """
    after = 0
    for _ in range(PAGES):
        request = GetHeld(group_id=desk.pin.identifier, after=after, limit=_PAGE)
        answer = chains.ask(desk, request, GetHeldResponse, now=now)
        for each in answer.held:
            if each.post <= after:
                raise _disorder(desk)
            after = each.post
            yield each
        if answer.next is None:
            return
        if answer.next != after or not answer.held:
            raise _disorder(desk)
    raise _disorder(desk)


def whole(desk: Desk, posts: Sequence[HeldName], *, now: datetime) -> list[HeldName]:
    """Complete the names of posts that are named by their numbers alone: ask which wait.

    Raises:
        as `waiting`, if any is to be asked about.
    """
    if all(post.cid is not None for post in posts):
        return [*posts]
    known = {each.post: each.name for each in waiting(desk, now=now)}
    return [post if post.cid is not None else known.get(post.number, post) for post in posts]


def decide(
    desk: Desk, posts: Sequence[HeldName], decision: Decision, pace: Pace
) -> list[tuple[int, str]]:
    """Have the service do what is decided about posts; give those that it refused, with its words.

    Raises:
        Trouble: if it can't be reached.
    """
    refused = []
    for post in posts:
        request = Decide(
            group_id=desk.pin.identifier, post=post.number, content_id=post.cid, decision=decision
        )
        try:
            chains.ask(desk, request, Response, now=pace.clock())
        except ServiceRefused as refusal:
            refused.append((post.number, str(refusal)))
        pace.progress(1)
    return refused


def mail(desk: Desk, posts: Sequence[HeldName], decision: Decision, *, now: datetime) -> str:
    """Write a mail that says the same, signed; a sendmail takes it from there."""
    name, _, domain = desk.pin.group_name.partition("@")
    sender = desk.home.profile().profile.accounts[0]
    signed = [
        sign_decision(desk.pin.identifier, post, decision, desk.key, now=now) for post in posts
    ]
    head = [
        f"From: {sender}",
        f"To: {name}-request@{domain}",
        "Subject: [...]",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=us-ascii",
    ]
    return "".join(f"{line}\r\n" for line in (*head, "", *signed))


def ban(desk: Desk, who: Sequence[str], pace: Pace, *, is_banned: bool) -> Ban:
    """Ban people, named by address or fingerprint, or let them be heard again.

    Raises:
        ServiceRefused: if the service says no.
        Trouble: if somebody is no member, doesn't wait to be one and isn't named by a whole
            fingerprint, or too many are banned; or the service can't be reached.
    """
    state = chains.current(desk, now=pace.clock())
    people = list(dict.fromkeys(_find(desk, state, one, now=pace.clock()) for one in who))
    before = {*state.policy.banned}

    def write(state: GroupState) -> RecryptionGroup | None:
        now = {*state.policy.banned}
        then = now | {*people} if is_banned else now - {*people}
        if then == now:
            return None
        if len(then) > limits.BANNED:
            raise Trouble(
                f"over {limits.BANNED} would be banned from {state.name}",
                "Let somebody be heard again first, with recrypt unban",
            )
        policy = policies.changed(state.policy, [f"banned={','.join(then) or policies.NOBODY}"])
        return RecryptionGroup(group_name=state.name, policy=policy)

    state = changing.update_group(desk, state, write, pace)
    changed = tuple(each for each in people if (each in before) is not is_banned)
    return Ban(state, changed, tuple(each for each in people if each not in changed))


def _find(desk: Desk, state: GroupState, one: str, *, now: datetime) -> Udf:
    """Find whom a person means: a member, one who waits, or anybody of a whole fingerprint."""
    try:
        return read_udf(one.strip().upper())
    except Malformed:
        pass
    if any(is_named(each.account, udf, one) for udf, each in state.members.items()):
        return Directory(state).find(one).profile.identifier
    return deciding.named(desk, deciding.waiting(desk, now=now), one).profile.identifier


def _disorder(desk: Desk) -> Trouble:
    return Trouble(
        f"{desk.service.url} shows what waits for {desk.pin.group_name} out of order",
        "Try again; if it stays so, ask the service's operator",
    )
