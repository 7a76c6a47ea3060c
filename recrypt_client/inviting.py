"""Flows of inviting: tokens are drawn and kept, then mailed by the service, or given to a person.

What goes out is written down first: a command that was cut off goes on with the same tokens.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from recrypt_client import chains, group_keys
from recrypt_client.chains import Desk
from recrypt_client.errors import Trouble, about
from recrypt_client.invitations import Book, Open
from recrypt_core import invitations, limits
from recrypt_core.chain import GroupState
from recrypt_core.encoding import read_b64url, write_b64url
from recrypt_core.errors import Malformed
from recrypt_core.invitations import URI, Invitation, Invite, Invited
from recrypt_core.mailboxes import parse_address
from recrypt_core.messages import Response

AT_ONCE: Final = limits.REQUEST_INVITATIONS

_URI = re.compile(rf"{URI}[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Plan:
    """Whom to invite, and who is passed over and why.

    Attributes:
        due: Those to invite, whose tokens are kept already.
        skipped: The others, each with the reason.
    """

    due: tuple[Open, ...]
    skipped: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Letter:
    """An invitation as a person can send it: its token, and the words around it."""

    address: str
    token: str
    subject: str
    lines: tuple[str, ...]


Send = Callable[[Sequence[Letter]], None]


def plan(desk: Desk, addresses: Iterable[str], *, again: bool, now: datetime) -> Plan:
    """Draw a token for each who is neither a member nor invited, and keep them.

    Args:
        desk: The administrator.
        addresses: Whom to invite.
        again: Whether who was invited already is to have a letter with the same token.
        now: The time.

    Raises:
        Trouble: if one is no address, or the group is closed, or not what was seen before.
    """
    named = [_address(each) for each in dict.fromkeys(addresses)]
    state = chains.current(desk, now=now)
    group_keys.check_open(state.key)
    book = Book(desk.home, state.name, now=now)
    members = _accounts(state)
    due, skipped = list[Open](), list[tuple[str, str]]()
    for address in dict.fromkeys(named):
        found = book.find(address)
        if address in members:
            skipped.append((address, f"is {members[address]}"))
        elif found is not None and found.used_by is None and found.sent and not again:
            skipped.append((address, f"was invited on {found.since:%Y-%m-%d}"))
        elif found is not None and found.used_by is not None and not again:
            skipped.append((address, "has used an invitation, and is not let in yet"))
        else:
            due.append(_drawn(address, found, now))
    book.put(due)
    return Plan(tuple(due), tuple(skipped))


def send(desk: Desk, due: Sequence[Open], deliver: Send, *, now: datetime) -> None:
    """Have invitations delivered, as many at once as a request may hold, and note it.

    Raises:
        Trouble: if they can't be; the next command goes on with the rest.
    """
    book = Book(desk.home, desk.pin.group_name, now=now)
    for at in range(0, len(due), AT_ONCE):
        batch = due[at : at + AT_ONCE]
        deliver([_letter(desk, each) for each in batch])
        book.put(each.as_of(each.since, sent=True) for each in batch)


def mail(desk: Desk, letters: Sequence[Letter], *, now: datetime) -> None:
    """Have the service mail them: so it knows their secrets.

    Raises:
        ServiceRefused: if the service says no.
        Trouble: if it can't be reached.
    """
    stated = tuple(Invited(account_name=each.address, token=each.token) for each in letters)
    chains.ask(desk, Invite(group_id=desk.pin.identifier, invitations=stated), Response, now=now)


def read(octets: bytes, *, what: str) -> Invitation:
    """Find the one invitation in a letter as it came, or alone.

    Raises:
        Trouble: if there isn't one.
    """
    text = octets.decode("ascii", "replace").replace("=\r\n", "").replace("=\n", "").strip()
    found = {*_URI.findall(text)} or {text}
    if len(found) != 1:
        raise Trouble(f"{what}: {len(found)} invitations", "Give the letter of one")
    try:
        return invitations.read_token(found.pop())
    except Malformed as problem:
        raise Trouble(
            f"{what}: {problem}", "Give the letter with the invitation, or the line from it"
        ) from problem


def _accounts(state: GroupState) -> dict[str, str]:
    """Give the status of everybody who is or was a member, by address."""
    known = sorted(state.members.values(), key=lambda each: each.is_active)
    return {
        str(parse_address(each.account)): f"{each.entry.status.value} already" for each in known
    }


def _drawn(address: str, found: Open | None, now: datetime) -> Open:
    """Give the invitation that is to go out: a new one, or the one that isn't used yet."""
    since = now.replace(microsecond=0)
    if found is not None and found.used_by is None:
        return found.as_of(since, sent=False)
    return Open(address=address, secret=write_b64url(invitations.new_secret()), since=since)


def _letter(desk: Desk, invitation: Open) -> Letter:
    group = desk.pin.group_name
    made = Invitation(group, desk.service.url, desk.pin.identifier, read_b64url(invitation.secret))
    with about(f"an invitation to {group}"):
        token = invitations.write_token(made)
    address = invitation.address
    words = invitations.words(group, token, address)
    return Letter(address, token, invitations.subject(group), words)


def _address(text: str) -> str:
    try:
        return str(parse_address(text))
    except Malformed as problem:
        words = f"{text!r} is no address that can be invited: {problem}".rstrip(".")
        raise Trouble(words, "Nobody was invited: give addresses such as bob@example.org") from None
