"""AdministratorKeys: a group's private keys, sealed to those who administer it (spec §4).

Pure. The kids of their recipients tell to whom they are sealed; the service sees that too.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from recrypt_core import limits
from recrypt_core.chain import GroupState
from recrypt_core.documents import Privilege, VerifiedProfile
from recrypt_core.encoding import JsonValue, read_json, read_object, write_json
from recrypt_core.errors import Malformed, NotAuthentic, NotForThisKey
from recrypt_core.keys import PrivateKey, PublicKey
from recrypt_core.opening import open_whole
from recrypt_core.policy import History
from recrypt_core.sealing import seal
from recrypt_core.signature_keys import SignaturePrivateKey
from recrypt_core.udf import Udf
from recrypt_core.wire import SealedKey

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
    return all(kids(state, cty) == {key.udf for key in to} for cty, to in wanted)


def kids(state: GroupState, cty: str) -> frozenset[str | None]:
    """Give the kids that AdministratorKeys of a kind are sealed to; None stands for none."""
    sealed = [each.envelope for each in state.administrator_keys if each.envelope.cty == cty]
    return frozenset(recipient.kid for each in sealed for recipient in each.recipients)


def names(state: GroupState) -> Iterator[Udf]:
    """Give the fingerprints of all keys that administrators of a group are to have."""
    yield from agreement_names(state)
    yield from (key.udf for key in state.master.signature_keys)


def agreement_names(state: GroupState) -> list[Udf]:
    """Give the fingerprints of those that read, the current one first, then the latest past one.

    Where members are to read nothing of the past, its keys are forgotten (spec §4, Policy).
    """
    is_past = state.policy.past_keys or state.policy.history is not History.NONE
    return [state.key.udf, *(key.udf for key in reversed(state.past_keys) if is_past)]


def open_keys(state: GroupState, own: Sequence[PrivateKey]) -> GroupKeys:
    """Open what is sealed to these devices, each key checked against its name (spec §4).

    What isn't such a key, or one that the group doesn't have, or not any more, is passed over.
    """
    agreement = agreement_names(state)
    found: dict[str, PrivateKey] = {}
    signing: dict[str, SignaturePrivateKey] = {}
    for udf, key in _opened(state, own):
        if isinstance(key, PrivateKey):
            found[udf] = key
        elif key is not None:
            signing[udf] = key
    master = signing.pop(state.identifier, None)
    older = tuple(found[udf] for udf in agreement if udf in found)
    return GroupKeys(older, tuple(signing.values()), master)


def faults(state: GroupState, own: Sequence[PrivateKey]) -> list[str]:
    """Name the keys in whose place AdministratorKeys have something else for these devices."""
    return [name for name, key in _opened(state, own) if key is None]


def _opened(
    state: GroupState, own: Sequence[PrivateKey]
) -> Iterator[tuple[str, PrivateKey | SignaturePrivateKey | None]]:
    """Open what can be opened; give each of the group's keys by its name, None for a wrong one."""
    for envelope in (each.envelope for each in state.administrator_keys):
        try:
            stated = read_json(open_whole(envelope, own), limit=limits.REQUEST_OCTETS)
        except NotForThisKey:
            continue
        except (Malformed, NotAuthentic):
            yield f"all of {envelope.cty}", None
            continue
        agreement = agreement_names(state)
        for udf in (each for each in names(state) if each in stated):
            is_agreement = udf in agreement
            yield udf, _private_key(stated[udf], udf, is_agreement=is_agreement)


def _private_key(
    value: JsonValue, udf: Udf, *, is_agreement: bool
) -> PrivateKey | SignaturePrivateKey | None:
    """Read a private key; None if it isn't the one that it is named."""
    kind = PrivateKey if is_agreement else SignaturePrivateKey
    try:
        key = kind.from_secret_jwk(read_object(value, what="AdministratorKeys"))
    except Malformed:
        return None
    return key if key.public.udf == udf else None


def _sealed(
    keys: Sequence[PrivateKey | SignaturePrivateKey], to: Devices, cty: str
) -> Iterator[SealedKey]:
    text = write_json({key.public.udf: key.to_secret_jwk() for key in keys})
    for at in range(0, len(to), limits.ENVELOPE_RECIPIENTS):
        yield SealedKey(seal(text, to[at : at + limits.ENVELOPE_RECIPIENTS], cty=cty))
