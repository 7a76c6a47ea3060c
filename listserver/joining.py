"""Who wants to be a member asks, proves the address, and waits for a decision (spec §6).

No member is looked up on the way: so member, stranger and who waits hear the same words, after the
same work, and their mailboxes get the same letters. A request is kept only while it is open.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from listserver import letters
from listserver.addresses import Role, mailbox_of, parse_address, read_list_address
from listserver.attachments import Brought
from listserver.catalogue import Texts
from listserver.join_bounds import check_may_wait, check_often, may_have_letter
from listserver.letters import write_letter
from listserver.limits import JOIN_PATIENCE, JOIN_TOKEN_LIFE, PAGE_OCTETS, PROFILE_OCTETS
from listserver.model import (
    Applicant,
    House,
    Join,
    JoinState,
    Letter,
    LetterKind,
    ListId,
    StoredList,
)
from listserver.ports import Clock
from listserver.signers import Signers, own_profile, take_fresh
from listserver.stopping import check_goes_on
from listserver.store import QueueFull, Store, StoreTrouble, Work
from recrypt_core import _random, messages
from recrypt_core.documents import (
    JoinAnswer,
    MemberEntry,
    kept_profile,
    unverified_join,
    verified_join,
    verified_profile,
)
from recrypt_core.errors import Malformed, NotAuthentic, Refused, TooLarge, Why
from recrypt_core.members import Member, check_not_ahead
from recrypt_core.messages import Response
from recrypt_core.records import JoinRequest
from recrypt_core.signing import Jws, Kind, SignedRequest, signer_of
from recrypt_core.udf import Udf

TOKEN_OCTETS: Final = 16  # of randomness: 26 characters
LOOK_THERE: Final = (
    "A letter goes to that address, to three a day at most: open it and send its token back"
)
NOT_GOOD: Final = "that token isn't good for this, or not any more: ask again with recrypt join"
_NO_GROUP: Final = "there is no such group here: check its name"


class Event(Enum):
    """What happens to a request."""

    TOKEN_CAME_BACK = auto()
    ADDED = auto()
    DENIED = auto()
    DEADLINE = auto()


NEXT: Final[Mapping[tuple[JoinState, Event], JoinState]] = {
    (JoinState.ASKED, Event.TOKEN_CAME_BACK): JoinState.CONFIRMED,
    (JoinState.ASKED, Event.ADDED): JoinState.APPROVED,
    (JoinState.ASKED, Event.DEADLINE): JoinState.EXPIRED,
    # An answer that was lost on its way is given again; nothing else comes of a token's second use.
    (JoinState.CONFIRMED, Event.TOKEN_CAME_BACK): JoinState.CONFIRMED,
    (JoinState.CONFIRMED, Event.ADDED): JoinState.APPROVED,
    (JoinState.CONFIRMED, Event.DENIED): JoinState.DENIED,
    (JoinState.CONFIRMED, Event.DEADLINE): JoinState.EXPIRED,
}
"""All that can happen; the other states are ends, and nothing is kept of what has ended."""

LIFE: Final[Mapping[JoinState, timedelta]] = {
    JoinState.ASKED: JOIN_TOKEN_LIFE,
    JoinState.CONFIRMED: JOIN_PATIENCE,
}


class Joining:
    """Takes requests to join, and lets administrators see and decline them."""

    def __init__(
        self, house: House, store: Store, signers: Signers, wake: Callable[[], None]
    ) -> None:
        self._house = house
        self._store = store
        self._signers = signers
        self._wake = wake

    async def ask(
        self, request: SignedRequest, message: messages.JoinGroup, now: datetime
    ) -> Response:
        """Send a token to the address, unless that has had as many letters as it may on a day.

        The answer doesn't tell. Nor is who is a member, or waits, treated in another way.

        Raises:
            TooLarge, Malformed: if it breaks the format, or is about no mailbox of the profile's.
            NotAuthentic: if a key of the profile didn't sign it; if it is stale or replayed.
            Refused: UNKNOWN if there is no such group; CONFLICT if it is closed, STOPPED if its
                operator has stopped it; QUOTA if the signer, or all together, have asked too often.
        """
        applicant = await _applicant(request, message, now)
        request.check_fresh(self._house.public_url, now)

        async def take(work: Work) -> Udf:
            await take_fresh(work, request, self._house.public_url, now)
            return request.signer

        await self._mail_token(message.group_name, applicant, take, now=now)
        return Response(status_description=LOOK_THERE)

    async def ask_by_mail(self, to: str, brought: Brought, *, sender: str, now: datetime) -> None:
        """Send a token of the list at that address, as `ask` does, to a profile's first address.

        That its owner wants it is proven by the answer alone. The mail's sender is counted.

        Raises:
            TooLarge, Malformed, NotAuthentic: if it is no profile that can ask.
            Refused: as `ask`.
        """
        if len(brought.document.payload) > PROFILE_OCTETS:
            raise TooLarge(f"a profile of over {PROFILE_OCTETS} octets")
        profile = await asyncio.to_thread(verified_profile, brought.document)
        account = next(iter(profile.profile.accounts), "")
        applicant = Applicant(account, profile, brought.invitation)
        _check_applicant(applicant, now)

        async def take(_work: Work) -> str:
            return mailbox_of(parse_address(sender))

        await self._mail_token(to, applicant, take, now=now)

    async def _mail_token(
        self,
        group: str,
        applicant: Applicant,
        take: Callable[[Work], Awaitable[str]],
        *,
        now: datetime,
    ) -> None:
        """Send a token; `take` takes the request in the same transaction, and tells who asks."""
        async with self._store.begin() as work:
            await check_mailbox(work, self._house, applicant.account)
            found = await _open_list(work, group)
        token = _new_token()
        texts = self._house.catalogue.of_list(found.state)
        octets = await asyncio.to_thread(_letter, texts, applicant, token, now)
        account = applicant.account
        letter = Letter(account, "", octets, kind=LetterKind.JOIN, list_id=found.id)
        try:
            async with self._store.begin() as work:
                found = await _open_list(work, group)  # it may have been closed meanwhile
                await check_often(work, await take(work), applicant, found, now)
                await work.check_letter_room(letter)
                if await may_have_letter(work, account, now):
                    until = now + LIFE[JoinState.ASKED]
                    await work.put_asked(found.id, token, applicant, now=now, until=until)
                    await work.enqueue_letter(letter, now)
        except QueueFull:
            raise StoreTrouble("the queue of letters is full") from None
        self._wake()

    async def confirm(
        self, message: messages.ConfirmJoin, now: datetime, *, token: str | None = None
    ) -> Response:
        """Take a token that came back, signed by the profile that it was made for.

        A member who leaves stays by it (spec §6, Leaving): it proves more than a link to leave by.
        Nothing comes of a key that a newer profile has withdrawn, here in any list: it may be a
        thief's, who isn't told of a membership.

        token: in the address that it was mailed to, which is to be the same.

        Raises:
            Malformed: if the Answer breaks the format.
            Refused: UNKNOWN whatever else is wrong with it; QUOTA if too many wait.
        """
        stated = unverified_join(message.answer)
        if token is not None and token != stated.token.lower():
            raise Refused(Why.UNKNOWN, NOT_GOOD)
        async with self._store.begin() as work:
            found = await work.join_of_token(stated.token.lower(), now)
            if found is None or not await asyncio.to_thread(_answers, found, message.answer):
                raise Refused(Why.UNKNOWN, NOT_GOOD)
            state = NEXT[found.state, Event.TOKEN_CAME_BACK]
            signer = signer_of(message.answer, Kind.JOIN)
            if state is not found.state and not await _is_withdrawn(work, found, signer):
                await check_may_wait(work, found, now)
                token, until = stated.token.lower(), now + LIFE[state]
                udf = found.applicant.profile.identifier
                is_banned = udf in found.list.state.policy.banned
                await work.put_confirmed(token, now=now, until=until, quietly=is_banned)
                await work.ask_back(found.list.id, udf)
        return Response()

    async def requests(
        self, request: SignedRequest, message: messages.GetJoinRequests, now: datetime
    ) -> messages.GetJoinRequestsResponse:
        """Tell an administrator who waits for a decision, a page at a time; not who is banned.

        Raises:
            NotAuthentic, Refused: for anyone else.
        """
        async with self._signers.administered(request, message.group_id, now) as (work, found):
            page, more = await work.joins_after(found.id, message.after, now, octets=PAGE_OCTETS)
        last = kept_profile(page[-1].profile).identifier if more else None
        banned = found.state.policy.banned
        shown = await asyncio.to_thread(_without, banned, page) if banned else page
        return messages.GetJoinRequestsResponse(join_requests=shown, next=last)

    async def deny(
        self, request: SignedRequest, message: messages.DenyJoin, now: datetime
    ) -> Response:
        """Decline one who waits; nobody is told.

        Raises:
            NotAuthentic, Refused: for who isn't an administrator; UNKNOWN if nobody waits.
        """
        async with self._signers.administered(request, message.group_id, now) as (work, found):
            ended = await work.end_joins(
                found.id, [message.recrypt_udf], states_before(Event.DENIED)
            )
            if not ended:
                raise Refused(Why.UNKNOWN, "nobody of that fingerprint waits: see who does")
        return Response()


class JoinKeeping:
    """Erases requests whose time is over: a chore of the house."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def erase_old(self) -> None:
        """Erase them, and counts of days that are over."""
        async with self._store.begin() as work:
            await work.erase_joins(self._clock.now())


