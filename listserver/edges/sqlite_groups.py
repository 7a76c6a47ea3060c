"""Lists, chains, members and their halves: the rows and their SQL."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from listserver.edges.sqlite_halves import read_half, seal_half
from listserver.edges.sqlite_rows import Value, number, octets
from listserver.edges.sqlite_signers import SignerTables
from listserver.model import EntryRow, Half, ListId, StoredList
from recrypt_core.chain import GroupState
from recrypt_core.documents import (
    Head,
    MemberEntry,
    Privilege,
    RecryptionGroup,
    Status,
    kept_profile,
    past_group_key,
    verified_group_key,
    verified_master,
)
from recrypt_core.encoding import (
    JsonObject,
    read_b64url,
    read_object,
    read_text,
    write_b64url,
    write_json,
)
from recrypt_core.errors import Malformed
from recrypt_core.members import Member, Members
from recrypt_core.policy import Policy
from recrypt_core.signing import Jws
from recrypt_core.udf import Udf
from recrypt_core.wire import from_json, to_json

_MEMBER: Final = "SELECT sealed, name FROM members WHERE list_id = ?"
_MEMBER_LENGTHS: Final = (
    "SELECT length(m.sealed) + coalesce(length(p.sealed), 0)"
    " FROM members m LEFT JOIN profiles p ON p.member_id = m.id"
    " WHERE m.list_id = ? AND m.name > ? ORDER BY m.name LIMIT ?"
)
_LACKING: Final = (
    "SELECT count(*) FROM members m WHERE m.list_id = ? AND m.active AND NOT EXISTS"
    " (SELECT 1 FROM entries e WHERE e.key_name = ? AND e.member_id = m.id)"
)
_UNLEARNT: Final = "SELECT sealed, name FROM members WHERE list_id = ? AND active IS NULL"
_PUT_MEMBER: Final = (
    "INSERT INTO members (list_id, name, served, powerful, active, sealed, noted)"
    " VALUES (?, ?, ?, ?, ?, ?, 1)"
    " ON CONFLICT (name) DO UPDATE"
    " SET served = excluded.served, powerful = excluded.powerful, active = excluded.active,"
    " sealed = excluded.sealed"
)
_END_SIGNERS: Final = (
    "DELETE FROM signers WHERE member_id = (SELECT id FROM members WHERE name = ?)"
)
_END_ENTRIES: Final = (
    "DELETE FROM entries WHERE member_id = (SELECT id FROM members WHERE name = ?)"
)
_ROW: Final = "a row"
_BY_NAME: Final = "SELECT id, sealed, group_name FROM lists WHERE name = ?"
_BY_IDENTIFIER: Final = "SELECT id, sealed, group_name FROM lists WHERE group_name = ?"
_HALVES: Final = (
    "SELECT m.name, e.sealed, e.half_name FROM entries e JOIN members m ON m.id = e.member_id"
    " WHERE m.name"
)


class GroupTables(SignerTables):
    """The part of `Work` that groups use."""

    async def find_list(self, group: str) -> StoredList | None:
        if "@" in group:  # a GroupName has one, an Identifier hasn't
            found = await self._rows.all(_BY_NAME, (self._vault.name("list", group.lower()),))
        else:
            found = await self._rows.all(_BY_IDENTIFIER, (self._vault.name("group", group),))
        return await self._read_known(*found[0]) if found else None

    async def list_of(self, list_id: ListId) -> StoredList:
        """Read the list of a row."""
        found = await self._rows.all(
            "SELECT id, sealed, group_name FROM lists WHERE id = ?", (list_id,)
        )
        return await self._read_known(*found[0])

    async def _read_known(self, id_: Value, sealed_: Value, name_: Value) -> StoredList:
        list_id, sealed, name = ListId(number(id_)), octets(sealed_), octets(name_)
        known = self._lists.get(name, sealed)
        if known is None:
            known = await asyncio.to_thread(
                lambda: _read_list(list_id, self._opened("lists", sealed, name))
            )
            self._lists.put(name, sealed, known)
        return known

    async def create_list(
        self, state: GroupState, change: Jws, secret: bytes, *, founder: Udf
    ) -> ListId:
        name, sealed = await asyncio.to_thread(self._list_row, state, secret)
        list_id = ListId(
            await self._rows.insert(
                "INSERT INTO lists (name, group_name, head_seq, sealed) VALUES (?, ?, ?, ?)",
                (self._vault.name("list", state.name.lower()), name, state.head.seq, sealed),
            )
        )
        await self._put_change(list_id, state.head.seq, change)
        await self._rows.run(
            "INSERT INTO founders VALUES (?, 1)"
            " ON CONFLICT (profile_name) DO UPDATE SET lists = lists + 1",
            (self._vault.name("profile", founder),),
        )
        return list_id

    async def append_change(self, stored: StoredList, state: GroupState, change: Jws) -> bool:
        _, sealed = await asyncio.to_thread(self._list_row, state, stored.secret)
        moved = await self._rows.run(
            "UPDATE lists SET head_seq = ?, sealed = ? WHERE id = ? AND head_seq = ?",
            (state.head.seq, sealed, stored.id, stored.state.head.seq),
        )
        if moved:
            await self._put_change(stored.id, state.head.seq, change)
        return moved == 1

    async def changes_after(
        self, list_id: ListId, after: int, limit: int, *, octets: int
    ) -> tuple[Jws, ...]:
        page = "FROM changes WHERE list_id = ? AND seq > ? ORDER BY seq LIMIT ?"
        lengths = f"SELECT length(sealed) {page}"
        fitting = await self._fitting(lengths, (list_id, after, limit), octets)
        found = await self._rows.all(f"SELECT sealed, seq {page}", (list_id, after, fitting))
        return tuple(
            from_json(Jws, self._opened("changes", sealed, self._change_row(list_id, number(seq))))
            for sealed, seq in found
        )

    # --- members

    async def named(
        self, list_id: ListId, members: Collection[Udf]
    ) -> tuple[tuple[Member, tuple[Half, ...]], ...]:
        names = [self._member_name(list_id, udf) for udf in members]
        given = f"({', '.join('?' * len(names))})"
        found = await self._rows.all(f"{_MEMBER} AND name IN {given}", (list_id, *names))
        entries = await self._rows.all(f"{_HALVES} IN {given}", tuple(names))
        read = await self._read_members(found)
        halves = await asyncio.to_thread(self._read_halves, entries)
        return tuple(
            (member, tuple(halves[octets(name)]))
            for member, (_, name) in zip(read, found, strict=True)
        )

    async def put_members(
        self, list_id: ListId, members: Sequence[tuple[Member, Sequence[EntryRow]]]
    ) -> None:
        made = await asyncio.to_thread(
            lambda: [self._member_rows(list_id, member, entries) for member, entries in members]
        )
        names = [(each.row[1],) for each in made]
        await self._rows.many(_PUT_MEMBER, [each.row for each in made])
        await self._rows.many(_END_SIGNERS, names)
        await self._rows.many(
            "INSERT INTO signers (kid_name, member_id)"
            " VALUES (?, (SELECT id FROM members WHERE name = ?))",
            [row for each in made for row in each.signers],
        )
        ended = await self._rows.many(_END_ENTRIES, names)
        self.erased = self.erased or ended > 0
        await self._rows.many(
            "INSERT INTO entries (key_name, half_name, own_octets, sealed, member_id)"
            " VALUES (?, ?, ?, ?, (SELECT id FROM members WHERE name = ?))",
            [row for each in made for row in each.entries],
        )

    async def undeliverable(self, list_id: ListId, members: Collection[Udf]) -> frozenset[Udf]:
        off = await self._rows.all(
            "SELECT name FROM members WHERE list_id = ? AND off IS NOT NULL", (list_id,)
        )
        names = {octets(row[0]) for row in off}
        return frozenset(udf for udf in members if self._member_name(list_id, udf) in names)

    async def take_halves(self, member_keys: Collection[Udf]) -> bool:
        rows = [(self._vault.name("half", each),) for each in member_keys]
        taken = await self._rows.many("INSERT OR IGNORE INTO halves_seen VALUES (?)", rows)
        return taken == len(rows)

    async def members_after(
        self, list_id: ListId, after: Udf | None, limit: int, *, octets: int
    ) -> tuple[tuple[MemberEntry, ...], bool]:
        start = b"" if after is None else self._member_name(list_id, after)
        page = "FROM members WHERE list_id = ? AND name > ? ORDER BY name LIMIT ?"
        fitting = await self._fitting(_MEMBER_LENGTHS, (list_id, start, limit), octets)
        found = await self._rows.all(f"SELECT sealed, name {page}", (list_id, start, fitting))
        more = await self._rows.all(f"SELECT 1 {page} OFFSET ?", (list_id, start, 1, fitting))
        return await asyncio.to_thread(
            lambda: tuple(self._read_entry(sealed, name) for sealed, name in found)
        ), bool(more)

    async def lacking(self, list_id: ListId, key: Udf) -> int:
        unlearnt = await self._rows.all(_UNLEARNT, (list_id,))
        learnt = [
            (int(self._read_entry(sealed, name).status is Status.ACTIVE), name)
            for sealed, name in unlearnt
        ]
        await self._rows.many("UPDATE members SET active = ? WHERE name = ?", learnt)
        found = await self._rows.all(_LACKING, (list_id, self._vault.name("key", key)))
        return number(found[0][0])

    # --- rows

    async def _fitting(self, page: str, values: tuple[Value, ...], octets: int) -> int:
        """Count the rows of a page of lengths with which about so many octets are full."""
        lengths = await self._rows.all(page, values)
        count = 0
        while count < len(lengths) and octets > 0:
            octets -= number(lengths[count][0])
            count += 1
        return count

    def _list_row(self, state: GroupState, secret: bytes) -> tuple[bytes, bytes]:
        """Name and seal a list's row: its AdministratorKeys may be large."""
        name = self._vault.name("group", state.identifier)
        return name, self._vault.seal("lists", _write_list(state, secret), row=name)

    async def _put_change(self, list_id: ListId, seq: int, change: Jws) -> None:
        row = self._change_row(list_id, seq)
        sealed = self._vault.seal("changes", write_json(change.json()), row=row)
        await self._rows.run("INSERT INTO changes VALUES (?, ?, ?)", (list_id, seq, sealed))

    def _member_rows(
        self, list_id: ListId, member: Member, entries: Sequence[EntryRow]
    ) -> "_MemberRows":
        name = self._member_name(list_id, member.profile.identifier)
        powerful = not {Privilege.ADMIN, Privilege.SUPER}.isdisjoint(member.entry.privileges)
        sealed = self._vault.seal("members", write_json(to_json(member.entry)), row=name)
        kids = {self._signer_name(list_id, key.udf) for key in member.profile.signature_keys}
        return _MemberRows(
            (
                list_id,
                name,
                int(member.may(Privilege.RECRYPT)),
                int(powerful),
                int(member.is_active),
                sealed,
            ),
            [(kid, name) for kid in kids],
            [(*self._entry_row(each), name) for each in entries],
        )

    def _entry_row(self, row: EntryRow) -> tuple[Value, ...]:
        half = row.half
        name = self._vault.name("half", half.member_key)
        sealed = seal_half(self._vault, half, name)
        return (self._vault.name("key", half.group_key), name, row.own_octets, sealed)

    async def _read_members(
        self, rows: Sequence[tuple[Value, ...]], newer: Mapping[bytes, bytes] = MappingProxyType({})
    ) -> tuple[Member, ...]:
        """Read members, in a thread those that aren't known: a row takes a third of a millisecond.

        newer: By names, rows of profiles that take the place of those that the chain carries.
        """
        whole = {
            octets(name): octets(sealed) + newer.get(octets(name), b"") for sealed, name in rows
        }
        kept = {name: self._members.get(name, row) for name, row in whole.items()}
        found = {name: member for name, member in kept.items() if member is not None}
        unknown = [each for each in rows if octets(each[1]) not in found]
        if unknown:
            read = await asyncio.to_thread(
                lambda: [self._member(sealed, name, newer) for sealed, name in unknown]
            )
            for name, member in read:
                found[name] = member
                self._members.put(name, whole[name], member)
        return tuple(found[octets(name)] for _, name in rows)

    def _member(
        self, sealed: Value, name_: Value, newer: Mapping[bytes, bytes]
    ) -> tuple[bytes, Member]:
        """Read a member, beside its name."""
        entry, name = self._read_entry(sealed, name_), octets(name_)
        stated = kept_profile(entry.profile)
        if name not in newer:
            return name, Member(entry, stated)
        account = entry.account_name or stated.profile.accounts[0]
        newest = from_json(Jws, self._opened("profiles", newer[name], name))
        return name, Member(entry.addressed(account), kept_profile(newest))

    def _read_halves(self, rows: Iterable[tuple[Value, ...]]) -> defaultdict[bytes, list[Half]]:
        """Read halves, by the names of their members."""
        halves: defaultdict[bytes, list[Half]] = defaultdict(list)
        for member, sealed, name in rows:
            halves[octets(member)].append(read_half(self._vault, octets(sealed), octets(name)))
        return halves

    def _read_entry(self, sealed: Value, name: Value) -> MemberEntry:
        return from_json(MemberEntry, self._opened("members", sealed, octets(name)))

    def _member_name(self, list_id: ListId, udf: Udf) -> bytes:
        return self._vault.name("member", str(list_id), udf)

    def _signer_name(self, list_id: ListId, kid: Udf) -> bytes:
        return self._vault.name("signer", str(list_id), kid)

    def _change_row(self, list_id: ListId, seq: int) -> bytes:
        return f"{list_id}:{seq}".encode("ascii")


