"""`recrypt send`: lists' mail leaves sealed or not at all, all else goes on as it is."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner
from msgspec.structs import replace as but

from recrypt_client.cli import main
from recrypt_client.commands.frame import Outside
from recrypt_client.errors import Trouble
from recrypt_client.submitting import Order, read_order
from recrypt_core.messages import Response
from tests.client.honest_service import HonestService
from tests.client.stage import TEAM, URL, Stage

WORDS: Final = b"At one, under the oak"
# Writes what it was given, and ends as it is told to.
STAND_IN: Final = """\
import pathlib, sys
here = pathlib.Path(__file__).parent
(here / "arguments").write_text("\\n".join(sys.argv[1:]))
(here / "mail").write_bytes(sys.stdin.buffer.read())
sys.exit(int((here / "status").read_text()))
"""


@dataclass
class Sendmail:
    """A stand-in for sendmail, a program of its own."""

    folder: Path

    def ends(self, status: int) -> None:
        """Let it end so."""
        (self.folder / "status").write_text(str(status))

    @property
    def was_run(self) -> bool:
        """Tell whether it was run."""
        return (self.folder / "mail").exists()

    @property
    def arguments(self) -> list[str]:
        """What it was called with."""
        return (self.folder / "arguments").read_text().split("\n")

    @property
    def mail(self) -> bytes:
        """What it was given."""
        return (self.folder / "mail").read_bytes()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Alice's list, with Bob, who has met it."""
    stage = Stage(tmp_path)
    stage.team("bob")
    stage.does("bob", "key", TEAM, "--service", URL)
    return stage


@pytest.fixture
def sendmail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sendmail:
    """A sendmail that takes everything."""
    folder = tmp_path / "send mail"
    folder.mkdir()
    program = folder / "sendmail.py"
    program.write_text(STAND_IN)
    made = Sendmail(folder)
    made.ends(0)
    monkeypatch.setenv("RECRYPT_SENDMAIL", f"{sys.executable} '{program}' -x")
    return made


def message(*fields: str, words: bytes = WORDS) -> bytes:
    """Write a mail as a mail program hands it over, in lines of the system."""
    return "\n".join((*fields, "", "")).encode() + words + b"\n"


TO_TEAM: Final = message("From: Bob <bob@example.org>", f"To: {TEAM}", "Subject: Lunch")


def sends(stage: Stage, *arguments: str, stdin: bytes) -> tuple[int, str]:
    """Let Bob send, as a mail program calls it; give the exit status and what he is told."""
    outside = Outside(now=lambda: stage.now, transport=stage.service.transport)
    runner = CliRunner(env={"RECRYPT_HOME": str(stage.home("bob"))})
    done = runner.invoke(main, ["send", *arguments], input=stdin, obj=outside)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("-oem", "-oi", "--", TEAM),
        ("-oi", "-f", "bob@example.org", TEAM),
        ("-t", "-i"),
        ("-i", "TEAM@Lists.Example"),
        ("-i", f"The Team <{TEAM}>"),
        ("-i", f"{TEAM}."),
        ("-i", '"team"@lists.example'),
        ("-i", "-t", TEAM),
    ],
    ids=" ".join,
)
def test_a_list_gets_it_sealed_and_its_members_read_it(
    arguments: Sequence[str], stage: Stage, sendmail: Sendmail
) -> None:
    assert sends(stage, *arguments, stdin=TO_TEAM) == (0, "")
    sender = ["-f", "bob@example.org"] if "-f" in arguments else []
    assert sendmail.arguments == ["-x", "-i", *sender, "--", TEAM]
    assert WORDS not in sendmail.mail
    assert b"Lunch" not in sendmail.mail
    assert b"\r" not in sendmail.mail
    copy = stage.copy(sendmail.mail.replace(b"\n", b"\r\n"), "alice")
    read = stage.run("alice", "read", "--text", stdin=copy)
    assert WORDS.decode() in read.stdout
    assert "Subject: Lunch" in read.stdout
    assert "signed by Bob <bob@example.org>" in read.stderr


