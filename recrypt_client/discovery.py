"""Where a group's service is: asked for, pinned, announced in the DNS, or at the domain itself."""

from collections.abc import Callable
from typing import Final, TypeAlias

from recrypt_client.pins import Pin

LOOKUP_SECONDS: Final = 5  # for the whole question; ours
_HTTPS: Final = 443

Lookup: TypeAlias = Callable[[str], str | None]
"""Gives the service's address that a domain announces, or None."""


def find_service(group: str, given: str | None, pin: Pin | None, lookup: Lookup) -> str:
    """Choose the service's address: given, else pinned, else SRV, else the domain (spec §11)."""
    if given is not None:
        return given
    if pin is not None:
        return pin.service
    domain = group.rpartition("@")[2]
    return lookup(domain) or f"https://{domain}"


def look_up(domain: str) -> str | None:
    """Ask the DNS for the domain's `_recrypt._tcp` (RFC 2782, v02 §4); None if it has none.

    The DNS isn't believed about the group's key, which is verified and pinned.
    """
    # Loaded here: it takes a quarter of the time that a command needs to start.
    import dns.exception
    import dns.rdtypes.IN.SRV
    import dns.resolver

    try:
        answer = dns.resolver.resolve(f"_recrypt._tcp.{domain}", "SRV", lifetime=LOOKUP_SECONDS)
    except dns.exception.DNSException:
        return None
    records = [each for each in answer if isinstance(each, dns.rdtypes.IN.SRV.SRV)]
    if not records:
        return None
    best = min(records, key=lambda each: (each.priority, -each.weight))
    host = best.target.to_text(omit_final_dot=True)
    if host in ("", "."):  # RFC 2782: decidedly not offered
        return None
    return f"https://{host}" if best.port == _HTTPS else f"https://{host}:{best.port}"
