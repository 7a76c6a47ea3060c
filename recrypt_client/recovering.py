"""Flows for the day when all administrators have lost everything: escrow, and what it is good for.

An escrow file holds the group's master key, sealed to the escrow keys (spec §8). That key never
changes, so the file stays good for the group's whole life. Who opens it signs as the group, so is
shown the chain, and in it the AdministratorKeys, which are sealed to the escrow keys too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from recrypt_client import (
    chains,
    changing,
    claims,
    custody,
    debts,
    entries,
    escrows,
    group_keys,
    pins,
    removing,
    sharing,
)
from recrypt_client.chains import Desk
from recrypt_client.changing import Pace, change_members
from recrypt_client.entries import Made
from recrypt_client.errors import Trouble, about
from recrypt_client.founding import ADMINISTRATOR
from recrypt_client.home import Home
from recrypt_client.pins import Pin
from recrypt_client.service import Service
from recrypt_core import limits
from recrypt_core.chain import GroupState
from recrypt_core.documents import (
    RecryptionGroup,
    Status,
    VerifiedProfile,
    verified_group_key,
    verified_master,
)
from recrypt_core.encoding import read_json, read_object, write_json
from recrypt_core.errors import Malformed, NotAuthentic
from recrypt_core.keys import PrivateKey, PublicKey
from recrypt_core.messages import AddMember, GetKey, GetKeyResponse, UpdateMember
from recrypt_core.opening import open_whole
from recrypt_core.signature_keys import SignaturePrivateKey
from recrypt_core.udf import Udf
from recrypt_core.wire import Document, SealedKey, UdfText, from_json, to_json

VERSION: Final = 1  # of the escrow file


class EscrowFile(Document, frozen=True, kw_only=True):
    """A group's master key, sealed to its escrow keys, and where the group is (spec §8)."""

    escrow_version: int
    group_name: str
    identifier: UdfText
    service: str
    master_key: SealedKey


@dataclass(frozen=True, slots=True)
class Recovered:
    """A group that is administered again.

    Attributes:
        state: The group, with who recovered it as an ACTIVE SUPER.
        account: Whom it has as such now.
        has_key: Whether the group's private key was to be had too; else it needs a rekey.
        others: The AccountNames of the other ACTIVE administrators, who may be gone.
    """

    state: GroupState
    account: str
    has_key: bool
    others: tuple[str, ...]


def escrow_keys(profiles: list[VerifiedProfile]) -> tuple[PublicKey, ...]:
    """Give the keys that a group is sealed to for these profiles' owners.

    Raises:
        Trouble: if there are none, too many, or one that two profiles list.
    """
    keys = {key.udf: key for each in profiles for key in each.profile.encryption_keys}
    people = {each.identifier: each for each in profiles}.values()
    if len(keys) < sum(len({*each.profile.encryption_keys}) for each in people):
        raise Trouble("two of the escrow profiles list the same key", claims.HINT)
    if profiles and not 1 <= len(keys) <= limits.PROFILE_KEYS:
        raise Trouble(
            f"the escrow profiles have {len(keys)} EncryptionKeys",
            f"A group has 1 to {limits.PROFILE_KEYS} escrow keys: choose other profiles",
        )
    return tuple(keys.values())


def put_in_escrow(
    desk: Desk, state: GroupState, escrow: tuple[PublicKey, ...], pace: Pace
) -> GroupState:
    """Name other escrow keys in the group's Master, and seal AdministratorKeys to them.

    Raises:
        Trouble: without the master key, or if the service doesn't take it.
    """

    def write(state: GroupState) -> RecryptionGroup:
        keys = custody.take(desk.home, state)
        master = group_keys.next_master(
            state, _master_key(desk.home, state), escrow=escrow, now=pace.clock()
        )
        sealed = sharing.seal_for(state, keys, master=master)
        return RecryptionGroup(
            group_name=state.name, master=master.signed, administrator_keys=sealed
        )

    return changing.update_group(desk, state, write, pace)


def name_owners(desk: Desk, state: GroupState, profiles: Sequence[VerifiedProfile]) -> None:
    """Remember whose the escrow keys are that are named now.

    Raises:
        Trouble: if a profile lists a key of another's.
    """
    name = state.name
    named, known = escrows.named_with(profiles), escrows.owners(desk.home, name)
    claims.Claims(state, {**named, **known}).check(profiles)
    escrows.note(desk.home, name, named, is_checked=True)


