"""Power loss: what was answered with 250, or with 201, is on the disk before the answer.

The file system keeps only what was synced. That it shows what a lost sync does is proved twice:
with SQLite's synchronous=NORMAL, and with our server on a kernel that makes nothing of fdatasync.
"""

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.end_to_end.network import MailHost
from tests.end_to_end.team import found_team
from tests.faults.house import MEMBERS, Child, Server
from tests.faults.ledger import Ledger
from tests.faults.machine import FUSE, ROOT, STRACE
from tests.faults.power import Disk
from tests.faults.tracing import Strace

pytestmark = [ROOT, FUSE]

CUTS = 4
SENDERS = 4
POSTS = 12  # for each cut
ROWS = 100
SYNCS_THAT_FAIL = 12
# Commits rows one by one, and says so after each.
WRITER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA journal_mode = WAL")
database.execute("PRAGMA synchronous = " + sys.argv[2])
database.execute("CREATE TABLE IF NOT EXISTS rows (n INTEGER PRIMARY KEY)")
for n in range(10**6):
    database.execute("INSERT INTO rows VALUES (?)", (n,))
    print("kept", n, flush=True)
"""


@pytest.fixture(params=[(), ("--names-by-fsync",)], ids=["posix", "ext4"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """Give an empty disk, for each way to keep names."""
    made = Disk(tmp_path, *request.param)
    yield made
    made.unmount()


@pytest.fixture
def server(disk: Disk, host: MailHost) -> Iterator[Server]:
    """Give a server whose folder is the disk's."""
    made = Server(disk.folder, relay_port=host.port)
    with made.config.open("rb") as settings:  # the tests' own; its name is synced by `init`
        os.fsync(settings.fileno())
    yield made
    made.kill()


@pytest.mark.parametrize("torn", [False, True], ids=["clean", "torn"])
def test_what_was_accepted_survives_power_cuts(
    disk: Disk, ledger: Ledger, host: MailHost, request: pytest.FixtureRequest, *, torn: bool
) -> None:
    server = ledger.server
    cut(disk, ledger, torn=torn)  # so soon after the answer to CreateGroup
    host.start()
    server.start()
    for number in range(CUTS):
        with ThreadPoolExecutor(SENDERS) as senders:
            for _ in range(POSTS):
                senders.submit(ledger.hand_in, ledger.new_post())
            ledger.wait_for_answers(number * POSTS + 3 + number)
            cut(disk, ledger, torn=torn)
        server.start()
    ledger.finish()
    ledger.check(f"F3 power cuts, {request.node.callspec.id}")


def cut(disk: Disk, ledger: Ledger, *, torn: bool) -> None:
    """End the server, and lose what isn't on the disk."""
    ledger.server.kill()
    ledger.crashes += 1
    disk.cut(torn=torn)


def test_a_sync_that_failed_and_will_never_be_made_good_loses_nothing_accepted(
    disk: Disk, ledger: Ledger, host: MailHost, request: pytest.FixtureRequest
) -> None:
    host.start()
    for number in range(SYNCS_THAT_FAIL):
        disk.fail()
        post = ledger.new_post()
        ledger.insist(post)
        if number % 4 == 3:
            cut(disk, ledger, torn=True)
            ledger.server.start()
    ledger.finish()
    refused = ledger.codes[451]
    ledger.check(f"F5 failed syncs and power cuts, {request.node.callspec.id}, {refused} x 451")


@STRACE
def test_a_disk_that_only_claims_to_sync_loses_mail(
    disk: Disk, server: Server, host: MailHost, report: Callable[[str], None]
) -> None:
    ledger = Ledger(found_team(server, MEMBERS), host, report)
    strace = Strace(server, "fdatasync,fsync", "retval=0")
    ledger.take(POSTS)
    cut(disk, ledger, torn=False)
    strace.detach()
    host.start()
    server.start()
    with pytest.raises(AssertionError, match=r"lost [1-9]"):
        ledger.check("F3 proof: our server where fdatasync does nothing (must lose)")


@pytest.mark.parametrize(("synchronous", "keeps"), [("FULL", True), ("NORMAL", False)])
def test_sqlite_keeps_what_it_committed_if_synchronous_is_full(
    disk: Disk, report: Callable[[str], None], synchronous: str, *, keeps: bool
) -> None:
    writer = Child(sys.executable, "-c", WRITER, disk.folder / "proof.db", synchronous)
    writer.wait_for("kept", count=ROWS)
    writer.kill()
    disk.cut(torn=False)
    committed, found = writer.count("kept"), rows(disk.folder / "proof.db")
    report(f"F3 proof: WAL, synchronous={synchronous}: {committed} committed, {found} kept")
    assert (found >= committed) is keeps


def rows(file: Path) -> int:
    """Count what is there."""
    with closing(sqlite3.connect(file)) as database:
        try:
            return int(database.execute("SELECT count(*) FROM rows").fetchone()[0])
        except sqlite3.OperationalError:
            return 0  # even the table is lost
