"""Flows of who writes: get a group's key and believe it, encrypt a file, seal a message."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from recrypt_client import contacts, mail, pins, posts
from recrypt_client.errors import Trouble, about
from recrypt_client.home import Home
from recrypt_client.pins import Pin, Seen
from recrypt_client.posts import Draft
from recrypt_client.service import Service
from recrypt_core.authorship import sign_content, sign_sender
from recrypt_core.documents import (
    VerifiedGroupKey,
    VerifiedProfile,
    verified_group_key,
    verified_master,
)
from recrypt_core.envelope import Envelope, read_envelope
from recrypt_core.errors import Malformed
from recrypt_core.keys import PublicKey
from recrypt_core.messages import GetKey, GetKeyResponse
from recrypt_core.sealing import seal
from recrypt_core.signature_keys import SignaturePrivateKey
from recrypt_core.udf import typed_matches

MESSAGE: Final = "message/rfc822"  # the cty of mail (spec §7)


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A group's key, verified and pinned.

    Attributes:
        key: The key.
        pin: What the home knows of the group now.
        seen: How the key related to the pin there was.
    """

    key: VerifiedGroupKey
    pin: Pin
    seen: Seen

    @property
    def public(self) -> PublicKey:
        """The key that the world encrypts to."""
        return self.key.document.encryption_key


@dataclass(frozen=True, slots=True)
class Told:
    """What a group's service says of its key: in an answer, or a file. Nothing is believed."""

    group: str
    service: str
    answer: GetKeyResponse


@dataclass(frozen=True, slots=True)
class Sealed:
    """A post, and the address in its From that the profile that signed it doesn't have, if any."""

    post: bytes
    stranger: str | None


def fetch_key(
    home: Home, service: Service, group: str, *, fingerprint: str | None, now: datetime
) -> KnownKey:
    """Ask for a group's key, verify it from the fingerprint on, and pin it (spec §6, GetKey).

    Raises:
        Trouble: if it can't be had; and as `take_key`.
    """
    answer = service.ask(GetKey(group_id=group), GetKeyResponse)
    return take_key(home, Told(group, service.url, answer), fingerprint=fingerprint, now=now)


def take_key(home: Home, told: Told, *, fingerprint: str | None, now: datetime) -> KnownKey:
    """Verify a group's key from the fingerprint on, and pin it.

    It may be that of a group that is closed for good, whose NotAfter doesn't matter any more.

    Args:
        home: Where it is pinned.
        told: What the service says.
        fingerprint: The group's Identifier as a person typed it, if one did.
        now: The time.

    Raises:
        Trouble: if it isn't the group's key, as it was known.
    """
    group, url, answer = told.group, told.service, told.answer
    with about(f"the key of {group} from {url}"):
        master = verified_master(answer.master, group)
        key = verified_group_key(answer.signed_key, master)
        if fingerprint is not None and not typed_matches(fingerprint, master.identifier):
            raise Trouble(
                f"{group} at {url} has the fingerprint {master.identifier}, "
                "NOT THE ONE THAT YOU GAVE",
                "Nothing was pinned. Ask the group's administrator by another way",
            )
        contacts.see(home, master)
    pin = home.pin(group)
    seen = pins.compare(pin, key)
    if key.document.closed is None and key.document.not_after < now:
        raise Trouble(
            f"the key of {group} was good until {key.document.not_after:%Y-%m-%d}",
            "Ask the group's administrator to sign it again",
        )
    renewed = pins.renew(pin, key, service=url, now=now)
    if renewed != pin:
        home.keep_pin(renewed)
    return KnownKey(key, renewed, seen)


def encrypt(content: bytes, keys: Sequence[KnownKey]) -> bytes:
    """Encrypt a file's content to groups; the `.mmx` (spec §3)."""
    with about("the file"):
        return seal(content, [key.public for key in keys]).mmx()


def seal_message(
    octets: bytes, home: Home, group: KnownKey, *, author: str | None, now: datetime
) -> Sealed:
    """Make a post of a message: signed and with `sender`, if the home has a profile (spec §7).

    Raises:
        Trouble: if the message can't be posted as it is.
    """
    name = group.pin.group_name
    profile = home.profile() if home.has_profile() else None
    own = None if profile is None else profile.profile.accounts[0]
    with about("the message"):
        ready = posts.draft(octets, name, author=author, own=own, now=now)
        _check_in_clear(ready.message, group)
        if profile is None:
            envelope = seal(posts.content(ready), [group.public], cty=MESSAGE)
        else:
            signer = (profile, home.signing_key(profile))
            envelope = _signed(ready, group, signer=signer, now=now)
        return Sealed(posts.post(ready, envelope.mmx()), _stranger(ready.message, profile))


def _signed(
    ready: Draft,
    group: KnownKey,
    *,
    signer: tuple[VerifiedProfile, SignaturePrivateKey],
    now: datetime,
) -> Envelope:
    """Seal a signed content, with `sender` for the gateway beside it."""

    def signed(entity: bytes) -> bytes:
        return sign_content(
            entity,
            group=(group.pin.identifier, group.key.udf),
            message_id=ready.message_id,
            signer=signer,
            now=now,
        )

    # The line before an entity is as long before any.
    content = signed(posts.content(ready, before=len(signed(b""))))
    envelope = seal(content, [group.public], cty=MESSAGE)
    sender = sign_sender(group.pin.group_name, envelope.content_id, signer[1], now=now)
    return replace(envelope, sender=sender)


def _stranger(message: mail.Entity, profile: VerifiedProfile | None) -> str | None:
    """Find a From that readers won't take for the profile's own."""
    accounts = () if profile is None else profile.profile.accounts
    own = {account.lower() for account in accounts}
    senders = [address for _, address in mail.addresses(message.all("From"))]
    return next((each for each in senders if own and each.lower() not in own), None)


def _check_in_clear(message: mail.Entity, group: KnownKey) -> None:
    """Refuse what is a post already: sealed twice, no member could read it."""
    for part in mail.envelopes_in(message):
        try:
            inner = read_envelope(mail.decoded(part))
        except Malformed:
            continue
        if any(group.pin.is_key(each.kid) for each in inner.recipients if each.kid):
            raise Trouble(
                f"the message is encrypted to {group.pin.group_name} already",
                "Send it as it is",
            )