@pytest.mark.parametrize(
    ("arguments", "to"),
    [
        (("-oi", "--", "carol@example.org"), "carol@example.org"),
        (("-i", "-f", "bob@example.org", "carol@example.org"), TEAM),
        (("-t",), "carol@example.org"),
        (("-oi", "--", "team-request@lists.example"), "team-request@lists.example"),
        (("-oi", "--", "other@lists.example"), "other@lists.example"),
        (("-oi", "--", "-t@example.org"), "carol@example.org"),
    ],
    ids=["person", "person not in To", "header", "role", "unknown list", "like an option"],
)
def test_all_else_goes_on_unchanged(
    arguments: Sequence[str], to: str, stage: Stage, sendmail: Sendmail
) -> None:
    mail = b"Return-Receipt-To: x\nTo: " + to.encode() + b"\n\n.\nb\xe4re\r\n\n"
    assert sends(stage, *arguments, stdin=mail) == (0, "")
    assert sendmail.arguments == ["-x", *arguments]
    assert sendmail.mail == mail


@pytest.mark.parametrize(
    ("arguments", "mail"),
    [
        (("-i", TEAM, "carol@example.org"), TO_TEAM),
        (("-i", f"{TEAM},carol@example.org"), TO_TEAM),
        (("-t",), message("From: bob@example.org", f"To: {TEAM}, carol@example.org")),
        (("-t",), message("From: bob@example.org", "To: carol@example.org", f"Cc: {TEAM}")),
        (("-t",), message("From: bob@example.org", f"To: {TEAM}", "Bcc: bob@example.org")),
        (("-t",), message("From: bob@example.org", f"To: {TEAM}", "Resent-To: carol@example.org")),
        (("-t", "carol@example.org"), TO_TEAM),
        (("-i", TEAM), message("From: bob@example.org", f"To: {TEAM}", "Cc: carol@example.org")),
        (("-i", TEAM, "team-owner@lists.example"), TO_TEAM),
    ],
    ids=["two", "comma", "To", "Cc", "Bcc", "Resent", "both", "header", "role"],
)
def test_what_is_for_others_too_is_refused_and_nothing_is_sent(
    arguments: Sequence[str], mail: bytes, stage: Stage, sendmail: Sendmail
) -> None:
    status, told = sends(stage, *arguments, stdin=mail)
    assert status == os.EX_DATAERR
    assert told.count("\n") == 1
    assert "alone" in told or "by themselves" in told
    assert not sendmail.was_run


def test_an_answer_in_clear_that_quotes_what_was_sealed_is_refused(
    stage: Stage, sendmail: Sendmail
) -> None:
    copy = stage.copy(stage.sealed(), "bob")
    quoted = stage.does("bob", "read", "--view", stdin=copy).replace(b"\n", b"\n> ")
    answer = message("From: bob@example.org", "To: carol@example.org", words=b"> " + quoted)
    status, told = sends(stage, "carol@example.org", stdin=answer)
    assert status == os.EX_DATAERR
    assert "quotes what was sealed to a list" in told
    assert not sendmail.was_run
    assert sends(stage, TEAM, stdin=answer.replace(b"carol@example.org", TEAM.encode()))[0] == 0


def test_an_answer_to_a_lists_mail_goes_to_nobody_else(stage: Stage, sendmail: Sendmail) -> None:
    """As from a Maildir of `recrypt sync`, where nothing marks what was sealed."""
    of_list = f"<m.{'a' * 26}.{'b' * 8}@lists.example>"
    fields = ("From: bob@example.org", "To: carol@example.org")
    status, told = sends(stage, "-t", stdin=message(*fields, f"In-Reply-To: {of_list}"))
    assert status == os.EX_DATAERR
    assert "answers mail of a list at lists.example" in told
    assert not sendmail.was_run
    another = of_list.replace("lists.example", "elsewhere.example")
    assert sends(stage, "-t", stdin=message(*fields, f"References: {another}"))[0] == 0
    owners = message(fields[0], "To: team-owner@lists.example", f"References: {of_list}")
    assert sends(stage, "-t", stdin=owners)[0] == 0


