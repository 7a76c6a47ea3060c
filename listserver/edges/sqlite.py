"""The embedded store: one SQLite file, one connection, one thread, one block at a time.

WAL with synchronous=FULL: a commit is on the disk when it returns. NORMAL would lose acknowledged
mail on a power cut.
"""

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path, PurePath
from typing import Final, TypeVar

from sqlite_utils import Database

from listserver.edges.sqlite_groups import GroupTables, Lists
from listserver.edges.sqlite_posts import PostTables
from listserver.edges.sqlite_queue import QueueTables
from listserver.edges.sqlite_rows import Value
from listserver.store import StoreTrouble, Work
from listserver.vault import Vault
from recrypt_core.errors import NotAuthentic

T = TypeVar("T")

_BUSY_SECONDS: Final = 10.0  # how long another process, such as `authorize`, may hold the store
_CANARY: Final = "recrypt-store-1"
_SETTINGS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",  # an ended r is overwritten, spec §4
)

# A server may run beside a command, and should be the only one that empties the write-ahead log:
# SQLite before 3.51.3 can lose a commit where two connections do that and write at one instant.
_NO_CHECKPOINT: Final = "PRAGMA wal_autocheckpoint = 0"


class SqliteTables(GroupTables, PostTables, QueueTables):
    """The tables of one transaction."""


@dataclass(slots=True)
class _Batch:
    """Blocks that are committed together; `erases` if one of them ended an entry."""

    committed: "asyncio.Future[None]"
    erases: bool = False


class SqliteStore:
    """A `Store` of listserver.store in one file."""

    def __init__(
        self, database: Database, thread: ThreadPoolExecutor, vault: Vault, lock: int | None
    ) -> None:
        self._lock = lock
        self._rows = _ThreadRows(database, thread)
        self._thread = thread
        self._vault = vault
        self._lists: Lists = {}
        self._turn = asyncio.Lock()
        self._batch: _Batch | None = None
        self._committing: asyncio.Task[None] | None = None
        self._to_erase = False

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Work]:
        """Begin a block, and leave it when it is on the disk with all that it has seen.

        Blocks that wait for each other are committed together: one turn of the disk for all.
        """
        problem: Exception | None = None
        async with self._turn:
            tables = SqliteTables(self._rows, self._vault, self._lists)
            batch = self._batch or self._new_batch()
            try:
                await self._rows.enter()
                yield tables
            except BaseException as found:
                await self._rows.leave(undo=True)
                if not isinstance(found, Exception):
                    raise
                problem = found
            batch.erases |= tables.erased
            await self._rows.leave(undo=False)
        # Also before a refusal: what it was decided on may be another block's of this batch.
        await asyncio.shield(batch.committed)
        if problem is not None:
            raise problem

    def _new_batch(self) -> "_Batch":
        """Begin a batch: its commit has its turn after the blocks that wait already."""
        self._batch = batch = _Batch(asyncio.get_running_loop().create_future())
        self._committing = asyncio.create_task(self._commit(batch))
        return batch

    async def _commit(self, batch: "_Batch") -> None:
        async with self._turn:
            self._batch = None
            try:
                await self._rows.commit()
            except BaseException as problem:
                trouble = problem if isinstance(problem, StoreTrouble) else StoreTrouble("Commit")
                batch.committed.set_exception(trouble)
                batch.committed.exception()  # seen, even if nobody waits for it any more
                if isinstance(problem, StoreTrouble):
                    return
                raise
            batch.committed.set_result(None)
            self._to_erase |= batch.erases
            if self._to_erase:
                await self._erase()

    async def _erase(self) -> None:
        """Empty the write-ahead log, in which rows that were deleted still stand (spec §4).

        While another program reads, such as a back-up, it can't be: then the next commit tries.
        """
        with suppress(StoreTrouble):
            ((busy, *_),) = await self._rows.truncate_log()
            self._to_erase = bool(busy)

    async def close(self) -> None:
        """Close the file; nobody may be in a block."""
        if self._committing is not None:
            await self._committing
        async with self._turn:
            await self._rows.close()
        self._thread.shutdown()
        if self._lock is not None:
            os.close(self._lock)


async def open_store(file: PurePath, vault: Vault, *, alone: bool = False) -> SqliteStore:
    """Open the store, creating or upgrading it as needed.

    Args:
        file: The database.
        vault: What its rows are sealed with.
        alone: For a server: refuse if another one has it, as two would deliver everything twice,
            and if it isn't there, as a server without lists would refuse all mail for good.

    Raises:
        NotAuthentic: if it was made with another vault key.
        OSError: if the file can't be opened, isn't a store, or is another server's.
    """
    lock = _locked(file) if alone else None
    thread = ThreadPoolExecutor(1, thread_name_prefix="store")
    loop = asyncio.get_running_loop()
    try:
        database = await loop.run_in_executor(thread, _opened, file, vault, alone)
    except BaseException:
        thread.shutdown()
        if lock is not None:
            os.close(lock)
        raise
    return SqliteStore(database, thread, vault, lock)


