"""What a member wants of a list's mail: none for a while, none any more, or none of its own posts.

Signed by the member, and for this service alone: it is no change of the group. Whoever isn't a
member, or signs with a key that a newer profile has withdrawn, hears the same after the same work.
"""

from datetime import datetime
from typing import Final

from listserver.model import House
from listserver.signers import own_profile, take_fresh
from listserver.store import Store
from recrypt_core.documents import Status
from recrypt_core.errors import Refused, Why
from recrypt_core.members import check_not_ahead
from recrypt_core.messages import Response
from recrypt_core.signing import SignedRequest
from recrypt_core.wishes import SetMail

_NO_GROUP: Final = "there is no such group here: check its name"


class Wishes:
    """Takes what members want."""

    def __init__(self, house: House, store: Store) -> None:
        self._house = house
        self._store = store

    async def set_mail(self, request: SignedRequest, message: SetMail, now: datetime) -> Response:
        """Keep what a member of a group wants; the answer doesn't tell who is one.

        Raises:
            TooLarge, Malformed: if the profile is, breaks the format, or is dated ahead.
            NotAuthentic: if the profile isn't signed by its master key, or the request by a key of
                the profile; if it is stale or, a member's, replayed.
            Refused: UNKNOWN if there is no such group.
        """
        profile = await own_profile(request, message.profile)
        check_not_ahead(profile, now)
        request.check_fresh(self._house.public_url, now)
        async with self._store.begin() as work:
            found = await work.find_list(message.group_name)
            if found is None:
                raise Refused(Why.UNKNOWN, _NO_GROUP)
            known = await work.known_profile(profile.identifier)
            is_old = known is not None and known.stands_against(profile)
            if known is None or (is_old and request.signer not in known.keys):
                await work.note_asking()
                return Response()
            await take_fresh(work, request, self._house.public_url, now)
            named = await work.named(found.id, [profile.identifier])
            if named and named[0][0].entry.status is not Status.REVOKED:
                await work.put_wishes(
                    found.id,
                    profile.identifier,
                    mail=message.mail,
                    own_posts=message.own_posts,
                    now=now,
                )
            else:
                await work.note_asking()
        return Response()
