"""Flows of who administers: members added, removed, suspended, resumed, sent what they missed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from recrypt_client import chains, claims, custody, entries, escrows
from recrypt_client.chains import Desk
from recrypt_client.changing import Pace, change_members
from recrypt_client.entries import Made
from recrypt_client.errors import Trouble, about
from recrypt_client.home import Home
from recrypt_core.chain import GroupState
from recrypt_core.documents import Privilege, Status, VerifiedProfile
from recrypt_core.errors import Malformed
from recrypt_core.keys import PrivateKey
from recrypt_core.mailboxes import folded
from recrypt_core.members import Member, check_not_ahead
from recrypt_core.messages import AddMember, Redeliver, RedeliverResponse, UpdateMember
from recrypt_core.policy import History
from recrypt_core.udf import TYPED_LENGTH, Udf, bare, read_typed

POWERS: Final = frozenset({Privilege.ADMIN, Privilege.SUPER})
"""The privileges of who administers a group."""


@dataclass(frozen=True, slots=True)
class Terms:
    """As what members are added; each with its first Account, unless `accounts` has another.

    again: Who is REVOKED is no obstacle, and left for `readmit`.
    """

    privileges: tuple[Privilege, ...] = (Privilege.RECRYPT,)
    status: Status = Status.ACTIVE
    accounts: Mapping[Udf, str] = field(default_factory=dict)
    again: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a command on members.

    Attributes:
        state: The group after it.
        changed: The AccountNames of those whom it changed.
        skipped: The AccountNames of those who were as asked already.
        known: Those of the changed who were to be added, and were members before.
    """

    state: GroupState
    changed: tuple[str, ...]
    skipped: tuple[str, ...]
    known: frozenset[str] = frozenset()

    def then(self, state: GroupState, people: Iterable[VerifiedProfile]) -> "Outcome":
        """Tell what came of it and of what followed, in which newer profiles were taken in."""
        taken = {
            state.members[each.identifier].account: None
            for each in people
            if state.members[each.identifier].profile != self.state.members[each.identifier].profile
        }
        left = tuple(each for each in self.skipped if each not in taken)
        changed = tuple(dict.fromkeys((*self.changed, *taken)))
        return Outcome(state, changed, left, self.known | {*taken} - {*self.changed})


@dataclass(frozen=True, slots=True)
class Redelivery:
    """How many posts a member of a group is sent late; and since when it is stopped, if so."""

    state: GroupState
    account: str
    posts: int
    stopped: datetime | None = None


def add(desk: Desk, profiles: Sequence[VerifiedProfile], terms: Terms, pace: Pace) -> Outcome:
    """Add members, in as many changes as they take; who is a member already is skipped.

    A newer profile of such a member is `refreshing`'s to take in.

    But one who is to administer the group, and doesn't yet, is given what that takes: the
    privileges, and the group's private keys in AdministratorKeys (spec §4).

    Raises:
        Trouble: if one of them was a member before, or lists a key of another's, or the service
            doesn't take it.
    """
    named = {each.identifier: each for each in profiles}
    for each in profiles:
        with about(_account(each)):
            check_not_ahead(each, pace.clock())

    def write(state: GroupState) -> Iterator[Made]:
        keys = _keys(desk.home, state)
        out = [each for each in named.values() if not _is_in(state, each, terms)]
        _check_claims(desk, state, out)
        for each in (one for one in out if one.identifier not in state.members):
            yield entries.member(
                each,
                *keys,
                privileges=terms.privileges,
                status=terms.status,
                account=terms.accounts.get(each.identifier),
            )

    def promote(state: GroupState) -> Iterator[Made]:
        gaining = [state.members[udf] for udf in named if _gained(state.members[udf], terms)]
        _check_claims(desk, state, [each.profile for each in gaining])
        for each in gaining:
            privileges = (*each.entry.privileges, *_gained(each, terms))
            revised = entries.revised(each.entry, each.entry.status, privileges=privileges)
            yield Made(revised, {})

    state, added = change_members(desk, AddMember, write, pace)
    changed = added
    if any(_gained(state.members[udf], terms) for udf in named):
        state, promoted = change_members(desk, UpdateMember, promote, pace, state=state)
        changed = added | promoted
    done = _outcome(custody.share(desk, state, pace), named, changed)
    return replace(done, known=frozenset(state.members[udf].account for udf in changed - added))


