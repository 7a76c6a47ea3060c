"""`recrypt leave`, `mail`: what a member wants of a list's mail."""

import click

from recrypt_client import leaving
from recrypt_client.commands.frame import Command, GroupName, tools
from recrypt_client.errors import Trouble
from recrypt_core.wishes import Mail

_MAIL = {"on": Mail.ON, "off": Mail.PAUSED}
_OWN = {"yes": True, "no": False}


@click.command(cls=Command, epilog="Example: recrypt leave team@lists.example")
@click.argument("group", type=GroupName())
@click.option("--yes", is_flag=True, help="Don't ask whether to.")
@click.pass_context
def leave(context: click.Context, group: str, *, yes: bool) -> None:
    """Leave GROUP: you are sent nothing more from now on, and its administrators are told.

    What you have you can read still: nothing is taken from this home.
    """
    using = tools(context)
    with using.alone(), using.desk(group) as desk:
        leaving.check_may_leave(desk, now=using.now())
    if not yes and not using.outside.confirm(f"Leave {group}?"):
        raise Trouble(
            "nothing was changed, as nobody said yes", "Without a terminal, --yes says it"
        )
    with using.alone(), using.desk(group) as desk:
        leaving.set_mail(desk, mail=Mail.LEFT, now=using.now())
    using.terminal.answer(
        {"GroupName": group, "Mail": Mail.LEFT.value},
        f"You have left {group}: nothing more is sent to you",
        f"Until an administrator has ended your membership, recrypt mail {group} on undoes it",
    )


@click.command(cls=Command, epilog="Example: recrypt mail team@lists.example off")
@click.argument("group", type=GroupName())
@click.argument("on_off", metavar="[on|off]", required=False, type=click.Choice([*_MAIL]))
@click.option(
    "--own-posts", type=click.Choice([*_OWN]), help="Whether you get copies of your own posts."
)
@click.pass_context
def mail(context: click.Context, group: str, on_off: str | None, own_posts: str | None) -> None:
    """Let GROUP send you no mail for a while, or again; you stay a member of it."""
    using = tools(context)
    if on_off is None and own_posts is None:
        raise click.UsageError("say on or off, or --own-posts", context)
    wanted = None if on_off is None else _MAIL[on_off]
    own = None if own_posts is None else _OWN[own_posts]
    with using.alone(), using.desk(group) as desk:
        is_active = leaving.set_mail(desk, mail=wanted, own_posts=own, now=using.now())
    words = {
        Mail.ON: f"{group} sends you mail",
        Mail.PAUSED: f"{group} sends you nothing until recrypt mail {group} on; for what you "
        "missed, ask an administrator",
    }
    own_words = {
        True: f"You get copies of your own posts to {group}",
        False: f"You get no copies of your own posts to {group}, if they are signed",
    }
    using.terminal.answer(
        {
            "GroupName": group,
            "Mail": None if wanted is None else wanted.value,
            "OwnPosts": own,
            "Active": is_active,
        },
        *([] if wanted is None else [words[wanted]]),
        *([] if own is None else [own_words[own]]),
        *(
            []
            if is_active
            else [
                f"But now you are no ACTIVE member of {group}: until an "
                "administrator lets you back in, it sends you nothing"
            ]
        ),
    )
