"""What all sessions at the door share: who is in, whose mail is in hand, how much is held."""

import asyncio
import ssl
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Protocol

from listserver import limits
from listserver.config import SmtpSettings
from listserver.ports import Log, Reception
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


class Door:
    """The state that sessions have in common.

    tls: what STARTTLS is done with; None while it isn't offered.
    """

    def __init__(
        self, reception: Reception, log: Log, settings: SmtpSettings, *, domain: str
    ) -> None:
        self.reception = reception
        self.log = log
        self.settings = settings
        self.domain = domain
        self.tls: ssl.SSLContext | None = None
        self._guests: dict[Guest, str] = {}
        self._in_hand: set[asyncio.Task[None]] = set()
        self._held = 0

    @property
    def guests(self) -> tuple[Guest, ...]:
        """Tell who is in."""
        return tuple(self._guests)

    def enter(self, guest: Guest, host: str) -> bool:
        """Let a session in, unless there are too many of them, in all or of its client."""
        client = client_of(host)
        of_client = sum(x == client for x in self._guests.values())
        if len(self._guests) >= self.settings.connections:
            return False
        if of_client >= self.settings.connections_per_client:
            return False
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

    def hold(self, octets: int) -> bool:
        """Make room for octets of a large post; there may be none left."""
        most = limits.LARGE_POSTS * self.settings.max_post_octets
        if self._held + octets > most:
            return False
        self._held += octets
        return True

    def let_go(self, octets: int) -> None:
        """Give room back."""
        self._held -= octets


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
