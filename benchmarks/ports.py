"""Ports on loopback for servers that are told where to listen, and may start later, or again."""

import itertools
import os
import socket
from contextlib import suppress
from typing import Final

from benchmarks.sender import HOST

PORTS: Final = range(20_000, 32_768)  # below those that systems give to connections
PORTS_OF_ONE: Final = 128  # programs that run at once look in different places

_counted = itertools.count(os.getpid() * PORTS_OF_ONE)


def free_port() -> int:
    """Find a port that nobody has, and that no connection will be given meanwhile."""
    for turn in itertools.islice(_counted, len(PORTS)):
        port = PORTS[turn % len(PORTS)]
        with suppress(OSError), socket.create_server((HOST, port)):
            return port
    raise SystemExit("no port is free")