def readmit(
    desk: Desk,
    profiles: Sequence[VerifiedProfile],
    accounts: Mapping[Udf, str],
    pace: Pace,
    *,
    state: GroupState | None = None,
) -> Outcome:
    """Let those of these in anew who are REVOKED, with RECRYPT alone and their latest profiles.

    Nothing of what they had is made anew: a device that is gone gets no entry on the way.

    Raises:
        Trouble: if one lists a key of another's, or its latest profile hasn't the address any more;
            or the service doesn't take it.
    """
    named = {each.identifier: each for each in profiles}

    def write(state: GroupState) -> Iterator[Made]:
        keys = _keys(desk.home, state)
        out = [udf for udf in named if state.members[udf].entry.status is Status.REVOKED]
        latest = {udf: _later(named[udf], state.members[udf].profile) for udf in out}
        _check_claims(desk, state, [*latest.values()])
        for udf, profile in latest.items():
            yield _anew(state.members[udf], profile, accounts[udf], keys)

    state, changed = change_members(desk, UpdateMember, write, pace, state=state)
    return _outcome(custody.share(desk, state, pace), named, changed)


def set_status(
    desk: Desk,
    who: Sequence[str],
    status: Status,
    pace: Pace,
    *,
    state: GroupState | None = None,
) -> Outcome:
    """Revoke, suspend or resume members, named by address or fingerprint (D§4.5, spec §4).

    Resuming makes the entries that are missing, and turns mail on again that the service has
    turned off after bounces: to restate an entry as it is does so (spec §6). Who is revoked comes
    back with RECRYPT alone.

    Raises:
        Trouble: if one of them isn't a member, or would be served again and lists a key of
            another's, or the service doesn't take it.
    """
    named: dict[Udf, Member] = {}

    def write(state: GroupState) -> Iterator[Made]:
        directory = Directory(state)
        found = [directory.find(one) for one in who]
        named.update({each.profile.identifier: each for each in found})
        key = custody.group_key(desk.home, state) if status is Status.ACTIVE else None
        if status is Status.ACTIVE:
            _check_claims(desk, state, [each.profile for each in found if not each.is_active])
        off = _mail_off(desk, state, named, status, now=pace.clock())
        for udf in [*named]:
            if udf in off or _needs(state.members[udf], state, status):
                yield _with_status(state.members[udf], status, key)

    after, changed = change_members(desk, UpdateMember, write, pace, state=state)
    return _outcome(custody.share(desk, after, pace), named, changed)


def redeliver(desk: Desk, who: str, since: datetime, *, now: datetime) -> Redelivery:
    """Have a member sent what the group had since then, from what the service keeps (spec §6).

    Raises:
        Trouble: if it is no member who is served, or the service doesn't do it.
    """
    state = chains.current(desk, now=now)
    member = Directory(state).find(who)
    if not member.may(Privilege.RECRYPT):
        raise Trouble(
            f"{member.account} is not ACTIVE with RECRYPT in {state.name}",
            f"Resume the member first, with recrypt resume {state.name} {member.account}",
        )
    request = Redeliver(
        group_id=state.identifier, recrypt_udf=member.profile.identifier, since=since
    )
    answer = chains.ask(desk, request, RedeliverResponse, now=now)
    stopped = next(chains.asides(desk, state, now=now)).stopped
    return Redelivery(state, member.account, answer.posts, stopped)


def told_stopped(group: str, since: datetime) -> str:
    """Say what it means that a list's operator has stopped it."""
    return (
        f"{group} is stopped by its operator since {since:%Y-%m-%d %H:%M} UTC: it takes no posts "
        "and sends none until it goes on, and nothing is lost. Ask the operator"
    )


class Directory:
    """A group's members by address and fingerprint, so that many are found in one pass."""

    def __init__(self, state: GroupState) -> None:
        self._group = state.name
        self._found: dict[str, list[Member]] = {}
        for udf, each in state.members.items():
            for key in (folded(each.account), bare(udf)[:TYPED_LENGTH]):
                self._found.setdefault(key, []).append(each)

    def find(self, who: str) -> Member:
        """Find the one member of an address or typed fingerprint.

        Raises:
            Trouble: if there is none, or more than one.
        """
        key = folded(who) if "@" in who else _read_typed(who)[:TYPED_LENGTH]
        found = [
            each
            for each in self._found.get(key, ())
            if is_named(each.account, each.profile.identifier, who)
        ]
        if not found:
            raise Trouble(
                f"{who} is no member of {self._group}",
                f"See who is with recrypt members {self._group}",
            )
        if len(found) > 1:
            prints = ", ".join(each.profile.identifier for each in found)
            raise Trouble(
                f"{who} names {len(found)} members of {self._group}: {prints}",
                "Name the one you mean by its fingerprint",
            )
        return found[0]


