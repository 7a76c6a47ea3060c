"""`recrypt bridge`: what a mail program hears, and what its person's server gets."""

import asyncio
import smtplib
import ssl
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx2
import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from benchmarks.ports import free_port
from recrypt_client.commands import passphrases
from recrypt_client.commands.bridging import deliver
from recrypt_client.commands.frame import Outside, Tools
from recrypt_client.mail_servers import MailServer, Security
from recrypt_client.service import Transport
from recrypt_client.smtp_door import USER, SmtpDoor
from recrypt_client.submission import OCTETS, Reply, Submission
from recrypt_client.terminal import Terminal
from tests.client.stage import TEAM, Stage
from tests.doors import make_certificate
from tests.end_to_end.network import LOCALHOST

PASSWORD = "of the bridge"  # noqa: S105 - of a bridge that stands for a test
WORDS = b"At one, under the third flowerpot?"
TO_LIST = (
    b"From: Alice <alice@example.org>\r\nTo: " + TEAM.encode() + b"\r\nSubject: Lunch\r\n\r\n"
    + WORDS + b"\r\n"
)  # fmt: skip
TO_CAROL = (
    b"From: alice@example.org\r\nTo: carol@example.org\r\nSubject: Caf\xc3\xa9\r\n\r\n"
    b".\r\n..dots\r\n" + WORDS + b"\r\n"
)


