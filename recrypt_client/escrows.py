"""Whose a group's escrow keys are, as it was said in this home when they were named (spec §8).

A profile may list any public key, so that one lists an escrow key says nothing.
"""

from collections.abc import Iterable, Mapping

from recrypt_client import paths
from recrypt_client.home import Home
from recrypt_core.chain import GroupState
from recrypt_core.documents import VerifiedProfile
from recrypt_core.udf import Udf
from recrypt_core.wire import Document, UdfText


class Owner(Document, frozen=True, kw_only=True):
    """An escrow key, and the Identifier of the profile that it was named with."""

    key_udf: UdfText
    identifier: UdfText


class Owners(Document, frozen=True, kw_only=True):
    """All that a group ever had, as far as they were named here."""

    owners: tuple[Owner, ...] = ()


def owners(home: Home, group: str) -> dict[Udf, Udf]:
    """Give the Identifiers of whom escrow keys were named with here, by their fingerprints."""
    known = home.document(paths.escrow_file(group), Owners) or Owners()
    return {each.key_udf: each.identifier for each in known.owners}


def of_now(home: Home, state: GroupState) -> set[Udf]:
    """Give the Identifiers of whom escrow keys that the group has now were named with here."""
    known = owners(home, state.name)
    keys = (key.udf for key in state.master.profile.master_escrow_keys)
    return {known[udf] for udf in keys if udf in known}


def named_with(profiles: Iterable[VerifiedProfile]) -> dict[Udf, Udf]:
    """Give whose the keys are that are named with these profiles."""
    return {key.udf: each.identifier for each in profiles for key in each.profile.encryption_keys}


def note(home: Home, group: str, named: Mapping[Udf, Udf], *, is_checked: bool = False) -> None:
    """Remember whose the keys are that are named now; whose those of before are stays known.

    But where claims were checked, so that none is a key of the group's, they are as named now.
    """
    known = owners(home, group)
    every = {**known, **named} if is_checked else {**named, **known}
    if every == known:
        return
    listed = tuple(Owner(key_udf=key, identifier=who) for key, who in every.items())
    home.keep_document(paths.escrow_file(group), Owners(owners=listed))
