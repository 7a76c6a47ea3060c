"""Late delivery: who was suspended by mistake is sent what was missed, and nobody else twice."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.end_to_end.network import MailHost
from tests.end_to_end.programs import DOMAIN, ListServer, Person, new_person
from tests.end_to_end.team import send

TEAM = f"team@{DOMAIN}"
WORDS = "We meet on Friday at the old mill."


def found_list(server: ListServer, folder: Path) -> dict[str, Person]:
    """Start a server with a list of three."""
    with ThreadPoolExecutor() as pool:
        addresses = [f"{name}@example.org" for name in ("alice", "bob", "carol")]
        alice, bob, carol = pool.map(partial(new_person, folder), addresses)
    server.authorize(alice.profile)
    server.start()
    alice.recrypt("create", TEAM, "--service", server.url)
    alice.recrypt("add", TEAM, bob.profile, carol.profile)
    return {"alice": alice, "bob": bob, "carol": carol}


def post(server: ListServer, author: Person) -> None:
    """Post some words."""
    send(server, TEAM, author.sealed(TEAM, WORDS))


def test_who_was_suspended_by_mistake_reads_what_was_missed(
    server: ListServer, mail_host: MailHost, tmp_path: Path
) -> None:
    mail_host.start()
    people = found_list(server, tmp_path)
    alice, carol = people["alice"], people["carol"]
    alice.recrypt("suspend", TEAM, carol.address)
    post(server, alice)
    assert {mail.recipient for mail in mail_host.wait_for(2)} == {
        alice.address,
        people["bob"].address,
    }
    refused = alice.try_recrypt("redeliver", TEAM, carol.address, "--since", "1h")
    assert refused.returncode == 1
    assert f"recrypt resume {TEAM} {carol.address}".encode() in refused.stderr
    alice.recrypt("resume", TEAM, carol.address)
    told = alice.recrypt("redeliver", TEAM, carol.address, "--since", "1h").decode()
    assert told == f"1 post is on its way to {carol.address}.\n"
    mail_host.wait_for(3)
    server.stop()
    copies = mail_host.copies()  # one for each
    for person in people.values():
        assert WORDS.encode() in person.recrypt("read", stdin=copies[person.address])
    heads = {copy.partition(b"\r\n\r\n")[0] for copy in copies.values()}
    assert len({_fixed(head) for head in heads}) == 1
    assert carol.address not in server.logs


def test_after_a_restart_it_can_still_be_asked_for(
    server: ListServer, mail_host: MailHost, tmp_path: Path
) -> None:
    mail_host.start()
    people = found_list(server, tmp_path)
    alice, bob = people["alice"], people["bob"]
    post(server, alice)
    mail_host.wait_for(3)
    server.stop()
    server.start()
    answer = alice.recrypt("redeliver", TEAM, bob.address, "--since", "1h", "--json")
    assert json.loads(answer)["Posts"] == 1
    mails = mail_host.wait_for(4)
    server.stop()
    found = [mail.content for mail in mails if mail.recipient == bob.address]
    assert len(found) == 2
    for copy in found:
        assert WORDS.encode() in bob.recrypt("read", stdin=copy)


def _fixed(head: bytes) -> bytes:
    """Leave out of a header block what each copy has of its own: the token to leave by."""
    lines = [line for line in head.split(b"\r\n") if b"boundary=" not in line]
    return re.sub(rb"[/+][a-z2-7]{26}\b", b"", b"\r\n".join(lines))
