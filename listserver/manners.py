"""What may be answered by a program: mail that a person seems to have sent (RFC 3834 §2).

All of it is from the header and the envelope, which anybody can forge: so it keeps programs from
answering each other, and limits keep strangers from having others written to.
"""

import re
from typing import Final

from listserver.addresses import parse_address
from listserver.mime import Fields, values_of
from listserver.posts import HOPS

# Besides those that RFC 3834 §2 names: what programs use that read no mail.
_NO_PERSON = re.compile(
    r"postmaster|mailer-daemon|(owner|bounces?)-.*|.*-(bounces?|owner|request|errors)"
    r"|(no|do[-_.]?not)[-_.]?reply"
)
_TO_MANY: Final = frozenset({"bulk", "junk", "list"})  # of Precedence, which no standard has


def is_automatic(fields: Fields) -> bool:
    """Tell whether a program says that it sent a mail (RFC 3834 §5); a report is one (RFC 6522)."""
    stated = (
        value.partition(";")[0].strip().lower() for value in values_of(fields, "auto-submitted")
    )
    return any(keyword != "no" for keyword in stated) or any(
        value.lstrip().lower().startswith("multipart/report")
        for value in values_of(fields, "content-type")
    )


def may_be_answered(fields: Fields, sender: str) -> bool:
    """Tell whether a mail may be answered, to its envelope's sender and nowhere else.

    sender: "" is the null one.
    """
    if not sender or is_automatic(fields) or len(values_of(fields, "received")) > HOPS:
        return False
    if _NO_PERSON.fullmatch(parse_address(sender).local.lower().partition("+")[0]):
        return False
    if any(value.strip().lower() in _TO_MANY for value in values_of(fields, "precedence")):
        return False
    return not any(name.startswith("list-") for name, _ in fields)