def account_of(state: GroupState, udf: Udf) -> str | None:
    """Name a member as the verified chain does; None for whom the service has made up."""
    member = state.members.get(udf)
    return None if member is None else member.account


def is_named(account: str, identifier: Udf, who: str) -> bool:
    """Tell whether a person meant this one, by address or typed fingerprint.

    Raises:
        Trouble: if it is neither.
    """
    if "@" in who:
        return folded(account) == folded(who)
    return bare(identifier).startswith(_read_typed(who))


def _read_typed(who: str) -> str:
    try:
        return read_typed(who)
    except Malformed as problem:
        raise Trouble(f"{who}: {problem}", "Name members by address or fingerprint") from problem


def _outcome(state: GroupState, named: Iterable[Udf], changed: set[Udf]) -> Outcome:
    accounts = {udf: state.members[udf].account for udf in named}
    return Outcome(
        state,
        tuple(account for udf, account in accounts.items() if udf in changed),
        tuple(account for udf, account in accounts.items() if udf not in changed),
    )


def _is_in(state: GroupState, profile: VerifiedProfile, terms: Terms) -> bool:
    member = state.members.get(profile.identifier)
    if member is not None and terms.again and member.entry.status is Status.REVOKED:
        return False
    if member is not None and not member.is_active:
        raise Trouble(
            f"{_account(profile)} is {member.entry.status.value} in {state.name}",
            f"Use recrypt resume {state.name} {_account(profile)}",
        )
    return member is not None


def _needs(member: Member, state: GroupState, status: Status) -> bool:
    """Tell whether a member isn't yet as asked; one without entries is not quite ACTIVE."""
    if member.entry.status is not status:
        return True
    return status is Status.ACTIVE and member.entry_for(state.key.udf) is None


def _mail_off(
    desk: Desk, state: GroupState, named: Iterable[Udf], status: Status, *, now: datetime
) -> frozenset[Udf]:
    """Find to whom mail is off of those who'd be passed over; the others are changed anyway."""
    if status is Status.ACTIVE and not all(
        _needs(state.members[udf], state, status) for udf in named
    ):
        return chains.undeliverable(desk, state, now=now)
    return frozenset()


def _with_status(member: Member, status: Status, key: PrivateKey | None) -> Made:
    is_out = Status.REVOKED in (status, member.entry.status)
    privileges = (Privilege.RECRYPT,) if is_out and has_powers(member) else None
    if key is None or member.entry_for(key.public.udf) is not None:
        return Made(entries.revised(member.entry, status, privileges=privileges), {})
    made = entries.split_for(member.profile, member.account, key)
    every = (*member.entry.entries, *made.entry.entries)
    revised = entries.revised(member.entry, status, privileges=privileges, entries=every)
    return Made(revised, made.halves)


def _anew(
    member: Member, profile: VerifiedProfile, account: str, keys: Sequence[PrivateKey]
) -> Made:
    """Make the entry of one who comes back as it would be of a new member; its quotas stay."""
    if account not in profile.profile.accounts:
        raise Trouble(
            f"{account} is no Account of the latest profile of {profile.identifier}",
            "Nothing was done for it: ask the member",
        )
    made = entries.split_for(profile, account, *keys)
    entry = entries.revised(
        member.entry.addressed(account),
        Status.ACTIVE,
        privileges=(Privilege.RECRYPT,),
        profile=profile.signed,
        entries=made.entry.entries,
    )
    return Made(entry, made.halves)


def _later(one: VerifiedProfile, other: VerifiedProfile) -> VerifiedProfile:
    return max(one, other, key=lambda each: each.profile.updated)


def has_powers(member: Member) -> bool:
    """Tell whether it administers the group, or did until it was suspended."""
    return not POWERS.isdisjoint(member.entry.privileges)


def _check_claims(desk: Desk, state: GroupState, profiles: Sequence[VerifiedProfile]) -> None:
    if profiles:
        claims.Claims(state, escrows.owners(desk.home, state.name)).check(profiles)


def _keys(home: Home, state: GroupState) -> tuple[PrivateKey, ...]:
    """Give the group keys that a new member gets entries for: `history` = all: past ones too."""
    current = custody.group_key(home, state)
    if state.policy.history is not History.ALL:
        return (current,)
    return custody.take(home, state).agreement


def _gained(member: Member, terms: Terms) -> tuple[Privilege, ...]:
    """Find what a member may do from now on, if it is to administer the group."""
    if POWERS.isdisjoint(terms.privileges) or not member.is_active:
        return ()
    return tuple(each for each in terms.privileges if each not in member.entry.privileges)


def _account(profile: VerifiedProfile) -> str:
    return profile.profile.accounts[0]
