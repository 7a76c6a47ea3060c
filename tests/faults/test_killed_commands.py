"""kill -9 while an operator's command works: the store is whole, and the command runs again."""

import itertools
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from click.testing import CliRunner, Result

from listserver.cli import main
from listserver.edges.sqlite_upkeep import open_upkeep
from listserver.vault import read_key_line
from recrypt_core.errors import Malformed, NotAuthentic
from tests.end_to_end.network import MailHost
from tests.end_to_end.programs import BIN
from tests.faults.house import Child, Server, until
from tests.faults.ledger import Ledger
from tests.faults.machine import STRACE
from tests.faults.states import integrity, posts

pytestmark = STRACE

POSTS: Final = 3
# System call -> how many of them lie between one kill and the next.
SERIES: Final = {
    "pwrite64": 8,
    "write": 1,
    "fdatasync": 1,
    "fsync": 1,
    "ftruncate": 1,
    "rename": 1,
    "unlink": 1,
}


def kills(server: Server, *words: str, into: Path | None = None) -> Iterator[str]:
    """Run a command and kill it at each kind of call, later and later, until it comes to its end.

    Only calls of its first thread are counted: another one opens the store, as the server does.

    into: where a folder is made for each run, named as what is yielded.
    """
    for call, step in SERIES.items():
        for number in itertools.count(1, step):
            name = f"{call}-{number}"
            last = () if into is None else (into / name,)
            if not _is_killed(server, (call, number), *words, *last):
                break
            yield name


def _is_killed(server: Server, at: tuple[str, int], *words: str | Path) -> bool:
    """Run a command; False if it came to its end, which must be a good one."""
    call, number = at
    inject = ("-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={number}")
    strace = ("strace", "-D", "-qqq", "-o", "/dev/null", *inject)
    child = Child(*strace, BIN / "listserver", *words, "--config", server.config)
    status = child.ended()
    assert status in (0, -signal.SIGKILL), child.output
    return status != 0


def command(server: Server, *words: str | Path) -> Result:
    """Run a command here to its end."""
    given = [*map(str, words), "--config", str(server.config)]
    return CliRunner(catch_exceptions=False).invoke(main, given)


def backed_up(server: Server, folder: Path) -> list[Path]:
    """Make a back-up, perhaps in the next second, whose name isn't taken; give all that there are.

    folder: of back-ups.
    """
    assert until(lambda: command(server, "backup", folder).exit_code == 0), folder
    return sorted(folder.glob("store-*.db"))


def opens(server: Server, key: Path) -> bool:
    """Tell whether every row of the store opens with a key; nothing is changed."""
    try:
        vault = read_key_line(key.read_bytes())
        with open_upkeep(server.store, vault, alone=True) as store:
            return not store.reseal(vault)
    except (Malformed, NotAuthentic):
        return False


def test_a_rotation_that_was_killed_leaves_a_whole_store_and_runs_again(
    ledger: Ledger, host: MailHost
) -> None:
    server, killed = ledger.server, list[str]()
    ledger.take(POSTS)
    server.kill()
    ledger.crashes += 1
    for at in kills(server, "rotate-vault-key"):
        killed.append(at)
        assert any(opens(server, key) for key in server.folder.glob("vault.key*")), at
        again = command(server, "rotate-vault-key")
        assert again.exit_code == 0, (at, again.output)
        assert "damaged" not in again.output, (at, again.output)
    assert {"fsync-1", "rename-1", "fdatasync-1"} <= set(killed)
    assert integrity(server.store) == "ok"
    host.start()
    server.start()
    ledger.finish()
    ledger.check(f"F1 kill -9 at {len(killed)} calls of rotate-vault-key")


def test_a_back_up_that_was_killed_harms_nobody_and_runs_again(
    ledger: Ledger, host: MailHost, tmp_path: Path
) -> None:
    server, killed = ledger.server, list[str]()
    ledger.take(POSTS)
    for at in kills(server, "backup", into=tmp_path):
        killed.append(at)
        ledger.take(1)
        copies = backed_up(server, tmp_path / at)
        assert {integrity(copy) for copy in copies} == {"ok"}, at
        assert posts(copies[-1]) == POSTS + len(killed), at
        assert sorted((tmp_path / at).iterdir()) == copies, at
    assert {"fsync-1", "rename-1", "fdatasync-1"} <= set(killed)
    host.start()
    ledger.finish()
    ledger.check(f"F21 kill -9 at {len(killed)} calls of backup")
