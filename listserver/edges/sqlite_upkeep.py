"""The store under an operator's hands: its queue as counts, a copy of it, all rows sealed anew.

Each command has a connection of its own, beside a server's, and leaves the write-ahead log to it.
"""

import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath
from typing import Final

from listserver.edges.sqlite_held import HeldLetters
from listserver.edges.sqlite_list_stops import ListStops
from listserver.edges.sqlite_posts import post_row
from listserver.edges.sqlite_queue import delivery_row, seconds
from listserver.edges.sqlite_rows import ROW_OCTETS, moment
from listserver.edges.sqlite_troubles import trouble
from listserver.limits import LONGEST_DELAY
from listserver.model import DeliveryId, PostId
from listserver.vault import Vault
from recrypt_core.encoding import read_json, read_text
from recrypt_core.errors import Malformed, NotAuthentic

_BUSY_SECONDS: Final = 10.0  # how long a server's transaction is waited for
_SETTINGS: Final = (
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
)
_BESIDE: Final = "PRAGMA wal_autocheckpoint = 0"  # see listserver.edges.sqlite
_ALONE: Final = "PRAGMA locking_mode = EXCLUSIVE"

# What has members left, or rows of deliveries: 0 due, 1 claimed, 2 given up, 3 held. A time that
# is further off than the longest delay was written before the clock was set back: it is due.
_QUEUE: Final = """
WITH left_over AS (
    SELECT post_id, sum(length(members) / 6 - position) AS members FROM shards GROUP BY post_id
), begun AS (
    SELECT post_id, sum(state = 0 AND NOT (due > :now AND due <= :far)) AS waiting,
        sum(state = 1) AS under_way, sum(state = 0 AND due > :now AND due <= :far) AS put_off,
        sum(state = 2) AS given_up, sum(state = 3) AS held, max(attempts) AS attempts,
        min(due) FILTER (WHERE state = 0) AS due
    FROM deliveries GROUP BY post_id
)
SELECT id, sealed, accepted, posts.held, dropped, erased,
    list_id IN (SELECT id FROM lists WHERE suspended NOT NULL),
    coalesce(members, 0) + coalesce(waiting, 0), coalesce(under_way, 0), coalesce(put_off, 0),
    coalesce(given_up, 0), coalesce(begun.held, 0), coalesce(attempts, 0),
    CASE WHEN members THEN :now ELSE due END
FROM posts LEFT JOIN left_over ON left_over.post_id = id LEFT JOIN begun ON begun.post_id = id
WHERE (left_over.post_id NOT NULL OR begun.post_id NOT NULL) AND id = coalesce(:post, id)
ORDER BY id
"""
_RETRY: Final = (
    "UPDATE posts SET open = 1 WHERE id = coalesce(:post, id) AND NOT erased AND NOT dropped"
    " AND EXISTS (SELECT 1 FROM deliveries WHERE post_id = posts.id AND state IN (2, 3))",
    "UPDATE deliveries SET state = 0, attempts = 0, faults = 0, due = :now, since = :now,"
    " sealed = NULL, told = 0 WHERE state IN (2, 3) AND post_id = coalesce(:post, post_id)"
    " AND (SELECT NOT erased AND NOT dropped FROM posts WHERE id = post_id)",
    "UPDATE posts SET held = 0, held_told = 0"
    " WHERE held AND id = coalesce(:post, id) AND NOT erased AND NOT dropped",
)
_KEEP_OUT: Final = ("UPDATE posts SET held = 1, dropped = 1, told = 1 WHERE id = ?",)
_END: Final = (
    "UPDATE posts SET held = 0, dropped = 1, open = 0, told = 1, erased = 1 WHERE id = ?",
    "DELETE FROM ciphertexts WHERE post_id = ?",
)
_ENDED: Final = (
    "SELECT count(*) FROM deliveries JOIN posts ON posts.id = post_id"
    " WHERE state IN (2, 3) AND post_id = coalesce(?, post_id) AND erased"
)

# Every sealed row, beside the name that it is bound to.
_RESEAL: Final = (
    "UPDATE vault_check SET sealed = reseal('vault_check', sealed, x'')",
    "UPDATE authorized SET sealed = reseal('authorized', sealed, kid_name)",
    "UPDATE lists SET sealed = reseal('lists', sealed, group_name)",
    "UPDATE changes SET sealed = reseal('changes', sealed, CAST(list_id || ':' || seq AS BLOB))",
    "UPDATE members SET sealed = reseal('members', sealed, name)",
    "UPDATE entries SET sealed = reseal('entries', sealed, half_name)",
    "UPDATE profiles SET sealed ="
    " reseal('profiles', sealed, (SELECT name FROM members WHERE id = member_id))",
    "UPDATE memberships SET sealed = reseal('memberships', sealed, profile_name)",
    "UPDATE audit SET sealed = reseal('audit', sealed, CAST(list_id || ':' || seq AS BLOB))",
    "UPDATE joins SET sealed = reseal('joins', sealed, token_name)",
    "UPDATE posts SET sealed = reseal('posts', sealed, CAST(id AS BLOB))",
    "UPDATE deliveries SET sealed = reseal('deliveries', sealed, CAST(id AS BLOB))"
    " WHERE sealed NOT NULL",
    "UPDATE holding SET sealed ="
    " reseal('holding', sealed, CAST(list_id || '.' || number AS BLOB)) WHERE sealed NOT NULL",
    "UPDATE letters SET sealed = reseal('letters', sealed, CAST(id AS BLOB))",
)

