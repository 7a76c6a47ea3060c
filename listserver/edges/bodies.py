"""Bodies of HTTP requests: read to their end within bounds, of one and of all at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from starlette.requests import Request

from recrypt_core import limits

BODY_TIMEOUT: Final = timedelta(minutes=2)  # ours: 8 MiB at 560 kbit/s

_SMALL_OCTETS: Final = 64 * 2**10  # ours: a body's first octets, for which there is room always
_LARGE_OCTETS: Final = 8 * limits.REQUEST_OCTETS  # ours: what is held of all the rest at once
_REQUESTS: Final = 1000  # ours: in hand at once


class NotRead(Exception):
    """A request that isn't read to its end, with the status and the words for it."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Room:
    """What is held of all requests at once."""

    def __init__(self, timeout: timedelta = BODY_TIMEOUT) -> None:
        self._timeout = timeout
        self._requests = 0
        self._octets = 0

    @asynccontextmanager
    async def body(self, request: Request, most: int) -> AsyncIterator[bytes]:
        """Read a body of `most` octets at most, and hold it until the block is left.

        Raises:
            NotRead: it is too large, or there is too much in hand.
            TimeoutError: it doesn't come.
            ClientDisconnect: it won't come.
        """
        if self._requests >= _REQUESTS:
            raise NotRead(503, "too many requests at once: try again later")
        self._requests += 1
        parts, octets, large = [], 0, 0
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                async for part in request.stream():
                    octets += len(part)
                    if octets > most:
                        raise NotRead(413, f"at most {most} octets: send it in several")
                    more = max(0, octets - _SMALL_OCTETS) - large
                    if self._octets + more > _LARGE_OCTETS:
                        raise NotRead(503, "too many large requests at once: try again later")
                    self._octets += more
                    large += more
                    parts.append(part)
            yield b"".join(parts)
        finally:
            self._requests -= 1
            self._octets -= large
