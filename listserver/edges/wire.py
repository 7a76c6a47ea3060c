"""One SMTP connection after its greeting: what is written, and the replies in the order they come.

It knows nothing of what they are replies to. What is kept of a peer that says too much is bounded.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from datetime import timedelta
from typing import Final, TypeAlias, cast

Reply: TypeAlias = tuple[int, str]
"""Its code, and its words: a line each; octets that are no UTF-8 are lone surrogates."""

_LINE_OCTETS: Final = 8192  # ours; RFC 5321 §4.5.3.1.5 has 512
_HELD_OCTETS: Final = 4 * _LINE_OCTETS  # ours: of a reply, and of what comes at once
_MOST: Final = 100  # ours: lines of a reply, and replies; three are waited for at once


class BadReply(ConnectionError):
    """What the peer said is no reply, or a reply to nothing."""


class Wire(asyncio.BufferedProtocol):
    """Takes a connection over from who opened it, by `take_over`.

    It reads into a buffer of its own: asyncio makes one of 256 KiB else, for each reply anew.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._buffer = memoryview(bytearray(_LINE_OCTETS))
        self._heard = b""
        self._lines: list[bytes] = []
        self._held = 0
        self._replies = deque[Reply]()
        self._trouble: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._flows = asyncio.Event()
        self._flows.set()

    @classmethod
    def take_over(cls, transport: asyncio.BaseTransport | None) -> "Wire":
        """Be the one who hears what comes from now on."""
        if transport is None or transport.is_closing():
            raise ConnectionResetError
        wire = cls(cast(asyncio.Transport, transport))
        transport.set_protocol(wire)
        return wire

    @property
    def is_in_step(self) -> bool:
        """Say whether the connection stands, and nothing was said unasked."""
        heard = self._heard or self._lines or self._replies or self._trouble
        return not heard and not self._transport.is_closing()

    def check_in_step(self) -> None:
        """Refuse a reply that came before its command: a 250, say, before the final dot."""
        if self._heard or self._lines or self._replies:
            raise BadReply
        self._raise_trouble()

    def say(self, octets: Iterable[bytes | memoryview]) -> None:
        """Write at once; what the peer doesn't take yet is kept."""
        self._transport.writelines(list(octets))

    async def drain(self, within: timedelta) -> None:
        """Wait until the peer has taken most of what was written."""
        if not self._flows.is_set():
            async with asyncio.timeout(within.total_seconds()):
                await self._flows.wait()
        if self._transport.is_closing():
            self._raise_trouble()
            raise ConnectionResetError

    def next_reply(self) -> Reply | None:
        """Give the next reply, if it has come already."""
        return self._replies.popleft() if self._replies else None

    async def reply(self, within: timedelta) -> Reply:
        """Give the next reply.

        Raises:
            OSError: if none comes in time, or will come, or what comes isn't one.
        """
        if not self._replies:
            self._raise_trouble()
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            self._watch(loop.time() + within.total_seconds())
            try:
                await self._waiter
            finally:
                self._waiter = None
        if not self._replies:
            self._raise_trouble()
        return self._replies.popleft()

    def abort(self) -> None:
        """Drop the connection without a word."""
        self._transport.abort()

    # What asyncio tells

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's
        """Give room for what comes next."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what the peer said, whatever pieces it comes in."""
        *lines, self._heard = (self._heard + self._buffer[:nbytes]).split(b"\n")
        for line in lines:
            if self._trouble is None:
                self._take(line)
        if len(self._heard) > _LINE_OCTETS:
            self._trouble = self._trouble or BadReply()
        if self._trouble is not None:
            self._heard = b""
            self._lines.clear()
            self._transport.abort()  # else it would go on
        self._wake()

    def eof_received(self) -> None:
        """Take note that no reply will come; the connection is closed."""
        self._end(ConnectionResetError())

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that there is no connection any more."""
        self._end(exc if isinstance(exc, OSError) else ConnectionResetError())
        self._flows.set()
        self._stop_watching()

    def pause_writing(self) -> None:
        """Take note that the peer is slow."""
        self._flows.clear()

    def resume_writing(self) -> None:
        """Take note that it has taken what there was."""
        self._flows.set()

    def _take(self, line: bytes) -> None:
        """Read one line of a reply (RFC 5321 §4.2); the last one's code is the reply's."""
        code, lines = line[:3], self._lines
        self._held += len(line) + 1
        too_much = self._held > _HELD_OCTETS or len(lines) > _MOST or len(self._replies) > _MOST
        if too_much or len(line) >= _LINE_OCTETS or len(code) < 3 or not code.isdigit():
            self._trouble = BadReply()
            return
        words = line[4:].strip(b" \t\r")
        if line[3:4] == b"-":
            lines.append(words)
            return
        if lines:
            words = b"\n".join((*lines, words))
            lines.clear()
        self._replies.append((int(code), words.decode("utf-8", "surrogateescape")))
        self._held = 0

    def _end(self, problem: Exception) -> None:
        self._trouble = self._trouble or problem
        self._wake()

    def _wake(self) -> None:
        has_news = self._replies or self._trouble is not None
        if has_news and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _watch(self, until: float) -> None:
        """Give up waiting then; one timer serves many waits, as most of them are short."""
        self._until = until
        if self._timer is None or self._timer.when() > until:
            self._stop_watching()
            self._timer = asyncio.get_running_loop().call_at(until, self._give_up)

    def _give_up(self) -> None:
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        if asyncio.get_running_loop().time() < self._until:
            self._watch(self._until)
        else:
            self._waiter.set_exception(TimeoutError())

    def _stop_watching(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _raise_trouble(self) -> None:
        if self._trouble is not None:
            raise self._trouble
