"""The numbered upgrades of the schema: which a store lacks, what room they need, their run."""

import os
import sqlite3
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePath
from typing import Final

# The room that the upgrades from a schema on need beside the store, in times of it. The first one
# writes all ciphertexts to a place of their own and wipes the old one, both through the log.
_TIMES: Final = {1: 3}
_TIMES_ELSE: Final = 1
_SLACK_PARTS: Final = 4  # and a quarter of the store
_SLACK_OCTETS: Final = 4 * 2**20
_MIB: Final = 2**20


def version(store: sqlite3.Connection) -> int:
    """Tell how many upgrades a store has seen; 0 is a new one."""
    ((found,),) = store.execute("PRAGMA user_version")
    return int(found)


def is_old(store: sqlite3.Connection, file: PurePath) -> bool:
    """Tell whether a store lacks upgrades.

    Raises:
        OSError: it has seen more of them than this program knows.
    """
    found, known = version(store), len(_steps())
    if found > known:
        raise OSError(f"the store {file} is of a later version of this program: run that one")
    return found < known


def upgrade(store: sqlite3.Connection, file: PurePath) -> None:
    """Run the upgrades that a store lacks, each in one transaction.

    Nobody else may use it: after each step the write-ahead log, which has all of it, is emptied.

    Raises:
        OSError: there isn't the room for it. Nothing was changed.
    """
    found = version(store)
    if found:
        _check_room(file, needed(_octets(file), found))
    for number, step in enumerate(_steps()[found:], start=found + 1):
        script = step.read_text("utf-8")
        store.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
        if found:
            store.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def needed(octets: int, found: int) -> int:
    """Tell how many octets must be free to upgrade a store of a schema and size; measured."""
    times = _TIMES.get(found, _TIMES_ELSE)
    return octets * times + octets // _SLACK_PARTS + _SLACK_OCTETS


def _steps() -> list[Traversable]:
    found = (files("listserver.edges") / "sql").iterdir()
    return sorted(
        (step for step in found if step.name.endswith(".sql")), key=lambda step: step.name
    )


def _octets(file: PurePath) -> int:
    both = (Path(file), Path(f"{file}-wal"))
    return sum(each.stat().st_size for each in both if each.exists())


def _check_room(file: PurePath, octets: int) -> None:
    found = os.statvfs(file.parent)
    free = found.f_bavail * found.f_frsize
    if free < octets:
        raise OSError(
            f"the store {file} has to be upgraded, and for that its disk must have"
            f" {-(-octets // _MIB)} MiB free; {free // _MIB} are: make room, and start again."
            " Nothing was changed"
        )
