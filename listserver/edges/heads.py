"""The heads of HTTP requests: bounded in octets and in time, which uvicorn with httptools isn't."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from listserver.limits import HEAD_OCTETS, HEAD_TIMEOUT


class BoundedHeads(HttpToolsProtocol):
    """A connection that is cut off if a head is too long, or doesn't come."""

    _head_octets = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._take_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take octets; those of a head that isn't whole yet are counted."""
        super().data_received(data)
        if self._head_timer is not None:
            self._head_octets += len(data)
            if self._head_octets > HEAD_OCTETS:
                self._cut_off()

    def on_message_begin(self) -> None:
        """Begin to wait for the rest of a head."""
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        """Have a head whole; between requests uvicorn's own time-out counts."""
        self._take_head()
        super().on_headers_complete()

    def _await_head(self) -> None:
        if self._head_timer is None:
            seconds = HEAD_TIMEOUT.total_seconds()
            self._head_timer = self.loop.call_later(seconds, self._cut_off)

    def _take_head(self) -> None:
        self._head_octets = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _cut_off(self) -> None:
        self._take_head()
        self.transport.abort()
