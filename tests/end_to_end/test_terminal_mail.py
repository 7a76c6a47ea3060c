"""A member reads and writes in neomutt, with the lines that docs/mail-clients.md gives."""

import mailbox
import re
import shlex
import shutil
import smtplib
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.end_to_end.mail_readers import Neomutt
from tests.end_to_end.network import MailHost
from tests.end_to_end.programs import BIN, DOMAIN, ListServer, Person, new_person, run
from tests.end_to_end.terminals import in_terminal

pytestmark = pytest.mark.long

TEAM: Final = f"team@{DOMAIN}"
DOCS: Final = Path(__file__).parents[2] / "docs" / "mail-clients.md"
# Sends what sendmail is given to the list's server.
SENDMAIL: Final = """\
import smtplib, sys
at = sys.argv.index("--")
with smtplib.SMTP("127.0.0.1", {port}) as server:
    mail = sys.stdin.buffer.read().replace(b"\\n", b"\\r\\n")
    server.sendmail("bob@example.org", sys.argv[at + 1 :], mail)
"""
EDITOR: Final = "#!/bin/sh\nsed -i '1i Under the oak.' \"$1\"\n"
NOTMUCH: Final = """\
(progn (require 'notmuch) (notmuch-show "tag:inbox")
       (with-current-buffer (window-buffer) (princ (buffer-string))))
"""
MM: Final = """\
(progn (require 'mm-view) (find-file-literally "{mail}")
       (let ((handles (mm-dissect-buffer t))) (with-temp-buffer
         (mm-display-parts handles) (princ (buffer-string)))))
"""
ANSWER: Final = """\
(setq user-mail-address "bob@example.org")
(message-mail "{team}" "Lunch")
(goto-char (point-max))
(insert "Under the oak.\\n")
(message-send)
"""
MORE: Final = """
set include = yes
set editor = "{folder}/editor"
set pager_index_lines = 0
ignore *
"""


