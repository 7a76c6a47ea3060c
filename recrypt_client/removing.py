"""An administrator who leaves: removed, then the group's other keys, as far as that can be here.

What is left to do is in `debts` (spec §6, Removing).
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from recrypt_client import (
    administering,
    changing,
    custody,
    debts,
    escrows,
    founding,
    group_keys,
    sharing,
)
from recrypt_client.administering import Outcome
from recrypt_client.chains import Desk
from recrypt_client.changing import Pace
from recrypt_client.debts import Owed
from recrypt_client.errors import Trouble
from recrypt_core.chain import GroupState
from recrypt_core.documents import Privilege, RecryptionGroup, Status
from recrypt_core.members import Member
from recrypt_core.udf import Udf


def remove(desk: Desk, who: Sequence[str], pace: Pace) -> tuple[Outcome, Owed | None]:
    """Revoke members; tell what that leaves to do, if one of them had the group's keys.

    Raises:
        Trouble: if one of them isn't a member, or the service doesn't take it.
    """
    before = debts.owed(desk, now=pace.clock())
    directory = administering.Directory(before.state)
    members = [directory.find(one) for one in who]
    own = desk.home.profile().identifier
    if any(each.profile.identifier == own for each in members):
        return _leave(desk, before, members, pace)
    owners = escrows.of_now(desk.home, before.state)
    is_more = any(
        administering.has_powers(each)
        or before.has_debtor(each.account)
        or each.profile.identifier in owners
        for each in members
    )
    outcome = administering.set_status(desk, who, Status.REVOKED, pace, state=before.state)
    return outcome, debts.owed(desk, now=pace.clock()) if is_more else None


def _leave(desk: Desk, before: Owed, members: Sequence[Member], pace: Pace) -> tuple[Outcome, Owed]:
    """Revoke oneself: all that is owed then is for another administrator to do."""
    state, name = before.state, before.state.name
    if len(members) > 1:
        raise Trouble(
            f"one of these is you, who would administer {name} no more",
            "Remove the others first, then yourself alone",
        )
    (own,) = members
    supers = [each for each in state.members.values() if each.may(Privilege.SUPER)]
    if supers == [own]:
        raise Trouble(
            f"you are the last SUPER of {name}, which would be without an ACTIVE SUPER",
            f"Make another one first: recrypt add {name} PROFILE.json --privilege SUPER",
        )
    outcome = administering.set_status(
        desk, [own.profile.identifier], Status.REVOKED, pace, state=state
    )
    has_master = own.may(Privilege.SUPER)
    return outcome, replace(
        before,
        state=outcome.state,
        online=(*before.online, own.account),
        group_key=(*before.group_key, own.account),
        master=(*before.master, own.account) if has_master else before.master,
    )


def can_replace_master(desk: Desk, state: GroupState) -> bool:
    """Tell whether a new Master can be signed and sent from here: a SUPER with the master key."""
    has_key = custody.take(desk.home, state).master is not None
    return has_key and state.may(desk.key.public.udf, Privilege.SUPER)


def replace_master(
    desk: Desk, state: GroupState, pace: Pace, *, without: Collection[Udf] = ()
) -> GroupState:
    """Give the Master a fresh online key alone, which signs the group key anew.

    Args:
        desk: A SUPER, or who signs with the master key.
        state: The group.
        pace: The time.
        without: Which of its escrow keys it has no more.

    Raises:
        Trouble: if the service doesn't take it.
    """
    online = founding.signature_key()
    desk.home.keep_key(online)

    def write(state: GroupState) -> RecryptionGroup | None:
        keys = custody.take(desk.home, state)
        if keys.master is None:
            return None
        escrow = [
            each for each in state.master.profile.master_escrow_keys if each.udf not in without
        ]
        master = group_keys.next_master(
            state, keys.master, online=(online.public,), escrow=tuple(escrow), now=pace.clock()
        )
        return RecryptionGroup(
            group_name=state.name,
            master=master.signed,
            current_encryption_key=group_keys.same_key(state, online).signed,
            administrator_keys=sharing.seal_for(
                state, replace(keys, online=(online,)), master=master
            ),
        )

    return changing.update_group(desk, state, write, pace)
