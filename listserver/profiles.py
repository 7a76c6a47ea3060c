"""Newer profiles that members send themselves: they count at once, but for the chain (spec §4).

Who signs with a key that a newer profile has withdrawn may be a thief, who isn't told of a
membership: such a request is a stranger's, who leaves nothing here and hears the same.
"""

from datetime import datetime
from typing import Final

from listserver.limits import PROFILES_PER_DAY
from listserver.model import House, JoinCount
from listserver.signers import own_profile, take_fresh
from listserver.store import Store
from recrypt_core.errors import Refused, Why
from recrypt_core.members import check_not_ahead
from recrypt_core.messages import Response, UpdateProfile
from recrypt_core.signing import SignedRequest

READ_AT_ONCE: Final = 100  # members, in one transaction: some 50 ms
_TOMORROW: Final = "as many profiles as allowed on a day: send it again tomorrow (UTC)"


class Profiles:
    """Takes the requests that change a profile."""

    def __init__(self, house: House, store: Store) -> None:
        self._house = house
        self._store = store

    async def update(
        self, request: SignedRequest, message: UpdateProfile, now: datetime
    ) -> Response:
        """Keep a newer profile in every list that its owner is a member of.

        Who is a member of none gets the same answer, and nothing is kept.

        Raises:
            TooLarge, Malformed: if the profile is, breaks the format, or is dated ahead.
            NotAuthentic: if the profile isn't signed by its master key, or the request by a key of
                the profile; if it is stale or, a member's, replayed.
            Refused: CONFLICT for a profile older than a list has; QUOTA for a member who sends too
                many on a day.
        """
        profile = await own_profile(request, message.profile)
        check_not_ahead(profile, now)
        request.check_fresh(self._house.public_url, now)
        async with self._store.begin() as work:
            known = await work.known_profile(profile.identifier)
            is_old = known is not None and known.stands_against(profile)
            if known is None or (is_old and request.signer not in known.keys):
                return Response()
            await take_fresh(work, request, self._house.public_url, now)
            if is_old:
                raise Refused(Why.CONFLICT, "there is a newer profile of yours here: send that")
            sent = await work.count_join(JoinCount.PROFILE, profile.identifier, now)
            if sent > PROFILES_PER_DAY:
                raise Refused(Why.QUOTA, _TOMORROW)
            for list_id, each in (await work.newest_profiles(profile.identifier)).items():
                if each.profile.updated < profile.profile.updated:
                    await work.put_profile(list_id, profile)
        return Response()


async def note_members(store: Store) -> None:
    """Note which lists members are in whom an earlier version wrote; before anybody asks."""
    while True:
        async with store.begin() as work:
            if not await work.note_members(READ_AT_ONCE):
                return
