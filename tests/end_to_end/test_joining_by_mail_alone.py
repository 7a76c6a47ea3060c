"""Joining by mail alone, with real programs: Bob never calls the service."""

import json
import smtplib
from email import message_from_bytes
from pathlib import Path

from tests.end_to_end.network import LOCALHOST, Mail, MailHost
from tests.end_to_end.programs import DOMAIN, ListServer, Person, new_person
from tests.end_to_end.team import send

TEAM = f"team@{DOMAIN}"


def hand_in(server: ListServer, mail: bytes, *, sender: str) -> None:
    """Hand a mail in as `sendmail -t` does: to whom it says."""
    to = message_from_bytes(mail)["To"]
    with smtplib.SMTP(LOCALHOST, server.smtp_port) as smtp:
        smtp.sendmail(sender, [to], mail)


def latest(mail_host: MailHost, count: int, recipient: str) -> Mail:
    """Wait for so many mails; give the last one to somebody."""
    return [each for each in mail_host.wait_for(count) if each.recipient == recipient][-1]


def set_up(server: ListServer, folder: Path) -> tuple[Person, Person, str]:
    """Let Alice make the list; give her, Bob, and the list's fingerprint."""
    alice, bob = (new_person(folder, f"{name}@example.org") for name in ("alice", "bob"))
    server.authorize(alice.profile)
    server.start()
    made = alice.recrypt("create", TEAM, "--service", server.url, "--json")
    return alice, bob, json.loads(made)["Identifier"]


def test_bob_gets_the_key_asks_in_and_answers_by_mail_and_reads_what_is_posted(
    server: ListServer, mail_host: MailHost, tmp_path: Path
) -> None:
    mail_host.start()
    alice, bob, fingerprint = set_up(server, tmp_path)
    question = f"From: {bob.address}\r\nTo: team-key@{DOMAIN}\r\n\r\n".encode()
    hand_in(server, question, sender=bob.address)
    came = latest(mail_host, 1, bob.address)
    assert came.sender == ""
    known = ("--service", "https://nobody.example", "--fingerprint", fingerprint)
    bob.recrypt("key", TEAM, "--file", "-", *known, stdin=came.content)
    hand_in(server, bob.recrypt("join", TEAM, "--by-mail"), sender=bob.address)
    letter = latest(mail_host, 2, bob.address)
    assert b"Token" not in letter.content
    answer = bob.recrypt("join", TEAM, "--by-mail", "--token", "-", stdin=letter.content)
    hand_in(server, answer, sender=bob.address)
    waiting = json.loads(alice.recrypt("requests", TEAM, "--json"))["JoinRequests"]
    assert [each["AccountName"] for each in waiting] == [bob.address]
    alice.recrypt("approve", TEAM, bob.address)
    post = b"From: alice@example.org\r\nSubject: Friday\r\n\r\nWith Bob.\r\n"
    send(server, TEAM, alice.recrypt("seal", "--to", TEAM, stdin=post))
    assert b"With Bob." in bob.recrypt("read", stdin=latest(mail_host, 4, bob.address).content)
    server.stop()
    assert bob.address not in server.logs


def test_what_bob_writes_to_the_owners_alice_reads_and_nobody_on_the_way(
    server: ListServer, mail_host: MailHost, tmp_path: Path
) -> None:
    mail_host.start()
    alice, bob, _ = set_up(server, tmp_path)
    to = f"team-owner@{DOMAIN}"
    plea = f"From: {bob.address}\r\nTo: {to}\r\nSubject: Please\r\n\r\nLet me in.\r\n"
    hand_in(server, plea.encode(), sender=bob.address)
    letter = latest(mail_host, 1, alice.address)
    assert not any(word in letter.content for word in (b"Please", b"me in", b"bob@"))
    read = alice.recrypt("read", stdin=letter.content)
    assert plea.encode() in read
    assert b"\n| Let me in." in alice.recrypt("read", "--text", stdin=letter.content)
