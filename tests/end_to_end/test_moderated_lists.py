"""Moderation with real programs and mail: a post waits, a moderator reads it, and decides."""

from pathlib import Path

from tests.end_to_end.network import Mail, MailHost
from tests.end_to_end.programs import ListServer
from tests.end_to_end.team import send
from tests.end_to_end.test_leaving_lists import TEAM, copies, found_list, letters_to, post


def to(mails: list[Mail]) -> list[str]:
    """Tell whom mails are for, in order."""
    return sorted(mail.recipient for mail in mails)


def test_what_is_held_is_read_by_a_moderator_and_then_by_all(
    server: ListServer, mail_host: MailHost, tmp_path: Path
) -> None:
    mail_host.start()
    alice, bob, carol = found_list(server, tmp_path)
    alice.recrypt("set", TEAM, "post=moderated")
    post(server, carol, "Lunch at noon.")
    (held,) = copies(mail_host, 1)
    assert held.recipient == alice.address
    assert b"is held, as number 1:" in held.content
    assert b"Lunch at noon." in alice.recrypt("read", stdin=held.content)
    (row,) = alice.recrypt("held", TEAM).decode().splitlines()[1:]
    assert (row[:2], carol.address in row) == ("1 ", True)
    server.stop()
    server.start()
    told = alice.recrypt("held", TEAM, "accept", "1")
    assert told == b"Post 1 is accepted: all readers get it\n"
    mails = copies(mail_host, 4)
    assert to(mails[1:]) == [alice.address, bob.address, carol.address]
    (bobs,) = [mail for mail in mails if mail.recipient == bob.address]
    assert b"Lunch at noon." in bob.recrypt("read", stdin=bobs.content)
    (own,) = [mail for mail in mails[1:] if mail.recipient == alice.address]
    assert b"Lunch at noon." in alice.recrypt("read", stdin=own.content)
    post(server, carol, "Dinner at eight.")
    copies(mail_host, 5)
    by_mail = alice.recrypt("held", TEAM, "accept", "2", "--mail")
    send(server, TEAM.replace("@", "-request@"), by_mail)
    assert to(copies(mail_host, 8)[5:]) == [alice.address, bob.address, carol.address]


def test_a_sender_that_is_proven_hears_of_a_rejection_and_who_is_banned_nothing(
    server: ListServer, mail_host: MailHost, tmp_path: Path
) -> None:
    mail_host.start()
    alice, bob, carol = found_list(server, tmp_path)
    alice.recrypt("set", TEAM, "post=moderated")
    alice.recrypt("ban", TEAM, bob.address)
    post(server, bob, "Buy now.")
    post(server, carol, "Lunch at noon.")
    (held,) = copies(mail_host, 1)
    assert b"Lunch at noon." in alice.recrypt("read", stdin=held.content)
    alice.recrypt("held", TEAM, "reject", "2")
    (letter,) = letters_to(mail_host, carol.address)
    assert b"have rejected it" in carol.recrypt("read", stdin=letter.content)
    server.stop()
    assert not any(person.address in server.logs for person in (alice, bob, carol))
