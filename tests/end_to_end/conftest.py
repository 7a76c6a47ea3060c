"""Servers, mail hosts and taps that stop when their test has ended, however it ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from tests.end_to_end.network import MailHost
from tests.end_to_end.programs import ListServer


@pytest.fixture
def mail_host() -> Iterator[MailHost]:
    """Give the next mail host; it refuses connections until it is started."""
    host = MailHost()
    yield host
    host.stop()


@pytest.fixture
def server(tmp_path: Path, mail_host: MailHost) -> Iterator[ListServer]:
    """Give a list server, not yet running, that hands its mail to `mail_host`."""
    made = ListServer(
        tmp_path / "server", url=f"http://127.0.0.1:{free_port()}", relay_port=mail_host.port
    )
    yield made
    made.stop()
