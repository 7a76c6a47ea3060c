"""`recrypt profile`: the keys of a person."""

import click

from recrypt_client import founding
from recrypt_client.commands.frame import Group, tools, write_output
from recrypt_core.encoding import write_json
from recrypt_core.errors import Malformed
from recrypt_core.keys import Curve
from recrypt_core.mailboxes import parse_address

PUBLIC_MODE = 0o666  # less what umask takes: anyone may read what is public


@click.group(cls=Group, epilog="Example: recrypt profile create alice@example.org")
def profile() -> None:
    """Make and show your profile: your public keys and address."""


@profile.command(epilog="Example: recrypt profile create alice@example.org")
@click.argument("address")
@click.option(
    "--algorithm",
    type=click.Choice([curve.value for curve in Curve]),
    default=Curve.X25519.value,
    show_default=True,
    help="Of the key that others encrypt to.",
)
@click.pass_context
def create(context: click.Context, address: str, algorithm: str) -> None:
    """Make a profile for ADDRESS, with new keys; nothing is overwritten."""
    try:
        account = str(parse_address(address))
    except Malformed as problem:
        raise click.BadParameter(str(problem), param_hint="ADDRESS") from problem
    using = tools(context)
    with using.alone():
        made = founding.create_profile(using.home, account, Curve(algorithm), now=using.now())
    using.terminal.answer(
        {"Identifier": made.identifier, "AccountName": account, "Home": str(using.home.root)},
        made.identifier,
    )


@profile.command(epilog="Example: recrypt profile show --out alice.json")
@click.option("--out", metavar="FILE", help="Write to FILE instead of standard output.")
@click.pass_context
def show(context: click.Context, out: str | None) -> None:
    """Give your signed profile, in JSON: administrators need it to add you."""
    using = tools(context)
    signed = using.home.profile().signed
    write_output(out, write_json(signed.json()) + b"\n", using.terminal, mode=PUBLIC_MODE)
