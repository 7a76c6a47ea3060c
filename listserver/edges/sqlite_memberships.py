"""Which lists somebody is in, and the newest profile of all of them: the rows and their SQL.

Who steals the store mustn't learn that members of two lists are one person (spec §7). So these rows
have names of their own, and the lists stand in them sealed, filled up to one of few lengths.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from listserver.edges.sqlite_groups import GroupTables
from listserver.edges.sqlite_rows import Value, octets
from listserver.model import EntryRow, KnownProfile, ListId
from recrypt_core.documents import VerifiedProfile
from recrypt_core.encoding import write_json
from recrypt_core.members import Member
from recrypt_core.udf import Udf
from recrypt_core.wire import from_json, to_json

_AT_ONCE: Final = 500  # names in one query
_LEAST_OCTETS: Final = 512  # of a row before it is sealed: ten lists; then twice as many
_FIND: Final = "SELECT profile_name, sealed FROM memberships"
_PUT: Final = (
    "INSERT INTO memberships (profile_name, sealed) VALUES (?, ?)"
    " ON CONFLICT (profile_name) DO UPDATE SET sealed = excluded.sealed"
)


class MembershipTables(GroupTables):
    """The part of `Work` that finds somebody in all lists at once."""

    async def known_profile(self, identifier: Udf) -> KnownProfile | None:
        name = self._membership_name(identifier)
        found = await self._rows.all(f"{_FIND} WHERE profile_name = ?", (name,))
        other = await self._rows.all(f"{_FIND} LIMIT 1")  # for a stranger's time
        read = [self._read_membership(*row) for row in found or other]
        return read[0] if found else None

    async def put_members(
        self, list_id: ListId, members: Sequence[tuple[Member, Sequence[EntryRow]]]
    ) -> None:
        await super().put_members(list_id, members)
        await self._note([(list_id, member.profile) for member, _ in members])

    # --- rows

    async def _note(self, found: Sequence[tuple[ListId, VerifiedProfile]]) -> None:
        """Note that these are the profiles of members of these lists."""
        names = [self._membership_name(profile.identifier) for _, profile in found]
        rows = await self._in_parts(f"{_FIND} WHERE profile_name IN ", tuple(set(names)))

        def merged() -> list[tuple[Value, ...]]:
            before = {octets(row[0]): self._read_membership(*row) for row in rows}
            after = dict(before)
            for name, (list_id, profile) in zip(names, found, strict=True):
                after[name] = _with_list(after.get(name), list_id, profile)
            changed = [each for each in after.items() if before.get(each[0]) != each[1]]
            return [(name, self._sealed_membership(name, known)) for name, known in changed]

        await self._rows.many(_PUT, await asyncio.to_thread(merged))

    async def _in_parts(self, query: str, names: tuple[bytes, ...]) -> list[tuple[Value, ...]]:
        """Ask about names, so many at a time."""
        found: list[tuple[Value, ...]] = []
        for at in range(0, len(names), _AT_ONCE):
            part = names[at : at + _AT_ONCE]
            found += await self._rows.all(f"{query}({', '.join('?' * len(part))})", part)
        return found

    def _membership_name(self, identifier: Udf) -> bytes:
        return self._vault.name("membership", identifier)

    def _read_membership(self, name: Value, sealed: Value) -> KnownProfile:
        return from_json(KnownProfile, self._opened("memberships", sealed, octets(name)))

    def _sealed_membership(self, name: bytes, known: KnownProfile) -> bytes:
        text = write_json(to_json(known))
        length = _LEAST_OCTETS
        while length < len(text):
            length *= 2
        return self._vault.seal("memberships", text.ljust(length), row=name)


def _with_list(
    known: KnownProfile | None, list_id: ListId, profile: VerifiedProfile
) -> KnownProfile:
    lists = tuple(sorted({list_id, *(known.lists if known else ())}))
    if known is not None and known.updated >= profile.profile.updated:
        return KnownProfile(
            lists=lists, updated=known.updated, signed=known.signed, keys=known.keys
        )
    return KnownProfile(
        lists=lists,
        updated=profile.profile.updated,
        signed=profile.signed.hash,
        keys=tuple(key.udf for key in profile.signature_keys),
    )
