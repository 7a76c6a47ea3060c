"""Mailboxes: the one strict grammar of the addresses that stand in profiles, commands and headers.

What passes `parse_address` can stand in an SMTP command and in a header as it is.
"""

import re
from dataclasses import dataclass
from typing import Final

from recrypt_core.errors import Malformed
from recrypt_core.limits import ACCOUNT_OCTETS, DOMAIN_OCTETS, LABEL_OCTETS, LOCAL_PART_OCTETS

# RFC 5321 §4.1.2: Dot-string and Domain. We depart: no quoted string, no address literal, no
# UTF-8. Programs disagree about these, and no member needs one.
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = re.compile(rf"{_ATOM}(\.{_ATOM})*")
_LABEL: Final = rf"[a-z0-9](?:[a-z0-9-]{{0,{LABEL_OCTETS - 2}}}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_PLAIN = re.compile(f"{_LOCAL.pattern}@{_DOMAIN.pattern}")


@dataclass(frozen=True, slots=True)
class Address:
    """An RFC 5321 mailbox: the local part as it was given, the domain in lower case."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


def check_domain(text: str) -> str:
    """Return a domain name in lower case.

    Raises:
        Malformed: it isn't letters, digits and hyphens between dots (RFC 5321 §4.1.2).
    """
    domain = text.lower()
    # .lower() can make ASCII of other letters (the Kelvin sign), so the text itself is asked.
    if not text.isascii() or len(domain) > DOMAIN_OCTETS:
        raise Malformed("The domain is too long or not ASCII.")
    if not _DOMAIN.fullmatch(domain):
        raise Malformed("The domain must be letters, digits and hyphens between dots.")
    return domain


def folded(address: str) -> str:
    """Give an address, of any form, as it is compared with others: in lower case.

    A host may tell local parts apart by case (RFC 5321 §2.4). We depart: where one does, two people
    are taken for one, which makes somebody look, and lets in nobody.
    """
    return address.lower()


def parse_address(text: str) -> Address:
    """Read an address, such as alice@example.org.

    Raises:
        Malformed: it isn't one (RFC 5321 §4.1.2, §4.5.3.1). The words don't repeat it.
    """
    local, at, domain = text.rpartition("@")
    if not at:
        raise Malformed("An address is name@domain.")
    if len(text) > ACCOUNT_OCTETS or len(local) > LOCAL_PART_OCTETS:
        raise Malformed("The address is too long.")
    if not _LOCAL.fullmatch(local):
        raise Malformed("The part before the @ must be ASCII letters, digits and dots, unquoted.")
    return Address(local, check_domain(domain))


def is_plain(text: str) -> bool:
    """Tell whether `parse_address` takes a text and gives it as it is; in less than half its time.

    That is, if it is an address, and its domain in lower case.
    """
    at = text.find("@")
    fits = at <= LOCAL_PART_OCTETS and len(text) - at - 1 <= DOMAIN_OCTETS
    return fits and len(text) <= ACCOUNT_OCTETS and _PLAIN.fullmatch(text) is not None
