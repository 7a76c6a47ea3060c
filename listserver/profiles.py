"""Newer profiles that members send themselves: they count at once, but for the chain (spec §4)."""

from datetime import datetime

from listserver.model import House
from listserver.signers import own_profile
from listserver.store import Store
from recrypt_core.documents import VerifiedProfile
from recrypt_core.errors import Refused, Why
from recrypt_core.messages import Response, UpdateProfile
from recrypt_core.signing import SignedRequest


class Profiles:
    """Takes the requests that change a profile."""

    def __init__(self, house: House, store: Store) -> None:
        self._house = house
        self._store = store

    async def update(
        self, request: SignedRequest, message: UpdateProfile, now: datetime
    ) -> Response:
        """Keep a newer profile in every list that its owner is a member of.

        Who is a member of none gets the same answer, and nothing is kept. So does who signs with a
        key that a newer profile has withdrawn: it may be a thief's, who isn't told of a membership.
        A repeat changes nothing, so that its nonce isn't remembered.

        Raises:
            TooLarge, Malformed: if the profile is, or breaks the format.
            NotAuthentic: if the profile isn't signed by its master key, or the request by a key of
                the profile.
            Refused: CONFLICT for a profile older than a list has.
        """
        profile = await own_profile(request, message.profile)
        request.check_fresh(self._house.public_url, now)
        async with self._store.begin() as work:
            held = await work.newest_profiles(profile.identifier)
            older = [each for each in held.values() if _replaces(each, profile)]
            if any(each.signature_key(request.signer) for each in older):
                raise Refused(Why.CONFLICT, "there is a newer profile of yours here: send that")
            for list_id, each in held.items():
                if each.profile.updated < profile.profile.updated:
                    await work.put_profile(list_id, profile)
        return Response()


def _replaces(held: VerifiedProfile, stated: VerifiedProfile) -> bool:
    """Tell whether a profile stands against the one that is stated now."""
    if held.profile.updated == stated.profile.updated:
        return held.signed.payload != stated.signed.payload
    return held.profile.updated > stated.profile.updated
