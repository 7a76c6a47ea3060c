"""Mail to postmaster and abuse on a real server: passed on once, and held where it is refused."""

import json
import re
import smtplib
from functools import partial

import pytest
from click.testing import CliRunner

from listserver.cli import main
from tests.end_to_end.network import LOCALHOST, MailHost
from tests.end_to_end.programs import ListServer
from tests.faults.house import until

OPERATOR = "operator@example.org"
WORD = "the-secret-word"


@pytest.fixture
def house(server: ListServer, mail_host: MailHost) -> ListServer:
    """Give a server that runs, whose operator has a mailbox elsewhere."""
    server.set('operator = "postmaster@lists.example"', f'operator = "{OPERATOR}"')
    mail_host.start()
    server.start()
    return server


def write(server: ListServer, *to: str) -> None:
    """Write to the operator, over LMTP, which answers for each recipient (RFC 2033 §4.2)."""
    with smtplib.LMTP(LOCALHOST, server.lmtp_port) as lmtp:
        lmtp.ehlo()
        lmtp.mail("zoe@example.org")
        for each in to:
            assert lmtp.rcpt(each)[0] == 250
        answers = [lmtp.data(f"Subject: {WORD}\r\n\r\nHelp.\r\n")[0]]
        answers += [lmtp.getreply()[0] for _ in to[1:]]
    assert answers == [250] * len(to)


def said(server: ListServer, *words: str, status: int = 0) -> str:
    """Give what `listserver queue` says."""
    given = ["queue", *words, "--config", str(server.config)]
    done = CliRunner(catch_exceptions=False).invoke(main, given)
    assert done.exit_code == status, done.output
    return done.stdout + done.stderr


def held(server: ListServer) -> list[dict[str, int]]:
    """Give the letters that are held, as programs read them."""
    found = json.loads(said(server, "--json"))["letters"]
    assert isinstance(found, list)
    return found


def holds(server: ListServer, count: int) -> bool:
    """Tell whether so many are held."""
    return len(held(server)) == count


def test_one_mail_to_both_addresses_comes_once(house: ListServer, mail_host: MailHost) -> None:
    names = ("postmaster", "abuse", "Postmaster")
    write(house, *(f"{name}@lists.example" for name in names))
    write(house, "abuse@lists.example")
    mail_host.wait_for(2)
    house.stop()
    assert len(mail_host.mails) == 2


def test_what_is_refused_is_held_and_shown_without_a_name_or_a_word(
    house: ListServer, mail_host: MailHost
) -> None:
    assert said(house) == "The queue is empty.\n"
    mail_host.refuse(OPERATOR, f"554 5.7.1 <{OPERATOR}>: no {WORD}")
    for count in (1, 2):
        write(house, "postmaster@lists.example")
        assert until(partial(holds, house, count))
    assert [(each["id"], each["code"]) for each in held(house)] == [(1, 554), (2, 554)]
    heads, *rows = said(house).splitlines()
    assert heads.split() == ["LETTER", "SINCE", "OCTETS", "WHY"]
    assert re.fullmatch(r"L1 +2\S+Z +\d+ +refused: 554", rows[0])
    assert not re.search(f"{WORD}|example", said(house))
    mail_host.refuse(OPERATOR, "")
    assert said(house, "retry", "L1") == "In the queue again: letters 1.\n"
    write(house, "abuse@lists.example")  # else it looks at its queue after half a minute
    mail_host.wait_for(2)
    assert "say --yes" in said(house, "drop", "L2", status=1)
    assert said(house, "drop", "letters", "--yes") == "Dropped: letters 1.\n"
    assert held(house) == []
    for words in (("retry", "L1"), ("drop", "L1", "--yes")):
        line = said(house, *words, status=1)
        assert line == "Error: no letter L1 is held: `listserver queue` shows what there is\n"
    assert "no letter is held" in said(house, "retry", "letters", status=1)
    house.stop()
    assert WORD not in house.logs
