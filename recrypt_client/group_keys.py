"""A group's key and Master as its administrators sign them: the next one, or the same anew.

Pure (spec §4).
"""

from datetime import datetime, timedelta
from typing import Final

from recrypt_client.errors import Trouble
from recrypt_core import limits
from recrypt_core.chain import GroupState
from recrypt_core.documents import (
    GroupKey,
    Profile,
    VerifiedGroupKey,
    VerifiedProfile,
    sign_group_key,
    sign_profile,
)
from recrypt_core.keys import PublicKey
from recrypt_core.signature_keys import SignaturePrivateKey, SignaturePublicKey

_LATER: Final = timedelta(seconds=1)  # times on the wire have whole seconds here


def next_key(
    state: GroupState, public: PublicKey, online: SignaturePrivateKey, *, now: datetime
) -> VerifiedGroupKey:
    """Sign the key that follows the group's current one."""
    created = now.replace(microsecond=0)
    stated = GroupKey(
        group_name=state.name,
        group_identifier=state.identifier,
        encryption_key=public,
        generation=state.key.document.generation + 1,
        created=created,
        not_after=created + limits.GROUP_KEY_LIFE,
        previous=state.key.udf,
        head=state.head,
    )
    return sign_group_key(stated, online)


def same_key(
    state: GroupState,
    online: SignaturePrivateKey,
    *,
    not_after: datetime | None = None,
    closed: datetime | None = None,
) -> VerifiedGroupKey:
    """Sign the group's current key once more, good for as long as it was, unless said.

    closed: when the group ends with it for good; None if it goes on.
    """
    old = state.key.document
    stated = GroupKey(
        group_name=old.group_name,
        group_identifier=old.group_identifier,
        encryption_key=old.encryption_key,
        generation=old.generation,
        created=old.created,
        not_after=not_after or old.not_after,
        previous=old.previous,
        closed=closed,
        head=state.head,
    )
    return sign_group_key(stated, online)


def check_open(key: VerifiedGroupKey) -> None:
    """Refuse to go on with a group that was closed for good.

    Raises:
        Trouble: saying when.
    """
    stated = key.document
    if stated.closed is not None:
        raise Trouble(
            f"{stated.group_name} was closed for good on {stated.closed:%Y-%m-%d}",
            "Nothing is sent to it, and nothing of it changes, any more: ask who had it where to "
            "write to",
        )


def next_master(
    state: GroupState,
    master: SignaturePrivateKey,
    *,
    online: tuple[SignaturePublicKey, ...] | None = None,
    escrow: tuple[PublicKey, ...] | None = None,
    now: datetime,
) -> VerifiedProfile:
    """Sign a newer Master; its online and escrow keys stay, unless others are given."""
    old = state.master.profile
    stated = Profile(
        identifier=old.identifier,
        master_signature_key=old.master_signature_key,
        online_signature_keys=old.online_signature_keys if online is None else online,
        master_escrow_keys=old.master_escrow_keys if escrow is None else escrow,
        accounts=old.accounts,
        updated=max(now.replace(microsecond=0), old.updated + _LATER),
    )
    return sign_profile(stated, master)
