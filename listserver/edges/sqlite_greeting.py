"""Who is to have a welcome or a goodbye: the rows and their SQL."""

from collections.abc import Collection, Mapping
from typing import Final

from listserver.edges.sqlite_letters import crowded
from listserver.edges.sqlite_rows import number
from listserver.edges.sqlite_telling import TellingTables
from listserver.model import LetterKind, ListId, MemberId
from listserver.store_greeting import Greeted, Greeting
from recrypt_core.udf import Udf

# A new row, so that who was told of the one before finds that it isn't there any more.
_PUT: Final = (
    "INSERT OR REPLACE INTO greetings (member_id, kind)"
    " VALUES ((SELECT id FROM members WHERE name = ?), ?)"
)
_NEXT: Final = (
    "SELECT m.id, g.id, g.kind, m.list_id, m.sealed, m.name FROM greetings g"
    " JOIN members m ON m.id = g.member_id"
    " WHERE m.list_id NOT IN (SELECT value FROM json_each(?)) ORDER BY g.id LIMIT ?"
)


class GreetingTables(TellingTables):
    """The part of `Work` that welcomes and goodbyes use."""

    async def put_greetings(self, list_id: ListId, greetings: Mapping[Udf, Greeting]) -> None:
        await self._rows.many(
            _PUT,
            [(self._member_name(list_id, udf), each.value) for udf, each in greetings.items()],
        )

    async def greetings(self, limit: int) -> tuple[Greeted, ...]:
        wait = str(await crowded(self._rows, LetterKind.GREETING, limit))  # which is JSON
        return tuple(
            [
                Greeted(
                    MemberId(number(id_)),
                    number(row_id),
                    Greeting(number(kind)),
                    await self._readable_list(number(list_id)),
                    await self._readable_member(*row),
                )
                for id_, row_id, kind, list_id, *row in await self._rows.all(_NEXT, (wait, limit))
            ]
        )

    async def greeted(self, told: Collection[Greeted]) -> frozenset[MemberId]:
        ended = "DELETE FROM greetings WHERE id = ? AND member_id = ? AND kind = ?"
        return frozenset(
            [
                each.id
                for each in told
                if await self._rows.run(ended, (each.row, each.id, each.greeting.value))
            ]
        )