def block(kind: str) -> str:
    """Give what the documentation says is to be put into a file."""
    found = re.search(rf"^```{kind}\n(.*?)^```", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None, kind
    return found[1]


def needs(*programs: str) -> None:
    """Skip a test where one of these programs isn't."""
    missing = [each for each in programs if shutil.which(each) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


@pytest.fixture
def copy(
    server: ListServer, mail_host: MailHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> bytes:
    """Bob's copy of Alice's first post to her list, and all that `recrypt` needs to open it."""
    mail_host.start()
    alice, bob = (new_person(tmp_path, f"{name}@example.org") for name in ("alice", "bob"))
    server.authorize(alice.profile)
    server.start()
    alice.recrypt("create", TEAM, "--service", server.url)
    alice.recrypt("add", TEAM, bob.profile)
    bob.recrypt("key", TEAM, "--service", server.url)
    here = bob.folder
    program = here / "sendmail.py"
    program.write_text(SENDMAIL.format(port=server.smtp_port))
    (here / "editor").write_text(EDITOR)
    (here / "editor").chmod(0o755)
    (here / ".mailcap").write_text(block("mailcap"))
    for name, value in (
        ("HOME", here),
        ("XDG_CONFIG_HOME", here / ".config"),
        ("RECRYPT_HOME", here / "home"),
        ("RECRYPT_SENDMAIL", shlex.join((sys.executable, str(program)))),
        ("PATH", f"{BIN}:/usr/bin:/bin"),
    ):
        monkeypatch.setenv(name, str(value))
    post(server, alice.sealed(TEAM, "At one?", subject="Lunch"))
    return copy_of(mail_host, "bob@example.org", 2)


@pytest.fixture(params=["neomutt", "mutt"])
def bob(copy: bytes, tmp_path: Path, request: pytest.FixtureRequest) -> Neomutt:
    """Bob's neomutt, or mutt, with the copy in it."""
    needs(request.param, "tmux")
    here = tmp_path / "bob@example.org"
    more = MORE.format(folder=here) + block("neomuttrc")
    made = Neomutt(here, "bob", more=more, program=request.param)
    made.put(copy)
    return made


def post(server: ListServer, mail: bytes) -> None:
    """Send a post of Alice's."""
    with smtplib.SMTP("127.0.0.1", server.smtp_port) as client:
        client.sendmail("alice@example.org", [TEAM], mail)


def copy_of(mail_host: MailHost, member: str, count: int) -> bytes:
    """Wait for so many mails, and give a member's latest."""
    mails = mail_host.wait_for(count)
    return [each.content for each in mails if each.recipient == member][-1]


def test_a_member_reads_answers_with_an_attachment_and_saves_it(
    bob: Neomutt, mail_host: MailHost, tmp_path: Path
) -> None:
    shown = bob.screen("<display-message>")
    assert f"[recrypt: sealed to {TEAM}]" in shown
    assert "[signed by alice@example.org M" in shown
    assert "Subject: Lunch" in shown
    assert "At one?" in shown
    plan = tmp_path / "plan.pdf"
    plan.write_bytes(b"%PDF-1.7 oak")
    bob.press(f"<reply><attach-file>{plan}<enter><send-message>")
    answers = mail_host.wait_for(4)[2:]
    assert all(b"oak" not in each.content for each in answers)
    alice = Person("alice@example.org", tmp_path / "alice@example.org")
    read = alice.recrypt("read", "--text", stdin=copy_of(mail_host, alice.address, 4)).decode()
    assert "Under the oak.\n" in read
    assert "> At one?" in read
    assert "[application/pdf: plan.pdf]" in read
    bob.put(copy_of(mail_host, "bob@example.org", 4))
    saved = bob.screen("<last-entry><display-message>A", until="Press any key")
    assert "plan.pdf" in saved
    assert (tmp_path / "bob@example.org" / "plan.pdf").read_bytes() == plan.read_bytes()


@pytest.mark.parametrize("other", ["Cc", "Bcc"])
def test_an_answer_to_others_too_is_not_sent(other: str, bob: Neomutt, mail_host: MailHost) -> None:
    keys = f"<reply><edit-{other.lower()}>carol@example.org<enter><send-message>"
    assert f"recrypt: {TEAM} gets sealed mail" in bob.screen(keys, until="gets sealed mail")
    assert len(mail_host.mails) == 2


def test_an_answer_to_another_does_not_quote_it_in_clear(bob: Neomutt, mail_host: MailHost) -> None:
    keys = "<reply><edit-to><kill-line>carol@example.org<enter><send-message>"
    assert "recrypt: it quotes what was sealed" in bob.screen(keys, until="it quotes what")
    assert len(mail_host.mails) == 2


def test_aerc_shows_a_mail_and_seals_the_answer(
    copy: bytes, mail_host: MailHost, tmp_path: Path
) -> None:
    needs("aerc", "tmux")
    here = tmp_path / "bob@example.org"
    settings = here / ".config" / "aerc"
    settings.mkdir(parents=True)
    account = f"[Bob]\nsource = maildir://{here}/mail\nfrom = Bob <bob@example.org>\n"
    outgoing = block("aerc-account").replace("/home/bob/.local/bin", str(BIN))
    (settings / "accounts.conf").write_text(account + outgoing)
    (settings / "accounts.conf").chmod(0o600)
    (settings / "aerc.conf").write_text(block("aerc") + f"[compose]\neditor={here}/editor\n")
    (here / "mail").mkdir()
    mailbox.Maildir(here / "mail" / "INBOX", create=True).add(copy.replace(b"\r\n", b"\n"))
    with in_terminal(here, ["aerc"]) as terminal:
        terminal.wait_for("[...]")
        terminal.press("Enter")
        shown = terminal.wait_for("At one?")
        assert f"[recrypt: sealed to {TEAM}]" in shown
        assert "Subject: Lunch" in shown
        terminal.press("r", "q")
        terminal.wait_for("Send this email?")
        terminal.press("y")
        answer = copy_of(mail_host, "alice@example.org", 4)
    alice = Person("alice@example.org", tmp_path / "alice@example.org")
    assert "Under the oak." in alice.recrypt("read", "--text", stdin=answer).decode()


def test_emacs_shows_a_mail_that_notmuch_has_and_seals_what_is_written(
    copy: bytes, mail_host: MailHost, tmp_path: Path
) -> None:
    needs("emacs", "notmuch")
    here = tmp_path / "bob@example.org"
    (here / "mail").mkdir()
    mailbox.Maildir(here / "mail" / "INBOX", create=True).add(copy.replace(b"\r\n", b"\n"))
    config = here / ".notmuch-config"
    config.write_text(f"[database]\npath={here}/mail\n[user]\nprimary_email=bob@example.org\n")
    assert run("notmuch", "new").returncode == 0
    (here / "init.el").write_text(block("emacs-lisp"))
    (here / "answer.el").write_text(ANSWER.format(team=TEAM))
    (here / "copy").write_bytes(copy.replace(b"\r\n", b"\n"))
    for shown in (emacs(here, NOTMUCH), emacs(here, MM.format(mail=here / "copy"))):
        assert f"[recrypt: sealed to {TEAM}]" in shown
        assert "At one?" in shown
    emacs(here, f'(load "{here}/answer.el")')
    answer = copy_of(mail_host, "alice@example.org", 4)
    alice = Person("alice@example.org", tmp_path / "alice@example.org")
    assert "Under the oak." in alice.recrypt("read", "--text", stdin=answer).decode()


def emacs(here: Path, words: str) -> str:
    """Have Emacs do something, with what the documentation gives; give what it prints."""
    done = run("emacs", "--batch", "-l", here / "init.el", "--eval", words)
    assert done.returncode == 0, done.stderr
    return done.stdout
