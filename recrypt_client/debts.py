"""Who has private keys of a group and isn't to have them any more (spec §6, Removing).

Nobody forgets a key that was sealed to them, and whoever made a key knows it. So a key is owed
until the group has another one, which no debtor can have made: the chain tells it all, and it
doesn't matter who begins to pay, where it is cut off, and who goes on.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias

from recrypt_client import chains, claims, escrows, sharing
from recrypt_client.chains import Desk
from recrypt_core.chain import Change, GroupState
from recrypt_core.documents import Privilege
from recrypt_core.members import Member
from recrypt_core.messages import AddMember, CreateGroup, UpdateGroup, UpdateMember
from recrypt_core.udf import Udf

Holder: TypeAlias = tuple[Udf | None, str | None]
"""Whose device, and its EncryptionKey's kid; None stands for who isn't known, and for no kid."""

NOBODY: Final = "somebody who was no administrator"


@dataclass(frozen=True, slots=True)
class Owed:
    """What is left to do in a group, and for whose sake, in words.

    Attributes:
        state: The group as its chain says it is.
        online: Who has an online key of its Master.
        group_key: Who has its current private key.
        master: Who has the master key, for good: only another group ends that.
        escrow: Its escrow keys that aren't to be any more, and whose they are: as it was said here
            when they were named, for anybody may list a public key.
        doubtful: Its escrow keys of which it wasn't, and who lists them and isn't served.
        shared: Keys that stand in several profiles, and in whose.
        signed: Changes that an online key has signed while a debtor had it.
    """

    state: GroupState
    online: tuple[str, ...] = ()
    group_key: tuple[str, ...] = ()
    master: tuple[str, ...] = ()
    escrow: Mapping[Udf, str] = field(default_factory=dict)
    doubtful: Mapping[Udf, str] = field(default_factory=dict)
    shared: Mapping[Udf, str] = field(default_factory=dict)
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
        for udf, who in self.doubtful.items():
            yield (
                f"{who} lists the escrow key {claims.short(udf)} of {name}. Whose it is wasn't "
                f"said here: recrypt escrow {name} PROFILE.json --out FILE says it, with all who "
                f"are to own one; if it is theirs, with others, and then {rekey}"
            )
        yield from (claims.told(udf, whose) for udf, whose in self.shared.items())
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
    """Follows a chain, and remembers which devices were given, or could make, which keys.

    A device counts as its owner's: another's profile that lists it too pays no debt.
    """

    def __init__(self, named: Mapping[Udf, Udf]) -> None:
        self._named = named  # whose escrow keys are
        self._before: GroupState | None = None
        self._rulers: dict[Udf, Member] = {}
        self._ruled: set[Udf] = set()  # who ever did
        self._owners: defaultdict[str | None, set[Udf]] = defaultdict(set)  # who ever ruled
        self._escrow: set[str | None] = set()
        self._has: dict[Udf, frozenset[Holder]] = {}
        self._signed: list[int] = []

    def enter(self, state: GroupState, change: Change) -> None:
        """Take one more change, and the state after it."""
        before, self._before = self._before, state
        makers = frozenset[Holder]()
        if before is not None and (makers := self._debtors(before, change.request.signer)):
            is_online = change.request.signer != state.identifier
            self._signed += [state.head.seq] if is_online else []
        is_other = self._seat(state, change)
        if is_other or isinstance(change.message, CreateGroup | UpdateGroup):
            self._escrow |= _escrow_keys(state)
            self._has = {
                udf: self._has.get(udf, makers) | self._given(state, udf) | self._sealed(state, udf)
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
            doubtful=self._doubtful(state),
            shared=claims.shared(state, self._named, past=self._ruled),
            signed=tuple(self._signed),
        )

    def _seat(self, state: GroupState, change: Change) -> bool:
        """Follow who administers the group; tell whether a change is about one of them."""
        is_other = False
        for udf in _named(change):
            member = state.members[udf]
            if rules(member):
                self._rulers[udf] = member
                self._ruled.add(udf)
                for device in _devices(member):
                    self._owners[device].add(udf)
                is_other = True
            elif self._rulers.pop(udf, None):
                is_other = True
        return is_other

    def _given(self, state: GroupState, udf: Udf) -> frozenset[Holder]:
        """Give the devices that a private key is for: the master key is for SUPER alone."""
        powers = (
            {Privilege.SUPER} if udf == state.identifier else {Privilege.ADMIN, Privilege.SUPER}
        )
        rulers = (each for each in self._rulers.items() if each[1].may(*powers))
        return frozenset(
            {
                *map(self._in_escrow, _escrow_keys(state)),
                *((who, key) for who, each in rulers for key in _devices(each)),
            }
        )

    def _sealed(self, state: GroupState, udf: Udf) -> frozenset[Holder]:
        """Give the devices that AdministratorKeys say that a private key is sealed to."""
        cty = sharing.MASTER if udf == state.identifier else sharing.KEYS
        return frozenset(one for kid in sharing.kids(state, cty) for one in self._holders(kid))

    def _holders(self, kid: str | None) -> Iterator[Holder]:
        """Give whose device this is: of who administers the group, else of who did."""
        owners = self._owners.get(kid, ())
        rulers = [who for who in owners if who in self._rulers and self._has_device(who, kid)]
        if rulers or (owners and kid not in self._escrow):
            yield from ((who, kid) for who in rulers or owners)
        else:
            yield self._in_escrow(kid)

    def _has_device(self, who: Udf, kid: str | None) -> bool:
        return kid in _devices(self._rulers[who])

    def _in_escrow(self, kid: str | None) -> Holder:
        return (None if kid is None else self._named.get(Udf(kid)), kid)

    def _debtors(self, state: GroupState, udf: Udf) -> frozenset[Holder]:
        """Give the devices that have a private key and aren't to have it."""
        if udf not in self._has:
            return frozenset()
        owed = {self._in_escrow(key) for key in self._escrow_owed(state)}
        return self._has[udf] - (self._given(state, udf) - owed)

    def _names(self, state: GroupState, *keys: Udf) -> tuple[str, ...]:
        debtors = {one for udf in keys for one in self._debtors(state, udf)}
        return tuple(sorted({self._name(state, *each) for each in debtors}))

    def _name(self, state: GroupState, owner: Udf | None, device: str | None) -> str:
        member = None if owner is None else state.members.get(owner)
        if owner is None or member is None:
            return "the owner of a former escrow key" if device in self._escrow else NOBODY
        if self._is_seated(member) and device not in _devices(member):
            return f"a device that {member.account} has no more"
        return member.account

    def _escrow_owed(self, state: GroupState) -> dict[Udf, str]:
        """Find the escrow keys of who administers the group no more, or isn't ACTIVE in it.

        Of a device too that its owner has no more. What others list counts for nothing.
        """
        found: dict[Udf, str] = {}
        for key in _escrow_keys(state):
            owner = self._named.get(key)
            member = None if owner is None else state.members.get(owner)
            if member is not None and not (self._is_seated(member) and key in _devices(member)):
                found[key] = self._name(state, owner, key)
        return found

    def _doubtful(self, state: GroupState) -> dict[Udf, str]:
        """Find the escrow keys of unknown owners that one lists who isn't to have them."""
        unknown = _escrow_keys(state) - self._named.keys()
        listed = {
            key: each.account
            for each in state.members.values()
            if not self._is_seated(each)
            for key in unknown.intersection(_devices(each))
        }
        had = {
            key: self._name(state, owner, key)
            for key in unknown
            for owner in self._owners.get(key, ())
            if not rules(state.members[owner]) or key not in _devices(state.members[owner])
        }
        return {**had, **listed}

    def _is_seated(self, member: Member) -> bool:
        """Tell whether a member is served, and administers the group if it ever did."""
        was_ruler = member.profile.identifier in self._ruled
        return rules(member) if was_ruler else member.is_active


def owed(desk: Desk, *, now: datetime) -> Owed:
    """Find in the group's history what is left to do.

    Raises:
        Trouble: as `chains.walk`.
    """
    ledger = Ledger(escrows.owners(desk.home, desk.pin.group_name))
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


def _escrow_keys(state: GroupState) -> frozenset[Udf]:
    return frozenset(key.udf for key in state.master.profile.master_escrow_keys)


def _devices(member: Member) -> frozenset[Udf]:
    return frozenset(key.udf for key in member.profile.profile.encryption_keys)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
