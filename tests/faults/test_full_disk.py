"""A disk that is full, or nearly: no 250 for what isn't there, and it goes on by itself."""

import os
import smtplib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.network import LOCALHOST, MailHost
from tests.faults.house import CONNECTIONS, Server
from tests.faults.ledger import Ledger
from tests.faults.machine import ROOT
from tests.faults.states import deliveries, integrity

pytestmark = ROOT

SMALL, MIDDLE, LARGER = 3, 36, 72  # MiB of a disk
RESERVE = 16  # MiB of the middle one
OCTETS = 100_000
MORE_OCTETS = 300_000
MOST = 200  # posts that would fill it twice


@pytest.fixture
def size() -> int:
    """Give the size of the disk, in MiB."""
    return SMALL


@pytest.fixture
def disk(tmp_path: Path, size: int) -> Iterator[Path]:
    """Give a small disk."""
    folder = tmp_path / "disk"
    folder.mkdir()
    option = f"size={size}m"
    subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", option, "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["/bin/umount", folder], check=True)


@pytest.fixture
def server(disk: Path, host: MailHost) -> Iterator[Server]:
    """Give a server whose folder is there."""
    made = Server(disk / "server", relay_port=host.port)
    yield made
    made.kill()


def fill(ledger: Ledger, octets: int = OCTETS) -> None:
    """Hand in posts until no more is taken; nobody takes a copy meanwhile."""
    ledger.host.fall_silent()
    ledger.host.start()
    while ledger.hand_in(ledger.new_post(octets)) == 250:
        assert ledger.made < MOST
    for _ in range(3):
        ledger.hand_in(ledger.new_post(octets))
    assert ledger.codes.keys() <= {250, 451, 452}, ledger.codes


def enlarge(disk: Path) -> None:
    """Give it room."""
    subprocess.run(["/bin/mount", "-o", f"remount,size={LARGER}m", disk], check=True)


def free_mib(disk: Path) -> float:
    """Tell how much of it is free."""
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize / 2**20


def answer_to_mail(port: int) -> tuple[int, bytes]:
    """Begin a mail, and give the answer."""
    with smtplib.SMTP(LOCALHOST, port) as smtp:
        smtp.ehlo()
        return smtp.mail("sender@example.org")


@pytest.mark.parametrize("size", [MIDDLE])
def test_before_the_disk_is_full_mail_is_put_off_and_the_queue_goes_on(
    disk: Path, ledger: Ledger, host: MailHost
) -> None:
    ledger.server.stop()
    ledger.server.set("reserve_mib = 0", f"reserve_mib = {RESERVE}")
    ledger.server.start()
    fill(ledger, MORE_OCTETS)
    assert ledger.codes.keys() == {250, 452}
    code, words = answer_to_mail(ledger.server.smtp_port)
    assert (code, words) == (452, b"4.3.1 The server's disk is nearly full; try again later.")
    left = free_mib(disk)
    assert RESERVE / 4 < left < RESERVE
    host.speak()
    assert ledger.settle(), ledger.server.child.output
    assert free_mib(disk) > RESERVE / 4
    assert ledger.server.child.count("event='disk-nearly-full'") == 1
    enlarge(disk)
    ledger.insist(ledger.new_post(MORE_OCTETS))
    ledger.finish()
    assert ledger.codes.keys() == {250, 452}  # and no 451
    taken = f"{ledger.codes[250]} taken, with {left:.0f} of {MIDDLE} MiB left and {RESERVE} wanted"
    ledger.check(f"F6 disk reserve, {taken}")


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
