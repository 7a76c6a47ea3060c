"""A group's chain, fetched, replayed and held against the pin; and one change more (spec §5)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from recrypt_client import pins
from recrypt_client.errors import ServiceRefused, Trouble, about
from recrypt_client.home import Home
from recrypt_client.pins import Pin
from recrypt_client.service import Service
from recrypt_core import chain, messages
from recrypt_core.chain import Change, GroupState
from recrypt_core.keys import PrivateKey
from recrypt_core.messages import ChangeResponse, GetChanges, GetChangesResponse
from recrypt_core.signature_keys import SignaturePrivateKey
from recrypt_core.signing import Jws, Link, request_body, sign_request
from recrypt_core.udf import Udf

PAGE_CHANGES: Final = 8  # each may be a whole request large

_CONFLICT: Final = 409


@dataclass(frozen=True, slots=True)
class Desk:
    """An administrator at work on a group: its home, the group's service and pin, and a key."""

    home: Home
    service: Service
    pin: Pin
    key: SignaturePrivateKey


def open_desk(home: Home, service: Service, pin: Pin) -> Desk:
    """Sit down: what is signed here is signed by the profile's online key (spec §4).

    Raises:
        Trouble: if the home has no profile, or not its keys.
    """
    return Desk(home, service, pin, home.signing_key(home.profile()))


def walk(desk: Desk, *, now: datetime) -> Iterator[tuple[GroupState, Change]]:
    """Fetch the chain from its beginning; yield each change, verified, and the state after it.

    At its end the pin is renewed. Nothing that was yielded may be believed before that.

    Raises:
        Trouble: if the chain isn't in order, or not the one that was seen before.
    """
    state: GroupState | None = None
    hashes: dict[int, str] = {}
    with about(f"the history of {desk.pin.group_name} at {desk.service.url}"):
        for signed in _fetch(desk, now=now):
            change = chain.read_change(signed)
            state = chain.begin(change) if state is None else chain.advance(state, change)
            hashes[state.head.seq] = change.hash
            yield state, change
        if state is None:
            raise _cut_off(desk)
        _check(desk, state, hashes)
        _remember(desk, state, now=now)


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
    link = Link(state.identifier, state.head.seq + 1, state.head.hash)
    signed = sign_request(
        messages.write_message(message), desk.key, url=desk.service.url, now=now, link=link
    )
    with about(state.name):
        moved = chain.advance(state, chain.read_change(signed))
    answer = desk.service.send(request_body(signed, halves), message.transaction, ChangeResponse)
    if answer.head != moved.head:
        raise Trouble(
            f"{desk.service.url} took the change to {state.name}, but SHOWS ANOTHER HISTORY",
            "Compare recrypt history with the group's other administrators",
        )
    _remember(desk, moved, now=now)
    return moved


def is_conflict(refusal: ServiceRefused) -> bool:
    """Tell whether a change came too late: it may be made anew on the state of now."""
    return refusal.status == _CONFLICT


def _fetch(desk: Desk, *, now: datetime) -> Iterator[Jws]:
    """Fetch the changes in pages, until there are as many as the service's head says."""
    after = 0
    while True:
        request = GetChanges(group_id=desk.pin.identifier, after=after, limit=PAGE_CHANGES)
        signed = sign_request(
            messages.write_message(request), desk.key, url=desk.service.url, now=now
        )
        answer = desk.service.send(
            request_body(signed, {}), request.transaction, GetChangesResponse
        )
        yield from answer.changes
        after += len(answer.changes)
        if after >= answer.head.seq:
            return
        if not answer.changes:
            raise _cut_off(desk)


def _check(desk: Desk, state: GroupState, hashes: Mapping[int, str]) -> None:
    """Hold the chain against the pin and against the head in the group key (spec §5, §8)."""
    pin = _pin(desk)
    for head in (pin.head, state.key.document.head):
        if head.seq > 0:
            pins.check_hash(pin, head, hashes.get(head.seq))
    pins.compare(pin, state.key)


def _remember(desk: Desk, state: GroupState, *, now: datetime) -> None:
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
