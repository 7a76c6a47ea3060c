"""What all commands share: their common options, what they reach, files that a person names."""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click

from recrypt_client import clock, contacts, discovery, home, paths, renewing
from recrypt_client.chains import Desk, open_desk
from recrypt_client.changing import Pace
from recrypt_client.commands import passphrases
from recrypt_client.commands.passphrases import Confirm, Prompt, Source
from recrypt_client.discovery import Lookup
from recrypt_client.errors import Passing, Trouble, about
from recrypt_client.files import replace_file
from recrypt_client.home import Home
from recrypt_client.pins import Pin
from recrypt_client.service import Service, Transport
from recrypt_client.terminal import Terminal
from recrypt_core import limits
from recrypt_core.chain import GroupState
from recrypt_core.documents import VerifiedGroupKey, VerifiedProfile, verified_profile
from recrypt_core.encoding import read_json, read_time
from recrypt_core.errors import Malformed
from recrypt_core.passphrases import COST, Cost
from recrypt_core.signing import Jws
from recrypt_core.wire import from_json

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_SPAN = re.compile(r"(\d{1,5})([mhdw])", re.ASCII)
_PAUSE = re.compile(r"[:;.](?: |$)")
_UNITS: Final[Mapping[str, timedelta]] = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
PUBLIC_MODE: Final = 0o666  # less what umask takes: anyone may read what is public
SECRET_MODE: Final = 0o600
_HOME = "home"
_JSON = "json"


