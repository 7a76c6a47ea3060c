"""The connection: what its short queries cost however often they are made."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from listserver.edges.sqlite_connection import Connection

# Some 3,000 of SQLite's steps: ten of them are more than what one query may take of the loop.
QUERY = (
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
    " SELECT count(*) FROM n"
)


@pytest.mark.asyncio
async def test_a_short_query_stays_short_however_often_it_is_made() -> None:
    with (
        ThreadPoolExecutor(max_workers=1) as thread,
        closing(sqlite3.connect(":memory:", check_same_thread=False)) as connection,
    ):
        rows = Connection(connection, thread)
        parsed: list[int] = []
        for _ in range(3):  # the first time it is parsed; to set the authorizer parses all anew
            await rows.all(QUERY, (200,))

        def note(action: int, *_: str | None) -> int:
            parsed.append(action)
            return sqlite3.SQLITE_OK

        connection.set_authorizer(note)
        await rows.all(QUERY, (200,))
        first = len(parsed)
        for _ in range(50):
            assert await rows.all(QUERY, (200,)) == [(200,)]
        assert first
        assert len(parsed) == first, "it was interrupted: from then on it is parsed each time"
        assert not thread._threads
