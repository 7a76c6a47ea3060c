"""`recrypt read --view` and --attachments: what a mail program shows of a sealed mail."""

from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from recrypt_client.mail import envelope_in
from recrypt_client.showing import attachments, readable
from recrypt_client.submitting import Unsendable, check_quotes_nothing
from tests.client.stage import TEAM, URL, Stage

PLAN = b"%PDF-1.7 oak"


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Alice's list, with Bob, who has met it."""
    stage = Stage(tmp_path)
    stage.team("bob")
    stage.does("bob", "key", TEAM, "--service", URL)
    return stage


def lunch(*, attached: str | None = None) -> bytes:
    """Write a mail of Alice's."""
    message = EmailMessage(SMTP)
    message["From"], message["To"] = "Alice <alice@example.org>", TEAM
    message["Subject"] = "Lunch"
    message.set_content("At one?\n")
    if attached is not None:
        message.add_attachment(PLAN, maintype="application", subtype="pdf", filename=attached)
    return message.as_bytes()


def test_who_wrote_it_stands_first_and_all_is_on_standard_output(stage: Stage) -> None:
    copy = stage.copy(stage.sealed(lunch()), "bob")
    done = stage.run("bob", "read", "--view", stdin=copy)
    assert done.exit_code == 0
    assert done.stderr == ""
    first, second, *rest = done.stdout.splitlines()
    assert first == f"[recrypt: sealed to {TEAM}]"
    assert second.startswith("[signed by Alice <alice@example.org> M")
    assert rest[0] == "From: Alice <alice@example.org>"
    assert "Subject: Lunch" in rest
    assert "At one?" in rest
    assert "[to save" not in done.stdout


def test_the_sealed_part_alone_is_shown_as_the_whole_mail_is(stage: Stage) -> None:
    copy = stage.copy(stage.sealed(lunch()), "bob")
    part = envelope_in(copy)
    whole = stage.does("bob", "read", "--view", stdin=copy)
    alone = stage.does("bob", "read", "--view", stdin=part)
    assert alone.splitlines()[2:] == whole.splitlines()[2:]


@pytest.mark.parametrize(
    "kept",
    [
        lambda copy: copy.replace(b"\r\n", b"\n"),
        lambda copy: copy.replace(b"\r\n\r\n", b"\r\n\n", 1),
        lambda copy: b"From bob@example.org Sun Nov 22 12:00:00 2026\n" + copy,
    ],
    ids=["LF", "LF ends the header", "mbox"],
)
def test_a_mail_is_read_however_a_program_keeps_its_lines(
    kept: Callable[[bytes], bytes], stage: Stage
) -> None:
    copy = kept(stage.copy(stage.sealed(lunch()), "bob"))
    assert b"At one?" in stage.does("bob", "read", stdin=copy)


def test_what_cannot_be_opened_is_told_where_the_program_shows_it(stage: Stage) -> None:
    copy = stage.copy(stage.sealed(lunch()), "bob")
    stage.does("carol", "profile", "create", "carol@example.org")
    done = stage.run("carol", "read", "--view", stdin=copy)
    assert done.stdout.startswith("[recrypt: the message was recrypted for another member")
    assert done.exit_code == 0


def test_no_passphrase_is_asked_for_on_a_terminal_that_is_the_programs(stage: Stage) -> None:
    copy = stage.copy(stage.sealed(lunch()), "bob")
    stage.types = lambda _words: "correct horse battery"
    stage.does("bob", "profile", "passphrase")
    stage.asked.clear()
    done = stage.run("bob", "read", "--view", stdin=copy)
    assert stage.asked == []
    assert "is sealed under a passphrase" in done.stdout


def test_a_bad_author_is_told_first(stage: Stage) -> None:
    copy = stage.copy(
        stage.sealed(lunch().replace(b"alice@example.org", b"mallory@example.org")), "bob"
    )
    shown = stage.does("bob", "read", "--view", stdin=copy).decode().splitlines()
    assert shown[2] == "[FROM IS NOT THE AUTHOR: it says Alice <mallory@example.org>.]"


def test_what_is_attached_is_saved_beside_what_is_there(stage: Stage) -> None:
    copy = stage.copy(stage.sealed(lunch(attached="../../plan.pdf")), "bob")
    shown = stage.does("bob", "read", "--view", stdin=copy).decode()
    assert "[to save what is attached: recrypt read --attachments FOLDER]" in shown
    assert "[application/pdf: ../../plan.pdf]" in shown
    folder = stage.folder / "saved"
    folder.mkdir()
    for name in ("plan.pdf", "plan (2).pdf"):
        told = stage.does("bob", "read", "--attachments", str(folder), stdin=copy).decode()
        assert told == f"{folder / name}\n"
        assert (folder / name).read_bytes() == PLAN
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    none = stage.copy(stage.sealed(lunch()), "bob")
    told = stage.does("bob", "read", "--attachments", str(folder), stdin=none).decode()
    assert told == "nothing is attached\n"
    done = stage.run("bob", "read", "--attachments", str(folder / "none"), stdin=copy)
    assert done.exit_code == 1
    assert "Choose another FOLDER" in done.stderr


@pytest.mark.parametrize(
    ("given", "saved"),
    [
        ("plan.pdf", "plan.pdf"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\x.exe", "x.exe"),
        (".bashrc", "bashrc"),
        ("..", "attachment"),
        ("a\x00b\x1b.txt", "a_b_.txt"),
        ("n" * 300 + ".txt", "n" * 96 + ".txt"),
    ],
    ids=["plain", "path", "Windows", "hidden", "dots", "control", "long"],
)
def test_a_file_has_the_end_of_its_name_and_no_letter_that_does_anything(
    given: str, saved: str
) -> None:
    mail = (
        b'Content-Type: application/x; name="'
        + given.encode().replace(b"\\", b"\\\\")
        + b'"\r\n\r\nx'
    )
    assert [each.name for each in attachments(mail)] == [saved]


def test_a_page_that_stands_alone_is_shown_as_its_words() -> None:
    page = (
        b"<html><head><title>no</title><style>p {}</style></head><body><p>At one,<br>under the "
        b"<b>oak</b> &amp; not later</p><script>x()</script><ul><li>Bread</li><li>Wine</li></ul>"
    )
    shown = readable(b"Subject: Lunch\r\nContent-Type: text/html\r\n\r\n" + page)
    assert shown == "Subject: Lunch\n\nAt one,\nunder the oak & not later\n\nBread\n\nWine\n"


@pytest.mark.parametrize(
    "quote",
    [
        b"\n\n> [recrypt: sealed to team@lists.example]\n> At one?\n",
        b"\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\n"
        b"W3JlY3J5cHQ6IHNlYWxlZCB0byB0ZWFtQGxpc3RzLmV4YW1wbGVdCg==\n",
        b"\nContent-Transfer-Encoding: quoted-printable\n\n> [recrypt: seal=\ned to team]\n",
        b"\nContent-Type: multipart/mixed\n\n> [recrypt: sealed to team@lists.example]\n",
    ],
    ids=["plain", "base64", "quoted-printable", "broken"],
)
def test_a_mail_in_clear_that_quotes_what_was_shown_is_refused(quote: bytes) -> None:
    with pytest.raises(Unsendable, match=r"it quotes what was sealed to a list"):
        check_quotes_nothing(b"To: carol@example.org" + quote)
    check_quotes_nothing(
        b"To: carol@example.org" + quote.replace(b"recr", b"decr").replace(b"W3", b"V3")
    )
