"""What all sessions at the door share: who is in, whose mail is in hand, how much is held."""

import asyncio
import ssl
from datetime import timedelta
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Protocol

from listserver import limits
from listserver.config import SmtpSettings
from listserver.ports import Log, Reception, Room
from listserver.replies import Reply


class Parting(Exception):
    """Ends a session; `reply` is the last word, or None if all is said."""

    def __init__(self, reply: Reply | None = None) -> None:
        super().__init__(reply)
        self.reply = reply


class Guest(Protocol):
    """One session, as the door sees it."""

    @property
    def answering(self) -> bool:
        """Say whether a mail of this session has come whole and waits for its reply."""
        ...

    async def hang_up(self) -> None:
        """Close the connection; what was said still goes out, if the peer reads it."""
        ...


class Holder(Protocol):
    """A large mail that takes room, as the door sees it."""

    def slack(self) -> float:
        """Tell for how many seconds it won't be too slow for the room that it takes."""
        ...

    def give_way(self) -> None:
        """Give its room back at once."""
        ...


class Pace:
    """Time that runs out unless octets come at a rate, on the whole; `patience` at most is left.

    So a pause is forgiven, and a trickle isn't.
    """

    def __init__(self, rate: int, patience: timedelta, now: float) -> None:
        self._rate = rate
        self._patience = patience.total_seconds()
        self._end = now + self._patience

    def heard(self, octets: int, now: float) -> None:
        """Count octets that have come."""
        self._end = min(self._end + octets / self._rate, now + self._patience)

    def left(self, now: float) -> float:
        """Tell how many seconds are left; it's negative when they have run out."""
        return self._end - now


class Door:
    """The state that sessions have in common.

    domains: which mail is taken for; the first is what we greet with.
    tls: what STARTTLS is done with; None while it isn't offered.
    let_in, turned_away: how many sessions there have been, and how many were too many.
    """

    def __init__(
        self,
        reception: Reception,
        log: Log,
        settings: SmtpSettings,
        *,
        domains: tuple[str, ...],
        room: Room,
    ) -> None:
        self.reception = reception
        self.room = room
        self.log = log
        self.settings = settings
        self.domains = domains
        self.tls: ssl.SSLContext | None = None
        self.let_in = 0
        self.turned_away = 0
        self._guests: dict[Guest, str] = {}
        self._in_hand: set[asyncio.Task[None]] = set()
        self._held: dict[Holder, int] = {}

    @property
    def guests(self) -> tuple[Guest, ...]:
        """Tell who is in."""
        return tuple(self._guests)

    def enter(self, guest: Guest, host: str) -> bool:
        """Let a session in, unless there are too many of them, in all or of its client."""
        client = client_of(host)
        of_client = sum(x == client for x in self._guests.values())
        full = len(self._guests) >= self.settings.connections
        if full or of_client >= self.settings.connections_per_client:
            self.turned_away += 1
            return False
        self.let_in += 1
        self._guests[guest] = client
        return True

    def leave(self, guest: Guest) -> None:
        """Forget a session that is over."""
        self._guests.pop(guest, None)

    def take_in_hand(self, task: asyncio.Task[None]) -> None:
        """Keep a task alive until it ends, even if its sender is gone."""
        self._in_hand.add(task)
        task.add_done_callback(self._in_hand.discard)

    async def drain(self) -> None:
        """Wait until every mail that has come whole is committed and answered."""
        while self._in_hand:
            await asyncio.wait(self._in_hand)

    def hold(self, holder: Holder, octets: int) -> bool:
        """Make room for octets of a large mail; there may be none left.

        Where room is short those that come too slowly give way, the slowest first. Otherwise a few
        of them could keep all other large mail out for hours.
        """
        most = limits.LARGE_POSTS * self.settings.max_post_octets
        while sum(self._held.values()) + octets > most:
            slowest = min(self._held, key=lambda x: x.slack(), default=holder)
            if slowest is holder or slowest.slack() >= 0:
                return False
            slowest.give_way()
            self.log.event("slow-mail-gave-way")
        self._held[holder] = self._held.get(holder, 0) + octets
        return True

    def let_go(self, holder: Holder) -> None:
        """Take back all the room that a mail has."""
        self._held.pop(holder, None)


def client_of(host: str) -> str:
    """Tell whose a connection is: an IPv4 address, or an IPv6 network of 64 bits.

    One customer has such a network at least, and could come from each of its addresses.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv4Address):
        return host
    return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
