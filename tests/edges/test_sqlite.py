"""The embedded store: opened, upgraded, locked, and honest about what it committed."""

import asyncio
import os
import sqlite3
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from listserver.edges import sqlite_connection
from listserver.edges.sqlite import SqliteStore, open_store
from listserver.edges.sqlite_rows import number
from listserver.model import StoredList
from listserver.store import StoreTrouble
from listserver.vault import Vault
from recrypt_core.errors import NotAuthentic
from recrypt_core.udf import Udf
from tests.builders import NOW, TEAM, new_person
from tests.fakes import open_bench
from tests.lists import new_key, new_team

VAULT = Vault(b"v" * 32)
SIGNER = Udf("signer")


def looked_at(file: Path, sql: str) -> list[tuple[object, ...]]:
    """Look into the file as another program would."""
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(sql).fetchall()


def mode_of(file: Path) -> int:
    return file.stat().st_mode & 0o777


async def take(store: SqliteStore, nonce: bytes) -> bool:
    async with store.begin() as work:
        return await work.take_nonce(SIGNER, nonce, until=NOW, now=NOW)


async def had(store: SqliteStore, nonce: bytes) -> bool:
    async with store.begin() as work:
        return await work.had_nonce(SIGNER, nonce)


@pytest.mark.asyncio
async def test_a_commit_is_on_the_disk_and_the_log_is_written_ahead(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        settings = {
            name: (await bench.rows(f"PRAGMA {name}"))[0][0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
    }


@pytest.mark.asyncio
async def test_a_new_store_is_at_the_last_upgrade_and_sound(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    for _ in range(2):
        await (await open_store(file, VAULT)).close()
    steps = list((Path(__file__).parents[2] / "listserver/edges/sql").glob("*.sql"))
    assert steps
    assert [step.name[:4] for step in sorted(steps)] == [
        f"{number:04}" for number in range(1, len(steps) + 1)
    ]
    assert looked_at(file, "PRAGMA user_version") == [(len(steps),)]
    assert looked_at(file, "PRAGMA integrity_check") == [("ok",)]
    assert looked_at(file, "PRAGMA foreign_key_check") == []
    assert looked_at(file, "SELECT count(*) FROM vault_check") == [(1,)]


@pytest.mark.asyncio
async def test_a_store_of_a_later_version_is_refused_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    await (await open_store(file, VAULT)).close()
    looked_at(file, "PRAGMA user_version = 99")
    with pytest.raises(OSError, match="later version of this program"):
        await open_store(file, VAULT)
    assert looked_at(file, "PRAGMA user_version") == [(99,)]


@pytest.mark.asyncio
async def test_another_vault_key_is_refused_and_the_right_one_is_not(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    await (await open_store(file, VAULT)).close()
    for _ in range(2):
        with pytest.raises(NotAuthentic, match="another vault key"):
            await open_store(file, Vault(b"o" * 32), alone=True)
    await (await open_store(file, VAULT, alone=True)).close()


@pytest.mark.asyncio
async def test_a_second_server_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    await (await open_store(file, VAULT)).close()
    first = await open_store(file, VAULT, alone=True)
    with pytest.raises(OSError, match="another server runs on the store"):
        await open_store(file, VAULT, alone=True)
    command = await open_store(file, VAULT)  # such as `listserver authorize`
    assert await take(command, b"1")
    await command.close()
    assert await had(first, b"1")
    await first.close()
    await (await open_store(file, VAULT, alone=True)).close()


@pytest.mark.asyncio
async def test_its_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    before = os.umask(0)
    try:
        store = await open_store(file, VAULT)
        assert await take(store, b"1")
    finally:
        os.umask(before)
    for name in ("store.db", "store.db-wal", "store.db-shm"):
        assert mode_of(tmp_path / name) == 0o600
    await store.close()


@pytest.mark.asyncio
async def test_a_command_beside_a_server_leaves_the_write_ahead_log_to_it(tmp_path: Path) -> None:
    file, log = tmp_path / "store.db", tmp_path / "store.db-wal"
    await (await open_store(file, VAULT)).close()
    server = await open_store(file, VAULT, alone=True)
    command = await open_store(file, VAULT)
    (of_server,), (of_command,) = [
        await each._rows.all("PRAGMA wal_autocheckpoint") for each in (server, command)
    ]
    assert (of_server, of_command) == ((1000,), (0,))
    assert await take(command, b"1")
    octets = log.stat().st_size
    await command.close()
    assert log.stat().st_size == octets > 0
    await server.close()
    assert not log.exists()


@pytest.mark.asyncio
async def test_a_list_is_verified_once_until_its_row_changes(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        team = await new_team(bench)

        async def found() -> StoredList | None:
            async with bench.store.begin() as work:
                return await work.find_list(TEAM)

        first = await found()
        assert first is not None
        assert await found() is first
        await new_key(bench, team)
        newer = await found()
        assert newer is not None
        assert newer.state.head.seq == first.state.head.seq + 1
        assert await found() is newer


@pytest.mark.asyncio
async def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    file.write_bytes(b"not a database, whatever its name says" * 30)
    with pytest.raises(OSError, match="can't be opened"):
        await open_store(file, VAULT)
    with pytest.raises(OSError, match="can't be opened"):
        await open_store(tmp_path / "none" / "store.db", VAULT)
    with pytest.raises(OSError, match="store"):
        await open_store(tmp_path / "none" / "store.db", VAULT, alone=True)


@pytest.mark.asyncio
async def test_a_cancelled_transaction_leaves_nothing_and_the_next_one_works(
    tmp_path: Path,
) -> None:
    store = await open_store(tmp_path / "store.db", VAULT)
    begun = asyncio.Event()

    async def stuck() -> None:
        async with store.begin() as work:
            await work.take_nonce(SIGNER, b"1", until=NOW, now=NOW)
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(stuck())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not await had(store, b"1")
    for delay in range(30):  # wherever it is cancelled: before BEGIN, in a statement, at the end
        taking = asyncio.create_task(take(store, b"%d" % delay))
        for _ in range(delay):
            await asyncio.sleep(0)
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        assert await take(store, b"after %d" % delay)
    await store.close()


@pytest.mark.asyncio
async def test_blocks_wait_for_each_other(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "store.db", VAULT)
    taken = await asyncio.gather(*(take(store, b"same") for _ in range(20)))
    assert sorted(taken) == [False] * 19 + [True]
    await store.close()


@pytest.mark.asyncio
async def test_a_commit_that_fails_is_trouble_and_nothing_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    store = await open_store(file, VAULT)
    with pytest.raises(StoreTrouble, match="IntegrityError"):
        async with store.begin() as work:
            await work.take_nonce(SIGNER, b"1", until=NOW, now=NOW)
            # A reference to nothing, checked at the commit: the commit is what fails.
            await store._rows.run("PRAGMA defer_foreign_keys = ON")
            await store._rows.run("INSERT INTO changes VALUES (99, 1, x'00')")
    assert not await had(store, b"1")
    assert await take(store, b"1")
    await store.close()
    assert looked_at(file, "SELECT count(*) FROM changes") == [(0,)]


@pytest.mark.asyncio
async def test_a_full_disk_is_trouble_until_there_is_room(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "store.db", VAULT)
    people = [new_person("alice@example.org", devices=20) for _ in range(3)]

    async def authorize_all() -> None:
        async with store.begin() as work:
            for person in people:
                await work.authorize(person.verified)

    ((pages,),) = await store._rows.all("PRAGMA page_count")
    await store._rows.all(f"PRAGMA max_page_count = {number(pages)}")
    with pytest.raises(StoreTrouble):
        await authorize_all()
    await store._rows.all("PRAGMA max_page_count = 100000")
    async with store.begin() as work:
        assert await work.authorized(people[0].online.public.udf) is None
    await authorize_all()
    await store.close()


@pytest.mark.asyncio
async def test_a_store_that_another_holds_too_long_is_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_connection, "BUSY_TIME", timedelta(0))
    file = tmp_path / "store.db"
    store = await open_store(file, VAULT)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreTrouble, match="OperationalError"):
            await take(store, b"1")
    assert await take(store, b"1")
    await store.close()


def commits_of(store: SqliteStore) -> list[str]:
    """Record what is committed from now on."""
    seen: list[str] = []
    store._rows._connection.set_trace_callback(
        lambda sql: seen.append(sql) if sql in ("COMMIT", "BEGIN IMMEDIATE") else None
    )
    return seen


@pytest.mark.asyncio
async def test_blocks_that_wait_for_each_other_are_committed_together(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "store.db", VAULT)
    seen = commits_of(store)
    names = [bytes([at]) for at in range(40)]
    assert all(await asyncio.gather(*(take(store, name) for name in names)))
    assert seen.count("COMMIT") == seen.count("BEGIN IMMEDIATE") < 5
    assert not any(await asyncio.gather(*(take(store, name) for name in names)))
    await store.close()


@pytest.mark.asyncio
async def test_a_block_that_fails_undoes_itself_and_none_beside_it(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "store.db", VAULT)

    async def failing() -> None:
        async with store.begin() as work:
            assert await work.take_nonce(SIGNER, b"2", until=NOW, now=NOW)
            raise KeyError

    _, problem, _ = await asyncio.gather(
        take(store, b"1"), failing(), take(store, b"3"), return_exceptions=True
    )
    assert isinstance(problem, KeyError)
    assert [await take(store, each) for each in (b"1", b"2", b"3")] == [False, True, False]
    await store.close()


@pytest.mark.asyncio
async def test_a_transaction_that_was_undone_is_told_to_every_block_of_it(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "store.db", VAULT)

    async def undone() -> None:
        async with store.begin():
            await store._rows.run("ROLLBACK")  # as SQLite does by itself when the disk is full

    found = await asyncio.gather(
        take(store, b"1"), undone(), take(store, b"3"), return_exceptions=True
    )
    assert all(isinstance(each, StoreTrouble) for each in found), found
    assert [await take(store, each) for each in (b"1", b"3")] == [True, True]
    await store.close()


@pytest.mark.asyncio
async def test_a_refusal_waits_for_the_commit_of_what_it_saw(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "store.db", VAULT)

    async def refused() -> None:
        async with store.begin() as work:
            if await work.had_nonce(SIGNER, b"1"):
                raise KeyError("it is there already")

    async def undone() -> None:
        async with store.begin():
            await store._rows.run("ROLLBACK")

    found = await asyncio.gather(take(store, b"1"), refused(), undone(), return_exceptions=True)
    assert all(isinstance(each, StoreTrouble) for each in found), found
    assert not await had(store, b"1")
    await store.close()


def is_erasing(store: SqliteStore) -> bool:
    """Ask anew: mypy believes what it saw of an attribute once."""
    return store._to_erase


@pytest.mark.asyncio
async def test_an_erasure_that_a_reader_prevents_is_made_with_a_later_commit(
    tmp_path: Path,
) -> None:
    file, log = tmp_path / "store.db", tmp_path / "store.db-wal"
    store = await open_store(file, VAULT)
    assert await take(store, b"1")
    with closing(sqlite3.connect(file)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM nonces").fetchone()
        async with store.begin() as work:
            await work.take_nonce(SIGNER, b"2", until=NOW, now=NOW)
            work.erased = True  # type: ignore[attr-defined]  # as when an entry ends
        assert await had(store, b"2")  # its turn comes after the erasure's
        assert log.stat().st_size > 0
        assert is_erasing(store)
    assert await take(store, b"3")
    assert not await had(store, b"none")
    assert not is_erasing(store)
    await store.close()


def threads_of(store: SqliteStore) -> list[str]:
    """Record on which threads statements are run that call noted()."""
    ran: list[str] = []

    def noted(value: bytes | int) -> bytes | int:
        ran.append(threading.current_thread().name)
        return value

    store._rows._connection.create_function("noted", 1, noted)
    return ran


LONG = (
    "WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 9999)"
    " SELECT count(noted(n)) FROM counted"
)


@pytest.mark.asyncio
async def test_a_long_query_is_made_on_the_thread_and_its_transaction_goes_on(
    tmp_path: Path,
) -> None:
    store = await open_store(tmp_path / "store.db", VAULT)
    ran = threads_of(store)
    async with store.begin() as work:
        await work.take_nonce(SIGNER, b"1", until=NOW, now=NOW)
        assert await store._rows.all("SELECT noted(1)") == [(1,)]
        assert await store._rows.all(LONG) == [(9999,)]
    assert ran[0] == threading.current_thread().name
    assert ran[-1].startswith("store")
    assert await had(store, b"1")
    await store.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("octets", [1, 1_000_000])
async def test_a_large_change_is_made_on_the_thread(tmp_path: Path, octets: int) -> None:
    store = await open_store(tmp_path / "store.db", VAULT)
    ran = threads_of(store)
    insert = "INSERT INTO message_ids VALUES (noted(?))"
    async with store.begin():
        await store._rows.run(insert, (b"1" * octets,))
        await store._rows.many(insert, [(b"2" * octets,)])
        await store._rows.run(insert, (b"3",), large=True)
        await store._rows.many(insert, [(bytes([at, 0]),) for at in range(100)])
    on_thread = [name.startswith("store") for name in ran]
    assert on_thread == [octets > 1] * 2 + [True] * 101
    await store.close()


@pytest.mark.asyncio
async def test_a_block_that_is_cancelled_lets_no_other_in_before_its_statement_ended(
    tmp_path: Path,
) -> None:
    store = await open_store(tmp_path / "store.db", VAULT)
    begun, may_end = threading.Event(), threading.Event()

    def slow(value: bytes) -> bytes:
        begun.set()
        may_end.wait(10)
        return value

    async def stuck() -> None:
        async with store.begin():
            await store._rows.run("INSERT INTO message_ids VALUES (slow(x'31'))", large=True)

    store._rows._connection.create_function("slow", 1, slow)
    stuck_one, other = asyncio.create_task(stuck()), asyncio.create_task(take(store, b"1"))
    await asyncio.to_thread(begun.wait, 10)
    for _ in range(3):  # however often it is cancelled
        stuck_one.cancel()
        await asyncio.sleep(0)
    assert not other.done()
    may_end.set()
    await asyncio.gather(stuck_one, return_exceptions=True)
    assert stuck_one.cancelled()
    assert await other
    await store.close()
    assert looked_at(tmp_path / "store.db", "SELECT count(*) FROM message_ids") == [(0,)]


@pytest.mark.asyncio
async def test_a_transaction_of_another_program_is_waited_for_off_the_event_loop(
    tmp_path: Path,
) -> None:
    file = tmp_path / "store.db"
    store = await open_store(file, VAULT)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        taking = asyncio.create_task(take(store, b"1"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not taking.done()
        other.execute("ROLLBACK")
        assert await taking
    await store.close()
