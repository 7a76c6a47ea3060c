"""Whom the words of a refusal blame: the address, its full mailbox, or us who send.

For refusals without a status code that tells. Servers have a few dozen wordings for an address that
doesn't exist; what none of the patterns knows is nobody's fault. Of the words nothing is kept.
"""

import re
from typing import Final

# Addresses, and what stands in their place, may hold any word.
_ADDRESS: Final = re.compile(r"<[^<>]*>|\[[^][]*\]|[^\s@]*@\S*")
_NOUN: Final = r"(?:user|mailbox|recipient|address|addressee|account|alias|local part)"
_BEFORE: Final = (
    r"(?:no|no such|unknown|invalid|bad|unrout[ea]+ble|disabled|inactive|non-?existent)"
)
_AFTER: Final = (
    r"(?:unknown|not found|not exist|doesn.?t exist|doesn.?t have|unavailable|not available|"
    r"disabled|inactive|suspended|deactivated|closed|expired|invalid|not valid|no longer|"
    r"not known|not local|not listed|name not allowed|rejected\W*\Z|rejected: access denied)"
)
_NO_ADDRESS: Final = re.compile(
    rf"\b(?:{_BEFORE}(?: \w+){{0,2}} {_NOUN}|{_NOUN}(?:\W+\w+){{0,8}}?\W+{_AFTER})(?!\w)",
    re.ASCII,
)
_FULL: Final = re.compile(
    r"\b(?:quota|(?:mailbox|inbox)(?: \w+){0,2} full|full (?:mailbox|inbox)|exceeded storage)\b",
    re.ASCII,
)
# "Sender verify failed" quotes another server's "no such user": it is about our own address.
_US: Final = re.compile(
    r"\b(?:relay\w*|rcpthosts|sender|mail from|helo|service|authenticat\w+|authori[sz]\w+|log ?in|"
    r"daily|hourly|outgoing|outbound|sending|submission|your (?:email )?account|"
    r"spam\w*|block\w*|black\w*|polic\w+|reputation|grey\w*|gray\w*|too many|dmarc|dkim|spf)\b",
    re.ASCII,
)


# The same where a status says that it is about an address: ours then, or what we may send.
_SENDER: Final = re.compile(
    r"\b(?:(?:unknown|invalid|bad|outbound) sender|"
    r"sender (?:address|domain|unknown|invalid|reject\w*|denied|verif\w+)|mail from|return.path|"
    r"daily|hourly|outgoing|outbound|(?:sending|submission) (?:quota|limit|rate)|for sending)\b",
    re.ASCII,
)


def blame_address(text: str) -> bool:
    """Tell whether a refusal says that there is no such address."""
    said = _plain(text)
    return bool(_NO_ADDRESS.search(said)) and not _US.search(said)


def say_full(text: str) -> bool:
    """Tell whether a refusal says that the address's mailbox is full."""
    said = _plain(text)
    return bool(_FULL.search(said)) and not _US.search(said)


def blame_us(text: str) -> bool:
    """Tell whether a refusal is about who sends: then it meets all members alike."""
    return bool(_US.search(_plain(text)))


def blame_sender(text: str) -> bool:
    """Tell whether a refusal that is about an address is about the sender's."""
    return bool(_SENDER.search(_plain(text)))


def _plain(text: str) -> str:
    """Take addresses out, and write the rest in lower case with single spaces."""
    return " ".join(_ADDRESS.sub(" ", text).lower().split())
