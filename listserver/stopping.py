"""Lists that their operator has stopped for a while: what isn't done for them meanwhile."""

from typing import Final

from listserver.model import StoredList
from listserver.store import Work
from recrypt_core.errors import Refused, Why

STOPPED: Final = "the operator has stopped this list for now: try again later"


async def check_goes_on(work: Work, stored: StoredList) -> None:
    """Refuse what isn't done for a list that is stopped: it may be done later.

    Raises:
        Refused: STOPPED.
    """
    if await work.is_suspended(stored.id):
        raise Refused(Why.STOPPED, STOPPED)
