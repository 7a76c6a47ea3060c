"""What an operator is told of a store that can't be used: what, where, and what to do next."""

import errno
import sqlite3
from collections.abc import Mapping
from pathlib import PurePath
from typing import Final

_RESTORE: Final = "restore the latest back-up of it"
_OWNER: Final = "run this as the server's user, who must own the file and its folder"
_DISK: Final = "look at its disk, and at the system's log"
_ROOM: Final = "make room on its disk"
_HELD: Final = "another program holds it: stop that one, or try again"

# By SQLite's primary result code (sqlite.org/rescode.html).
_BY_CODE: Final[Mapping[int, str]] = {
    sqlite3.SQLITE_NOTADB: f"look at [store] url, or, if that is right, {_RESTORE}",
    sqlite3.SQLITE_CORRUPT: f"it is damaged: {_RESTORE}",
    sqlite3.SQLITE_READONLY: f"{_OWNER}, on a file system that can be written",
    sqlite3.SQLITE_PERM: _OWNER,
    sqlite3.SQLITE_AUTH: _OWNER,
    sqlite3.SQLITE_CANTOPEN: f"{_OWNER}, on a file system that can be written",
    sqlite3.SQLITE_IOERR: _DISK,
    sqlite3.SQLITE_FULL: _ROOM,
    sqlite3.SQLITE_BUSY: _HELD,
    sqlite3.SQLITE_LOCKED: _HELD,
}
_BY_ERRNO: Final[Mapping[int, str]] = {
    errno.EACCES: _OWNER,
    errno.EPERM: _OWNER,
    errno.EROFS: "put it on a file system that can be written",
    errno.ENOENT: "look at [store] url",
    errno.ENOTDIR: "look at [store] url",
    errno.EISDIR: "look at [store] url",
    errno.EIO: _DISK,
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
}
_PRIMARY: Final = 0xFF  # of an extended result code


def trouble(file: PurePath, what: str, problem: sqlite3.Error | OSError) -> OSError:
    """Put a failure into one line.

    Args:
        file: The store.
        what: That can't be done with it, such as "opened".
        problem: Its own words are of SQLite or the system, and name nobody.
    """
    if isinstance(problem, OSError):
        words, advice = problem.strerror or str(problem), _BY_ERRNO.get(problem.errno or 0)
    else:
        # What Python itself finds wrong has no code.
        code = getattr(problem, "sqlite_errorcode", 0) & _PRIMARY
        words, advice = str(problem), _BY_CODE.get(code)
    advice = advice or f"look at [store] url and the disk, or {_RESTORE}"
    return OSError(f"the store {file} can't be {what} ({words}): {advice}")
