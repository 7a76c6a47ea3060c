"""Addresses: what a list's own ones mean. The grammar of all of them is the core's."""

import re
from dataclasses import dataclass
from enum import Enum

from listserver import limits
from recrypt_core.errors import Malformed
from recrypt_core.mailboxes import Address, check_domain, is_plain, parse_address

__all__ = (
    "Address",
    "ListAddress",
    "Role",
    "check_domain",
    "check_list_name",
    "is_plain",
    "mailbox_of",
    "parse_address",
    "read_list_address",
    "site_of",
    "write_list_address",
)

_LIST_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
_OPERATOR = "postmaster"
_RESERVED = frozenset({_OPERATOR, "abuse"})
_COUNTRY = 2  # letters of its top level
_SECOND_LEVELS = frozenset({"ac", "co", "com", "edu", "go", "gov", "ne", "net", "or", "org"})


class Role(Enum):
    """What an address of ours is for; the value is what follows the list's name (spec §7)."""

    POST = ""
    REQUEST = "-request"
    SUBSCRIBE = "-subscribe"
    UNSUBSCRIBE = "-unsubscribe"
    CONFIRM = "-confirm"
    OWNER = "-owner"
    KEY = "-key"
    BOUNCES = "-bounces"
    OPERATOR = "@"
    """Of postmaster and abuse, which are no lists (RFC 5321 §4.5.1); no local part ends so."""


_SUFFIXES = tuple((role, role.value) for role in Role)
_WITH_TOKEN = frozenset({Role.UNSUBSCRIBE, Role.CONFIRM, Role.BOUNCES})


@dataclass(frozen=True, slots=True)
class ListAddress:
    """An address of ours, taken apart.

    list: the list's own, in lower case; whether there is such a list isn't known here.
    token: in lower case, unchecked; None where there is none.
    """

    list: str
    role: Role
    token: str | None = None


def read_list_address(address: Address, domains: tuple[str, ...]) -> ListAddress | None:
    """Tell what an address at a domain of ours is for; None if it is at another one (spec §7).

    What has no role's form is read as a list's own name, which then is known or isn't.
    """
    if address.domain not in domains:
        return None
    local = address.local.lower()
    if local in _RESERVED:
        return ListAddress(f"{_OPERATOR}@{domains[0]}", Role.OPERATOR)  # one mailbox by all names
    base, plus, token = local.partition("+")
    for role, suffix in _SUFFIXES:
        name = base.removesuffix(suffix)
        if name not in ("", base) and (role in _WITH_TOKEN or not plus):
            return ListAddress(f"{name}@{address.domain}", role, token or None)
    return ListAddress(f"{local}@{address.domain}", Role.POST)


def write_list_address(to: ListAddress) -> Address:
    """Write the address that `read_list_address` reads so (spec §7)."""
    name, _, domain = to.list.rpartition("@")
    plus = "" if to.token is None else f"+{to.token}"
    suffix = "" if to.role is Role.OPERATOR else to.role.value
    return parse_address(f"{name}{suffix}{plus}@{domain}")


def mailbox_of(address: Address) -> str:
    """Give whose an address is, in lower case, without what follows a plus: for counting alone."""
    before, _, _ = address.local.partition("+")
    return f"{before or address.local}@{address.domain}".lower()


def site_of(address: Address) -> str:
    """Give the domain that somebody has registered, as far as its form tells: for counting alone.

    Who has one has as many names below it as it likes. Three labels, where the second is one of a
    country's own (example.co.uk), else two.
    """
    labels = address.domain.split(".")
    below_country = len(labels[-1]) == _COUNTRY and labels[-2:-1] and labels[-2] in _SECOND_LEVELS
    return ".".join(labels[-3 if below_country else -2 :])


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