@dataclass(frozen=True, slots=True)
class _MemberRows:
    """A member's rows: its own, with its name in the second place; the others end with the name."""

    row: tuple[Value, ...]
    signers: list[tuple[Value, ...]]
    entries: list[tuple[Value, ...]]


def _write_list(state: GroupState, secret: bytes) -> bytes:
    """Write a list's row: its group as a document, the head of its chain, its secret."""
    head: JsonObject = {"seq": state.head.seq, "hash": state.head.hash}
    return write_json(
        {"group": to_json(state.document()), "head": head, "secret": write_b64url(secret)}
    )


def _read_list(list_id: ListId, row: JsonObject) -> StoredList:
    group = from_json(RecryptionGroup, read_object(row["group"], what=_ROW))
    if group.master is None or group.current_encryption_key is None:
        raise Malformed("a list's row without Master or CurrentEncryptionKey")
    master = verified_master(group.master, group.group_name)
    state = GroupState(
        name=group.group_name,
        master=master,
        key=verified_group_key(group.current_encryption_key, master),
        past_keys=tuple(past_group_key(key) for key in group.past_encryption_keys),
        administrator_keys=group.administrator_keys or (),
        policy=group.policy or Policy(),
        members=Members(),
        head=from_json(Head, read_object(row["head"], what=_ROW)),
    )
    return StoredList(list_id, state, read_b64url(read_text(row, "secret", what=_ROW)))
