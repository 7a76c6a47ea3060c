"""A store that can't be used ends each command with one line: what, where, what to do next."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from listserver.cli import main
from tests.end_to_end.programs import BIN, ListServer, run

PAGE: Final = 4096
# A name space of its own, in which the folder can't be written.
ALONE: Final = ("/usr/bin/unshare", "--mount", "/bin/bash", "-euc")
READ_ONLY: Final = 'mount --bind "$0" "$0"; mount -o remount,ro,bind "$0"; shift 0; exec "$@"'


def no_store(store: Path) -> None:
    """Put something else there."""
    store.write_bytes(b"nothing of the kind " * 1000)


def damaged(store: Path) -> None:
    """Spoil all but the first page."""
    store.write_bytes(store.read_bytes()[:PAGE] + b"\xa5" * (store.stat().st_size - PAGE))


def cut(store: Path) -> None:
    """Leave the first pages alone."""
    store.write_bytes(store.read_bytes()[: 2 * PAGE])


def a_later_one(store: Path) -> None:
    """Set the version in its header (sqlite.org/fileformat.html §1.3.14)."""
    octets = bytearray(store.read_bytes())
    octets[60:64] = (999).to_bytes(4, "big")
    store.write_bytes(octets)


RESTORE: Final = "restore the latest back-up of it"
WRONGS: Final[dict[Callable[[Path], None], str]] = {
    no_store: f"not a database): look at [store] url, or, if that is right, {RESTORE}",
    damaged: RESTORE,
    cut: RESTORE,
    a_later_one: "is of a later version of this program: run that one",
}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        pytest.param(wrong, words, id=f"{wrong.__name__}, {words[0]}")
        for wrong in WRONGS
        for words in (("serve",), ("queue",), ("backup", "copies"))
        if (wrong, words[0]) != (a_later_one, "backup")  # a copy of that can be made, and is
    ],
)
def test_a_broken_store(
    server: ListServer,
    tmp_path: Path,
    wrong: Callable[[Path], None],
    words: tuple[str, ...],
) -> None:
    store = server.folder / "store.db"
    wrong(store)
    before = store.read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        done = CliRunner().invoke(main, [*words, "--config", str(server.config)])
    assert (done.exit_code, done.stdout) == (1, "")
    assert re.fullmatch(r"Error: [^\n]+\n", done.stderr), done.stderr
    assert f"the store {store} " in done.stderr
    assert WRONGS[wrong] in done.stderr
    assert not list(tmp_path.glob("copies/*"))
    if wrong is not a_later_one:
        assert store.read_bytes() == before  # and may still be looked at by who knows how


@pytest.mark.parametrize("words", [("serve",), ("queue",)], ids=" ".join)
def test_a_file_system_that_can_not_be_written(server: ListServer, words: tuple[str, ...]) -> None:
    if os.getuid() != 0 or not shutil.which(ALONE[0]):
        pytest.skip("only root mounts")
    command: list[str | Path] = [BIN / "listserver", *words, "--config", server.config]
    done = run(*ALONE, READ_ONLY, server.folder, *command)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"Error: [^\n]+\n", done.stderr), done.stderr
    assert f"the store {server.folder / 'store.db'}" in done.stderr
    assert "a file system that can be written" in done.stderr