# How a peer's words begin: a reply code, or an enhanced one (RFC 3463). The rest may name people.
_CODE: Final = re.compile(
    r"(?:[45]\d\d[ -])?([45]\.\d{1,3}\.\d{1,3})(?![\d.])|([45]\d\d)(?![\d.])", re.ASCII
)


@dataclass(frozen=True, slots=True)
class QueuedPost:
    """What the queue holds of one post: counts of deliveries, and never of whom.

    Attributes:
        list_address: None if the post's row can't be read.
        accepted: None if that can't be read.
        stopped: The whole post is kept out of the queue: it can't be read, or is dropped.
        dropped: While copies of it were under way; when they have ended a server erases it.
        erased: The ciphertext is gone, as no delivery of it was open any more.
        waiting: To be tried now.
        attempts: The most that one delivery has had.
        due: When there is something to do; None if nothing is open.
        list_stopped: Its list's operator has stopped the list, so what is open waits.
    """

    id: PostId
    list_address: str | None
    accepted: datetime | None
    stopped: bool
    dropped: bool
    erased: bool
    waiting: int
    under_way: int
    put_off: int
    given_up: int
    held: int
    attempts: int
    due: datetime | None
    list_stopped: bool = False


@dataclass(frozen=True, slots=True)
class Retried:
    """How many deliveries and whole posts are in the queue again, and how many can't be."""

    deliveries: int
    posts: int
    erased: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """How many deliveries have ended, and how many are under way, so that the post is kept."""

    deliveries: int
    under_way: int


class Upkeep:
    """The store in an operator's hands; from `open_upkeep`."""

    def __init__(self, connection: sqlite3.Connection, vault: Vault) -> None:
        self._connection = connection
        self._vault = vault
        self.letters = HeldLetters(connection)
        """The operator's mail that was given up."""
        self._stops = ListStops(connection, vault)

    def queue(self, now: datetime, post: PostId | None = None) -> tuple[QueuedPost, ...]:
        """Read the posts with open, given-up or held deliveries, or this one of them."""
        values = {"now": seconds(now), "far": seconds(now + LONGEST_DELAY), "post": post}
        return tuple(self._read(row) for row in self._connection.execute(_QUEUE, values))

    def codes(self, post: PostId) -> dict[str, int]:
        """Count the codes with which peers refused a post's given-up deliveries; "" is none."""
        rows = self._connection.execute(
            "SELECT id, sealed FROM deliveries WHERE post_id = ? AND state = 2", (post,)
        )
        return dict(Counter(self._code(DeliveryId(id_), sealed) for id_, sealed in rows))

    def retry(self, post: PostId | None, now: datetime) -> Retried:
        """Make given-up and held deliveries due now, as if untried; of all posts if it is None.

        A post that could not be read is tried again too. What has no ciphertext stays as it is, and
        so does what was dropped.
        """
        values = {"now": seconds(now), "post": post}
        with _transaction(self._connection):
            _, tried, posts = (self._connection.execute(each, values).rowcount for each in _RETRY)
            # What is left has no ciphertext.
            ((erased,),) = self._connection.execute(_ENDED, (post,))
        return Retried(tried, posts, erased)

    def drop(self, post: PostId, now: datetime) -> Dropped | None:
        """End a post's open, given-up and held deliveries; None if the queue has none of it.

        The ciphertext is erased, unless copies are under way. A running server writes to the rows
        of those, so they stay; the post is kept out of the queue for good, and what is left of it
        is erased by a server when they have ended, or by dropping it again.
        """
        with _transaction(self._connection):
            found = self.queue(now, post)
            if not found:
                return None
            self._connection.execute("DELETE FROM shards WHERE post_id = ?", (post,))
            self._connection.execute(
                "DELETE FROM deliveries WHERE post_id = ? AND state != 1", (post,)
            )
            for statement in _KEEP_OUT if found[0].under_way else _END:
                self._connection.execute(statement, (post,))
        ended = found[0].waiting + found[0].put_off + found[0].given_up + found[0].held
        return Dropped(ended, found[0].under_way)

    def suspend(self, address: str, now: datetime) -> bool | None:
        """Stop a list; False if it is stopped already, None if there is none of this address."""
        with _transaction(self._connection):
            return self._stops.suspend(address, now)

    def resume(self, address: str, now: datetime) -> bool | None:
        """Let a list go on; False if it isn't stopped, None if there is none of this address."""
        with _transaction(self._connection):
            return self._stops.resume(address, now)

    def reseal(self, successor: Vault) -> int:
        """Seal every row anew, in a transaction that `commit` ends; count what doesn't open.

        Such a row, which is damaged, stays as it is.

        Raises:
            NotAuthentic: if this isn't the store's vault.
        """
        ((check,),) = self._connection.execute("SELECT sealed FROM vault_check")
        self._vault.unseal("vault_check", check)
        unread = 0

        def reseal(table: str, sealed: bytes, row: bytes) -> bytes:
            nonlocal unread
            try:
                return successor.seal(table, self._vault.unseal(table, sealed, row=row), row=row)
            except NotAuthentic:
                unread += 1
                return sealed

        self._connection.create_function("reseal", 3, reseal)
        for statement in _RESEAL:
            self._connection.execute(statement)
        return unread

    def commit(self) -> None:
        """End the transaction: it is on the disk."""
        self._connection.execute("COMMIT")

    def _read(self, row: tuple[bytes | int, ...]) -> QueuedPost:
        id_, sealed, accepted, stopped, dropped, erased, waits, *counts, due = row
        waiting, under_way, put_off, given_up, held, attempts = map(int, counts)
        return QueuedPost(
            id=PostId(int(id_)),
            list_address=self._list_address(int(id_), bytes(sealed)),
            accepted=moment(accepted),
            stopped=bool(stopped),
            dropped=bool(dropped),
            erased=bool(erased),
            waiting=waiting,
            under_way=under_way,
            put_off=put_off,
            given_up=given_up,
            held=held,
            attempts=attempts,
            list_stopped=bool(waits),
            due=None if stopped else moment(due),
        )

    def _list_address(self, post: int, sealed: bytes) -> str | None:
        try:
            row = self._vault.unseal("posts", sealed, row=post_row(post))
            return read_text(read_json(row, limit=ROW_OCTETS), "list_address", what="a row")
        except (Malformed, NotAuthentic):
            return None

    def _code(self, delivery: DeliveryId, sealed: bytes | None) -> str:
        if sealed is None:
            return ""
        try:
            words = self._vault.unseal("deliveries", sealed, row=delivery_row(delivery))
        except NotAuthentic:
            return ""
        found = _CODE.match(words.decode("utf-8", "replace"))
        return found[1] or found[2] if found else ""


