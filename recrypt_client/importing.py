"""An export taken into a home: what is there is never overwritten by what is older (spec §8)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from recrypt_client import escrows, paths, pins
from recrypt_client.contacts import Contact, SeenHalf, SeenProfile
from recrypt_client.errors import Trouble
from recrypt_client.exporting import AnyKey, Export, KnownHalf, KnownProfile
from recrypt_client.home import Home
from recrypt_client.pins import Pin

_ASK: Final = "Nothing was imported. Ask the group's administrator by another way"


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import has added, and whom the home and the file know by another fingerprint.

    Attributes:
        is_newer: Whether the profile itself is new here, or newer than it was.
        keys: How many private keys.
        groups: The groups that are new, or known better.
        contacts: How many authors' addresses.
        strangers: Addresses where the home's own knowledge stays.
    """

    is_newer: bool
    keys: int
    groups: tuple[str, ...]
    contacts: int
    strangers: tuple[str, ...]


def take(home: Home, export: Export) -> Imported:
    """Take an export into a home without a profile, or with the same one.

    All is compared before anything is written, and the profile is written last: the same command
    goes on where one was cut off.

    Raises:
        Trouble: if the home has another profile, or a newer one that has withdrawn all of the
            file's signature keys, or knows one of the groups otherwise.
    """
    is_newer = _is_newer(home, export)
    renewed = [pin for pin in _merged(home, export) if pin != home.pin(pin.group_name)]
    halves = [*_new_halves(home, export)]
    added, strangers = _new_contacts(home, export)
    keys = [key for key in export.keys if not _has(home, key)]
    for key in keys:
        home.keep_key(key)
    for half in halves:
        name, seen = (
            paths.half_file(half.member_key_udf),
            SeenHalf(group_key_udf=half.group_key_udf),
        )
        home.keep_document(name, seen)
    for contact in added:
        home.keep_document(paths.contact_file(contact.address), contact)
    for known in export.profiles:
        _see(home, known)
    for pin in renewed:
        home.keep_pin(pin)
    for there in export.owners:
        escrows.note(
            home, there.group_name, {each.key_udf: each.identifier for each in there.owners}
        )
    if is_newer:
        home.keep_profile(export.profile, new=False)
    names = tuple(pin.group_name for pin in renewed)
    return Imported(is_newer, len(keys), names, len(added), strangers)


def _is_newer(home: Home, export: Export) -> bool:
    if not home.has_profile():
        return True
    here, there = home.profile(), export.profile
    if here.identifier != there.identifier:
        raise Trouble(
            f"{home.root} has the profile {here.identifier}, and the file {there.identifier}",
            "Nothing was imported. Choose another home with --home",
        )
    is_newer = there.profile.updated > here.profile.updated
    if not is_newer and not export.signs_for(here):
        raise Trouble(
            f"the file is of a key that was withdrawn: none in it signs for {here.identifier} now",
            "Nothing was imported: whoever has a lost device may write such a file",
        )
    return is_newer


def _merged(home: Home, export: Export) -> Iterator[Pin]:
    for there in export.pins:
        here = home.pin(there.group_name)
        yield there if here is None else pins.merge(here, there, hint=_ASK)


def _new_halves(home: Home, export: Export) -> Iterator[KnownHalf]:
    for there in export.halves:
        here = home.document(paths.half_file(there.member_key_udf), SeenHalf)
        if here is None:
            yield there
        elif here.group_key_udf != there.group_key_udf:
            raise Trouble(
                f"THE FILE HAS ANOTHER GROUP KEY, {there.group_key_udf}, where the key "
                f"{there.member_key_udf} belongs to {here.group_key_udf} in {home.root}",
                _ASK,
            )


def _new_contacts(home: Home, export: Export) -> tuple[list[Contact], tuple[str, ...]]:
    """Find who is new; who was met here first stays who it is here (spec §8)."""
    added: list[Contact] = []
    strangers: list[str] = []
    for there in export.contacts:
        here = home.document(paths.contact_file(there.address), Contact)
        if here is None:
            added.append(there)
        elif here.identifier != there.identifier:
            strangers.append(there.address)
    return added, tuple(strangers)


def _see(home: Home, known: KnownProfile) -> None:
    name = paths.author_file(known.identifier)
    here = home.document(name, SeenProfile)
    if here is None or here.updated < known.updated:
        home.keep_document(name, SeenProfile(updated=known.updated))


def _has(home: Home, key: AnyKey) -> bool:
    return home.secret_jwk(key.public.udf) is not None
