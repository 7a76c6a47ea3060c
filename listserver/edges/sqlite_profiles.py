"""Newer profiles that members sent themselves, and who signs by which: the rows and their SQL."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from listserver.edges.sqlite_memberships import MembershipTables
from listserver.edges.sqlite_rows import Value, number, octets
from listserver.model import EntryRow, ListId, StoredList
from recrypt_core.documents import VerifiedProfile, kept_profile
from recrypt_core.encoding import write_json
from recrypt_core.errors import Malformed, NotAuthentic
from recrypt_core.members import Member, Members
from recrypt_core.signing import Jws
from recrypt_core.udf import Udf
from recrypt_core.wire import from_json

_POWERFUL: Final = (
    "SELECT sealed, name FROM members WHERE list_id = ? AND powerful AND active IS NOT 0"
)
# A served member comes first, and before who sent a profile with somebody else's key in it, whom
# the chain has with that key.
_BY_CHAIN: Final = (
    "SELECT m.sealed, m.name FROM signers s JOIN members m ON m.id = s.member_id"
    " WHERE s.kid_name = ? ORDER BY m.served DESC"
)
_BY_NEWEST: Final = (
    "SELECT m.sealed, m.name FROM"
    " (SELECT member_id, 0 AS is_newer FROM signers s WHERE kid_name = ?1"
    " AND NOT EXISTS (SELECT 1 FROM profiles p WHERE p.member_id = s.member_id)"
    " UNION ALL SELECT member_id, 1 FROM newer_signers WHERE kid_name = ?1) k"
    " JOIN members m ON m.id = k.member_id ORDER BY m.served DESC, k.is_newer"
)
# Whom the chain has with a key comes first, whatever its status and whoever lists it later; where
# two have it still, or where its owner has withdrawn it, nobody is proven by it.
_SOLE: Final = (
    "WITH chain AS (SELECT member_id FROM signers WHERE kid_name = ?1),"
    " newer AS (SELECT member_id FROM newer_signers WHERE kid_name = ?1),"
    " found AS (SELECT member_id FROM chain c WHERE c.member_id IN newer"
    " OR NOT EXISTS (SELECT 1 FROM profiles p WHERE p.member_id = c.member_id)"
    " UNION SELECT member_id FROM newer WHERE NOT EXISTS (SELECT 1 FROM chain))"
    " SELECT m.sealed, m.name FROM found f JOIN members m ON m.id = f.member_id"
    " WHERE (SELECT count(*) FROM found) = 1"
)
_NEWER: Final = (
    "SELECT m.name, p.sealed FROM profiles p JOIN members m ON m.id = p.member_id WHERE m.name IN "
)
_UNNOTED: Final = "SELECT sealed, name, list_id FROM members WHERE noted IS NULL LIMIT ?"
_NOTED: Final = "UPDATE members SET noted = 1 WHERE name = ?"
_KEEP: Final = (
    "INSERT INTO profiles (sealed, member_id) VALUES (?, (SELECT id FROM members WHERE name = ?))"
    " ON CONFLICT (member_id) DO UPDATE SET sealed = excluded.sealed"
)
_KEEP_SIGNER: Final = (
    "INSERT INTO newer_signers (kid_name, member_id)"
    " VALUES (?, (SELECT id FROM members WHERE name = ?))"
)
_FORGET: Final = (
    "DELETE FROM profiles WHERE member_id = (SELECT id FROM members WHERE name = ?)",
    "DELETE FROM newer_signers WHERE member_id = (SELECT id FROM members WHERE name = ?)",
)


class ProfileTables(MembershipTables):
    """The part of `Work` in which a newer profile counts."""

    async def with_signer(
        self, stored: StoredList, kid: Udf, *, newest: bool = False
    ) -> StoredList:
        powerful = await self._rows.all(_POWERFUL, (stored.id,))
        signing = await self._signing_rows(stored.id, kid, _BY_NEWEST if newest else _BY_CHAIN)
        read = self._newest_members if newest else self._read_members
        members = await read([*powerful, *signing])
        return replace(stored, state=replace(stored.state, members=Members(members)))

    async def signing_member(self, stored: StoredList, kid: Udf) -> Member | None:
        found, other = await self._found_and_other(stored.id, kid, _SOLE)
        members = await self._newest_members(found or other)
        return members[0] if found else None

    async def newest_profiles(self, identifier: Udf) -> Mapping[ListId, VerifiedProfile]:
        known = await self.known_profile(identifier)
        lists = () if known is None else known.lists
        names = {self._member_name(each, identifier): each for each in lists}
        rows = await self._in_parts("SELECT sealed, name FROM members WHERE name IN ", tuple(names))
        members = await self._newest_members(rows)
        return {
            names[octets(name)]: member.profile
            for (_, name), member in zip(rows, members, strict=True)
        }

    async def put_profile(self, list_id: ListId, profile: VerifiedProfile) -> None:
        name = self._member_name(list_id, profile.identifier)
        sealed = self._vault.seal("profiles", write_json(profile.signed.json()), row=name)
        await self._rows.many(_FORGET[1], [(name,)])
        await self._rows.many(_KEEP, [(sealed, name)])
        kids = {self._signer_name(list_id, key.udf) for key in profile.signature_keys}
        await self._rows.many(_KEEP_SIGNER, [(kid, name) for kid in kids])
        await self._note([(list_id, profile)])

    async def newer_profiles(
        self, list_id: ListId, members: Collection[Udf]
    ) -> Mapping[Udf, VerifiedProfile]:
        names = tuple(self._member_name(list_id, udf) for udf in members)
        newer = await self._newer(names)
        found = await asyncio.to_thread(
            lambda: [
                kept_profile(from_json(Jws, self._opened("profiles", sealed, name)))
                for name, sealed in newer.items()
            ]
        )
        return {each.identifier: each for each in found}

    async def put_members(
        self, list_id: ListId, members: Sequence[tuple[Member, Sequence[EntryRow]]]
    ) -> None:
        await super().put_members(list_id, members)
        stated = {member.profile.identifier: member.profile.profile for member, _ in members}
        newer = await self.newer_profiles(list_id, stated)
        caught_up = [
            (self._member_name(list_id, udf),)
            for udf, each in newer.items()
            if each.profile.updated <= stated[udf].updated
        ]
        for statement in _FORGET:
            await self._rows.many(statement, caught_up)

    async def note_members(self, limit: int) -> int:
        found = await self._rows.all(_UNNOTED, (limit,))
        noted: list[tuple[ListId, VerifiedProfile]] = []
        for sealed, name, list_id in found:
            with suppress(NotAuthentic, Malformed):  # who can't be read is found nowhere
                (member,) = await self._newest_members([(sealed, name)])
                noted.append((ListId(number(list_id)), member.profile))
        await self._note(noted)
        await self._rows.many(_NOTED, [(name,) for _, name, _ in found])
        return len(found)

    # --- rows

    async def _signing_rows(self, list_id: ListId, kid: Udf, query: str) -> list[tuple[Value, ...]]:
        """Find the members with a signature key; where there is none, another for its time."""
        found, other = await self._found_and_other(list_id, kid, query)
        return found or other

    async def _found_and_other(
        self, list_id: ListId, kid: Udf, query: str
    ) -> tuple[list[tuple[Value, ...]], list[tuple[Value, ...]]]:
        found = await self._rows.all(query, (self._signer_name(list_id, kid),))
        return found, await self._rows.all(f"{_POWERFUL} LIMIT 1", (list_id,))

    async def _newest_members(self, rows: Sequence[tuple[Value, ...]]) -> tuple[Member, ...]:
        """Read members with their newest profiles."""
        newer = await self._newer(tuple(octets(name) for _, name in rows))
        return await self._read_members(rows, newer)

    async def _newer(self, names: tuple[bytes, ...]) -> dict[bytes, bytes]:
        found = await self._in_parts(_NEWER, names)
        return {octets(name): octets(sealed) for name, sealed in found}
