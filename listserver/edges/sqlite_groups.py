"""Authorisations, lists, chains, members and their halves: the rows and their SQL."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Final

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
    verified_group_key,
    verified_master,
    verified_profile,
)
from recrypt_core.encoding import JsonObject, read_b64url, read_json, write_b64url, write_json
from recrypt_core.errors import Malformed
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.signing import Jws
from recrypt_core.udf import Udf, read_udf
from recrypt_core.wire import from_json, to_json

ROW_OCTETS: Final = 64 * 2**20  # of a sealed row opened: our own writing, bounded all the same
_MEMBER: Final = "SELECT sealed, name FROM members WHERE list_id = ?"


class GroupTables:
    """The part of `Work` that groups use."""

    def __init__(self, rows: Rows, vault: Vault) -> None:
        self._rows = rows
        self._vault = vault
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
        list_id, sealed, name = found[0]
        return _read_list(ListId(number(list_id)), self._opened("lists", sealed, octets(name)))

    async def with_members(
        self, stored: StoredList, *, named: Collection[Udf], signer: Udf | None
    ) -> StoredList:
        found = await self._rows.all(f"{_MEMBER} AND powerful", (stored.id,))
        for udf in named:
            name = self._member_name(stored.id, udf)
            found += await self._rows.all(f"{_MEMBER} AND name = ?", (stored.id, name))
        if signer is not None:
            found += await self._signing_rows(stored.id, signer)
        members = [self._read_member(*row) for row in found]
        mapping = MappingProxyType({each.profile.identifier: each for each in members})
        return replace(stored, state=replace(stored.state, members=mapping))

    async def signing_member(self, stored: StoredList, kid: Udf) -> Member | None:
        found = await self._signing_rows(stored.id, kid)
        return self._read_member(*found[0]) if found else None

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
        self, list_id: ListId, after: int, limit: int, octets: int
    ) -> tuple[Jws, ...]:
        changes: list[Jws] = []
        room = octets
        while len(changes) < limit and room > 0:
            seq = after + 1 + len(changes)
            found = await self._rows.all(
                "SELECT sealed FROM changes WHERE list_id = ? AND seq = ?", (list_id, seq)
            )
            if not found:
                break
            row = self._change_row(list_id, seq)
            change = from_json(Jws, self._opened("changes", found[0][0], row))
            changes.append(change)
            room -= len(change.payload)
        return tuple(changes)

    # --- members

    async def put_member(
        self, list_id: ListId, member: Member, entries: Sequence[EntryRow]
    ) -> None:
        name = self._member_name(list_id, member.profile.identifier)
        sealed = self._vault.seal("members", write_json(to_json(member.entry)), row=name)
        privileges = member.entry.privileges
        await self._rows.run(
            "INSERT INTO members (list_id, name, served, powerful, sealed) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE"
            " SET served = excluded.served, powerful = excluded.powerful, sealed = excluded.sealed",
            (
                list_id,
                name,
                int(member.may(Privilege.RECRYPT)),
                int(not {Privilege.ADMIN, Privilege.SUPER}.isdisjoint(privileges)),
                sealed,
            ),
        )
        member_id = await self._member_id(name)
        await self._rows.run("DELETE FROM signers WHERE member_id = ?", (member_id,))
        kids = {self._signer_name(list_id, key.udf) for key in member.profile.signature_keys}
        await self._rows.many(
            "INSERT INTO signers (member_id, kid_name) VALUES (?, ?)",
            [(member_id, kid) for kid in kids],
        )
        ended = await self._rows.run("DELETE FROM entries WHERE member_id = ?", (member_id,))
        self.erased = self.erased or ended > 0
        await self._rows.many(
            "INSERT INTO entries (member_id, key_name, half_name, own_octets, sealed)"
            " VALUES (?, ?, ?, ?, ?)",
            [self._entry_row(member_id, each) for each in entries],
        )

    async def entries_of(self, list_id: ListId, member: Udf) -> tuple[EntryRow, ...]:
        found = await self._rows.all(
            "SELECT e.sealed, e.half_name, e.own_octets FROM entries e"
            " JOIN members m ON m.id = e.member_id WHERE m.name = ? ORDER BY e.id",
            (self._member_name(list_id, member),),
        )
        return tuple(
            EntryRow(read_half(self._vault, octets(sealed), octets(name)), number(own))
            for sealed, name, own in found
        )

    async def take_half(self, member_key: Udf) -> bool:
        name = self._vault.name("half", member_key)
        return await self._rows.run("INSERT OR IGNORE INTO halves_seen VALUES (?)", (name,)) == 1

    async def members_after(
        self, list_id: ListId, after: Udf | None, limit: int
    ) -> tuple[MemberEntry, ...]:
        start = b"" if after is None else self._member_name(list_id, after)
        found = await self._rows.all(
            f"{_MEMBER} AND name > ? ORDER BY name LIMIT ?", (list_id, start, limit)
        )
        return tuple(
            from_json(MemberEntry, self._opened("members", sealed, octets(name)))
            for sealed, name in found
        )

    # --- rows

    async def _signing_rows(self, list_id: ListId, kid: Udf) -> list[tuple[Value, ...]]:
        return await self._rows.all(
            "SELECT m.sealed, m.name FROM signers s JOIN members m ON m.id = s.member_id"
            " WHERE s.kid_name = ?",
            (self._signer_name(list_id, kid),),
        )

    async def _put_change(self, list_id: ListId, seq: int, change: Jws) -> None:
        row = self._change_row(list_id, seq)
        sealed = self._vault.seal("changes", write_json(change.json()), row=row)
        await self._rows.run("INSERT INTO changes VALUES (?, ?, ?)", (list_id, seq, sealed))

    async def _member_id(self, name: bytes) -> int:
        found = await self._rows.all("SELECT id FROM members WHERE name = ?", (name,))
        return number(found[0][0])

    def _entry_row(self, member_id: int, row: EntryRow) -> tuple[Value, ...]:
        half = row.half
        name = self._vault.name("half", half.member_key)
        sealed = self._vault.seal("entries", _write_half(half), row=name)
        key_name = self._vault.name("key", half.group_key)
        return (member_id, key_name, name, row.own_octets, sealed)

    def _read_member(self, sealed: Value, name: Value) -> Member:
        entry = from_json(MemberEntry, self._opened("members", sealed, octets(name)))
        return Member(entry, verified_profile(entry.profile))

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


def read_half(vault: Vault, sealed: bytes, name: bytes) -> Half:
    """Open the row of an entry."""
    row = read_json(vault.unseal("entries", sealed, row=name), limit=ROW_OCTETS)
    return Half(
        address=_text(row, "address"),
        group_key=read_udf(_text(row, "group_key")),
        member_key=read_udf(_text(row, "member_key")),
        split=Split(row["split"]),
        recryption=PrivateKey(Curve(row["curve"]), read_b64url(_text(row, "r"))),
        decryption_key=_text(row, "decryption_key").encode(),
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
    group = RecryptionGroup(
        group_name=state.name,
        master=state.master.signed,
        current_encryption_key=state.key.signed,
        past_encryption_keys=tuple(key.signed for key in state.past_keys),
        administrator_keys=state.administrator_keys,
        policy=state.policy,
    )
    head: JsonObject = {"seq": state.head.seq, "hash": state.head.hash}
    return write_json({"group": to_json(group), "head": head, "secret": write_b64url(secret)})


def _read_list(list_id: ListId, row: JsonObject) -> StoredList:
    group = from_json(RecryptionGroup, _object(row, "group"))
    if group.master is None or group.current_encryption_key is None:
        raise Malformed("a list's row without Master or CurrentEncryptionKey")
    master = verified_master(group.master, group.group_name)
    state = GroupState(
        name=group.group_name,
        master=master,
        key=verified_group_key(group.current_encryption_key, master),
        past_keys=tuple(verified_group_key(key, master) for key in group.past_encryption_keys),
        administrator_keys=group.administrator_keys or (),
        policy=group.policy or Policy(),
        members=MappingProxyType({}),
        head=from_json(Head, _object(row, "head")),
    )
    return StoredList(list_id, state, read_b64url(_text(row, "secret")))


def _object(row: JsonObject, name: str) -> JsonObject:
    value = row[name]
    if not isinstance(value, dict):
        raise Malformed(f"a row whose {name} is no object")
    return value


def _text(row: JsonObject, name: str) -> str:
    value = row[name]
    if not isinstance(value, str):
        raise Malformed(f"a row whose {name} is no text")
    return value


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
