"""Statements and rows: what the tables' rooms need of the database."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Final, Protocol, TypeAlias, TypeVar

T = TypeVar("T")

Value: TypeAlias = bytes | int | str | None

ROW_OCTETS: Final = 64 * 2**20  # of a sealed row opened: our own writing, bounded all the same
_YEAR_9999: Final = 253_370_764_800  # seconds since 1970


class Rows(Protocol):
    """One open transaction.

    What is short is run on the event loop. `large` is for a change of few values that is long all
    the same, as it is over many rows or erases large ones.
    """

    async def run(self, sql: str, values: tuple[Value, ...] = (), *, large: bool = False) -> int:
        """Run one statement; the number of rows that it changed."""
        ...

    async def insert(self, sql: str, values: tuple[Value, ...]) -> int:
        """Run one INSERT; the id of the row."""
        ...

    async def returned(self, sql: str, values: tuple[Value, ...]) -> list[tuple[Value, ...]]:
        """Run one short change; the rows that it returns."""
        ...

    async def many(
        self, sql: str, rows: Iterable[tuple[Value, ...]], *, large: bool = False
    ) -> int:
        """Run one statement for each row; the number of rows that it changed in all."""
        ...

    async def read(
        self,
        sql: str,
        values: tuple[Value, ...],
        take: Callable[[Iterator[tuple[Value, ...]]], T],
    ) -> T:
        """Run one query that is long, and give what a function makes of its rows in a thread."""
        ...

    async def all(self, sql: str, values: tuple[Value, ...] = ()) -> list[tuple[Value, ...]]:
        """Run one query, which changes nothing; it needn't be short."""
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


def moment(value: Value) -> datetime | None:
    """Take a time, in seconds since 1970; None if it is damaged: no clock can have shown it."""
    if isinstance(value, int) and 0 <= value < _YEAR_9999:
        return datetime.fromtimestamp(value, UTC)
    return None


def moment_or_long_ago(value: Value) -> datetime:
    """Take a time; what is damaged was long ago, so that it is tried once more and then ends."""
    return moment(value) or datetime.fromtimestamp(0, UTC)
