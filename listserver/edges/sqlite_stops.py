"""Lists that are stopped for a while, or closed for good: the rows and their SQL."""

from datetime import UTC, datetime
from typing import Final

from listserver.edges.sqlite_profiles import ProfileTables
from listserver.edges.sqlite_queue import seconds
from listserver.limits import ERASED_HALVES
from listserver.model import ListId

# Closed lists whose time is over and whose posts have all come to their end; few, if any.
_ENDED: Final = (
    "SELECT id FROM lists WHERE ends <= ? AND NOT EXISTS"
    " (SELECT 1 FROM posts WHERE list_id = lists.id AND open) LIMIT 1"
)
_HALVES: Final = (
    "DELETE FROM entries WHERE id IN (SELECT e.id FROM members m"
    " JOIN entries e ON e.member_id = m.id WHERE m.list_id = ? LIMIT ?)"
)


class StopTables(ProfileTables):
    """The part of `Work` that stops and ends lists."""

    async def is_suspended(self, list_id: ListId) -> bool:
        return bool(
            await self._rows.all(
                "SELECT 1 FROM lists WHERE id = ? AND suspended NOT NULL", (list_id,)
            )
        )

    async def stopped(self, list_id: ListId) -> datetime | None:
        ((since,),) = await self._rows.all("SELECT suspended FROM lists WHERE id = ?", (list_id,))
        return datetime.fromtimestamp(since, UTC) if isinstance(since, int) else None

    async def end_list(self, list_id: ListId, until: datetime) -> None:
        await self._rows.run("UPDATE lists SET ends = ? WHERE id = ?", (seconds(until), list_id))
        await self._rows.run("DELETE FROM joins WHERE list_id = ?", (list_id,))

    async def erase_ended(self, until: datetime) -> bool:
        found = await self._rows.all(_ENDED, (seconds(until),))
        if not found:
            return False
        ((list_id,),) = found
        erased = await self._rows.run(_HALVES, (list_id, ERASED_HALVES), large=True)
        self.erased = self.erased or erased > 0
        if erased < ERASED_HALVES:
            await self._rows.run("UPDATE lists SET ends = NULL WHERE id = ?", (list_id,))
        return True
