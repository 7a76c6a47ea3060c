"""Flows of who administers: members added, removed, suspended, resumed (spec §4 to §6)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from recrypt_client import chains, entries
from recrypt_client.chains import Desk
from recrypt_client.entries import Made
from recrypt_client.errors import ServiceRefused, Trouble
from recrypt_client.home import Home
from recrypt_core.chain import GroupState, Member
from recrypt_core.documents import Privilege, Status, VerifiedProfile
from recrypt_core.errors import Malformed
from recrypt_core.keys import PrivateKey
from recrypt_core.messages import AddMember, UpdateMember
from recrypt_core.udf import Udf, typed_matches

Progress: TypeAlias = Callable[[int], None]
"""Is told how many members more are done."""


@dataclass(frozen=True, slots=True)
class Terms:
    """As what members are added."""

    privileges: tuple[Privilege, ...] = (Privilege.RECRYPT,)
    status: Status = Status.ACTIVE


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a command on members.

    Attributes:
        state: The group after it.
        changed: The AccountNames of those whom it changed.
        skipped: The AccountNames of those who were as asked already.
    """

    state: GroupState
    changed: tuple[str, ...]
    skipped: tuple[str, ...]


def add(
    desk: Desk,
    profiles: Sequence[VerifiedProfile],
    terms: Terms,
    *,
    now: datetime,
    progress: Progress,
) -> Outcome:
    """Add members, in as many changes as they take; who is a member already is skipped.

    Raises:
        Trouble: if one of them was a member before, or the service doesn't take it.
    """
    named = {each.identifier: each for each in profiles}

    def write(state: GroupState) -> Iterator[Made]:
        key = group_key(desk.home, state)
        for each in [each for each in named.values() if not _is_in(state, each)]:
            yield entries.member(each, key, privileges=terms.privileges, status=terms.status)

    state, changed = _carry_out(desk, AddMember, write, now=now, progress=progress)
    return _outcome(state, named, changed)


def set_status(
    desk: Desk, who: Sequence[str], status: Status, *, now: datetime, progress: Progress
) -> Outcome:
    """Revoke, suspend or resume members, named by address or fingerprint (D§4.5, spec §4).

    Resuming makes the entries that are missing.

    Raises:
        Trouble: if one of them isn't a member, or the service doesn't take it.
    """
    named: dict[Udf, Member] = {}

    def write(state: GroupState) -> Iterator[Made]:
        named.update({each.profile.identifier: each for each in (find(state, one) for one in who)})
        key = group_key(desk.home, state) if status is Status.ACTIVE else None
        for each in [state.members[udf] for udf in named]:
            if _needs(each, state, status):
                yield _with_status(each, status, key)

    state, changed = _carry_out(desk, UpdateMember, write, now=now, progress=progress)
    return _outcome(state, named, changed)


def find(state: GroupState, who: str) -> Member:
    """Find the one member of an address or typed fingerprint.

    Raises:
        Trouble: if there is none, or more than one.
    """
    found = [each for each in state.members.values() if _is_named(each, who)]
    if not found:
        raise Trouble(
            f"{who} is no member of {state.name}", f"See who is with recrypt members {state.name}"
        )
    if len(found) > 1:
        prints = ", ".join(each.profile.identifier for each in found)
        raise Trouble(
            f"{who} names {len(found)} members of {state.name}: {prints}",
            "Name the one you mean by its fingerprint",
        )
    return found[0]


def group_key(home: Home, state: GroupState) -> PrivateKey:
    """Find the group's private key, which entries are split from.

    Raises:
        Trouble: if it isn't in this home.
    """
    key = home.agreement_key(state.key.udf)
    if key is None:
        raise Trouble(
            f"{home.root}: the private key of {state.name} isn't here",
            "Use the home of the administrator who has it, with --home",
        )
    return key


def _carry_out(
    desk: Desk,
    kind: type[AddMember | UpdateMember],
    write: Callable[[GroupState], Iterator[Made]],
    *,
    now: datetime,
    progress: Progress,
) -> tuple[GroupState, set[Udf]]:
    """Send what `write` makes of the group as it is; tell how it is then, and who was changed.

    If another administrator's change comes first, the rest is written anew on the group as that
    left it: entries that were made for an older state would undo what the other one did.
    """
    state = chains.current(desk, now=now)
    counted, changed = set[Udf](), set[Udf]()
    for is_last in (False, True):
        try:
            for batch in entries.batches(_counted(write(state), counted, progress)):
                state = _send(desk, state, kind, batch, now=now)
                changed |= {each.entry.recrypt_udf for each in batch}
            break
        except ServiceRefused as refusal:
            if is_last or not chains.is_conflict(refusal):
                raise
        state = chains.current(desk, now=now)
    return state, changed


def _counted(made: Iterable[Made], counted: set[Udf], progress: Progress) -> Iterator[Made]:
    """Tell of each member once, however often the entry is written."""
    for each in made:
        if each.entry.recrypt_udf not in counted:
            counted.add(each.entry.recrypt_udf)
            progress(1)
        yield each


def _send(
    desk: Desk,
    state: GroupState,
    kind: type[AddMember | UpdateMember],
    batch: Sequence[Made],
    *,
    now: datetime,
) -> GroupState:
    message = kind(
        recryption_group=state.identifier, member_entry=tuple(each.entry for each in batch)
    )
    halves = {udf: half for each in batch for udf, half in each.halves.items()}
    return chains.append(desk, state, message, halves=halves, now=now)


def _outcome(state: GroupState, named: Iterable[Udf], changed: set[Udf]) -> Outcome:
    accounts = {udf: state.members[udf].account for udf in named}
    return Outcome(
        state,
        tuple(account for udf, account in accounts.items() if udf in changed),
        tuple(account for udf, account in accounts.items() if udf not in changed),
    )


def _is_in(state: GroupState, profile: VerifiedProfile) -> bool:
    member = state.members.get(profile.identifier)
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


def _with_status(member: Member, status: Status, key: PrivateKey | None) -> Made:
    if key is None or member.entry_for(key.public.udf) is not None:
        return Made(entries.revised(member.entry, status), {})
    made = entries.split_for(member.profile, member.account, key)
    return Made(entries.revised(member.entry, status, fresh=made.entry.entries), made.halves)


def _is_named(member: Member, who: str) -> bool:
    if "@" in who:
        return _same_address(member.account, who)
    try:
        return typed_matches(who, member.profile.identifier)
    except Malformed as problem:
        raise Trouble(f"{who}: {problem}", "Name members by address or fingerprint") from problem


def _same_address(one: str, other: str) -> bool:
    """Compare addresses; only the domain is without case (RFC 5321 §2.4)."""
    (local, _, domain), (other_local, _, other_domain) = one.rpartition("@"), other.rpartition("@")
    return local == other_local and domain.lower() == other_domain.lower()


def _account(profile: VerifiedProfile) -> str:
    return profile.profile.accounts[0]
