"""A gateway on loopback with fakes behind it, and senders before it that know no manners."""

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from listserver import replies
from listserver.addresses import ListAddress
from listserver.config import SmtpSettings
from listserver.edges.door import Door
from listserver.edges.gateway import Gateway
from listserver.replies import Reply
from listserver.sections import Endpoint
from tests.fakes import SECOND_DOMAIN, FakeRoom, ListLog

MOST: Final = 100_000
DOMAINS: Final = ("lists.example", SECOND_DOMAIN)
HERE: Final = Endpoint("127.0.0.1", 0)
SETTINGS: Final = SmtpSettings(
    listen=HERE,
    lmtp=HERE,
    max_post_octets=MOST,
    connections=500,
    connections_per_client=50,
    tls_certificate=None,
    tls_key=None,
)
INNER_WORDS: Final = "bob@example.org is no member of team"
OPENING: Final = (
    b"EHLO client.example\r\n",
    b"MAIL FROM:<alice@example.org>\r\n",
    b"RCPT TO:<team@lists.example>\r\n",
    b"DATA\r\n",
)


class FakeReception:
    """Knows three lists, one of them in trouble, and keeps what it is asked and what it takes."""

    def __init__(self) -> None:
        self.asked: list[ListAddress] = []
        self.received: list[tuple[bytes, str, bool]] = []
        self.begun = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def recipient(self, to: ListAddress) -> Reply:
        """Answer by the list's name alone."""
        self.asked.append(to)
        name = to.list.partition("@")[0]
        if name == "trouble":
            raise RuntimeError(INNER_WORDS)
        known = name in {"team", "other", "full"}
        return replies.RECIPIENT_OK if known else replies.NO_SUCH_LIST

    async def receive(self, raw: bytes, to: ListAddress, *, sender: str) -> Reply:
        """Keep it, once it may go on."""
        self.begun.set()
        await self.may_go_on.wait()
        if b"raise" in raw or to.list == "full@lists.example":
            raise RuntimeError(INNER_WORDS)
        self.received.append((raw, to.list.partition("@")[0], not sender))
        return replies.ACCEPTED


class Sender:
    """The other side of the door, without manners of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connected(cls, port: int) -> "Sender":
        """Connect to a door."""
        return cls(*await asyncio.open_connection(HERE.host, port))

    def send(self, octets: bytes) -> None:
        """Send octets as they are."""
        self.writer.write(octets)

    async def reply(self) -> str:
        """Give the last line of one reply; "" when the connection is at its end."""
        while True:
            try:
                line = await asyncio.wait_for(self.reader.readline(), 10)
            except ConnectionError:
                return ""
            if line[3:4] != b"-":
                return line.decode().rstrip()

    async def ask(self, command: str) -> str:
        """Send a command, and give the last line of the reply."""
        return await self.post(command.encode() + b"\r\n")

    async def begin(self) -> None:
        """Go as far as 354."""
        await self.reply()
        for command in OPENING[:-1]:
            assert (await self.post(command)).startswith("250")
        assert (await self.post(OPENING[-1])).startswith("354")

    async def post(self, octets: bytes) -> str:
        """Send octets, and give the last line of the reply."""
        self.send(octets)
        return await self.reply()

    async def rest(self) -> list[str]:
        """Give all that is still said, without what comes after the codes."""
        said = []
        while reply := await self.reply():
            said.append(reply[:9])
        return said

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Shake hands, as one who trusts the certificate of `context` for 127.0.0.1."""
        await self.writer.start_tls(context, server_hostname=HERE.host)


class Doorway:
    """A gateway, its fakes, and the senders at it."""

    def __init__(self, settings: SmtpSettings) -> None:
        self.reception = FakeReception()
        self.log = ListLog()
        self.room = FakeRoom()
        domains = ("lists.example", SECOND_DOMAIN)
        self.gateway = Gateway(
            Door(self.reception, self.log, settings, domains=domains, room=self.room)
        )
        self.senders: list[Sender] = []
        self.ports = {True: 0, False: 0}

    async def sender(self, *, lmtp: bool = False) -> Sender:
        """Connect."""
        sender = await Sender.connected(self.ports[lmtp])
        self.senders.append(sender)
        return sender

    async def greeted(self) -> Sender:
        """Connect, and greet."""
        sender = await self.sender()
        await sender.reply()
        await sender.ask("EHLO client.example")
        return sender


@asynccontextmanager
async def door(settings: SmtpSettings = SETTINGS) -> AsyncIterator[Doorway]:
    """Open a gateway, and close it and all connections to it."""
    it = Doorway(settings)
    it.gateway.reload()
    for lmtp in (False, True):
        server = await it.gateway.listen(HERE, lmtp=lmtp)
        it.ports[lmtp] = server.sockets[0].getsockname()[1]
    try:
        yield it
    finally:
        await it.gateway.close()
        for sender in it.senders:
            sender.writer.close()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a new certificate for 127.0.0.1 that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "lists.example")])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    end = start + datetime.timedelta(days=36_500)
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HERE.host))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, end)
    made = builder.add_extension(host, critical=False).sign(key, hashes.SHA256())
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    files = folder / "door.crt", folder / "door.key"
    files[0].write_bytes(made.public_bytes(pem))
    files[1].write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
    return files
