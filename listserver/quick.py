"""What takes a while with many octets: few are done with here, more in a thread."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from listserver.limits import QUICK_OCTETS

T = TypeVar("T")


async def done(job: Callable[[], T], octets: int, *, quick: int = QUICK_OCTETS) -> T:
    """Do a job with so many octets; a thread takes longer to begin than few of them to be done."""
    return job() if octets <= quick else await asyncio.to_thread(job)
