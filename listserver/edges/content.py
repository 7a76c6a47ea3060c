"""The content of one mail, read from the stream after DATA: bounded, and whole or refused."""

import asyncio
from collections.abc import Callable

from listserver import limits, replies
from listserver.edges.door import Door, Parting
from listserver.replies import Reply

_LINE_END = b"\r\n"
_CONTENT_END = b"\r\n.\r\n"


class Content:
    """Reads one mail; never more than the limit is held, or twice it read.

    What is over SMALL_POST_OCTETS takes room at the door, which `let_go` gives back.
    """

    def __init__(self, reader: asyncio.StreamReader, door: Door) -> None:
        self._reader = reader
        self._door = door
        self._limit = door.settings.max_post_octets
        self._most = self._limit + len(_CONTENT_END)
        self._pieces: list[bytes] = []
        self._octets = 0
        self._held = 0
        self._no_room = False

    async def read(self, heard: Callable[[], None]) -> bytes | Reply:
        """Read until the final dot; give the octets without dot-stuffing, or why they aren't taken.

        heard: called when READ_OCTETS have come, or the end: a sender may be as slow as one call
            in a time-out.

        Raises:
            Parting: twice the limit has come. What follows may not be read as commands.
        """
        # The line end before the content is the DATA command's. Put back, it makes one mark of all
        # ends, also of the one that comes at once.
        self._reader._buffer[:0] = _LINE_END  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
        ended = False
        while not ended:
            piece, ended = await self._read_piece()
            heard()
            self._keep(piece)
            if self._octets > 2 * self._most:
                raise Parting(replies.too_large(self._limit))
        if self._octets > self._most:
            return replies.too_large(self._limit)
        if self._no_room:
            return replies.NO_ROOM
        return self._whole()

    def let_go(self) -> None:
        """Give back the room at the door, once the mail is answered or its sender gone."""
        self._door.let_go(self._held)
        self._held = 0

    async def _read_piece(self) -> tuple[bytes, bool]:
        """Read up to the content's end or until READ_OCTETS are there; tell whether it ended."""
        try:
            return await self._reader.readuntil(_CONTENT_END), True
        except asyncio.LimitOverrunError as full:
            return await self._reader.readexactly(full.consumed), False

    def _keep(self, piece: bytes) -> None:
        self._octets += len(piece)
        if self._octets > self._most or self._no_room:
            self._drop()
        elif self._octets <= limits.SMALL_POST_OCTETS:
            self._pieces.append(piece)
        elif self._door.hold(len(piece)):
            self._held += len(piece)
            self._pieces.append(piece)
        else:
            self._no_room = True
            self._drop()

    def _drop(self) -> None:
        self._pieces.clear()
        self.let_go()

    def _whole(self) -> bytes | Reply:
        self._pieces[-1] = self._pieces[-1].removesuffix(b".\r\n")
        self._pieces[0] = self._pieces[0].removeprefix(_LINE_END)
        content = b"".join(self._pieces)
        self._pieces.clear()
        return _problem_of(content) or _without_stuffing(content)


def _problem_of(content: bytes) -> Reply | None:
    """Find what no mail may hold: bare CR, bare LF, NUL (RFC 5321 §2.3.8), or a very long line.

    Where servers disagree about line ends, one mail becomes two ("SMTP smuggling"). Lines of over
    1,000 octets are tolerated, as header fields often are so long; nothing relayed has them.
    """
    lines = content.count(_LINE_END)
    if not lines == content.count(b"\r") == content.count(b"\n") or b"\0" in content:
        return replies.BARE_LINE_END
    start = 0
    while start < len(content):
        end = content.rfind(b"\n", start, start + limits.LINE_OCTETS)
        if end < 0:
            return replies.LONG_LINE
        start = end + 1
    return None


def _without_stuffing(content: bytes) -> bytes:
    """Take off the first dot of each line that begins with one (RFC 5321 §4.5.2)."""
    return content.removeprefix(b".").replace(b"\r\n.", b"\r\n")
