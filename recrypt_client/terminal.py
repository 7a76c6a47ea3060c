"""Every word to the terminal: answers, notes, progress, errors with a hint (spec §11).

Answers go to standard output, all else to standard error. What comes from outside can't control
the terminal: such characters are replaced. An error is one line: what, where, what to do next.
"""

import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
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

    def __init__(
        self, *, is_json: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.is_json = is_json
        self._clock = clock
        self._has_bar = False

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

    def end_line(self) -> None:
        """Let what follows stand by itself, where a terminal shows the ^C that was typed."""
        if sys.stderr.isatty():
            print(file=sys.stderr)

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

        The given function moves it on. Within a bar that is shown no other one is.
        """
        if not sys.stderr.isatty():
            yield _untold
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
        bar = Progress(*columns, console=Console(stderr=True), transient=True, get_time=self._clock)
        task = bar.add_task(label, total=total, rate="")
        began, count, is_shown = self._clock(), 0, False

        def advance(done: int) -> None:
            nonlocal count, is_shown
            count += done
            elapsed = self._clock() - began
            bar.update(task, advance=done, rate=f"{count / max(elapsed, 0.001):.0f}/s")
            if elapsed > SLOW_SECONDS and not self._has_bar:
                is_shown = self._has_bar = True
                bar.start()

        try:
            yield advance
        finally:
            if is_shown:
                self._has_bar = False
                bar.stop()

    @contextmanager
    def bars(self) -> Iterator[Callable[[str, int, int], None]]:
        """Show bars, one after another, of what tells by itself how far it is, and of how much."""
        label, count = "", 0
        advance: Callable[[int], None] = _untold
        with ExitStack() as shown:

            def told(what: str, done: int, total: int) -> None:
                nonlocal label, count, advance
                if what != label or done < count:
                    shown.close()
                    label, count = what, 0
                    advance = shown.enter_context(self.progress(what, total))
                advance(done - count)
                count = done
                if done >= total:
                    shown.close()
                    label = ""

            yield told


def _untold(_done: int) -> None:
    """Show nothing."""


def plain(text: str) -> str:
    """Replace what controls a terminal, but for line feeds and tabs."""
    return _CONTROL.sub("\ufffd", text)


def plain_line(text: str) -> str:
    """Replace what controls a terminal; all in one line."""
    return plain(" ".join(text.split()))
