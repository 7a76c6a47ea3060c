"""A profile with all that its home has and knows, as one file under a passphrase (spec §8)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias, TypeVar

from recrypt_client import paths
from recrypt_client.contacts import Contact, SeenHalf, SeenProfile
from recrypt_client.errors import Trouble, about
from recrypt_client.escrows import Owner, Owners
from recrypt_client.home import Home
from recrypt_client.keyring import wrong_passphrase
from recrypt_client.pins import Pin
from recrypt_core import limits
from recrypt_core.documents import VerifiedProfile, verified_profile
from recrypt_core.encoding import (
    JsonObject,
    JsonValue,
    read_json,
    read_object,
    write_json,
    write_time,
)
from recrypt_core.errors import Malformed, NotAuthentic
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.passphrases import Cost, open_under, seal_under
from recrypt_core.signature_keys import SignaturePrivateKey
from recrypt_core.signing import Jws
from recrypt_core.udf import Udf, read_udf
from recrypt_core.wire import Document, UdfText, from_json, to_json

AnyKey: TypeAlias = PrivateKey | SignaturePrivateKey
T = TypeVar("T", bound=Document)

NAME: Final = "recrypt-profile-export"  # what the file says that it is, and is sealed as


class KnownProfile(Document, frozen=True, kw_only=True):
    """When a profile that this home has met was updated."""

    identifier: UdfText
    updated: datetime


class KnownHalf(Document, frozen=True, kw_only=True):
    """Which group key a half X belongs to."""

    member_key_udf: UdfText
    group_key_udf: UdfText


class KnownOwners(Document, frozen=True, kw_only=True):
    """Whose a group's escrow keys are, as it was said in this home."""

    group_name: str
    owners: tuple[Owner, ...]


@dataclass(frozen=True, slots=True)
class Export:
    """What an export holds.

    Attributes:
        profile: Whose it is.
        keys: All private keys of the home: the profile's, and those of groups it administers.
        pins: What is known of groups.
        contacts: Who writes from which address.
        profiles: When the profiles that were seen were updated.
        halves: Which group keys the halves belong to.
        owners: Whose the groups' escrow keys are.
    """

    profile: VerifiedProfile
    keys: tuple[AnyKey, ...]
    pins: tuple[Pin, ...]
    contacts: tuple[Contact, ...]
    profiles: tuple[KnownProfile, ...]
    halves: tuple[KnownHalf, ...]
    owners: tuple[KnownOwners, ...] = ()

    def signs_for(self, profile: VerifiedProfile) -> bool:
        """Tell whether a private key is in it that signs for a profile."""
        return any(profile.signature_key(key.public.udf) is not None for key in self.keys)

    @property
    def groups_with_keys(self) -> int:
        """How many groups' keys are in it."""
        names = {key.public.udf for key in self.keys}
        return sum(pin.key_udf in names for pin in self.pins)


def gather(home: Home) -> Export:
    """Collect what the home has and knows; but not the ids of messages that were read.

    Raises:
        Trouble: if there is no profile, or no key that signs for it, or something can't be read.
    """
    profile = home.profile()
    home.signing_key(profile)  # without one nobody could take the file
    keys = (_key(home, udf) for udf in _named(home, "keys/*.jwk"))
    return Export(
        profile=profile,
        keys=tuple(key for key in keys if key is not None),
        pins=tuple(home.pins()),
        contacts=tuple(home.documents("contacts/*.json", Contact)),
        profiles=tuple(_profiles(home)),
        halves=tuple(_halves(home)),
        owners=tuple(_owners(home)),
    )


def write_export(export: Export, passphrase: str, *, cost: Cost, now: datetime) -> bytes:
    """Give the file: JSON, and all but its name and how to make its key is sealed.

    Raises:
        Trouble: if it is too large.
    """
    text = write_json(
        {
            "Exported": write_time(now),
            "Profile": export.profile.signed.json(),
            "Keys": [key.to_secret_jwk() for key in export.keys],
            "Pins": _stated(export.pins),
            "Contacts": _stated(export.contacts),
            "Profiles": _stated(export.profiles),
            "Halves": _stated(export.halves),
            **({"Escrows": _stated(export.owners)} if export.owners else {}),
        }
    )
    with about("the passphrase"):
        sealed = seal_under(passphrase, text, name=NAME, cost=cost)
    octets = write_json({NAME: 1, **sealed}) + b"\n"
    if len(octets) > limits.EXPORT_OCTETS:
        raise Trouble(
            f"an export of over {limits.EXPORT_OCTETS} octets",
            "Copy the home's folder instead, while no recrypt is at work in it",
        )
    return octets


