"""Where a passphrase comes from: a file that was named, else the terminal; nothing else is asked.

A prompt goes to the terminal that the command was started from, also when it reads a pipe.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import click

from recrypt_client import keyring
from recrypt_client.errors import Trouble, about
from recrypt_core import passphrases
from recrypt_core.errors import Malformed

Prompt: TypeAlias = Callable[..., str | None]
"""Asks a person something in hiding, twice if told so; gives None where there is no terminal."""

Confirm: TypeAlias = Callable[[str], bool | None]
"""Asks a person for a yes; gives None where there is no terminal."""

VARIABLE: Final = "RECRYPT_PASSPHRASE_FILE"
OPTION: Final = "passphrase_file"


def prompt(words: str, *, twice: bool = False) -> str | None:
    """Ask on the terminal, if there is one; an empty answer is one."""
    if not _has_terminal():
        return None
    answer: str = click.prompt(
        words,
        hide_input=True,
        default="",
        show_default=False,
        confirmation_prompt="Once more" if twice else False,
        err=True,
    )
    return answer


def confirm(words: str) -> bool | None:
    """Ask for a plain yes on the terminal; None if there is none."""
    return click.confirm(words, err=True) if _has_terminal() else None


@dataclass(frozen=True, slots=True)
class Source:
    """What a command was given to find passphrases with."""

    file: str | None
    prompt: Prompt

    def given(self) -> str | None:
        """Read the file that --passphrase-file or the environment names, if one does."""
        name = self.file or os.environ.get(VARIABLE)
        return read_file(name) if name else None

    def existing(self, what: str) -> str:
        """Get the passphrase that something is sealed under.

        Raises:
            Trouble: if there is neither a file nor a terminal.
        """
        given = self.given()
        if given is not None:
            return given
        typed = self.prompt(f"Passphrase of {what}")
        return keyring.nobody(what) if typed is None else typed

    def new_for_home(self) -> str | None:
        """Get a passphrase for a new home; None if it is to have none."""
        given = self.given()
        if given is not None:
            return checked(given)
        typed = self.prompt("Passphrase for your private keys (empty: none)", twice=True)
        return checked(typed) if typed else None


def new(file: str | None, words: str, *, option: str, prompt: Prompt) -> str:
    """Get a new passphrase: from a file, else asked for twice.

    Raises:
        Trouble: if there is neither, or it is too short.
    """
    typed = read_file(file) if file else prompt(words, twice=True)
    if typed is None:
        raise Trouble(
            "a new passphrase is needed, and there is no terminal to ask for it",
            f"Give it with {option} FILE",
        )
    return checked(typed)


def checked(passphrase: str) -> str:
    """Refuse a new passphrase that is too short.

    Raises:
        Trouble: if it is.
    """
    try:
        return passphrases.check_new(passphrase)
    except Malformed as problem:
        raise Trouble(str(problem), "Choose some words that nobody would guess") from None


def read_file(name: str) -> str:
    """Read the passphrase in a file: its one line.

    Raises:
        Trouble: if it can't be read, or holds none.
    """
    try:
        octets = Path(name).read_bytes()
    except OSError as problem:
        raise Trouble(f"{name}: {problem.strerror}", "Check the name of the file") from problem
    with about(name):
        return passphrases.read_passphrase(octets)


def _has_terminal() -> bool:
    """Tell whether a person sees what is asked, and can answer though standard input is a pipe."""
    if not sys.stderr.isatty():
        return False
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
