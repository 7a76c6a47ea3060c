"""Flows of who begins: a profile with its keys, and a group with its own (spec §4, §5)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from recrypt_client import chains, claims, entries, escrows, pins, sharing
from recrypt_client.errors import ServiceRefused, Trouble, about
from recrypt_client.home import Home
from recrypt_client.pins import Pin
from recrypt_client.service import Service
from recrypt_client.sharing import GroupKeys
from recrypt_core import chain, limits
from recrypt_core.chain import GroupState
from recrypt_core.documents import (
    NO_HEAD,
    CreateAuthorization,
    GroupKey,
    Privilege,
    Profile,
    RecryptionGroup,
    VerifiedProfile,
    sign_create,
    sign_group_key,
    sign_profile,
    verified_master,
)
from recrypt_core.keys import Curve, PrivateKey, PublicKey
from recrypt_core.messages import ChangeResponse, CreateGroup, write_message
from recrypt_core.signature_keys import SignatureCurve, SignaturePrivateKey
from recrypt_core.signing import (
    Jws,
    Link,
    SignedRequest,
    read_request,
    request_body,
    sign_request,
)
from recrypt_core.udf import Udf

ADMINISTRATOR: Final = (Privilege.RECRYPT, Privilege.ADMIN, Privilege.SUPER)
_NOT_TAKEN: Final = (401, 403)  # what a service says to a request that it has never taken


@dataclass(frozen=True, slots=True)
class Wanted:
    """A group that is to be made.

    Attributes:
        name: Its GroupName.
        curve: Of the group's key.
        escrow: The keys that its private keys are sealed to besides, for a rainy day (spec §4).
        owners: Whose those are.
    """

    name: str
    curve: Curve
    escrow: tuple[PublicKey, ...] = ()
    owners: Mapping[Udf, Udf] = field(default_factory=dict, compare=False)


def create_profile(home: Home, address: str, curve: Curve, *, now: datetime) -> VerifiedProfile:
    """Make a profile and its keys: master, online, and an EncryptionKey (spec §4).

    Raises:
        Trouble: if the home has one.
    """
    if home.has_profile():
        raise Trouble(
            f"{home.root}: a profile is there already",
            "Nothing was overwritten. See it with recrypt profile show, or choose another --home",
        )
    master, online, device = signature_key(), signature_key(), PrivateKey.generate(curve)
    stated = Profile(
        identifier=master.public.udf,
        master_signature_key=master.public,
        online_signature_keys=(online.public,),
        encryption_keys=(device.public,),
        accounts=(address,),
        updated=now.replace(microsecond=0),
    )
    profile = sign_profile(stated, master)
    for key in (master, online, device):
        home.keep_key(key)
    home.keep_profile(profile)
    return profile


def create_group(home: Home, service: Service, wanted: Wanted, *, now: datetime) -> Pin:
    """Make a group and register it; this home's profile is its first member (spec §5).

    The keys and the request are stored before it is sent. If the answer gets lost, the very same
    request is sent again: for the service that is a repeat. Only if it was never taken, and is
    too old now, is it signed anew, with the same keys.

    Raises:
        Trouble: if there is such a group, or the service doesn't take it.
    """
    group = wanted.name
    if home.pin(group) is not None:
        raise Trouble(f"{group} is known here already", "Choose another name for a new group")
    _check_owners(home, wanted)
    body = home.pending(group)
    if body is not None and _is_for(body, service, wanted):
        escrows.note(home, group, wanted.owners)  # it may have been cut off before that
        try:
            return _register(home, service, body, now=now)
        except ServiceRefused as refusal:
            if refusal.status not in _NOT_TAKEN:
                raise
        body = _signed_anew(home, service, read_request(body), now=now)
    else:
        body = _new_group(home, service, wanted, now=now)
    home.keep_pending(group, body)
    escrows.note(home, group, wanted.owners)
    return _register(home, service, body, now=now)


def _check_owners(home: Home, wanted: Wanted) -> None:
    """Refuse to name an escrow key as another's than before, by a request that wasn't taken."""
    known = escrows.owners(home, wanted.name)
    for udf, who in wanted.owners.items():
        if known.get(udf, who) != who:
            raise Trouble(
                f"the escrow key {claims.short(udf)} of {wanted.name} was named as another's here",
                claims.HINT,
            )


def _is_for(body: bytes, service: Service, wanted: Wanted) -> bool:
    """Tell whether a stored request is what is asked for now."""
    with about(f"the stored request to create {wanted.name}"):
        request = read_request(body)
        state = chain.begin(chain.read_change(request))
    stored = Wanted(
        state.name,
        state.key.document.encryption_key.curve,
        state.master.profile.master_escrow_keys,
    )
    return request.url == service.url and stored == wanted


def _register(home: Home, service: Service, body: bytes, *, now: datetime) -> Pin:
    """Send a stored request, and pin the group once the service has taken it."""
    state = chain.begin(chain.read_change(read_request(body)))
    answer = service.send(body, CreateGroup.transaction, ChangeResponse)
    if answer.head != state.head:
        raise Trouble(
            f"{service.url} took {state.name}, but SHOWS ANOTHER HISTORY",
            "Don't use the group; ask the service's operator",
        )
    pin = pins.renew(None, state.key, service=service.url, now=now, head=state.head)
    chains.confirm(chains.open_desk(home, service, pin), state, now=now)
    home.keep_pin(pin)
    home.drop_pending(state.name)
    return pin


def _new_group(home: Home, service: Service, wanted: Wanted, *, now: datetime) -> bytes:
    """Draw a group's keys, store them, and give the request that registers it."""
    group = wanted.name
    master, online, key = signature_key(), signature_key(), PrivateKey.generate(wanted.curve)
    administrator = home.profile()
    first = entries.member(administrator, key, privileges=ADMINISTRATOR)
    signed_master = _sign_master(wanted, master, online, now=now)
    to = sharing.devices([administrator], signed_master)
    keys = GroupKeys((key,), (online,), master)
    recryption_group = RecryptionGroup(
        group_name=group,
        master=signed_master.signed,
        current_encryption_key=_sign_key(group, signed_master, (key, online), now=now),
        members=(first.entry,),
        administrator_keys=sharing.seal_keys(keys, to, master_to=to),
    )
    for each in (master, online, key):
        home.keep_key(each)
    signed = _sign(home, service, recryption_group, online, now=now)
    return request_body(signed, first.halves)