async def check_mailbox(work: Work, house: House, account: str) -> None:
    """Refuse an address of a list or of the operator's here: a letter would come back in.

    Raises:
        Malformed: if it is one, or no address.
    """
    if await is_ours(work, house, account):
        raise Malformed("an AccountName that is a list's address: name a mailbox")


async def is_ours(work: Work, house: House, address: str) -> bool:
    """Tell whether mail to an address comes back in: a list's, or the operator's.

    Raises:
        Malformed: if it is none.
    """
    to = read_list_address(parse_address(address), house.domains)
    if to is None:
        return False
    return to.role is Role.OPERATOR or await work.find_list(to.list) is not None


async def added(work: Work, list_id: ListId, members: Collection[Udf]) -> None:
    """End the requests of those whose entry an administrator has just written."""
    await work.end_joins(list_id, members, states_before(Event.ADDED))


def states_before(event: Event) -> tuple[JoinState, ...]:
    """Give the states in which something can happen to a request."""
    return tuple(state for state, happens in NEXT if happens is event)


def _without(banned: Collection[Udf], page: Sequence[JoinRequest]) -> tuple[JoinRequest, ...]:
    """Leave out who is banned: their requests wait, unseen, until their time is over."""
    return tuple(each for each in page if kept_profile(each.profile).identifier not in banned)


