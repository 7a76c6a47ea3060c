"""What was accepted is sent, once to each, however the server or the next mail host ends."""

import sqlite3
from contextlib import closing

import pytest

from tests.end_to_end.independent import read_copy
from tests.end_to_end.network import MailHost
from tests.end_to_end.programs import ListServer
from tests.end_to_end.team import Team, found_team

MEMBERS = ("alice@example.org", "bob@example.org", "carol@example.org")
TEXT = b"Subject: Friday\r\n\r\nWe meet at the old mill.\r\n"


@pytest.fixture
def team(server: ListServer) -> Team:
    """Found a list of three, and hand out its mail one by one."""
    server.set("[relay]\n", "[relay]\nconnections = 1\n")
    return found_team(server, MEMBERS)


def test_what_was_refused_a_connection_is_sent_after_a_restart(
    team: Team, mail_host: MailHost
) -> None:
    team.send(team.sealed(TEXT))
    team.server.program.wait_for("event='relayed'.* later=[1-3]")
    team.server.stop()
    assert "given_up=0" in team.server.logs
    five_minutes_pass(team.server)
    mail_host.start()
    team.server.start()
    mail_host.wait_for(len(MEMBERS))
    team.server.stop()
    check_all_read(team, mail_host)


def test_a_stop_finishes_what_is_in_hand_and_keeps_the_rest(
    team: Team, mail_host: MailHost
) -> None:
    mail_host.fall_silent()
    mail_host.start()
    team.send(team.sealed(TEXT))
    mail_host.wait_for_call()
    team.server.program.terminate()
    team.server.program.wait_for("event='stopping'")
    mail_host.speak()
    team.server.stop()
    assert len(mail_host.mails) == 1
    team.server.start()
    mail_host.wait_for(len(MEMBERS))
    team.server.stop()
    check_all_read(team, mail_host)


@pytest.mark.parametrize("is_relaying", [False, True])
def test_what_a_killed_server_had_accepted_is_sent_once_though_it_is_posted_again(
    team: Team, mail_host: MailHost, *, is_relaying: bool
) -> None:
    mail_host.fall_silent()
    mail_host.start()
    post = team.sealed(TEXT)
    team.send(post)
    if is_relaying:
        mail_host.wait_for_call()
    team.server.kill()
    mail_host.speak()
    team.server.start()
    mail_host.wait_for(len(MEMBERS))
    check_all_read(team, mail_host)
    team.send(post)
    team.send(team.sealed(TEXT))
    mail_host.wait_for(2 * len(MEMBERS))
    team.server.stop()
    assert len(mail_host.mails) == 2 * len(MEMBERS)


def check_all_read(team: Team, mail_host: MailHost) -> None:
    """Check that each member has one copy and can read it."""
    copies = mail_host.copies()
    assert copies.keys() == team.members.keys()
    for address, copy in copies.items():
        assert read_copy(copy, team.members[address]) == TEXT


def five_minutes_pass(server: ListServer) -> None:
    """Let the time pass that a delivery is put off; the processes have no other clock."""
    with closing(sqlite3.connect(server.folder / "store.db")) as store, store:
        assert store.execute("UPDATE deliveries SET due = due - 300").rowcount > 0
