"""Joining, with real programs and mail: Bob asks in, answers the letter, and reads a post."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.end_to_end.network import MailHost
from tests.end_to_end.programs import DOMAIN, ListServer, Person, new_person
from tests.end_to_end.team import send

TEAM = f"team@{DOMAIN}"
NAMES = ("alice", "bob", "carol", "mallory")


def set_up(server: ListServer, folder: Path) -> tuple[list[Person], str]:
    """Let Alice make the list; give the people, and the list's fingerprint."""
    with ThreadPoolExecutor() as pool:
        addresses = [f"{name}@example.org" for name in NAMES]
        people = list(pool.map(partial(new_person, folder), addresses))
    server.authorize(people[0].profile)
    server.start()
    made = people[0].recrypt("create", TEAM, "--service", server.url, "--json")
    return people, json.loads(made)["Identifier"]


def test_bob_asks_in_answers_the_letter_and_reads_once_alice_has_let_him_in(
    server: ListServer, mail_host: MailHost, tmp_path: Path
) -> None:
    mail_host.start()
    (alice, bob, carol, mallory), fingerprint = set_up(server, tmp_path)
    known = ("--service", server.url, "--fingerprint", fingerprint)
    bob.recrypt("join", TEAM, *known)
    (letter,) = mail_host.wait_for(1)
    assert (letter.sender, letter.recipient) == ("", bob.address)
    assert b"Token" not in letter.content
    assert b"made for other keys" in read_token(mallory, letter.content, *known)
    file = tmp_path / "LETTER"
    file.write_bytes(letter.content)
    told = json.loads(bob.recrypt("join", TEAM, "--token", file, "--json"))
    assert waiting(alice) == [(bob.address, told["RecryptUDF"])]
    assert told["RecryptUDF"].encode() in alice.recrypt("approve", TEAM, bob.address)
    send(server, TEAM, alice.sealed(TEAM, "With Bob."))
    copy = [each for each in mail_host.wait_for(3) if each.recipient == bob.address][-1]
    assert b"With Bob" in bob.recrypt("read", stdin=copy.content)
    assert b"token isn't good" in read_token(bob, letter.content)
    carol.recrypt("join", TEAM, *known)
    carol.recrypt("join", TEAM, "--token", "-", stdin=mail_host.wait_for(4)[-1].content)
    alice.recrypt("deny", TEAM, carol.address)
    assert waiting(alice) == []
    assert b"403" in bob.try_recrypt("requests", TEAM).stderr
    server.stop()
    assert not any(person.address in server.logs for person in (alice, bob, carol))


def waiting(administrator: Person) -> list[tuple[str, str]]:
    """Give addresses and fingerprints of who waits."""
    shown = json.loads(administrator.recrypt("requests", TEAM, "--json"))
    return [(each["AccountName"], each["RecryptUDF"]) for each in shown["JoinRequests"]]


def read_token(person: Person, letter: bytes, *options: str) -> bytes:
    """Answer a letter that isn't good for a person; give the words."""
    done = person.try_recrypt("join", TEAM, *options, "--token", "-", stdin=letter)
    assert done.returncode == 1
    return done.stderr


def test_a_member_who_asks_is_answered_and_written_to_as_anyone(
    server: ListServer, mail_host: MailHost, tmp_path: Path
) -> None:
    """Whoever signs has the same address in a profile of their own."""
    mail_host.start()
    (alice, bob, carol, _), _ = set_up(server, tmp_path)
    alice.recrypt("add", TEAM, bob.profile)
    told = {}
    for number, address in enumerate((alice.address, bob.address, carol.address), start=1):
        folder = tmp_path / f"claims {number}"
        folder.mkdir()
        claims = new_person(folder, address)
        words = claims.recrypt("join", TEAM, "--service", server.url).decode()
        told[address] = words.replace(address, "ADDRESS").splitlines()[:2]
        assert mail_host.wait_for(number)[-1].recipient == address
    assert told[alice.address] == told[bob.address] == told[carol.address]
