"""A file for a group, which no list has sent: the real service recrypts it for who is a member."""

import json
from pathlib import Path

from tests.end_to_end.programs import DOMAIN, ListServer, Person, new_person

NAMES = ("alice", "bob", "dave")
GROUP = f"files@{DOMAIN}"
PLAN = bytes(range(256)) * 100


def set_up(server: ListServer, folder: Path) -> tuple[Person, Person, Person, Path]:
    """Let Alice make a group with Bob, and Dave, who is in none, encrypt a file to it."""
    alice, bob, dave = (new_person(folder, f"{name}@example.org") for name in NAMES)
    server.authorize(alice.profile)
    server.start()
    alice.recrypt("create", GROUP, "--service", server.url)
    alice.recrypt("add", GROUP, bob.profile)
    sealed = folder / "plan.mmx"
    to = ("--to", GROUP, "--service", server.url)
    dave.recrypt("encrypt", "-", *to, "--out", sealed, stdin=PLAN)
    return alice, bob, dave, sealed


def test_a_member_decrypts_a_file_until_suspended_and_the_log_shows_it(
    tmp_path: Path, server: ListServer
) -> None:
    alice, bob, dave, sealed = set_up(server, tmp_path)
    bob.recrypt("key", GROUP, "--service", server.url)
    assert bob.recrypt("decrypt", sealed) == PLAN
    stranger = dave.try_recrypt("decrypt", sealed)
    assert (stranger.returncode, stranger.stdout) == (1, b"")
    assert b"Only its members can read it" in stranger.stderr

    alice.recrypt("suspend", GROUP, bob.address)
    refused = bob.try_recrypt("decrypt", sealed)
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert b"403" in refused.stderr
    alice.recrypt("resume", GROUP, bob.address)
    server.kill()
    server.start()
    assert bob.recrypt("decrypt", sealed) == PLAN

    log = json.loads(alice.recrypt("audit", GROUP, "--json"))["Entries"]
    assert [each["Result"] for each in log] == ["DONE", "DONE"]
    assert {each["AccountName"] for each in log} == {bob.address}
    assert len({each["EphemeralUDF"] for each in log}) == 1
    server.stop()
    assert bob.address not in server.logs
    assert bob.address.encode() not in (server.folder / "store.db").read_bytes()
