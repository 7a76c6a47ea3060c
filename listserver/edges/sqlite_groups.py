"""Authorisations, lists, chains, members and their halves: the rows and their SQL."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Final, TypeAlias

from listserver.edges.sqlite_rows import Rows, Value, number, octets
from listserver.model import EntryRow, Half, ListId, StoredList
from listserver.vault import Vault
from recrypt_core.agreement import Split
from recrypt_core.chain import GroupState, Member
from recrypt_core.documents import (
    Head,
    MemberEntry,
    Policy,
    Privilege,
    RecryptionGroup,
    VerifiedProfile,
    past_group_key,
    verified_group_key,
    verified_master,
    verified_profile,
)
from recrypt_core.encoding import (
    JsonObject,
    read_b64url,
    read_json,
    read_object,
    read_text,
    write_b64url,
    write_json,
)
from recrypt_core.errors import Malformed
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.signing import Jws
from recrypt_core.udf import Udf, read_udf
from recrypt_core.wire import from_json, to_json

ROW_OCTETS: Final = 64 * 2**20  # of a sealed row opened: our own writing, bounded all the same
_LISTS_KEPT: Final = 500  # ours: read and verified, some 20 KiB each
_MEMBER: Final = "SELECT sealed, name FROM members WHERE list_id = ?"
_ROW: Final = "a row"
_HALVES: Final = (
    "SELECT m.name, e.sealed, e.half_name FROM entries e JOIN members m ON m.id = e.member_id"
    " WHERE m.name"
)

Lists: TypeAlias = dict[int, tuple[bytes, StoredList]]
"""Lists that were read and verified, each beside its sealed row: good while the row is the same."""


class GroupTables:
    """The part of `Work` that groups use."""

    def __init__(self, rows: Rows, vault: Vault, lists: Lists) -> None:
        self._rows = rows
        self._vault = vault
        self._lists = lists
        self.erased = False
        """Whether an r was erased."""

    # --- who may create groups

    async def authorize(self, profile: VerifiedProfile) -> None:
        await self.deauthorize(profile.identifier)
        name = self._vault.name("profile", profile.identifier)
        for key in profile.signature_keys:
            kid = self._vault.name("authorized", key.udf)
            sealed = self._vault.seal("authorized", write_json(profile.signed.json()), row=kid)
            await self._rows.run("INSERT INTO authorized VALUES (?, ?, ?)", (name, kid, sealed))

    async def deauthorize(self, identifier: Udf) -> bool:
        name = self._vault.name("profile", identifier)
        return await self._rows.run("DELETE FROM authorized WHERE profile_name = ?", (name,)) > 0

    async def authorized(self, kid: Udf) -> VerifiedProfile | None:
        name = self._vault.name("authorized", kid)
        found = await self._rows.all("SELECT sealed FROM authorized WHERE kid_name = ?", (name,))
        if not found:
            return None
        return verified_profile(from_json(Jws, self._opened("authorized", found[0][0], name)))

    async def had_nonce(self, signer: Udf, nonce: bytes) -> bool:
        name = self._nonce_name(signer, nonce)
        return bool(await self._rows.all("SELECT 1 FROM nonces WHERE nonce_name = ?", (name,)))

    async def take_nonce(
        self, signer: Udf, nonce: bytes, *, until: datetime, now: datetime
    ) -> bool:
        name = self._nonce_name(signer, nonce)
        await self._rows.run("DELETE FROM nonces WHERE until < ?", (_seconds(now),))
        taken = await self._rows.run(
            "INSERT OR IGNORE INTO nonces VALUES (?, ?)", (name, _seconds(until))
        )
        return taken == 1

    # --- lists

    async def find_list(self, group: str) -> StoredList | None:
        found = await self._rows.all(
            "SELECT id, sealed, group_name FROM lists WHERE name = ? OR group_name = ?",
            (self._vault.name("list", group.lower()), self._vault.name("group", group)),
        )
        if not found:
            return None
        list_id, sealed, name = number(found[0][0]), octets(found[0][1]), octets(found[0][2])
        row, known = self._lists.get(list_id, (b"", None))
        if known is None or row != sealed:
            known = _read_list(ListId(list_id), self._opened("lists", sealed, name))
            if len(self._lists) >= _LISTS_KEPT:
                self._lists.clear()
            self._lists[list_id] = (sealed, known)
        return known

    async def with_signer(self, stored: StoredList, kid: Udf) -> StoredList:
        found = await self._rows.all(f"{_MEMBER} AND powerful", (stored.id,))
        members = await self._read_members([*found, *await self._signing_rows(stored.id, kid)])
        mapping = MappingProxyType({each.profile.identifier: each for each in members})
        return replace(stored, state=replace(stored.state, members=mapping))

    async def signing_member(self, stored: StoredList, kid: Udf) -> Member | None:
        rows = await self._signing_rows(stored.id, kid)
        members = await self._read_members(rows[:1])
        return next((each for each in members if each.profile.signature_key(kid)), None)

    async def create_list(self, state: GroupState, change: Jws, secret: bytes) -> ListId:
        name = self._vault.name("group", state.identifier)
        sealed = self._vault.seal("lists", _write_list(state, secret), row=name)
        list_id = ListId(
            await self._rows.insert(
                "INSERT INTO lists (name, group_name, head_seq, sealed) VALUES (?, ?, ?, ?)",
                (self._vault.name("list", state.name.lower()), name, state.head.seq, sealed),
            )
        )
        await self._put_change(list_id, state.head.seq, change)
        return list_id

    async def append_change(self, stored: StoredList, state: GroupState, change: Jws) -> bool:
        name = self._vault.name("group", state.identifier)
        sealed = self._vault.seal("lists", _write_list(state, stored.secret), row=name)
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
        fitting = await self._fitting(page, (list_id, after, limit), octets)
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
        await self._rows.many(
            "INSERT INTO members (list_id, name, served, powerful, sealed) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE"
            " SET served = excluded.served, powerful = excluded.powerful, sealed = excluded.sealed",
            [each.row for each in made],
        )
        await self._rows.many(
            "DELETE FROM signers WHERE member_id = (SELECT id FROM members WHERE name = ?)", names
        )
        await self._rows.many(
            "INSERT INTO signers (kid_name, member_id)"
            " VALUES (?, (SELECT id FROM members WHERE name = ?))",
            [row for each in made for row in each.signers],
        )
        ended = await self._rows.many(
            "DELETE FROM entries WHERE member_id = (SELECT id FROM members WHERE name = ?)", names
        )
        self.erased = self.erased or ended > 0
        await self._rows.many(
            "INSERT INTO entries (key_name, half_name, own_octets, sealed, member_id)"
            " VALUES (?, ?, ?, ?, (SELECT id FROM members WHERE name = ?))",
            [row for each in made for row in each.entries],
        )

    async def take_halves(self, member_keys: Collection[Udf]) -> bool:
        rows = [(self._vault.name("half", each),) for each in member_keys]
        taken = await self._rows.many("INSERT OR IGNORE INTO halves_seen VALUES (?)", rows)
        return taken == len(rows)

    async def members_after(
        self, list_id: ListId, after: Udf | None, limit: int, *, octets: int
    ) -> tuple[tuple[MemberEntry, ...], bool]:
        start = b"" if after is None else self._member_name(list_id, after)
        page = "FROM members WHERE list_id = ? AND name > ? ORDER BY name LIMIT ?"
        fitting = await self._fitting(page, (list_id, start, limit), octets)
        found = await self._rows.all(f"SELECT sealed, name {page}", (list_id, start, fitting))
        more = await self._rows.all(f"SELECT 1 {page} OFFSET ?", (list_id, start, 1, fitting))
        return await asyncio.to_thread(
            lambda: tuple(self._read_entry(sealed, name) for sealed, name in found)
        ), bool(more)

    # --- rows

    async def _signing_rows(self, list_id: ListId, kid: Udf) -> list[tuple[Value, ...]]:
        """Find the members with a signature key; where there is none, another for its time."""
        found = await self._rows.all(
            "SELECT m.sealed, m.name FROM signers s JOIN members m ON m.id = s.member_id"
            " WHERE s.kid_name = ?",
            (self._signer_name(list_id, kid),),
        )
        other = await self._rows.all(f"{_MEMBER} AND powerful LIMIT 1", (list_id,))
        return found or other

    async def _fitting(self, page: str, values: tuple[Value, ...], octets: int) -> int:
        """Count the rows of a page with which about so many octets are full."""
        lengths = await self._rows.all(f"SELECT length(sealed) {page}", values)
        count = 0
        while count < len(lengths) and octets > 0:
            octets -= number(lengths[count][0])
            count += 1
        return count

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
            (list_id, name, int(member.may(Privilege.RECRYPT)), int(powerful), sealed),
            [(kid, name) for kid in kids],
            [(*self._entry_row(each), name) for each in entries],
        )

    def _entry_row(self, row: EntryRow) -> tuple[Value, ...]:
        half = row.half
        name = self._vault.name("half", half.member_key)
        sealed = self._vault.seal("entries", _write_half(half), row=name)
        return (self._vault.name("key", half.group_key), name, row.own_octets, sealed)

    async def _read_members(self, rows: Iterable[tuple[Value, ...]]) -> tuple[Member, ...]:
        """Read members, in a thread: a row takes a millisecond."""

        def read() -> tuple[Member, ...]:
            entries = [self._read_entry(sealed, name) for sealed, name in rows]
            return tuple(Member(each, verified_profile(each.profile)) for each in entries)

        return await asyncio.to_thread(read)

    def _read_halves(self, rows: Iterable[tuple[Value, ...]]) -> defaultdict[bytes, list[Half]]:
        """Read halves, by the names of their members."""
        halves: defaultdict[bytes, list[Half]] = defaultdict(list)
        for member, sealed, name in rows:
            halves[octets(member)].append(read_half(self._vault, octets(sealed), octets(name)))
        return halves

    def _read_entry(self, sealed: Value, name: Value) -> MemberEntry:
        return from_json(MemberEntry, self._opened("members", sealed, octets(name)))

    def _opened(self, table: str, sealed: Value, row: bytes) -> JsonObject:
        return read_json(self._vault.unseal(table, octets(sealed), row=row), limit=ROW_OCTETS)

    def _nonce_name(self, signer: Udf, nonce: bytes) -> bytes:
        return self._vault.name("nonce", signer, write_b64url(nonce))

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


def read_half(vault: Vault, sealed: bytes, name: bytes) -> Half:
    """Open the row of an entry."""
    row = read_json(vault.unseal("entries", sealed, row=name), limit=ROW_OCTETS)
    return Half(
        address=read_text(row, "address", what=_ROW),
        group_key=read_udf(read_text(row, "group_key", what=_ROW)),
        member_key=read_udf(read_text(row, "member_key", what=_ROW)),
        split=Split(row["split"]),
        recryption=PrivateKey(Curve(row["curve"]), read_b64url(read_text(row, "r", what=_ROW))),
        decryption_key=read_text(row, "decryption_key", what=_ROW).encode(),
    )


def _write_half(half: Half) -> bytes:
    return write_json(
        {
            "address": half.address,
            "group_key": half.group_key,
            "member_key": half.member_key,
            "split": half.split.value,
            "curve": half.recryption.curve.value,
            "r": write_b64url(half.recryption.to_secret_bytes()),
            "decryption_key": half.decryption_key.decode(),
        }
    )


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
        members=MappingProxyType({}),
        head=from_json(Head, read_object(row["head"], what=_ROW)),
    )
    return StoredList(list_id, state, read_b64url(read_text(row, "secret", what=_ROW)))


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
