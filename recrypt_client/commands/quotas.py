"""`recrypt quota`: how often members of a group may have its service recrypt."""

from collections.abc import Sequence
from dataclasses import replace

import click

from recrypt_client import chains, quotas
from recrypt_client.changing import Pace
from recrypt_client.commands.frame import Command, GroupName, Tools, tools
from recrypt_client.commands.members import tell
from recrypt_core.documents import Quota
from recrypt_core.encoding import JsonObject

_MOST = 10**9 - 1


@click.command(
    cls=Command, epilog="Example: recrypt quota team@lists.example bob@example.org --per-day 20"
)
@click.argument("group", type=GroupName())
@click.argument("who", metavar="[ADDRESS]...", nargs=-1)
@click.option("--per-day", type=click.IntRange(0, _MOST), metavar="N", help="So often on a day.")
@click.option("--unset", is_flag=True, help="No bound of their own any more.")
@click.pass_context
def quota(
    context: click.Context, group: str, who: Sequence[str], per_day: int | None, unset: bool
) -> None:
    """Bound how often members of GROUP may have its service recrypt: on a day (UTC).

    As `recrypt decrypt` does; mail that the list sends doesn't count. Without ADDRESS, show who
    has a bound of their own; for that of all together, recrypt set GROUP recrypt_per_day=N.
    """
    using = tools(context)
    if (per_day is not None) + unset != bool(who):
        raise click.UsageError("give ADDRESS... with --per-day or --unset, or neither", context)
    if not who:
        _show(using, group)
        return
    wanted = None if per_day is None else Quota(per_day)
    changing = using.terminal.progress("Changing", len(who))
    with using.alone(), using.desk(group) as desk, changing as progress:
        outcome = quotas.bound(desk, who, wanted, Pace(using.now, progress))
        outcome = replace(outcome, state=using.tend(desk, outcome.state))
    tell(using, outcome, "no more bounded in" if unset else "bounded in")


def _show(using: Tools, group: str) -> None:
    with using.alone(), using.desk(group) as desk:
        state = using.tend(desk, chains.current(desk, now=using.now()))
    members = sorted(state.members.values(), key=lambda each: each.account)
    bounded = [(each.account, each.entry.quotas) for each in members if each.entry.quotas]
    value: JsonObject = {
        "GroupName": state.name,
        "Members": [{"AccountName": who, "Quotas": [*texts]} for who, texts in bounded],
    }
    rows = [(who, ", ".join(texts)) for who, texts in bounded]
    using.terminal.rows(value, ("ADDRESS", "QUOTA"), rows)
