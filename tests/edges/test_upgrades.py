"""Stores of earlier schemas, opened by this program: nothing is lost, and delivery goes on."""

import fcntl
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from listserver.edges.sqlite import open_store
from listserver.edges.sqlite_upgrades import needed, upgrade
from listserver.edges.sqlite_upkeep import Retried, open_upkeep
from listserver.model import PostId
from listserver.vault import Vault
from recrypt_core.chain import advance, begin, read_change
from recrypt_core.documents import Status
from recrypt_core.messages import UpdateMember
from recrypt_core.opening import open_recrypted
from tests.builders import TEAM, History, create_message, new_group, new_membership
from tests.cases.stores.story import ALICE, BOB, CAROL, content, people_and_group, post
from tests.edges.cut_upgrades import FAIL, KILL
from tests.fakes import Bench, administrator, open_bench
from tests.mails import envelope_of, mail

STORES: Final = Path(__file__).resolve().parents[1] / "cases/stores"
SCHEMAS: Final = sorted(STORES.glob("schema*.sql"), key=lambda each: (len(each.stem), each.stem))
STEPS: Final = sum(
    step.name.endswith(".sql") for step in (files("listserver.edges") / "sql").iterdir()
)
HERE: Final = Path(__file__).resolve().parents[2]
PATIENCE: Final = 60  # seconds
TOLD: Final = people_and_group()
# What the story leaves to do: waiting, under way, put off, given up, held.
LEFT: Final = {
    1: (0, 0, 0, 0, 1), 2: (1, 0, 0, 1, 0), 4: (3, 0, 0, 0, 0), 5: (1, 1, 0, 0, 0),
    6: (2, 0, 0, 0, 0),
}  # fmt: skip
COPIES: Final = [
    (1, CAROL), (2, BOB), (2, CAROL), (4, ALICE), (4, BOB), (4, CAROL), (5, BOB), (5, CAROL),
    (6, BOB), (6, CAROL),
]  # fmt: skip


def make(folder: Path, schema: Path) -> Path:
    """Make the store that a text describes."""
    file = folder / "store.db"
    with closing(sqlite3.connect(file)) as store:
        store.executescript(schema.read_text("utf-8"))
    return file


def all_of(file: Path) -> list[str]:
    """Give a store's version, tables and rows."""
    with closing(sqlite3.connect(file)) as store:
        return [str(store.execute("PRAGMA user_version").fetchone()), *store.iterdump()]