async def _open_list(work: Work, group: str) -> StoredList:
    """Find the list of a GroupName that people can ask in at."""
    found = await work.find_list(group)
    if found is None or found.state.name.lower() != group.lower():
        raise Refused(Why.UNKNOWN, _NO_GROUP)
    if found.state.is_closed:
        raise Refused(Why.CONFLICT, "the group is closed for good: nobody can join it")
    await check_goes_on(work, found)
    return found


async def _applicant(
    request: SignedRequest, message: messages.JoinGroup, now: datetime
) -> Applicant:
    profile = await own_profile(request, message.profile)
    applicant = Applicant(message.account_name, profile, message.invitation)
    _check_applicant(applicant, now)
    return applicant


def _check_applicant(applicant: Applicant, now: datetime) -> None:
    profile = applicant.profile
    check_not_ahead(profile, now)
    if applicant.account not in profile.profile.accounts:
        raise Malformed("an AccountName that isn't among the Profile's Accounts")
    if not profile.profile.encryption_keys:
        raise Malformed("a Profile without EncryptionKeys: nothing can be sealed to it")
    parse_address(applicant.account)


def _letter(texts: Texts, applicant: Applicant, token: str, now: datetime) -> bytes:
    account, profile = applicant.account, applicant.profile
    entry = MemberEntry(
        recrypt_udf=profile.identifier, account_name=account, profile=profile.signed
    )
    words = letters.asking(texts, account, token)
    return write_letter(words, Member(entry, profile), texts.list_address, now=now)


def _answers(found: Join, answer: Jws) -> bool:
    """Tell whether an answer is the applicant's own, about this group and address."""
    applicant = found.applicant
    try:
        stated = verified_join(answer, applicant.profile)
    except NotAuthentic:
        return False
    return stated == JoinAnswer(
        group_identifier=found.list.state.identifier,
        token=stated.token,
        account_name=applicant.account,
        identifier=applicant.profile.identifier,
    )


async def _is_withdrawn(work: Work, found: Join, signer: Udf) -> bool:
    """Tell whether a newer profile of the applicant's doesn't have this key any more (spec §4)."""
    profile = found.applicant.profile
    known = await work.known_profile(profile.identifier)
    return (
        known is not None and known.updated > profile.profile.updated and signer not in known.keys
    )


def _new_token() -> str:
    """Draw a token: 26 characters a-z and 2-7 (spec §7)."""
    octets = _random.octets(TOKEN_OCTETS)
    return base64.b32encode(octets).decode("ascii").rstrip("=").lower()
