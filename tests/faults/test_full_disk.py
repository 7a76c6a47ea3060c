"""A disk that is full: no 250 for what isn't there, and it goes on by itself when there is room."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.network import MailHost
from tests.faults.house import CONNECTIONS, Server
from tests.faults.ledger import Ledger
from tests.faults.machine import ROOT
from tests.faults.states import deliveries, integrity

pytestmark = ROOT

SMALL, LARGER = "size=3m", "size=40m"
OCTETS = 100_000
MOST = 60  # posts that would fill it twice


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Give a small disk."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", SMALL, "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["/bin/umount", folder], check=True)


@pytest.fixture
def server(disk: Path, host: MailHost) -> Iterator[Server]:
    """Give a server whose folder is there."""
    made = Server(disk / "server", relay_port=host.port)
    yield made
    made.kill()


def fill(ledger: Ledger) -> None:
    """Hand in posts until no more is taken; nobody takes a copy meanwhile."""
    ledger.host.fall_silent()
    ledger.host.start()
    while ledger.hand_in(ledger.new_post(OCTETS)) == 250:
        assert ledger.made < MOST
    for _ in range(3):
        ledger.hand_in(ledger.new_post(OCTETS))
    assert ledger.codes.keys() <= {250, 451, 452}, ledger.codes


def enlarge(disk: Path) -> None:
    """Give it room."""
    subprocess.run(["/bin/mount", "-o", f"remount,{LARGER}", disk], check=True)


def test_a_full_disk_refuses_for_now_and_all_goes_out_when_there_is_room(
    disk: Path, ledger: Ledger, host: MailHost
) -> None:
    fill(ledger)
    host.speak()
    host.wait_for(CONNECTIONS)  # whose outcomes can't be written now
    enlarge(disk)
    ledger.take(1)
    assert ledger.settle(), ledger.server.child.output
    ledger.server.stop()
    assert integrity(ledger.server.store) == "ok"
    assert not deliveries(ledger.server.store)
    ledger.check(f"F6 full disk, {ledger.codes[451]} x 451, {ledger.codes[452]} x 452")


def test_a_server_killed_on_a_full_disk_starts_or_says_why_not_and_loses_nothing(
    disk: Path, ledger: Ledger, host: MailHost
) -> None:
    fill(ledger)
    ledger.server.kill()
    ledger.crashes += 1
    host.speak()
    has_started = ledger.server.begin()
    enlarge(disk)
    if not has_started:  # it must write down what was under way
        words = ledger.server.child.output.splitlines()[-1]
        assert words.startswith("Error: the store ")
        assert "look at its disk" in words
        ledger.server.start()
    ledger.take(1)
    assert ledger.settle(), ledger.server.child.output
    ledger.server.stop()
    assert integrity(ledger.server.store) == "ok"
    ledger.check("F6 full disk and kill -9")
