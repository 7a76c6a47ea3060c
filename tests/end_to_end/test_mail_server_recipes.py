"""The recipes in config/: a mail server before and behind the list server, and DKIM signatures."""

import os
import re
import shutil
import smtplib
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path, PurePath

import dkim
import pytest

from benchmarks.ports import free_port
from listserver.config import parse_config
from listserver.sections import Endpoint
from tests.end_to_end.mail_programs import MailSystem
from tests.end_to_end.network import LOCALHOST, MailHost, is_open
from tests.end_to_end.programs import DOMAIN, ListServer, Person, Program, new_person, run
from tests.faults.house import until

pytestmark = pytest.mark.long

CONFIG = Path(__file__).resolve().parents[2] / "config"
TEAM = f"team@{DOMAIN}"
# Debian's, only unpacked: installed it would push Postfix out.
OPENSMTPD = "/opt/opensmtpd/usr/sbin/smtpd"
WORDS = "The keys are under the third flowerpot."
SIGNED = {
    *("from", "to", "subject", "date", "message-id", "mime-version", "content-type"),
    *("list-id", "list-post", "list-help", "list-subscribe", "list-owner"),
    *("list-unsubscribe", "list-unsubscribe-post"),
}

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mail servers must be started by root")


def needs(*programs: str) -> pytest.MarkDecorator:
    absent = [name for name in programs if shutil.which(name) is None]
    return pytest.mark.skipif(bool(absent), reason=f"not installed: {', '.join(absent)}")