@contextmanager
def had_by_a_server(file: Path) -> Iterator[None]:
    """Lock a store, as a server that runs has it."""
    with Path(f"{file}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest_asyncio.fixture(params=SCHEMAS, ids=lambda schema: schema.stem)
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """Open a server on the store of an earlier schema, an hour after the story."""
    make(tmp_path, request.param)
    async with open_bench(tmp_path) as opened:
        opened.clock.advance(timedelta(hours=1))
        yield opened


async def chain_of(bench: Bench) -> History:
    """Read the list's chain, and replay it."""
    async with bench.store.begin() as work:
        found = await work.find_list(TEAM)
        assert found is not None
        changes = await work.changes_after(found.id, 0, 99, octets=10**6)
    first, *others = map(read_change, changes)
    state = begin(first)
    for change in others:
        state = advance(state, change)
    assert state.head == found.state.head
    return History(TOLD.group, list(changes), [state])


def counts(bench: Bench) -> dict[int, tuple[int, ...]]:
    """Count what the queue has to do."""
    with open_upkeep(bench.file, bench.vault) as upkeep:
        found = upkeep.queue(bench.clock.now())
    assert {each.list_address for each in found} == {TEAM}
    assert [each.id for each in found if each.stopped] == [4]
    return {
        each.id: (each.waiting, each.under_way, each.put_off, each.given_up, each.held)
        for each in found
    }


def sent(bench: Bench) -> list[tuple[int, str]]:
    """Open all copies with their recipients' keys; give the posts, and to whom."""
    numbers = {content(number): number for number in range(1, 9)}
    return sorted(
        (numbers[open_recrypted(envelope_of(each.parts), TOLD.people[each.recipient].devices)],
         each.recipient)
        for each in bench.courier.sent
    )  # fmt: skip


def test_there_is_a_store_of_each_earlier_schema() -> None:
    assert SCHEMAS
    names = {f"schema{number}.sql" for number in range(1, STEPS)}
    missing = names - {each.name for each in SCHEMAS}
    assert not missing, f"{missing}: make them with tests/cases/stores/story.py of that time"


@pytest.mark.asyncio
async def test_it_is_upgraded_once_and_stands_every_check(bench: Bench) -> None:
    assert await bench.rows("PRAGMA user_version") == [(STEPS,)]
    assert await bench.rows("PRAGMA integrity_check") == [("ok",)]
    assert await bench.rows("PRAGMA foreign_key_check") == []
    before = all_of(bench.file)
    store = await open_store(bench.file, bench.vault)
    await store.close()
    assert all_of(bench.file) == before


@pytest.mark.asyncio
async def test_the_upgraded_tables_are_those_of_a_new_store(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    async with open_bench(tmp_path / "new") as fresh:
        names = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
        assert await bench.rows(names) == await fresh.rows(names)


@pytest.mark.asyncio
async def test_the_list_its_members_and_its_chain_are_there_and_go_on(bench: Bench) -> None:
    history = await chain_of(bench)
    assert {each.entry.account_name for each in history.state.members.values()} == {*TOLD.people}
    alice, bob = TOLD.people[ALICE], TOLD.people[BOB]
    ended = new_membership(bob, status=Status.REVOKED)
    update = UpdateMember(recryption_group=TOLD.group.master.udf, member_entry=(ended.entry,))
    bench.clock.advance(timedelta(hours=-1))  # requests are signed at NOW
    await bench.change(history.sign(update, alice.online), history=history)
    other = new_group("other@lists.example")
    first = administrator(alice, other)
    message = create_message(other, (first,), alice.online)  # authorised in the story
    assert (
        await bench.send(History(other).sign(message, other.master.online), first)
    ).status == 201


@pytest.mark.asyncio
async def test_delivery_goes_on_and_nobody_has_a_copy_twice(bench: Bench) -> None:
    assert counts(bench) == LEFT
    assert await bench.delivering.recover() == 1
    with open_upkeep(bench.file, bench.vault) as upkeep:
        # Some schemas' programs kept the peer's words with the reply code before them.
        assert upkeep.codes(PostId(2)) in ({"5.1.1": 1}, {"550": 1})
        assert upkeep.retry(None, bench.clock.now()) == Retried(2, 1, 0)
    await bench.relay_all()
    assert sent(bench) == COPIES


@pytest.mark.asyncio
async def test_what_is_kept_stays_as_long_as_before_and_no_longer(bench: Bench) -> None:
    await bench.delivering.recover()
    with open_upkeep(bench.file, bench.vault) as upkeep:
        upkeep.retry(None, bench.clock.now())
    await bench.relay_all()
    kept = await bench.count("ciphertexts")
    assert kept
    bench.clock.advance(timedelta(days=13))
    assert not await bench.erasing.erase()
    assert await bench.count("ciphertexts") == kept
    bench.clock.advance(timedelta(days=1))
    assert not await bench.erasing.erase()
    assert await bench.count("ciphertexts") == 0
    assert await bench.rows("SELECT DISTINCT erased FROM posts") == [(1,)]


@pytest.mark.asyncio
async def test_a_post_of_before_is_known_and_a_new_one_is_taken(bench: Bench) -> None:
    async with bench.store.begin() as work:
        stored, ciphertext = await work.read_post(PostId(6))
    again = mail(stored.line + b"}\n" + ciphertext, message_id="<6@example.org>")
    waiting = await bench.waiting()
    assert (await bench.post(again)).positive
    assert await bench.waiting() == waiting
    await post(bench, TOLD, 7)
    await bench.relay_all()
    assert [to for number, to in sent(bench) if number == 7] == [ALICE, BOB, CAROL]


@pytest.mark.parametrize(
    ("schema", "how"),
    [
        pytest.param(None, KILL, id="new"),
        *(
            pytest.param(each, how, id=f"{each.stem}, {how}", marks=marks)
            for marks, some in (((), SCHEMAS[-1:]), (pytest.mark.long, SCHEMAS[:-1]))
            for each in some
            for how in (FAIL, KILL)
        ),
    ],
)
def test_an_upgrade_that_is_cut_off_at_any_statement_leaves_the_old_schema_whole(
    schema: Path | None, how: str, tmp_path: Path
) -> None:
    origin = tmp_path / "store.db"
    if schema is not None:
        make(tmp_path, schema)
    else:
        origin.touch()
    command = (sys.executable, "-m", "tests.edges.cut_upgrades", origin, how)
    done = subprocess.run(
        command, cwd=HERE, timeout=PATIENCE, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    whole = all_of(tmp_path / "whole.db")
    assert whole[0] == str((STEPS,))
    found: dict[str, set[str]] = {all_of(origin)[0]: {what_counts(all_of(origin))}}
    for file in tmp_path.glob("cut*.db"):
        each = all_of(file)
        found.setdefault(each[0], set()).add(what_counts(each))
    # Of each version there is one store, with all that it has, or it isn't that version.
    assert {len(stores) for stores in found.values()} == {1}
    assert found[whole[0]] == {what_counts(whole)}


def what_counts(dump: list[str]) -> str:
    """Leave out what is drawn: the vault's check in a new store."""
    return "\n".join(line for line in dump if not line.startswith('INSERT INTO "vault_check"'))


@pytest.mark.asyncio
@pytest.mark.skipif(STEPS < 2, reason="there is no later schema to upgrade to")
async def test_a_command_does_not_upgrade_the_store_of_a_server_that_runs(tmp_path: Path) -> None:
    file = make(tmp_path, SCHEMAS[0])
    before = all_of(file)
    with had_by_a_server(file):
        with pytest.raises(OSError, match=f"another server runs on the store {file}"):
            await open_store(file, Vault(b"v" * 32))
        assert all_of(file) == before
    store = await open_store(file, Vault(b"v" * 32))
    await store.close()
    assert all_of(file)[0] == str((STEPS,))


@pytest.mark.asyncio
@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.stem)
@pytest.mark.parametrize("alone", [False, True])
async def test_an_upgrade_that_the_disk_has_no_room_for_is_refused_and_changes_nothing(
    tmp_path: Path, schema: Path, *, alone: bool
) -> None:
    file = make(tmp_path, schema)
    before = all_of(file)
    found = os.statvfs(tmp_path)
    with file.open("r+b") as store:  # of holes
        store.truncate(found.f_bavail * found.f_frsize)
    with pytest.raises(OSError, match=r"must have \d+ MiB free; \d+ are: make room"):
        await open_store(file, Vault(b"v" * 32), alone=alone)
    assert all_of(file) == before


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.stem)
def test_an_upgrade_takes_no_more_room_than_it_asks_for(tmp_path: Path, schema: Path) -> None:
    file, log = make(tmp_path, schema), tmp_path / "store.db-wal"
    large = "posts SET ciphertext" if schema.stem == "schema1" else "ciphertexts SET octets"
    with closing(sqlite3.connect(file)) as store:
        store.execute(f"UPDATE {large} = randomblob(4000000)")
        store.commit()
        before, logs = file.stat().st_size, [0]
        for setting in ("journal_mode = WAL", "secure_delete = ON"):
            store.execute(f"PRAGMA {setting}")
        store.set_trace_callback(lambda _statement: logs.append(log.stat().st_size))
        upgrade(store, file)
        after, emptied = file.stat().st_size, log.stat().st_size
    taken = max(logs) + after - before
    assert taken <= needed(before, int(schema.stem[-1]))
    assert emptied == 0


@pytest.mark.asyncio
async def test_a_store_of_a_later_version_is_refused_with_words_and_not_touched(
    tmp_path: Path,
) -> None:
    file = make(tmp_path, SCHEMAS[0])
    with closing(sqlite3.connect(file)) as store:
        store.execute(f"PRAGMA user_version = {STEPS + 1}")
    before = file.read_bytes()
    with pytest.raises(OSError, match="of a later version of this program: run that one"):
        await open_store(file, Vault(b"v" * 32), alone=True)
    assert all_of(file)[0] == str((STEPS + 1,))
    assert before[100:] == file.read_bytes()[100:]  # SQLite's own header says WAL now