@dataclass
class Provider:
    """Alice's own mail server: wants her password, refuses whom it is told to, keeps the rest."""

    refused: dict[str, str] = field(default_factory=dict)
    password: bytes = b"letters"
    kept: list[Envelope] = field(default_factory=list)
    sessions: list[SMTP] = field(default_factory=list)

    def authenticator(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, given: object
    ) -> AuthResult:
        """Know Alice."""
        good = given == LoginPassword(b"alice", self.password)
        return AuthResult(success=good, handled=False)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd finds and calls it so
        self, _server: SMTP, _session: Session, envelope: Envelope, to: str, _options: list[str]
    ) -> str:
        """Take a recipient or not."""
        if to in self.refused:
            return self.refused[to]
        envelope.rcpt_tos.append(to)
        return "250 ok"

    async def handle_DATA(  # noqa: N802 - aiosmtpd finds and calls it so
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Keep it."""
        self.kept.append(envelope)
        return "250 2.0.0 Queued as 42"

    @asynccontextmanager
    async def open(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
        """Listen; give the port."""
        loop = asyncio.get_running_loop()

        def session() -> SMTP:
            made = SMTP(
                self,
                hostname="smtp",
                loop=loop,
                tls_context=tls,
                auth_require_tls=tls is not None,
                authenticator=self.authenticator,
            )
            self.sessions.append(made)
            return made

        server = await loop.create_server(session, LOCALHOST, 0)
        async with server:
            yield int(server.sockets[0].getsockname()[1])


@dataclass
class Bridge:
    """A bridge of Alice's, and a mail program that uses it."""

    port: int

    async def send(self, to: list[str], mail: bytes, password: str = PASSWORD) -> str:
        """Hand a mail over; give the reply that ended it."""
        return await asyncio.to_thread(self._send, to, mail, password)

    async def says(self, *commands: str) -> list[int]:
        """Say something; give the codes of the replies."""
        return await asyncio.to_thread(self._say, commands)

    def _send(self, to: list[str], mail: bytes, password: str) -> str:
        with smtplib.SMTP(LOCALHOST, self.port) as program:
            try:
                program.login(USER, password)
                options = [] if mail.isascii() else ["BODY=8BITMIME"]
                program.sendmail("alice@example.org", to, mail, options)
            except smtplib.SMTPResponseException as refused:
                words = refused.smtp_error
                said = words.decode() if isinstance(words, bytes) else words
                return f"{refused.smtp_code} {said}"
        return "250"

    def _say(self, commands: tuple[str, ...]) -> list[int]:
        with smtplib.SMTP(LOCALHOST, self.port) as program:
            program.ehlo()
            return [program.docmd(each)[0] for each in commands]


@asynccontextmanager
async def bridge_to(
    port: int,
    stage: Stage,
    *,
    security: Security = Security.NONE,
    transport: "Transport | None" = None,
) -> AsyncIterator[Bridge]:
    outside = Outside(now=lambda: stage.now, transport=transport or stage.service.transport)
    using = Tools(
        stage.keys("alice"), Terminal(), outside, passphrases.Source(None, outside.prompt)
    )
    server = MailServer(LOCALHOST, port, "alice", security)
    door = SmtpDoor(partial(deliver, using, server, "letters"), PASSWORD)
    before = asyncio.all_tasks()
    try:
        yield Bridge(await door.open(LOCALHOST, 0))
    finally:
        await door.close()
        await asyncio.gather(*(asyncio.all_tasks() - before), return_exceptions=True)


def unreachable() -> Transport:
    """Give a service that no call gets through to."""

    def fail(_request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("nobody answers")

    return httpx2.MockTransport(fail)


@pytest.fixture
def team(stage: Stage) -> Stage:
    """Let Alice have a list that Bob is on."""
    stage.team("bob")
    return stage


@pytest.mark.asyncio
async def test_mail_to_a_list_leaves_sealed_and_is_read_by_its_members(team: Stage) -> None:
    provider = Provider()
    async with provider.open() as port, bridge_to(port, team) as bridge:
        assert await bridge.send([TEAM], TO_LIST) == "250"
    (sent,) = provider.kept
    assert (sent.mail_from, sent.rcpt_tos) == ("alice@example.org", [TEAM])
    post = sent.original_content or b""
    assert WORDS not in post
    assert b"Lunch" not in post
    assert WORDS in team.does("bob", "read", stdin=team.copy(post, "bob"))


@pytest.mark.asyncio
async def test_other_mail_goes_as_it_is(team: Stage) -> None:
    provider = Provider()
    async with provider.open() as port, bridge_to(port, team) as bridge:
        people = ["carol@example.org", "dave@example.org"]
        assert await bridge.send(people, TO_CAROL) == "250"
    (sent,) = provider.kept
    assert (sent.rcpt_tos, sent.original_content) == (people, TO_CAROL)
    assert "BODY=8BITMIME" in sent.mail_options


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("to", "mail"),
    [
        pytest.param([TEAM, "carol@example.org"], TO_LIST, id="another recipient"),
        pytest.param(["carol@example.org"], TO_LIST, id="a piece of such a mail"),
        pytest.param([TEAM], TO_CAROL, id="the other piece"),
        pytest.param(["carol@example.org"], b"Cc: " + TEAM.encode() + b"\r\n" + TO_CAROL, id="cc"),
    ],
)
async def test_mail_to_a_list_and_others_is_refused_and_nothing_of_it_sent(
    team: Stage, to: list[str], mail: bytes
) -> None:
    provider = Provider()
    async with provider.open() as port, bridge_to(port, team) as bridge:
        reply = await bridge.send(to, mail)
    assert reply.startswith("554 5.7.1 Not sent: ")
    assert TEAM in reply
    assert not provider.sessions


@pytest.mark.asyncio
async def test_an_answer_to_list_mail_goes_in_clear_to_nobody(team: Stage) -> None:
    ids = f"<1@example.org>\r\n <m.{'a2' * 13}.{'b' * 8}@lists.example>"
    answer = f"References: {ids}\r\n".encode() + TO_CAROL
    quoting = TO_CAROL + b"> [recrypt: sealed to team@lists.example]\r\n"
    provider = Provider()
    async with provider.open() as port, bridge_to(port, team) as bridge:
        reply = await bridge.send(["carol@example.org"], answer)
        assert reply.startswith("554 5.7.1 Not sent: it answers mail of a list at lists.example")
        assert (await bridge.send(["carol@example.org"], quoting)).startswith("554 5.7.1 ")
        assert not provider.sessions
        to_desk = answer.replace(b"carol@example.org", b"team-request@lists.example")
        assert await bridge.send(["team-request@lists.example"], to_desk) == "250"
        elsewhere = answer.replace(b"lists.example", b"elsewhere.example")
        assert await bridge.send(["carol@example.org"], elsewhere) == "250"


@pytest.mark.asyncio
async def test_nothing_is_taken_without_the_password(team: Stage) -> None:
    provider = Provider()
    async with provider.open() as port, bridge_to(port, team) as bridge:
        said = await bridge.says("MAIL FROM:<alice@example.org>", "RCPT TO:<a@example.org>", "DATA")
        assert said == [530, 530, 530]
        assert (await bridge.send([TEAM], TO_LIST, "letters")).startswith("535 ")
    assert not provider.sessions


@pytest.mark.asyncio
async def test_a_refusal_of_the_provider_is_handed_on_and_then_nobody_has_it(team: Stage) -> None:
    provider = Provider(refused={"dave@example.org": "550 5.1.1 No such person"})
    async with provider.open() as port, bridge_to(port, team) as bridge:
        people = ["carol@example.org", "dave@example.org"]
        assert await bridge.send(people, TO_CAROL) == "550 5.1.1 No such person"
        provider.refused = {"dave@example.org": "421 4.3.2 Going down"}
        assert (await bridge.send(people, TO_CAROL)).startswith("451 4.3.2 ")
    assert not provider.kept


@pytest.mark.asyncio
async def test_what_may_pass_is_to_be_tried_again(team: Stage) -> None:
    async with bridge_to(free_port(), team) as bridge:
        assert (await bridge.send(["carol@example.org"], TO_CAROL)).startswith("451 4.4.1 Not sent")
    provider = Provider()
    away = unreachable()
    async with provider.open() as port, bridge_to(port, team, transport=away) as bridge:
        assert (await bridge.send([TEAM], TO_LIST)).startswith("451 4.3.0 Not sent")
    assert not provider.sessions


@pytest.mark.asyncio
async def test_the_provider_is_believed_by_its_certificate_alone(
    team: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = make_certificate(team.folder)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    provider = Provider()
    by = Security.STARTTLS
    async with provider.open(tls) as port, bridge_to(port, team, security=by) as bridge:
        reply = await bridge.send([TEAM], TO_LIST)
        assert reply.startswith("451 4.4.1 Not sent")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert await bridge.send([TEAM], TO_LIST) == "250"
    assert len(provider.kept) == 1


@pytest.mark.asyncio
async def test_a_provider_without_starttls_gets_neither_password_nor_mail(team: Stage) -> None:
    provider, by = Provider(), Security.STARTTLS
    async with provider.open() as port, bridge_to(port, team, security=by) as bridge:
        assert (await bridge.send([TEAM], TO_LIST)).startswith("45")
    (session,) = provider.sessions
    assert session.session is not None
    assert not session.session.authenticated
    assert not provider.kept


@pytest.mark.asyncio
async def test_a_wrong_password_at_the_provider_is_told(team: Stage) -> None:
    provider = Provider(password=b"another")
    async with provider.open() as port, bridge_to(port, team) as bridge:
        assert (await bridge.send([TEAM], TO_LIST)).startswith("454 4.7.0 Not sent: ")
    assert not provider.kept


@pytest.mark.asyncio
async def test_a_mail_over_the_limit_is_refused_before_it_comes(team: Stage) -> None:
    async with bridge_to(free_port(), team) as bridge:
        login = "AUTH PLAIN AHJlY3J5cHQAb2YgdGhlIGJyaWRnZQ=="
        begin = f"MAIL FROM:<alice@example.org> SIZE={OCTETS + 1}"
        assert await bridge.says(login, begin) == [235, 552]


@pytest.mark.asyncio
async def test_what_goes_wrong_inside_is_to_be_tried_again() -> None:
    async def fail(_submission: Submission) -> Reply:
        raise ValueError(WORDS)

    door = SmtpDoor(fail, PASSWORD)
    before = asyncio.all_tasks()
    bridge = Bridge(await door.open(LOCALHOST, 0))
    reply = await bridge.send(["carol@example.org"], TO_CAROL)
    assert reply == "451 4.3.0 Not sent: ValueError in recrypt bridge"
    await door.close()
    await asyncio.gather(*(asyncio.all_tasks() - before), return_exceptions=True)


def test_it_listens_on_this_machine_alone(team: Stage) -> None:
    given = ["bridge", "--upstream", LOCALHOST, "--security", "none", "--listen"]
    assert "machine alone" in team.fails("alice", *given, "0.0.0.0:0")
    assert "machine alone" in team.fails("alice", *given, "lists.example:1587")
    assert "no address" in team.fails("alice", *given, "1587")


def test_the_password_is_its_owners_alone_and_stays(team: Stage) -> None:
    given = ["bridge", "--upstream", LOCALHOST, "--security", "none", "--listen", "0.0.0.0:0"]
    file = team.home("alice") / "bridge.json"
    team.fails("alice", *given)
    first = file.read_bytes()
    team.fails("alice", *given)
    assert file.read_bytes() == first
    assert stat.S_IMODE(Path(file).stat().st_mode) == 0o600


def test_a_reply_is_one_line_of_ascii_whatever_is_in_it() -> None:
    made = str(Reply(554, "5.7.1 Zoë\r\n250 ok\0" + "x" * 999))
    assert made.startswith("554 5.7.1 Zo 250 ok x")
    assert made.isprintable()
    assert len(made) < 510
