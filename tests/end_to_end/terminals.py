"""Programs in a terminal of tmux, whose control mode tells what the terminal is sent."""

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.end_to_end.programs import Program, run


@dataclass(frozen=True)
class Terminal:
    """A terminal in which a program runs."""

    program: Program
    folder: Path

    def screen(self) -> str:
        """Give what stands on it now."""
        return _tmux(self.folder, "capture-pane", "-p")

    def press(self, *keys: str) -> None:
        """Type: keys' names, such as Enter, or letters."""
        _tmux(self.folder, "send-keys", *keys)

    def wait_for(self, words: str) -> str:
        """Wait until words stand on it; give the screen."""
        count = 0
        while words not in (screen := self.screen()):
            count += 1
            self.program.wait_for("^%output", count=count)
        return screen


@contextmanager
def in_terminal(folder: Path, words: Sequence[str | Path]) -> Iterator[Terminal]:
    """Run a program in a terminal of 150 columns; `folder` takes the socket."""
    never = folder / "never"  # ends, as an input: then tmux would
    if not never.exists():
        os.mkfifo(never)
    program = Program(
        "sh", "-c", 'exec "$@" <>"$0"', never,
        "tmux", "-S", folder / "tmux", "-f", "/dev/null", "-C", "new-session",
        "-x", "150", "-y", "30", shlex.join(map(str, words)),
    )  # fmt: skip
    try:
        yield Terminal(program, folder)
    finally:
        _tmux(folder, "kill-server")
        program.wait()


def _tmux(folder: Path, *words: str) -> str:
    return run("tmux", "-S", folder / "tmux", *words).stdout
