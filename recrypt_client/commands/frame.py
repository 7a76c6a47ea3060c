"""What all commands share: their common options, what they reach, files that a person names."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from recrypt_client import clock, discovery, home, paths
from recrypt_client.chains import Desk, open_desk
from recrypt_client.discovery import Lookup
from recrypt_client.errors import Trouble
from recrypt_client.home import Home, replace_file
from recrypt_client.pins import Pin
from recrypt_client.service import Service, Transport
from recrypt_client.terminal import Terminal

_HOME = "home"
_JSON = "json"


@dataclass(frozen=True, slots=True)
class Outside:
    """What commands reach beyond their arguments; tests bring their own."""

    now: Callable[[], datetime] = clock.now
    transport: "Transport | None" = None
    look_up: Lookup = discovery.look_up
    pause: Callable[[], None] = home.pause


@dataclass(frozen=True, slots=True)
class Tools:
    """What one command works with."""

    home: Home
    terminal: Terminal
    outside: Outside

    def now(self) -> datetime:
        """Give the time."""
        return self.outside.now()

    def alone(self) -> AbstractContextManager[None]:
        """Keep other commands out of the home."""
        return self.home.alone(self.outside.pause)

    def service(self, url: str) -> Service:
        """Call a service."""
        return Service(url, self.outside.transport)

    def service_of(self, group: str, given: str | None) -> Service:
        """Call the service of a group (spec §11)."""
        pin = self.home.pin(group)
        return self.service(discovery.find_service(group, given, pin, self.outside.look_up))

    def pin(self, group: str) -> Pin:
        """Find what is known of a group.

        Raises:
            Trouble: if nothing is.
        """
        pin = self.home.pin(group)
        if pin is None:
            raise Trouble(
                f"{group} isn't known in {self.home.root}",
                f"Make it with recrypt create {group}, or meet it with recrypt key {group}",
            )
        return pin

    @contextmanager
    def desk(self, group: str) -> Iterator[Desk]:
        """Sit down to administer a group."""
        pin = self.pin(group)
        with self.service(pin.service) as service:
            yield open_desk(self.home, service, pin)


class Command(click.Command):
    """A command with the options that every command has, wherever they stand (spec §11)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - click's own arguments
        super().__init__(*args, **kwargs)
        self.params.extend(common_options())


class Group(click.Group):
    """A group of such commands."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - click's own arguments
        super().__init__(*args, **kwargs)
        self.params.extend(common_options())


class GroupName(click.ParamType[str]):
    """A group's name as a person types it."""

    name = "group"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read it; what is none is wrong usage."""
        try:
            return paths.group_name(value)
        except Trouble as trouble:
            self.fail(str(trouble), param, ctx)


def common_options() -> list[click.Parameter]:
    """Make the options of every command; the last one given counts."""
    return [
        click.Option(
            ["--home"],
            metavar="DIR",
            expose_value=False,
            callback=_keep,
            help="The folder of your keys; else RECRYPT_HOME, else the platform's data folder.",
        ),
        click.Option(
            ["--json"],
            is_flag=True,
            expose_value=False,
            callback=_keep,
            help="Answer in JSON, for programs.",
        ),
    ]


def tools(context: click.Context) -> Tools:
    """Give what the command that runs works with."""
    outside = context.obj if isinstance(context.obj, Outside) else Outside()
    home = Home(paths.home_folder(context.meta.get(_HOME)))
    return Tools(home, Terminal(is_json=bool(context.meta.get(_JSON))), outside)


def read_input(name: str) -> bytes:
    """Read a file that a person named; `-` is standard input.

    Raises:
        Trouble: if it can't be read.
    """
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as problem:
        raise Trouble(f"{name}: {problem.strerror}", "Check the name of the file") from problem


def write_output(name: str | None, octets: bytes, terminal: Terminal, *, mode: int) -> None:
    """Write to the file that a person named, whole or not at all; else to standard output.

    Raises:
        Trouble: if it can't be written.
    """
    if name is None or name == "-":
        terminal.octets(octets)
        return
    path = Path(name)
    try:
        if path.exists() and not path.is_file():  # a device or a pipe keeps its name
            path.write_bytes(octets)
        else:
            replace_file(path, octets, mode=mode)
    except OSError as problem:
        raise Trouble(f"{name}: {problem.strerror}", "Choose another file with --out") from problem


def _keep(context: click.Context, parameter: click.Parameter, value: object) -> object:
    """Remember a common option, whichever command it stood behind."""
    if value and parameter.name is not None:
        context.meta[parameter.name] = value
    return value
