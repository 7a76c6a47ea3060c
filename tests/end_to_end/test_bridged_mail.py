"""`recrypt bridge` as a program of its own, between smtplib and a real list server."""

import json
import smtplib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.end_to_end.network import LOCALHOST, MailHost, is_open
from tests.end_to_end.programs import BIN, DOMAIN, ListServer, Person, Program, new_person

TEAM = f"team@{DOMAIN}"
WORDS = b"The keys are under the third flowerpot."
MAIL = b"From: alice@example.org\r\nTo: %s\r\nSubject: Keys\r\n\r\n" + WORDS + b"\r\n"


@contextmanager
def bridge(alice: Person, upstream_port: int) -> Iterator[tuple[Program, int]]:
    """Give Alice's bridge, and its port; at its end it has ended in good order."""
    words = f"--upstream {LOCALHOST} --upstream-port {upstream_port} --security none"
    home: list[str | Path] = ["--home", alice.folder / "home", "--listen", f"{LOCALHOST}:0"]
    program = Program(BIN / "recrypt", "bridge", *words.split(), *home)
    try:
        yield program, int(program.wait_for(r"^Listening at .*, port (\d+)\.")[1])
        assert program.stop() == 0, program.output
    finally:
        program.kill()


def send(alice: Person, port: int, to: str) -> None:
    """Send as a mail program does that has the password which was shown."""
    kept = json.loads((alice.folder / "home/bridge.json").read_bytes())
    with smtplib.SMTP(LOCALHOST, port) as program:
        program.login("recrypt", kept["Password"])
        program.sendmail("alice@example.org", [to], MAIL % to.encode())


def test_a_letter_is_sealed_relayed_and_read(
    tmp_path: Path, server: ListServer, mail_host: MailHost
) -> None:
    alice, bob = (new_person(tmp_path, f"{name}@example.org") for name in ("alice", "bob"))
    mail_host.start()
    server.authorize(alice.profile)
    server.start()
    alice.recrypt("create", TEAM, "--service", server.url)
    alice.recrypt("add", TEAM, bob.profile)
    with bridge(alice, server.smtp_port) as (program, port):
        send(alice, port, TEAM)
    mail_host.wait_for(2)
    copies = mail_host.copies()
    assert set(copies) == {"alice@example.org", "bob@example.org"}
    assert not any(WORDS in copy for copy in copies.values())
    assert WORDS in bob.recrypt("read", stdin=copies["bob@example.org"])
    assert "password " in program.output


def test_what_is_in_hand_is_finished_when_it_is_told_to_end(
    tmp_path: Path, mail_host: MailHost
) -> None:
    alice = new_person(tmp_path, "alice@example.org")
    mail_host.start()
    mail_host.fall_silent()
    with bridge(alice, mail_host.port) as (program, port), ThreadPoolExecutor(1) as mail_program:
        sending = mail_program.submit(send, alice, port, "carol@example.org")
        mail_host.wait_for_call()
        program.terminate()
        mail_host.speak()
        sending.result()
        assert program.wait() == 0, program.output
    (mail,) = mail_host.mails
    assert (mail.recipient, mail.content) == ("carol@example.org", MAIL % b"carol@example.org")
    assert not is_open(port)
