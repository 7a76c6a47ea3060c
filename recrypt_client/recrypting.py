"""Have a group's service recrypt what holds no recryption, and believe nothing of it (spec §6)."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from recrypt_client import contacts
from recrypt_client.errors import ServiceRefused, Trouble, about
from recrypt_client.home import Home
from recrypt_client.pins import Pin
from recrypt_client.service import Service
from recrypt_core import messages
from recrypt_core.agreement import halves_match
from recrypt_core.documents import UserDecryptionEntry
from recrypt_core.encoding import read_b64url, write_b64url
from recrypt_core.envelope import Envelope, Recipient, Recryption
from recrypt_core.errors import Malformed, NotAuthentic, NotForThisKey
from recrypt_core.messages import (
    GetEntry,
    GetEntryResponse,
    RecryptData,
    RecryptDataResponse,
    Response,
)
from recrypt_core.opening import open_decryption_key, open_with_halves
from recrypt_core.records import MergedRecipient, RecipientHeader
from recrypt_core.signature_keys import SignaturePrivateKey
from recrypt_core.signing import request_body, sign_request
from recrypt_core.udf import Udf
from recrypt_core.wire import EphemeralKey

R = TypeVar("R", bound=Response)

_MEMBERS_ONLY: Final = (
    "Only its members can read it: ask its administrator. If you are one, check this machine's "
    "clock, and that this is the right --home"
)
_HINTS: Final[Mapping[int, str]] = {
    401: _MEMBERS_ONLY,
    403: "Ask the group's administrator",
    404: _MEMBERS_ONLY,
}


@dataclass(frozen=True, slots=True)
class Asking:
    """How services are asked.

    Attributes:
        call: Calls the service at an address.
        waiting: Tells a person what is waited for, if it takes long.
        now: When.
    """

    call: Callable[[str], Service]
    waiting: Callable[[str], AbstractContextManager[None]]
    now: datetime


@dataclass(frozen=True, slots=True)
class _Desk:
    """A member who asks the service of one group."""

    home: Home
    service: Service
    pin: Pin
    key: SignaturePrivateKey
    now: datetime

    def ask(self, request: messages.Request, kind: type[R]) -> R:
        signed = sign_request(
            messages.write_message(request), self.key, url=self.service.url, now=self.now
        )
        return self.service.send(request_body(signed, {}), request.transaction, kind)


def open_asked(
    envelope: Envelope, home: Home, asking: Asking, *, what: str
) -> tuple[bytes, Udf] | None:
    """Open an envelope to a group that is known here; tell by which group key.

    None if it is to no such group, or there is no profile here to ask with.

    Raises:
        Trouble: if the service refuses, can't be reached, or what it answers is no good.
    """
    if not home.has_profile():
        return None
    refused: ServiceRefused | None = None
    for recipient, kid, pin in _known(envelope, home):
        try:
            with asking.waiting(f"Asking {pin.service}"), asking.call(pin.service) as service:
                key = home.signing_key(home.profile())
                desk = _Desk(home, service, pin, key, asking.now)
                return _opened(desk, envelope, recipient, kid, what=what), kid
        except ServiceRefused as refusal:
            refused = ServiceRefused(
                refusal.status,
                f"{what} is sealed to {pin.group_name}: {refusal.what}",
                _HINTS.get(refusal.status, refusal.hint),
            )
    if refused is not None:
        raise refused
    return None


def _known(envelope: Envelope, home: Home) -> Iterator[tuple[Recipient, Udf, Pin]]:
    """Find the recipients that are keys of groups that are known here."""
    for recipient in envelope.recipients:
        for pin in home.pins():
            for kid in (pin.key_udf, *pin.past_key_udf):
                if kid == recipient.kid:
                    yield recipient, kid, pin


def _opened(desk: _Desk, envelope: Envelope, recipient: Recipient, kid: Udf, *, what: str) -> bytes:
    """Open by the entry that is one's own; what another one came to is told if none does.

    The service answers for a signature key, and anybody may list another's in a profile.
    """
    first: Trouble | None = None
    for entry in _entries(desk, kid):
        try:
            return _opened_by(desk, entry, envelope, recipient, what=what)
        except Trouble as trouble:
            first = first or trouble
    raise first or ServiceRefused(
        404,
        f"{desk.service.url} has no entry of yours for its key {kid}, "
        + ("the group's current one" if kid == desk.pin.key_udf else "a past one"),
        "Ask the group's administrator",
    )


def _opened_by(
    desk: _Desk, entry: UserDecryptionEntry, envelope: Envelope, recipient: Recipient, *, what: str
) -> bytes:
    own, kid = desk.home.device_keys(), entry.encryption_key_udf
    recryption = Recryption(
        kid, entry.member_key_udf, entry.split, b"", entry.decryption_key.envelope
    )
    contacts.check_half(desk.home, recryption)
    with about(f"your entry for {desk.pin.group_name} at {desk.service.url}"):
        decryption = open_decryption_key(recryption, own)
        # R and X make up A either way round: so the entry is this key's, whoever made it.
        if not halves_match(entry.split, decryption, entry.recryption_public, kid):
            raise NotAuthentic("its halves don't make up the group's key")
    part = _partial(desk, entry, recipient)
    recryption = Recryption(
        kid, entry.member_key_udf, entry.split, part, entry.decryption_key.envelope
    )
    with about(what):
        try:
            content = open_with_halves(envelope, recryption, decryption)
        except (NotForThisKey, Malformed):
            raise Trouble(
                f"{desk.service.url}: WHAT IT ANSWERED DOESN'T OPEN {what}",
                "Nothing was shown. Either the file is damaged, or the service answers wrongly: "
                "ask the group's administrator by another way",
            ) from None
    contacts.keep_half(desk.home, recryption)
    return content


def _entries(desk: _Desk, kid: Udf) -> list[UserDecryptionEntry]:
    """Ask for the entries for a group key; those for one's own addresses come first."""
    own = GetEntry(group_id=desk.pin.identifier, member_udf=desk.home.profile().identifier)
    answer = desk.ask(own, GetEntryResponse)
    found = [entry for entry in answer.entries if entry.encryption_key_udf == kid]
    accounts = desk.home.profile().profile.accounts
    return sorted(found, key=lambda each: each.account_name not in accounts)


def _partial(desk: _Desk, entry: UserDecryptionEntry, recipient: Recipient) -> bytes:
    """Ask for the partial of an envelope; what comes with it must be what the entry has."""
    epk = recipient.epk
    request = RecryptData(
        member_udf=desk.home.profile().identifier,
        member_key_udf=entry.member_key_udf,
        group_key_id=entry.encryption_key_udf,
        recipient=MergedRecipient(
            header=RecipientHeader(
                alg=recipient.wrap.alg,
                kid=entry.encryption_key_udf,
                epk=EphemeralKey(epk.curve, epk.x, epk.y),
                apu=write_b64url(recipient.apu) or None,
                apv=write_b64url(recipient.apv) or None,
            ),
            encrypted_key=write_b64url(recipient.encrypted_key),
        ),
    )
    answer = desk.ask(request, RecryptDataResponse)
    with about(f"the answer of {desk.service.url}"):
        if (answer.split, answer.decryption_key) != (entry.split, entry.decryption_key):
            raise NotAuthentic("another entry than the one that was asked about")
        if answer.partial is None:
            raise Malformed("no Partial, though none was asked for that is encrypted")
        return read_b64url(answer.partial)
