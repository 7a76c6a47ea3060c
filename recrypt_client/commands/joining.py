"""`recrypt join`, `requests`, `approve`, `deny`: asking in, and deciding."""

from collections.abc import Sequence

import click

from recrypt_client import group_keys, joining, writing
from recrypt_client.changing import Pace
from recrypt_client.commands.frame import Command, GroupName, Tools, read_input, tools
from recrypt_client.commands.keeping import refreshed
from recrypt_client.joining import Asked
from recrypt_client.pins import Pin, Seen
from recrypt_core.encoding import JsonObject, write_time


@click.command(
    cls=Command, epilog="Example: recrypt join team@lists.example --service https://lists.example"
)
@click.argument("group", type=GroupName())
@click.option("--service", metavar="URL", help="The group's service.")
@click.option("--fingerprint", metavar="UDF", help="The group's fingerprint, as you were told.")
@click.option(
    "--token", "letter", metavar="FILE", help="The letter that came; - is standard input."
)
@click.pass_context
def join(
    context: click.Context,
    group: str,
    service: str | None,
    fingerprint: str | None,
    letter: str | None,
) -> None:
    """Ask to be a member of GROUP; a letter comes to your address, which you give with --token.

    It may be as it came, or opened by `recrypt read`. Then an administrator decides.
    """
    using = tools(context)
    octets = None if letter is None else read_input(letter)
    name = "standard input" if letter == "-" else str(letter)
    with using.alone(), using.service_of(group, service) as called:
        home = using.home
        home.profile()  # who has none is told before anything is pinned
        token = None
        if octets is not None:
            token = joining.read_token(octets, home, what=name)
        known = writing.fetch_key(home, called, group, fingerprint=fingerprint, now=using.now())
        group_keys.check_open(known.key)
        if token is None:
            asked = joining.ask(home, called, known.pin, now=using.now())
        else:
            asked = joining.answer(home, called, known.pin, token)
    if known.seen is Seen.FIRST and not fingerprint:
        using.terminal.note(
            f"{group} is trusted on first use: compare its fingerprint {known.pin.identifier} "
            "with the administrator's"
        )
    _tell(using, asked, known.pin, is_confirmed=token is not None)


@click.command(cls=Command, epilog="Example: recrypt requests team@lists.example")
@click.argument("group", type=GroupName())
@click.pass_context
def requests(context: click.Context, group: str) -> None:
    """Show who waits to be a member of GROUP; compare fingerprints by another way than mail."""
    using = tools(context)
    with using.alone(), using.desk(group) as desk:
        queue = joining.waiting(desk, now=using.now())
    if queue.unread:
        using.terminal.note(f"Passed over, as they are forged or old: {queue.unread}")
    value: JsonObject = {
        "GroupName": group,
        "JoinRequests": [
            {
                "AccountName": each.account,
                "RecryptUDF": each.profile.identifier,
                "Since": write_time(each.since),
            }
            for each in queue.waiting
        ],
    }
    rows = [
        (each.account, each.profile.identifier, f"{each.since:%Y-%m-%d %H:%M}")
        for each in queue.waiting
    ]
    using.terminal.rows(value, ("ADDRESS", "FINGERPRINT", "SINCE"), rows)


@click.command(cls=Command, epilog="Example: recrypt approve team@lists.example bob@example.org")
@click.argument("group", type=GroupName())
@click.argument("who", metavar="ADDRESS|FINGERPRINT...", nargs=-1, required=True)
@click.pass_context
def approve(context: click.Context, group: str, who: Sequence[str]) -> None:
    """Add those who wait to be members of GROUP, by address or, better, by fingerprint."""
    using = tools(context)
    adding = using.terminal.progress("Adding", len(who))
    with using.alone(), using.desk(group) as desk, adding as progress:
        done = joining.approve(desk, who, Pace(using.now, progress))
        people = [each.profile for each in done.chosen]
        state = using.tend(desk, refreshed(using, desk, done.outcome.state, given=people))
    outcome = done.outcome.then(state, people)
    prints = {each.account: each.profile.identifier for each in done.chosen}
    value: JsonObject = {
        "GroupName": group,
        "Changed": [*outcome.changed],
        "Skipped": [*outcome.skipped],
        "RecryptUDF": [*prints.values()],
        "Head": {"seq": state.head.seq, "hash": state.head.hash},
    }
    words = [f"{one} {prints.get(one, '')} added to {group}" for one in outcome.changed]
    words += [f"{one} was so already" for one in outcome.skipped]
    using.terminal.answer(value, *words)


@click.command(cls=Command, epilog="Example: recrypt deny team@lists.example bob@example.org")
@click.argument("group", type=GroupName())
@click.argument("who", metavar="ADDRESS|FINGERPRINT...", nargs=-1, required=True)
@click.pass_context
def deny(context: click.Context, group: str, who: Sequence[str]) -> None:
    """Decline those who wait to be members of GROUP; they are not told."""
    using = tools(context)
    with using.alone(), using.desk(group) as desk:
        declined = joining.deny(desk, who, now=using.now())
    using.terminal.answer(
        {"GroupName": group, "Denied": [each.profile.identifier for each in declined]},
        *(f"{each.account} {each.profile.identifier} waits no more" for each in declined),
    )


def _tell(using: Tools, asked: Asked, pin: Pin, *, is_confirmed: bool) -> None:
    group = pin.group_name
    words = [f"{asked.account} is proven: now an administrator of {group} decides"]
    if not is_confirmed:
        words = [
            f"A letter goes to {asked.account}, unless there were three today: save it, and run",
            f"recrypt join {group} --token LETTER",
        ]
    using.terminal.answer(
        {
            "GroupName": group,
            "Identifier": pin.identifier,
            "AccountName": asked.account,
            "RecryptUDF": asked.identifier,
            "Waiting": is_confirmed,
        },
        *words,
        f"Tell the administrator your fingerprint: {asked.identifier}",
    )
