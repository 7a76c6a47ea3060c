"""What an administrator writes about members: entries with fresh splits, in changes of a size.

Pure. x goes sealed into the entry, r beside the signature (spec §4, §5).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from recrypt_client.errors import Trouble
from recrypt_core import limits
from recrypt_core.documents import (
    MemberEntry,
    Privilege,
    Status,
    UserDecryptionEntry,
    VerifiedProfile,
)
from recrypt_core.encoding import write_json
from recrypt_core.keys import PrivateKey
from recrypt_core.sealing import seal
from recrypt_core.signature_keys import SignaturePrivateKey
from recrypt_core.splitting import split
from recrypt_core.udf import Udf
from recrypt_core.wire import SealedKey, to_json

HALF_OCTETS: Final = 400  # of one r beside the signature, with its name: X448 takes 330
ROOM_OCTETS: Final = 64 * 1024  # of a request for all but its entries and halves


@dataclass(frozen=True, slots=True)
class Made:
    """A member entry, and the halves that the service gets for it, by MemberKeyUDF."""

    entry: MemberEntry
    halves: Mapping[Udf, PrivateKey]


def split_for(profile: VerifiedProfile, account: str, key: PrivateKey) -> Made:
    """Make the entry of an ACTIVE member: a fresh split of the group key, x sealed to devices.

    Raises:
        Trouble: if the profile has no EncryptionKeys to seal to.
    """
    devices = profile.profile.encryption_keys
    if not devices:
        raise Trouble(
            f"{account}: the profile has no EncryptionKeys, so nothing can be sealed to it",
            "Ask for a profile that has some",
        )
    halves = split(key)
    public = halves.decryption.public
    sealed = seal(write_json(halves.decryption.to_secret_jwk()), devices, named=False)
    decryption = UserDecryptionEntry(
        encryption_key_udf=key.public.udf,
        member_key_udf=public.udf,
        account_name=account,
        recryption_public=halves.recryption.public,
        decryption_public=public,
        decryption_key=SealedKey(sealed),
    )
    entry = MemberEntry(
        recrypt_udf=profile.identifier,
        account_name=account,
        profile=profile.signed,
        entries=(decryption,),
    )
    return Made(entry, {public.udf: halves.recryption})


def member(
    profile: VerifiedProfile,
    key: PrivateKey,
    *,
    privileges: tuple[Privilege, ...],
    status: Status = Status.ACTIVE,
) -> Made:
    """Make the entry of a new member, for its first Account (spec §4)."""
    made = split_for(profile, profile.profile.accounts[0], key)
    if status is Status.REVOKED:
        made = Made(made.entry, {})
    return Made(revised(made.entry, status, privileges=privileges), made.halves)


def revised(
    entry: MemberEntry,
    status: Status,
    *,
    privileges: tuple[Privilege, ...] | None = None,
    fresh: tuple[UserDecryptionEntry, ...] = (),
) -> MemberEntry:
    """Give an entry another status, and fresh Entries besides; REVOKED carries none (spec §4)."""
    return MemberEntry(
        recrypt_udf=entry.recrypt_udf,
        account_name=entry.account_name,
        profile=entry.profile,
        privileges=entry.privileges if privileges is None else privileges,
        quotas=entry.quotas,
        status=status,
        entries=() if status is Status.REVOKED else (*entry.entries, *fresh),
    )


def administrator_keys(
    administrator: VerifiedProfile, *parts: Iterable[PrivateKey | SignaturePrivateKey]
) -> tuple[SealedKey, ...]:
    """Seal a group's private keys to an administrator's devices, a JWE for each part (spec §4).

    The master key is a part of its own, for SUPER alone.
    """
    devices = administrator.profile.encryption_keys
    texts = (write_json({key.public.udf: key.to_secret_jwk() for key in part}) for part in parts)
    return tuple(SealedKey(seal(text, devices)) for text in texts)


def batches(made: Iterable[Made]) -> Iterator[list[Made]]:
    """Part entries into changes of at most 1,000 entries and less than 8 MiB (spec §5)."""
    batch: list[Made] = []
    octets = ROOM_OCTETS
    for each in made:
        # A third more: the payload stands in base64url.
        size = len(write_json(to_json(each.entry))) * 4 // 3 + HALF_OCTETS * len(each.halves) + 8
        if batch and (
            octets + size > limits.REQUEST_OCTETS or len(batch) == limits.REQUEST_ENTRIES
        ):
            yield batch
            batch, octets = [], ROOM_OCTETS
        batch.append(each)
        octets += size
    if batch:
        yield batch
