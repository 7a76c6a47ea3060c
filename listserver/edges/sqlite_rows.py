"""Statements and rows: what the tables' rooms need of the database."""

from collections.abc import Iterable
from typing import Protocol, TypeAlias

Value: TypeAlias = bytes | int | str | None


class Rows(Protocol):
    """One open transaction."""

    async def run(self, sql: str, values: tuple[Value, ...] = ()) -> int:
        """Run one statement; the number of rows that it changed."""
        ...

    async def insert(self, sql: str, values: tuple[Value, ...]) -> int:
        """Run one INSERT; the id of the row."""
        ...

    async def many(self, sql: str, rows: Iterable[tuple[Value, ...]]) -> int:
        """Run one statement for each row; the number of rows that it changed in all."""
        ...

    async def all(self, sql: str, values: tuple[Value, ...] = ()) -> list[tuple[Value, ...]]:
        """Run one query."""
        ...


def octets(value: Value) -> bytes:
    """Take a BLOB that isn't NULL."""
    if not isinstance(value, bytes):
        raise TypeError("a column that is no BLOB")
    return value


def number(value: Value) -> int:
    """Take an INTEGER that isn't NULL."""
    if not isinstance(value, int):
        raise TypeError("a column that is no INTEGER")
    return value
