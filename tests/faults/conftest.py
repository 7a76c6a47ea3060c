"""A server with a list of six and a mail host that takes all; figures are printed at the end."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.end_to_end.network import MailHost
from tests.end_to_end.team import found_team
from tests.faults.house import MEMBERS, Server
from tests.faults.ledger import Ledger, name_of

FIGURES: Final = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Have room for the figures."""
    config.stash[FIGURES] = []


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the ledgers."""
    if config.stash[FIGURES]:
        terminalreporter.section("ledgers")
        for line in config.stash[FIGURES]:
            terminalreporter.line(line)


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Give what takes a line of figures."""
    return request.config.stash[FIGURES].append


@pytest.fixture
def host() -> Iterator[MailHost]:
    """Give the next mail host; it refuses connections until it is started."""
    made = MailHost(name_of)
    yield made
    made.stop()


@pytest.fixture
def server(tmp_path: Path, host: MailHost) -> Iterator[Server]:
    """Give a server, not yet running."""
    made = Server(tmp_path / "server", relay_port=host.port)
    yield made
    made.kill()


@pytest.fixture
def ledger(server: Server, host: MailHost, report: Callable[[str], None]) -> Ledger:
    """Give the ledger of a list that has been founded, on a server that runs."""
    return Ledger(found_team(server, MEMBERS), host, report)
