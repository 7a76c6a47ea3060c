"""Who asked a group's service to recrypt: its log, which is the service's word alone (spec §6)."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from recrypt_client import chains
from recrypt_client.chains import Desk
from recrypt_client.errors import Trouble
from recrypt_core.messages import GetAudit, GetAuditResponse
from recrypt_core.records import AuditEntry

PAGES: Final = 1000  # ours: a million rows, so that a service can't have us fetch for ever

_PAGE: Final = 1000  # rows, some 400 octets each


def entries(desk: Desk, *, since: datetime | None, now: datetime) -> Iterator[AuditEntry]:
    """Fetch the log in pages, the oldest first; give what was asked since a time.

    Raises:
        ServiceRefused: if the service says no.
        Trouble: if it can't be reached, or its pages go in a circle or don't end.
    """
    after = 0
    for _ in range(PAGES):
        request = GetAudit(group_id=desk.pin.identifier, after=after, limit=_PAGE)
        answer = chains.ask(desk, request, GetAuditResponse, now=now)
        for entry in answer.entries:
            if entry.seq <= after:
                raise _circle(desk)
            after = entry.seq
            if since is None or entry.time >= since:
                yield entry
        if answer.next is None:
            return
        if answer.next != after or not answer.entries:
            raise _circle(desk)
    raise Trouble(
        f"{desk.service.url} shows no end of its log of {desk.pin.group_name}",
        "Ask the service's operator to keep it for fewer days",
    )


def _circle(desk: Desk) -> Trouble:
    return Trouble(
        f"{desk.service.url} shows its log of {desk.pin.group_name} out of order",
        "Try again; if it stays so, ask the service's operator",
    )
