"""Who leaves, and what else members want of a list's mail: the rows and their SQL."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import IntEnum
from typing import Final

from listserver.edges.sqlite_letters import crowded
from listserver.edges.sqlite_queue import seconds
from listserver.edges.sqlite_rows import Value, number, octets
from listserver.edges.sqlite_telling import TellingTables
from listserver.model import EntryRow, LetterKind, ListId, MemberId, Readers, StoredList
from listserver.store_leaving import Leaver
from listserver.tokens import STAYS_COUNTED
from recrypt_core.documents import Status
from recrypt_core.members import Member
from recrypt_core.udf import Udf
from recrypt_core.wishes import Mail


class _Leaving(IntEnum):
    """How far a member has left; a column without it: it stays."""

    ASKED = 1
    TOLD = 2
    LEFT = 3


_ASK: Final = (
    "UPDATE members SET leaving = ?, leaving_since = ?"
    " WHERE id = ? AND leaving IS NULL AND coalesce(stays, 0) % ? = ?"
)
_NOTE: Final = "UPDATE leaves_asked SET times = times + 1"
# Links in copies that it had before do nothing any more; but those of who never left go on.
_STAYS: Final = (
    "leaving = NULL, leaving_since = NULL, left_told = 0,"
    " stays = iif(leaving IS NULL, stays, coalesce(stays, 0) + 1)"
)
_SET: Final = "UPDATE members SET "
_STAY: Final = f"{_SET}{_STAYS} WHERE id = ? AND leaving = ? AND leaving_since = ?"
_NEXT: Final = (
    "SELECT id, leaving_since, list_id, sealed, name FROM members"
    " WHERE leaving = ? AND list_id NOT IN (SELECT value FROM json_each(?))"
    " ORDER BY leaving_since LIMIT 1"
)
_TOLD: Final = "UPDATE members SET leaving = ? WHERE id = ? AND leaving = ? AND leaving_since = ?"
_END: Final = (
    "UPDATE members SET leaving = ?, left_told = 0 WHERE id IN"
    " (SELECT id FROM members WHERE leaving = ? AND leaving_since <= ? LIMIT ?)"
)
_REVOKED: Final = (
    f"{_SET}paused = NULL, no_own = NULL, leaving = NULL, leaving_since = NULL,"
    " left_told = 0, stays = coalesce(stays, 0) + 1 WHERE name = ?"
)
_LEAVE: Final = (
    "UPDATE members SET leaving = ?, leaving_since = ?, left_told = 0"
    " WHERE name = ? AND leaving IS NOT ?"
)
_LEFT: Final = "SELECT name FROM members INDEXED BY members_left WHERE list_id = ? AND leaving = 3"
_NO_OWN: Final = (
    "SELECT 1 FROM members INDEXED BY members_no_own WHERE list_id = ? AND no_own LIMIT 1"
)


class LeavingTables(TellingTables):
    """The part of `Work` that leaving uses."""

    async def list_of_member(self, member: MemberId) -> StoredList | None:
        found = await self._rows.all("SELECT list_id FROM members WHERE id = ?", (member,))
        return await self._readable_list(number(found[0][0])) if found else None

    async def ask_to_leave(self, member: MemberId, stays: int, now: datetime) -> None:
        by = (member, STAYS_COUNTED, stays)
        await self._rows.run(_ASK, (_Leaving.ASKED, seconds(now), *by))
        await self.note_asking()

    async def stay(self, member: MemberId, asked: datetime) -> None:
        await self._rows.run(_STAY, (member, _Leaving.TOLD, seconds(asked)))
        await self.note_asking()

    async def ask_back(self, list_id: ListId, member: Udf) -> None:
        await self._rows.run(
            f"{_SET}{_STAYS} WHERE name = ?", (self._member_name(list_id, member),)
        )
        await self.note_asking()

    async def note_asking(self) -> None:
        await self._rows.run(_NOTE)

    async def next_leaver(self) -> Leaver | None:
        wait = str(await crowded(self._rows, LetterKind.NOTICE, 1))  # which is JSON
        while found := await self._rows.all(_NEXT, (_Leaving.ASKED, wait)):
            id_, since, list_id, *row = found[0]
            stored = await self._readable_list(number(list_id))
            member = await self._readable_member(*row)
            if stored and member and member.entry.status is not Status.REVOKED:
                asked = datetime.fromtimestamp(number(since), UTC)
                return Leaver(MemberId(number(id_)), asked, stored, member)
            if member and member.entry.status is Status.REVOKED:
                await self._rows.run(f"{_SET}{_STAYS} WHERE id = ?", (id_,))
            else:  # of what can't be read, only the letter is left out
                await self._rows.run(_TOLD, (_Leaving.TOLD, id_, _Leaving.ASKED, since))
        return None

    async def leaver_told(self, leaver: Leaver) -> bool:
        at = (leaver.id, _Leaving.ASKED, seconds(leaver.asked))
        return await self._rows.run(_TOLD, (_Leaving.TOLD, *at)) == 1

    async def end_leaving(self, asked_until: datetime, limit: int) -> int:
        which = (_Leaving.TOLD, seconds(asked_until), limit)
        return await self._rows.run(_END, (_Leaving.LEFT, *which))

    async def put_wishes(
        self, list_id: ListId, member: Udf, *, mail: Mail | None, own_posts: bool | None,
        now: datetime,
    ) -> None:  # fmt: skip
        name = self._member_name(list_id, member)
        if own_posts is not None:
            wish = (None if own_posts else 1, name)
            await self._rows.run("UPDATE members SET no_own = ? WHERE name = ?", wish)
        if mail is Mail.LEFT:
            left = (_Leaving.LEFT, seconds(now), name, _Leaving.LEFT)
            await self._rows.run(_LEAVE, left)
        elif mail is Mail.PAUSED:
            await self._rows.run(f"{_SET}paused = ? WHERE name = ?", (seconds(now), name))
        elif mail is Mail.ON:
            await self._rows.run(f"{_SET}paused = NULL, {_STAYS} WHERE name = ?", (name,))
        await self.note_asking()

    async def left(self, list_id: ListId, members: Collection[Udf]) -> frozenset[Udf]:
        names = {octets(row[0]) for row in await self._rows.all(_LEFT, (list_id,))}
        return frozenset(udf for udf in members if self._member_name(list_id, udf) in names)

    async def wants_mail(self, list_id: ListId, member: Udf) -> bool:
        found = await self._rows.all(
            "SELECT 1 FROM members WHERE name = ? AND paused IS NULL AND leaving IS NULL",
            (self._member_name(list_id, member),),
        )
        return bool(found)

    async def leaves(self, list_id: ListId, member: Udf) -> bool:
        found = await self._rows.all(
            "SELECT 1 FROM members WHERE name = ? AND leaving IS NOT NULL",
            (self._member_name(list_id, member),),
        )
        return bool(found)

    async def own_unwanted(self, list_id: ListId) -> bool:
        return bool(await self._rows.all(_NO_OWN, (list_id,)))

    async def without_own(self, readers: Readers, poster: Udf) -> Readers:
        found = await self._rows.all(
            "SELECT id FROM members WHERE name = ? AND no_own",
            (self._member_name(readers.list_id, poster),),
        )
        ids = {number(row[0]) for row in found}
        return replace(readers, members=[each for each in readers.members if each not in ids])

    async def put_members(
        self, list_id: ListId, members: Sequence[tuple[Member, Sequence[EntryRow]]]
    ) -> None:
        await super().put_members(list_id, members)
        revoked: list[tuple[Value, ...]] = [
            (self._member_name(list_id, member.profile.identifier),)
            for member, _ in members
            if member.entry.status is Status.REVOKED
        ]
        await self._rows.many(_REVOKED, revoked)
