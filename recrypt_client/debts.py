"""Who has private keys of a group and isn't to have them any more (spec §6, Removing).

Nobody forgets a key that was sealed to them, and whoever made a key knows it. So a key is owed
until the group has another one, which no debtor can have made: the chain tells it all, and it
doesn't matter who begins to pay, where it is cut off, and who goes on.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from recrypt_client import chains, sharing
from recrypt_client.chains import Desk
from recrypt_core.chain import Change, GroupState
from recrypt_core.documents import Privilege
from recrypt_core.members import Member
from recrypt_core.messages import AddMember, CreateGroup, UpdateGroup, UpdateMember
from recrypt_core.udf import Udf

NOBODY: Final = "somebody who was no administrator"


@dataclass(frozen=True, slots=True)
class Owed:
    """What is left to do in a group, and for whose sake, in words.

    Attributes:
        state: The group as its chain says it is.
        online: Who has an online key of its Master.
        group_key: Who has its current private key.
        master: Who has the master key, for good: only another group ends that.
        escrow: Its escrow keys that aren't to be any more, and whose they are.
        signed: Changes that an online key has signed while a debtor had it.
    """

    state: GroupState
    online: tuple[str, ...] = ()
    group_key: tuple[str, ...] = ()
    master: tuple[str, ...] = ()
    escrow: Mapping[Udf, str] = field(default_factory=dict)
    signed: tuple[int, ...] = ()

    def has_debtor(self, account: str) -> bool:
        """Tell whether something is to be done for this member's sake."""
        return account in (*self.online, *self.group_key, *self.escrow.values())

    def words(self) -> Iterator[str]:
        """Tell what is left to do, and which command does it."""
        name = self.state.name
        rekey, by = f"recrypt rekey {name}", "by a SUPER who has the master key"
        if self.online:
            yield f"{_listed(self.online)} can still sign for the group {name}: {rekey}, {by}"
        if self.escrow:
            yield (
                f"{name} has escrow keys of {_listed(self.escrow.values())}, whom all its keys are "
                f"sealed to: {rekey}, {by}, ends that"
            )
        if self.group_key:
            yield f"{_listed(self.group_key)} can still read what {name} is sent: {rekey}"
        if self.master:
            yield (
                f"{_listed(self.master)} had the master key of {name}, as every SUPER and owner of "
                "an escrow key has, for good: only a new group ends that. Until then look at "
                f"recrypt history {name} for changes by the group itself"
            )
        if self.signed:
            first, last = min(self.signed), max(self.signed)
            yield (
                f"{len(self.signed)} changes of {name}, from {first} to {last}, are signed by its "
                "online key while others had it who administer it no more: look at them with "
                f"recrypt history {name}, and undo what you don't want"
            )


