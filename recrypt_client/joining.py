"""Flows of joining: ask in and send the token back; see who waits, let in, decline (spec §6)."""

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from recrypt_client import administering, chains, contacts, leaving, mail, paths
from recrypt_client.administering import Outcome, Terms
from recrypt_client.chains import Desk
from recrypt_client.changing import Pace
from recrypt_client.contacts import Contact
from recrypt_client.errors import Trouble, about
from recrypt_client.home import Home
from recrypt_client.invitations import Book, Standing
from recrypt_client.pins import Pin
from recrypt_client.service import Service
from recrypt_core.chain import GroupState
from recrypt_core.documents import (
    JoinAnswer,
    Status,
    VerifiedProfile,
    sign_join,
    verified_profile,
)
from recrypt_core.envelope import read_envelope
from recrypt_core.errors import Malformed, RecryptError
from recrypt_core.invitations import proof
from recrypt_core.messages import (
    ConfirmJoin,
    DenyJoin,
    GetJoinRequests,
    GetJoinRequestsResponse,
    JoinGroup,
    Response,
    write_message,
)
from recrypt_core.opening import open_whole
from recrypt_core.records import JoinRequest
from recrypt_core.signing import Jws, request_body, sign_request
from recrypt_core.udf import Udf

PAGES: Final = 1000  # of who waits, each with one at least; ours

_TOKEN = re.compile(rb"^[ \t]*Token:[ \t]*([A-Za-z2-7]{26})[ \t]*\r?$", re.MULTILINE)
_TOKEN_ALONE = re.compile(rb"\A\s*([A-Za-z2-7]{26})\s*\Z")


@dataclass(frozen=True, slots=True)
class Asked:
    """Who one has asked to be in a group: an address, and the profile's fingerprint."""

    account: str
    identifier: Udf


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody who waits for a decision; that the address is theirs is the service's word."""

    account: str
    profile: VerifiedProfile
    since: datetime
    invitation: str | None = field(default=None, repr=False)
    """The proof of an invitation, for `invitations` to judge."""


@dataclass(frozen=True, slots=True)
class Queue:
    """Who waits, the longest first, and how many requests break the format, or are older ones."""

    waiting: tuple[Waiting, ...]
    unread: int


@dataclass(frozen=True, slots=True)
class Approved:
    """Who was let in, and what came of it."""

    chosen: tuple[Waiting, ...]
    outcome: Outcome

    @property
    def accounts(self) -> dict[Udf, str]:
        """Where their mail is to go: the addresses that they proved."""
        return {each.profile.identifier: each.account for each in self.chosen}


def ask(
    home: Home, service: Service, pin: Pin, *, now: datetime, secret: bytes | None = None
) -> Asked:
    """Ask to be a member, with the profile's first Account: a letter goes there.

    secret: of an invitation, which is proven.

    Raises:
        ServiceRefused: if the service says no.
        Trouble: if there is no profile, or the service can't be reached.
    """
    profile = home.profile()
    account = profile.profile.accounts[0]
    request = JoinGroup(
        group_name=pin.group_name,
        account_name=account,
        profile=profile.signed,
        invitation=None if secret is None else proof(secret, profile.identifier, account),
    )
    signed = sign_request(
        write_message(request), home.signing_key(profile), url=service.url, now=now
    )
    service.send(request_body(signed, {}), request.transaction, Response)
    return Asked(account, profile.identifier)


def answer(home: Home, service: Service, pin: Pin, token: str) -> Asked:
    """Send back the token that came to the address, signed by the profile.

    Raises:
        ServiceRefused: if the service says no.
        Trouble: if there is no profile, or the service can't be reached.
    """
    signed, asked = signed_answer(home, pin, token)
    service.ask(ConfirmJoin(answer=signed), Response)
    return asked


def signed_answer(home: Home, pin: Pin, token: str) -> tuple[Jws, Asked]:
    """Sign what sends a token back, by whichever way.

    Raises:
        Trouble: if there is no profile.
    """
    profile = home.profile()
    account = profile.profile.accounts[0]
    stated = JoinAnswer(
        group_identifier=pin.identifier,
        token=token,
        account_name=account,
        identifier=profile.identifier,
    )
    return sign_join(stated, home.signing_key(profile)), Asked(account, profile.identifier)