def _signed_anew(home: Home, service: Service, old: SignedRequest, *, now: datetime) -> bytes:
    """Sign a stored request once more, with the time of now."""
    change = chain.read_change(old)
    if not isinstance(change.message, CreateGroup):
        raise Trouble("the stored request creates no group", "Remove it from the home")
    state: GroupState = chain.begin(change)
    key = home.signing_key(state.master)
    signed = _sign(home, service, change.message.recryption_group, key, now=now)
    return request_body(signed, old.halves)


def _sign(
    home: Home,
    service: Service,
    group: RecryptionGroup,
    key: SignaturePrivateKey,
    *,
    now: datetime,
) -> Jws:
    """Sign change 1 by the group's key, authorised by the administrator's (spec §5)."""
    if group.master is None:
        raise Trouble(f"{group.group_name} has no Master", "Remove the stored request")
    administrator = home.profile()
    identifier = verified_master(group.master, group.group_name).identifier
    authorization = CreateAuthorization(
        group_identifier=identifier,
        group_name=group.group_name,
        url=service.url,
        iat=int(now.timestamp()),
    )
    message = CreateGroup(
        recryption_group=group,
        authorization=sign_create(authorization, home.signing_key(administrator)),
    )
    link = Link(identifier, 1, None)
    return sign_request(write_message(message), key, url=service.url, now=now, link=link)


def _sign_master(
    wanted: Wanted, master: SignaturePrivateKey, online: SignaturePrivateKey, *, now: datetime
) -> VerifiedProfile:
    stated = Profile(
        identifier=master.public.udf,
        master_signature_key=master.public,
        online_signature_keys=(online.public,),
        master_escrow_keys=wanted.escrow,
        accounts=(wanted.name,),
        updated=now.replace(microsecond=0),
    )
    return sign_profile(stated, master)


def _sign_key(
    group: str,
    master: VerifiedProfile,
    keys: tuple[PrivateKey, SignaturePrivateKey],
    *,
    now: datetime,
) -> Jws:
    key, online = keys
    created = now.replace(microsecond=0)
    stated = GroupKey(
        group_name=group,
        group_identifier=master.identifier,
        encryption_key=key.public,
        generation=1,
        created=created,
        not_after=created + limits.GROUP_KEY_LIFE,
        head=NO_HEAD,
    )
    return sign_group_key(stated, online).signed


def signature_key() -> SignaturePrivateKey:
    """Draw a signature key."""
    return SignaturePrivateKey.generate(SignatureCurve.ED25519)