class Ledger:
    """Follows a chain, and remembers which devices were given, or could make, which keys."""

    def __init__(self) -> None:
        self._before: GroupState | None = None
        self._rulers: dict[Udf, Member] = {}
        self._owners: dict[str | None, Udf] = {}
        self._escrow: set[str | None] = set()
        self._has: dict[Udf, frozenset[str | None]] = {}
        self._signed: list[int] = []

    def enter(self, state: GroupState, change: Change) -> None:
        """Take one more change, and the state after it."""
        before, self._before = self._before, state
        makers = frozenset[str | None]()
        if before is not None and (makers := self._debtors(before, change.request.signer)):
            is_online = change.request.signer != state.identifier
            self._signed += [state.head.seq] if is_online else []
        is_other = self._seat(state, change)
        if is_other or isinstance(change.message, CreateGroup | UpdateGroup):
            self._escrow |= _escrow_keys(state)
            self._has = {
                udf: self._has.get(udf, makers) | self._given(state, udf) | _sealed(state, udf)
                for udf in _private_keys(state)
            }

    def owed(self, state: GroupState) -> Owed:
        """Tell what is left to do in the group's last state."""
        online = {each.udf for each in state.master.profile.online_signature_keys}
        return Owed(
            state,
            online=self._names(state, *online),
            group_key=self._names(state, state.key.udf),
            master=self._names(state, state.identifier),
            escrow=self._escrow_owed(state),
            signed=tuple(self._signed),
        )

    def _seat(self, state: GroupState, change: Change) -> bool:
        """Follow who administers the group; tell whether a change is about one of them."""
        is_other = False
        for udf in _named(change):
            member = state.members[udf]
            if rules(member):
                self._rulers[udf] = member
                self._owners |= dict.fromkeys(_devices(member), udf)
                is_other = True
            elif self._rulers.pop(udf, None):
                is_other = True
        return is_other

    def _given(self, state: GroupState, udf: Udf) -> frozenset[str | None]:
        """Give the devices that a private key is for: the master key is for SUPER alone."""
        powers = (
            {Privilege.SUPER} if udf == state.identifier else {Privilege.ADMIN, Privilege.SUPER}
        )
        rulers = (each for each in self._rulers.values() if each.may(*powers))
        return frozenset(
            {*_escrow_keys(state), *(key for each in rulers for key in _devices(each))}
        )

    def _debtors(self, state: GroupState, udf: Udf) -> frozenset[str | None]:
        """Give the devices that have a private key and aren't to have it."""
        if udf not in self._has:
            return frozenset()
        return self._has[udf] - (self._given(state, udf) - self._escrow_owed(state).keys())

    def _names(self, state: GroupState, *keys: Udf) -> tuple[str, ...]:
        debtors = {device for udf in keys for device in self._debtors(state, udf)}
        escrow = dict[str | None, str](self._escrow_owed(state).items())
        return tuple(sorted({escrow.get(each) or self._name(state, each) for each in debtors}))

    def _name(self, state: GroupState, device: str | None) -> str:
        owner = self._owners.get(device)
        if owner is None:
            return "the owner of a former escrow key" if device in self._escrow else NOBODY
        member = state.members[owner]
        if rules(member) and device not in _devices(member):
            return f"a device that {member.account} has no more"
        return member.account

    def _escrow_owed(self, state: GroupState) -> dict[Udf, str]:
        """Find the escrow keys of who administers the group no more, or isn't ACTIVE in it."""
        keys = _escrow_keys(state)
        rightful = {key for each in self._rulers.values() for key in _devices(each)}
        gone = {
            key: each.account
            for each in state.members.values()
            if not each.is_active
            for key in keys.intersection(_devices(each))
        }
        had = {key: self._name(state, key) for key in keys if key in self._owners}
        return {key: name for key, name in {**gone, **had}.items() if key not in rightful}


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


def rules(member: Member) -> bool:
    """Tell whether a member administers the group now."""
    return member.may(Privilege.ADMIN, Privilege.SUPER)


def _named(change: Change) -> Iterator[Udf]:
    """Give the members whose entries a change states."""
    match change.message:
        case CreateGroup():
            yield from (each.recrypt_udf for each in change.message.recryption_group.members)
        case AddMember() | UpdateMember():
            yield from (each.recrypt_udf for each in change.message.member_entry)


def _private_keys(state: GroupState) -> Iterator[Udf]:
    """Name the private keys that a group has now, the master key among them."""
    yield state.key.udf
    yield from (key.udf for key in state.master.signature_keys)


def _sealed(state: GroupState, udf: Udf) -> frozenset[str | None]:
    """Give what AdministratorKeys say that a private key is sealed to."""
    return sharing.kids(state, sharing.MASTER if udf == state.identifier else sharing.KEYS)


def _escrow_keys(state: GroupState) -> frozenset[Udf]:
    return frozenset(key.udf for key in state.master.profile.master_escrow_keys)


def _devices(member: Member) -> frozenset[Udf]:
    return frozenset(key.udf for key in member.profile.profile.encryption_keys)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