def read_token(octets: bytes, home: Home, *, what: str) -> str:
    """Find the token in a letter, as it came or opened, or alone.

    Raises:
        Trouble: if there isn't one, or the letter can't be opened here.
    """
    found: list[bytes] = _TOKEN_ALONE.findall(octets) or _TOKEN.findall(octets)
    if not found:
        with about(what):
            is_file = octets.lstrip(b" \t\r\n").startswith(b"{")
            envelope = read_envelope(octets if is_file else mail.envelope_in(octets))
            found = _TOKEN.findall(open_whole(envelope, home.device_keys()))
    if len(found) != 1:
        raise Trouble(
            f"{what}: {len(found) or 'no'} tokens where there is to be one",
            "Give the letter that came after recrypt join, as it came or opened",
        )
    return found[0].decode("ascii").lower()


def waiting(desk: Desk, *, now: datetime) -> Queue:
    """Ask who waits for a decision, and verify each profile.

    Raises:
        ServiceRefused: if the service says no.
        Trouble: if it can't be reached, or its pages don't end.
    """
    found, unread = [], 0
    for request in _pages(desk, now=now):
        try:
            found.append(_read(desk.home, request))
        except RecryptError:
            unread += 1
    return Queue(tuple(sorted(found, key=lambda each: (each.since, each.account))), unread)


def approve(desk: Desk, who: Sequence[str], pace: Pace) -> Approved:
    """Add those who wait, named by address or fingerprint, with the addresses that they proved.

    Who has left comes back as one who was removed. Another address of a member is `refreshing`'s
    to take in; then `settle` ends what was asked.

    Raises:
        Trouble: if one of them doesn't wait, isn't who the address was known as, or was a member
            before; or the service doesn't take it.
    """
    return let_in(desk, _chosen(desk, who, now=pace.clock()), pace)


def let_in(desk: Desk, chosen: Sequence[Waiting], pace: Pace) -> Approved:
    """Add those who wait; their invitations are used up before that.

    Raises:
        Trouble: as `approve`.
    """
    for each in chosen:
        with about(each.account):
            contacts.see(desk.home, each.profile)
    book = Book(desk.home, desk.pin.group_name, now=pace.clock())
    book.use({each.account: each.profile.identifier for each in chosen if is_invited(book, each)})
    accounts = {each.profile.identifier: each.account for each in chosen}
    profiles = [each.profile for each in chosen]
    outcome = administering.add(desk, profiles, Terms(accounts=accounts), pace)
    return Approved(tuple(chosen), _back(desk, outcome, accounts.keys(), pace))


def is_invited(book: Book, one: Waiting) -> bool:
    """Tell whether somebody asks in with a good invitation from this home, to this address."""
    standing = book.standing(one.profile.identifier, one.account, one.invitation)
    return standing is Standing.GOOD


def settle(desk: Desk, chosen: Sequence[Waiting], *, now: datetime) -> None:
    """End what those asked of whom nothing was written, as they are members as they asked already.

    Raises:
        Trouble: if the service doesn't take it.
    """
    left = {each.profile.identifier for each in waiting(desk, now=now).waiting}
    for each in chosen:
        if each.profile.identifier in left:
            _decline(desk, each, now=now)


def moved(state: GroupState, queue: Queue) -> list[Waiting]:
    """Find the members who have proven another address of theirs, and wait to have mail there.

    They are the same people, by their master keys: there is nothing to decide.
    """
    return [
        each
        for each in queue.waiting
        if (member := state.members.get(each.profile.identifier)) is not None
        and member.is_active
        and member.account != each.account
    ]


def deny(desk: Desk, who: Sequence[str], *, now: datetime) -> list[Waiting]:
    """Decline those who wait, named by address or fingerprint; they aren't told.

    Raises:
        Trouble: if one of them doesn't wait, or the service doesn't take it.
    """
    chosen = _chosen(desk, who, now=now, is_to_decline=True)
    for each in chosen:
        _decline(desk, each, now=now)
    return chosen