@contextmanager
def open_upkeep(file: PurePath, vault: Vault, *, alone: bool = False) -> Iterator[Upkeep]:
    """Open a store that is there, and that `open_store` has found to be good.

    Args:
        file: The database.
        vault: What its rows are sealed with.
        alone: In one transaction that nobody reads or writes beside, until the block ends; what
            `commit` hasn't ended then is undone.

    Raises:
        OSError: if it can't be opened, read or written, or isn't to be had alone.
    """
    try:
        with closing(_alone(file) if alone else _beside(file)) as connection:
            yield Upkeep(connection, vault)
    except sqlite3.Error as problem:
        raise trouble(file, "used", problem) from problem


@contextmanager
def keep_open(file: PurePath) -> Iterator[Callable[[Vault], bool]]:
    """Keep a store from being had alone, and give what tells whether a vault is the store's.

    Raises:
        OSError: if it can't be opened, or is had alone now.
    """
    try:
        with closing(_beside(file)) as connection:
            row = connection.execute("SELECT sealed FROM vault_check").fetchone()
            yield lambda vault: row is not None and _opens(vault, row[0])
    except sqlite3.Error as problem:
        raise trouble(file, "opened", problem) from problem


def copy_store(file: PurePath, copy: PurePath) -> None:
    """Copy a store as it is at one moment, into an empty file, whoever writes to it meanwhile.

    In one step, which is one look at the write-ahead log: it holds up no writer. In many steps
    the copy would begin again whenever another process has written.

    Raises:
        OSError: if it can't be copied, or the copy is damaged.
    """
    try:
        with closing(_beside(file)) as origin, closing(sqlite3.connect(copy)) as target:
            origin.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
            ((found,),) = target.execute("PRAGMA quick_check(1)")
    except sqlite3.Error as problem:
        raise trouble(file, "copied", problem) from problem
    if found != "ok":
        raise OSError(f"the store {file} is damaged: restore the latest back-up of it")


def _beside(file: PurePath) -> sqlite3.Connection:
    return _connected(file, (_BESIDE, *_SETTINGS), _BUSY_SECONDS)


def _alone(file: PurePath) -> sqlite3.Connection:
    try:  # and don't wait: who has it open may have it for days
        return _connected(file, (_ALONE, *_SETTINGS, "BEGIN EXCLUSIVE"), 0)
    except sqlite3.OperationalError as problem:
        words = f"another program has the store {file} ({problem}): stop it first"
        raise OSError(words) from problem


def _connected(file: PurePath, first: tuple[str, ...], patience: float) -> sqlite3.Connection:
    if not Path(file).is_file():
        raise OSError(f"there is no store {file}: restore it, or make one with `listserver init`")
    connection = sqlite3.connect(file, timeout=patience, isolation_level=None)
    try:
        for statement in first:
            connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _opens(vault: Vault, check: bytes) -> bool:
    try:
        vault.unseal("vault_check", check)
    except NotAuthentic:
        return False
    return True
