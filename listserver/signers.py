"""Who signs a request, and whether it is fresh: the same words for every stranger (spec §5)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Final

from listserver.limits import NONCE_LIFE, PROFILE_OCTETS
from listserver.model import House, StoredList
from listserver.store import Store, Work
from recrypt_core.documents import Privilege, VerifiedProfile, verified_profile
from recrypt_core.errors import Malformed, NotAuthentic, Refused, TooLarge, Why
from recrypt_core.signature_keys import SignaturePublicKey
from recrypt_core.signing import UNKNOWN_KEY, Jws, SignedRequest

USED_NONCE: Final = "the nonce was used before: sign anew"
STRANGER: Final = f"{UNKNOWN_KEY}, or not by the key it names"


async def authentic(
    work: Work, request: SignedRequest, group: str, *, newest: bool = False
) -> StoredList:
    """Find the list that a request is about, with its signer and all who have powers.

    Args:
        work: The transaction.
        request: What was signed.
        group: The GroupName or Identifier that it says to be about.
        newest: Whether the members' newest profiles count, as they do for all but a change of the
            chain, for which it is those that the chain carries (spec §5).

    Raises:
        NotAuthentic: if there is no such list, no such signer, or no such signature: all the same.
    """
    found = await work.find_list(group)
    if found is not None:
        found = await work.with_signer(found, request.signer, newest=newest)
        key = found.state.signer(request.signer)
        # A stranger's is verified too, with any key: else the time would tell whose keys are known.
        decoy = found.state.master.profile.master_signature_key
        # One wording for a bad signature as well, for the same reason.
        if is_signed(request, key or decoy) and key is not None:
            return found
    raise NotAuthentic(STRANGER)


def is_signed(request: SignedRequest, key: SignaturePublicKey) -> bool:
    """Tell whether a request is signed by a key, whichever key it names."""
    try:
        replace(request, signer=key.udf).verify(key)
    except (Malformed, NotAuthentic):
        return False
    return True


async def own_profile(request: SignedRequest, stated: Jws) -> VerifiedProfile:
    """Verify a profile that comes in a request that one of its own keys signed.

    Raises:
        TooLarge, Malformed: if the profile is, or breaks the format.
        NotAuthentic: if it isn't signed by its master key, or the request by a key of it.
    """
    if len(stated.payload) > PROFILE_OCTETS:
        raise TooLarge(f"a profile of over {PROFILE_OCTETS} octets")
    profile = await asyncio.to_thread(verified_profile, stated)
    key = profile.signature_key(request.signer)
    if key is None or not is_signed(request, key):
        raise NotAuthentic(STRANGER)
    return profile


async def take_fresh(work: Work, request: SignedRequest, url: str, now: datetime) -> None:
    """Refuse a stale or replayed request, and remember its nonce (spec §5).

    For far longer than it is fresh: after a jump of the clock ahead and back it is fresh again.

    Raises:
        NotAuthentic: with the reason.
    """
    request.check_fresh(url, now)
    until = now + NONCE_LIFE
    if not await work.take_nonce(request.signer, request.nonce, until=until, now=now):
        raise NotAuthentic(USED_NONCE)


class Signers:
    """Begins the transactions of those who ask about a list and change nothing of its chain."""

    def __init__(self, house: House, store: Store) -> None:
        self._house = house
        self._store = store

    @asynccontextmanager
    async def known(
        self, request: SignedRequest, group: str, now: datetime
    ) -> AsyncIterator[tuple[Work, StoredList]]:
        """Begin a transaction for who is known to a list: its Master or a member of any status.

        The list's state holds all members who have the signer's key, with their newest profiles.

        Raises:
            NotAuthentic: for a stranger, and for what is stale or replayed.
        """
        async with self._store.begin() as work:
            found = await authentic(work, request, group, newest=True)
            await take_fresh(work, request, self._house.public_url, now)
            yield work, found

    @asynccontextmanager
    async def administered(
        self, request: SignedRequest, group: str, now: datetime
    ) -> AsyncIterator[tuple[Work, StoredList]]:
        """Begin a transaction about a list for one who administers it.

        Raises:
            NotAuthentic: as `known`.
            Refused: FORBIDDEN for who isn't an ACTIVE ADMIN or SUPER.
        """
        async with self.known(request, group, now) as (work, found):
            if not found.state.may(request.signer, Privilege.ADMIN, Privilege.SUPER):
                raise Refused(Why.FORBIDDEN, "only an ACTIVE ADMIN or SUPER may do that")
            yield work, found
