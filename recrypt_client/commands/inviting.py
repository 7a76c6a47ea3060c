"""`recrypt invite`: tokens for people who are to ask in."""

from collections.abc import Sequence
from email.utils import format_datetime
from pathlib import Path

import click

from recrypt_client import inviting, paths
from recrypt_client.chains import Desk
from recrypt_client.commands.frame import SECRET_MODE, Command, GroupName, Tools, tools
from recrypt_client.errors import Trouble
from recrypt_client.files import replace_file
from recrypt_client.inviting import Letter, Plan
from recrypt_core.encoding import JsonObject
from recrypt_core.invitations import URI


@click.command(cls=Command, epilog="Example: recrypt invite team@lists.example bob@example.org")
@click.argument("group", type=GroupName())
@click.argument("addresses", metavar="ADDRESS...", nargs=-1, required=True)
@click.option("--out", metavar="DIR", help="Write letters there, for your own mail program.")
@click.option("--show", is_flag=True, help="Show the invitations, to be given by other ways.")
@click.option("--again", is_flag=True, help="Also to who was invited before.")
@click.pass_context
def invite(context: click.Context, /, group: str, addresses: Sequence[str], **how: object) -> None:
    """Invite people to GROUP: each gets a token for `recrypt join --invitation`.

    The service mails it, and so knows it; with --out or --show it doesn't. Who asks in with one is
    let in by `recrypt watch GROUP --approve invited`, or shown as invited by `recrypt requests`.
    """
    using = tools(context)
    if how["out"] and how["show"]:
        raise click.UsageError("--out or --show", context)
    letters = list[Letter]()
    with using.alone(), using.desk(group) as desk:
        plan = inviting.plan(desk, addresses, again=bool(how["again"]), now=using.now())
        if how["show"]:
            inviting.send(desk, plan.due, letters.extend, now=using.now())
        else:
            send(using, desk, plan, out=str(how["out"] or "") or None)
    if how["show"]:
        _show(using, letters, plan)
    else:
        _tell(using, group, plan)


def send(using: Tools, desk: Desk, plan: Plan, *, out: str | None = None) -> None:
    """Have the letters of a plan mailed by the service, or written to a folder.

    Raises:
        Trouble: if they can't be; the same command goes on.
    """
    with using.terminal.progress("Inviting", len(plan.due)) as progress:

        def deliver(letters: Sequence[Letter]) -> None:
            if out is None:
                inviting.mail(desk, letters, now=using.now())
            else:
                _write(using, letters, Path(out))
            progress(len(letters))

        inviting.send(desk, plan.due, deliver, now=using.now())
    if plan.due and out is None:
        using.terminal.note("A letter goes to each who is invited, unless there were two today.")


def _write(using: Tools, letters: Sequence[Letter], folder: Path) -> None:
    """Write a file for each, for its reader's eyes alone; `X-Unsent` opens it as a draft."""
    sender = using.home.profile().profile.accounts[0]
    for each in letters:
        lines = (
            f"From: {sender}",
            f"To: {each.address}",
            f"Subject: {each.subject}",
            f"Date: {format_datetime(using.now())}",
            "X-Unsent: 1",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=us-ascii",
            "", *each.lines, "",
        )  # fmt: skip
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            octets = "\r\n".join(lines).encode("ascii")
            replace_file(folder / paths.letter_file(each.address), octets, mode=SECRET_MODE)
        except OSError as problem:
            raise Trouble(f"{folder}: {problem.strerror}", "Choose another folder") from problem


def _show(using: Tools, letters: Sequence[Letter], plan: Plan) -> None:
    for who, why in plan.skipped:
        using.terminal.note(f"{who} {why}.")
    value: JsonObject = {
        "Invitations": [
            {"AccountName": each.address, "Token": each.token, "URI": URI + each.token}
            for each in letters
        ]
    }
    using.terminal.answer(value, *(f"{each.address} {URI}{each.token}" for each in letters))


def _tell(using: Tools, group: str, plan: Plan) -> None:
    value: JsonObject = {
        "GroupName": group,
        "Invited": [each.address for each in plan.due],
        "Skipped": [{"AccountName": who, "Why": why} for who, why in plan.skipped],
    }
    words = [f"{each.address} is invited to {group}" for each in plan.due]
    words += [f"{who} {why}" for who, why in plan.skipped]
    using.terminal.answer(value, *words)