def _back(desk: Desk, outcome: Outcome, asking: Set[Udf], pace: Pace) -> Outcome:
    """Remove those of these who had left, and let them in anew: so the service sends them mail."""
    state = outcome.state
    gone = sorted(asking & leaving.left(desk, state, now=pace.clock()))
    plain = [udf for udf in gone if not administering.has_powers(state.members[udf])]
    if not plain:
        return outcome
    for status in (Status.REVOKED, Status.ACTIVE):
        state = administering.set_status(desk, plain, status, pace, state=state).state
    back = tuple(state.members[udf].account for udf in plain)
    skipped = tuple(each for each in outcome.skipped if each not in back)
    return Outcome(state, (*outcome.changed, *back), skipped)


def _pages(desk: Desk, *, now: datetime) -> Iterator[JoinRequest]:
    after: Udf | None = None
    for _ in range(PAGES):
        request = GetJoinRequests(group_id=desk.pin.identifier, after=after)
        page = chains.ask(desk, request, GetJoinRequestsResponse, now=now)
        yield from page.join_requests
        after = page.next
        if after is None:
            return
    raise Trouble(
        f"{desk.service.url} shows no end of who waits for {desk.pin.group_name}",
        "Ask the service's operator",
    )


def _read(home: Home, request: JoinRequest) -> Waiting:
    profile = verified_profile(request.profile)
    if request.account_name not in profile.profile.accounts:
        raise Malformed("an AccountName that isn't among the Profile's Accounts")
    contacts.check_not_older(home, profile)
    return Waiting(request.account_name, profile, request.since, request.invitation)


def _chosen(
    desk: Desk, who: Sequence[str], *, now: datetime, is_to_decline: bool = False
) -> list[Waiting]:
    """Find each one who is meant; an address may be claimed by several, and has to be proven."""
    queue = waiting(desk, now=now)
    by_address = not is_to_decline and any("@" in one for one in who)
    held = holders(chains.current(desk, now=now)) if by_address else {}
    chosen: dict[Udf, Waiting] = {}
    for one in who:
        found = _named(desk, queue, one)
        if "@" in one and not is_to_decline:
            check_known(desk, found)
            check_free(held, found)
        chosen[found.profile.identifier] = found
    return [*chosen.values()]


def _named(desk: Desk, queue: Queue, one: str) -> Waiting:
    group = desk.pin.group_name
    found = [
        each
        for each in queue.waiting
        if administering.is_named(each.account, each.profile.identifier, one)
    ]
    if not found:
        raise Trouble(
            f"{one} doesn't wait for {group}", f"See who does with recrypt requests {group}"
        )
    if len(found) > 1:
        prints = ", ".join(each.profile.identifier for each in found)
        raise Trouble(
            f"{one} names {len(found)} who wait for {group}: {prints}",
            "Name the one you mean by its fingerprint",
        )
    return found[0]


def check_known(desk: Desk, found: Waiting) -> None:
    """Refuse to take by its address who isn't whom that address was seen with.

    Raises:
        Trouble: if it is another.
    """
    known = desk.home.document(paths.contact_file(found.account), Contact)
    if known is not None and known.identifier != found.profile.identifier:
        raise Trouble(
            f"{found.account} asks as {found.profile.identifier}, but WAS {known.identifier}",
            "Ask by another way than mail; if it is right, approve that fingerprint",
        )


def holders(state: GroupState) -> dict[str, Udf]:
    """Give who of the ACTIVE members has which address, in lower case."""
    return {one.account.lower(): udf for udf, one in state.members.items() if one.is_active}


def check_free(held: Mapping[str, Udf], found: Waiting) -> None:
    """Refuse to take by its address who asks with another member's.

    Raises:
        Trouble: if it is another's.
    """
    holder = held.get(found.account.lower(), found.profile.identifier)
    if holder != found.profile.identifier:
        raise Trouble(
            f"another member has the address {found.account}: {holder}",
            "Ask by another way than mail; if it is right, approve that fingerprint",
        )


def _decline(desk: Desk, found: Waiting, *, now: datetime) -> None:
    request = DenyJoin(group_id=desk.pin.identifier, recrypt_udf=found.profile.identifier)
    chains.ask(desk, request, Response, now=now)
