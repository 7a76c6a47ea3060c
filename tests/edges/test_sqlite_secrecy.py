"""What a thief of the database's files has, and that an ended r is in none of them."""

import shutil
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from listserver.addresses import ListAddress, Role
from listserver.edges.sqlite import open_store
from listserver.edges.sqlite_connection import Connection
from listserver.edges.sqlite_upkeep import copy_store
from listserver.outcomes import Phase, Refused
from listserver.store import StoreTrouble
from recrypt_core.documents import RecryptionGroup, Status
from recrypt_core.encoding import write_b64url, write_json
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.messages import Response, UpdateGroup, UpdateMember, UpdateProfile, write_message
from recrypt_core.signing import Jws, sign_request
from tests.asking import asked
from tests.builders import (
    EVERY_POWER,
    NOW,
    TEAM,
    URL,
    History,
    Membership,
    Person,
    new_group,
    new_membership,
    new_person,
    signed_group_key,
)
from tests.fakes import Bench, ScriptedCourier, administrator, open_bench
from tests.mails import CONTENT, mail, sealed

BOB = "bob@example.org"
PLEA = b"Subject: a plea\r\n\r\nSpare us.\r\n"
REFUSED = Refused(Phase.RCPT, 550, f"{BOB}: no such user here")
SEALED_TABLES = (
    "authorized", "lists", "changes", "members", "entries", "profiles", "posts", "deliveries",
    "letters", "audit", "memberships",
)  # fmt: skip


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Open a server."""
    courier = ScriptedCourier({BOB: [REFUSED]})
    async with open_bench(tmp_path, courier=courier) as opened:
        yield opened


async def lived_in(bench: Bench) -> tuple[History, list[Person], list[Membership]]:
    """Create a list of two, post twice to it, deliver one, write letters, change a profile."""
    group = new_group()
    alice, bob = people = [new_person("alice@example.org"), new_person(BOB)]
    entries = [administrator(alice, group), new_membership(bob, group.key)]
    history = await bench.create(group, *entries, authorised=alice)
    envelope = sealed(group.key.public)
    await bench.post(mail(envelope.mmx(), message_id="<first@host.example>"))
    await bench.relay_all()
    await bench.notices.tell()
    await bench.probing.probe()
    async with bench.store.begin():
        await bench.store._rows.run("UPDATE bounces SET quarters = 99, unseen = 1")
    await bench.probing.probe()
    await bench.receiving.receive(
        PLEA, ListAddress("abuse@lists.example", Role.OPERATOR), sender="zoe@example.org"
    )
    assert (await bench.count("letters"), await bench.count("bounces")) == (3, 1)
    await bench.post(mail(sealed(group.key.public).mmx(), message_id="<second@host.example>"))
    assert await sent(bench, bob.changed())
    question = write_message(asked(bob, entries[1], envelope))
    answer = await bench.send(sign_request(question, bob.online, url=URL, now=NOW))
    assert answer.status == 201
    return history, people, entries


async def sent(bench: Bench, newer: Person) -> bool:
    """Have somebody send a newer profile."""
    octets = write_message(UpdateProfile(profile=newer.signed))
    answer = await bench.send(sign_request(octets, newer.online, url=URL, now=NOW))
    return answer.status == 201


def forms(octets: bytes) -> set[bytes]:
    """Give the ways in which octets may be written."""
    return {octets, write_b64url(octets).encode(), octets.hex().encode()}


def named(document: Jws) -> set[bytes]:
    return {document.payload.encode(), document.signature.encode()}


@pytest.mark.asyncio
async def test_a_thief_of_the_files_finds_no_address_key_name_or_header(bench: Bench) -> None:
    history, people, entries = await lived_in(bench)
    key = history.group.key
    hidden = {PLEA[-9:], b"postmaster", b"-bounces", b"mail.example",
              CONTENT, TEAM.encode(), b"lists.example", b"host.example", b"example.org",
              b"[...]", b"no such user", b"List-Id", b"Message-ID: ", b'"protected"',
              b"application/", b"recrypt-profile", *forms(b"v" * 32),
              history.group.master.udf.encode(),
              key.public.udf.encode(), *forms(key.public.x)}  # fmt: skip
    for person, entry in zip(people, entries, strict=True):
        hidden |= {person.address.encode(), person.udf.encode(), *named(person.signed)}
        hidden |= named(person.changed().signed)
        hidden |= {person.online.public.udf.encode(), *forms(person.online.public.x)}
        hidden |= {person.devices[0].public.udf.encode(), *forms(person.devices[0].public.x)}
        ((member_key, r),) = entry.halves.items()
        hidden |= {member_key.encode(), *forms(r.to_secret_bytes()), *forms(r.public.x)}
    hidden |= named(history.changes[0]) | {write_json(history.changes[0].json())}
    octets = bench.octets_on_disk()
    assert len(octets) > 50_000
    assert not [each for each in hidden if each in octets]


@pytest.mark.asyncio
async def test_a_thief_cannot_tell_who_is_in_two_lists(bench: Bench) -> None:
    alice, bob, carol = (new_person(f"{each}@example.org") for each in ("alice", "bob", "carol"))
    for name, people in (("team", (alice, bob)), ("other", (alice, carol))):
        group = new_group(f"{name}@lists.example")
        entries = [new_membership(each, group.key, privileges=EVERY_POWER) for each in people]
        await bench.create(group, *entries, authorised=alice)
    blobs: list[bytes] = []
    for sql in (
        "SELECT name, sealed FROM members", "SELECT kid_name FROM signers",
        "SELECT half_name, sealed FROM entries", "SELECT profile_name, sealed FROM memberships",
    ):  # fmt: skip
        for row in await bench.rows(sql):
            blobs += [each for each in row if isinstance(each, bytes)]
    assert len(blobs) == len(set(blobs)) == 8 + 8 + 8 + 6
    lengths = await bench.rows("SELECT DISTINCT length(sealed) FROM memberships")
    assert (await bench.count("memberships"), len(lengths)) == (3, 1)


async def opened(bench: Bench, *, letters: bool = True) -> bytes:
    """Unseal every row of every table, as who has the vault's key too; letters are mail."""
    rows = {
        "authorized": "SELECT sealed, kid_name FROM authorized",
        "lists": "SELECT sealed, group_name FROM lists",
        "changes": "SELECT sealed, CAST(list_id || ':' || seq AS BLOB) FROM changes",
        "members": "SELECT sealed, name FROM members",
        "entries": "SELECT sealed, half_name FROM entries",
        "profiles": "SELECT sealed, name FROM (SELECT p.sealed, m.name FROM profiles p"
        " JOIN members m ON m.id = p.member_id)",
        "audit": "SELECT sealed, CAST(list_id || ':' || seq AS BLOB) FROM audit",
        "posts": "SELECT sealed, CAST(id AS BLOB) FROM posts",
        "deliveries": "SELECT sealed, CAST(id AS BLOB) FROM deliveries WHERE sealed NOT NULL",
        "letters": "SELECT sealed, CAST(id AS BLOB) FROM letters",
        "memberships": "SELECT sealed, profile_name FROM memberships",
    }
    assert set(rows) == set(SEALED_TABLES)
    found = b""
    if not letters:
        del rows["letters"]
    for table, sql in rows.items():
        for sealed_row, name in await bench.rows(sql):
            assert isinstance(sealed_row, bytes)
            assert isinstance(name, bytes)
            found += bench.vault.unseal(table, sealed_row, row=name) + b"\n"
    return found


