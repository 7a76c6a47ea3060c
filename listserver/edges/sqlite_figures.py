"""The store as figures, read beside a server: its queue, its lists, whether it is whole.

Each look has a connection of its own that can only read, so it is in no writer's way.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path, PurePath
from typing import Final
from urllib.parse import quote

from listserver.edges.sqlite_queue import seconds
from listserver.edges.sqlite_rows import ROW_OCTETS, moment_or_long_ago
from listserver.edges.sqlite_troubles import trouble
from listserver.limits import LONGEST_DELAY
from listserver.vault import Vault
from recrypt_core import limits
from recrypt_core.documents import MemberEntry, RecryptionGroup, Status, past_group_key
from recrypt_core.encoding import (
    JsonObject,
    read_b64url,
    read_json,
    read_object,
    read_seconds,
    read_text,
)
from recrypt_core.errors import Malformed, NotAuthentic
from recrypt_core.wire import from_json

_ROW: Final = "a row"
_BUSY_SECONDS: Final = 10.0  # as long as other commands wait for a server

# Deliveries: what has no row yet stands in a shard; else 0 due, 1 claimed, 2 given up, 3 held. A
# time that is further off than the longest delay was written before the clock was set back: it is
# due. Given up is what isn't open, so that the many rows of that kind are counted by an index. What
# waits for a list that is stopped isn't overdue.
_QUEUE: Final = """
WITH unbegun AS (
    SELECT length(members) / 6 - position AS members, accepted, posts.held,
        list_id IN (SELECT id FROM lists WHERE suspended NOT NULL) AS stopped
    FROM shards JOIN posts ON posts.id = post_id
), begun AS (
    SELECT state, due, state = 0 AND due > :now AND due <= :far AS put_off, stopped
    FROM (
        SELECT iif(state = 0 AND post_id IN (SELECT id FROM posts WHERE held), 3, state) AS state,
            due, post_id IN (SELECT posts.id FROM lists JOIN posts ON list_id = lists.id
                WHERE suspended NOT NULL) AS stopped
        FROM deliveries WHERE state != 2
    )
)
SELECT
    (SELECT count(*) FROM posts WHERE open AND NOT held),
    (SELECT count(*) FROM posts WHERE held AND NOT dropped),
    (SELECT count(*) FROM ciphertexts),
    (SELECT count(*) FROM letters WHERE state != 2),
    (SELECT count(*) FROM letters WHERE state = 2),
    (SELECT count(*) FROM lists WHERE suspended NOT NULL),
    (SELECT coalesce(sum(members), 0) FROM unbegun WHERE NOT held)
        + count(*) FILTER (WHERE state = 0 AND NOT put_off),
    count(*) FILTER (WHERE state = 1),
    count(*) FILTER (WHERE put_off),
    (SELECT count(*) FROM deliveries) - count(*),
    (SELECT coalesce(sum(members), 0) FROM unbegun WHERE held) + count(*) FILTER (WHERE state = 3),
    coalesce(min(due) FILTER (WHERE state = 0 AND NOT put_off AND NOT stopped AND due >= 0), :now),
    (SELECT coalesce(min(accepted), :now) FROM unbegun
        WHERE NOT held AND NOT stopped AND accepted >= 0)
FROM begun
"""

_LISTS: Final = """
WITH people AS (
    SELECT list_id, count(*) AS members,
        sum(served AND off IS NULL AND paused IS NULL AND leaving IS NULL) AS receiving
    FROM members GROUP BY list_id
), bounced AS (
    SELECT list_id, sum(served) AS mail_off FROM members WHERE off IS NOT NULL GROUP BY list_id
), taken AS (
    SELECT list_id, count(*) AS posts, count(post_id) AS kept
    FROM posts LEFT JOIN ciphertexts ON post_id = id GROUP BY list_id
), copies AS (
    SELECT list_id, sum(unsent) AS unsent, sum(given_up) AS given_up, sum(stopped) AS stopped
    FROM (
        SELECT post_id, length(members) / 6 - position AS unsent, 0 AS given_up, 0 AS stopped
        FROM shards
        UNION ALL SELECT post_id, state < 2, state = 2, state = 3 FROM deliveries
    ) JOIN posts ON posts.id = post_id GROUP BY list_id
)
SELECT lists.id, group_name, lists.sealed, changes.sealed, suspended, head_seq,
    coalesce(members, 0), coalesce(receiving, 0), coalesce(mail_off, 0),
    coalesce(posts, 0), coalesce(kept, 0),
    coalesce(unsent, 0), coalesce(given_up, 0), coalesce(stopped, 0)
