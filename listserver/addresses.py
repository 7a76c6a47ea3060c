"""Addresses: one strict grammar for all of them, and what a list's own ones mean.

What passes `parse_address` can stand in an SMTP command and in a header as it is.
"""

import re
from dataclasses import dataclass
from enum import Enum

from listserver import limits
from recrypt_core.errors import Malformed

# RFC 5321 §4.1.2: Dot-string and Domain. We depart: no quoted string, no address literal, no
# UTF-8. Programs disagree about these, and no member needs one.
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_LIST_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
_RESERVED = frozenset({"postmaster", "abuse"})


@dataclass(frozen=True, slots=True)
class Address:
    """An RFC 5321 mailbox: the local part as it was given, the domain in lower case."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


class Role(Enum):
    """What an address of a list is for; the value is what follows the list's name (spec §7)."""

    POST = ""
    REQUEST = "-request"
    SUBSCRIBE = "-subscribe"
    UNSUBSCRIBE = "-unsubscribe"
    CONFIRM = "-confirm"
    OWNER = "-owner"
    KEY = "-key"
    BOUNCES = "-bounces"


_WITH_TOKEN = frozenset({Role.UNSUBSCRIBE, Role.CONFIRM, Role.BOUNCES})


@dataclass(frozen=True, slots=True)
class ListAddress:
    """An address of ours, taken apart.

    name: in lower case; whether there is such a list isn't known here.
    token: in lower case, unchecked; None where there is none.
    """

    name: str
    role: Role
    token: str | None = None


def check_domain(text: str) -> str:
    """Return a domain name in lower case.

    Raises:
        Malformed: it isn't letters, digits and hyphens between dots (RFC 5321 §4.1.2).
    """
    domain = text.lower()
    labels = domain.split(".")
    # .lower() can make ASCII of other letters (the Kelvin sign), so the text itself is asked.
    if not text.isascii() or len(domain) > limits.DOMAIN_OCTETS:
        raise Malformed("The domain is too long or not ASCII.")
    if not all(_LABEL.fullmatch(x) and len(x) <= limits.LABEL_OCTETS for x in labels):
        raise Malformed("The domain must be letters, digits and hyphens between dots.")
    return domain


def parse_address(text: str) -> Address:
    """Read an address, such as alice@example.org.

    Raises:
        Malformed: it isn't one (RFC 5321 §4.1.2, §4.5.3.1). The words don't repeat it.
    """
    local, at, domain = text.rpartition("@")
    if not at:
        raise Malformed("An address is name@domain.")
    if len(text) > limits.ADDRESS_OCTETS or len(local) > limits.LOCAL_PART_OCTETS:
        raise Malformed("The address is too long.")
    if not _LOCAL.fullmatch(local):
        raise Malformed("The part before the @ must be ASCII letters, digits and dots, unquoted.")
    return Address(local, check_domain(domain))


def read_list_address(address: Address, domain: str) -> ListAddress | None:
    """Tell what an address at our domain is for; None if it is at another one (spec §7).

    What has no role's form is read as a list's own name, which then is known or isn't.
    """
    if address.domain != domain.lower():
        return None
    local = address.local.lower()
    base, plus, token = local.partition("+")
    for role in Role:
        name = base.removesuffix(role.value)
        if name not in ("", base) and (role in _WITH_TOKEN or not plus):
            return ListAddress(name, role, token or None)
    return ListAddress(local, Role.POST)


def write_list_address(to: ListAddress, domain: str) -> Address:
    """Write the address that `read_list_address` reads (spec §7)."""
    plus = "" if to.token is None else f"+{to.token}"
    return parse_address(f"{to.name}{to.role.value}{plus}@{domain}")


def check_list_name(text: str) -> None:
    """Refuse what can't be the name of a new list (spec §7).

    Raises:
        Malformed: with words that say which rule it breaks.
    """
    if not _LIST_NAME.fullmatch(text) or ".." in text:
        raise Malformed(
            "A list's name is made of a to z and 0 to 9, with single dots, hyphens and underscores"
            " only inside it."
        )
    if len(text) > limits.LIST_NAME_OCTETS:
        raise Malformed(f"A list's name has at most {limits.LIST_NAME_OCTETS} characters.")
    if text in _RESERVED:
        raise Malformed("The names postmaster and abuse belong to the operator.")
    for role in Role:
        if role is not Role.POST and text.endswith(role.value):
            raise Malformed(f"A list's name can't end in {role.value}: another list may use it.")
