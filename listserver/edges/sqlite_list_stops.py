"""Lists in an operator's hands: stopped for a while, beside a server, and going on again."""

import sqlite3
from datetime import datetime
from typing import Final

from listserver.edges.sqlite_queue import seconds
from listserver.vault import Vault

_STOP: Final = "UPDATE lists SET suspended = ? WHERE name = ? AND suspended IS NULL"

# Members whose turn hasn't come have no row: their time begins with it. Those that have one are
# tried for as long as if the list had never been stopped.
_STAND_STILL: Final = """
UPDATE deliveries
SET since = coalesce(since, accepted)
    + max(0, :now - max(coalesce(since, accepted), :stopped))
FROM posts WHERE posts.id = post_id AND list_id = :list AND open AND state < 2
"""
_GO_ON: Final = "UPDATE lists SET suspended = NULL WHERE id = ?"


class ListStops:
    """Stops lists and lets them go on, each in a transaction that its caller begins and ends."""

    def __init__(self, connection: sqlite3.Connection, vault: Vault) -> None:
        self._connection = connection
        self._vault = vault

    def suspend(self, address: str, now: datetime) -> bool | None:
        """Stop a list; False if it is stopped already, None if there is none of this address."""
        if self._find(address) is None:
            return None
        values = (seconds(now), self._name(address))
        return self._connection.execute(_STOP, values).rowcount == 1

    def resume(self, address: str, now: datetime) -> bool | None:
        """Let a list go on; False if it isn't stopped, None if there is none of this address.

        How long copies are tried doesn't count the time that it was stopped.
        """
        found = self._find(address)
        if found is None:
            return None
        list_id, since = found
        if since is None:
            return False
        values = {"list": list_id, "stopped": since, "now": seconds(now)}
        self._connection.execute(_STAND_STILL, values)
        self._connection.execute(_GO_ON, (list_id,))
        return True

    def _find(self, address: str) -> tuple[int, int | None] | None:
        """Find a list's row, and since when it is stopped."""
        found: tuple[int, int | None] | None = self._connection.execute(
            "SELECT id, suspended FROM lists WHERE name = ?", (self._name(address),)
        ).fetchone()
        return found

    def _name(self, address: str) -> bytes:
        return self._vault.name("list", address.lower())
