"""Flows of leaving: what a member wants of a list's mail, and the end of who has left (spec §6)."""

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime

from recrypt_client import administering, chains
from recrypt_client.administering import Outcome
from recrypt_client.chains import Desk
from recrypt_client.changing import Pace
from recrypt_client.errors import ServiceRefused, Trouble
from recrypt_core.chain import GroupState
from recrypt_core.documents import Status
from recrypt_core.messages import GetEntry, GetEntryResponse, GetGroup, Response
from recrypt_core.signing import UNKNOWN_KEY
from recrypt_core.udf import Udf
from recrypt_core.wishes import Mail, SetMail

_FORBIDDEN = 403  # of GetEntry: a member who isn't ACTIVE; of GetGroup: who doesn't administer


@dataclass(frozen=True, slots=True)
class Ended:
    """Who had left and is REVOKED now, and who has left but administers the group."""

    outcome: Outcome
    powerful: tuple[str, ...]


def set_mail(
    desk: Desk, *, mail: Mail | None, own_posts: bool | None = None, now: datetime
) -> bool:
    """Say which mail of a group one wants; None: as it was. It counts at once.

    The service answers a stranger alike, so it is asked first who one is. Tells whether one is an
    ACTIVE member: who isn't may leave, too, but is sent nothing, whatever it wants.

    Raises:
        ServiceRefused: if the service says no.
        Trouble: if nobody there knows who signs, or it can't be reached.
    """
    profile, is_active = desk.home.profile(), True
    try:
        own = GetEntry(group_id=desk.pin.identifier, member_udf=profile.identifier)
        chains.ask(desk, own, GetEntryResponse, now=now)
    except ServiceRefused as refusal:
        if UNKNOWN_KEY in refusal.what:
            raise Trouble(
                f"{desk.service.url} doesn't know you as a member of {desk.pin.group_name}",
                "If you are one, send it your profile first, with recrypt profile publish "
                f"{desk.pin.group_name}",
            ) from refusal
        if refusal.status != _FORBIDDEN:
            raise
        is_active = False
    request = SetMail(
        group_name=desk.pin.group_name, profile=profile.signed, mail=mail, own_posts=own_posts
    )
    chains.ask(desk, request, Response, now=now)
    return is_active


def check_may_leave(desk: Desk, *, now: datetime) -> None:
    """Refuse to let who administers a group leave it so, as its keys are to be changed then.

    Raises:
        Trouble: for who does, with what to do.
    """
    request = GetGroup(group_id=desk.pin.identifier, limit=1)
    try:
        chains.ask(desk, request, Response, now=now)
    except ServiceRefused:  # a member, or a stranger: what comes next tells
        return
    group = desk.pin.group_name
    raise Trouble(
        f"you administer {group}, and have its private keys",
        f"Another administrator removes you: recrypt delete {group} ADDRESS. For no mail until "
        f"then: recrypt mail {group} off",
    )


def left(desk: Desk, state: GroupState, *, now: datetime) -> frozenset[Udf]:
    """Ask who has left and isn't REVOKED yet; that is the service's word alone.

    Raises:
        ServiceRefused: if the service says no.
        Trouble: if it can't be reached, or its pages don't end.
    """
    told = {udf for page in chains.asides(desk, state, now=now) for udf in page.left}
    return frozenset(
        udf
        for udf in state.members.keys() & told
        if state.members[udf].entry.status is not Status.REVOKED
    )


def revoke_left(desk: Desk, state: GroupState, pace: Pace, *, but: Container[Udf] = ()) -> Ended:
    """Revoke who has left; but nobody who administers the group, on the service's word alone.

    Nothing changes in a group that is closed.

    but: Who isn't to be, as they ask to come back.

    Raises:
        ServiceRefused: if the service says no.
        Trouble: if it can't be reached.
    """
    told = left(desk, state, now=pace.clock())
    gone = [state.members[udf] for udf in told if udf not in but]
    powerful = tuple(each.account for each in gone if administering.has_powers(each))
    named = sorted(each.profile.identifier for each in gone if not administering.has_powers(each))
    if not named or state.is_closed:
        return Ended(Outcome(state, (), ()), powerful)
    done = administering.set_status(desk, named, Status.REVOKED, pace, state=state)
    return Ended(done, powerful)
