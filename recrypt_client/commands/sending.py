"""`recrypt send`: in the place of sendmail, so that a mail program's lists' mail goes sealed."""

import os
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import click

from recrypt_client import mail, submitting, writing
from recrypt_client.commands.content import key_to_write_to, tell_stranger
from recrypt_client.commands.frame import Command, Tools, read_input, tools
from recrypt_client.errors import Trouble, is_passing
from recrypt_client.submitting import Order, Unsendable

SENDMAIL: Final = "RECRYPT_SENDMAIL"  # what the mail goes to; may have arguments
_DEFAULT: Final = "/usr/sbin/sendmail"
_INSIDE: Final = "RECRYPT_SENDING"  # set for that program, which is not to be this one
_MODES: Final = frozenset("m")  # in which a mail is sent; in others sendmail reads none, but for:
_DIALOGUES: Final = frozenset("sa")  # SMTP on standard input


class _Sendmail(Command):
    """A command whose arguments are sendmail's, but for the options that all of ours have."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep sendmail's own `--`, of which click takes the first away."""
        at = args.index("--") if "--" in args else len(args)
        return super().parse_args(ctx, [*args[:at], *(["--"] if args[at:] else []), *args[at:]])


@click.command(
    cls=_Sendmail,
    context_settings={"ignore_unknown_options": True},
    epilog="Example, for mutt: set sendmail = 'recrypt send'",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[SENDMAIL'S ARGUMENTS]...")
@click.pass_context
def send(context: click.Context, arguments: tuple[str, ...]) -> None:
    """Send the mail on standard input as sendmail does: sealed, if it is for a list.

    A list that you have met (recrypt key) gets it sealed and signed by your profile. Mail for it
    and for others too is refused, and nothing of it is sent. All other mail goes as it is to the
    real sendmail, with the same arguments: to RECRYPT_SENDMAIL, or /usr/sbin/sendmail; unless it
    answers a list's mail, or quotes what recrypt read --view has shown.

    Exits as sendmail does: 65 if the mail can't be sent so, 75 if it may be sent later, 78 if a
    list's key isn't good.
    """
    using = tools(context)
    with _status(context, using):
        order = submitting.read_order(arguments)
        if order.mode in _DIALOGUES:
            raise Unsendable(
                "recrypt send takes a mail on standard input, and no SMTP",
                "Set your mail program to use sendmail without -bs",
            )
        context.exit(_send(using, order, arguments))


def _send(using: Tools, order: Order, arguments: Sequence[str]) -> int:
    if order.mode not in _MODES:
        return _sendmail(arguments, None)
    octets = read_input("-")
    message, pins = mail.message_in(octets), [*using.home.pins()]
    recipients = submitting.recipients_of(order, message)
    found = submitting.list_among(pins, recipients)
    if found is None:
        submitting.check_may_go_in_clear(message, pins, recipients)
        return _sendmail(arguments, octets)
    with using.alone():
        known = key_to_write_to(using, found.group_name, None)
        try:
            sealed = writing.seal_message(message, using.home, known, author=None, now=using.now())
        except Trouble as problem:
            raise Unsendable(problem.what, problem.hint) from problem
    tell_stranger(using, sealed)
    sender = [] if order.sender is None else ["-f", order.sender]
    # Programs take mail with the lines of their system; ours is ASCII, so nothing else changes.
    post = sealed.post.replace(b"\r\n", b"\n")
    return _sendmail(["-i", *sender, "--", found.group_name], post)


def _sendmail(arguments: Sequence[str], octets: bytes | None) -> int:
    """Run the real one; without octets it reads standard input itself."""
    program = shlex.split(os.environ.get(SENDMAIL, _DEFAULT))
    if os.environ.get(_INSIDE):
        raise Trouble(f"{shlex.join(program)} is recrypt send itself", f"Set {SENDMAIL}")
    try:
        done = subprocess.run(  # noqa: S603 - the user's own program, and no shell
            [*program, *arguments], input=octets, check=False, env=os.environ | {_INSIDE: "1"}
        )
    except OSError as problem:
        raise Trouble(
            f"{program[0]}: {problem.strerror}",
            f"Install a sendmail, such as msmtp's, or name yours in {SENDMAIL}",
        ) from problem
    return done.returncode if done.returncode >= 0 else os.EX_TEMPFAIL


@contextmanager
def _status(context: click.Context, using: Tools) -> Iterator[None]:
    """End with the status that mail programs know (sysexits.h), so that the mail stays a draft."""
    try:
        yield
    except Trouble as trouble:
        using.terminal.error(str(trouble))
        status: int = os.EX_TEMPFAIL if is_passing(trouble) else os.EX_CONFIG
        context.exit(os.EX_DATAERR if isinstance(trouble, Unsendable) else status)
