"""Whether the disk under the store has room for more: statvfs, now and then."""

import os
import time
from collections.abc import Callable
from pathlib import PurePath

from listserver import limits
from listserver.ports import Log


class DiskRoom:
    """A `Room`: the file system of a folder, of which `reserve` octets are kept for the queue.

    Pages that are free within the store count as room, as a file never shrinks. But a quarter of
    the reserve must be on the disk itself: for the write-ahead log, through which all goes.
    """

    def __init__(
        self, folder: PurePath, log: Log, *, reserve: int, spare: Callable[[], int]
    ) -> None:
        """Look after a folder.

        Args:
            folder: Where the store is.
            log: Is told when room gets short, and when there is some again.
            reserve: In octets; with 0 there is always room.
            spare: Gives the octets that are free within the store.
        """
        self._folder = folder
        self._log = log
        self._reserve = reserve
        self._spare = spare
        self._has_room = True
        self._believed_until = float("-inf")

    def has_room(self) -> bool:
        """Say whether mail and members may be taken, as it was ROOM_TIME ago at most.

        Raises:
            OSError: the folder can't be looked at.
        """
        now = time.monotonic()
        if self._reserve and now >= self._believed_until:
            self._look()
            self._believed_until = now + limits.ROOM_TIME.total_seconds()
        return self._has_room

    def _look(self) -> None:
        found = os.statvfs(self._folder)
        free = found.f_bavail * found.f_frsize
        has_room = free + self._spare() >= self._reserve and free >= self._reserve // 4
        if has_room != self._has_room:
            self._log.event("disk-has-room" if has_room else "disk-nearly-full")
        self._has_room = has_room
