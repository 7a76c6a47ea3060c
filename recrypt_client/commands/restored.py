"""`--accept-restored` of `recrypt verify` and `recover`: an older history is taken, after a yes."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final, TypeAlias

import click

from recrypt_client import restoring
from recrypt_client.chains import Desk
from recrypt_client.commands.frame import tools
from recrypt_client.errors import Trouble

Sit: TypeAlias = Callable[[], AbstractContextManager[Desk]]
"""Sits down at a group, with the home to itself, for as long as the block takes."""


_ACCEPT: Final = "accept_restored"
_YES: Final = "yes_to_restored"


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options."""
    words = "Go on from an older history, after the operator has restored a back-up."
    for option, name, told in (
        ("--yes", _YES, "Don't ask whether to."),
        ("--accept-restored", _ACCEPT, words),
    ):
        command = click.option(
            option, name, is_flag=True, expose_value=False, callback=_keep, help=told
        )(command)
    return command


def is_wanted(context: click.Context) -> bool:
    """Tell whether to go on from an older history.

    Raises:
        UsageError: if there is a yes to nothing.
    """
    if context.meta[_YES] and not context.meta[_ACCEPT]:
        raise click.UsageError("--yes goes with --accept-restored", context)
    return bool(context.meta[_ACCEPT])


def accept(context: click.Context, group: str, sit: Sit) -> None:
    """Show what is gone, ask, and pin what there is; nobody else waits while a person thinks.

    Raises:
        Trouble: without a yes, or if what the service shows isn't in order.
    """
    using = tools(context)
    with sit() as desk:
        found = restoring.look(desk, now=using.now())
    if found is None:
        using.terminal.note(f"The history of {group} is the one that you had seen.")
        return
    for words in found.words():
        using.terminal.note(f"{words}.")
    if not context.meta[_YES] and not using.outside.confirm(
        "Take it for the history of the group?"
    ):
        raise Trouble(
            "nothing was changed, as nobody said yes",
            "Without a terminal, --yes says it: if you know that a back-up was restored",
        )
    with sit() as desk:
        restoring.accept(desk, found, now=using.now())


def _keep(context: click.Context, parameter: click.Parameter, value: object) -> object:
    """Remember an option, as a command's own arguments are many enough."""
    if parameter.name is not None:
        context.meta[parameter.name] = value
    return value
