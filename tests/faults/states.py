"""All that these tests know about the server's tables: open it only when the server is stopped."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Final

STATES: Final = ("due", "claimed", "given up", "held")
ID_OCTETS: Final = 6  # of a member, in a shard


def integrity(store: Path) -> str:
    """Check the whole database; "ok" if it is."""
    return str(_ask(store, "PRAGMA integrity_check"))


def deliveries(store: Path) -> Counter[str]:
    """Count by state what wasn't delivered; "unclaimed" is what was never begun."""
    unclaimed = _ask(store, f"SELECT total(length(members) / {ID_OCTETS} - position) FROM shards")
    query = "SELECT state, count(*) FROM deliveries GROUP BY state"
    with closing(sqlite3.connect(store)) as database:
        found = Counter({STATES[state]: n for state, n in database.execute(query)})
    return +(found + Counter(unclaimed=int(unclaimed)))


def posts(store: Path, condition: str) -> int:
    """Count posts: those that are "held", those of which "ciphertext IS NOT NULL"."""
    return int(_ask(store, f"SELECT count(*) FROM posts WHERE {condition}"))  # noqa: S608 - ours


def longest_wait(store: Path, now: float) -> float:
    """Give the seconds until the last open delivery is due."""
    return float(_ask(store, "SELECT max(due) FROM deliveries WHERE state = 0")) - now


def let_pass(store: Path, seconds: int) -> None:
    """Let so much time pass for what is put off; the processes have no other clock."""
    change(store, "UPDATE deliveries SET due = due - ? WHERE state = 0", seconds)


def change(store: Path, statement: str, *values: int) -> None:
    """Change rows, as a fault would."""
    with closing(sqlite3.connect(store)) as database, database:
        assert database.execute(statement, values).rowcount, statement


def _ask(store: Path, query: str) -> str | float:
    with closing(sqlite3.connect(store)) as database:
        answer: str | float = database.execute(query).fetchone()[0]
    return answer
