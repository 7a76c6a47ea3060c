"""One's own profile, sent to the services of one's groups; which of them lack it is noted.

The note is written before a newer profile is: a command that is cut off is gone on with, and a lost
device isn't served for want of it.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

from recrypt_client import chains, paths
from recrypt_client.chains import Desk
from recrypt_client.errors import ServiceRefused, Trouble
from recrypt_client.home import Home
from recrypt_core.keys import PublicKey
from recrypt_core.messages import GetEntry, GetEntryResponse, Response, UpdateProfile
from recrypt_core.signature_keys import SignaturePublicKey
from recrypt_core.signing import UNKNOWN_KEY
from recrypt_core.wire import Document

_NOT_AUTHENTIC: Final = 401  # a stranger, and whose clock is wrong: the words tell them apart
_FORBIDDEN: Final = 403


class LostDevice(Document, frozen=True, kw_only=True):
    """The public keys of a device that a newer profile lacks."""

    encryption_key: PublicKey | None = None
    signature_key: SignaturePublicKey | None = None


class Untold(Document, frozen=True, kw_only=True):
    """The groups whose services haven't been sent the newest profile, and what it lacks.

    It is stored in clear, as the profile and what is known of groups is.
    """

    group_names: tuple[str, ...]
    lost: tuple[LostDevice, ...] = ()


def untold(home: Home) -> Untold | None:
    """Give what is noted; None if every service was told."""
    return home.document(paths.untold_file(), Untold)


def note(home: Home, lost: LostDevice | None = None) -> None:
    """Note, before a newer profile is written, that no service has it."""
    names = tuple(pin.group_name for pin in home.pins())
    if names:
        known = untold(home)
        before = () if known is None else known.lost
        after = before if lost is None else (*before, lost)
        home.keep_document(paths.untold_file(), Untold(group_names=names, lost=after))


def publish(desk: Desk, *, now: datetime) -> None:
    """Send one's own profile, as it is now, to a group's service (spec §6, UpdateProfile).

    It counts there at once for posting; the group's administrators take it into the chain. The
    service answers a stranger alike, and keeps nothing: so it is asked after that who one is.

    Raises:
        ServiceRefused: if the service says no.
        Trouble: if nobody there knows who signs, or it can't be reached.
    """
    profile = desk.home.profile()
    chains.ask(desk, UpdateProfile(profile=profile.signed), Response, now=now)
    if not _is_known(desk, now=now):
        name = desk.pin.group_name
        raise Trouble(
            f"{desk.service.url} doesn't know you as a member of {name}, so it keeps no profile",
            f"An administrator adds it: recrypt add {name} PROFILE.json",
        )
    _told(desk.home, *_groups_at(desk))


def tell(desk: Desk, *, now: datetime) -> bool:
    """Send the profile to a group's service, unless nobody there knows who signs: then False.

    Who only writes to a group needn't tell its service any address.

    Raises:
        ServiceRefused: if the service says no, also because a clock is wrong.
        Trouble: if it can't be reached.
    """
    if not _is_known(desk, now=now):
        _told(desk.home, desk.pin.group_name)
        return False
    publish(desk, now=now)
    return True


def _is_known(desk: Desk, *, now: datetime) -> bool:
    """Ask whether a group knows who signs: by the master key where it is, as others come and go."""
    identifier = desk.home.profile().identifier
    own = GetEntry(group_id=desk.pin.identifier, member_udf=identifier)
    key = desk.home.signature_key(identifier) or desk.key
    try:
        chains.ask(replace(desk, key=key), own, GetEntryResponse, now=now)
    except ServiceRefused as refusal:
        if refusal.status == _NOT_AUTHENTIC and UNKNOWN_KEY in refusal.what:
            return False
        if refusal.status != _FORBIDDEN:
            raise
    return True


def _groups_at(desk: Desk) -> list[str]:
    """Name the groups of a service: it keeps a profile for all of them."""
    pins = desk.home.pins()
    return [pin.group_name for pin in pins if pin.service == desk.pin.service]


def _told(home: Home, *groups: str) -> None:
    known = untold(home)
    if known is None:
        return
    left = tuple(each for each in known.group_names if each not in groups)
    if left:
        home.keep_document(paths.untold_file(), Untold(group_names=left, lost=known.lost))
    else:
        home.drop(paths.untold_file())
