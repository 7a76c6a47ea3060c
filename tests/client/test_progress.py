"""The bar of what takes long: label, how many of how many, rate and time left (spec §11)."""

import io
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from recrypt_client import chains
from recrypt_client.terminal import Terminal
from tests.client.stage import TEAM, Stage


class Screen(io.StringIO):
    """What a terminal was shown."""

    def isatty(self) -> bool:
        """It is one."""
        return True


class Ticking:
    """A clock that goes on by a second whenever it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Read it."""
        self.now += 1
        return self.now


def looks(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Look at a terminal: not in a fixture, as pytest sets standard error anew after those."""
    shown = Screen()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return shown


def test_a_bar_shows_what_is_done_the_rate_and_the_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = looks(monkeypatch)
    with Terminal(clock=Ticking()).progress("Rekeying", 1000) as advance:
        for _ in range(6):
            advance(50)
    assert re.search(r"Rekeying .*300/1000.* \d+/s .*\d:\d\d:\d\d", screen.getvalue())


def test_what_is_quick_shows_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = looks(monkeypatch)
    with Terminal(clock=lambda: 1.0).progress("Rekeying", 100) as advance:
        advance(100)
    assert screen.getvalue() == ""


def test_no_bar_is_shown_within_another(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = looks(monkeypatch)
    terminal = Terminal(clock=Ticking())
    with terminal.progress("Rekeying", 100) as advance:
        advance(10)
        advance(10)
        with terminal.bars() as told:
            for done in (1, 2, 3, 4):
                told("Verifying", done, 4)
        assert "Verifying" not in screen.getvalue()


def hears(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """Hear what bars are told."""
    heard: list[tuple[str, int, int]] = []

    @contextmanager
    def bars(_terminal: Terminal) -> Iterator[Callable[[str, int, int], None]]:
        yield lambda *told: heard.append(told)

    monkeypatch.setattr(Terminal, "bars", bars)
    return heard


@pytest.mark.parametrize(("command", "compared"), [("verify", (1, 2, 3)), ("members", (3, 3, 3))])
def test_reading_a_long_history_and_its_members_is_told(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, command: str, compared: tuple[int, ...]
) -> None:
    """`members` isn't sent them once more, so it takes each page for a full one."""
    stage.team("bob", "carol")
    monkeypatch.setattr(chains, "PAGE_CHANGES", 1)
    heard = hears(monkeypatch)
    stage.does("alice", command, TEAM)
    assert heard == [
        *(("Verifying", done, 2) for done in (1, 2)),
        *(("Comparing", done, 3) for done in compared),
    ]


def test_recovering_a_group_tells_how_far_its_history_was_read(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, notary = stage.folder / "team.escrow", str(stage.person("notary"))
    stage.team("bob")
    stage.does("alice", "escrow", TEAM, notary, "--out", str(file))
    heard = hears(monkeypatch)
    stage.does("notary", "recover", TEAM, str(file))
    assert ("Verifying", 3, 3) in heard
