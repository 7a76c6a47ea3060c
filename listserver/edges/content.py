"""The content of one mail, read from the stream after DATA: bounded, and whole or refused."""

import asyncio
import re
from collections.abc import Callable
from typing import Final

from listserver import limits, replies
from listserver.edges.door import Door, Pace, Parting
from listserver.replies import Reply

_LINE_END: Final = b"\r\n"
_CONTENT_END: Final = b"\r\n.\r\n"
_STUFFING: Final = re.compile(rb"\r\n\.")  # found, or not, in half the time that replace() takes


class Content:
    """Reads one mail; never more than the limit is held, or twice it read.

    What is over SMALL_POST_OCTETS takes room at the door, which `let_go` gives back.

    clock: gives seconds, of any beginning.
    """

    def __init__(
        self, reader: asyncio.StreamReader, door: Door, clock: Callable[[], float]
    ) -> None:
        self._reader = reader
        self._door = door
        self._limit = door.settings.max_post_octets
        self._most = self._limit + len(_CONTENT_END)
        self._pieces: list[bytes] = []
        self._rest = b""
        self._octets = 0
        self._problem: Reply | None = None
        self._ended = False
        self._clock = clock
        self._pace = Pace(limits.DATA_RATE, limits.COMMAND_TIMEOUT, clock())
        self._large_pace = Pace(limits.LARGE_RATE, limits.LARGE_PATIENCE, clock())

    async def read(self, heard: Callable[[float], None]) -> Reply | None:
        """Read until the final dot; tell why the mail isn't taken, or None if it may be.

        heard: called whenever READ_OCTETS have come, or the end, with how many seconds the sender
            has for the next ones.

        Raises:
            Parting: twice the limit has come. What follows may not be read as commands.
        """
        # The line end before the content is the DATA command's. Put back, it makes one mark of all
        # ends, also of the one that comes at once.
        self._reader._buffer[:0] = _LINE_END  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
        while not self._ended:
            piece, self._ended = await self._read_piece()
            self._keep(piece)
            heard(self._time_left(len(piece)))
            if self._octets > 2 * self._most:
                raise Parting(replies.too_large(self._limit))
        if self._octets > self._most:
            return replies.too_large(self._limit)
        return self._problem

    async def whole(self) -> bytes:
        """Give the octets of a mail that may be taken, without dot-stuffing."""
        pieces, self._pieces = self._pieces, []
        pieces[-1] = pieces[-1].removesuffix(_LINE_END)  # the dot before it was taken for stuffing
        if self._octets <= limits.SMALL_POST_OCTETS:
            return b"".join(pieces)
        return await asyncio.to_thread(_joined, pieces)

    def let_go(self) -> None:
        """Give back the room at the door, once the mail is answered or its sender gone."""
        self._door.let_go(self)

    def slack(self) -> float:
        """Tell for how many seconds it won't be too slow for the room that it takes.

        Once it has come whole it is for ever: it may not give way any more.
        """
        return float("inf") if self._ended else self._large_pace.left(self._clock())

    def give_way(self) -> None:
        """Drop what has come, and refuse the mail for now when its end has come too."""
        self._drop(replies.NO_ROOM)

    def _time_left(self, octets: int) -> float:
        now = self._clock()
        self._large_pace.heard(octets, now)
        self._pace.heard(octets, now)
        return self._pace.left(now)

    async def _read_piece(self) -> tuple[bytes, bool]:
        """Read up to the content's end or until READ_OCTETS are there; tell whether it ended."""
        try:
            return await self._reader.readuntil(_CONTENT_END), True
        except asyncio.LimitOverrunError as full:
            return await self._reader.readexactly(full.consumed), False

    def _keep(self, piece: bytes) -> None:
        first = not self._octets
        self._octets += len(piece)
        if self._octets > self._most:
            self._drop(replies.too_large(self._limit))
        elif self._problem is None:
            if self._has_room_for(piece):
                self._keep_lines(piece.removeprefix(_LINE_END) if first else piece)
            else:
                self._drop(replies.NO_ROOM)

    def _has_room_for(self, piece: bytes) -> bool:
        small = self._octets <= limits.SMALL_POST_OCTETS
        return small or self._door.hold(self, len(piece))

    def _keep_lines(self, piece: bytes) -> None:
        """Keep the lines that are whole now, checked and without stuffing.

        Piece by piece, since over a large mail at once it would stop all that the server does.
        """
        octets = self._rest + piece
        end = octets.rfind(b"\n") + 1
        lines, self._rest = octets[:end], octets[end:]
        if problem := _problem_of(lines, self._rest):
            self._drop(problem)
        else:
            self._pieces.append(_without_stuffing(lines))

    def _drop(self, problem: Reply) -> None:
        self._problem = problem
        self._pieces.clear()
        self._rest = b""
        self.let_go()


def _joined(pieces: list[bytes]) -> bytes:
    """Join many pieces, of which none is left; for a thread, as to give memory back takes long."""
    octets = b"".join(pieces)
    while pieces:
        pieces.pop()  # one by one, so that the other threads have their turn
    return octets


def _problem_of(lines: bytes, rest: bytes) -> Reply | None:
    """Find what no mail may hold: bare CR, bare LF, NUL (RFC 5321 §2.3.8), or a very long line.

    Where servers disagree about line ends, one mail becomes two ("SMTP smuggling"). Lines of over
    1,000 octets are tolerated, as header fields often are so long; nothing relayed has them.
    """
    count = lines.count(_LINE_END)
    if not count == lines.count(b"\r") == lines.count(b"\n") or b"\0" in lines:
        return replies.BARE_LINE_END
    start = 0
    while start < len(lines):
        end = lines.rfind(b"\n", start, start + limits.LINE_OCTETS)
        if end < 0:
            return replies.LONG_LINE
        start = end + 1
    return replies.LONG_LINE if len(rest) >= limits.LINE_OCTETS else None


def _without_stuffing(lines: bytes) -> bytes:
    """Take off the first dot of each line that begins with one (RFC 5321 §4.5.2)."""
    lines = lines.removeprefix(b".")
    return lines.replace(b"\r\n.", _LINE_END) if _STUFFING.search(lines) else lines
