"""The flow that closes a group for good: its key says when, and no change follows (spec §6)."""

from dataclasses import dataclass

from recrypt_client import changing, custody, group_keys
from recrypt_client.chains import Desk
from recrypt_client.changing import Pace
from recrypt_client.errors import Trouble
from recrypt_core.chain import GroupState
from recrypt_core.documents import Privilege, RecryptionGroup
from recrypt_core.signing import Jws


@dataclass(frozen=True, slots=True)
class Closing:
    """A closed group, and whether it was closed from here, just now."""

    state: GroupState
    is_new: bool


def check_may_close(desk: Desk, state: GroupState) -> None:
    """Refuse who can't close a group, before anything is asked of a person.

    Raises:
        Trouble: for who isn't an ACTIVE SUPER, or hasn't got what signs for the group.
    """
    if not state.may(desk.key.public.udf, Privilege.SUPER):
        raise Trouble(
            f"only an ACTIVE SUPER may close {state.name} for good",
            f"Ask one: recrypt members {state.name} shows who is",
        )
    custody.online_key(desk.home, state)


def close(desk: Desk, state: GroupState, pace: Pace) -> Closing:
    """Close a group, unless that is done.

    Raises:
        Trouble: as `check_may_close`, or if the service doesn't take it.
    """
    made: list[Jws] = []

    def write(state: GroupState) -> RecryptionGroup | None:
        if state.is_closed:
            return None  # another administrator has done it meanwhile
        check_may_close(desk, state)
        online = custody.online_key(desk.home, state)
        signed = group_keys.same_key(state, online, closed=pace.clock().replace(microsecond=0))
        made.append(signed.signed)
        return RecryptionGroup(group_name=state.name, current_encryption_key=signed.signed)

    after = changing.update_group(desk, state, write, pace)
    return Closing(after, after.key.signed in made)
