"""Mail that comes back, in the world: a probe, mail off, a notice that Alice reads, mail on."""

import re
import smtplib
import sqlite3
from contextlib import closing
from email import message_from_bytes
from pathlib import Path

from tests.end_to_end.network import LOCALHOST, Mail, MailHost
from tests.end_to_end.programs import DOMAIN, ListServer, Person
from tests.end_to_end.test_late_delivery import TEAM, WORDS, found_list, post

REFUSED = "550 5.1.1 no such user here"
HOUR = 3600


def report_of(copy: Mail) -> bytes:
    """Write what a mail host sends to a return path when it can't deliver (RFC 3464)."""
    return (
        "From: MAILER-DAEMON@mx.example.org\r\nAuto-Submitted: auto-replied\r\n"
        "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status;"
        ' boundary="b"\r\n\r\n--b\r\n\r\nIt failed.\r\n--b\r\n'
        "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.org\r\n\r\n"
        f"Final-Recipient: rfc822; {copy.recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\n--b--\r\n"
    ).encode()


def send_back(server: ListServer, copy: Mail) -> None:
    """Report a copy's failure."""
    with smtplib.SMTP(LOCALHOST, server.smtp_port) as smtp:
        smtp.sendmail("", [copy.sender], report_of(copy))


def mail_to(mails: list[Mail], person: Person) -> list[Mail]:
    return [each for each in mails if each.recipient == person.address]


def test_reports_turn_mail_off_and_the_administrator_reads_of_it(
    server: ListServer, mail_host: MailHost, tmp_path: Path
) -> None:
    server.set("[relay]\n", "[bounces]\nthreshold = 1\n\n[relay]\n")
    mail_host.start()
    people = found_list(server, tmp_path)
    alice, bob = people["alice"], people["bob"]
    post(server, alice)
    (copy,) = mail_to(mail_host.wait_for(3), bob)
    send_back(server, copy)
    _, probe = mail_to(mail_host.wait_for(4), bob)
    assert re.fullmatch(rf"team-bounces\+[a-z2-7]{{26}}@{DOMAIN}", probe.sender)
    assert probe.sender != copy.sender
    assert b"is your address working?" in bob.recrypt("read", stdin=probe.content)
    send_back(server, probe)
    _, notice = mail_to(mail_host.wait_for(5), alice)
    server.stop()
    assert notice.sender == ""
    assert message_from_bytes(notice.content)["Subject"] == "[...]"
    assert bob.address.encode() not in notice.content
    said = alice.recrypt("read", stdin=notice.content).decode()
    assert "Subject: team: members without mail: 1" in said
    assert f"  {bob.address}" in said
    assert not [person for person in people.values() if person.address in server.logs]


def test_what_the_relay_host_refuses_does_so_too_until_mail_is_turned_on_again(
    server: ListServer, mail_host: MailHost, tmp_path: Path
) -> None:
    server.set("[relay]\n", "[bounces]\nthreshold = 1\n\n[relay]\n")
    people = found_list(server, tmp_path)
    alice, bob = people["alice"], people["bob"]
    mail_host.refuse(bob.address, REFUSED)
    mail_host.start()
    post(server, alice)
    copies = mail_to(mail_host.wait_for(3), alice)  # hers, Carol's, and the notice
    said = alice.recrypt("read", stdin=copies[1].content).decode()
    assert "Subject: team: copies that failed: 1" in said
    assert f"  {bob.address}: given up" in said
    assert f"    {REFUSED[:3]} {REFUSED[4:]}" in said
    server.program.wait_for("event='relayed'.*what='letters'.*given_up=1")  # the probe
    assert bob.address in off_in(alice)
    server.stop()
    an_hour_passes(server)
    server.start()
    notice = mail_to(mail_host.wait_for(4), alice)[2]
    assert f"  {bob.address}".encode() in alice.recrypt("read", stdin=notice.content)

    mail_host.refuse(bob.address, "")
    alice.recrypt("rekey", TEAM)
    assert bob.address in off_in(alice)
    turn_on(alice, bob)
    (late,) = mail_to(mail_host.wait_for(5), bob)
    assert WORDS.encode() in bob.recrypt("read", stdin=late.content)
    server.stop()


def turn_on(alice: Person, bob: Person) -> None:
    """Turn Bob's mail on, and send him what he missed."""
    refused = alice.try_recrypt("redeliver", TEAM, bob.address, "--since", "1h")
    assert refused.returncode == 1
    alice.recrypt("resume", TEAM, bob.address)
    assert off_in(alice) == ""
    alice.recrypt("redeliver", TEAM, bob.address, "--since", "1h")


def off_in(administrator: Person) -> str:
    """Give the lines of `recrypt members` that tell of mail that is off."""
    lines = administrator.recrypt("members", TEAM).decode().splitlines()
    return "\n".join(line for line in lines if "off" in line)


def an_hour_passes(server: ListServer) -> None:
    """Let the time pass between two notices; the processes have no other clock."""
    with closing(sqlite3.connect(server.folder / "store.db")) as store, store:
        store.execute("UPDATE lists SET told = told - ?", (HOUR,))
