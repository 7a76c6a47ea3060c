"""All that these tests know about the server's tables: open it only when the server is stopped."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Final

STATES: Final = ("due", "claimed", "given up", "held")


def integrity(store: Path) -> str:
    """Check the whole database; "ok" if it is."""
    return str(_ask(store, "PRAGMA integrity_check"))


def deliveries(store: Path) -> Counter[str]:
    """Count by state what wasn't delivered; "unclaimed" is what was never begun."""
    unclaimed = _ask(store, "SELECT total(length(members) / 6 - position) FROM shards")
    query = "SELECT state, count(*) FROM deliveries GROUP BY state"
    with closing(sqlite3.connect(store)) as database:
        found = Counter({STATES[state]: n for state, n in database.execute(query)})
    return +(found + Counter(unclaimed=int(unclaimed)))


def posts(store: Path) -> int:
    """Count posts, whatever became of them."""
    return int(_ask(store, "SELECT count(*) FROM posts"))


def held_posts(store: Path) -> int:
    """Count posts that are held, as they can't be read."""
    return int(_ask(store, "SELECT count(*) FROM posts WHERE held"))


def kept_posts(store: Path) -> int:
    """Count posts whose ciphertext wasn't erased."""
    return int(_ask(store, "SELECT count(*) FROM posts WHERE open"))


def ciphertexts(store: Path) -> int:
    """Count ciphertexts that are kept."""
    return int(_ask(store, "SELECT count(*) FROM ciphertexts"))


def let_pass(store: Path, seconds: int) -> None:
    """Let so much time pass for what is put off; the processes have no other clock."""
    with closing(sqlite3.connect(store)) as database, database:
        database.execute("UPDATE deliveries SET due = due - ? WHERE state = 0", (seconds,))


def change(store: Path, statement: str, *values: bytes) -> None:
    """Change rows, as a fault would."""
    with closing(sqlite3.connect(store)) as database, database:
        assert database.execute(statement, values).rowcount, statement


def _ask(store: Path, query: str) -> str | float:
    with closing(sqlite3.connect(store)) as database:
        answer: str | float = database.execute(query).fetchone()[0]
    return answer
