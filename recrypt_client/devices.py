"""Flows of a profile's devices: one asks, the one with the master key adds or revokes (spec §8).

No private key leaves the device that drew it. A code, shown on both, tells whose request it is.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Final

from recrypt_client import founding, paths, publishing
from recrypt_client.errors import Trouble, about
from recrypt_client.home import Home
from recrypt_client.publishing import LostDevice
from recrypt_core import limits
from recrypt_core.documents import Profile, VerifiedProfile, sign_profile, verified_profile
from recrypt_core.encoding import read_json
from recrypt_core.errors import Malformed
from recrypt_core.keys import Curve, PrivateKey, PublicKey
from recrypt_core.members import check_not_ahead
from recrypt_core.signature_keys import SignaturePrivateKey, SignaturePublicKey
from recrypt_core.signing import Jws
from recrypt_core.udf import fingerprint
from recrypt_core.wire import Document, from_json

VERSION: Final = 1  # of a device's request
CONTENT: Final = "application/vnd.recrypt.device"
_CODE_LETTERS: Final = 23  # four groups of five, 92 bits: who swaps a request meets none by trying


@dataclass(frozen=True, slots=True)
class Device:
    """A device of a profile: what is sealed to it, and what it signs with.

    Where a profile has more keys of one kind than of the other, some have only one.
    """

    encryption: PublicKey | None
    signature: SignaturePublicKey | None

    @property
    def code(self) -> str:
        """What its owner compares, and names it by: MBWMZ-A7GMP-GFSEZ-I5RRR."""
        names = ("" if key is None else key.udf for key in (self.encryption, self.signature))
        return fingerprint(CONTENT, ":".join(names).encode("ascii"))[:_CODE_LETTERS]

    def is_named(self, typed: str) -> bool:
        """Tell whether a person typed its code, grouped in any way, in either case."""
        return "".join(typed.split()).replace("-", "").upper() == self.code.replace("-", "")

    def is_at(self, home: Home) -> bool:
        """Tell whether it is the one of this home."""
        keys = (key for key in (self.encryption, self.signature) if key is not None)
        return any(home.secret_jwk(key.udf) is not None for key in keys)

    def is_whole_at(self, home: Home) -> bool:
        """Tell whether both its keys are in this home."""
        keys = (self.encryption, self.signature)
        return all(key is not None and home.secret_jwk(key.udf) is not None for key in keys)


class DeviceRequest(Document, frozen=True, kw_only=True):
    """The public keys of a device that is to be added to a profile (spec §8)."""

    device_version: int
    encryption_key: PublicKey
    signature_key: SignaturePublicKey

    @property
    def device(self) -> Device:
        """The device that asks."""
        return Device(self.encryption_key, self.signature_key)


def of(profile: Profile) -> list[Device]:
    """Give the devices of a profile: keys that stand in the same place (spec §4)."""
    return [
        Device(encryption, signature)
        for encryption, signature in zip_longest(
            profile.encryption_keys, profile.online_signature_keys
        )
    ]


@dataclass(frozen=True, slots=True)
class Revoked:
    """A device that is none any more, and the one that this home is in its place, if it was."""

    device: Device
    fresh: Device | None = None


def ask(home: Home) -> DeviceRequest:
    """Draw the keys of a device whose profile is elsewhere; once, however often it is asked.

    Raises:
        Trouble: if there is a profile here.
    """
    if home.has_profile():
        raise Trouble(
            f"{home.root}: a profile is there already",
            "Its devices: recrypt profile devices. Or choose another --home",
        )
    known = home.document(paths.device_file(), DeviceRequest)
    if known is not None and known.device.is_whole_at(home):
        return known
    request = _draw(home)
    home.keep_document(paths.device_file(), request)
    return request


def _draw(home: Home) -> DeviceRequest:
    """Draw the keys of a device, and keep them."""
    encryption, signature = PrivateKey.generate(Curve.X25519), founding.signature_key()
    home.keep_key(encryption)
    home.keep_key(signature)
    return DeviceRequest(
        device_version=VERSION,
        encryption_key=encryption.public,
        signature_key=signature.public,
    )


def read_request(octets: bytes) -> Device:
    """Read the request of a device; whose it is, only its code tells.

    Raises:
        Malformed: if it is none.
    """
    request = from_json(DeviceRequest, read_json(octets, limit=limits.DOCUMENT_OCTETS))
    if request.device_version != VERSION:
        raise Malformed(f"a device's request of another version than {VERSION}")
    return request.device


def add(home: Home, device: Device, *, now: datetime) -> VerifiedProfile:
    """Sign a newer profile with one device more; give the one that has it, if a service lacks that.

    Raises:
        Trouble: if the master key isn't here, or the profile has it already, or too many.
    """
    found = of(home.profile().profile)
    if device in found:
        if publishing.untold(home) is not None:
            return home.profile()
        raise Trouble(
            f"{device.code} is one of the devices already",
            "Nothing was changed. A service that wasn't told yet: recrypt profile publish GROUP",
        )
    if len(found) >= limits.PROFILE_DEVICES:
        raise Trouble(f"a profile has at most {limits.PROFILE_DEVICES} devices", "Revoke one first")
    _check_whole(found)
    return _signed(home, [*found, device], now=now)


def _check_whole(found: list[Device]) -> None:
    if any(each.encryption is None or each.signature is None for each in found):
        raise Trouble(
            "the profile has not as many signature keys as EncryptionKeys, so that which belong "
            "together isn't told",
            "Revoke what is no whole device first: recrypt profile devices",
        )


def revoke(home: Home, typed: str, *, now: datetime) -> Revoked:
    """Sign a newer profile without the device of this code, unless that is done and not yet told.

    A home that would be none of the profile's devices then has fresh keys in the same step: the
    keys of a lost device may stand here too, by an export of it.

    Raises:
        Trouble: if there is none, or the master key isn't here.
    """
    found = of(home.profile().profile)
    chosen = next((each for each in found if each.is_named(typed)), None)
    if chosen is None:
        for each in _lost(home):
            if each.is_named(typed):
                return Revoked(each)
        raise Trouble(
            f"{typed} is the code of no device of this profile",
            "See them with recrypt profile devices",
        )
    left, fresh = [each for each in found if each != chosen], None
    if chosen.is_at(home) and not any(each.is_whole_at(home) for each in left):
        _check_whole(left)
        _master_key(home)
        fresh = _draw(home).device
        left.append(fresh)
    _signed(home, left, now=now, lost=chosen)
    return Revoked(chosen, fresh)


def _lost(home: Home) -> list[Device]:
    """Give the devices that were taken from the profile, which some service doesn't know yet."""
    untold = publishing.untold(home)
    return [
        Device(each.encryption_key, each.signature_key) for each in (untold.lost if untold else ())
    ]


