"""AdministratorKeys: a group's private keys, sealed to those who administer it (spec §4).

Pure. The kids of their recipients tell to whom they are sealed; the service sees that too.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias, TypeVar

from recrypt_core import limits
from recrypt_core.chain import GroupState
from recrypt_core.documents import Privilege, VerifiedProfile
from recrypt_core.encoding import JsonValue, read_json, read_object, write_json
from recrypt_core.envelope import Envelope
from recrypt_core.errors import NotAuthentic, NotForThisKey
from recrypt_core.keys import PrivateKey, PublicKey
from recrypt_core.opening import open_whole
from recrypt_core.sealing import seal
from recrypt_core.signature_keys import SignaturePrivateKey
from recrypt_core.udf import Udf
from recrypt_core.wire import SealedKey

K = TypeVar("K", PrivateKey, SignaturePrivateKey)

Devices: TypeAlias = Sequence[PublicKey]
"""EncryptionKeys that something is sealed to."""

KEYS: Final = "recrypt-keys"  # the cty of what ADMIN may have (spec §4)
MASTER: Final = "recrypt-master"  # the cty of the master key, for SUPER


@dataclass(frozen=True, slots=True)
class GroupKeys:
    """The private keys of a group, as far as somebody has them.

    Attributes:
        agreement: Those of group keys, the current one first.
        online: Those that sign for the Master day to day.
        master: The one that its Identifier names.
    """

    agreement: tuple[PrivateKey, ...] = ()
    online: tuple[SignaturePrivateKey, ...] = ()
    master: SignaturePrivateKey | None = None

    def has(self, udf: Udf) -> bool:
        """Tell whether the key of this fingerprint is among them."""
        master = () if self.master is None else (self.master,)
        return any(key.public.udf == udf for key in (*self.agreement, *self.online, *master))


def readers(state: GroupState, *powers: Privilege) -> Devices:
    """Give the devices of the ACTIVE members with one of these powers, and the escrow keys."""
    found = [each.profile for each in state.members.values() if each.may(*powers)]
    return devices(found, state.master)


def devices(people: Iterable[VerifiedProfile], master: VerifiedProfile) -> Devices:
    """Give the devices of people, and a Master's escrow keys, each once."""
    keys = [key for each in people for key in each.profile.encryption_keys]
    keys += master.profile.master_escrow_keys
    return [*{key.udf: key for key in keys}.values()]


def seal_keys(
    keys: GroupKeys, to: Devices, *, master_to: Devices, held: tuple[SealedKey, ...] = ()
) -> tuple[SealedKey, ...]:
    """Seal a group's keys anew; the master key stays as it is held, for who hasn't got it."""
    sealed = [*_sealed((*keys.agreement, *keys.online), to, KEYS)]
    if keys.master is None:
        return (*sealed, *(each for each in held if each.envelope.cty == MASTER))
    return (*sealed, *seal_master(keys.master, master_to))


def seal_for(
    state: GroupState, keys: GroupKeys, *, master: VerifiedProfile | None = None
) -> tuple[SealedKey, ...]:
    """Seal a group's keys to those who are to have them, under this or its next Master."""
    following = state if master is None else replace(state, master=master)
    return seal_keys(
        keys,
        readers(following, Privilege.ADMIN, Privilege.SUPER),
        master_to=readers(following, Privilege.SUPER),
        held=state.administrator_keys,
    )


def seal_master(master: SignaturePrivateKey, to: Devices) -> tuple[SealedKey, ...]:
    """Seal a group's master key alone."""
    return tuple(_sealed((master,), to, MASTER))


def is_sealed_right(state: GroupState, *, has_master: bool) -> bool:
    """Tell whether AdministratorKeys are sealed to those, and to no others.

    Args:
        state: The group.
        has_master: Whether to ask it of the master key too.
    """
    wanted = [(KEYS, readers(state, Privilege.ADMIN, Privilege.SUPER))]
    wanted += [(MASTER, readers(state, Privilege.SUPER))] if has_master else []
    return all(_kids(state, cty) == {key.udf for key in to} for cty, to in wanted)


def names(state: GroupState) -> Iterator[Udf]:
    """Give the fingerprints of all keys that a group has and had: its own and its Master's."""
    yield from (key.udf for key in (state.key, *state.past_keys))
    yield from (key.udf for key in state.master.signature_keys)


def open_keys(state: GroupState, own: Sequence[PrivateKey]) -> GroupKeys:
    """Open what is sealed to these devices, each key checked against its name (spec §4).

    A key that the group doesn't have, or not any more, is passed over.

    Raises:
        Malformed: if it breaks the format.
        NotAuthentic: if a key isn't the one that it is named.
    """
    agreement = [state.key.udf, *(key.udf for key in reversed(state.past_keys))]
    signature = [key.udf for key in state.master.signature_keys]
    found: dict[str, PrivateKey] = {}
    signing: dict[str, SignaturePrivateKey] = {}
    for udf, value in _opened([each.envelope for each in state.administrator_keys], own):
        jwk = read_object(value, what="AdministratorKeys")
        if udf in agreement:
            found[udf] = _checked(PrivateKey.from_secret_jwk(jwk), udf)
        elif udf in signature:
            signing[udf] = _checked(SignaturePrivateKey.from_secret_jwk(jwk), udf)
    master = signing.pop(state.identifier, None)
    older = tuple(found[udf] for udf in agreement if udf in found)
    return GroupKeys(older, tuple(signing.values()), master)


def _checked(key: K, udf: str) -> K:
    if key.public.udf != udf:
        raise NotAuthentic("AdministratorKeys with another private key than they name")
    return key


def _opened(
    envelopes: Iterable[Envelope], own: Sequence[PrivateKey]
) -> Iterator[tuple[str, JsonValue]]:
    for envelope in envelopes:
        try:
            text = open_whole(envelope, own)
        except NotForThisKey:
            continue
        yield from read_json(text, limit=limits.REQUEST_OCTETS).items()


def _kids(state: GroupState, cty: str) -> set[str | None]:
    sealed = [each.envelope for each in state.administrator_keys if each.envelope.cty == cty]
    return {recipient.kid for each in sealed for recipient in each.recipients}


def _sealed(
    keys: Sequence[PrivateKey | SignaturePrivateKey], to: Devices, cty: str
) -> Iterator[SealedKey]:
    text = write_json({key.public.udf: key.to_secret_jwk() for key in keys})
    for at in range(0, len(to), limits.ENVELOPE_RECIPIENTS):
        yield SealedKey(seal(text, to[at : at + limits.ENVELOPE_RECIPIENTS], cty=cty))
