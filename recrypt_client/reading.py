"""Flows of who reads: open a copy or a file, and find out who wrote it (spec §7)."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from recrypt_client import contacts, mail
from recrypt_client.contacts import Standing
from recrypt_client.errors import Trouble, about
from recrypt_client.home import Home
from recrypt_core.authorship import Author, split_content, verify_author
from recrypt_core.envelope import Envelope, read_envelope
from recrypt_core.errors import Malformed, NotAuthentic, NotForThisKey
from recrypt_core.opening import open_recrypted, open_whole
from recrypt_core.udf import Udf


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
    """Nobody signed; From says this, or nothing."""

    says: str | None


@dataclass(frozen=True, slots=True)
class Bad:
    """The signature is not good, for this reason."""

    reason: str


Authorship: TypeAlias = Signed | Unsigned | Bad


@dataclass(frozen=True, slots=True)
class Opened:
    """A message that was opened: the MIME entity, exactly as it was sealed, and its author."""

    entity: bytes
    authorship: Authorship


def read_copy(octets: bytes, home: Home, *, now: datetime) -> Opened:
    """Open a relayed copy, a post or an `.mmx`, and check its author.

    Raises:
        Trouble: if it is none, or can't be opened with the keys here.
    """
    with about("the message"):
        is_file = octets.lstrip(b" \t\r\n").startswith(b"{")
        envelope = read_envelope(octets if is_file else mail.envelope_in(octets))
    content, group_key = _open(envelope, home, what="the message")
    with about("the content of the message"):
        line, entity = split_content(content)
    if line is None:
        return Opened(entity, Unsigned(_says(entity)))
    try:
        author = verify_author(line, entity, group=_group_of(home, group_key), group_key=group_key)
        contacts.see(home, author.profile)
    except (Malformed, NotAuthentic) as problem:
        return Opened(entity, Bad(str(problem)))
    is_replay = contacts.is_replay(
        home, author, group_key=group_key, cid=envelope.content_id, now=now
    )
    return Opened(entity, _signed(entity, author, home, is_replay=is_replay, now=now))


def decrypt(octets: bytes, home: Home, *, what: str) -> bytes:
    """Open an `.mmx` or a JWE in JSON; its author, if it names one, isn't checked.

    Raises:
        Trouble: if it is none, or can't be opened with the keys here.
    """
    with about(what):
        envelope = read_envelope(octets)
    return _open(envelope, home, what=what)[0]


def _open(envelope: Envelope, home: Home, *, what: str) -> tuple[bytes, Udf]:
    """Open with the recryption in it, or with a group's private key; tell with which group key."""
    with about(what):
        for recipient in envelope.recipients:
            key = home.agreement_key(recipient.kid) if recipient.kid else None
            if key is not None:
                return open_whole(envelope, [key]), key.public.udf
        recryption = envelope.recryption
        if recryption is None:
            raise _no_way(envelope, home, what)
        contacts.check_half(home, recryption)
        try:
            content = open_recrypted(envelope, home.device_keys())
        except NotForThisKey:
            raise Trouble(
                f"{what} was recrypted for another member, or another profile",
                f"Is {home.root} the right home? Choose one with --home",
            ) from None
        contacts.keep_half(home, recryption)
        return content, recryption.group_key


def _no_way(envelope: Envelope, home: Home, what: str) -> Trouble:
    groups = [pin for pin in home.pins() for each in envelope.recipients if each.kid == pin.key_udf]
    if groups:
        return Trouble(
            f"{what} is sealed to {groups[0].group_name} and holds no recryption for you",
            "Read the copy that the list sent to you",
        )
    return Trouble(
        f"{what} is sealed to keys that aren't here, and holds no recryption",
        f"Is {home.root} the right home? Choose one with --home",
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