def recipe(name: str, *changes: tuple[str, str]) -> str:
    """Read a recipe as it stands in config/, with ports and paths of the test's own."""
    text = (CONFIG / name).read_text("utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder through which anybody may pass: these programs drop their rights."""
    with tempfile.TemporaryDirectory() as path:
        Path(path).chmod(0o755)
        yield Path(path)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


class Town:
    """Alice's list, of her and Bob, behind and before one mail system."""

    def __init__(
        self, folder: Path, homes: Path, stack: ExitStack, *, more_domains: str = ""
    ) -> None:
        self.mail = MailSystem(folder)
        url = f"http://{LOCALHOST}:{free_port()}"
        self.server = ListServer(homes / "server", url=url, relay_port=self.mail.port)
        stack.callback(self.server.stop)
        if more_domains:
            domain = f'domain = "{DOMAIN}"\n'
            self.server.set(domain, f'{domain}more_domains = ["{more_domains}"]\n')
        self.alice, self.bob = (new_person(homes, f"{who}@example.org") for who in ("alice", "bob"))
        self.server.authorize(self.alice.profile)
        self.server.start()
        self.found(TEAM)

    def found(self, group: str) -> None:
        """Have Alice create a list, of her and Bob."""
        self.alice.recrypt("create", group, "--service", self.server.url)
        self.alice.recrypt("add", group, self.bob.profile)

    def start_mail(self, stack: ExitStack, settings: str) -> None:
        """Start the mail system with a recipe."""
        stack.callback(self.mail.stop)
        self.mail.start(settings)

    def sealed(self, subject: str, to: str = TEAM) -> bytes:
        """Have Alice seal a message."""
        return self.alice.sealed(to, WORDS, subject=subject)

    def send(self, post: bytes, *to: str, sender: str = "alice@example.org") -> None:
        """Send a mail to the mail server, as the world does."""
        with smtplib.SMTP(LOCALHOST, self.mail.port, timeout=30) as smtp:
            smtp.sendmail(sender, list(to or (TEAM,)), post)

    def copies(self, who: Person, count: int) -> list[bytes]:
        """Wait for mail in somebody's maildir, which has LF lines."""
        files = self.mail.wait_for_mail(who.address.partition("@")[0], count)
        return [file.read_bytes() for file in files]


@as_root
@needs("postfix", "dovecot", "/usr/lib/dovecot/lmtp")
def test_postfix_stands_before_and_behind(folder: Path, tmp_path: Path, stack: ExitStack) -> None:
    town = Town(folder, tmp_path, stack)
    port = f":{town.server.lmtp_port}"
    town.start_mail(stack, recipe("postfix-main.cf", (":8024", port)))
    town.send(town.sealed("both ways"))
    copy = b""
    for person in (town.alice, town.bob):
        (copy,) = town.copies(person, 1)
        assert WORDS.encode() not in copy
        assert WORDS.encode() in person.recrypt("read", stdin=copy)
        assert b"\nFrom: team <team@lists.example>\n" in copy
    # What comes back to a copy's own address, plus and token with it, goes on to the list server.
    found = re.search(
        rb"^Return-Path: <(team-bounces\+\w{26}@lists\.example)>$", copy, re.MULTILINE
    )
    assert found is not None
    town.send(b"Subject: back\r\n\r\nNo.\r\n", found[1].decode(), sender="")
    town.server.program.wait_for("bounce")
    # Nor is mail for a list that isn't there taken, and sent back later to whom it names.
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        town.send(town.sealed("to nobody"), f"nobody@{DOMAIN}")
    assert [code for code, _ in refused.value.recipients.values()] == [550]


@as_root
@needs("postfix", "dovecot", "/usr/lib/dovecot/lmtp")
def test_postfix_stands_before_lists_at_two_domains(
    folder: Path, tmp_path: Path, stack: ExitStack
) -> None:
    """With the second name at each place that docs/operating.md says."""
    town = Town(folder, tmp_path, stack, more_domains="news.example")
    town.found("team@news.example")
    to = f"lmtp:inet:127.0.0.1:{town.server.lmtp_port}"
    town.start_mail(
        stack,
        recipe(
            "postfix-main.cf",
            ("relay_domains = lists.example", "relay_domains = lists.example news.example"),
            (
                "{ lists.example=lmtp:inet:127.0.0.1:8024 }",
                f"{{ lists.example={to}, news.example={to} }}",
            ),
            (
                "{ lists.example=reject_unverified_recipient }",
                "{ lists.example=reject_unverified_recipient,"
                " news.example=reject_unverified_recipient }",
            ),
        ),
    )
    for domain in (DOMAIN, "news.example"):
        group = f"team@{domain}"
        town.send(town.sealed(f"to {domain}", group), group)
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            town.send(town.sealed("to nobody", group), f"nobody@{domain}")
    copies = town.copies(town.bob, 2)
    senders = [re.findall(rb"^From: team <(.*)>$", copy, re.MULTILINE) for copy in copies]
    assert sorted(senders) == [[b"team@lists.example"], [b"team@news.example"]]
    for copy in copies:
        assert WORDS.encode() in town.bob.recrypt("read", stdin=copy)


def start_opendkim(folder: Path, stack: ExitStack) -> tuple[int, bytes]:
    """Start OpenDKIM with the recipe and a key of its own; give its port and the DNS record."""
    made = run(
        "opendkim-genkey", f"--directory={folder}", f"--domain={DOMAIN}", "--selector=lists",
        "--bits=2048",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    key, port = folder / "lists.private", free_port()
    shutil.chown(key, "opendkim")
    (folder / "opendkim.conf").write_text(
        recipe(
            "opendkim.conf",
            ("/etc/dkimkeys/lists.private", str(key)),
            ("8891", str(port)),
            ("Syslog yes", "Syslog yes\nRequireSafeKeys no"),  # its folder is below /tmp
        )
    )
    program = Program("opendkim", "-f", "-x", folder / "opendkim.conf")
    stack.callback(program.stop)
    assert until(lambda: is_open(port)), program.output
    record = "".join(re.findall(r'"([^"]*)"', (folder / "lists.txt").read_text()))
    return port, record.encode()


@as_root
@needs("postfix", "dovecot", "/usr/lib/dovecot/lmtp", "opendkim", "opendkim-genkey")
def test_copies_of_a_server_that_is_its_own_mx_go_out_with_a_good_signature(
    folder: Path, tmp_path: Path, stack: ExitStack
) -> None:
    town = Town(folder, tmp_path, stack)
    port, record = start_opendkim(folder, stack)
    signing = recipe("postfix-dkim.cf", ("8891", str(port)))
    town.start_mail(stack, recipe("postfix-outgoing.cf") + signing)
    post = town.sealed("signed")
    with smtplib.SMTP(LOCALHOST, town.server.smtp_port) as smtp:
        smtp.sendmail("alice@example.org", [TEAM], post)
    for person in (town.alice, town.bob):
        (copy,) = town.copies(person, 1)
        assert verdict(copy, record) is True
        (names,) = re.findall(rb"\bh=([^;]*);", copy)
        signed = b"".join(names.split()).decode().lower().split(":")
        assert set(signed) >= SIGNED
        assert signed.count("from") == 2
        for change in ((b"Subject: [...]", b"Subject: [..!]"), (b"/u/", b"/x/")):
            assert change[0] in copy
            assert verdict(copy.replace(*change), record) is False


def verdict(mail: bytes, record: bytes) -> bool:
    """Verify as a receiver does, with this record where the DNS would have it."""
    asked: list[bytes] = []

    def dns(name: bytes, **_: object) -> bytes:
        asked.append(name)
        return record

    good = dkim.verify(re.sub(rb"(?<!\r)\n", b"\r\n", mail), dnsfunc=dns)
    assert asked == [b"lists._domainkey.lists.example."]
    return bool(good)


@as_root
@needs(OPENSMTPD)
def test_opensmtpd_stands_before_and_behind(
    folder: Path, tmp_path: Path, stack: ExitStack, mail_host: MailHost
) -> None:
    mail_host.start()
    town, world = Town(folder, tmp_path, stack), free_port()
    settings = folder / "smtpd.conf"
    settings.write_text(
        recipe(
            "opensmtpd.conf",
            ("listen on 0.0.0.0", f"listen on {LOCALHOST} port {world}"),
            ("listen on lo\n", f"listen on lo port {town.mail.port}\n"),
            ("lmtp://127.0.0.1:8024", f"lmtp://127.0.0.1:{town.server.lmtp_port}"),
            # In place of the hosts that the DNS names.
            ('action "out" relay', f'action "out" relay host smtp://127.0.0.1:{mail_host.port}'),
        )
    )
    program = Program(OPENSMTPD, "-d", "-f", settings)
    stack.callback(program.stop)
    assert until(lambda: is_open(world) and is_open(town.mail.port)), program.output
    with smtplib.SMTP(LOCALHOST, world, timeout=30) as smtp:
        smtp.sendmail("alice@example.org", [TEAM], town.sealed("both ways"))
    mail_host.wait_for(2)
    copies = mail_host.copies()
    for person in (town.alice, town.bob):
        copy = copies[person.address]
        assert WORDS.encode() not in copy
        assert WORDS.encode() in person.recrypt("read", stdin=copy)
    # What comes back to a copy's own address, plus and token with it, goes on to the list server.
    with smtplib.SMTP(LOCALHOST, world, timeout=30) as smtp:
        smtp.sendmail("", [mail_host.mails[0].sender], b"Subject: back\r\n\r\nNo.\r\n")
    town.server.program.wait_for("bounce")


def test_the_settings_of_a_list_server_that_is_its_own_mx_are_read() -> None:
    config = parse_config((CONFIG / "direct-mx.toml").read_text("utf-8"), "/etc/listserver")
    assert config.smtp.listen == Endpoint("192.0.2.25", 25)
    assert config.smtp.lmtp is None
    assert config.smtp.tls_key == PurePath("/etc/letsencrypt/live/lists.example/privkey.pem")
    assert (config.relay.host, config.relay.port) == ("127.0.0.1", 25)
