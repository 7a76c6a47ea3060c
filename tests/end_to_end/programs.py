"""Real programs for these tests: the server, other children, people with `recrypt`."""

import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Final

from click.testing import CliRunner

from listserver.cli import main as operate
from recrypt_client.cli import main as recrypt

BIN: Final = Path(sys.executable).parent  # of the virtual environment, with both commands
ONE_AT_A_TIME: Final = threading.Lock()  # commands here share standard output and environment
PATIENCE: Final = 30  # seconds, for what takes one or two; then the test fails
DOMAIN: Final = "lists.example"


class Program:
    """A child process; the lines that it writes are kept, and can be waited for."""

    def __init__(self, *words: str | Path) -> None:
        self._process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._lines: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def output(self) -> str:
        """All that it has written so far, to either stream."""
        with self._changed:
            return "".join(self._lines)

    def wait_for(self, pattern: str, *, count: int = 1) -> re.Match[str]:
        """Wait for `count` lines that match; give the last one's match."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._ended or len(self._found(pattern)) >= count, PATIENCE
            )
            found = self._found(pattern)
            assert len(found) >= count, f"no {pattern!r} in:\n{''.join(self._lines)}"
            return found[count - 1]

    def terminate(self) -> None:
        """Ask it to end, and don't wait."""
        self._process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """Ask it to end; give its exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it in the midst of whatever it does."""
        self._end(signal.SIGKILL)

    def wait(self) -> int:
        """Wait until it has ended; give its exit status."""
        try:
            return self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._reader.join(PATIENCE)

    def _end(self, number: signal.Signals) -> int:
        self._process.send_signal(number)
        return self.wait()

    def _found(self, pattern: str) -> list[re.Match[str]]:
        return [found for line in self._lines if (found := re.search(pattern, line))]

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        with stream:
            for line in stream:
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


def run(*words: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, whatever that is."""
    return subprocess.run(
        words,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
    )


def listserver(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the operator's."""
    return run(BIN / "listserver", *words)


class ListServer:
    """A list server with a folder of its own, on free ports of loopback."""

    def __init__(self, folder: Path, *, url: str, relay_port: int) -> None:
        """Make the folder. `url` has a port that is free, or a tap's."""
        self.folder = folder
        self.url = url
        self.config = folder / "listserver.toml"
        self._do("init", folder, "--domain", DOMAIN, "--public-url", url)
        self.set('listen = "127.0.0.1:8025"', 'listen = "127.0.0.1:0"')
        self.set('lmtp = "127.0.0.1:8024"', 'lmtp = "127.0.0.1:0"')
        self.set('listen = "127.0.0.1:8080"', f'listen = "127.0.0.1:{url.rpartition(":")[2]}"')
        # Whatever disk the tests have.
        self.set("[store]\n", "[store]\nreserve_mib = 0\n")
        self.set("port = 25\n", f"port = {relay_port}\n")
        self._program: Program | None = None
        self.smtp_port = self.lmtp_port = self.service_port = 0
        self.logs = ""

    @property
    def program(self) -> Program:
        """The process that runs."""
        assert self._program is not None, "the server doesn't run"
        return self._program

    def set(self, old: str, new: str) -> None:
        """Change a line of the settings."""
        text = self.config.read_text()
        assert text.count(old) == 1, old
        self.config.write_text(text.replace(old, new))

    def authorize(self, profile: Path) -> None:
        """Let the owner of a profile create lists."""
        self._do("authorize", profile, "--config", self.config)

    def _do(self, *words: str | Path) -> None:
        """Run a command here, since an interpreter of its own takes most of a second to start."""
        with ONE_AT_A_TIME:
            done = CliRunner(catch_exceptions=False).invoke(operate, [str(word) for word in words])
        assert done.exit_code == 0, done.output

    def start(self) -> None:
        """Run until every listener is up."""
        self._program = Program(BIN / "listserver", "serve", "--config", self.config)
        ready = self.program.wait_for(
            r"^listserver: ready: smtp .*:(\d+), lmtp .*:(\d+), service .*:(\d+)"
        )
        self.smtp_port, self.lmtp_port, self.service_port = map(int, ready.groups())

    def stop(self) -> None:
        """Stop in good order; passed over if it doesn't run."""
        if self._program is not None:
            program, self._program = self._program, None
            status = program.stop()
            self.logs += program.output
            assert status == 0, program.output

    def kill(self) -> None:
        """Kill -9."""
        self.program.kill()
        self.logs += self.program.output
        self._program = None


@dataclass(frozen=True)
class Person:
    """Somebody with a RECRYPT_HOME."""

    address: str
    folder: Path

    @property
    def profile(self) -> Path:
        """Where the SignedProfile stands."""
        return self.folder / "profile.json"

    def recrypt(self, *words: str | Path, stdin: bytes = b"") -> bytes:
        """Run a command that must succeed; give its standard output."""
        done = self.try_recrypt(*words, stdin=stdin)
        assert done.returncode == 0, f"recrypt {words}: {done.stderr.decode()}"
        return done.stdout

    def sealed(self, to: str, words: str, *, subject: str = "Friday") -> bytes:
        """Write to a list."""
        message = EmailMessage(SMTP)
        message["From"], message["To"], message["Subject"] = self.address, to, subject
        message.set_content(words)
        return self.recrypt("seal", "--to", to, stdin=message.as_bytes())

    def try_recrypt(
        self, *words: str | Path, stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command that may fail: here, as an interpreter of its own takes half a second."""
        given = [str(word) for word in words]
        runner = CliRunner(env={"RECRYPT_HOME": str(self.folder / "home")}, catch_exceptions=False)
        with ONE_AT_A_TIME:
            done = runner.invoke(recrypt, given, input=stdin)
        return subprocess.CompletedProcess(
            given, done.exit_code, done.stdout_bytes, done.stderr_bytes
        )


def new_person(folder: Path, address: str) -> Person:
    """Make somebody's profile, by the commands that they would use."""
    person = Person(address, folder / address)
    person.folder.mkdir()
    person.recrypt("profile", "create", address)
    person.recrypt("profile", "show", "--out", person.profile)
    return person
