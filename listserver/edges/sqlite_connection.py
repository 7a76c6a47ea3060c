"""The one connection to the database: what of a transaction is run where, and when it is lost."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final, TypeVar

from listserver.edges.sqlite_rows import Value
from listserver.limits import QUICK_OCTETS
from listserver.store import StoreDamaged, StoreTrouble

T = TypeVar("T")

BUSY_TIME: Final = timedelta(seconds=10)  # that another process, as `authorize`, may hold it for
_QUICK_ROWS: Final = 50  # that one statement changes on the event loop
_QUICK_STEPS: Final = 10_000  # of SQLite's machine, half of what a query takes of the loop: 1 ms


class Connection:
    """`Rows` on the one connection: short statements here and now, what may wait on the thread.

    A statement by an index takes some 10 us, and to have it done by a thread ten times that. On
    the thread are the waits for the disk and other programs (COMMIT, checkpoints, a BEGIN that
    isn't had at once), and what is over many rows or octets. Nothing else runs meanwhile, as blocks
    have turns.
    """

    def __init__(self, connection: sqlite3.Connection, thread: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._thread = thread
        self._in_block = False
        self._begun = False
        self._on_loop = False
        self._paused = False
        self.spare_octets = 0
        """What is free within the file, as of the last commit."""
        self._wait(timedelta(0))
        (self._page_octets,) = self._execute("PRAGMA page_size").fetchone()
        self._connection.set_progress_handler(self._is_long, _QUICK_STEPS)

    async def run(self, sql: str, values: tuple[Value, ...] = (), *, large: bool = False) -> int:
        """Run one statement; the number of rows that it changed."""
        return (await self._change(sql, values, large=large)).rowcount

    async def insert(self, sql: str, values: tuple[Value, ...]) -> int:
        """Run one INSERT; the id of the row."""
        return (await self._change(sql, values)).lastrowid or 0

    async def returned(self, sql: str, values: tuple[Value, ...]) -> list[tuple[Value, ...]]:
        """Run one short change; the rows that it returns.

        It isn't interrupted, as a query is: SQLite would undo the whole transaction.
        """
        try:
            return self._execute(sql, values).fetchall()
        except sqlite3.Error as problem:
            raise _trouble(problem) from problem

    async def many(
        self, sql: str, rows: Iterable[tuple[Value, ...]], *, large: bool = False
    ) -> int:
        """Run one statement for each row; the number of rows that it changed in all."""
        given = list(rows)
        if not given:
            return 0
        if large or len(given) > _QUICK_ROWS or sum(map(_octets_of, given)) > QUICK_OCTETS:
            job = partial(self._connection.executemany, sql, given)
            return (await self.there(job)).rowcount
        try:
            return self._connection.executemany(sql, given).rowcount
        except sqlite3.Error as problem:
            raise _trouble(problem) from problem

    async def all(self, sql: str, values: tuple[Value, ...] = ()) -> list[tuple[Value, ...]]:
        """Run one query: here for a millisecond, or else once more on the thread."""
        self._on_loop, self._paused = True, False
        try:
            return self._execute(sql, values).fetchall()
        except sqlite3.Error as problem:
            if problem.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise _trouble(problem) from problem
        finally:
            self._on_loop = False
        return await self.there(lambda: self._execute(sql, values).fetchall())

    async def read(
        self,
        sql: str,
        values: tuple[Value, ...],
        take: Callable[[Iterator[tuple[Value, ...]]], T],
    ) -> T:
        """Run one query on the thread, and read its rows there too."""
        return await self.there(lambda: take(self._execute(sql, values)))

    async def enter(self) -> None:
        """Begin a block, and a transaction if none is open."""
        if not self._begun:
            try:
                self._begin()
            except sqlite3.OperationalError:  # another program is in one
                await self.there(self._begin_patiently)
        try:
            self._check_not_lost()
            self._execute("SAVEPOINT block")
        except sqlite3.Error as problem:
            raise _trouble(problem) from problem
        self._in_block = True

    def leave(self, *, undo: bool) -> None:
        """End a block; if that can't be, the commit will fail."""
        if not self._in_block:
            return
        self._in_block = False
        try:
            if undo:
                self._execute("ROLLBACK TO block")
            self._execute("RELEASE block")
        except sqlite3.Error:
            self._connection.rollback()

    async def truncate_log(self) -> list[tuple[Value, ...]]:
        """Empty the write-ahead log if nobody reads; the first column tells that somebody does."""
        return await self.there(lambda: self._execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())

    async def commit(self) -> None:
        """Commit the transaction."""
        if not self._begun:
            return
        with suppress(sqlite3.Error):  # the commit will tell
            (pages,) = self._execute("PRAGMA freelist_count").fetchone()
            self.spare_octets = pages * self._page_octets
        await self.there(self._commit)

    async def there(self, job: Callable[[], T]) -> T:
        """Run a job on the thread; a task that is cancelled meanwhile waits for its end too.

        For when it has left, another block's statements run.
        """
        done = asyncio.get_running_loop().run_in_executor(self._thread, job)
        cancelled: asyncio.CancelledError | None = None
        while not done.done():
            try:
                await asyncio.wait({done})
            except asyncio.CancelledError as found:
                cancelled = found
        if cancelled is not None:
            done.exception()  # seen, as nobody will ask
            raise cancelled
        try:
            return done.result()
        except sqlite3.Error as problem:
            raise _trouble(problem) from problem

    def _is_long(self) -> bool:
        """Interrupt a query on the loop at its second pause.

        The first one may come at once, as a statement's steps are counted on from its earlier runs.
        And one that was interrupted is parsed anew for ever: Python 3.11 takes it to be in use.
        """
        paused, self._paused = self._paused, True
        return self._on_loop and paused

    def _begin(self) -> None:
        self._execute("BEGIN IMMEDIATE")
        self._begun = True

    def _begin_patiently(self) -> None:
        self._wait(BUSY_TIME)
        try:
            self._begin()
        finally:
            self._wait(timedelta(0))

    def _commit(self) -> None:
        self._begun = False
        self._check_not_lost()
        try:
            self._execute("COMMIT")
        except sqlite3.Error:
            self._connection.rollback()
            raise

    def _check_not_lost(self) -> None:
        """Notice that SQLite has undone the whole transaction, as it may when a disk is full.

        Then no block of the batch may be told that it is on the disk.
        """
        if not self._connection.in_transaction:
            raise sqlite3.OperationalError("the transaction was undone")

    def _wait(self, patience: timedelta) -> None:
        """Set how long statements wait for other programs."""
        self._execute(f"PRAGMA busy_timeout = {patience // timedelta(milliseconds=1)}")

    async def _change(
        self, sql: str, values: tuple[Value, ...], *, large: bool = False
    ) -> sqlite3.Cursor:
        if large or _octets_of(values) > QUICK_OCTETS:
            return await self.there(partial(self._execute, sql, values))
        try:
            return self._execute(sql, values)
        except sqlite3.Error as problem:
            raise _trouble(problem) from problem

    def _execute(self, sql: str, values: tuple[Value, ...] = ()) -> sqlite3.Cursor:
        return self._connection.execute(sql, values)


def _trouble(problem: sqlite3.Error) -> StoreTrouble:
    """Tell a full disk, a lock or an I/O error, which may pass, from what won't."""
    passes = isinstance(problem, sqlite3.OperationalError)
    return (StoreTrouble if passes else StoreDamaged)(type(problem).__name__)


def _octets_of(row: tuple[Value, ...]) -> int:
    return sum([len(value) for value in row if isinstance(value, bytes)])
