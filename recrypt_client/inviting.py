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
from recrypt_client.mail import decoded, leaves, parse
from recrypt_core import invitations, limits
from recrypt_core.chain import GroupState
from recrypt_core.encoding import read_b64url, write_b64url
from recrypt_core.errors import Malformed
from recrypt_core.invitations import URI, Invitation, Invite, Invited
from recrypt_core.mailboxes import folded, parse_address
from recrypt_core.messages import Response

AT_ONCE: Final = limits.REQUEST_INVITATIONS

_ENCODING: Final = "Content-Transfer-Encoding"
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


_ROLES: Final = ("", "request", "subscribe", "unsubscribe", "confirm", "owner", "key", "bounces")
_OPERATOR: Final = frozenset({"postmaster", "abuse"})

Send = Callable[[Sequence[Letter]], None]


def plan(desk: Desk, addresses: Iterable[str], *, again: bool, now: datetime) -> Plan:
    """Draw a token for each who is neither a member nor invited, and keep them.

    Args:
        desk: The administrator.
        addresses: Whom to invite.
        again: Whether who was invited already is to have a letter with the same token.
        now: The time.

    Raises:
        Trouble: if one is no address, or one of the group's own; or the group is closed, or not
            what was seen before.
    """
    named = dict[str, str]()
    for each in map(_address, addresses):
        if why := not_a_mailbox(desk.pin.group_name, each):
            raise Trouble(f"{each} {why}", "Nobody was invited: give people's own addresses")
        named.setdefault(folded(each), each)
    state = chains.current(desk, now=now)
    group_keys.check_open(state.key)
    book = Book(desk.home, state.name, now=now)
    members = _accounts(state)
    due, skipped = list[Open](), list[tuple[str, str]]()
    for key, address in named.items():
        found = book.find(address)
        if key in members:
            skipped.append((address, f"is {members[key]}"))
        elif found is not None and found.used_by is None and found.sent and not again:
            skipped.append((address, f"was invited on {found.since:%Y-%m-%d}"))
        elif found is not None and found.used_by is not None and not again:
            skipped.append((address, "has used an invitation, and is not let in yet"))
        else:
            due.append(_drawn(address, found, now))
    book.put(due)
    return Plan(tuple(due), tuple(skipped))


def not_a_mailbox(group: str, address: str) -> str | None:
    """Tell why an address is nobody's mailbox, where it is the list's or the operator's (spec §7).

    Of another list at that domain the service alone knows.
    """
    name, _, domain = group.partition("@")
    local, _, at = folded(address).rpartition("@")
    base = local.partition("+")[0]
    if at == domain and base in _OPERATOR:
        return "is the operator's of the list's domain"
    if at == domain and base in {"-".join(filter(None, (name, role))) for role in _ROLES}:
        return "is the list's own address"
    return None


def send(desk: Desk, due: Sequence[Open], deliver: Send, *, now: datetime) -> None:
    """Have invitations delivered, as many at once as a request may hold, and note it.

    Raises:
        Trouble: if they can't be; the next command goes on with the rest.
    """
    book = Book(desk.home, desk.pin.group_name, now=now)
    for at in range(0, len(due), AT_ONCE):
        batch = due[at : at + AT_ONCE]
        deliver([_letter(desk, each) for each in batch])
        book.put(each.gone_out() for each in batch)


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
    text = _text(octets).decode("ascii", "replace").strip()
    found = {*_URI.findall(text)} or {text}
    if len(found) != 1:
        raise Trouble(f"{what}: {len(found)} invitations", "Give the letter of one")
    try:
        return invitations.read_token(found.pop())
    except Malformed as problem:
        raise Trouble(
            f"{what}: {problem}", "Give the letter with the invitation, or the line from it"
        ) from problem


def _text(octets: bytes) -> bytes:
    """Undo the encodings in a letter; where none is told, soft line breaks alone (RFC 2045 §6)."""
    try:
        told = [each for each in leaves(parse(octets)) if each.first(_ENCODING)]
        text = b"\n".join(decoded(each) for each in told if each.media_type.startswith("text/"))
    except Malformed:
        text = b""
    plain = re.sub(rb"=\r?\n", b"", octets)
    return text if URI.encode() in text else plain


def _accounts(state: GroupState) -> dict[str, str]:
    """Give the status of everybody who is or was a member, by address."""
    known = sorted(state.members.values(), key=lambda each: each.is_active)
    return {folded(each.account): f"{each.entry.status.value} already" for each in known}


def _drawn(address: str, found: Open | None, now: datetime) -> Open:
    """Give the invitation that is to go out: a new one, or the one that isn't used yet."""
    secret = write_b64url(invitations.new_secret())
    if found is not None and found.used_by is None:
        secret = found.secret
    return Open(address=address, secret=secret, since=now.replace(microsecond=0))


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
