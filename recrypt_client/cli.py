"""The `recrypt` command: its parts, its common options, and how it fails (spec §11)."""

import os
import sys
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

COMMANDS: Final = (
    profile.profile,
    groups.create,
    groups.key,
    groups.close,
    groups.history,
    members.add,
    members.delete,
    members.suspend,
    members.resume,
    members.redeliver,
    members.members,
    audit.audit,
    quotas.quota,
    joining.join,
    deciding.requests,
    deciding.approve,
    deciding.deny,
    inviting.invite,
    watching.watch,
    leaving.leave,
    leaving.mail,
    moderating.held,
    moderating.ban,
    moderating.unban,
    keeping.rekey,
    keeping.set_policy,
    keeping.refresh,
    keeping.verify,
    rescue.escrow,
    rescue.recover,
    content.encrypt,
    content.decrypt,
    content.seal,
    sending.send,
    content.read,
    syncing.sync,
    bridging.bridge,
)


class Recrypt(Group):
    """All commands; what goes wrong in one becomes one line and exit status 1."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - click's own arguments
        super().__init__(*args, **kwargs)
        for command in COMMANDS:
            self.add_command(command)

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
def main() -> None:
    """Write to confidential lists, read what they send, and administer them."""


def sendmail() -> None:
    """Be `recrypt send`: `recrypt-sendmail`, for programs that can't give it as two words."""
    main(["send", *sys.argv[1:]], prog_name="recrypt")