@pytest.mark.asyncio
@pytest.mark.parametrize("again", [False, True])
async def test_an_ended_r_is_erased_from_the_files_even_for_who_has_the_vault_key(
    bench: Bench, again: bool
) -> None:
    history, (alice, bob), (_, entry) = await lived_in(bench)
    ((member_key, r),) = entry.halves.items()
    name = bench.vault.name("half", member_key)
    rows = await bench.rows("SELECT half_name, sealed FROM entries")
    (sealed_row,) = [row[1] for row in rows if row[0] == name]
    assert isinstance(sealed_row, bytes)
    tail = sealed_row[-200:]  # a long row lies in several pages
    assert tail in bench.octets_on_disk()
    assert write_b64url(r.to_secret_bytes()).encode() in await opened(bench)
    assert name in bench.store._halves._kept._values
    revoked = new_membership(bob, status=Status.REVOKED)
    ended = new_membership(bob, history.group.key) if again else revoked
    await bench.restate(history, alice, ended)
    assert not bench.store._halves._kept._values
    assert await bench.count("entries") == 1 + again
    assert tail not in bench.octets_on_disk()
    plain = await opened(bench)
    assert not [form for form in forms(r.to_secret_bytes()) if form in plain]
    assert name in [row[0] for row in await bench.rows("SELECT half_name FROM halves_seen")]


