"""Every word to the terminal: answers, notes, progress, errors with a hint (spec §11).

Answers go to standard output, all else to standard error. What comes from outside can't control
the terminal: such characters are replaced. An error is one line: what, where, what to do next.
"""

import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from recrypt_core.encoding import JsonObject, write_json

# C0 but tab and line feed, DEL, C1, marks of direction, lone surrogates.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
SLOW_SECONDS: Final = 2  # what takes longer shows how it gets on (spec §11)
_LINE_LETTERS: Final = 1000  # of an error, which may quote a service


class Terminal:
    """Where a command tells its answer: as words, or as JSON for programs."""

    def __init__(self, *, is_json: bool = False) -> None:
        self.is_json = is_json

    def answer(self, value: JsonObject, *words: str) -> None:
        """Give the answer: `value` for a program, `words` for a person, a line each."""
        if self.is_json:
            self.octets(write_json(value) + b"\n")
        else:
            self.text("\n".join(words))

    def rows(self, value: JsonObject, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Give an answer that is a table; its cells are never cut: people copy them."""
        shown = [[plain_line(cell) for cell in row] for row in (heads, *rows)]
        widths = [max(len(cell) for cell in column) for column in zip(*shown, strict=True)]
        lines = (
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            for row in shown
        )
        self.answer(value, *(line.rstrip() for line in lines))

    def text(self, text: str) -> None:
        """Write text of any origin, and a line feed."""
        self.octets(plain(text).encode("utf-8", "replace") + b"\n")

    def octets(self, octets: bytes) -> None:
        """Write octets exactly."""
        sys.stdout.flush()
        sys.stdout.buffer.write(octets)
        sys.stdout.buffer.flush()

    def note(self, text: str) -> None:
        """Tell something beside the answer, in one line."""
        print(plain_line(text), file=sys.stderr)

    def alarm(self, text: str) -> None:
        """Tell something that mustn't be missed, in one line, red on a terminal."""
        from rich.console import Console  # loaded where it is used: it takes a while
        from rich.text import Text

        Console(stderr=True, soft_wrap=True, highlight=False).print(
            Text(plain_line(text), style="bold red")
        )

    def error(self, text: str) -> None:
        """Tell why the command failed, in one line."""
        self.note(f"recrypt: {text[:_LINE_LETTERS]}.")

    @contextmanager
    def waiting(self, words: str) -> Iterator[None]:
        """Tell, on a terminal only, what is waited for, if it takes over two seconds."""
        if not sys.stderr.isatty():
            yield
            return
        timer = threading.Timer(SLOW_SECONDS, self.note, [f"{words} ..."])
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

    @contextmanager
    def progress(self, label: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show a bar with rate and time left, on a terminal only, if it takes over two seconds.

        The given function moves it on.
        """
        if not sys.stderr.isatty():
            yield lambda _done: None
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        bar = Progress(*columns, console=Console(stderr=True), transient=True)
        task = bar.add_task(label, total=total, rate="")
        began, count = time.monotonic(), 0

        def advance(done: int) -> None:
            nonlocal count
            count += done
            elapsed = time.monotonic() - began
            if elapsed > SLOW_SECONDS:
                bar.start()
            bar.update(task, advance=done, rate=f"{count / max(elapsed, 0.001):.0f}/s")

        try:
            yield advance
        finally:
            bar.stop()


def plain(text: str) -> str:
    """Replace what controls a terminal, but for line feeds and tabs."""
    return _CONTROL.sub("\ufffd", text)


def plain_line(text: str) -> str:
    """Replace what controls a terminal; all in one line."""
    return plain(" ".join(text.split()))
