"""Mail out: what each thing that a relay host can do is told as, and how sessions are kept."""

import asyncio
import base64
import dataclasses
import datetime
import gc
import ipaddress
import ssl
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path, PurePath

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.ports import free_port
from listserver import limits
from listserver.config import RelaySettings, Security
from listserver.edges.courier import SmtpCourier
from listserver.outcomes import Accepted, Answer, Broken, Phase, Refused
from listserver.ports import Outgoing
from recrypt_core.errors import Malformed

HOST = "127.0.0.1"
RELAY = RelaySettings(HOST, 25, Security.NONE, None, None, connections=3)
PARTS = (b"Subject: x\r\n\r\n", b"Hello\r\n", b"", b"Bye\r\n")
MAIL = Outgoing("team-bounces@lists.example", "bob@example.org", PARTS)
CONTENT = b"Subject: x\r\n\r\nHello\r\nBye\r\n"
# Verb of the peer's script -> phase of ours.
VERBS = {"CONNECT": Phase.CONNECT, "EHLO": Phase.HELLO, ".": Phase.CONTENT} | {
    phase.name: phase for phase in (Phase.MAIL, Phase.RCPT, Phase.DATA)
}
WORDS = "Carol is no member"


class Peer:
    """A relay host that does as its script says: a reply to each verb, or "" to hang up."""

    def __init__(self) -> None:
        self.script = {"CONNECT": "220 peer", "EHLO": "250-peer\r\n250 SIZE", "DATA": "354 go"}
        self.commands: list[str] = []
        self.mails: list[bytes] = []
        self.connections = 0
        self.sessions: list[asyncio.Task[None] | None] = []
        self.open = 0
        self.most_open = 0
        self.gone = asyncio.Event()
        self.asked = asyncio.Event()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hold one session."""
        self.connections += 1
        self.sessions.append(asyncio.current_task())
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        with suppress(ConnectionError):
            await self._hold(reader, writer)
        self.open -= 1
        writer.close()
        self.gone.set()

    async def _hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        verb = "CONNECT"
        while await self._answer(verb, writer):
            if verb == "DATA" and self.script["DATA"].startswith("354"):
                self.mails.append(await _read_mail(reader))
                verb = "."
                continue
            line = (await reader.readline()).decode().strip()
            if not line:
                break
            self.commands.append(line)
            verb = line.split()[0]

    async def _answer(self, verb: str, writer: asyncio.StreamWriter) -> bool:
        reply = self.script.get(verb, "250 OK")
        if reply == "silence":
            self.asked.set()
            return True
        # "then hang up" closes after the reply: the session that was kept is stale.
        reply, leave, _ = reply.partition(" then hang up")
        if reply:
            writer.write(f"{reply}\r\n".encode())
            await writer.drain()
        return bool(reply) and not leave


async def _read_mail(reader: asyncio.StreamReader) -> bytes:
    octets = 0
    kept = b""
    while not kept.endswith(b"\r\n.\r\n") or octets < 5:
        piece = await reader.read(2**16)
        if not piece:
            return b""
        octets += len(piece)
        kept = kept[-1000:] + piece
    return kept.removesuffix(b".\r\n")


@asynccontextmanager
async def peer() -> AsyncIterator[Peer]:
    it = Peer()
    server = await asyncio.start_server(it.serve, HOST, 0)
    it.port = server.sockets[0].getsockname()[1]
    async with server:
        yield it
    await asyncio.gather(*filter(None, it.sessions))


@asynccontextmanager
async def courier_to(
    port: int, settings: RelaySettings = RELAY, tls: ssl.SSLContext | None = None
) -> AsyncIterator[SmtpCourier]:
    settings = dataclasses.replace(settings, port=port)
    it = SmtpCourier(settings, "lists.example", password="s3cret", tls=tls)  # noqa: S106 - a test's
    try:
        yield it
    finally:
        await it.close()


async def deliver_once(it: Peer) -> Answer:
    async with courier_to(it.port) as courier:
        return await courier.deliver(MAIL)


@pytest.mark.asyncio
async def test_the_dialogue_and_the_content_are_as_they_should_be() -> None:
    async with peer() as it:
        assert await deliver_once(it) == Accepted(250, "OK")
        assert it.mails == [CONTENT]
    assert it.commands == [
        "EHLO lists.example",
        f"MAIL FROM:<team-bounces@lists.example> SIZE={len(CONTENT)}",
        "RCPT TO:<bob@example.org>",
        "DATA",
        "QUIT",
    ]


@pytest.mark.asyncio
async def test_the_null_return_path_is_written_as_such() -> None:
    async with peer() as it, courier_to(it.port) as courier:
        it.script["EHLO"] = "250 peer without SIZE"
        await courier.deliver(dataclasses.replace(MAIL, return_path=""))
        assert it.commands[1] == "MAIL FROM:<>"


@pytest.mark.asyncio
@pytest.mark.parametrize("eight_bit", [False, True])
@pytest.mark.parametrize("offer", ["8BITMIME", "HELP"])
async def test_eight_bits_are_announced_where_they_are_offered(offer: str, eight_bit: bool) -> None:
    octets = (b"Subject: \xe4\r\n\r\n", b"\xff.\r\n")
    async with peer() as it, courier_to(it.port) as courier:
        it.script["EHLO"] = f"250-peer\r\n250 {offer}"
        mail = dataclasses.replace(MAIL, parts=octets, eight_bit=eight_bit)
        assert await courier.deliver(mail) == Accepted(250, "OK")
        announced = " BODY=8BITMIME" if eight_bit and offer == "8BITMIME" else ""
        assert it.commands[1] == f"MAIL FROM:<{MAIL.return_path}>{announced}"
        assert it.mails == [b"".join(octets)]


class Keeper:
    """aiosmtpd's handler: keeps what comes."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    async def handle_DATA(  # noqa: N802 - aiosmtpd finds and calls it so
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Keep it."""
        self.envelopes.append(envelope)
        return "250 Kept"


@asynccontextmanager
async def real_relay(
    context: ssl.SSLContext | None = None, *, security: Security = Security.NONE
) -> AsyncIterator[tuple[int, Keeper]]:
    loop = asyncio.get_running_loop()
    keeper = Keeper()
    sessions: list[SMTP] = []

    def session() -> SMTP:
        inner = context if security is Security.STARTTLS else None
        sessions.append(SMTP(keeper, hostname="mx", tls_context=inner, loop=loop))
        return sessions[-1]

    outer = context if security is Security.TLS else None
    server = await loop.create_server(session, HOST, 0, ssl=outer)
    async with server:
        yield server.sockets[0].getsockname()[1], keeper
    handlers = [x._handler_coroutine for x in sessions]
    await asyncio.gather(*filter(None, handlers), return_exceptions=True)


@pytest.mark.asyncio
async def test_a_real_server_takes_two_mails_on_one_session() -> None:
    async with real_relay() as (port, keeper):
        async with courier_to(port) as courier:
            for _ in range(2):
                assert await courier.deliver(MAIL) == Accepted(250, "Kept")
        assert [x.content for x in keeper.envelopes] == [CONTENT] * 2
        assert keeper.envelopes[0].rcpt_tos == ["bob@example.org"]


@pytest.mark.asyncio
@pytest.mark.parametrize("code", [421, 450, 550])
@pytest.mark.parametrize("verb", VERBS)
async def test_a_refusal_is_told_with_its_phase(verb: str, code: int) -> None:
    async with peer() as it:
        it.script[verb] = f"{code} 1.2.3 {WORDS}"
        assert await deliver_once(it) == Refused(VERBS[verb], code, f"1.2.3 {WORDS}")


@pytest.mark.asyncio
@pytest.mark.parametrize("verb", VERBS)
async def test_a_cut_is_told_with_its_phase(verb: str) -> None:
    async with peer() as it:
        it.script[verb] = ""
        answer = await deliver_once(it)
        assert isinstance(answer, Broken)
        assert answer.phase is VERBS[verb]


@pytest.mark.asyncio
@pytest.mark.parametrize("garbage", ["what?", "199 x", "600 x", "25\0 x", "354 x", "x" * 9000])
@pytest.mark.parametrize("verb", VERBS)
async def test_garbage_is_told_as_broken_without_its_words(verb: str, garbage: str) -> None:
    if verb == "DATA" and garbage.startswith("354"):
        garbage = "250 x"
    async with peer() as it:
        it.script[verb] = f"{garbage} {WORDS}"
        answer = await deliver_once(it)
        assert isinstance(answer, Broken)
        assert answer.phase is VERBS[verb]
        assert WORDS not in answer.what


@pytest.mark.asyncio
async def test_a_refused_connection_is_told() -> None:
    async with courier_to(free_port()) as courier:
        assert await courier.deliver(MAIL) == Broken(Phase.CONNECT, "ConnectionRefusedError")


@pytest.mark.asyncio
async def test_a_peer_that_says_nothing_after_the_dot_is_ambiguous(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "CONTENT_TIMEOUT", datetime.timedelta(milliseconds=20))
    async with peer() as it:
        it.script["."] = "silence"
        assert await deliver_once(it) == Broken(Phase.CONTENT, "TimeoutError")


@pytest.mark.asyncio
@pytest.mark.parametrize("recipient", ["", "bob", "bob@example.org\r\nDATA", "bob@example.org> X"])
async def test_a_bad_address_is_never_sent(recipient: str) -> None:
    async with peer() as it, courier_to(it.port) as courier:
        with pytest.raises(Malformed):
            await courier.deliver(dataclasses.replace(MAIL, recipient=recipient))
        assert it.connections == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "."])
async def test_a_session_is_kept_after_a_refusal_of_one_mail(verb: str) -> None:
    async with peer() as it, courier_to(it.port) as courier:
        plain = dict(it.script)
        it.script[verb] = "550 No"
        assert isinstance(await courier.deliver(MAIL), Refused)
        it.script = plain
        assert isinstance(await courier.deliver(MAIL), Accepted)
        assert it.connections == 1
        assert "RSET" in it.commands


@pytest.mark.asyncio
@pytest.mark.parametrize("reply", ["250 OK then hang up", "250 OK"])
async def test_a_stale_session_is_replaced_by_a_fresh_one(reply: str) -> None:
    async with peer() as it, courier_to(it.port) as courier:
        it.script["."] = reply
        assert isinstance(await courier.deliver(MAIL), Accepted)
        if reply == "250 OK":
            it.script["MAIL"] = "421 Too many then hang up"
        answer = await courier.deliver(MAIL)
        assert isinstance(answer, Accepted if reply != "250 OK" else Refused)
        assert it.connections == 2


@pytest.mark.asyncio
async def test_no_more_sessions_than_allowed_and_all_are_used_again() -> None:
    async with peer() as it, courier_to(it.port) as courier:
        answers = await asyncio.gather(*(courier.deliver(MAIL) for _ in range(20)))
        assert all(isinstance(answer, Accepted) for answer in answers)
        assert it.connections == it.most_open == RELAY.connections
        assert len(it.mails) == 20


@pytest.mark.asyncio
async def test_a_session_ends_politely_after_so_many_mails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "MAILS_A_CONNECTION", 2)
    async with peer() as it, courier_to(it.port) as courier:
        for _ in range(5):
            assert isinstance(await courier.deliver(MAIL), Accepted)
        await it.gone.wait()
        assert it.connections == 3
        assert it.commands.count("QUIT") == 2


@pytest.mark.asyncio
async def test_an_idle_session_is_closed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IDLE_TIME", datetime.timedelta(0))
    async with peer() as it, courier_to(it.port) as courier:
        await courier.deliver(MAIL)
        await asyncio.wait_for(it.gone.wait(), 10)
        assert "QUIT" not in it.commands


@pytest.mark.asyncio
async def test_a_cancelled_delivery_leaves_no_session_behind() -> None:
    async with peer() as it, courier_to(it.port) as courier:
        it.script["RCPT"] = "silence"
        task = asyncio.create_task(courier.deliver(MAIL))
        await it.asked.wait()
        task.cancel()
        await asyncio.wait({task})
        del it.script["RCPT"]
        assert isinstance(await courier.deliver(MAIL), Accepted)
        assert it.connections == 2


@pytest.mark.asyncio
async def test_a_big_mail_is_not_held_twice() -> None:
    body = (b"A" * 76 + b"\r\n") * 100_000
    big = dataclasses.replace(MAIL, parts=(b"Subject: x\r\n\r\n", body, body))
    async with peer() as it, courier_to(it.port) as courier:
        gc.collect()
        tracemalloc.start()
        try:
            assert isinstance(await courier.deliver(big), Accepted)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < len(body) // 4
        assert it.commands[1].endswith(f"SIZE={sum(map(len, big.parts))}")


@pytest.mark.asyncio
async def test_the_login_is_sent_and_a_wrong_one_is_told() -> None:
    settings = dataclasses.replace(RELAY, username="lists", password_file=PurePath("p"))
    async with peer() as it, courier_to(it.port, settings) as courier:
        it.script |= {"EHLO": "250-peer\r\n250 AUTH PLAIN", "AUTH": "535 No"}
        assert await courier.deliver(MAIL) == Refused(Phase.AUTH, 535, "No")
        it.script["AUTH"] = "235 Yes"
        assert isinstance(await courier.deliver(MAIL), Accepted)
        word = it.commands[-4].removeprefix("AUTH PLAIN ")
        assert base64.b64decode(word) == b"\0lists\0s3cret"


@pytest.mark.asyncio
async def test_a_relay_without_starttls_gets_nothing() -> None:
    settings = dataclasses.replace(RELAY, security=Security.STARTTLS)
    async with peer() as it, courier_to(it.port, settings) as courier:
        assert await courier.deliver(MAIL) == Broken(Phase.TLS, "SMTPException")
        assert it.commands == ["EHLO lists.example"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a PEM file with a key and its own certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "relay")])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    end = start + datetime.timedelta(days=36_500)
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, end)
    made = builder.add_extension(host, critical=False).sign(key, hashes.SHA256())
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    written = key.private_bytes(pem, form, serialization.NoEncryption()) + made.public_bytes(pem)
    path = tmp_path_factory.mktemp("tls") / "relay.pem"
    path.write_bytes(written)
    return path


def identity(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


@pytest.mark.asyncio
@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
async def test_a_mail_goes_over_tls_to_whom_we_trust(certificate: Path, security: Security) -> None:
    trusting = ssl.create_default_context(cafile=certificate)
    settings = dataclasses.replace(RELAY, security=security)
    async with real_relay(identity(certificate), security=security) as (port, keeper):
        async with courier_to(port, settings, trusting) as courier:
            assert await courier.deliver(MAIL) == Accepted(250, "Kept")
        assert [x.content for x in keeper.envelopes] == [CONTENT]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("security", "phase"), [(Security.STARTTLS, Phase.TLS), (Security.TLS, Phase.CONNECT)]
)
async def test_a_certificate_that_nobody_vouches_for_is_refused(
    certificate: Path, security: Security, phase: Phase
) -> None:
    settings = dataclasses.replace(RELAY, security=security)
    async with real_relay(identity(certificate), security=security) as (port, keeper):
        async with courier_to(port, settings) as courier:
            assert await courier.deliver(MAIL) == Broken(phase, "SSLCertVerificationError")
        assert keeper.envelopes == []


class Injector:
    """A relay host whose words to STARTTLS came in one packet with another's plaintext."""

    def __init__(self, certificate: Path, injected: bytes) -> None:
        self._context = identity(certificate)
        self._injected = injected
        self.commands: list[str] = []
        self.sessions: list[asyncio.Task[None] | None] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hold one session."""
        self.sessions.append(asyncio.current_task())
        writer.write(b"220 peer\r\n")
        with suppress(OSError):
            while line := (await reader.readline()).decode("ascii", "replace").strip():
                self.commands.append(line)
                match line.split()[0]:
                    case "STARTTLS":
                        writer.write(b"220 go\r\n" + self._injected)
                        await writer.start_tls(self._context)
                        self.commands.append("(TLS)")
                    case "EHLO" if "(TLS)" not in self.commands:
                        writer.write(b"250-peer\r\n250-SIZE\r\n250 STARTTLS\r\n")
                    case "DATA":
                        writer.write(b"354 go\r\n")
                        await _read_mail(reader)
                        writer.write(b"250 Kept\r\n")
                    case _:
                        writer.write(b"250 OK\r\n")
        writer.close()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "injected",
    [
        b"250-injected\r\n250-SIZE\r\n250 AUTH PLAIN\r\n",
        b"250 injected\r\n250 injected\r\n250 injected\r\n354 injected\r\n250 injected\r\n",
        b"250-half a reply",
    ],
)
async def test_plaintext_that_came_with_the_answer_to_starttls_is_not_believed(
    certificate: Path, injected: bytes
) -> None:
    it = Injector(certificate, injected)
    settings = dataclasses.replace(RELAY, security=Security.STARTTLS)
    trusting = ssl.create_default_context(cafile=certificate)
    server = await asyncio.start_server(it.serve, HOST, 0)
    async with server, courier_to(server.sockets[0].getsockname()[1], settings, trusting) as sender:
        answer = await asyncio.wait_for(sender.deliver(MAIL), 10)
        assert answer == Accepted(250, "Kept")
    await asyncio.gather(*filter(None, it.sessions))
    assert [each.split()[0] for each in it.commands] == [
        *("EHLO", "STARTTLS", "(TLS)", "EHLO", "MAIL", "RCPT", "DATA", "QUIT")
    ]
    assert it.commands[4] == "MAIL FROM:<team-bounces@lists.example>"  # SIZE is offered no more


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("verb", "reply", "phase"),
    [
        ("CONNECT", "220 peer\r\n250 peer", Phase.HELLO),
        ("EHLO", "250 peer\r\n250 OK", Phase.MAIL),
        ("MAIL", "250 OK\r\n250 OK", Phase.RCPT),
        ("RCPT", "250 OK\r\n354 go", Phase.DATA),
        ("DATA", "354 go\r\n250 OK", Phase.DATA),
    ],
)
async def test_a_reply_that_came_before_its_command_is_not_believed(
    verb: str, reply: str, phase: Phase
) -> None:
    async with peer() as it:
        it.script[verb] = reply
        answer = await deliver_once(it)
        assert isinstance(answer, Broken)
        assert answer.phase is phase
    assert it.mails == ([b""] if verb == "DATA" else [])  # and no final dot was sent