def _locked(file: PurePath) -> int:
    """Lock a store that is there for one server; the lock ends with the process."""
    if not Path(file).is_file() or not Path(file).stat().st_size:
        raise OSError(f"there is no store {file}: restore it, or make one with `listserver init`")
    handle = os.open(f"{file}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        os.close(handle)
        raise OSError(f"another server runs on the store {file}: stop it first") from problem
    return handle


def _opened(file: PurePath, vault: Vault, alone: bool) -> Database:
    settings = _SETTINGS if alone else (*_SETTINGS, _NO_CHECKPOINT)
    try:
        # For its owner alone; SQLite gives what stands beside it (-wal, -shm) the same mode.
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as problem:
        raise OSError(f"the store {file} can't be opened: {problem.strerror}") from problem
    try:
        connection = sqlite3.connect(
            str(file), timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        database = Database(connection)
        try:
            for setting in settings:
                database.execute(setting)
            if alone:
                _check_pages(database, file)
            _upgrade(database)
            _check_vault(database, vault, file)
        except BaseException:
            database.close()
            raise
    except sqlite3.Error as problem:
        raise OSError(f"the store {file} can't be opened: {problem}") from problem
    return database


def _upgrade(database: Database) -> None:
    """Run the numbered upgrades that the file hasn't seen, each in one transaction."""
    found = database.execute("PRAGMA user_version").fetchone()[0]
    steps = sorted(
        step.name
        for step in files("listserver.edges").joinpath("sql").iterdir()
        if step.name.endswith(".sql")
    )
    if found > len(steps):
        raise OSError("the store is of a later version of this program: run that one")
    for number, step in enumerate(steps[found:], start=found + 1):
        script = files("listserver.edges").joinpath("sql", step).read_text("utf-8")
        database.conn.executescript(
            f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;"
        )


def _check_pages(database: Database, file: PurePath) -> None:
    """Refuse a damaged file before mail is answered from it."""
    if database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        raise OSError(f"the store {file} is damaged: restore the latest back-up of it")


def _check_vault(database: Database, vault: Vault, file: PurePath) -> None:
    """Refuse another vault key than the store was made with, before anything is lost by it."""
    row = database.execute("SELECT sealed FROM vault_check").fetchone()
    if row is None:
        sealed = vault.seal("vault_check", _CANARY.encode())
        database.execute("INSERT INTO vault_check (sealed) VALUES (?)", [sealed])
        return
    try:
        vault.unseal("vault_check", row[0])
    except NotAuthentic:
        raise NotAuthentic(
            f"the store {file} was made with another vault key, or is damaged:"
            " look at [vault] key_file, or restore the key from where it was kept"
        ) from None


class _ThreadRows:
    """`Rows` on the store's own thread, so that no statement blocks the event loop."""

    def __init__(self, database: Database, thread: ThreadPoolExecutor) -> None:
        self._database = database
        self._thread = thread
        self._in_block = False
        self._begun = False

    async def run(self, sql: str, values: tuple[Value, ...] = ()) -> int:
        """Run one statement; the number of rows that it changed."""
        return await self._there(lambda: self._database.execute(sql, values).rowcount)

    async def insert(self, sql: str, values: tuple[Value, ...]) -> int:
        """Run one INSERT; the id of the row."""
        return await self._there(lambda: self._database.execute(sql, values).lastrowid or 0)

    async def many(self, sql: str, rows: Iterable[tuple[Value, ...]]) -> int:
        """Run one statement for each row; the number of rows that it changed in all."""
        return await self._there(lambda: self._database.conn.executemany(sql, rows).rowcount)

    async def all(self, sql: str, values: tuple[Value, ...] = ()) -> list[tuple[Value, ...]]:
        """Run one query."""
        return await self._there(lambda: self._database.execute(sql, values).fetchall())

    async def enter(self) -> None:
        """Begin a block, and a transaction if none is open."""
        await self._there(self._entered)

    async def leave(self, *, undo: bool) -> None:
        """End a block, whatever happens to the task that waits for it.

        Jobs run in order on one thread: what a cancelled task left there is done before.
        """
        await asyncio.shield(self._there(lambda: self._left(undo)))

    async def truncate_log(self) -> list[tuple[Value, ...]]:
        """Empty the write-ahead log if nobody reads; the first column tells that somebody does."""
        await self.all("PRAGMA busy_timeout = 0")
        try:
            return await self.all("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            await self.all(f"PRAGMA busy_timeout = {int(_BUSY_SECONDS * 1000)}")

    async def commit(self) -> None:
        """Commit the transaction, whatever happens to the task that waits for it."""
        await asyncio.shield(self._there(self._committed))

    async def close(self) -> None:
        await self._there(self._database.close)

    def _entered(self) -> None:
        if not self._begun:
            self._database.execute("BEGIN IMMEDIATE")
            self._begun = True
        self._check_not_lost()
        self._database.execute("SAVEPOINT block")
        self._in_block = True

    def _left(self, undo: bool) -> None:
        if not self._in_block:
            return
        self._in_block = False
        self._check_not_lost()
        if undo:
            self._database.execute("ROLLBACK TO block")
        self._database.execute("RELEASE block")

    def _committed(self) -> None:
        if not self._begun:
            return
        self._begun = False
        self._check_not_lost()
        try:
            self._database.execute("COMMIT")
        except sqlite3.Error:
            self._database.rollback()
            raise

    def _check_not_lost(self) -> None:
        """Notice that SQLite has undone the whole transaction, as it may when a disk is full.

        Then no block of the batch may be told that it is on the disk.
        """
        if not self._database.conn.in_transaction:
            raise sqlite3.OperationalError("the transaction was undone")

    async def _there(self, job: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, job)
        except sqlite3.Error as problem:
            raise StoreTrouble(type(problem).__name__) from problem