def escrow_file(desk: Desk, state: GroupState) -> bytes:
    """Write the group's escrow file: nobody but the owners of the escrow keys can open it.

    Raises:
        Trouble: if the group has no escrow keys, or its master key isn't here.
    """
    to = state.master.profile.master_escrow_keys
    if not to:
        raise Trouble(
            f"{state.name} has no escrow keys",
            f"Name whose they are: recrypt escrow {state.name} PROFILE.json --out FILE",
        )
    (sealed,) = sharing.seal_master(_master_key(desk.home, state), to)
    stated = EscrowFile(
        escrow_version=VERSION,
        group_name=state.name,
        identifier=state.identifier,
        service=desk.service.url,
        master_key=sealed,
    )
    return write_json(to_json(stated)) + b"\n"


def read_escrow(octets: bytes, home: Home, *, what: str) -> tuple[EscrowFile, SignaturePrivateKey]:
    """Open an escrow file; what comes out is the key that the group's fingerprint names.

    Raises:
        Trouble: if it is none, or sealed to other keys than the profile's here.
    """
    with about(what):
        file = from_json(EscrowFile, read_json(octets, limit=limits.DOCUMENT_OCTETS))
        if file.escrow_version != VERSION:
            raise Malformed(f"an escrow file of version {file.escrow_version}")
        text = open_whole(file.master_key.envelope, home.device_keys())
        stated = read_json(text, limit=limits.DOCUMENT_OCTETS).get(file.identifier)
        jwk = read_object(stated, what="an escrow file")
        key = SignaturePrivateKey.from_secret_jwk(jwk)
        if key.public.udf != file.identifier:
            raise NotAuthentic("an escrow file with another key than its group's")
    return file, key


def meet_again(
    home: Home, service: Service, name: str, master: SignaturePrivateKey, *, now: datetime
) -> Pin:
    """Pin a group by its fingerprint, the master key's; its key may have ended long ago.

    Raises:
        Trouble: if the service shows another group.
    """
    answer = service.ask(GetKey(group_id=name), GetKeyResponse)
    with about(f"the key of {name} from {service.url}"):
        stated = verified_master(answer.master, name)
        if stated.identifier != master.public.udf:
            raise NotAuthentic(f"the group's fingerprint is {stated.identifier} there")
        key = verified_group_key(answer.signed_key, stated)
    pin = pins.renew(home.pin(name), key, service=service.url, now=now)
    home.keep_pin(pin)
    return pin


def recover(desk: Desk, pace: Pace) -> Recovered:
    """Sign as the group, with its master key; take its keys from it, and become its SUPER.

    Raises:
        Trouble: if the service doesn't take the change.
    """
    home = desk.home
    home.keep_key(desk.key)
    state = chains.current(desk, now=pace.clock())
    if not custody.take(home, state).online:
        state = removing.replace_master(desk, state, pace)
    state = custody.share(desk, _seated(desk, state, home.profile(), pace), pace)
    own = state.members[home.profile().identifier]
    others = [each for each in state.members.values() if each is not own and debts.rules(each)]
    return Recovered(
        state,
        own.account,
        has_key=own.entry_for(state.key.udf) is not None,
        others=tuple(each.account for each in others),
    )


def _seated(desk: Desk, state: GroupState, profile: VerifiedProfile, pace: Pace) -> GroupState:
    """Make the owner of this home an ACTIVE member with all powers."""

    def write(state: GroupState) -> Iterator[Made]:
        keys = {key.public.udf: key for key in custody.take(desk.home, state).agreement}
        yield _seat(state, profile, keys)

    kind = UpdateMember if profile.identifier in state.members else AddMember
    after, _ = change_members(desk, kind, write, pace, state=state)
    return after


def _seat(state: GroupState, profile: VerifiedProfile, keys: Mapping[Udf, PrivateKey]) -> Made:
    """Make the entry: what a member's devices could read stays, and is split for those of now."""
    before = state.members.get(profile.identifier)
    account = profile.profile.accounts[0] if before is None else before.account
    had = () if before is None else before.entry.entries
    is_same = before is not None and _devices(before.profile) == _devices(profile)
    stay = had if is_same else ()
    wanted = dict.fromkeys((*(each.encryption_key_udf for each in had), state.key.udf))
    for each in stay:
        del wanted[each.encryption_key_udf]
    made = entries.split_for(profile, account, *(keys[udf] for udf in wanted if udf in keys))
    every = (*stay, *made.entry.entries)
    seat = entries.revised(made.entry, Status.ACTIVE, privileges=ADMINISTRATOR, entries=every)
    return Made(seat, made.halves)


def _devices(profile: VerifiedProfile) -> set[Udf]:
    return {key.udf for key in profile.profile.encryption_keys}


def _master_key(home: Home, state: GroupState) -> SignaturePrivateKey:
    found = custody.take(home, state).master
    if found is None:
        raise Trouble(
            f"{home.root}: the master key of {state.name} isn't here",
            "Only who made the group, and its other SUPER members, have it",
        )
    return found
