"""A program that knows only docs/spec.md is a full member, and founds groups of its own."""

import json
from pathlib import Path

import pytest

from tests.end_to_end.independent import (
    AgreementKey,
    candidates,
    make_post,
    new_person,
    read_copy,
    split,
)
from tests.end_to_end.independent_group import ask, clock, fetch_key
from tests.end_to_end.network import MailHost
from tests.end_to_end.programs import DOMAIN, ListServer
from tests.end_to_end.programs import new_person as new_recrypt_person
from tests.end_to_end.team import found_team, send

TEAM = f"team@{DOMAIN}"
WORDS = b"Subject: Friday\r\n\r\nBring the lanterns.\r\n"


def test_its_arithmetic_completes_an_agreement() -> None:
    for _ in range(20):
        a, t = AgreementKey.generate(), AgreementKey.generate()
        r, x = split(a)
        found = candidates(r.exchange(t.public_key()), x.exchange(t.public_key()))
        assert a.exchange(t.public_key()) in found


def test_it_is_added_and_posts_and_reads(
    tmp_path: Path, server: ListServer, mail_host: MailHost
) -> None:
    mail_host.start()
    alice = new_recrypt_person(tmp_path, "alice@example.org")
    bob = new_person("bob@example.org", clock())
    (tmp_path / "bob.json").write_text(json.dumps(bob.profile))
    server.authorize(alice.profile)
    server.start()
    alice.recrypt("create", TEAM, "--service", server.url)
    alice.recrypt("add", TEAM, tmp_path / "bob.json")

    send(server, TEAM, make_post(TEAM, fetch_key(server.url, TEAM), WORDS))
    mail_host.wait_for(2)
    copies = mail_host.copies()
    assert read_copy(copies["bob@example.org"], bob) == WORDS
    assert b"Bring the lanterns." in alice.recrypt("read", stdin=copies["alice@example.org"])

    send(server, TEAM, alice.recrypt("seal", "--to", TEAM, stdin=WORDS))
    (copy,) = [mail.content for mail in mail_host.wait_for(4)[2:] if mail.recipient == bob.address]
    signature, _, entity = read_copy(copy, bob).partition(b"\r\n")
    assert signature.startswith(b"Recrypt-Signature: ")
    assert b"Bring the lanterns." in entity


def test_it_founds_a_group_with_halves_that_it_split(
    server: ListServer, mail_host: MailHost
) -> None:
    mail_host.start()
    team = found_team(server, ("alice@example.org", "bob@example.org"))
    assert fetch_key(server.url, TEAM) == team.group.public
    team.send(team.sealed(WORDS))
    mail_host.wait_for(2)
    for address, copy in mail_host.copies().items():
        assert read_copy(copy, team.members[address]) == WORDS


def test_it_meets_a_group_of_its_own_with_recrypt(
    tmp_path: Path, server: ListServer, mail_host: MailHost
) -> None:
    mail_host.start()
    team = found_team(server, ("alice@example.org",))
    dave = new_recrypt_person(tmp_path, "dave@example.org")
    post = dave.recrypt("seal", "--to", TEAM, "--service", server.url, stdin=WORDS)
    team.send(post)
    mail_host.wait_for(1)
    content = read_copy(mail_host.copies()["alice@example.org"], team.members["alice@example.org"])
    assert b"Bring the lanterns." in content


def test_it_says_hello(server: ListServer) -> None:
    server.start()
    hello = ask(server.url, {"HelloRequest": {}})["HelloResponse"]
    assert "X25519" in hello["Algorithms"]
    with pytest.raises(AssertionError, match="404"):
        fetch_key(server.url, f"nobody@{DOMAIN}")
