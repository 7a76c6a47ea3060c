"""A group key's time: senders are warned, administrators sign it again and are reminded to rekey.

Pure but for the change that signs it again (spec §4, NotAfter).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from recrypt_client import changing, custody, group_keys
from recrypt_client.chains import Desk
from recrypt_client.changing import Pace
from recrypt_client.errors import Trouble
from recrypt_core import limits
from recrypt_core.chain import GroupState
from recrypt_core.documents import Privilege, RecryptionGroup, VerifiedGroupKey

WARNING: Final = timedelta(days=14)  # before NotAfter senders are told; ours
AGAIN: Final = timedelta(days=30)  # before NotAfter administrators sign again; ours
OLD: Final = limits.GROUP_KEY_LIFE - AGAIN  # a key of this age is to be followed by another; ours


@dataclass(frozen=True, slots=True)
class Tended:
    """A group whose key was looked after, and what there is to say about it, if anything."""

    state: GroupState
    notes: tuple[str, ...]


def warning(key: VerifiedGroupKey, *, now: datetime) -> str | None:
    """Tell who writes to a group that its key ends soon, if it does."""
    stated = key.document
    if not ends_within(key, WARNING, now=now):
        return None
    return (
        f"the key of {stated.group_name} is good until {stated.not_after:%Y-%m-%d} only: "
        "ask the group's administrator to sign it again"
    )


def ends_within(key: VerifiedGroupKey, time: timedelta, *, now: datetime) -> bool:
    """Tell whether a key ends so soon, or has ended; not that of a closed group."""
    return key.document.closed is None and key.document.not_after <= now + time


def tend(desk: Desk, state: GroupState, pace: Pace) -> Tended:
    """Sign a group's key again if it ends soon, and remind of a rekey if it is old.

    Administrators' commands end with it. It never makes them fail: what can't be done is told.

    Args:
        desk: The administrator.
        state: The group, verified just now.
        pace: The time.
    """
    notes: list[str] = []
    if ends_within(state.key, AGAIN, now=pace.clock()):
        try:
            state = sign_again(desk, state, pace)
        except Trouble as trouble:
            until = f"{state.key.document.not_after:%Y-%m-%d}"
            notes.append(
                f"the key of {state.name} is good until {until} only, and it couldn't be signed "
                f"again: {trouble}"
            )
        else:
            until = f"{state.key.document.not_after:%Y-%m-%d}"
            notes.append(f"the key of {state.name} was signed again: it is good until {until}")
    age = pace.clock() - state.key.document.created
    if age >= OLD and not state.is_closed:
        notes.append(
            f"the key of {state.name} is {age.days} days old: make a new one with "
            f"recrypt rekey {state.name}"
        )
    return Tended(state, tuple(notes))


def sign_again(desk: Desk, state: GroupState, pace: Pace) -> GroupState:
    """Sign a group's key again for its whole life from now on, if it ends soon (spec §4).

    Raises:
        Trouble: without the right or the key for it, or if the service doesn't take it.
    """

    def write(state: GroupState) -> RecryptionGroup | None:
        now = pace.clock()
        if not ends_within(state.key, AGAIN, now=now):
            return None  # another administrator has signed it meanwhile
        if not state.may(desk.key.public.udf, Privilege.ADMIN, Privilege.SUPER):
            raise Trouble(
                f"only an administrator of {state.name} may do that",
                "Ask one to give recrypt members",
            )
        online = custody.online_key(desk.home, state)
        until = now.replace(microsecond=0) + limits.GROUP_KEY_LIFE
        signed = group_keys.same_key(state, online, not_after=until)
        return RecryptionGroup(group_name=state.name, current_encryption_key=signed.signed)

    return changing.update_group(desk, state, write, pace)
