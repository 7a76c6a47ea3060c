"""`recrypt add`, `delete`, `suspend`, `resume`, `redeliver`, `members`: who is in a group."""

from collections.abc import Container, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import click

from recrypt_client import administering, chains, escrows, removing
from recrypt_client.administering import Outcome, Redelivery, Terms
from recrypt_client.changing import Pace
from recrypt_client.commands.frame import Command, GroupName, Tools, When, read_profile, tools
from recrypt_client.commands.keeping import refreshed, settle
from recrypt_client.commands.rosters import Source, add_all, write_members
from recrypt_client.refreshing import Beside
from recrypt_core.documents import Privilege, Status
from recrypt_core.encoding import JsonObject, write_time
from recrypt_core.members import Member
from recrypt_core.udf import Udf


@click.command(cls=Command, epilog="Example: recrypt add team@lists.example bob.json carol.json")
@click.argument("group", type=GroupName())
@click.argument("profiles", metavar="[PROFILE.json]...", nargs=-1)
@click.option(
    "--privilege",
    "privileges",
    multiple=True,
    type=click.Choice([each.value for each in Privilege], case_sensitive=False),
    help="What they may do; given once or more, these and no other.  [default: RECRYPT]",
)
@click.option(
    "--status",
    type=click.Choice([each.value for each in Status], case_sensitive=False),
    default=Status.ACTIVE.value,
    show_default=True,
    help="As what they begin.",
)
@click.option("--csv", "table", metavar="FILE", help="A file with columns address, profile.")
@click.option("--mailman", metavar="FILE", help="What `mailman members` or Postorius wrote.")
@click.option("--invite", is_flag=True, help="Invite who has no profile in the file.")
@click.pass_context
def add(
    context: click.Context,
    /,
    group: str,
    profiles: Sequence[str],
    **how: Any,  # noqa: ANN401 - what click has read, each of its kind
) -> None:
    """Add the people of these profiles to GROUP; who is in it already is passed over.

    But a newer profile of a member is taken in, with entries for the devices that it names. With
    --csv or --mailman the people are those of a file: if a line of it is wrong, nothing is done;
    and it may be given again.
    """
    using = tools(context)
    chosen = tuple(Privilege(each) for each in dict.fromkeys(how["privileges"]))
    terms = Terms(chosen or (Privilege.RECRYPT,), Status(how["status"]))
    files = [each for each in (how["table"], how["mailman"]) if each]
    if len(files) + bool(profiles) != 1 or (how["invite"] and not files):
        raise click.UsageError("give PROFILE.json..., --csv or --mailman", context)
    if files:
        source = Source(files[0], bool(how["mailman"]), how["invite"], terms)
        add_all(using, group, source)
        return
    people = [read_profile(using, name) for name in profiles]
    adding = using.terminal.progress("Adding", len(people))
    with using.alone(), using.desk(group) as desk, adding as progress:
        outcome = administering.add(desk, people, terms, Pace(using.now, progress))
        state = using.tend(desk, refreshed(using, desk, outcome.state, beside=Beside(people)))
        outcome = outcome.then(state, people)
    tell(using, outcome, "added to")


@click.command(cls=Command, epilog="Example: recrypt delete team@lists.example bob@example.org")
@click.argument("group", type=GroupName())
@click.argument("who", metavar="ADDRESS...", nargs=-1, required=True)
@click.pass_context
def delete(context: click.Context, group: str, who: Sequence[str]) -> None:
    """Remove members of GROUP, by address or fingerprint: they get nothing from now on.

    Who administered it had its keys: so the group gets other ones. If it is cut off, or not all
    of it can be done here, it says so; the same command goes on.
    """
    using = tools(context)
    changing = using.terminal.progress("Changing", len(who))
    with using.alone(), using.desk(group) as desk:
        with changing as progress:
            outcome, owed = removing.remove(desk, who, Pace(using.now, progress))
        state, left = (outcome.state, []) if owed is None else settle(using, desk, owed)
        outcome = replace(outcome, state=using.tend(desk, state))
    tell(using, outcome, f"now {Status.REVOKED.value} in", left)
    for words in left:
        using.terminal.alarm(f"Left to do: {words}")


@click.command(cls=Command, epilog="Example: recrypt suspend team@lists.example bob@example.org")
@click.argument("group", type=GroupName())
@click.argument("who", metavar="ADDRESS...", nargs=-1, required=True)
@click.pass_context
def suspend(context: click.Context, group: str, who: Sequence[str]) -> None:
    """Let members of GROUP get nothing for a while."""
    using = tools(context)
    outcome = _set_status(using, group, who, Status.SUSPENDED)
    members, changed = outcome.state.members.values(), {*outcome.changed}
    owners = escrows.of_now(using.home, outcome.state)
    for member in (each for each in members if each.account in changed):
        has = [
            *([f"administers {group}"] if administering.has_powers(member) else []),
            *([f"owns an escrow key of {group}"] if member.profile.identifier in owners else []),
        ]
        if has:
            using.terminal.alarm(
                f"{member.account} {' and '.join(has)}, and still has its private keys: "
                f"recrypt delete {group} {member.account} gives it other ones"
            )


@click.command(cls=Command, epilog="Example: recrypt resume team@lists.example bob@example.org")
@click.argument("group", type=GroupName())
@click.argument("who", metavar="ADDRESS...", nargs=-1, required=True)
@click.pass_context
def resume(context: click.Context, group: str, who: Sequence[str]) -> None:
    """Let suspended or removed members of GROUP read again: what comes from now on.

    It turns mail on again for members to whom the service has turned it off after bounces.
    """
    using = tools(context)
    outcome = _set_status(using, group, who, Status.ACTIVE)
    if outcome.changed:
        using.terminal.note(f"For what was missed: recrypt redeliver {group} ADDRESS --since WHEN")


