"""One server with lists of one name at two domains, with real programs and mail."""

import json
import smtplib
from functools import partial
from pathlib import Path

import httpx2
from click.testing import CliRunner

from listserver.cli import main
from tests.end_to_end.network import LOCALHOST, MailHost
from tests.end_to_end.programs import ListServer, Person, new_person
from tests.end_to_end.team import send

FIRST, SECOND = "team@lists.example", "team@news.example"


def post(server: ListServer, author: Person, to: str) -> None:
    """Post to a list."""
    send(server, to, author.sealed(to, "Words.", subject=f"To {to}"))


def rcpt(server: ListServer, address: str) -> tuple[int, bytes]:
    """Ask whether mail for an address is taken."""
    with smtplib.SMTP(LOCALHOST, server.smtp_port) as smtp:
        smtp.helo()
        smtp.mail("zoe@example.org")
        return smtp.rcpt(address)


def founded(server: ListServer, folder: Path) -> tuple[Person, Person, Person]:
    """Start the server; Alice creates team@ at each of its domains, of Bob and of Carol."""
    more = 'more_domains = ["news.example"]'
    server.set('domain = "lists.example"\n', f'domain = "lists.example"\n{more}\n')
    addresses = [f"{name}@example.org" for name in ("alice", "bob", "carol")]
    alice, bob, carol = map(partial(new_person, folder), addresses)
    server.authorize(alice.profile)
    server.start()
    for group, member in ((FIRST, bob), (SECOND, carol)):
        alice.recrypt("create", group, "--service", server.url)
        alice.recrypt("add", group, member.profile)
        member.recrypt("key", group, "--service", server.url)
    return alice, bob, carol


def test_lists_of_one_name_at_two_domains_are_written_to_and_read_apart(
    server: ListServer, mail_host: MailHost, tmp_path: Path
) -> None:
    mail_host.start()
    alice, bob, carol = founded(server, tmp_path)
    post(server, carol, SECOND)
    mails = mail_host.wait_for(2)
    assert {mail.recipient for mail in mails} == {alice.address, carol.address}
    for mail in mails:
        assert mail.sender.endswith("@news.example")
        assert b"lists.example" not in mail.content.partition(b"\r\n\r\n")[0]
    for person, (copy,) in (
        (each, [mail for mail in mails if mail.recipient == each.address])
        for each in (alice, carol)
    ):
        assert f"Subject: To {SECOND}".encode() in person.recrypt("read", stdin=copy.content)
    post(server, bob, FIRST)
    later = mail_host.wait_for(4)[2:]
    assert {mail.recipient for mail in later} == {alice.address, bob.address}
    assert not any(b"news.example" in mail.content for mail in later)


def test_a_server_of_two_domains_takes_their_mail_and_shows_their_lists_apart(
    server: ListServer, tmp_path: Path
) -> None:
    # As both domains are this server's, the operator has no mailbox at either.
    server.set('operator = "postmaster@lists.example"', 'operator = "chief@news.example"')
    founded(server, tmp_path)
    assert {rcpt(server, each)[0] for each in (FIRST, SECOND)} == {250}
    assert rcpt(server, "team@elsewhere.example")[1].startswith(b"5.7.1")
    assert {rcpt(server, f"abuse@{each}")[0] for each in ("lists.example", "news.example")} == {550}
    pages = [httpx2.get(f"{server.url}/l/{name}").text for name in ("team", SECOND)]
    assert [(FIRST in each, SECOND in each) for each in pages] == [(True, False), (False, True)]
    server.stop()
    given = ["lists", "--json", "--config", str(server.config)]
    seen = json.loads(CliRunner(catch_exceptions=False).invoke(main, given).stdout)["lists"]
    assert {each["address"]: each["members"] for each in seen} == {FIRST: 2, SECOND: 2}
