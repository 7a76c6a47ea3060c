"""Keys that profiles list and that are another's: nobody proves that a public key is one's own.

Pure. Who lists another's key gains nothing that it opens or signs, but blurs who did and who has
what (spec §10). So such a profile isn't let in, and what stands in several is told.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from typing import Final

from recrypt_client.errors import Trouble
from recrypt_core.chain import GroupState
from recrypt_core.documents import Status, VerifiedProfile
from recrypt_core.udf import Udf

HINT: Final = (
    "Nothing was done. Ask all of them, by another way, whose it is: who lists a key of another's "
    "is the one to be removed"
)
_SHORT: Final = 11  # letters of a fingerprint: two groups, enough to find it by; ours
_NAMED: Final = 5  # who list one key, the others are counted; ours


class Claims:
    """Who claims which keys in a group; one whose claim is found good is taken in."""

    def __init__(self, state: GroupState, owners: Mapping[Udf, Udf]) -> None:
        self._state = state
        self._owners = owners
        self._own = _group_keys(state)
        self._escrow = {key.udf for key in state.master.profile.master_escrow_keys}
        self._holders: defaultdict[Udf, dict[Udf, str]] = defaultdict(dict)
        for each in state.members.values():
            if each.entry.status is not Status.REVOKED:
                self._take(each.profile, each.account)

    def check(self, profiles: Iterable[VerifiedProfile]) -> None:
        """Refuse profiles that list keys of others, and of each other.

        Raises:
            Trouble: if one does.
        """
        for each in profiles:
            if obstacle := self._obstacle(each, keys_of(each)):
                raise Trouble(obstacle, HINT)
            self._take(each, each.profile.accounts[0])

    def obstacle(self, newer: VerifiedProfile) -> str | None:
        """Tell whose key a member's newer profile lists, which the one before didn't."""
        before = keys_of(self._state.members[newer.identifier].profile)
        found = self._obstacle(newer, [udf for udf in keys_of(newer) if udf not in before])
        if found is None:
            self._take(newer, newer.profile.accounts[0])
        return found

    def _obstacle(self, profile: VerifiedProfile, keys: Iterable[Udf]) -> str | None:
        for udf in keys:
            if whose := self._whose(udf, profile.identifier):
                return f"{profile.profile.accounts[0]} lists the key {short(udf)}, {whose}"
        return None

    def _whose(self, udf: Udf, identifier: Udf) -> str | None:
        """Tell whose a key is; None if nobody else claims it."""
        name = self._state.name
        if udf in self._own:
            return f"which is {name}'s own"
        if udf in self._escrow and self._owners.get(udf) != identifier:
            return (
                f"an escrow key of {name} that wasn't named here as theirs. If it is: recrypt "
                f"escrow {name} PROFILE.json --out FILE, with all who own one, by a SUPER"
            )
        others = [who for each, who in self._holders.get(udf, {}).items() if each != identifier]
        return f"as does {_listed(others)}" if others else None

    def _take(self, profile: VerifiedProfile, account: str) -> None:
        for udf in keys_of(profile):
            self._holders[udf][profile.identifier] = account


def shared(state: GroupState, owners: Mapping[Udf, Udf], *, past: Container[Udf]) -> dict[Udf, str]:
    """Find the keys that stand in profiles of several, or are the group's, and tell whose.

    Those that only people list who aren't served are left out.

    Args:
        state: The group.
        owners: Whose its escrow keys are.
        past: Of whom it counts what they list, though they are REVOKED.
    """
    listed: defaultdict[Udf, list[Udf]] = defaultdict(list)
    for who, each in state.members.items():
        if each.entry.status is not Status.REVOKED or who in past:
            for udf in keys_of(each.profile):
                listed[udf].append(who)
    own = dict.fromkeys(_group_keys(state), f"{state.name} itself")
    for key in state.master.profile.master_escrow_keys:
        owner = owners.get(key.udf)
        if owner is not None and owner not in listed.get(key.udf, ()):
            own[key.udf] = f"the owner of an escrow key of {state.name}"
    return {
        udf: _listed([*(state.members[who].account for who in whose), *_one(own.get(udf))])
        for udf, whose in listed.items()
        if (len(whose) > 1 or udf in own) and any(state.members[who].is_active for who in whose)
    }


def told(udf: Udf, whose: str) -> str:
    """Say what it means that a key stands in several profiles."""
    return (
        f"the key {short(udf)} stands in the profiles of {whose}: whoever has it has what all of "
        "them may. Ask by another way whose it is; who only lists it has to publish a profile "
        "without it"
    )


def short(udf: Udf) -> str:
    """Give the beginning of a fingerprint, by which a person finds it; it proves nothing."""
    return f"{udf[:_SHORT]}…"


def keys_of(profile: VerifiedProfile) -> dict[Udf, None]:
    """Give the fingerprints of a profile's keys of both kinds, each once."""
    signature = (key.udf for key in profile.signature_keys)
    agreement = (key.udf for key in profile.profile.encryption_keys)
    return dict.fromkeys((*signature, *agreement))


def _group_keys(state: GroupState) -> set[Udf]:
    signature = (key.udf for key in state.master.signature_keys)
    return {state.key.udf, *(key.udf for key in state.past_keys), *signature}


def _one(name: str | None) -> tuple[str, ...]:
    return () if name is None else (name,)


def _listed(names: list[str]) -> str:
    more = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return ", ".join((*names[:_NAMED], *more))
