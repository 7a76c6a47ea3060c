"""A copy of a store is of one moment, in one file, and good; and it holds up nobody."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from listserver.edges.sqlite import open_store
from listserver.edges.sqlite_upkeep import copy_store
from listserver.vault import Vault
from recrypt_core.udf import Udf
from tests.builders import NOW

VAULT = Vault(b"v" * 32)
SIGNER = Udf("signer")


def nonces(file: Path) -> int:
    with closing(sqlite3.connect(file)) as store:
        return int(store.execute("SELECT count(*) FROM nonces").fetchone()[0])


def names(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


@pytest.mark.asyncio
async def test_a_copy_has_what_is_committed_and_nothing_beside_it(tmp_path: Path) -> None:
    file, copies = tmp_path / "store.db", tmp_path / "copies"
    copies.mkdir()
    store = await open_store(file, VAULT)
    async with store.begin() as work:
        await work.take_nonce(SIGNER, b"1", until=NOW, now=NOW)
    async with store.begin() as work:
        await work.take_nonce(SIGNER, b"2", until=NOW, now=NOW)
        copy_store(file, copies / "copy.db")
    await store.close()
    assert nonces(copies / "copy.db") == 1
    assert nonces(file) == 2
    assert names(copies) == ["copy.db"]


@pytest.mark.asyncio
async def test_a_copy_is_a_store_that_a_server_starts_from(tmp_path: Path) -> None:
    file, copy = tmp_path / "store.db", tmp_path / "copy.db"
    store = await open_store(file, VAULT)
    async with store.begin() as work:
        await work.take_nonce(SIGNER, b"1", until=NOW, now=NOW)
    copy_store(file, copy)
    await store.close()
    restored = await open_store(copy, VAULT, alone=True)
    async with restored.begin() as work:
        assert await work.had_nonce(SIGNER, b"1")
    assert await restored._rows.all("PRAGMA journal_mode") == [("wal",)]
    await restored.close()


@pytest.mark.asyncio
async def test_a_damaged_store_is_not_copied_in_silence(tmp_path: Path) -> None:
    file, copy = tmp_path / "store.db", tmp_path / "copy.db"
    await (await open_store(file, VAULT)).close()
    octets = bytearray(file.read_bytes())
    octets[4096:8192] = b"\xff" * 4096
    file.write_bytes(octets)
    with pytest.raises(OSError, match=r"can't be copied|is damaged"):
        copy_store(file, copy)


def test_what_is_no_store_is_not_copied(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="there is no store"):
        copy_store(tmp_path / "store.db", tmp_path / "copy.db")
    (tmp_path / "store.db").write_bytes(b"nothing of the kind" * 99)
    with pytest.raises(OSError, match="can't be copied"):
        copy_store(tmp_path / "store.db", tmp_path / "copy.db")
    assert not (tmp_path / "store.db-wal").exists()