@dataclass(frozen=True, slots=True)
class Outside:
    """What commands reach beyond their arguments; tests bring their own."""

    now: Callable[[], datetime] = clock.now
    transport: "Transport | None" = None
    look_up: Lookup = discovery.look_up
    pause: Callable[[], None] = home.pause
    prompt: Prompt = passphrases.prompt
    confirm: Confirm = passphrases.confirm
    cost: Cost = COST
    wait: Callable[[float], bool] | None = None
    """Waits so many seconds, and tells whether to end; None: until a signal says so."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What one command works with."""

    home: Home
    terminal: Terminal
    outside: Outside
    passphrases: Source

    def now(self) -> datetime:
        """Give the time."""
        return self.outside.now()

    @contextmanager
    def alone(self, *, needs_keys: bool = True) -> Iterator[None]:
        """Keep other commands out of the home.

        A passphrase is asked for before that, if there is one: they needn't wait for a person.
        """
        if needs_keys:
            self.home.secrets.unlock()
        with self.home.alone(self.outside.pause):
            if needs_keys:
                self.home.secrets.tidy()
            yield

    def passphrase_of_new_home(self, *, no_passphrase: bool) -> str | None:
        """Get the passphrase of a home that has no profile and none of its own yet."""
        if no_passphrase or self.home.has_profile() or self.home.secrets.is_sealed:
            return None
        return self.passphrases.new_for_home()

    def service(self, url: str) -> Service:
        """Call a service."""
        return Service(url, self.outside.transport)

    @contextmanager
    def service_of(self, group: str, given: str | None) -> Iterator[Service]:
        """Call the service of a group (spec §11); tell if where it was looked for is a guess."""
        pin = self.home.pin(group)
        url = discovery.find_service(group, given, pin, self.outside.look_up)
        try:
            with self.service(url) as called:
                yield called
        except Passing as trouble:
            if given is not None or pin is not None:
                raise
            raise Passing(
                trouble.what,
                f"{group} isn't known in {self.home.root}: if its service is elsewhere, name it "
                "with --service URL",
            ) from trouble

    def pin(self, group: str) -> Pin:
        """Find what is known of a group.

        Raises:
            Trouble: if nothing is.
        """
        pin = self.home.pin(group)
        if pin is None:
            raise Trouble(
                f"{group} isn't known in {self.home.root}",
                f"Meet it with recrypt key {group} --fingerprint UDF, as you were told it",
            )
        return pin

    def tell_first_use(self, pin: Pin) -> None:
        """Say that a group was met now, and that nothing proves that it is the right one."""
        self.terminal.note(
            f"{pin.group_name} is trusted on first use: compare its fingerprint {pin.identifier} "
            "with the administrator's"
        )

    @contextmanager
    def desk(self, group: str) -> Iterator[Desk]:
        """Sit down to administer a group."""
        pin = self.pin(group)
        with self.service(pin.service) as service, self.terminal.bars() as told:
            yield open_desk(self.home, service, pin, told)

    def warn(self, key: VerifiedGroupKey) -> None:
        """Tell that the key that is written to ends soon, if it does."""
        warning = renewing.warning(key, now=self.now())
        if warning is not None:
            self.terminal.note(warning)

    def tend(self, desk: Desk, state: GroupState) -> GroupState:
        """Look after a group's key at the end of an administrator's command; tell what there is."""
        tended = renewing.tend(desk, state, Pace(self.now))
        for note in tended.notes:
            self.terminal.note(note)
        return tended.state


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

    def sections(self) -> Mapping[str, Iterable[click.Command]]:
        """Give the commands by what one is about."""
        return {"Commands": [each for _, each in sorted(self.commands.items())]}

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a line for each command: its help as far as the first pause."""
        width = max(len(name) for name in self.commands)
        for title, commands in self.sections().items():
            with formatter.section(title):
                formatter.write_dl([(f"{each.name:{width}}", summary(each)) for each in commands])


def summary(command: click.Command) -> str:
    """Tell on a line what a command does."""
    return _PAUSE.split(" ".join((command.help or "").split()), 1)[0]


class GroupName(click.ParamType[str]):
    """A group's name as a person types it."""

    name = "group"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read it; what is none is wrong usage."""
        try:
            return paths.group_name(value)
        except Trouble as trouble:
            self.fail(str(trouble), param, ctx)


class When(click.ParamType[datetime | timedelta]):
    """A moment as a person types it: a date or time in UTC, or so long ago."""

    name = "when"

    def convert(
        self,
        value: str | datetime | timedelta,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> datetime | timedelta:
        """Read it; what is none is wrong usage."""
        if not isinstance(value, str):
            return value
        span = _SPAN.fullmatch(value)
        if span is not None:
            return int(span[1]) * _UNITS[span[2]]
        try:
            return read_time(f"{value}T00:00:00Z" if _DATE.fullmatch(value) else value)
        except Malformed:
            self.fail("it is no date, no RFC 3339 time in UTC and no span such as 3d", param, ctx)


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
        click.Option(
            ["--passphrase-file"],
            metavar="FILE",
            expose_value=False,
            callback=_keep,
            help="Whose one line is your passphrase; else RECRYPT_PASSPHRASE_FILE, else you are "
            "asked.",
        ),
    ]


def may_have_none(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that may make a home the option to make one without a passphrase."""
    words = "Don't ask for a passphrase; keys are stored as they are."
    return click.option("--no-passphrase", is_flag=True, help=words)(command)


def tools(context: click.Context) -> Tools:
    """Give what the command that runs works with."""
    outside = context.obj if isinstance(context.obj, Outside) else Outside()
    source = Source(context.meta.get(passphrases.OPTION), outside.prompt)
    home = Home(paths.home_folder(context.meta.get(_HOME)), source.existing)
    return Tools(home, Terminal(is_json=bool(context.meta.get(_JSON))), outside, source)


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


def read_profile(using: Tools, name: str) -> VerifiedProfile:
    """Read a file with a SignedProfile.

    Raises:
        Trouble: if it is none, or older than one that was seen of the same Identifier.
    """
    octets = read_input(name)
    with about(name):
        profile = verified_profile(from_json(Jws, read_json(octets, limit=limits.DOCUMENT_OCTETS)))
        contacts.check_not_older(using.home, profile)
    return profile


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
