"""`recrypt watch`: a loop that lets in who may come in, and keeps a group in order."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import click

from recrypt_client import watching
from recrypt_client.changing import Pace
from recrypt_client.commands.frame import Command, GroupName, Tools, read_input, tools
from recrypt_client.errors import Trouble, is_passing
from recrypt_client.watching import DOMAIN, EVERYBODY, FINGERPRINTS, INVITED, Event, Rules

LONGEST: Final = timedelta(hours=1)  # between two looks at a service that can't be reached


@click.command(
    cls=Command, epilog="Example: recrypt watch team@lists.example --approve invited --once"
)
@click.argument("group", type=GroupName())
@click.option(
    "--approve",
    "allowed",
    multiple=True,
    metavar="RULE",
    help="Who is let in: invited, domain:example.org, fingerprints:FILE or everybody.",
)
@click.option("--once", is_flag=True, help="Look once and end, as for cron.")
@click.option(
    "--every",
    type=click.IntRange(1, 1440),
    default=10,
    show_default=True,
    metavar="MINUTES",
    help="How long to wait between two looks.",
)
@click.pass_context
def watch(
    context: click.Context, group: str, *, allowed: Sequence[str], once: bool, every: int
) -> None:
    """Let in who waits to be a member of GROUP and whom a rule allows; keep it in order.

    Who has left is removed, newer profiles are taken in, and the key is signed again when that is
    due. Each thing is told on a line, the same once. It ends at SIGINT or SIGTERM, when what is in
    hand is done. Without a passphrase file, one is asked for at the beginning alone.
    """
    using = tools(context)
    told, delay = set[str](), timedelta(minutes=every)
    with until_stopped(using) as wait:
        while True:
            try:
                # Read anew each time: a list of fingerprints may have grown.
                _round(using, group, _rules(context, allowed), told)
                delay = timedelta(minutes=every)
            except Trouble as trouble:
                if once or not is_passing(trouble):
                    raise
                using.terminal.note(f"{trouble} Looking again in {_minutes(delay)}.")
            if once or wait(delay.total_seconds()):
                return
            delay = min(2 * delay, max(LONGEST, timedelta(minutes=every)))


def _round(using: Tools, group: str, rules: Rules, told: set[str]) -> None:
    """Look once, and tell what was done, also before something failed; then nobody is kept out."""
    events = list[Event]()
    try:
        with using.alone(), using.desk(group) as desk:
            for event in watching.go_round(desk, rules, Pace(using.now)):
                events.append(event)
    finally:
        for event in events:
            _tell(using, group, event, told)


def _rules(context: click.Context, allowed: Sequence[str]) -> Rules:
    domains, fingerprints = set[str](), set[str]()
    for rule in allowed:
        if rule.startswith(DOMAIN):
            domains.add(watching.read_domain(rule.removeprefix(DOMAIN)))
        elif rule.startswith(FINGERPRINTS):
            name = rule.removeprefix(FINGERPRINTS)
            text = read_input(name).decode("utf-8", "replace")
            fingerprints |= watching.read_fingerprints(text, what=name)
        elif rule not in (INVITED, EVERYBODY):
            raise click.BadParameter(
                f"{rule!r} is no rule: invited, domain:example.org, fingerprints:FILE, everybody",
                context,
                param_hint="--approve",
            )
    return Rules(
        invited=INVITED in allowed,
        everybody=EVERYBODY in allowed,
        domains=frozenset(domains),
        fingerprints=frozenset(fingerprints),
    )


def _tell(using: Tools, group: str, event: Event, told: set[str]) -> None:
    """Tell an event; what stays as it was isn't told again."""
    if event.words in told:
        return
    if event.what in ("waits", "to-do"):
        told.add(event.words)
    using.terminal.answer(
        {
            "GroupName": group,
            "Event": event.what,
            "AccountName": event.account,
            "RecryptUDF": event.identifier,
            "Words": event.words,
        },
        event.words,
    )


def _minutes(delay: timedelta) -> str:
    return f"{int(delay.total_seconds()) // 60} min"


@contextmanager
def until_stopped(using: Tools) -> Iterator[Callable[[float], bool]]:
    """Give what waits so many seconds, and tells whether it is to end: at SIGINT or SIGTERM."""
    if using.outside.wait is not None:
        yield using.outside.wait
        return
    stopped = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(each, lambda _number, _frame: stopped.set()) for each in numbers]
    try:
        yield stopped.wait
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
