"""What is owed since an administrator was removed, and its payment (spec §6).

Who administered the group has its online keys and its group key, whatever the chain says now: they
end when the Master names others, and when the group has another key. The chain tells what is left
to do, so it doesn't matter who begins, where it is cut off, and who goes on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from recrypt_client import administering, chains, changing, custody, founding, group_keys, sharing
from recrypt_client.administering import Outcome
from recrypt_client.chains import Desk
from recrypt_client.changing import Pace
from recrypt_core.chain import Change, GroupState, Member
from recrypt_core.documents import Privilege, RecryptionGroup, Status
from recrypt_core.messages import UpdateMember
from recrypt_core.udf import Udf


@dataclass(frozen=True, slots=True)
class Lost:
    """An administrator who is none any more, and the group's keys that he or she had.

    Attributes:
        account: The member's AccountName.
        online: The Master's online keys of that time.
        group_key: The group key of that time.
        had_master: Whether the master key was sealed to the member too, as to every SUPER.
    """

    account: str
    online: frozenset[Udf]
    group_key: Udf
    had_master: bool


@dataclass(frozen=True, slots=True)
class Owed:
    """What is left to do in a group.

    Attributes:
        state: The group as its chain says it is.
        online: Who still has an online key of the Master.
        group_key: Who still has the group's current private key.
        master: Who has the master key for good: only another group ends that.
    """

    state: GroupState
    online: tuple[str, ...]
    group_key: tuple[str, ...]
    master: tuple[str, ...]


class Ledger:
    """Follows a chain, and remembers who lost the power over the group."""

    def __init__(self) -> None:
        self._before: GroupState | None = None
        self._lost: dict[Udf, Lost] = {}
        self._had_master: set[Udf] = set()

    def enter(self, state: GroupState, change: Change) -> None:
        """Take one more change, and the state after it."""
        before, self._before = self._before, state
        if before is None or not isinstance(change.message, UpdateMember):
            return
        for udf in (each.recrypt_udf for each in change.message.member_entry):
            old, new = before.members[udf], state.members[udf]
            if old.may(Privilege.SUPER):
                self._had_master.add(udf)
            if rules(new):
                self._lost.pop(udf, None)
            elif rules(old):
                self._lost[udf] = Lost(
                    old.account,
                    frozenset(key.udf for key in before.master.profile.online_signature_keys),
                    before.key.udf,
                    udf in self._had_master,
                )

    def owed(self, state: GroupState) -> Owed:
        """Tell what is left to do in the group's last state."""
        online = {key.udf for key in state.master.profile.online_signature_keys}
        return Owed(
            state,
            tuple(each.account for each in self._lost.values() if each.online & online),
            tuple(each.account for each in self._lost.values() if each.group_key == state.key.udf),
            tuple(each.account for each in self._lost.values() if each.had_master),
        )


def owed(desk: Desk, *, now: datetime) -> Owed:
    """Find in the group's history what is left to do.

    Raises:
        Trouble: as `chains.walk`.
    """
    ledger = Ledger()
    last: GroupState | None = None
    for last, change in chains.walk(desk, now=now):
        ledger.enter(last, change)
    return ledger.owed(last or chains.current(desk, now=now))


def remove(desk: Desk, who: Sequence[str], pace: Pace) -> tuple[Outcome, Owed | None]:
    """Revoke members; tell what that leaves to do, if one of them administered the group.

    Raises:
        Trouble: if one of them isn't a member, or the service doesn't take it.
    """
    before = owed(desk, now=pace.clock())
    members = [administering.find(before.state, one) for one in who]
    debtors = {*before.online, *before.group_key}
    is_more = any(administering.has_powers(each) or each.account in debtors for each in members)
    outcome = administering.set_status(desk, who, Status.REVOKED, pace, state=before.state)
    return outcome, owed(desk, now=pace.clock()) if is_more else None


def can_replace_master(desk: Desk, state: GroupState) -> bool:
    """Tell whether a new Master can be signed and sent from here: a SUPER with the master key."""
    has_key = custody.take(desk.home, state).master is not None
    return has_key and state.may(desk.key.public.udf, Privilege.SUPER)


def replace_master(desk: Desk, state: GroupState, pace: Pace) -> GroupState:
    """Give the Master a fresh online key alone, which signs the group key anew.

    Raises:
        Trouble: if the service doesn't take it.
    """
    online = founding.signature_key()
    desk.home.keep_key(online)

    def write(state: GroupState) -> RecryptionGroup | None:
        keys = custody.take(desk.home, state)
        if keys.master is None:
            return None
        master = group_keys.next_master(
            state, keys.master, online=(online.public,), now=pace.clock()
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


def rules(member: Member) -> bool:
    """Tell whether a member administers the group now."""
    return member.may(Privilege.ADMIN, Privilege.SUPER)
