"""`recrypt profile address`: another address, which each list takes over once it is proven."""

import click

from recrypt_client import devices
from recrypt_client.commands.devices import published
from recrypt_client.commands.frame import Command, tools
from recrypt_core.errors import Malformed
from recrypt_core.mailboxes import parse_address


@click.command(cls=Command, epilog="Example: recrypt profile address alice@example.net")
@click.argument("address")
@click.option("--only", is_flag=True, help="Take all other addresses from the profile.")
@click.pass_context
def address(context: click.Context, address: str, *, only: bool) -> None:
    """Make ADDRESS the first of your profile's; the others stay in it, unless --only.

    Lists send mail there once you have proven it to each, with recrypt join, and until then to the
    address that they have. It needs the profile's master key, which is where it was made.
    """
    try:
        account = str(parse_address(address))
    except Malformed as problem:
        raise click.BadParameter(str(problem), param_hint="ADDRESS") from problem
    using = tools(context)
    with using.alone():
        made = devices.readdress(using.home, account, only=only, now=using.now())
        value = published(using)
        groups = [pin.group_name for pin in using.home.pins() if pin.closed is None]
    using.terminal.answer(
        {"Identifier": made.identifier, "Accounts": [*made.profile.accounts], **value},
        f"{account} is the first address of {made.identifier} now",
        *(f"For mail from {each} there: recrypt join {each}" for each in groups),
    )
    if only:
        using.terminal.alarm(
            "A list that has another address of yours can't take newer devices of yours in until "
            "it has this one"
        )
