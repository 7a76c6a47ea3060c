"""What an administrator writes about members: entries with fresh splits, in changes of a size.

Pure. x goes sealed into the entry, r beside the signature (spec §4, §5).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from recrypt_client.errors import Trouble
from recrypt_core import limits
from recrypt_core.chain import GroupState
from recrypt_core.documents import (
    MemberEntry,
    Privilege,
    Status,
    UserDecryptionEntry,
    VerifiedProfile,
)
from recrypt_core.encoding import write_json
from recrypt_core.keys import PrivateKey, PublicKey
from recrypt_core.policy import History
from recrypt_core.sealing import seal
from recrypt_core.signing import Jws
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


def split_for(profile: VerifiedProfile, account: str, *keys: PrivateKey) -> Made:
    """Make the entry of an ACTIVE member: a fresh split of each group key, x sealed to devices.

    Raises:
        Trouble: if the profile has no EncryptionKeys to seal to.
    """
    devices = profile.profile.encryption_keys
    if not devices:
        raise Trouble(
            f"{account}: the profile has no EncryptionKeys, so nothing can be sealed to it",
            "Ask for a profile that has some",
        )
    splits = [_split(key, devices, account) for key in keys]
    entry = MemberEntry(
        recrypt_udf=profile.identifier,
        account_name=account,
        profile=profile.signed,
        entries=tuple(each for each, _ in splits),
    )
    return Made(entry, {each.member_key_udf: half for each, half in splits})


def _split(
    key: PrivateKey, devices: Sequence[PublicKey], account: str
) -> tuple[UserDecryptionEntry, PrivateKey]:
    """Split a group key once; x goes into the entry, r is given beside it."""
    halves = split(key)
    public = halves.decryption.public
    sealed = seal(write_json(halves.decryption.to_secret_jwk()), devices, named=False)
    entry = UserDecryptionEntry(
        encryption_key_udf=key.public.udf,
        member_key_udf=public.udf,
        account_name=account,
        recryption_public=halves.recryption.public,
        decryption_public=public,
        decryption_key=SealedKey(sealed),
    )
    return entry, halves.recryption


def member(
    profile: VerifiedProfile,
    *keys: PrivateKey,
    privileges: tuple[Privilege, ...],
    status: Status = Status.ACTIVE,
    account: str | None = None,
) -> Made:
    """Make the entry of a new member, for its first Account unless said (spec §4)."""
    made = split_for(profile, account or profile.profile.accounts[0], *keys)
    if status is Status.REVOKED:
        made = Made(made.entry, {})
    return Made(revised(made.entry, status, privileges=privileges), made.halves)


def revised(
    entry: MemberEntry,
    status: Status,
    *,
    privileges: tuple[Privilege, ...] | None = None,
    profile: Jws | None = None,
    entries: tuple[UserDecryptionEntry, ...] | None = None,
) -> MemberEntry:
    """Give an entry another status, and what else is given; REVOKED has no Entries (spec §4)."""
    stated = entry.entries if entries is None else entries
    return MemberEntry(
        recrypt_udf=entry.recrypt_udf,
        account_name=entry.account_name,
        profile=entry.profile if profile is None else profile,
        privileges=entry.privileges if privileges is None else privileges,
        quotas=entry.quotas,
        status=status,
        entries=() if status is Status.REVOKED else stated,
    )


def kept(entry: MemberEntry, state: GroupState) -> tuple[UserDecryptionEntry, ...]:
    """Give the Entries that stay when the next group key comes (spec §6, Rekey).

    The current key's: posts to it are on their way. Those of past keys, if `history` says so.
    One of a key that the group doesn't have is another administrator's for the next key, if it
    stands behind the current key's; if before, that rekey came to nothing.
    """
    past = {key.udf for key in state.past_keys}
    has_past = state.policy.history is not History.NONE
    stay: list[UserDecryptionEntry] = []
    is_behind = False
    for each in entry.entries:
        is_behind = is_behind or each.encryption_key_udf == state.key.udf
        if has_past if each.encryption_key_udf in past else is_behind:
            stay.append(each)
    return tuple(stay)


def batches(made: Iterable[Made]) -> Iterator[list[Made]]:
    """Part entries into changes of at most 1,000 entries and less than 8 MiB (spec §5)."""
    batch: list[Made] = []
    octets, count = ROOM_OCTETS, 0
    for each in made:
        # A third more: the payload stands in base64url.
        size = len(write_json(to_json(each.entry))) * 4 // 3 + HALF_OCTETS * len(each.halves) + 8
        stated = max(len(each.entry.entries), 1)  # members and their Entries: 1,000 of either
        is_full = count + stated > limits.REQUEST_ENTRIES
        if batch and (is_full or octets + size > limits.REQUEST_OCTETS):
            yield batch
            batch, octets, count = [], ROOM_OCTETS, 0
        batch.append(each)
        octets, count = octets + size, count + stated
    if batch:
        yield batch
