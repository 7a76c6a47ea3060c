"""`listserver suspend` and `resume`, beside a server that runs and mail that is under way."""

import json
import smtplib

import pytest

from tests.end_to_end.network import MailHost
from tests.end_to_end.programs import ListServer
from tests.end_to_end.team import Team, found_team
from tests.end_to_end.test_operator_commands import failing, said

LIST = "team@lists.example"
TEXT = b"Subject: Friday\r\n\r\nWe meet at the old mill.\r\n"


@pytest.fixture
def team(server: ListServer) -> Team:
    """Found a list of three on a server that runs; its next mail host refuses connections."""
    return found_team(server, ("alice@example.org", "bob@example.org", "carol@example.org"))


def states(team: Team) -> list[str]:
    """Give the column STATE of `listserver lists`."""
    heads, *rows = said(team.server, "lists").splitlines()
    at = heads.index("STATE")
    return [row[at:].split("  ")[0] for row in rows]


def refusal(team: Team) -> tuple[int, bytes]:
    """Post, and give the refusal: of the recipient, or of the post where that was just seen."""
    try:
        team.send(team.sealed(TEXT))
    except smtplib.SMTPRecipientsRefused as problem:
        (found,) = problem.recipients.values()
        return found
    except smtplib.SMTPDataError as problem:
        assert isinstance(problem.smtp_error, bytes)
        return problem.smtp_code, problem.smtp_error
    pytest.fail("it was taken")


def test_a_list_is_stopped_and_goes_on_without_a_restart(team: Team, mail_host: MailHost) -> None:
    team.send(team.sealed(TEXT))
    assert states(team) == ["open"]
    assert f"{LIST} is stopped: copies" in said(team.server, "suspend", LIST)
    assert "is stopped already" in said(team.server, "suspend", LIST)
    assert states(team) == ["stopped"]
    (shown,) = json.loads(said(team.server, "lists", "--json"))["lists"]
    assert (shown["stopped"][:2], shown["closed"]) == ("20", False)
    assert refusal(team) == (450, b"4.2.1 This list is stopped for now by its operator; try later.")
    mail_host.start()
    assert f"{LIST} goes on." in said(team.server, "resume", LIST)
    assert "wasn't stopped" in said(team.server, "resume", LIST)
    team.send(team.sealed(TEXT))
    mail_host.wait_for(3)
    assert states(team) == ["open"]


def test_a_list_that_is_not_there_is_not_stopped(team: Team) -> None:
    for command in ("suspend", "resume"):
        line = failing(team.server, command, "gone@lists.example")
        assert "there is no list 'gone@lists.example' here: `listserver lists` shows" in line
