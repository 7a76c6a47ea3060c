"""A copy of the store that is made while the server works, and a server that starts from it."""

import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from tests.end_to_end.network import MailHost
from tests.faults.ledger import Ledger
from tests.faults.states import integrity

SENDERS = 4
POSTS = 20


def back_up(folder: Path, to: Path) -> None:
    """Copy the store as docs/operating.md has it, and the vault key and settings beside it."""
    to.mkdir()
    for name in ("vault.key", "listserver.toml"):
        shutil.copy(folder / name, to / name)
    with (
        closing(sqlite3.connect(folder / "store.db")) as origin,
        closing(sqlite3.connect(to / "store.db")) as copy,
    ):
        origin.backup(copy)


def test_a_backup_of_a_busy_server_has_all_that_was_accepted_before_it(
    ledger: Ledger, host: MailHost, tmp_path: Path
) -> None:
    host.fall_silent()
    host.start()
    posts = [ledger.new_post() for _ in range(POSTS)]
    for post in posts:
        assert ledger.hand_in(post) == 250
    server, copy = ledger.server, tmp_path / "copy"
    before = ledger.acked.copy()
    with ThreadPoolExecutor(SENDERS) as senders:
        later = [senders.submit(ledger.hand_in, ledger.new_post()) for _ in range(POSTS)]
        back_up(server.folder, copy)
        assert {each.result() for each in later} == {250}
    server.kill()
    assert integrity(copy / "store.db") == "ok"
    ledger.crashes, ledger.acked = 1, before  # what came after the copy is not in it
    server.folder, server.config = copy, copy / "listserver.toml"
    host.speak()
    server.start()
    for post in posts:
        assert ledger.hand_in(post) == 250  # known, so not sent out again
    assert ledger.settle()
    server.stop()
    ledger.check("F21 restored from a copy made under load", a_crash=0)
