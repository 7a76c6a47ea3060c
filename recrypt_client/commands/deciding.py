"""`recrypt requests`, `approve`, `deny`: who wants to come in, and deciding."""

from collections.abc import Sequence

import click

from recrypt_client import chains, deciding
from recrypt_client.changing import Pace
from recrypt_client.commands.frame import Command, GroupName, tools
from recrypt_client.commands.keeping import refreshed
from recrypt_client.deciding import Waiting
from recrypt_client.invitations import Book
from recrypt_client.refreshing import Beside
from recrypt_core.chain import GroupState
from recrypt_core.encoding import JsonObject, write_time


@click.command(cls=Command, epilog="Example: recrypt requests team@lists.example")
@click.argument("group", type=GroupName())
@click.pass_context
def requests(context: click.Context, group: str) -> None:
    """Show who waits to be a member of GROUP; compare fingerprints by another way than mail."""
    using = tools(context)
    with using.alone(), using.desk(group) as desk:
        queue = deciding.waiting(desk, now=using.now())
        state = chains.current(desk, now=using.now())
        book = Book(using.home, group, now=using.now())
    if queue.unread:
        using.terminal.note(f"Passed over, as they are forged or old: {queue.unread}")
    held = deciding.holders(state)
    found = [deciding.worth(book, each, held) for each in queue.waiting]
    worth = ["" if each is None else each.value for each in found]
    status = [_status(state, each) for each in queue.waiting]
    value: JsonObject = {
        "GroupName": group,
        "JoinRequests": [
            {
                "AccountName": each.account,
                "RecryptUDF": each.profile.identifier,
                "Since": write_time(each.since),
                "Invitation": words,
                "Status": here,
            }
            for each, words, here in zip(queue.waiting, worth, status, strict=True)
        ],
    }
    rows = [
        (
            each.account,
            each.profile.identifier,
            f"{each.since:%Y-%m-%d %H:%M}",
            ", ".join(filter(None, (words, here and f"{here} here"))),
        )
        for each, words, here in zip(queue.waiting, worth, status, strict=True)
    ]
    using.terminal.rows(value, ("ADDRESS", "FINGERPRINT", "SINCE", "STANDING"), rows)


def _status(state: GroupState, one: Waiting) -> str | None:
    """Tell what somebody who waits is in the group already, or was."""
    member = state.members.get(one.profile.identifier)
    return None if member is None else member.entry.status.value


@click.command(cls=Command, epilog="Example: recrypt approve team@lists.example bob@example.org")
@click.argument("group", type=GroupName())
@click.argument("who", metavar="ADDRESS|FINGERPRINT...", nargs=-1, required=True)
@click.pass_context
def approve(context: click.Context, group: str, who: Sequence[str]) -> None:
    """Add those who wait to be members of GROUP: by address or, better, by fingerprint."""
    using = tools(context)
    adding = using.terminal.progress("Adding", len(who))
    with using.alone(), using.desk(group) as desk, adding as progress:
        done = deciding.approve(desk, who, Pace(using.now, progress))
        people = [each.profile for each in done.chosen]
        beside = Beside(people, done.accounts)
        state = refreshed(using, desk, done.outcome.state, beside=beside)
        deciding.settle(desk, done.chosen, now=using.now())
        state = using.tend(desk, state)
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
        declined = deciding.deny(desk, who, now=using.now())
    using.terminal.answer(
        {"GroupName": group, "Denied": [each.profile.identifier for each in declined]},
        *(f"{each.account} {each.profile.identifier} waits no more" for each in declined),
    )
