"""Flows of deciding who comes in: who waits is seen, let in or declined (spec §6, Joining)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from recrypt_client import administering, chains, contacts, leaving, paths
from recrypt_client.administering import Outcome, Terms
from recrypt_client.chains import Desk
from recrypt_client.changing import Pace
from recrypt_client.contacts import Contact
from recrypt_client.errors import Trouble, about
from recrypt_client.home import Home
from recrypt_client.invitations import Book, Standing
from recrypt_core.chain import GroupState
from recrypt_core.documents import Status, VerifiedProfile, verified_profile
from recrypt_core.errors import Malformed, RecryptError
from recrypt_core.mailboxes import folded
from recrypt_core.messages import (
    DenyJoin,
    GetJoinRequests,
    GetJoinRequestsResponse,
    Response,
)
from recrypt_core.records import JoinRequest
from recrypt_core.udf import Udf

PAGES: Final = 1000  # of who waits, each with one at least; ours


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
        Trouble: if one of them doesn't wait, isn't who the address was known as, or is SUSPENDED;
            or the service doesn't take it.
    """
    return let_in(desk, _chosen(desk, who, now=pace.clock()), pace, again=True)


def let_in(desk: Desk, chosen: Sequence[Waiting], pace: Pace, *, again: bool = False) -> Approved:
    """Add those who wait; their invitations are used up before that.

    again: Also who is REVOKED, as a person says so.

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
    outcome = administering.add(desk, profiles, Terms(accounts=accounts, again=again), pace)
    return Approved(tuple(chosen), _back(desk, outcome, chosen, pace))


def is_invited(book: Book, one: Waiting) -> bool:
    """Tell whether somebody asks in with a good invitation from this home, to this address."""
    standing = book.standing(one.profile.identifier, one.account, one.invitation)
    return standing is Standing.GOOD


def worth(book: Book, one: Waiting, held: Mapping[str, Udf]) -> Standing | None:
    """Tell what somebody's invitation is worth; it is used if another has the address.

    held: as `holders` gives it, as who is let in from another home isn't in the book.
    """
    standing = book.standing(one.profile.identifier, one.account, one.invitation)
    is_free = _holder(held, one) == one.profile.identifier
    return standing if is_free or standing is not Standing.GOOD else Standing.USED


def settle(desk: Desk, chosen: Sequence[Waiting], *, now: datetime) -> None:
    """End what those asked of whom nothing was written, as they are members as they asked already.

    Raises:
        Trouble: if the service doesn't take it.
    """
    left = {each.profile.identifier for each in waiting(desk, now=now).waiting}
    for each in chosen:
        if each.profile.identifier in left:
            _decline(desk, each, now=now)


def moved(desk: Desk, state: GroupState, queue: Queue, *, now: datetime) -> list[Waiting]:
    """Find the members who have proven another address of theirs, and wait to have mail there.

    They are the same people, by their master keys: there is nothing to decide. But who has left
    asks to come back.

    Raises:
        ServiceRefused: if the service says no.
        Trouble: if it can't be reached.
    """
    found = [
        each
        for each in queue.waiting
        if (member := state.members.get(each.profile.identifier)) is not None
        and member.is_active
        and member.account != each.account
    ]
    gone = leaving.left(desk, state, now=now) if found else frozenset()
    return [each for each in found if each.profile.identifier not in gone]


def deny(desk: Desk, who: Sequence[str], *, now: datetime) -> list[Waiting]:
    """Decline those who wait, named by address or fingerprint; they aren't told.

    Raises:
        Trouble: if one of them doesn't wait, or the service doesn't take it.
    """
    chosen = _chosen(desk, who, now=now, is_to_decline=True)
    for each in chosen:
        _decline(desk, each, now=now)
    return chosen


def _back(desk: Desk, outcome: Outcome, chosen: Sequence[Waiting], pace: Pace) -> Outcome:
    """Let those of these who were removed, or had left, in anew: so the service sends them mail."""
    state, asking = outcome.state, {each.profile.identifier: each for each in chosen}
    out = {udf for udf in asking if state.members[udf].entry.status is Status.REVOKED}
    gone = asking.keys() & leaving.left(desk, state, now=pace.clock())
    plain = [udf for udf in sorted(gone) if not administering.has_powers(state.members[udf])]
    if plain:
        state = administering.set_status(desk, plain, Status.REVOKED, pace, state=state).state
    back = [each for udf, each in asking.items() if udf in out or udf in plain]
    if not back:
        return outcome
    accounts = {each.profile.identifier: each.account for each in back}
    profiles = [each.profile for each in back]
    done = administering.readmit(desk, profiles, accounts, pace, state=state)
    before = {outcome.state.members[udf].account for udf in accounts}
    skipped = tuple(each for each in outcome.skipped if each not in before)
    return Outcome(done.state, (*outcome.changed, *done.changed), (*skipped, *done.skipped))


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
        found = named(desk, queue, one)
        if "@" in one and not is_to_decline:
            check_known(desk, found)
            check_free(held, found)
        chosen[found.profile.identifier] = found
    return [*chosen.values()]


def named(desk: Desk, queue: Queue, one: str) -> Waiting:
    """Find who waits and is named by address or fingerprint.

    Raises:
        Trouble: if nobody does, or more than one.
    """
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
    """Give who of the ACTIVE members has which address, as addresses are compared."""
    return {folded(one.account): udf for udf, one in state.members.items() if one.is_active}


def check_free(held: Mapping[str, Udf], found: Waiting) -> None:
    """Refuse to take by its address who asks with another member's.

    Raises:
        Trouble: if it is another's.
    """
    holder = _holder(held, found)
    if holder != found.profile.identifier:
        raise Trouble(
            f"another member has the address {found.account}: {holder}",
            "Ask by another way than mail; if it is right, approve that fingerprint",
        )


def _holder(held: Mapping[str, Udf], found: Waiting) -> Udf:
    """Give whose somebody's address is: another member's, or else its own."""
    return held.get(folded(found.account), found.profile.identifier)


def _decline(desk: Desk, found: Waiting, *, now: datetime) -> None:
    request = DenyJoin(group_id=desk.pin.identifier, recrypt_udf=found.profile.identifier)
    chains.ask(desk, request, Response, now=now)
