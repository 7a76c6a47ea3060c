"""Whose a group's escrow keys are, as it was said in this home when they were named (spec §8).

A profile may list any public key, so that one lists an escrow key says nothing.
"""

from collections.abc import Iterable, Mapping

from recrypt_client import paths
from recrypt_client.home import Home
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


def named_with(profiles: Iterable[VerifiedProfile]) -> dict[Udf, Udf]:
    """Give whose the keys are that are named with these profiles."""
    return {key.udf: each.identifier for each in profiles for key in each.profile.encryption_keys}


def note(home: Home, group: str, named: Mapping[Udf, Udf]) -> None:
    """Remember whose the keys are that are named now; those of before stay known."""
    every = {**owners(home, group), **named}
    listed = tuple(Owner(key_udf=key, identifier=who) for key, who in every.items())
    home.keep_document(paths.escrow_file(group), Owners(owners=listed))
