"""A list that is filled by invitations alone, with a real server and real mail.

`INVITED=1000` takes so many, by hand; in every run fifty come.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from recrypt_client.cli import main
from recrypt_client.commands.frame import Outside
from recrypt_core.invitations import URI
from tests.end_to_end.network import Mail, MailHost
from tests.end_to_end.programs import DOMAIN, ListServer

pytestmark = pytest.mark.long

TEAM: Final = f"team@{DOMAIN}"
COUNT: Final = int(os.environ.get("INVITED", "50"))
STRANGER: Final = "mallory@example.net"


def does(home: Path, *words: str) -> str:
    """Run a command here: an interpreter for each would take most of the time."""
    done = CliRunner().invoke(main, [*words, "--home", str(home)], obj=Outside())
    assert done.exit_code == 0, (words, done.output, done.exception)
    return done.stdout


def new_home(folder: Path, address: str) -> Path:
    """Make somebody's profile."""
    home = folder / address
    does(home, "profile", "create", address, "--no-passphrase")
    return home


def letters(mail_host: MailHost, count: int, what: bytes, *, sealed: bool) -> Iterator[Mail]:
    """Give the letters of a kind that came, when so many have come in all."""
    for each in mail_host.wait_for(count):
        if (b"application/vnd.recrypt" in each.content) is sealed and what in each.content:
            yield each


def found_list(server: ListServer, folder: Path) -> Path:
    """Let Alice make the list, with a welcome; give her home."""
    alice, profile = new_home(folder, "alice@example.org"), folder / "alice.json"
    does(alice, "profile", "show", "--out", str(profile))
    server.authorize(profile)
    server.start()
    does(alice, "create", TEAM, "--service", server.url)
    does(alice, "set", TEAM, "welcome=true")
    return alice


def all_ask_in(
    server: ListServer, mail_host: MailHost, folder: Path, people: list[str]
) -> dict[str, Path]:
    """Let who was invited ask in, and a stranger, all by their letters; give their homes."""
    homes = {address: new_home(folder, address) for address in (*people, STRANGER)}
    invited = [*letters(mail_host, COUNT, URI.encode(), sealed=False)]
    assert sorted(each.recipient for each in invited) == sorted(people)
    for each in invited:
        letter = folder / f"{each.recipient}.invitation"
        letter.write_bytes(each.content)
        does(homes[each.recipient], "join", "--invitation", str(letter))
    does(homes[STRANGER], "join", TEAM, "--service", server.url)
    for each in letters(mail_host, 2 * COUNT + 1, b"", sealed=True):
        letter = folder / f"{each.recipient}.letter"
        letter.write_bytes(each.content)
        does(homes[each.recipient], "join", TEAM, "--token", str(letter))
    return homes


def test_a_list_is_filled_by_invitations_alone_and_nobody_else_comes_in(
    server: ListServer, mail_host: MailHost, tmp_path: Path
) -> None:
    mail_host.start()
    people = [f"p{number}@example.org" for number in range(COUNT)]
    alice = found_list(server, tmp_path)
    table = tmp_path / "people.csv"
    table.write_text("\n".join(("address", *people)))
    does(alice, "add", TEAM, "--csv", str(table), "--invite")
    homes = all_ask_in(server, mail_host, tmp_path, people)
    told = does(alice, "watch", TEAM, "--approve", "invited", "--once")
    assert told.count(" added to ") == COUNT
    (waits,) = [line for line in told.splitlines() if "waits" in line]
    assert waits.startswith(STRANGER)
    shown = does(alice, "members", TEAM)
    assert all(address in shown for address in people)
    assert STRANGER not in shown
    welcomes = mail_host.wait_for(3 * COUNT + 1)[2 * COUNT + 1 :]
    assert {each.recipient for each in welcomes} == {*people}
    (tmp_path / "welcome").write_bytes(welcomes[0].content)
    read = does(homes[welcomes[0].recipient], "read", str(tmp_path / "welcome"), "--text")
    assert "You are a member of the list" in read
    server.stop()
    assert not any(address in server.logs for address in (*people, STRANGER))
