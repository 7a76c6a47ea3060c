"""Mail in, over SMTP and LMTP (RFC 2033): the listeners, and their start and stop in good order.

It translates, and decides nothing about mail: `sessions` speaks, `content` reads what DATA brings,
`door` counts.
"""

import asyncio
import logging
import ssl

from listserver.edges.door import Door
from listserver.edges.sessions import LmtpSession, SmtpSession
from listserver.sections import Endpoint


class Gateway:
    """The listeners for mail, and all sessions at them, which share a door."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self._servers: list[asyncio.Server] = []

    def reload(self) -> None:
        """Read the certificate and its key, if there are any; sessions that begin TLS use them.

        Raises:
            OSError: they can't be read, or don't belong together. What was read before stays.
        """
        certificate, key = self.door.settings.tls_certificate, self.door.settings.tls_key
        if certificate is not None and key is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            # With a password, if only an empty one, nothing is asked for at the terminal.
            context.load_cert_chain(str(certificate), str(key), password="")
            self.door.tls = context

    async def listen(self, at: Endpoint, *, lmtp: bool = False) -> asyncio.Server:
        """Open a listener; the server's `sockets` tell where, if the port was 0.

        Raises:
            OSError: the port is in use, or not ours to take.
        """
        # aiosmtpd's own log names peers and addresses, which no log of ours does (spec §7).
        logging.getLogger("mail.log").disabled = True
        kind = LmtpSession if lmtp else SmtpSession
        server = await asyncio.get_running_loop().create_server(
            lambda: kind(self.door), at.host, at.port, backlog=self.door.settings.connections
        )
        self._servers.append(server)
        return server

    async def drain(self) -> None:
        """Wait until every mail that has come whole is committed and answered."""
        await self.door.drain()

    async def close(self) -> None:
        """Stop listening, finish what is in hand, and hang up."""
        for server in self._servers:
            server.close()
        await asyncio.gather(*(x.hang_up() for x in self.door.guests if not x.answering))
        await self.drain()
        await asyncio.gather(*(x.hang_up() for x in self.door.guests))
