"""`recrypt add`, `delete`, `suspend`, `resume`, `members`: who is in a group."""

from collections.abc import Sequence

import click

from recrypt_client import administering, chains, contacts
from recrypt_client.administering import Outcome, Terms
from recrypt_client.commands.frame import Command, GroupName, Tools, read_input, tools
from recrypt_client.errors import about
from recrypt_core import limits
from recrypt_core.documents import Privilege, Status, VerifiedProfile, verified_profile
from recrypt_core.encoding import JsonObject, read_json
from recrypt_core.signing import Jws
from recrypt_core.wire import from_json


@click.command(cls=Command, epilog="Example: recrypt add team@lists.example bob.json carol.json")
@click.argument("group", type=GroupName())
@click.argument("profiles", metavar="PROFILE.json...", nargs=-1, required=True)
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
@click.pass_context
def add(
    context: click.Context,
    group: str,
    profiles: Sequence[str],
    privileges: Sequence[str],
    status: str,
) -> None:
    """Add the people of these profiles to GROUP; who is in it already is passed over."""
    using = tools(context)
    people = [_read_profile(using, name) for name in profiles]
    chosen = tuple(Privilege(each) for each in dict.fromkeys(privileges)) or (Privilege.RECRYPT,)
    adding = using.terminal.progress("Adding", len(people))
    with using.alone(), using.desk(group) as desk, adding as progress:
        outcome = administering.add(
            desk, people, Terms(chosen, Status(status)), now=using.now(), progress=progress
        )
    _tell(using, outcome, "added to")


@click.command(cls=Command, epilog="Example: recrypt delete team@lists.example bob@example.org")
@click.argument("group", type=GroupName())
@click.argument("who", metavar="ADDRESS...", nargs=-1, required=True)
@click.pass_context
def delete(context: click.Context, group: str, who: Sequence[str]) -> None:
    """Remove members of GROUP, by address or fingerprint: they get nothing from now on."""
    _set_status(tools(context), group, who, Status.REVOKED)


@click.command(cls=Command, epilog="Example: recrypt suspend team@lists.example bob@example.org")
@click.argument("group", type=GroupName())
@click.argument("who", metavar="ADDRESS...", nargs=-1, required=True)
@click.pass_context
def suspend(context: click.Context, group: str, who: Sequence[str]) -> None:
    """Let members of GROUP get nothing for a while."""
    _set_status(tools(context), group, who, Status.SUSPENDED)


@click.command(cls=Command, epilog="Example: recrypt resume team@lists.example bob@example.org")
@click.argument("group", type=GroupName())
@click.argument("who", metavar="ADDRESS...", nargs=-1, required=True)
@click.pass_context
def resume(context: click.Context, group: str, who: Sequence[str]) -> None:
    """Let suspended or removed members of GROUP read again what comes from now on."""
    _set_status(tools(context), group, who, Status.ACTIVE)


@click.command(cls=Command, epilog="Example: recrypt members team@lists.example")
@click.argument("group", type=GroupName())
@click.pass_context
def members(context: click.Context, group: str) -> None:
    """Show who is or was a member of GROUP, as its verified history says."""
    using = tools(context)
    with using.alone(), using.desk(group) as desk:
        state = chains.current(desk, now=using.now())
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
            }
            for each in found
        ],
        "Head": {"seq": state.head.seq, "hash": state.head.hash},
    }
    rows = [
        (
            each.account,
            each.entry.status.value,
            " ".join(one.value for one in each.entry.privileges),
            each.profile.identifier,
        )
        for each in found
    ]
    using.terminal.rows(value, ("ADDRESS", "STATUS", "PRIVILEGES", "FINGERPRINT"), rows)


def _set_status(using: Tools, group: str, who: Sequence[str], status: Status) -> None:
    changing = using.terminal.progress("Changing", len(who))
    with using.alone(), using.desk(group) as desk, changing as progress:
        outcome = administering.set_status(desk, who, status, now=using.now(), progress=progress)
    _tell(using, outcome, f"now {status.value} in")


def _tell(using: Tools, outcome: Outcome, done: str) -> None:
    state = outcome.state
    value: JsonObject = {
        "GroupName": state.name,
        "Changed": [*outcome.changed],
        "Skipped": [*outcome.skipped],
        "Head": {"seq": state.head.seq, "hash": state.head.hash},
    }
    words = [f"{who} {done} {state.name}" for who in outcome.changed]
    words += [f"{who} was so already" for who in outcome.skipped]
    using.terminal.answer(value, *words)


def _read_profile(using: Tools, name: str) -> VerifiedProfile:
    octets = read_input(name)
    with about(name):
        signed = from_json(Jws, read_json(octets, limit=limits.DOCUMENT_OCTETS))
        profile = verified_profile(signed)
        contacts.check_not_older(using.home, profile)
    return profile