def take(home: Home, profile: VerifiedProfile, *, now: datetime) -> bool:
    """Take one's own newer profile in; tell whether it was newer.

    A device without a profile takes the one that names its keys. That it is its owner's, the
    owner tells by the fingerprint.

    Raises:
        Trouble: if it is another profile, or dated ahead, or names no key of a device that has
            none yet.
    """
    with about(f"the profile {profile.identifier}"):
        check_not_ahead(profile, now)
    if not home.has_profile():
        if not any(each.is_whole_at(home) for each in of(profile.profile)):
            raise Trouble(
                f"the profile {profile.identifier} names no keys of this device",
                "Let it be added first: recrypt profile devices new FILE here, recrypt profile "
                "devices add FILE where the profile is",
            )
        home.keep_profile(profile)
        home.drop(paths.device_file())
        return True
    here = home.profile()
    if here.identifier != profile.identifier:
        raise Trouble(
            f"{home.root} has the profile {here.identifier}, and the file {profile.identifier}",
            "Nothing was imported. Choose another home with --home",
        )
    is_newer = here.profile.updated < profile.profile.updated
    if is_newer:
        home.keep_profile(profile, new=False)
    return is_newer


def read_own(octets: bytes) -> VerifiedProfile | None:
    """Read a profile as `recrypt profile show` gives it; None if it is something else.

    Raises:
        Malformed: if it breaks the format.
        NotAuthentic: if its own master key didn't sign it.
    """
    value = read_json(octets, limit=limits.EXPORT_OCTETS)
    return verified_profile(from_json(Jws, value)) if "payload" in value else None


def readdress(home: Home, address: str, *, only: bool, now: datetime) -> VerifiedProfile:
    """Sign a newer profile with this address as its first Account; the others follow, or go.

    One that is so already is given as it is, so that a command that was cut off goes on.

    Raises:
        Trouble: if the master key isn't here.
    """
    old = home.profile()
    others = () if only else tuple(each for each in old.profile.accounts if each != address)
    accounts = (address, *others)
    if old.profile.accounts == accounts:
        return old
    return _signed(home, of(old.profile), now=now, accounts=accounts)


def _signed(
    home: Home,
    devices: list[Device],
    *,
    now: datetime,
    lost: Device | None = None,
    accounts: tuple[str, ...] | None = None,
) -> VerifiedProfile:
    """Sign the profile with these devices, later than any before it, and keep it."""
    old, master = home.profile(), _master_key(home)
    later = old.profile.updated + timedelta(seconds=1)
    stated = Profile(
        identifier=old.identifier,
        master_signature_key=old.profile.master_signature_key,
        online_signature_keys=tuple(each.signature for each in devices if each.signature),
        master_escrow_keys=old.profile.master_escrow_keys,
        encryption_keys=tuple(each.encryption for each in devices if each.encryption),
        accounts=old.profile.accounts if accounts is None else accounts,
        updated=max(now.replace(microsecond=0), later),
    )
    made = sign_profile(stated, master)
    publishing.note(
        home,
        None
        if lost is None
        else LostDevice(encryption_key=lost.encryption, signature_key=lost.signature),
    )
    home.keep_profile(made, new=False)
    return made


def _master_key(home: Home) -> SignaturePrivateKey:
    identifier = home.profile().identifier
    master = home.signature_key(identifier)
    if master is None:
        raise Trouble(
            f"{home.root} has not the master key of {identifier}, which signs the profile",
            "Use the home that made the profile, or one with an export of it, with --home",
        )
    return master
