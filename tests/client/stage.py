"""A stage for the `recrypt` command: people with homes of their own, one service, one clock."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

from click.testing import CliRunner, Result

from recrypt_client import chains
from recrypt_client.cli import main
from recrypt_client.commands.frame import Outside
from recrypt_client.home import Home
from recrypt_client.mail import envelope_in
from recrypt_client.service import Service, Transport
from recrypt_core.documents import MemberEntry
from recrypt_core.messages import UpdateMember
from recrypt_core.passphrases import Cost
from tests.client.honest_service import HonestService

TEAM = "team@lists.example"
URL = "https://lists.example"
CHEAP = Cost(memory=8, passes=1, lanes=1)  # of a passphrase: tests guess none
MESSAGE = b"From: Alice <alice@example.org>\r\nSubject: Lunch\r\n\r\nAt one?\r\n"


@dataclass
class Stage:
    """Who runs commands here, against what."""

    folder: Path
    service: HonestService = field(default_factory=lambda: HonestService(URL))
    now: datetime = datetime(2026, 11, 22, 12, tzinfo=UTC)
    announced: str | None = None
    pause: Callable[[], None] = lambda: None
    types: Callable[[str], str | None] = lambda _words: None
    asked: list[str] = field(default_factory=list)
    says_yes: bool | None = None
    waits: Callable[[float], bool] | None = None

    def run(self, who: str, *arguments: str, stdin: bytes | BytesIO = b"") -> Result:
        """Run a command in somebody's home."""
        return self.run_against(self.service.transport, who, *arguments, stdin=stdin)

    def run_against(
        self, transport: Transport, who: str, *arguments: str, stdin: bytes | BytesIO = b""
    ) -> Result:
        """Run a command in somebody's home, with another service than the honest one."""
        self.now += timedelta(seconds=1)
        outside = Outside(
            now=lambda: self.now,
            transport=transport,
            look_up=lambda _domain: self.announced,
            pause=self.pause,
            prompt=self._prompt,
            confirm=self._confirm,
            cost=CHEAP,
            wait=self.waits,
        )
        return CliRunner().invoke(
            main, [*arguments, "--home", str(self.home(who))], input=stdin, obj=outside
        )

    def _prompt(self, words: str, *, twice: bool = False) -> str | None:
        """Answer a prompt with what the person types, if there is a terminal."""
        self.asked.append(words + (" twice" if twice else ""))
        return self.types(words)

    def _confirm(self, words: str) -> bool | None:
        """Answer what asks for a yes, if there is a terminal."""
        self.asked.append(words)
        return self.says_yes

    def does(self, who: str, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run a command that has to work; give its standard output."""
        result = self.run(who, *arguments, stdin=stdin)
        assert result.exit_code == 0, (arguments, result.output, result.exception)
        return result.stdout_bytes

    def fails(self, who: str, *arguments: str, stdin: bytes = b"") -> str:
        """Run a command that has to fail with exit status 1; give its one line of words."""
        result = self.run(who, *arguments, stdin=stdin)
        assert result.exit_code == 1, (arguments, result.output, result.exception)
        assert isinstance(result.exception, SystemExit)
        assert result.stderr.count("\n") == 1, result.stderr
        return result.stderr

    def home(self, who: str) -> Path:
        """Give somebody's home."""
        return self.folder / who

    def keys(self, who: str) -> Home:
        """Open somebody's home."""
        return Home(self.home(who))

    def person(self, name: str) -> Path:
        """Make somebody's profile; give the file of the SignedProfile."""
        self.does(name, "profile", "create", f"{name}@example.org")
        file = self.folder / f"{name}.json"
        self.does(name, "profile", "show", "--out", str(file))
        return file

    def team(self, *names: str) -> None:
        """Let Alice make the team, with these members besides herself."""
        self.person("alice")
        self.does("alice", "create", TEAM, "--service", URL)
        if names:
            self.does("alice", "add", TEAM, *(str(self.person(name)) for name in names))

    def restates(self, who: str, entry: MemberEntry) -> None:
        """Let an administrator state a member's entry so by another client than ours."""
        home, group = self.keys(who), self.service.state
        pin = home.pin(TEAM)
        assert pin is not None
        assert group is not None
        desk = chains.open_desk(home, Service(URL, self.service.transport), pin)
        message = UpdateMember(recryption_group=group.identifier, member_entry=(entry,))
        chains.append(desk, group, message, halves={}, now=self.now)

    def copy(self, post: bytes, member: str) -> bytes:
        """Give a member's copy of a post that `recrypt seal` has made."""
        return self.service.copy(envelope_in(post), f"{member}@example.org")

    def sealed(self, message: bytes = MESSAGE, *, by: str = "alice") -> bytes:
        """Seal a message."""
        return self.does(by, "seal", "--to", TEAM, stdin=message)
