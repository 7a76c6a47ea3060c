"""Debian's smtp-sink: an independent next mail host that fails at whatever verb it is told to."""

import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.end_to_end.network import LOCALHOST, Mail
from tests.faults.house import Child, until
from tests.faults.ledger import name_of


class Sink:
    """One that runs; what got as far as the final dot is in its folder."""

    def __init__(self, folder: Path, port: int, *options: str) -> None:
        """Start it."""
        self._folder = folder
        self._port = port
        program = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin") or "smtp-sink"
        output = ("-u", "root", "-R", str(folder), "-d", "mail.")
        self._child = Child(program, *output, *options, f"{LOCALHOST}:{port}", "100")
        assert until(self._listens), self._child.output

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((LOCALHOST, self._port)) == 0

    def stop(self) -> None:
        """End it."""
        self._child.finish()

    def mails(self) -> list[Mail]:
        """Read what came to it."""
        return [_read(path.read_bytes()) for path in self._folder.glob("mail.*")]


@contextmanager
def sink(folder: Path, port: int, *options: str) -> Iterator[Sink]:
    """Run one."""
    folder.mkdir()
    made = Sink(folder, port, *options)
    try:
        yield made
    finally:
        made.stop()


def _read(octets: bytes) -> Mail:
    paths = [
        found[1].decode()
        for pattern in (rb"X-Mail-Args: <([^>]*)>", rb"X-Rcpt-Args: <([^>]*)>")
        if (found := re.search(pattern, octets))
    ]
    sender, recipient = paths
    return Mail(sender, recipient, len(octets), name_of(octets))
