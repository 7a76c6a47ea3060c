"""The embedded store: one SQLite file, one connection, one thread, one block at a time.

WAL with synchronous=FULL: a commit is on the disk when it returns. NORMAL would lose acknowledged
mail on a power cut.
"""

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path, PurePath
from typing import Final

from sqlite_utils import Database

from listserver.edges.sqlite_audit import AuditTables
from listserver.edges.sqlite_bounces import BounceTables
from listserver.edges.sqlite_connection import BUSY_TIME, Connection
from listserver.edges.sqlite_greeting import GreetingTables
from listserver.edges.sqlite_halves import Halves
from listserver.edges.sqlite_holding import HoldTables
from listserver.edges.sqlite_joins import JoinTables
from listserver.edges.sqlite_known import Known
from listserver.edges.sqlite_leaving import LeavingTables
from listserver.edges.sqlite_letters import LetterTables
from listserver.edges.sqlite_queue import QueueTables
from listserver.edges.sqlite_stops import StopTables
from listserver.edges.sqlite_troubles import trouble
from listserver.edges.sqlite_upgrades import is_old, upgrade, version
from listserver.model import StoredList
from listserver.store import StoreTrouble, Work
from listserver.vault import Vault
from recrypt_core.errors import NotAuthentic
from recrypt_core.members import Member

_CANARY: Final = "recrypt-store-1"
_SETTINGS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",  # an ended r is overwritten, spec §4
    "PRAGMA temp_store = MEMORY",  # what undoes a block, else a file of its own each time
)

# A server may run beside a command, and should be the only one that empties the write-ahead log:
# SQLite before 3.51.3 can lose a commit where two connections do that and write at one instant.
_NO_CHECKPOINT: Final = "PRAGMA wal_autocheckpoint = 0"


class SqliteTables(
    BounceTables,
    LeavingTables,
    AuditTables,
    JoinTables,
    StopTables,
    HoldTables,
    GreetingTables,
    QueueTables,
    LetterTables,
):
    """The tables of one transaction."""


class _Batch:
    """Blocks that are committed together; `erases` if one of them ended an entry."""

    def __init__(self) -> None:
        self.erases = False
        self._waiting: list[asyncio.Future[None]] = []

    def end(self) -> "asyncio.Future[None]":
        """Give what a block waits for; its task may be cancelled, and no other's wait is."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        return waiting

    def tell(self, trouble: StoreTrouble | None) -> None:
        """Let all blocks go on."""
        for waiting in self._waiting:
            if waiting.done():
                continue
            if trouble is None:
                waiting.set_result(None)
            else:
                waiting.set_exception(trouble)


class SqliteStore:
    """A `Store` of listserver.store in one file."""

    def __init__(
        self, database: Database, thread: ThreadPoolExecutor, vault: Vault, lock: int | None
    ) -> None:
        self._lock = lock
        self._database = database
        self._rows = Connection(database.conn, thread)
        self._thread = thread
        self._vault = vault
        self._lists = Known[StoredList]()
        self._members = Known[Member]()
        self._halves = Halves(vault)
        self._turn = asyncio.Lock()
        self._batch: _Batch | None = None
        self._committing: asyncio.Task[None] | None = None
        self._to_erase = lock is not None  # a server before may have been killed before it did
        self.on_commit: Callable[[float], None] = lambda _seconds: None

    @property
    def spare_octets(self) -> int:
        """Give how much is free within the file, as of the last commit; it never shrinks."""
        return self._rows.spare_octets

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Work]:
        """Begin a block, and leave it when it is on the disk with all that it has seen.

        Blocks that wait for each other are committed together: one turn of the disk for all.
        """
        problem: Exception | None = None
        async with self._turn:
            tables = SqliteTables(self._rows, self._vault, self._lists, self._members, self._halves)
            batch = self._batch or self._new_batch()
            try:
                await self._rows.enter()
                yield tables
            except BaseException as found:
                self._rows.leave(undo=True)
                if not isinstance(found, Exception):
                    raise
                problem = found
            batch.erases |= tables.erased
            self._rows.leave(undo=False)
        # Also before a refusal: what it was decided on may be another block's of this batch.
        await batch.end()
        if problem is not None:
            raise problem

    def _new_batch(self) -> "_Batch":
        """Begin a batch: its commit has its turn after the blocks that wait already."""
        self._batch = batch = _Batch()
        self._committing = asyncio.create_task(self._commit(batch))
        return batch

    async def _commit(self, batch: "_Batch") -> None:
        async with self._turn:
            self._batch = None
            self._to_erase |= batch.erases
            begun = asyncio.get_running_loop().time()
            try:
                await self._rows.commit()
            except BaseException as problem:
                batch.tell(problem if isinstance(problem, StoreTrouble) else StoreTrouble("Commit"))
                if isinstance(problem, StoreTrouble):
                    return
                raise
            batch.tell(None)
            if batch.erases:
                self._halves.clear()
            self.on_commit(asyncio.get_running_loop().time() - begun)
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
            await self._rows.there(self._database.close)
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
    try:
        handle = os.open(f"{file}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as problem:
        raise trouble(file, "locked", problem) from problem
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
        raise trouble(file, "opened", problem) from problem
    try:
        connection = sqlite3.connect(
            str(file),
            timeout=BUSY_TIME.total_seconds(),
            isolation_level=None,
            check_same_thread=False,
        )
        # Python asks of each bytes and None whether it isn't to be something else for SQLite, which
        # takes longer than to be told that it isn't.
        sqlite3.register_adapter(bytes, bytes)
        database = Database(connection)
        try:
            for setting in settings:
                database.execute(setting)
            if alone:
                _check_pages(database, file)
            _upgrade(database, file, alone)
            _check_vault(database, vault, file)
        except BaseException:
            database.close()
            raise
    except sqlite3.Error as problem:
        raise trouble(file, "opened", problem) from problem
    return database


def _upgrade(database: Database, file: PurePath, alone: bool) -> None:
    """Run the numbered upgrades that the file hasn't seen.

    Not while a server of an earlier version has the store: its statements would fail.
    """
    if not is_old(database.conn, file):
        return
    lock = _locked(file) if version(database.conn) and not alone else None
    try:
        upgrade(database.conn, file)
    finally:
        if lock is not None:
            os.close(lock)


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