@click.command(
    cls=Command,
    epilog="Example: recrypt redeliver team@lists.example bob@example.org --since 3d",
)
@click.argument("group", type=GroupName())
@click.argument("who", metavar="ADDRESS")
@click.option(
    "--since",
    type=When(),
    required=True,
    help="A date or time in UTC, or so long ago: 2026-11-20, 2026-11-20T08:00:00Z, 3d, 12h.",
)
@click.pass_context
def redeliver(context: click.Context, group: str, who: str, since: datetime | timedelta) -> None:
    """Send a member of GROUP what came since then once more: as far as the service keeps it.

    Also what came before the member did, if the list's key was the same.
    """
    using = tools(context)
    now = using.now()
    begin = since if isinstance(since, datetime) else (now - since).replace(microsecond=0)
    if begin > now:
        raise click.BadParameter("that is in the future", context, param_hint="--since")
    with using.alone(), using.desk(group) as desk:
        done = administering.redeliver(desk, who, begin, now=now)
    value: JsonObject = {
        "GroupName": done.state.name,
        "AccountName": done.account,
        "Since": write_time(begin),
        "Posts": done.posts,
    }
    using.terminal.answer(value, _told(done))
    if done.stopped is not None:
        using.terminal.alarm(administering.told_stopped(done.state.name, done.stopped))


@click.command(cls=Command, epilog="Example: recrypt members team@lists.example")
@click.argument("group", type=GroupName())
@click.option("--csv", "table", metavar="FILE", help="Write them to FILE instead, as a table.")
@click.pass_context
def members(context: click.Context, group: str, table: str | None) -> None:
    """Show who is or was a member of GROUP: as its verified history says."""
    using = tools(context)
    with using.alone(), using.desk(group) as desk:
        state = chains.current(desk, now=using.now())
        asides = [*chains.asides(desk, state, now=using.now())]
        off = {udf for page in asides for udf in page.undeliverable}
        left = {udf for page in asides for udf in page.left}
        stopped = asides[0].stopped
        state = using.tend(desk, state)
    if stopped is not None:
        using.terminal.alarm(administering.told_stopped(group, stopped))
    if table is not None:
        write_members(using, table, state)
        return
    found = sorted(state.members.values(), key=lambda each: each.account)
    value: JsonObject = {
        "GroupName": state.name,
        "Members": [
            {
                "RecryptUDF": each.profile.identifier,
                "AccountName": each.account,
                "Privileges": [one.value for one in each.entry.privileges],
                "Status": each.entry.status.value,
                "HasEntry": each.entry_for(state.key.udf) is not None,
                "Undeliverable": each.profile.identifier in off,
                "Left": each.profile.identifier in left,
            }
            for each in found
        ],
        "Stopped": None if stopped is None else write_time(stopped),
        "Head": {"seq": state.head.seq, "hash": state.head.hash},
    }
    rows = [_row(each, off, left) for each in found]
    using.terminal.rows(value, ("ADDRESS", "STATUS", "PRIVILEGES", "FINGERPRINT"), rows)


def _row(member: Member, off: Container[Udf], left: Container[Udf]) -> tuple[str, ...]:
    udf, status = member.profile.identifier, member.entry.status.value
    status += ", mail off" if udf in off else ""
    status += ", left" if udf in left else ""
    return member.account, status, " ".join(one.value for one in member.entry.privileges), udf


def _set_status(using: Tools, group: str, who: Sequence[str], status: Status) -> Outcome:
    changing = using.terminal.progress("Changing", len(who))
    with using.alone(), using.desk(group) as desk, changing as progress:
        before = chains.current(desk, now=using.now())
        directory = administering.Directory(before)
        found = [directory.find(one).profile for one in who]
        state, pace = before, Pace(using.now, progress)
        if status is Status.ACTIVE:  # a device that is gone gets no entry on the way
            back = frozenset(each.identifier for each in found)
            state = refreshed(using, desk, before, beside=Beside(back=back))
        outcome = administering.set_status(desk, who, status, pace, state=state)
        outcome = replace(outcome, state=before).then(outcome.state, found)
        outcome = replace(outcome, state=using.tend(desk, outcome.state))
    tell(using, outcome, f"now {status.value} in")
    return outcome


def _told(done: Redelivery) -> str:
    if done.posts and done.stopped is not None:
        wait = "post waits" if done.posts == 1 else "posts wait"
        return f"{done.posts} {wait} for {done.account}."
    if done.posts:
        are = "post is on its" if done.posts == 1 else "posts are on their"
        return f"{done.posts} {are} way to {done.account}."
    days = done.state.policy.keep
    return (
        f"No post is on its way to {done.account}: {done.state.name} had none since then, or none "
        f"that {done.account} has a key for, or they are on their way already, "
        f"or gone: the service keeps posts for {days} days."
    )


def tell(using: Tools, outcome: Outcome, done: str, left: Sequence[str] = ()) -> None:
    """Answer who is what now in the group, who was already, and what is left to do."""
    state = outcome.state
    value: JsonObject = {
        "GroupName": state.name,
        "Changed": [*outcome.changed],
        "Skipped": [*outcome.skipped],
        "LeftToDo": [*left],
        "Head": {"seq": state.head.seq, "hash": state.head.hash},
    }
    words = [
        f"{who} {'changed in' if who in outcome.known else done} {state.name}"
        for who in outcome.changed
    ]
    words += [f"{who} was so already" for who in outcome.skipped]
    using.terminal.answer(value, *words)
