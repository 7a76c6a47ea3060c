"""A group's chain, fetched, replayed and held against the pin; and one change more (spec §5)."""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from recrypt_client import contacts, group_keys, paths, pins, trails
from recrypt_client.errors import ServiceRefused, Trouble, about
from recrypt_client.home import Home
from recrypt_client.pins import Pin
from recrypt_client.service import Service
from recrypt_client.trails import Step, Trail
from recrypt_core import chain, messages
from recrypt_core.chain import Change, GroupState
from recrypt_core.documents import Privilege
from recrypt_core.errors import NotAuthentic, RecryptError, Refused, Why
from recrypt_core.keys import PrivateKey
from recrypt_core.messages import (
    ChangeResponse,
    GetChanges,
    GetChangesResponse,
    GetGroup,
    GetGroupResponse,
    Response,
)
from recrypt_core.signature_keys import SignaturePrivateKey
from recrypt_core.signing import Jws, Link, read_signed, request_body, sign_request
from recrypt_core.udf import Udf, read_udf
from recrypt_core.wire import UdfText

R = TypeVar("R", bound=Response)
Told = Callable[[str, int, int], None]

PAGE_CHANGES: Final = 100  # the service bounds their octets, and those of members
PAGE_MEMBERS: Final = 1000

_CONFLICT: Final = 409


class Aside(Response, frozen=True, kw_only=True):
    """What GetGroup tells beside the group itself."""

    next: str | None = None
    undeliverable: tuple[UdfText, ...] = ()
    left: tuple[UdfText, ...] = ()
    newer_profiles: tuple[Jws, ...] = ()
    stopped: datetime | None = None


P = TypeVar("P", GetGroupResponse, Aside)


