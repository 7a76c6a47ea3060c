"""The list server that faults are done to: a process of its own, behind any prefix of words.

A prefix is what stands before `listserver serve`, such as strace with what it injects.
"""

import smtplib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.ports import free_port
from listserver.limits import IN_HAND
from tests.end_to_end.network import LOCALHOST
from tests.end_to_end.programs import BIN, PATIENCE, ListServer, Program

CONNECTIONS: Final = 4  # the default of [relay] connections
A_CRASH: Final = CONNECTIONS * IN_HAND  # copies that it may double: no outcome is on the disk
TEAM: Final = "team@lists.example"
MEMBERS: Final = tuple(f"member{n}@example.org" for n in range(6))
LOST: Final = 90  # seconds; a host that greets nobody is tried with one copy at a time, ever later
TICK: Final = 0.01  # seconds, between two looks at something that sends no word


def until(met: Callable[[], bool], seconds: float = LOST) -> bool:
    """Look again and again until it is so; False if it takes too long."""
    end, pause = time.monotonic() + seconds, threading.Event()
    while not met():
        if time.monotonic() > end:
            return False
        pause.wait(TICK)
    return True


class Child(Program):
    """A child process that may end by itself."""

    @property
    def runs(self) -> bool:
        """Whether it hasn't ended."""
        return self._process.poll() is None

    def count(self, pattern: str) -> int:
        """Count the lines so far that match."""
        return len(self._found(pattern))

    def total(self, word: str) -> int:
        """Add up what the log has of an outcome of copies: delivered, later, given_up."""
        pattern = rf"event='relayed'(?=.* what='copies').* {word}=(\d+)"
        return sum(int(found[1]) for found in self._found(pattern))

    def wait_total(self, word: str, total: int) -> None:
        """Wait until the log has so many of an outcome."""
        assert until(lambda: self.total(word) >= total), self.output

    def ended(self) -> int:
        """Wait for its end; give its exit status."""
        status = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return status

    def finish(self) -> int:
        """End it by SIGTERM if it hasn't ended, and give its exit status."""
        return self.stop() if self.runs else self.ended()


class Server(ListServer):
    """A list server whose process may be killed by anything at any time."""

    def __init__(self, folder: Path, *, relay_port: int) -> None:
        """Make its folder."""
        super().__init__(folder, url=f"http://{LOCALHOST}:{free_port()}", relay_port=relay_port)
        self.prefix: tuple[str | Path, ...] = ()
        self.command: tuple[str | Path, ...] = (BIN / "listserver",)

    @property
    def store(self) -> Path:
        """The database."""
        return self.folder / "store.db"

    @property
    def child(self) -> Child:
        """The process that runs, or ran last."""
        assert isinstance(self._program, Child), "the server was never started"
        return self._program

    def launch(self) -> Child:
        """Start the process, whatever becomes of it."""
        self._program = Child(*self.prefix, *self.command, "serve", "--config", self.config)
        return self._program

    def start(self) -> None:
        """Run until every listener is up."""
        assert self.begin(), self.child.output

    def begin(self) -> bool:
        """Run until every listener is up; False if the process ends before."""
        child = self.launch()
        ready = r"^listserver: ready: smtp .*:(\d+), lmtp .*service .*:(\d+)"
        until(lambda: bool(child.count(ready)) or not child.runs)
        if not child.count(ready):
            child.finish()
            return False
        found = child.wait_for(ready)
        self.smtp_port, self.service_port = int(found[1]), int(found[2])
        return True

    def stop(self) -> None:
        """Stop in good order, if it runs."""
        if isinstance(self._program, Child) and self._program.runs:
            assert self._program.stop() == 0, self._program.output

    def kill(self) -> None:
        """Kill -9, if it runs."""
        if isinstance(self._program, Child):
            if self._program.runs:
                self._program.kill()
            self._program.ended()


def hand_in(port: int, post: bytes, to: str = TEAM) -> int | None:
    """Hand in a post; give the code of the reply to it, or None if none was seen."""
    smtp = smtplib.SMTP(timeout=PATIENCE)
    try:
        smtp.connect(LOCALHOST, port)
        smtp.sendmail("sender@example.org", [to], post)
    except smtplib.SMTPRecipientsRefused as refused:
        ((code, _),) = refused.recipients.values()
        return code
    except smtplib.SMTPResponseException as problem:
        return problem.smtp_code if problem.smtp_code > 0 else None
    except (smtplib.SMTPException, OSError):
        return None
    else:
        return 250
    finally:
        smtp.close()
