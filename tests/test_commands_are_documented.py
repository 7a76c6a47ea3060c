"""Every command has help with an example, and stands in the documentation (spec §11)."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = {"recrypt": "recrypt_client.cli", "listserver": "listserver.cli"}


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> tuple[str, click.Group]:
    """Give the name of a program and its commands."""
    name = str(request.param)
    module = PROGRAMS[name]
    if not (ROOT / module.replace(".", "/")).with_suffix(".py").exists():
        pytest.skip(f"{module} is not written yet")
    main = importlib.import_module(module).main
    assert isinstance(main, click.Group)
    return name, main


def commands(group: click.Group, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Give the words of every command, those in groups of commands too."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*above, name))
        else:
            yield (*above, name)


def test_every_command_has_help_with_an_example(program: tuple[str, click.Group]) -> None:
    name, main = program
    every = list(commands(main))
    assert every
    for words in every:
        result = CliRunner().invoke(main, [*words, "--help"], prog_name=name)
        assert result.exit_code == 0, words
        assert "Example" in result.output, words


def test_every_command_is_named_in_the_documentation(program: tuple[str, click.Group]) -> None:
    name, main = program
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    text = "\n".join(page.read_text("utf-8") for page in pages if page.exists())
    missing = [
        words
        for words in commands(main)
        if not re.search(rf"(\b{name} |`){re.escape(' '.join(words))}\b", text)
    ]
    assert not missing
