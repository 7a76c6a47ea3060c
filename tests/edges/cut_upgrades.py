"""A program: opens copies of a store, each of which fails or dies at another statement.

    python -m tests.edges.cut_upgrades STORE fail|kill

Beside STORE it leaves cut1.db, cut2.db, ... and whole.db, which was opened to the end.
"""

import asyncio
import os
import shutil
import signal
import sqlite3
import sys
from functools import partial
from pathlib import Path
from typing import Final

from listserver.edges.sqlite import open_store
from listserver.vault import Vault

FAIL: Final = "fail"
KILL: Final = "kill"
CUT_OFF: Final = 3  # the status of a child that failed


def cut(file: Path, at: int, how: str) -> None:
    """Open a store, and end at a statement: by an error in it, or by death before it."""
    begun = 0

    def look(connection: sqlite3.Connection) -> None:
        nonlocal begun
        begun += 1
        if begun == at and how == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        if begun == at:
            connection.interrupt()

    class Watched(sqlite3.Connection):
        """Tells of each statement before it runs."""

        def __init__(self, *args: str, **kwargs: float) -> None:
            super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # as they came
            self.set_trace_callback(lambda _statement: look(self))

    sqlite3.connect = partial(sqlite3.connect, factory=Watched)  # type: ignore[assignment]  # ours
    asyncio.run(opened(file))


async def opened(file: Path) -> None:
    """Open and close."""
    store = await open_store(file, Vault(b"v" * 32))
    await store.close()


def is_whole(file: Path, at: int, how: str) -> bool:
    """Do it in a child; True if that came to its end."""
    child = os.fork()
    if child == 0:
        try:
            cut(file, at, how)
        except (OSError, sqlite3.Error) as problem:
            os._exit(CUT_OFF if "interrupted" in str(problem) else 1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, CUT_OFF, -signal.SIGKILL), f"statement {at}: {code}"
    return code == 0


def main(origin: Path, how: str) -> None:
    """Cut one more off, until none is."""
    at = 1
    while True:
        file = origin.with_name(f"cut{at}.db")
        shutil.copy(origin, file)
        if is_whole(file, at, how):
            file.rename(origin.with_name("whole.db"))
            return
        at += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
