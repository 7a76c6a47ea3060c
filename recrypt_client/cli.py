"""The `recrypt` command: its parts, its common options, and how it fails (spec §11)."""

import os
import sys
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, Final, NoReturn

import click

from recrypt_client.commands import (
    audit,
    bridging,
    content,
    deciding,
    groups,
    inviting,
    joining,
    keeping,
    leaving,
    members,
    moderating,
    profile,
    quotas,
    rescue,
    sending,
    syncing,
    watching,
)
from recrypt_client.commands.frame import Group
from recrypt_client.errors import Trouble
from recrypt_client.terminal import Terminal

SECTIONS: Final[Mapping[str, tuple[click.Command, ...]]] = {
    "Your keys": (profile.profile,),
    "Write and read": (
        content.seal,
        sending.send,
        bridging.bridge,
        content.read,
        syncing.sync,
        content.encrypt,
        content.decrypt,
    ),
    "Be a member": (joining.join, groups.key, leaving.mail, leaving.leave),
    "Make a list, and look after it": (
        groups.create,
        keeping.set_policy,
        keeping.refresh,
        keeping.rekey,
        keeping.verify,
        groups.history,
        rescue.escrow,
        rescue.recover,
        groups.close,
    ),
    "Its members": (
        members.members,
        members.add,
        inviting.invite,
        deciding.requests,
        deciding.approve,
        deciding.deny,
        watching.watch,
        members.suspend,
        members.resume,
        members.delete,
        members.redeliver,
    ),
    "What they send, and have recrypted": (
        moderating.held,
        moderating.ban,
        moderating.unban,
        audit.audit,
        quotas.quota,
    ),
}


class Recrypt(Group):
    """All commands; what goes wrong in one becomes one line and exit status 1."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - click's own arguments
        super().__init__(*args, **kwargs)
        for command in chain.from_iterable(SECTIONS.values()):
            self.add_command(command)

    def sections(self) -> Mapping[str, Iterable[click.Command]]:
        """Give all commands by what one is about."""
        return SECTIONS

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own answer
        """Run a command; 2 for wrong usage is click's own."""
        try:
            return super().invoke(ctx)
        except Trouble as trouble:
            return _fail(ctx, str(trouble))
        except KeyboardInterrupt:
            Terminal().end_line()
            done = "What was done until then stays"
            return _fail(ctx, f"stopped. {done}: give the same command again to go on")
        except BrokenPipeError:
            # Whoever read our output has gone; on leaving, nothing may be written to it either.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return ctx.exit(1)
        except OSError as problem:
            return _fail(ctx, f"{problem}. Check disk and permissions, then try again")


def _fail(context: click.Context, why: str) -> NoReturn:
    Terminal().error(why)
    context.exit(1)


@click.group(cls=Recrypt, epilog="Example: recrypt profile create alice@example.org")
@click.version_option(package_name="recrypt-listserver")
def main() -> None:
    """Write to confidential lists, read what they send, and administer them."""


def sendmail() -> None:
    """Be `recrypt send`: `recrypt-sendmail`, for programs that can't give it as two words."""
    main(["send", *sys.argv[1:]], prog_name="recrypt")