@pytest.mark.asyncio
async def test_an_r_that_a_rekey_or_another_device_ends_is_in_no_file_and_no_later_back_up(
    bench: Bench, tmp_path: Path
) -> None:
    history, (alice, bob), entries = await lived_in(bench)
    rows = [row[0] for row in await bench.rows("SELECT sealed FROM entries")]
    tails = [row[-200:] for row in rows if isinstance(row, bytes)]
    device, key = (PrivateKey.generate(Curve.X25519) for _ in range(2))
    moved = replace(bob, devices=(device,)).changed(encryption_keys=(device.public,), seconds=2)
    assert await sent(bench, moved)

    async def split_anew(*keys: PrivateKey) -> None:
        """Give both members new entries, for these keys alone."""
        made = [new_membership(alice, *keys, privileges=EVERY_POWER), new_membership(moved, *keys)]
        await bench.restate(history, alice, *made)

    await split_anew(history.group.key, key)
    signed = signed_group_key(
        history.group.master,
        key,
        generation=2,
        previous=history.group.key.public.udf,
        head=history.state.head,
    )
    stated = RecryptionGroup(group_name=TEAM, current_encryption_key=signed.signed)
    switch = history.sign(UpdateGroup(recryption_group=stated), alice.online)
    await bench.change(switch, history=history)
    await split_anew(key)
    assert (await bench.count("entries"), await bench.count("profiles")) == (2, 0)
    copy_store(bench.file, tmp_path / "copy.db")
    octets = bench.octets_on_disk() + (tmp_path / "copy.db").read_bytes()
    assert len(tails) == 2
    assert not [tail for tail in tails if tail in octets]
    plain = await opened(bench)
    ended = [half for each in entries for half in each.halves.values()]
    assert not [form for r in ended for form in forms(r.to_secret_bytes()) if form in plain]


async def ends_an_entry(bench: Bench) -> tuple[Response, bytes]:
    """End an entry; give the answer, and a piece of its row."""
    history, (alice, bob), (_, entry) = await lived_in(bench)
    name = bench.vault.name("half", next(iter(entry.halves)))
    (tail,) = [
        row[1][-200:]
        for row in await bench.rows("SELECT half_name, sealed FROM entries")
        if row[0] == name and isinstance(row[1], bytes)
    ]
    revoked = new_membership(bob, status=Status.REVOKED)
    update = UpdateMember(recryption_group=history.group.master.udf, member_entry=(revoked.entry,))
    return await bench.send(history.sign(update, alice.online), revoked), tail


@pytest.mark.asyncio
async def test_an_ended_r_whose_erasing_was_killed_is_erased_after_the_next_start(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(_self: Connection) -> None:
        raise StoreTrouble("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "truncate_log", dies)
        answer, tail = await ends_an_entry(bench)
    assert answer.status == 201
    assert tail in bench.octets_on_disk()
    left = tmp_path / "left"
    left.mkdir()
    for file in bench.file.parent.glob(f"{bench.file.name}*"):  # as they are when it is killed
        shutil.copy(file, left / file.name)
    store = await open_store(left / bench.file.name, bench.vault, alone=True)
    try:
        async with store.begin():
            pass
        async with store._turn:
            octets = b"".join(file.read_bytes() for file in left.iterdir())
    finally:
        await store.close()
    assert len(octets) > 50_000
    assert tail not in octets


@pytest.mark.asyncio
async def test_after_a_commit_that_failed_the_log_is_emptied_too(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows how much of it was written."""
    commit = Connection._commit

    def fails(self: Connection) -> None:
        if self._execute("SELECT count(*) FROM entries").fetchone() == (1,):
            self._begun = False
            self._connection.rollback()
            raise sqlite3.OperationalError("disk I/O error")
        commit(self)

    monkeypatch.setattr(Connection, "_commit", fails)
    answer, _ = await ends_an_entry(bench)
    assert answer.status == 503
    assert bench.store._to_erase
    await bench.count("entries")
    async with bench.store._turn:
        assert not bench.store._to_erase


@pytest.mark.asyncio
async def test_the_vault_keeps_what_a_copy_needs_and_no_more(bench: Bench) -> None:
    await lived_in(bench)
    plain = await opened(bench, letters=False)
    assert REFUSED.text.encode() in plain  # sealed, for the operator's eyes
    for gone in (b"host.example", b"in the clear", CONTENT, b"Content-Type"):
        assert gone not in plain
