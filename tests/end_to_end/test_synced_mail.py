"""`recrypt sync` from a real Dovecot: what gets into the Maildir, and what stays as it was."""

import imaplib
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from recrypt_client import accounts
from tests.client.stage import TEAM, URL, Stage
from tests.doors import make_certificate
from tests.end_to_end.network import LOCALHOST
from tests.plugin.post_office import PASSWORD, PostOffice

pytestmark = [
    pytest.mark.skipif(shutil.which("dovecot") is None, reason="not installed: dovecot"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Dovecot must be started by root"),
]
OTHER = b"From: shop@example.org\r\nSubject: Offers\r\n\r\nNothing sealed\r\n"
MESSAGE = (
    b"From: Alice <alice@example.org>\r\nTo: team@lists.example\r\nSubject: Lunch\r\n\r\nAt %d?\r\n"
)


@pytest.fixture
def office() -> Iterator[PostOffice]:
    """Give a Dovecot, running, that has a certificate which vouches for itself."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        made = PostOffice(Path(folder), certificate=make_certificate(Path(folder)))
        try:
            made.start()
            yield made
        finally:
            made.stop()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Set up Alice's list, which Bob is on, and Bob's password."""
    made = Stage(tmp_path)
    made.team("bob")
    made.does("bob", "key", TEAM, "--service", URL)
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    password.chmod(0o600)
    return made


def copy(stage: Stage, number: int) -> bytes:
    """Give Bob's copy of a post, with the ids that a list writes."""
    made = stage.copy(stage.sealed(MESSAGE % number), "bob")
    return b"Message-ID: <m.%d.x@lists.example>\r\n" % number + made


def options(stage: Stage, office: PostOffice, *, security: str = "none") -> list[str]:
    words = f"--host {LOCALHOST} --port {office.port} --security {security} --user bob"
    maildir, password = stage.folder / "lists", stage.folder / "password"
    return ["sync", str(maildir), *words.split(), "--password-file", str(password)]


def synced(stage: Stage, office: PostOffice, *, security: str = "none") -> str:
    given = options(stage, office, security=security)
    return stage.does("bob", *given, "--store-plaintext").decode()


def stored(stage: Stage) -> list[Message]:
    found = [each.read_bytes() for each in (stage.folder / "lists/new").iterdir()]
    return sorted(map(message_from_bytes, found), key=lambda each: str(each["Message-ID"]))


def flags(office: PostOffice) -> list[bytes]:
    """Ask how Bob's mail is marked."""
    with imaplib.IMAP4(LOCALHOST, office.port) as account:
        account.login("bob", PASSWORD)
        account.select(readonly=True)
        _, found = account.fetch("1:*", "(FLAGS)")
    return [each for each in found if isinstance(each, bytes)]


def test_list_mail_becomes_ordinary_mail_once_and_the_account_stays_as_it_is(
    stage: Stage, office: PostOffice
) -> None:
    for mail in (OTHER, copy(stage, 1), copy(stage, 2)):
        office.put(mail)
    assert synced(stage, office).startswith("2 added to ")
    first, second = stored(stage)
    assert (first["Subject"], first["From"]) == ("Lunch", "Alice <alice@example.org>")
    assert first["Reply-To"] == TEAM
    assert " ".join(first["Recrypt-Author"].split()).startswith("signed; alice@example.org; M")
    assert (first.get_payload(), second.get_payload()) == ("At 1?\n", "At 2?\n")
    assert second["Message-ID"] == "<m.2.x@lists.example>"
    assert not any(b"Seen" in each for each in flags(office))
    assert len(flags(office)) == 3
    office.put(copy(stage, 3))
    assert synced(stage, office).startswith("1 added to ")
    assert synced(stage, office).startswith("0 added to ")
    assert len(stored(stage)) == 3


def test_a_folder_of_many_mails_is_looked_through_whole(
    stage: Stage, office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert synced(stage, office).startswith("0 added to ")
    monkeypatch.setattr(accounts, "SEARCHED", 2)
    monkeypatch.setattr(accounts, "BATCH", 2)
    for number in (1, 2, 3, 4):
        office.put(OTHER)
        office.put(copy(stage, number))
    assert synced(stage, office).startswith("4 added to ")
    office.put(copy(stage, 5))
    assert synced(stage, office).startswith("1 added to ")


def test_what_cannot_be_read_is_told_and_comes_when_it_can(
    stage: Stage, office: PostOffice
) -> None:
    office.put(copy(stage, 1))
    bob = stage.home("bob")
    keys = bob / "keys"
    keys.rename(bob / "away")
    result = stage.run("bob", *options(stage, office), "--store-plaintext")
    assert result.exit_code == 0
    assert result.stdout.startswith("0 added to ")
    assert "1 can't be read yet" in result.stdout
    assert result.stderr.startswith("mail 1: ")
    shutil.rmtree(keys, ignore_errors=True)
    (bob / "away").rename(keys)
    assert synced(stage, office).startswith("1 added to ")


def test_it_goes_on_until_it_is_told_to_end_and_tries_again_in_an_hour(
    stage: Stage, office: PostOffice
) -> None:
    office.put(stage.sealed())
    rounds = 0

    def wait(seconds: float) -> bool:
        nonlocal rounds
        rounds += 1
        assert seconds == 20 * 60
        stage.now += timedelta(seconds=seconds)
        office.put(copy(stage, rounds))
        return rounds == 5

    stage.waits = wait
    given = [*options(stage, office), "--store-plaintext", "--every", "20"]
    result = stage.run("bob", *given)
    assert result.exit_code == 0, result.output
    said = [line[:1] for line in result.stdout.splitlines()]
    assert said == ["0", "1", "1", "1", "1"]
    assert result.stderr.count("mail 1: ") == 2


def test_no_service_is_asked_for_what_holds_no_recryption(stage: Stage, office: PostOffice) -> None:
    office.put(stage.sealed())
    result = stage.run("bob", *options(stage, office), "--store-plaintext")
    assert "Open it with recrypt read" in result.stderr


def test_starttls_is_for_a_server_whose_certificate_is_good(
    stage: Stage, office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.put(copy(stage, 1))
    given = options(stage, office, security="starttls")
    refused = stage.fails("bob", *given, "--store-plaintext")
    assert "CERTIFICATE_VERIFY_FAILED" in refused
    monkeypatch.setenv("SSL_CERT_FILE", str(office.certificate))
    assert synced(stage, office, security="starttls").startswith("1 added to ")


def test_a_wrong_password_or_folder_is_told_in_a_line(stage: Stage, office: PostOffice) -> None:
    given = [*options(stage, office), "--store-plaintext"]
    assert "Check --folder" in stage.fails("bob", *given, "--folder", "Nowhere")
    (stage.folder / "password").write_text("wrong")
    assert "doesn't let bob in" in stage.fails("bob", *given)
