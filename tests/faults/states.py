"""All that these tests know about the server's tables: open it only when the server is stopped."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Final

STATES: Final = ("due", "claimed", "delivered", "given up", "withdrawn")


def integrity(store: Path) -> str:
    """Check the whole database; "ok" if it is."""
    with closing(sqlite3.connect(store)) as database:
        return str(database.execute("PRAGMA integrity_check").fetchone()[0])


def deliveries(store: Path, *, after: int = 0) -> Counter[str]:
    """Count deliveries by state; `after` leaves out those of the first so many posts."""
    query = "SELECT state, count(*) FROM deliveries WHERE post_id > ? GROUP BY state"
    with closing(sqlite3.connect(store)) as database:
        return Counter({STATES[state]: n for state, n in database.execute(query, (after,))})


def longest_wait(store: Path, now: float) -> float:
    """Give the seconds until the last open delivery is due."""
    query = "SELECT max(due) FROM deliveries WHERE state < 2"
    with closing(sqlite3.connect(store)) as database:
        return float(database.execute(query).fetchone()[0]) - now


def let_pass(store: Path, seconds: int) -> None:
    """Let so much time pass for what is put off; the processes have no other clock."""
    with closing(sqlite3.connect(store)) as database, database:
        database.execute("UPDATE deliveries SET due = due - ? WHERE state = 0", (seconds,))
