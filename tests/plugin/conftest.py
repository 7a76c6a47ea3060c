"""Bob in front of his Thunderbird, and Alice, who has a list at a real server."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from tests.end_to_end.network import MailHost, Tap
from tests.end_to_end.programs import ListServer, new_person
from tests.plugin.mail_program import XPI, mail_program
from tests.plugin.membership import Membership
from tests.plugin.post_office import PostOffice


@pytest.fixture(scope="session")
def membership(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Membership]:
    """Give a Bob who has made his profile, asked to join, answered the letter, and is let in."""
    absent = [name for name in ("thunderbird", "dovecot") if shutil.which(name) is None]
    if absent:
        pytest.skip(f"not installed: {', '.join(absent)}")
    if os.geteuid() != 0:
        pytest.skip("Dovecot must be started by root")
    if not XPI.exists():
        pytest.skip("not built: plugins/thunderbird/dist; make test-plugin builds it")
    folder = tmp_path_factory.mktemp("membership")
    # Dovecot drops its rights, and couldn't pass through pytest's folders.
    with tempfile.TemporaryDirectory() as open_folder:
        Path(open_folder).chmod(0o755)
        made = _parts(folder, Path(open_folder))
        try:
            for part in (made.office, made.host):
                part.start()
            made.imap.target = made.office.port
            made.found()
            made.smtp.target = made.server.smtp_port
            with mail_program(
                folder / "profile", imap_port=made.imap.port, smtp_port=made.smtp.port
            ) as bob:
                made.seat(bob)
                made.join()
                yield made
        finally:
            made.stop()


def _parts(folder: Path, open_folder: Path) -> Membership:
    host = MailHost()
    return Membership(
        alice=new_person(folder, "alice@example.org"),
        host=host,
        server=ListServer(
            folder / "server", url=f"http://127.0.0.1:{free_port()}", relay_port=host.port
        ),
        office=PostOffice(open_folder),
        imap=Tap(),
        smtp=Tap(),
    )
