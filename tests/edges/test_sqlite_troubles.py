"""Whatever is wrong with a store, the operator is told what to do next."""

import errno
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from listserver.edges.sqlite_troubles import trouble


def no_store(file: Path) -> None:
    """Read what isn't one."""
    file.write_bytes(b"nothing of the kind " * 100)
    asked(file, "SELECT * FROM posts")


def damaged(file: Path) -> None:
    """Read what was one."""
    asked(file, "CREATE TABLE posts (id)")
    asked(file, "PRAGMA writable_schema = ON", "UPDATE sqlite_master SET sql = 'rubbish'")
    asked(file, "SELECT * FROM posts")


def read_only(file: Path) -> None:
    """Write where only reading is allowed."""
    asked(file, "CREATE TABLE posts (id)")
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as store:
        store.execute("DELETE FROM posts")


def no_folder(file: Path) -> None:
    """Open it where there is no folder."""
    asked(file / "store.db", "SELECT 1")


def held(file: Path) -> None:
    """Write while another program does."""
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN EXCLUSIVE")
        asked(file, "CREATE TABLE posts (id)")


def full(file: Path) -> None:
    """Write more than there is room for."""
    asked(file, "PRAGMA max_page_count = 1", "CREATE TABLE posts (id)")


def strange(file: Path) -> None:
    """Ask for what isn't there."""
    asked(file, "SELECT * FROM posts")


def asked(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as store:
        for statement in statements:
            store.execute(statement).fetchall()


@pytest.mark.parametrize(
    ("fail", "words"),
    [
        (no_store, r"\(file is not a database\): look at \[store\] url, or, if that is right, res"),
        (damaged, r"\(malformed database schema .*\): it is damaged: restore the latest back-up"),
        (read_only, r"\(attempt to write a readonly database\): run this as the server's user"),
        (no_folder, r"\(unable to open database file\): run this as the server's user"),
        (held, r"\(database is locked\): another program holds it: stop that one, or try again"),
        (full, r"\(database or disk is full\): make room on its disk"),
        (strange, r"\(no such table: posts\): look at \[store\] url and the disk, or restore"),
    ],
)
def test_what_sqlite_says_comes_with_what_to_do(
    fail: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    file = tmp_path / "store.db"
    with pytest.raises(sqlite3.Error) as found:
        fail(file)
    with pytest.raises(OSError, match=rf"the store {file} can't be opened {words}"):
        raise trouble(file, "opened", found.value)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "run this as the server's user, who must own the file and its folder"),
        (errno.EROFS, "put it on a file system that can be written"),
        (errno.ENOENT, "look at [store] url"),
        (errno.EIO, "look at its disk, and at the system's log"),
        (errno.ENOSPC, "make room on its disk"),
        (errno.EMFILE, "look at [store] url and the disk, or restore the latest back-up of it"),
    ],
)
def test_so_does_what_the_system_says(number: int, words: str, tmp_path: Path) -> None:
    said = os.strerror(number)
    problem = trouble(tmp_path, "read", OSError(number, said))
    assert str(problem) == f"the store {tmp_path} can't be read ({said}): {words}"


def test_an_error_without_a_code_has_advice_too(tmp_path: Path) -> None:
    problem = trouble(tmp_path, "read", sqlite3.ProgrammingError("closed"))
    assert "(closed): look at [store] url" in str(problem)
