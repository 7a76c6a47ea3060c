"""The flow of members' newer profiles: their entries are split anew, for the devices of now.

The service only hands the profiles on (spec §6, GetGroup). Each is signed by the master key that
the member's fingerprint names, is later than the chain's, and not older than one seen here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from recrypt_client import chains, contacts, custody, entries, escrows
from recrypt_client.administering import Outcome, has_powers
from recrypt_client.chains import Aside, Desk
from recrypt_client.changing import Pace, change_members
from recrypt_client.claims import Claims
from recrypt_client.entries import Made
from recrypt_client.errors import about
from recrypt_core.chain import GroupState
from recrypt_core.documents import Status, VerifiedProfile, verified_profile
from recrypt_core.errors import Malformed, NotAuthentic
from recrypt_core.keys import PrivateKey
from recrypt_core.members import Member, check_not_ahead
from recrypt_core.messages import UpdateMember
from recrypt_core.udf import Udf


@dataclass(frozen=True, slots=True)
class Refresh:
    """What came of a refresh.

    Attributes:
        outcome: Who was changed.
        waiting: Whose newer profile can't be taken in, and why.
        lost: Who administers the group and has a device no more that had the group's keys.
    """

    outcome: Outcome
    waiting: tuple[str, ...]
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Beside:
    """What is known of members beside the newer profiles that the service hands on.

    Attributes:
        profiles: Of them; those that are newer are taken in too.
        accounts: Where members have proven that their mail is to go from now on (spec §6).
        back: Who is about to be resumed: theirs are taken in too where they are REVOKED.
    """

    profiles: Sequence[VerifiedProfile] = ()
    accounts: Mapping[Udf, str] = field(default_factory=dict)
    back: frozenset[Udf] = frozenset()


NOTHING: Final = Beside()


def newer(state: GroupState, pages: Iterable[Aside]) -> dict[Udf, VerifiedProfile]:
    """Read the members' newer profiles; what is no newer one of a member is passed over.

    Raises:
        Trouble: if one breaks the format, or its own master key didn't sign it.
    """
    with about(f"a newer profile of a member of {state.name}"):
        shown = [verified_profile(each) for page in pages for each in page.newer_profiles]
    return _latest(state, shown)


def refresh(desk: Desk, state: GroupState, pace: Pace, *, beside: Beside = NOTHING) -> Refresh:
    """Take the newer profiles into the chain, with fresh splits where devices changed (D§3.6).

    Args:
        desk: The administrator.
        state: The group, verified just now.
        pace: The time.
        beside: What came by another way than the service.

    Raises:
        Trouble: if a profile isn't what it has to be, or the service doesn't take the change.
    """
    accounts = beside.accounts
    shown = newer(state, chains.asides(desk, state, now=pace.clock()))
    found = _latest(state, (*shown.values(), *beside.profiles))
    found |= {
        udf: state.members[udf].profile
        for udf, account in accounts.items()
        if udf not in found and udf in state.members and account != state.members[udf].account
    }
    waiting = _waiting(desk, state, found, beside, now=pace.clock())
    named = [udf for udf in found if udf not in waiting]
    if not named:
        return Refresh(Outcome(state, (), ()), tuple(waiting.values()))
    custody.group_key(desk.home, state)  # without it all entries would end

    def write(state: GroupState) -> Iterator[Made]:
        keys = {key.public.udf: key for key in custody.take(desk.home, state).agreement}
        for member in (state.members[udf] for udf in named):
            profile = found[member.profile.identifier]
            account = accounts.get(profile.identifier, member.account)
            is_newer = member.profile.profile.updated < profile.profile.updated
            if is_newer or account != member.account:
                yield _renewed(member, profile, account, keys)

    after, changed = change_members(desk, UpdateMember, write, pace, state=state)
    renewed = tuple(after.members[udf].account for udf in named if udf in changed)
    outcome = Outcome(custody.share(desk, after, pace), renewed, ())
    lost = tuple(
        after.members[udf].account
        for udf in named
        if has_powers(after.members[udf])
        and _devices(state.members[udf].profile) - _devices(found[udf])
    )
    return Refresh(outcome, tuple(waiting.values()), lost)


def _latest(state: GroupState, profiles: Iterable[VerifiedProfile]) -> dict[Udf, VerifiedProfile]:
    """Choose the latest profile of each member that is later than the chain's."""
    found: dict[Udf, VerifiedProfile] = {}
    for profile in profiles:
        member = state.members.get(profile.identifier)
        if member is None:
            continue
        known = found.get(profile.identifier, member.profile)
        if known.profile.updated < profile.profile.updated:
            found[profile.identifier] = profile
    return found


def _waiting(
    desk: Desk,
    state: GroupState,
    found: Mapping[Udf, VerifiedProfile],
    beside: Beside,
    *,
    now: datetime,
) -> dict[Udf, str]:
    """Tell why newer profiles can't be taken in, of those that can't."""
    if not found:
        return {}
    claims = Claims(state, escrows.owners(desk.home, state.name))
    obstacles = {}
    for udf, profile in found.items():
        member = state.members[udf]
        account = beside.accounts.get(udf, member.account)
        is_out = member.entry.status is Status.REVOKED and udf not in beside.back
        why = _is_revoked(member) if is_out else None
        why = why or _obstacle(desk, member, profile, account, now=now)
        obstacles[udf] = why or claims.obstacle(profile)
    return {udf: why for udf, why in obstacles.items() if why is not None}


def _is_revoked(member: Member) -> str:
    return f"{member.account} is REVOKED: the newer profile waits for recrypt resume"


def _obstacle(
    desk: Desk, member: Member, profile: VerifiedProfile, account: str, *, now: datetime
) -> str | None:
    if account not in profile.profile.accounts:
        return f"{account} is no Account of the member's newer profile: ask the member"
    if not profile.profile.encryption_keys:
        return f"{member.account}: the newer profile has no EncryptionKeys: ask the member"
    try:
        check_not_ahead(profile, now)
        contacts.see(desk.home, profile)
    except (Malformed, NotAuthentic) as problem:
        return f"{member.account}: {problem}: ask the member to publish the latest one"
    return None


def _renewed(
    member: Member, profile: VerifiedProfile, account: str, keys: dict[Udf, PrivateKey]
) -> Made:
    """Split anew every entry whose group key is here, if the devices are others; the rest ends.

    That of a key that isn't here can't be split, and must not stay: a lost device could read on.
    """
    entry = member.entry if account == member.account else member.entry.addressed(account)
    if _devices(member.profile) == _devices(profile):
        same = entries.revised(entry, entry.status, profile=profile.signed)
        return Made(same, {})
    had = [each.encryption_key_udf for each in entry.entries]
    made = entries.split_for(profile, account, *(keys[udf] for udf in had if udf in keys))
    revised = entries.revised(
        entry,
        entry.status,
        profile=profile.signed,
        entries=made.entry.entries,
    )
    return Made(revised, made.halves)


def _devices(profile: VerifiedProfile) -> set[Udf]:
    return {key.udf for key in profile.profile.encryption_keys}