FROM lists
LEFT JOIN changes ON changes.list_id = lists.id AND changes.seq = head_seq
LEFT JOIN people ON people.list_id = lists.id
LEFT JOIN bounced ON bounced.list_id = lists.id
LEFT JOIN taken ON taken.list_id = lists.id
LEFT JOIN copies ON copies.list_id = lists.id
ORDER BY lists.id
"""
_COUNTS: Final = (
    "seq", "members", "receiving", "mail_off", "posts", "kept", "unsent", "given_up", "held",
)  # fmt: skip
# Held posts are 0 waiting, requests to join 1 confirmed.
_UNDECIDED: Final = {
    "posts": "SELECT count(*), coalesce(min(max(accepted, 0)), :now) FROM holding"
    " LEFT JOIN posts ON posts.id = post_id WHERE state = 0",
    "joins": "SELECT count(*), coalesce(min(max(since, 0)), :now) FROM joins"
    " WHERE state = 1 AND until > :now",
}
_UNSERVED: Final = "SELECT name, sealed FROM members WHERE list_id = ? AND NOT served"
_NEWEST: Final = "SELECT coalesce(max(accepted), 0) FROM posts"


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """What the queue holds, of all lists together.

    Attributes:
        oldest: How long the delivery has waited that has been due for longest; zero if none is.
        posts_kept: Those of which the text is on the disk, for deliveries now or late.
        letters: Mail of the server's own making, and the operator's, that waits.
        letters_held: The operator's that was given up.
        lists_stopped: Those that the operator has stopped, whose copies wait.
    """

    oldest: timedelta
    posts_open: int
    posts_held: int
    posts_kept: int
    letters: int
    letters_held: int
    lists_stopped: int
    waiting: int
    under_way: int
    put_off: int
    given_up: int
    held: int


@dataclass(frozen=True, slots=True)
class Undecided:
    """What waits for administrators of all lists together, and how long the first one has."""

    count: int
    oldest: timedelta


@dataclass(frozen=True, slots=True)
class ListFigures:
    """One list, and none of its members: how many there are, what its queue holds.

    Attributes:
        address: None if the list's row can't be read.
        receiving: Who gets copies.
        mail_off: To whom delivery was turned off after bounces.
        without: Who is ACTIVE, but without RECRYPT; suspended and revoked get nothing either.
        unreadable: Members whose row can't be read.
        posts: That it has taken; `kept` of them have their text still.
        unsent: Copies that are to be delivered.
        changed: When the last change of its chain was signed; None if that can't be read.
        stopped: Since when its operator has stopped it; None if it goes on.
        closed: Whether it is for good; None if that can't be read.
    """

    address: str | None
    members: int
    receiving: int
    mail_off: int
    without: int
    suspended: int
    revoked: int
    unreadable: int
    posts: int
    kept: int
    unsent: int
    given_up: int
    held: int
    seq: int
    changed: datetime | None
    stopped: datetime | None = None
    closed: bool | None = False


class Figures:
    """A store that is only looked at; from `open_figures`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def queue(self, now: datetime) -> QueueFigures:
        """Count what the queue holds."""
        values = {"now": seconds(now), "far": seconds(now + LONGEST_DELAY)}
        ((*counts, due, accepted),) = self._connection.execute(_QUEUE, values)
        oldest = timedelta(seconds=max(0, values["now"] - min(due, accepted)))
        return QueueFigures(oldest, *counts)

    def undecided(self, now: datetime) -> dict[str, Undecided]:
        """Count held posts, and requests to join, that wait for a decision."""
        found = {}
        for what, sql in _UNDECIDED.items():
            ((count, since),) = self._connection.execute(sql, {"now": seconds(now)})
            found[what] = Undecided(count, timedelta(seconds=max(0, seconds(now) - since)))
        return found

    def lists(self, vault: Vault) -> Iterator[ListFigures]:
        """Count what each list has."""
        rows = self._connection.execute(_LISTS).fetchall()
        for id_, name, sealed_group, change, stopped, *counts in rows:
            unserved = self._connection.execute(_UNSERVED, (id_,))
            status = Counter(_status(vault, sealed, row=member) for member, sealed in unserved)
            figures = dict(zip(_COUNTS, counts, strict=True))
            group = _group(vault, sealed_group, row=name)
            yield ListFigures(
                address=None if group is None else group.group_name,
                stopped=None if stopped is None else moment_or_long_ago(stopped),
                closed=None if group is None else _is_closed(group),
                without=status[Status.ACTIVE],
                suspended=status[Status.SUSPENDED],
                revoked=status[Status.REVOKED],
                unreadable=status[None],
                changed=_signed_at(vault, change, row=f"{id_}:{figures['seq']}".encode("ascii")),
                **figures,
            )

    def version(self) -> int:
        """Tell which schema the store has: how many of the numbered upgrades it has seen."""
        ((version,),) = self._connection.execute("PRAGMA user_version")
        return int(version)

    def is_whole(self) -> bool:
        """Look through all pages; it takes as long as reading the file."""
        ((found,),) = self._connection.execute("PRAGMA quick_check(1)")
        return bool(found == "ok")

    def is_of(self, vault: Vault) -> bool:
        """Tell whether a vault is the store's."""
        row = self._connection.execute("SELECT sealed FROM vault_check").fetchone()
        try:
            vault.unseal("vault_check", row[0] if row else b"")
        except NotAuthentic:
            return False
        return True

    def newest(self) -> datetime:
        """Tell when the latest post came; long ago if there is none."""
        ((newest,),) = self._connection.execute(_NEWEST)
        return moment_or_long_ago(newest)