def read_export(octets: bytes, passphrase: str, *, what: str) -> Export:
    """Read an export, by who has a key of its profile: anybody can write one of a public profile.

    Raises:
        Trouble: if it is none, or the passphrase is another, or it has no such key.
    """
    with about(what):
        value = read_sealed(octets)
        try:
            text = open_under(passphrase, value, name=NAME)
        except NotAuthentic:
            raise wrong_passphrase(what) from None
        export = _export(read_json(text, limit=limits.EXPORT_OCTETS))
        if not export.signs_for(export.profile):
            raise NotAuthentic("an export with no private key that signs for its own profile")
        return export


def read_sealed(octets: bytes) -> JsonObject:
    """Read the outside of an export.

    Raises:
        Malformed: if it is none.
    """
    value = read_json(octets, limit=limits.EXPORT_OCTETS)
    if value.get(NAME) != 1:
        raise Malformed("not an export of a profile, or of another version than 1")
    return value


def _export(value: JsonObject) -> Export:
    signed = read_object(value.get("Profile"), what="an export without Profile, or")
    return Export(
        profile=verified_profile(from_json(Jws, signed)),
        keys=tuple(_read_key(each) for each in _objects(value, "Keys")),
        pins=_each(value, "Pins", Pin),
        contacts=_each(value, "Contacts", Contact),
        profiles=_each(value, "Profiles", KnownProfile),
        halves=_each(value, "Halves", KnownHalf),
        owners=_each(value, "Escrows", KnownOwners) if "Escrows" in value else (),
    )


def _each(value: JsonObject, name: str, kind: type[T]) -> tuple[T, ...]:
    return tuple(from_json(kind, each) for each in _objects(value, name))


def _objects(value: JsonObject, name: str) -> Iterator[JsonObject]:
    found = value.get(name)
    if not isinstance(found, list):
        raise Malformed(f"an export without {name}")
    for each in found:
        yield read_object(each, what=f"an export's {name}")


def _stated(documents: Iterable[Document]) -> list[JsonValue]:
    return [to_json(each) for each in documents]


def _key(home: Home, udf: Udf) -> AnyKey | None:
    jwk = home.secret_jwk(udf)
    with about(str(home.root / paths.key_file(udf))):
        return None if jwk is None else _read_key(jwk)


def _read_key(jwk: JsonObject) -> AnyKey:
    """Read a private key of either kind: its curve tells which."""
    if jwk.get("crv") in [curve.value for curve in Curve]:
        return PrivateKey.from_secret_jwk(jwk)
    return SignaturePrivateKey.from_secret_jwk(jwk)


def _profiles(home: Home) -> Iterator[KnownProfile]:
    for udf in _named(home, "profiles/*.json"):
        seen = home.document(paths.author_file(udf), SeenProfile)
        if seen is not None:
            yield KnownProfile(identifier=udf, updated=seen.updated)


def _halves(home: Home) -> Iterator[KnownHalf]:
    for udf in _named(home, "halves/*.json"):
        seen = home.document(paths.half_file(udf), SeenHalf)
        if seen is not None:
            yield KnownHalf(member_key_udf=udf, group_key_udf=seen.group_key_udf)


def _owners(home: Home) -> Iterator[KnownOwners]:
    for pin in home.pins():
        found = home.document(paths.escrow_file(pin.group_name), Owners)
        if found is not None:
            yield KnownOwners(group_name=pin.group_name, owners=found.owners)


def _named(home: Home, pattern: str) -> Iterator[Udf]:
    """Give the fingerprints that files are named by."""
    for name in home.names(pattern):
        with about(str(home.root / name)):
            yield read_udf(name.rpartition("/")[2].partition(".")[0])
