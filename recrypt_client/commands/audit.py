"""`recrypt audit`: who asked a group's service to recrypt."""

from datetime import datetime, timedelta

import click

from recrypt_client import auditing, chains
from recrypt_client.administering import account_of
from recrypt_client.commands.frame import Command, GroupName, When, tools
from recrypt_core.encoding import JsonObject, write_time


@click.command(cls=Command, epilog="Example: recrypt audit team@lists.example --since 7d")
@click.argument("group", type=GroupName())
@click.option(
    "--since",
    type=When(),
    help="A date or time in UTC, or so long ago: 2026-11-20, 2026-11-20T08:00:00Z, 3d, 12h.",
)
@click.pass_context
def audit(context: click.Context, group: str, since: datetime | timedelta | None) -> None:
    """Show which members of GROUP had its service recrypt something: `recrypt decrypt` does.

    DONE was answered; REFUSED was asked by one who isn't served, or about a past key; QUOTA too
    often on that day. EPHEMERAL KEY names the file or message: the same one is the same file. It is
    what the service says; it can leave out what it likes. Mail that the list sent isn't in it.
    """
    using = tools(context)
    now = using.now()
    begin = now - since if isinstance(since, timedelta) else since
    with using.alone(), using.desk(group) as desk:
        state = chains.current(desk, now=now)
        found = list(auditing.entries(desk, since=begin, now=now))
        state = using.tend(desk, state)
    value: JsonObject = {
        "GroupName": state.name,
        "Entries": [
            {
                "Seq": each.seq,
                "Time": write_time(each.time),
                "RecryptUDF": each.recrypt_udf,
                "AccountName": account_of(state, each.recrypt_udf),
                "MemberKeyUDF": each.member_key_udf,
                "EphemeralUDF": each.ephemeral_udf,
                "Result": each.result.value,
            }
            for each in found
        ],
    }
    rows = [
        (
            write_time(each.time),
            account_of(state, each.recrypt_udf) or each.recrypt_udf,
            each.result.value,
            each.ephemeral_udf,
        )
        for each in found
    ]
    using.terminal.rows(value, ("TIME", "ADDRESS", "RESULT", "EPHEMERAL KEY"), rows)
