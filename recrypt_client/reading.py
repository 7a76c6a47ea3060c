"""Flows of who reads: open a copy or a file, and find out who wrote it (spec §7)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from recrypt_client import contacts, mail, recrypting, writing
from recrypt_client.contacts import Standing
from recrypt_client.errors import Trouble, about
from recrypt_client.home import Home
from recrypt_client.recrypting import Asking
from recrypt_core.authorship import Author, split_content, verify_author
from recrypt_core.envelope import Envelope, read_envelope
from recrypt_core.errors import Malformed, NotAuthentic, NotForThisKey
from recrypt_core.keys import PrivateKey
from recrypt_core.opening import open_recrypted, open_whole
from recrypt_core.udf import Udf

_MAIL: Final = "message/rfc822"  # what a content of ours is (spec §7)


@dataclass(frozen=True, slots=True)
class Signed:
    """The author is proven.

    Attributes:
        name: The name in From, which is the author's own choice.
        address: The author's address: From's, if it is the author's.
        identifier: The fingerprint of the author's profile.
        standing: What was known of the author.
        says: What From says, where that is not one of the author's addresses.
        is_replay: Whether the message's id was read in another content before.
    """

    name: str
    address: str
    identifier: Udf
    standing: Standing
    says: str | None
    is_replay: bool


@dataclass(frozen=True, slots=True)
class Unsigned:
    """Nobody signed; From says this, or nothing.

    `is_personal` tells that it is sealed to the reader's own profile, as anyone could do.
    """

    says: str | None
    is_personal: bool = False


@dataclass(frozen=True, slots=True)
class Bad:
    """The signature is not good, for this reason."""

    reason: str


class _NoKeyHere(Trouble):
    """It is sealed to no key that is here, and to no group's that was seen."""


Authorship: TypeAlias = Signed | Unsigned | Bad


@dataclass(frozen=True, slots=True)
class Opened:
    """A message that was opened: the MIME entity, exactly as it was sealed, and its author.

    `group_key` is the key of the group that it was sealed to; None if to the reader's own profile.
    """

    entity: bytes
    authorship: Authorship
    group_key: Udf | None = None


def read_copy(octets: bytes, home: Home, asking: Asking) -> Opened:
    """Open a relayed copy, a post or an `.mmx`, or mail to the profile; check its author.

    Raises:
        Trouble: if it is none, or can't be opened with the keys here.
    """
    with about("the message"):
        is_file = octets.lstrip(b" \t\r\n").startswith(b"{")
        envelope = read_envelope(octets if is_file else mail.envelope_in(octets))
    content, group_key = _open(envelope, home, asking, what="the message")
    now = asking.now
    with about("the content of the message"):
        line, entity = split_content(content)
    if line is None:
        unsigned = Unsigned(_says(entity), is_personal=group_key is None)
        return Opened(entity, unsigned, group_key)
    if group_key is None:
        return Opened(entity, Bad("an authorship line for a group, in mail sealed to you alone"))
    try:
        author = verify_author(line, entity, group=_group_of(home, group_key), group_key=group_key)
        contacts.see(home, author.profile)
    except (Malformed, NotAuthentic) as problem:
        return Opened(entity, Bad(str(problem)), group_key)
    is_replay = contacts.is_replay(
        home, author, group_key=group_key, cid=envelope.content_id, now=now
    )
    signed = _signed(entity, author, home, is_replay=is_replay, now=now)
    return Opened(entity, signed, group_key)


def decrypt(octets: bytes, home: Home, asking: Asking, *, what: str) -> bytes:
    """Open an `.mmx` or a JWE in JSON; its author, if it names one, isn't checked.

    If it is sealed to no key that is known here, the groups' services are asked for newer ones. Not
    so for mail: strangers' mail would make every reader ask.

    Raises:
        Trouble: if it is none, or can't be opened with the keys here.
    """
    with about(what):
        envelope = read_envelope(octets)
    try:
        return _open(envelope, home, asking, what=what)[0]
    except _NoKeyHere:
        missed = _meet_newer_keys(home, asking)
    try:
        return _open(envelope, home, asking, what=what)[0]
    except _NoKeyHere as unknown:
        if missed is None:
            raise
        raise Trouble(f"{unknown.what}; and {missed.what}", missed.hint) from None


