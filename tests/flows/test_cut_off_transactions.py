"""kill -9 before any statement of a transaction: the store is as before it, or as after it."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from listserver.edges.sqlite import open_store
from recrypt_core.moderation import Decide, Decision
from recrypt_core.policy import Policy, PostRight
from tests.builders import TEAM, History, create_message, new_group, new_person
from tests.fakes import Bench, administrator
from tests.flows.test_joining import DONE, new_door
from tests.flows.test_rights_table import ROWS, new_world
from tests.moderated import House

FEW_PAGES = 10  # of SQLite's cache: so a transaction's pages are in the log before its commit


@contextmanager
def deaths(bench: Bench, folder: Path) -> Iterator[list[Path]]:
    """Keep what a kill leaves before each statement: all files, as they are then.

    Of those that are alike one is kept; the last one is of after the last statement.
    """
    kept: dict[bytes, Path] = {}
    names = [bench.file.name, f"{bench.file.name}-wal"]

    def die(_statement: str = "") -> None:
        contents = [each.read() for each in files if not each.seek(0)]
        place = kept.setdefault(_digest(contents), folder / str(len(kept)))
        if not place.exists():
            place.mkdir(parents=True)
            for name, octets in zip(names, contents, strict=True):
                (place / name).write_bytes(octets)

    left: list[Path] = []
    with ExitStack() as stack:  # they stay open: SQLite's locks go when one is closed
        parent = bench.file.parent
        files = [stack.enter_context((parent / name).open("rb", buffering=0)) for name in names]
        with bench.traced(die):
            yield left
        die()
    left += [place / bench.file.name for place in kept.values()]


def _digest(contents: list[bytes]) -> bytes:
    return hashlib.sha256(b"".join(contents)).digest()


async def whole(bench: Bench, file: Path) -> tuple[str, ...]:
    """Start with what was left, as a server does, and give all that is in it."""
    store = await open_store(file, bench.vault)
    await store.close()
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return tuple(connection.iterdump())


async def check(bench: Bench, left: list[Path]) -> int:
    """Look whether each is as before or as after; tell how many were looked at."""
    found = [await whole(bench, each) for each in left]
    strange = [each for each in found if each not in (found[0], found[-1])]
    assert not len(strange)  # they aren't to be shown
    return len(left)


@pytest.mark.asyncio
async def test_each_transaction_is_done_or_not(bench: Bench, tmp_path: Path) -> None:
    world = await new_world(bench)
    (alice,) = world.people["super"]
    bench.store._rows._connection.execute(f"PRAGMA cache_size = {FEW_PAGES}")
    looked = dict.fromkeys(ROWS, 0)
    for name, row in ROWS.items():
        with deaths(bench, tmp_path / name) as left:
            assert await world.ask(name, alice) == row["super"], name
        looked[name] = await check(bench, left)
    assert looked["Hello"] == looked["GetKey"] == looked["CreateGroup"] == 1
    assert looked["AddMember:recrypt"] > 2  # in the midst of the log too
    assert min(each for name, each in looked.items() if ROWS[name]["super"] == 201) > 0


@pytest.mark.asyncio
async def test_a_group_is_created_or_not(bench: Bench, tmp_path: Path) -> None:
    group, alice = new_group(), new_person("alice@example.org")
    first, history = administrator(alice, group), History(group)
    message = create_message(group, (first,), alice.online)
    await bench.authorize(alice)
    with deaths(bench, tmp_path / "create") as left:
        await bench.change(history.sign(message, group.master.online), first, history=history)
    assert await check(bench, left) > 1


@pytest.mark.asyncio
async def test_a_group_is_closed_or_not(bench: Bench, tmp_path: Path) -> None:
    world = await new_world(bench)
    with deaths(bench, tmp_path / "close") as left:
        assert await world.ask("UpdateGroup:close", world.people["super"][0]) == 201
    assert await check(bench, left) > 1


@pytest.mark.asyncio
async def test_who_asks_in_waits_or_not_and_is_denied_or_not(bench: Bench, tmp_path: Path) -> None:
    door, dave = await new_door(bench), new_person("dave@example.org")
    token = await door.token(dave)
    with deaths(bench, tmp_path / "confirm") as left:
        assert await door.answer(dave, token) == DONE
    assert await check(bench, left) > 1
    with deaths(bench, tmp_path / "deny") as left:
        assert await door.deny(dave) == 201
    assert await check(bench, left) > 1


@pytest.mark.asyncio
async def test_a_post_is_decided_or_not(bench: Bench, tmp_path: Path) -> None:
    house = House(bench)
    await house.found(Policy(post=PostRight.MODERATED))
    await house.post("carol")
    (post,) = await house.held()
    name = await house.named(post)
    decision = Decide(group_id=TEAM, post=post, content_id=name.cid or "", decision=Decision.ACCEPT)
    with deaths(bench, tmp_path / "decide") as left:
        assert (await house.ask(decision)).status == 201
    assert await check(bench, left) > 1
