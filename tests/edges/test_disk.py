"""Room on a disk: what is kept in reserve, and what counts as free."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from listserver import limits
from listserver.edges.disk import DiskRoom
from tests.doors import door
from tests.fakes import ListLog, open_bench

TIB = 2**40
FULL = "452 4.3.1 The server's disk is nearly full; try again later."


@pytest.fixture(autouse=True)
def _looks_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ROOM_TIME", timedelta(0))


def free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def room(folder: Path, reserve: int, spare: Callable[[], int] = lambda: 0) -> DiskRoom:
    return DiskRoom(folder, ListLog(), reserve=reserve, spare=spare)


def test_there_is_room_while_the_reserve_is_free(tmp_path: Path) -> None:
    assert room(tmp_path, free(tmp_path) // 2).has_room()
    assert not room(tmp_path, free(tmp_path) * 2).has_room()


def test_what_is_free_within_the_store_counts_but_not_for_the_last_quarter(tmp_path: Path) -> None:
    there = free(tmp_path)
    assert room(tmp_path, there * 2, lambda: there * 2).has_room()
    assert not room(tmp_path, there * 8, lambda: TIB * TIB).has_room()


def test_without_a_reserve_nobody_looks() -> None:
    assert room(Path("/nowhere"), 0).has_room()


def test_a_folder_that_is_gone_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        room(tmp_path / "gone", 1).has_room()


def test_the_operator_is_told_when_room_gets_short_and_when_it_is_back(tmp_path: Path) -> None:
    log, spare = ListLog(), [TIB]
    it = DiskRoom(tmp_path, log, reserve=free(tmp_path) * 2, spare=lambda: spare[0])
    for octets in (TIB * TIB, 0, 0, TIB * TIB, TIB * TIB):
        spare[0] = octets
        it.has_room()
    assert log.events == [("disk-nearly-full", {}), ("disk-has-room", {})]


def test_the_disk_is_looked_at_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ROOM_TIME", timedelta(hours=1))
    looks: list[str] = []

    def spare() -> int:
        looks.append("again")
        return 0

    it = room(tmp_path, 1, spare)
    assert [it.has_room() for _ in range(5)] == [True] * 5
    assert looks == ["again"]


@pytest.mark.asyncio
async def test_the_store_tells_what_is_free_within_it(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        await bench.rows("CREATE TABLE much AS SELECT zeroblob(1000000)")
        assert bench.store.spare_octets < 100_000
        await bench.rows("DROP TABLE much")
        assert 1_000_000 <= bench.store.spare_octets < 1_100_000
    async with open_bench(tmp_path) as bench:
        await bench.delivering.recover()  # as each server begins
        assert bench.store.spare_octets >= 1_000_000


@pytest.mark.asyncio
@pytest.mark.parametrize("lmtp", [False, True])
async def test_while_room_is_short_no_mail_begins_and_one_that_has_begun_is_taken(
    lmtp: bool,
) -> None:
    async with door() as it:
        sender, late = await it.sender(lmtp=lmtp), await it.sender(lmtp=lmtp)
        for each in (sender, late):
            await each.reply()
            await each.ask("LHLO a.example" if lmtp else "EHLO a.example")
        await sender.ask("MAIL FROM:<>")
        it.room.there = False
        for _ in range(limits.SESSION_ERRORS + 1):  # which is no error of the sender's
            assert await late.ask("MAIL FROM:<alice@example.org>") == FULL
        assert await late.ask("RCPT TO:<team@lists.example>") == "503 5.5.1 Send MAIL FROM first."
        assert await late.ask("MAIL FROM:<alice>") == (
            "501 5.1.7 The sender's address is malformed; use <name@domain> or <>."
        )
        await sender.ask("RCPT TO:<team@lists.example>")
        await sender.ask("DATA")
        assert await sender.post(b"Subject: x\r\n.\r\n") == "250 2.0.0 Accepted."
        it.room.there = True
        assert (await late.ask("MAIL FROM:<alice@example.org>")).startswith("250")