def _untold(_what: str, _done: int, _total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Desk:
    """An administrator at work on a group: its home, the group's service and pin, and a key.

    Attributes:
        told: Is told what is being read, how much of it is, and how much there is.
    """

    home: Home
    service: Service
    pin: Pin
    key: SignaturePrivateKey
    told: Told = _untold


def open_desk(home: Home, service: Service, pin: Pin, told: Told = _untold) -> Desk:
    """Sit down: what is signed here is signed by the profile's online key (spec §4).

    Raises:
        Trouble: if the home has no profile, or not its keys.
    """
    return Desk(home, service, pin, home.signing_key(home.profile()), told)


def walk(desk: Desk, *, now: datetime) -> Iterator[tuple[GroupState, Change]]:
    """Fetch the chain from its beginning; yield each change, verified, and the state after it.

    At its end the pin is renewed. Nothing that was yielded may be believed before that.

    Raises:
        Trouble: if the chain isn't in order, or not the one that was seen before.
    """
    before: GroupState | None = None
    state: GroupState | None = None
    hashes: dict[int, str] = {}
    seen, steps = _pin(desk).head.seq, deque[Step](maxlen=trails.STEPS)
    for state, change in shown(desk, now=now):
        hashes[state.head.seq] = change.hash
        if state.head.seq > seen:
            steps.append(trails.step(before, state, change))
        before = state
        yield state, change
    if state is None:
        raise _cut_off(desk)
    with about(_where(desk)):
        _check(desk, state, hashes)
        _remember(desk, state, steps, now=now)


def shown(desk: Desk, *, now: datetime) -> Iterator[tuple[GroupState, Change]]:
    """Fetch the chain and verify it by itself: whether it is the one that was seen, ask `walk`.

    Raises:
        Trouble: if the chain isn't in order.
    """
    state: GroupState | None = None
    with about(where := _where(desk)):
        for signed, total in _fetch(desk, now=now):
            change = chain.read_change(signed)
            try:
                state = chain.begin(change) if state is None else chain.advance(state, change)
            except (NotAuthentic, Refused) as problem:
                raise _broken(where, state, problem) from problem
            desk.told("Verifying", state.head.seq, total)
            yield state, change


def confirm(desk: Desk, state: GroupState, *, now: datetime) -> None:
    """See that the service has the change that it said it took; who left can't ask any more.

    Raises:
        Trouble: if it hasn't.
    """
    if not state.may(desk.key.public.udf, Privilege.ADMIN, Privilege.SUPER):
        return
    request = GetChanges(group_id=state.identifier, after=state.head.seq - 1, limit=1)
    answer = ask(desk, request, GetChangesResponse, now=now)
    if [each.hash for each in answer.changes[:1]] != [state.head.hash]:
        raise Trouble(
            f"{desk.service.url} SAID THAT IT TOOK change {state.head.seq} of {state.name}, AND "
            "SHOWS ANOTHER HISTORY without it",
            "Don't take it for done. Ask the service's operator, and look with recrypt verify "
            f"{state.name}",
        )


def current(desk: Desk, *, now: datetime) -> GroupState:
    """Give the group as its chain says it is now.

    Raises:
        Trouble: as `walk`.
    """
    state: GroupState | None = None
    for state, _ in walk(desk, now=now):  # noqa: B007 - the last one counts
        pass
    if state is None:
        raise _cut_off(desk)
    return state


def append(
    desk: Desk,
    state: GroupState,
    message: messages.Change,
    *,
    halves: Mapping[Udf, PrivateKey],
    now: datetime,
) -> GroupState:
    """Add a change to the chain; it is tried on the state here before it is sent.

    Raises:
        ServiceRefused: if the service says no.
        Trouble: if it isn't allowed, or the service can't be reached.
    """
    group_keys.check_open(state.key)
    link = Link(state.identifier, state.head.seq + 1, state.head.hash)
    key = _known_key(desk, state)
    signed = sign_request(
        messages.write_message(message), key, url=desk.service.url, now=now, link=link
    )
    with about(state.name):
        change = chain.change_of(read_signed(signed), message)
        moved = chain.advance(state, change)
    answer = desk.service.send(request_body(signed, halves), message.transaction, ChangeResponse)
    if answer.head != moved.head:
        raise Trouble(
            f"{desk.service.url} took the change to {state.name}, but SHOWS ANOTHER HISTORY",
            "Compare recrypt history with the group's other administrators",
        )
    _remember(desk, moved, [trails.step(state, moved, change)], now=now)
    return moved


def _known_key(desk: Desk, state: GroupState) -> SignaturePrivateKey:
    """Find a key of ours that the chain knows: a profile with fresh ones alone isn't in it yet."""
    own = state.members.get(desk.home.profile().identifier)
    if own is None or state.signer(desk.key.public.udf) is not None:
        return desk.key
    known = (desk.home.signature_key(each.udf) for each in reversed(own.profile.signature_keys))
    return next((key for key in known if key is not None), desk.key)


def ask(desk: Desk, request: messages.Request, kind: type[R], *, now: datetime) -> R:
    """Ask the service for what its administrators may, and changes no chain.

    Raises:
        ServiceRefused: if the service says no.
        Trouble: if it can't be reached, or its answer can't be read.
    """
    signed = sign_request(messages.write_message(request), desk.key, url=desk.service.url, now=now)
    return desk.service.send(request_body(signed, {}), request.transaction, kind)


def undeliverable(desk: Desk, state: GroupState, *, now: datetime) -> frozenset[Udf]:
    """Ask to which members the service doesn't mail any more; that is its word alone.

    Raises:
        ServiceRefused: if the service says no.
        Trouble: if it can't be reached, or its pages don't end.
    """
    found = [udf for page in asides(desk, state, now=now) for udf in page.undeliverable]
    return frozenset(state.members.keys() & found)


def pages(desk: Desk, state: GroupState, *, now: datetime) -> Iterator[GetGroupResponse]:
    """Ask how the service shows the group, a page of members at a time; believe none of it.

    Raises:
        ServiceRefused: if the service says no.
        Trouble: if it can't be reached, or its pages don't end.
    """
    return _pages(desk, state, GetGroupResponse, now=now)


def asides(desk: Desk, state: GroupState, *, now: datetime) -> Iterator[Aside]:
    """Ask what the service tells of a group's members beside it; believe none of it.

    Raises:
        ServiceRefused: if the service says no.
        Trouble: if it can't be reached, or its pages don't end.
    """
    return _pages(desk, state, Aside, now=now)


def _pages(desk: Desk, state: GroupState, kind: type[P], *, now: datetime) -> Iterator[P]:
    after: Udf | None = None
    count = 0
    for _ in range(len(state.members) + 1):  # a page that has a next one is of a member or more
        request = GetGroup(
            group_id=desk.pin.identifier,
            after=after,
            limit=PAGE_MEMBERS,
            beside=kind is Aside,
        )
        answer = ask(desk, request, kind, now=now)
        if isinstance(answer, GetGroupResponse):
            count += len(answer.recryption_group.members)
        else:
            count += PAGE_MEMBERS
        desk.told("Comparing", min(count, len(state.members)), len(state.members))
        yield answer
        if answer.next is None:
            return
        with about(f"the members of {state.name} at {desk.service.url}"):
            after = read_udf(answer.next)
    raise Trouble(
        f"{desk.service.url} shows more members of {state.name} than its history has",
        "Try again; if it stays so, ask the service's operator",
    )


def is_conflict(refusal: ServiceRefused) -> bool:
    """Tell whether a change came too late: it may be made anew on the state of now."""
    return refusal.status == _CONFLICT


def _where(desk: Desk) -> str:
    return f"the history of {desk.pin.group_name} at {desk.service.url}"


def _fetch(desk: Desk, *, now: datetime) -> Iterator[tuple[Jws, int]]:
    """Fetch the changes in pages, until there are as many as the service's head says.

    With each comes how many there are, as the service says.
    """
    after = 0
    while True:
        request = GetChanges(group_id=desk.pin.identifier, after=after, limit=PAGE_CHANGES)
        answer = ask(desk, request, GetChangesResponse, now=now)
        yield from ((each, answer.head.seq) for each in answer.changes)
        after += len(answer.changes)
        if after >= answer.head.seq:
            return
        if not answer.changes:
            raise _cut_off(desk)


def _broken(where: str, state: GroupState | None, problem: RecryptError) -> Trouble:
    """Tell what is wrong with the change after this state, and what to do."""
    number = 1 if state is None else state.head.seq + 1
    tell = (
        "Nothing was done. Tell the group's other administrators by another way than this service"
    )
    if isinstance(problem, Refused) and problem.why is Why.CONFLICT:
        return Trouble(
            f"{where}: CHANGE {number} DOESN'T FOLLOW FROM THE ONE BEFORE: {problem}",
            f"Changes were dropped, or put in another order. {tell}",
        )
    return Trouble(
        f"{where}: CHANGE {number} IS BY NOBODY WHO MAY MAKE IT: {problem}",
        f"It is forged: a ghost member, or a right that nobody has given. {tell}",
    )


def _check(desk: Desk, state: GroupState, hashes: Mapping[int, str]) -> None:
    """Hold the chain against the pin and against the head in the group key (spec §5, §8)."""
    pin = _pin(desk)
    for head in (pin.head, state.key.document.head):
        if head.seq > 0:
            pins.check_hash(pin, head, hashes.get(head.seq))
    pins.compare(pin, state.key)


def _remember(desk: Desk, state: GroupState, steps: Collection[Step], *, now: datetime) -> None:
    """Pin what was seen; its Master too, so that none that it replaced signs a key again."""
    contacts.see(desk.home, state.master)
    if steps:
        name = paths.trail_file(desk.pin.group_name)
        trail = trails.longer(desk.home.document(name, Trail), steps)
        desk.home.keep_document(name, trail)
    known = _pin(desk)
    pin = pins.renew(known, state.key, service=desk.service.url, now=now, head=state.head)
    if pin != known:
        desk.home.keep_pin(pin)


def _pin(desk: Desk) -> Pin:
    """Give what is known of the group now: this command may have added a change already."""
    return desk.home.pin(desk.pin.group_name) or desk.pin


def _cut_off(desk: Desk) -> Trouble:
    return Trouble(
        f"{desk.service.url} shows less of the history of {desk.pin.group_name} than it says",
        "Try again; if it stays so, ask the service's operator",
    )