def schema() -> int:
    """Tell which schema this program has."""
    steps = files("listserver.edges").joinpath("sql").iterdir()
    return sum(step.name.endswith(".sql") for step in steps)


@contextmanager
def open_figures(file: PurePath) -> Iterator[Figures]:
    """Open a store to look at it; nothing is written.

    Raises:
        OSError: if it isn't there, or can't be opened or read.
    """
    if not Path(file).is_file():
        raise OSError(f"there is no store {file}: restore it, or make one with `listserver init`")
    try:
        with closing(
            sqlite3.connect(
                f"file:{quote(str(file))}?mode=ro",
                uri=True,
                timeout=_BUSY_SECONDS,
                isolation_level=None,
            )
        ) as connection:
            yield Figures(connection)
    except sqlite3.Error as problem:
        raise trouble(file, "read", problem) from problem


def _group(vault: Vault, sealed: bytes, *, row: bytes) -> RecryptionGroup | None:
    opened = _opened(vault, "lists", sealed, row=row)
    try:
        return from_json(RecryptionGroup, read_object(opened["group"], what=_ROW))
    except (Malformed, KeyError):
        return None


def _is_closed(group: RecryptionGroup) -> bool:
    key = group.current_encryption_key
    return key is not None and past_group_key(key).document.closed is not None


def _status(vault: Vault, sealed: bytes, *, row: bytes) -> Status | None:
    opened = _opened(vault, "members", sealed, row=row)
    try:
        return from_json(MemberEntry, opened).status
    except Malformed:
        return None


def _signed_at(vault: Vault, sealed: bytes | None, *, row: bytes) -> datetime | None:
    opened = _opened(vault, "changes", sealed or b"", row=row)
    try:
        header = read_b64url(read_text(opened, "protected", what=_ROW))
        issued = read_json(header, limit=limits.DOCUMENT_OCTETS).get("iat")
        return read_seconds(issued) if isinstance(issued, int) else None
    except Malformed:
        return None


def _opened(vault: Vault, table: str, sealed: bytes, *, row: bytes) -> JsonObject:
    """Open a row; one that doesn't open has no members."""
    try:
        return read_json(vault.unseal(table, sealed, row=row), limit=ROW_OCTETS)
    except (Malformed, NotAuthentic):
        return {}