def test_two_lists_are_refused(stage: Stage, sendmail: Sendmail) -> None:
    home = stage.keys("bob")
    pin = home.pin(TEAM)
    assert pin is not None
    home.keep_pin(but(pin, group_name="board@lists.example"))
    assert sends(stage, TEAM, "board@lists.example", stdin=TO_TEAM)[0] == os.EX_DATAERR
    assert not sendmail.was_run


def test_a_header_that_is_none_names_nobody_and_is_refused(
    stage: Stage, sendmail: Sendmail
) -> None:
    status, told = sends(stage, "-t", stdin=b"no header: at\x00 all\nbut words\n\n")
    assert status == os.EX_DATAERR
    assert "It was not sent" in told
    assert not sendmail.was_run


def test_a_line_of_an_mbox_before_the_header_is_passed_over(
    stage: Stage, sendmail: Sendmail
) -> None:
    mail = b"From bob@example.org Sun Nov 22 12:00:00 2026\n" + TO_TEAM
    assert sends(stage, "-t", stdin=mail) == (0, "")
    assert WORDS not in sendmail.mail


def test_while_the_service_is_away_it_is_to_come_later(stage: Stage, sendmail: Sendmail) -> None:
    stage.service.lie = lambda _name, _response: Response(status=503, status_description="away")
    assert sends(stage, TEAM, stdin=TO_TEAM)[0] == os.EX_TEMPFAIL
    assert not sendmail.was_run


def test_a_key_that_is_not_the_one_known_sends_nothing(stage: Stage, sendmail: Sendmail) -> None:
    stage.service = HonestService(URL)
    stage.does("mallory", "profile", "create", "mallory@example.org")
    stage.does("mallory", "create", TEAM, "--service", URL)
    status, told = sends(stage, TEAM, stdin=TO_TEAM)
    assert status == os.EX_CONFIG
    assert "FINGERPRINT HAS CHANGED" in told
    assert not sendmail.was_run


def test_it_ends_as_sendmail_does(stage: Stage, sendmail: Sendmail) -> None:
    sendmail.ends(67)
    assert sends(stage, "carol@example.org", stdin=TO_TEAM)[0] == 67
    assert sends(stage, TEAM, stdin=TO_TEAM)[0] == 67


def test_without_a_sendmail_it_says_what_to_do(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECRYPT_SENDMAIL", str(stage.folder / "none"))
    status, told = sends(stage, "carol@example.org", stdin=TO_TEAM)
    assert status == os.EX_CONFIG
    assert "RECRYPT_SENDMAIL" in told


def test_it_does_not_call_itself(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECRYPT_SENDING", "1")
    status, told = sends(stage, "carol@example.org", stdin=TO_TEAM)
    assert status == os.EX_CONFIG
    assert "itself" in told


def test_smtp_on_standard_input_is_refused(stage: Stage, sendmail: Sendmail) -> None:
    assert sends(stage, "-bs", stdin=b"HELO x\r\n")[0] == os.EX_DATAERR
    assert not sendmail.was_run


@pytest.mark.parametrize(
    ("arguments", "order"),
    [
        ((), Order("m", (), reads_header=False, sender=None)),
        (("-bp",), Order("p", (), reads_header=False, sender=None)),
        (("-ti",), Order("m", (), reads_header=True, sender=None)),
        (("-oi", "-fx@y", "a@b"), Order("m", ("a@b",), reads_header=False, sender="x@y")),
        (("-r", "x@y", "--", "-t"), Order("m", ("-t",), reads_header=False, sender="x@y")),
        (
            ("-N", "never", "-R", "hdrs", "a@b"),
            Order("m", ("a@b",), reads_header=False, sender=None),
        ),
        (("-f", "", "a@b", "-t"), Order("m", ("a@b", "-t"), reads_header=False, sender="")),
    ],
    ids=str,
)
def test_arguments_are_read_as_sendmail_reads_them(arguments: Sequence[str], order: Order) -> None:
    assert read_order(arguments) == order


def test_an_option_that_sendmail_does_not_have_is_told() -> None:
    with pytest.raises(Trouble, match="an option that sendmail doesn't have"):
        read_order(["-Z"])
