"""What the operators' commands share: where the settings stand, and how a command fails."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, ParamSpec

import click
import platformdirs

from listserver.config import Config, parse_config
from listserver.rotation import finish_rotation
from recrypt_core.errors import RecryptError

P = ParamSpec("P")

CONFIG_NAME: Final = "listserver.toml"


def with_config(command: Callable[P, None]) -> Callable[P, None]:
    """Give a command the option --config."""
    return click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path),
        help=f"The settings; else ./{CONFIG_NAME}, then the platform's configuration folder.",
    )(command)


def load_config(config_file: Path | None) -> Config:
    """Read the settings; a change of the vault's key that was cut off is brought to its end."""
    file = config_file or _found_config()
    try:
        config = parse_config(file.read_text("utf-8"), file.absolute().parent)
    except OSError as problem:
        raise failed(
            f"the settings {file} can't be read ({problem.strerror}):"
            " name them with --config, or make them with `listserver init`"
        ) from problem
    except (RecryptError, UnicodeDecodeError) as problem:
        raise failed(f"{file}: {problem}") from problem
    try:
        finish_rotation(config)
    except OSError as problem:
        raise failed(str(problem)) from problem
    return config


def failed(words: str) -> click.ClickException:
    """End a command with status 1 and one line: what, where and what to do next."""
    return click.ClickException(words)


def table(rows: Sequence[Sequence[str]]) -> None:
    """Show rows, the first of which has the heads of the columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _found_config() -> Path:
    here = Path(CONFIG_NAME)
    if here.exists():
        return here
    return Path(platformdirs.site_config_dir("listserver")) / CONFIG_NAME
