"""`recrypt leave`, `mail`: what a member wants of a list's mail."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from recrypt_client import leaving, writing
from recrypt_client.chains import Desk
from recrypt_client.commands.frame import Command, GroupName, Tools, tools
from recrypt_client.errors import Trouble
from recrypt_client.pins import Seen
from recrypt_core.wishes import Mail

_MAIL = {"on": Mail.ON, "off": Mail.PAUSED}
_OWN = {"yes": True, "no": False}


@click.command(cls=Command, epilog="Example: recrypt leave team@lists.example")
@click.argument("group", type=GroupName())
@click.option("--service", metavar="URL", help="The group's service, if it isn't known here.")
@click.option("--yes", is_flag=True, help="Don't ask whether to.")
@click.pass_context
def leave(context: click.Context, group: str, service: str | None, *, yes: bool) -> None:
    """Leave GROUP: you are sent nothing more from now on, and its administrators are told.

    What you have you can read still: nothing is taken from this home.
    """
    using = tools(context)
    with using.alone(), _desk(using, group, service) as desk:
        leaving.check_may_leave(desk, now=using.now())
    if not yes and not using.outside.confirm(f"Leave {group}?"):
        raise Trouble(
            "nothing was changed, as nobody said yes", "Without a terminal, --yes says it"
        )
    with using.alone(), using.desk(group) as desk:
        is_active = leaving.set_mail(desk, mail=Mail.LEFT, now=using.now())
    words = (
        f"You have left {group}: nothing more is sent to you",
        f"Until an administrator has ended your membership, recrypt mail {group} on undoes it",
    )
    if not is_active:
        words = (
            f"You are no ACTIVE member of {group} now, so nothing is sent to you anyway",
            f"If you are suspended, you have left it; if you were removed, ask in again with "
            f"recrypt join {group} to come back",
        )
    using.terminal.answer(
        {"GroupName": group, "Mail": Mail.LEFT.value, "Active": is_active}, *words
    )


@click.command(cls=Command, epilog="Example: recrypt mail team@lists.example off")
@click.argument("group", type=GroupName())
@click.argument("on_off", metavar="[on|off]", required=False, type=click.Choice([*_MAIL]))
@click.option(
    "--own-posts", type=click.Choice([*_OWN]), help="Whether you get copies of your own posts."
)
@click.option("--service", metavar="URL", help="The group's service, if it isn't known here.")
@click.pass_context
def mail(
    context: click.Context,
    /,
    group: str,
    on_off: str | None,
    own_posts: str | None,
    **at: str | None,
) -> None:
    """Let GROUP send you no mail for a while, or again; you stay a member of it."""
    using = tools(context)
    if on_off is None and own_posts is None:
        raise click.UsageError("say on or off, or --own-posts", context)
    wanted = None if on_off is None else _MAIL[on_off]
    own = None if own_posts is None else _OWN[own_posts]
    with using.alone(), _desk(using, group, at["service"]) as desk:
        is_active = leaving.set_mail(desk, mail=wanted, own_posts=own, now=using.now())
    using.terminal.answer(
        {
            "GroupName": group,
            "Mail": None if wanted is None else wanted.value,
            "OwnPosts": own,
            "Active": is_active,
        },
        *_words(group, wanted, own, is_active=is_active),
    )


def _words(group: str, wanted: Mail | None, own: bool | None, *, is_active: bool) -> list[str]:
    words = {
        Mail.ON: f"{group} sends you mail",
        Mail.PAUSED: f"{group} sends you nothing until recrypt mail {group} on; for what you "
        "missed, ask an administrator",
    }
    own_words = {
        True: f"You get copies of your own posts to {group}",
        False: f"You get no copies of your own posts to {group}, if they are signed",
    }
    said = [] if wanted is None else [words[wanted]]
    said += [] if own is None else [own_words[own]]
    if not is_active:
        said.append(
            f"But now you are no ACTIVE member of {group}: until an administrator lets you back "
            "in, it sends you nothing"
        )
    return said


@contextmanager
def _desk(using: Tools, group: str, service: str | None) -> Iterator[Desk]:
    """Sit down as a member, who may not have met the group in this home: then it is met now."""
    using.home.profile()  # who has none is told before anything is pinned
    if service is not None or using.home.pin(group) is None:
        with using.service_of(group, service) as called:
            known = writing.fetch_key(using.home, called, group, fingerprint=None, now=using.now())
        if known.seen is Seen.FIRST:
            using.tell_first_use(known.pin)
    with using.desk(group) as desk:
        yield desk