def _meet_newer_keys(home: Home, asking: Asking) -> Trouble | None:
    """Ask for the keys of all groups that are known here; give what went wrong first.

    As who only reads doesn't learn otherwise that a group has another key now.
    """
    first: Trouble | None = None
    for pin in [*home.pins()] if home.has_profile() else []:
        if pin.closed is None:
            try:
                with asking.waiting(f"Asking {pin.service}"), asking.call(pin.service) as service:
                    writing.fetch_key(
                        home, service, pin.group_name, fingerprint=None, now=asking.now
                    )
            except Trouble as trouble:
                first = first or trouble
    return first


def _open(envelope: Envelope, home: Home, asking: Asking, *, what: str) -> tuple[bytes, Udf | None]:
    """Open with a group's private key, the recryption in it, the profile's own keys, or by asking.

    Tells with which group key; None if it is sealed to the profile.
    """
    with about(what):
        own = home.device_keys()
        devices = {key.public.udf for key in own}
        for recipient in envelope.recipients:
            key = home.agreement_key(recipient.kid) if recipient.kid else None
            if key is not None and key.public.udf not in devices:
                return open_whole(envelope, [key]), key.public.udf
        recryption = envelope.recryption
        if recryption is None:
            return _open_bare(envelope, home, own, asking, what=what)
        contacts.check_half(home, recryption)
        try:
            content = open_recrypted(envelope, own)
        except NotForThisKey:
            raise Trouble(
                f"{what} was recrypted for another member, or another profile",
                f"Is {home.root} the right home? Choose one with --home",
            ) from None
        contacts.keep_half(home, recryption)
        return content, recryption.group_key


def _open_bare(
    envelope: Envelope, home: Home, own: Sequence[PrivateKey], asking: Asking, *, what: str
) -> tuple[bytes, Udf | None]:
    """Open mail that is sealed to the profile, as a service's notices are, or ask (spec §6, §7).

    Of what is sealed to the profile only mail: private keys are sealed to profiles too (spec §4),
    and aren't to be shown or saved because somebody sent them back as a message.
    """
    try:
        content = open_whole(envelope, own)
    except NotForThisKey:
        found = recrypting.open_asked(envelope, home, asking, what=what)
        if found is None:
            raise _no_way(envelope, home, what) from None
        return found
    if envelope.cty != _MAIL:
        raise Trouble(
            f"{what} is sealed to your profile, but doesn't say that it is mail",
            "Nothing was shown, as private keys are sealed so: ask who sent it to you",
        )
    return content, None


def _no_way(envelope: Envelope, home: Home, what: str) -> Trouble:
    groups = [pin for pin in home.pins() for each in envelope.recipients if each.kid == pin.key_udf]
    if groups:
        return Trouble(
            f"{what} is sealed to {groups[0].group_name}, and there is no profile here",
            f"Is {home.root} the right home? Choose one with --home",
        )
    return _NoKeyHere(
        f"{what} is sealed to keys that aren't here, and holds no recryption",
        "If it is for a group of yours, fetch its key with recrypt key GROUP first; "
        f"else see that {home.root} is the right home",
    )


def _group_of(home: Home, group_key: Udf) -> Udf | None:
    return next((pin.identifier for pin in home.pins() if pin.is_key(group_key)), None)


def _senders(entity: bytes) -> list[tuple[str, str]]:
    """Read From; a content that is no message says nothing."""
    try:
        return mail.addresses(mail.parse(entity).all("From"))
    except Malformed:
        return []


def _says(entity: bytes) -> str | None:
    found = [f"{name} <{address}>" if name else address for name, address in _senders(entity)]
    return ", ".join(found) or None


def _signed(entity: bytes, author: Author, home: Home, *, is_replay: bool, now: datetime) -> Signed:
    """Find out as whom the author is known; From is the author's only if the profile says so."""
    senders = _senders(entity)
    accounts = author.profile.profile.accounts
    names = {account.lower(): account for account in accounts}
    is_own = bool(senders) and all(address.lower() in names for _, address in senders)
    name, address = senders[0] if is_own else ("", accounts[0])
    return Signed(
        name=name,
        address=names.get(address.lower(), address),
        identifier=author.profile.identifier,
        standing=contacts.meet(home, author.profile, address, now=now),
        says=None if is_own else _says(entity) or "nothing",
        is_replay=is_replay,
    )
