"""Real mail programs on both sides: swaks posts; Postfix takes the copies, Dovecot files them."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from tests.end_to_end.mail_programs import MailSystem
from tests.end_to_end.network import LOCALHOST
from tests.end_to_end.programs import DOMAIN, ListServer, new_person, run

TEAM = f"team@{DOMAIN}"
WORDS = "The keys are under the third flowerpot."
NEEDED = ("swaks", "postfix", "dovecot", "/usr/lib/dovecot/lmtp")
ABSENT = [name for name in NEEDED if shutil.which(name) is None]

pytestmark = [
    pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Postfix and Dovecot must be started by root"),
]


@pytest.fixture
def mail_system() -> Iterator[MailSystem]:
    """Give Postfix and Dovecot, running."""
    # Not in tmp_path, which only its owner may pass through: these programs drop their rights.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        system = MailSystem(Path(folder))
        try:
            system.start()
            yield system
        finally:
            system.stop()


@pytest.fixture
def server(tmp_path: Path, mail_system: MailSystem) -> Iterator[ListServer]:
    """Give a list server that hands its mail to Postfix."""
    url = f"http://{LOCALHOST}:{free_port()}"
    made = ListServer(tmp_path / "server", url=url, relay_port=mail_system.port)
    yield made
    made.stop()


def test_a_post_by_swaks_is_read_from_a_maildir(
    tmp_path: Path, server: ListServer, mail_system: MailSystem
) -> None:
    alice, bob = (new_person(tmp_path, f"{name}@example.org") for name in ("alice", "bob"))
    server.authorize(alice.profile)
    server.start()
    alice.recrypt("create", TEAM, "--service", server.url)
    alice.recrypt("add", TEAM, bob.profile)
    post = tmp_path / "post.eml"
    post.write_bytes(alice.sealed(TEAM, WORDS, subject="by SMTP"))
    swaks(f"{LOCALHOST}:{server.smtp_port}", post, "--protocol", "ESMTP")
    post.write_bytes(alice.sealed(TEAM, WORDS, subject="by LMTP"))
    swaks(f"{LOCALHOST}:{server.lmtp_port}", post, "--protocol", "LMTP")
    for name, person in (("alice", alice), ("bob", bob)):
        files = mail_system.wait_for_mail(name, 2)
        assert not [file for file in files if WORDS.encode() in file.read_bytes()]
        read = b"".join(person.recrypt("read", file) for file in files)
        assert read.count(WORDS.encode()) == len(files) == 2
        assert b"by SMTP" in read
        assert b"by LMTP" in read


def swaks(server: str, post: Path, *options: str) -> None:
    done = run(
        "swaks", "--server", server, "--from", "alice@example.org", "--to", TEAM, "--data",
        f"@{post}", *options,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
