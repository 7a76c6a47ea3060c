"""What a thief of the database's files has, and that an ended r is in none of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from listserver.outcomes import Phase, Refused
from recrypt_core.documents import Status
from recrypt_core.encoding import write_b64url, write_json
from recrypt_core.messages import UpdateMember
from recrypt_core.signing import Jws
from tests.builders import (
    TEAM,
    History,
    Membership,
    Person,
    new_group,
    new_membership,
    new_person,
)
from tests.fakes import Bench, ScriptedCourier, administrator, open_bench
from tests.mails import CONTENT, mail, sealed

BOB = "bob@example.org"
REFUSED = Refused(Phase.RCPT, 550, f"{BOB}: no such user here")
SEALED_TABLES = ("authorized", "lists", "changes", "members", "entries", "posts", "deliveries")


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Open a server."""
    courier = ScriptedCourier({BOB: [REFUSED]})
    async with open_bench(tmp_path, courier=courier) as opened:
        yield opened


async def lived_in(bench: Bench) -> tuple[History, list[Person], list[Membership]]:
    """Create a list of two, post twice to it, and deliver one of the posts."""
    group = new_group()
    alice, bob = people = [new_person("alice@example.org"), new_person(BOB)]
    entries = [administrator(alice, group), new_membership(bob, group.key)]
    history = await bench.create(group, *entries, authorised=alice)
    envelope = sealed(group.key.public)
    await bench.post(mail(envelope.mmx(), message_id="<first@host.example>"))
    await bench.relay_all()
    await bench.post(mail(sealed(group.key.public).mmx(), message_id="<second@host.example>"))
    return history, people, entries


def forms(octets: bytes) -> set[bytes]:
    """Give the ways in which octets may be written."""
    return {octets, write_b64url(octets).encode(), octets.hex().encode()}


def named(document: Jws) -> set[bytes]:
    return {document.payload.encode(), document.signature.encode()}


@pytest.mark.asyncio
async def test_a_thief_of_the_files_finds_no_address_key_name_or_header(bench: Bench) -> None:
    history, people, entries = await lived_in(bench)
    key = history.group.key
    hidden = {CONTENT, TEAM.encode(), b"lists.example", b"host.example", b"example.org",
              b"[...]", b"no such user", b"List-Id", b"Message-ID: ", b'"protected"',
              b"application/", b"recrypt-profile", *forms(b"v" * 32),
              history.group.master.udf.encode(),
              key.public.udf.encode(), *forms(key.public.x)}  # fmt: skip
    for person, entry in zip(people, entries, strict=True):
        hidden |= {person.address.encode(), person.udf.encode(), *named(person.signed)}
        hidden |= {person.online.public.udf.encode(), *forms(person.online.public.x)}
        hidden |= {person.devices[0].public.udf.encode(), *forms(person.devices[0].public.x)}
        ((member_key, r),) = entry.halves.items()
        hidden |= {member_key.encode(), *forms(r.to_secret_bytes()), *forms(r.public.x)}
    hidden |= named(history.changes[0]) | {write_json(history.changes[0].json())}
    octets = bench.octets_on_disk()
    assert len(octets) > 50_000
    assert not [each for each in hidden if each in octets]


async def opened(bench: Bench) -> bytes:
    """Unseal every row of every table, as who has the vault's key too."""
    rows = {
        "authorized": "SELECT sealed, kid_name FROM authorized",
        "lists": "SELECT sealed, group_name FROM lists",
        "changes": "SELECT sealed, CAST(list_id || ':' || seq AS BLOB) FROM changes",
        "members": "SELECT sealed, name FROM members",
        "entries": "SELECT sealed, half_name FROM entries",
        "posts": "SELECT sealed, CAST(id AS BLOB) FROM posts",
        "deliveries": "SELECT sealed, CAST(id AS BLOB) FROM deliveries WHERE sealed NOT NULL",
    }
    assert set(rows) == set(SEALED_TABLES)
    found = b""
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
    revoked = new_membership(bob, status=Status.REVOKED)
    ended = new_membership(bob, history.group.key) if again else revoked
    update = UpdateMember(recryption_group=history.group.master.udf, member_entry=(ended.entry,))
    await bench.change(history.sign(update, alice.online), ended, history=history)
    assert await bench.count("entries") == 1 + again
    assert tail not in bench.octets_on_disk()
    plain = await opened(bench)
    assert not [form for form in forms(r.to_secret_bytes()) if form in plain]
    assert name in [row[0] for row in await bench.rows("SELECT half_name FROM halves_seen")]


@pytest.mark.asyncio
async def test_the_vault_keeps_what_a_copy_needs_and_no_more(bench: Bench) -> None:
    await lived_in(bench)
    plain = await opened(bench)
    assert REFUSED.text.encode() in plain  # sealed, for the operator's eyes
    for gone in (b"host.example", b"in the clear", CONTENT, b"Content-Type"):
        assert gone not in plain
