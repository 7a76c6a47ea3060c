"""Leaving, pausing and moving, with real programs and mail: by commands, and by a copy's link."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx2
import pytest

from tests.end_to_end.network import Mail, MailHost
from tests.end_to_end.programs import DOMAIN, ListServer, Person, new_person
from tests.end_to_end.team import send

STAY = re.compile(rb"/stay/([a-z2-7]{26})")
TEAM = f"team@{DOMAIN}"
FIELD = re.compile(
    rb"^List-Unsubscribe: <([^>]+)/u/([a-z2-7]{26})>,\r\n"
    rb" <mailto:team-unsubscribe\+([a-z2-7]{26})@[^>]+>\r\n"
    rb"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
    re.MULTILINE,
)


def found_list(server: ListServer, folder: Path) -> tuple[Person, Person, Person]:
    """Start a server with a list of three, who know it."""
    with ThreadPoolExecutor() as pool:
        addresses = [f"{name}@example.org" for name in ("alice", "bob", "carol")]
        alice, bob, carol = pool.map(partial(new_person, folder), addresses)
    server.authorize(alice.profile)
    server.start()
    alice.recrypt("create", TEAM, "--service", server.url)
    alice.recrypt("add", TEAM, bob.profile, carol.profile)
    for person in (bob, carol):
        person.recrypt("key", TEAM, "--service", server.url)
    return alice, bob, carol


def post(server: ListServer, author: Person, words: str) -> None:
    """Post some words."""
    send(server, TEAM, author.sealed(TEAM, words))


def copies(mail_host: MailHost, count: int) -> list[Mail]:
    """Wait for so many copies, whatever letters come between them."""
    return _wait(mail_host, count, lambda mail: mail.sender != "")


def letters_to(mail_host: MailHost, address: str) -> list[Mail]:
    """Wait for a letter to somebody."""
    return _wait(mail_host, 1, lambda mail: (mail.sender, mail.recipient) == ("", address))


def _wait(mail_host: MailHost, count: int, is_meant: Callable[[Mail], bool]) -> list[Mail]:
    total = count
    while True:
        mails = mail_host.wait_for(total)
        found = [mail for mail in mails if is_meant(mail)]
        if len(found) >= count:
            return found
        total = len(mails) + 1


def test_who_pauses_or_leaves_is_sent_nothing_more_and_administrators_are_told(
    server: ListServer, mail_host: MailHost, tmp_path: Path
) -> None:
    mail_host.start()
    alice, bob, carol = found_list(server, tmp_path)
    bob.recrypt("mail", TEAM, "off")
    carol.recrypt("mail", TEAM, "--own-posts", "no")
    post(server, carol, "One.")
    assert [mail.recipient for mail in copies(mail_host, 1)] == [alice.address]
    bob.recrypt("mail", TEAM, "on")
    carol.recrypt("leave", TEAM, "--yes")
    post(server, bob, "Two.")
    assert carol.address not in {mail.recipient for mail in copies(mail_host, 3)}
    letter = letters_to(mail_host, alice.address)[-1]
    server.stop()
    assert carol.address.encode() in alice.recrypt("read", stdin=letter.content)
    assert carol.address.encode() not in letter.content
    server.start()
    assert b"ACTIVE, left" in alice.recrypt("members", TEAM)
    assert b"has left, and is REVOKED now" in alice.recrypt("refresh", TEAM)
    server.stop()
    assert not any(person.address in server.logs for person in (alice, bob, carol))


def test_each_copy_has_its_own_link_to_leave_by_which_its_return_path_does_not_tell(
    server: ListServer, mail_host: MailHost, tmp_path: Path
) -> None:
    mail_host.start()
    people = found_list(server, tmp_path)
    post(server, people[0], "One.")
    mails = copies(mail_host, 3)
    server.stop()
    found = [FIELD.search(mail.content) for mail in mails]
    fields = [each.groups() for each in found if each is not None]
    assert [url.decode() for url, _, _ in fields] == [server.url] * 3
    assert all(token == by_mail for _, token, by_mail in fields)
    assert len({token for _, token, _ in fields}) == 3
    assert not [mail for mail in mails for _, token, _ in fields if token.decode() in mail.sender]
    assert len({len(mail.content) for mail in mails}) == 1


@pytest.mark.parametrize("way", ["page", "mail"])
def test_a_copys_link_pauses_and_the_letters_link_undoes_it(
    server: ListServer, mail_host: MailHost, tmp_path: Path, way: str
) -> None:
    mail_host.start()
    alice, bob, _ = found_list(server, tmp_path)
    post(server, alice, "One.")
    (copy,) = [each for each in copies(mail_host, 3) if each.recipient == bob.address]
    field = FIELD.search(copy.content)
    assert field is not None
    token = field[2].decode()
    _follow(server, way, f"/u/{token}", token)
    post(server, alice, "Two.")
    assert bob.address not in {each.recipient for each in copies(mail_host, 5)[3:]}
    letter = _wait(mail_host, 1, lambda mail: _is_about_leaving(mail, bob))[0]
    found = STAY.search(bob.recrypt("read", stdin=letter.content))
    assert found is not None
    _follow(server, way, f"/stay/{found[1].decode()}", found[1].decode())
    post(server, alice, "Three.")
    assert bob.address in {each.recipient for each in copies(mail_host, 8)[5:]}
    server.stop()
    assert not any(each in server.logs for each in (bob.address, token, found[1].decode()))


def _is_about_leaving(mail: Mail, person: Person) -> bool:
    if (mail.sender, mail.recipient) != ("", person.address):
        return False
    return b"leaving the list" in person.recrypt("read", stdin=mail.content)


def _follow(server: ListServer, way: str, path: str, token: str) -> None:
    """Do what a mail program's button does, or what its reader does with the address."""
    if way == "page":
        answer = httpx2.post(f"{server.url}{path}", data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200
    else:
        send(server, f"team-unsubscribe+{token}@{DOMAIN}", b"Subject: unsubscribe\r\n\r\n")


def test_a_member_moves_to_an_address_that_it_has_proven(
    server: ListServer, mail_host: MailHost, tmp_path: Path
) -> None:
    mail_host.start()
    alice, bob, _ = found_list(server, tmp_path)
    new = "bob@example.net"
    bob.recrypt("profile", "address", new)
    alice.recrypt("refresh", TEAM)
    post(server, alice, "One.")
    assert bob.address in {mail.recipient for mail in copies(mail_host, 3)}
    bob.recrypt("join", TEAM)
    (letter,) = letters_to(mail_host, new)
    bob.recrypt("join", TEAM, "--token", "-", stdin=letter.content)
    alice.recrypt("refresh", TEAM)
    post(server, alice, "Two.")
    moved = {mail.recipient for mail in copies(mail_host, 6)[3:]}
    server.stop()
    assert new in moved
    assert bob.address not in moved
