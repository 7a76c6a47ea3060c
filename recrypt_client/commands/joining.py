"""`recrypt join`, `requests`, `approve`, `deny`: asking in, and deciding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import click

from recrypt_client import by_mail as mails
from recrypt_client import group_keys, inviting, joining, paths, writing
from recrypt_client.changing import Pace
from recrypt_client.commands.frame import (
    PUBLIC_MODE,
    SECRET_MODE,
    Command,
    GroupName,
    Tools,
    read_input,
    tools,
    write_output,
)
from recrypt_client.commands.keeping import refreshed
from recrypt_client.errors import Trouble
from recrypt_client.invitations import Book
from recrypt_client.joining import Asked
from recrypt_client.pins import Pin, Seen
from recrypt_core import invitations
from recrypt_core.encoding import JsonObject, write_time


@click.command(
    cls=Command, epilog="Example: recrypt join team@lists.example --service https://lists.example"
)
@click.argument("group", type=GroupName(), required=False)
@click.option("--service", metavar="URL", help="The group's service.")
@click.option("--fingerprint", metavar="UDF", help="The group's fingerprint, as you were told.")
@click.option("--token", metavar="FILE", help="The letter that came; - is standard input.")
@click.option(
    "--invitation",
    metavar="FILE|TOKEN",
    help="The letter with your invitation, or the line from it; it says which group, and where.",
)
@click.option("--by-mail", is_flag=True, help="Call nothing; write the mail that does the same.")
@click.option("--out", metavar="FILE", help="Write that mail to FILE; else to standard output.")
@click.pass_context
def join(
    context: click.Context, /, group: str | None, *, by_mail: bool, **given: str | None
) -> None:
    """Ask to be a member of GROUP; a letter comes to your address, which you give with --token.

    It may be as it came, or opened by `recrypt read`. Then an administrator decides.
    """
    using = tools(context)
    if by_mail or given["out"]:
        _join_by_mail(context, group, given, by_mail=by_mail)
        return
    door = _door(context, group, given)
    letter = given["token"]
    octets = None if letter is None else read_input(letter)
    name = "standard input" if letter == "-" else str(letter)
    with using.alone(), using.service_of(door.group, door.service) as called:
        home = using.home
        home.profile()  # who has none is told before anything is pinned
        token = None if octets is None else joining.read_token(octets, home, what=name)
        known = writing.fetch_key(
            home, called, door.group, fingerprint=door.fingerprint, now=using.now()
        )
        group_keys.check_open(known.key)
        if token is None:
            asked = joining.ask(home, called, known.pin, now=using.now(), secret=door.secret)
        else:
            asked = joining.answer(home, called, known.pin, token)
    if known.seen is Seen.FIRST and not door.fingerprint:
        using.terminal.note(
            f"{door.group} is trusted on first use: compare its fingerprint "
            f"{known.pin.identifier} with the administrator's"
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
        book = Book(using.home, group, now=using.now())
    if queue.unread:
        using.terminal.note(f"Passed over, as they are forged or old: {queue.unread}")
    worth = [
        "" if found is None else found.value
        for each in queue.waiting
        for found in [book.standing(each.profile.identifier, each.account, each.invitation)]
    ]
    value: JsonObject = {
        "GroupName": group,
        "JoinRequests": [
            {
                "AccountName": each.account,
                "RecryptUDF": each.profile.identifier,
                "Since": write_time(each.since),
                "Invitation": words,
            }
            for each, words in zip(queue.waiting, worth, strict=True)
        ],
    }
    rows = [
        (each.account, each.profile.identifier, f"{each.since:%Y-%m-%d %H:%M}", words)
        for each, words in zip(queue.waiting, worth, strict=True)
    ]
    using.terminal.rows(value, ("ADDRESS", "FINGERPRINT", "SINCE", "INVITATION"), rows)


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
        state = refreshed(using, desk, done.outcome.state, given=people, accounts=done.accounts)
        joining.settle(desk, done.chosen, now=using.now())
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
        declined = joining.deny(desk, who, now=using.now())
    using.terminal.answer(
        {"GroupName": group, "Denied": [each.profile.identifier for each in declined]},
        *(f"{each.account} {each.profile.identifier} waits no more" for each in declined),
    )


@dataclass(frozen=True, slots=True)
class _Door:
    """Which group is asked, and what is known of it; the secret of an invitation to it."""

    group: str
    service: str | None
    fingerprint: str | None
    secret: bytes | None = field(default=None, repr=False)


def _door(context: click.Context, group: str | None, given: Mapping[str, str | None]) -> _Door:
    """Choose between what was typed and what an invitation says: it pins the fingerprint."""
    text, fingerprint = given["invitation"], given["fingerprint"]
    if text is None:
        if group is None:
            raise click.UsageError("give GROUP, or --invitation", context)
        return _Door(group, given["service"], fingerprint)
    if given["token"] or given["service"] or fingerprint:
        raise click.UsageError("--invitation says all that the other options do", context)
    is_token = invitations.is_token(text)
    found = inviting.read(text.encode() if is_token else read_input(text), what="the invitation")
    name = paths.group_name(found.group_name)
    if group not in (None, name):
        raise Trouble(f"that is no invitation to {group}, but to {name}", f"Ask for one to {group}")
    return _Door(name, found.service, found.identifier, found.secret)


def _join_by_mail(
    context: click.Context, group: str | None, given: Mapping[str, str | None], *, by_mail: bool
) -> None:
    """Write the mail that asks, or the one that sends the token back, for `sendmail -t`."""
    if not by_mail:
        raise click.UsageError("--out goes with --by-mail", context)
    if group is None or given["invitation"] or given["service"] or given["fingerprint"]:
        raise click.UsageError("with --by-mail give GROUP, --token and --out alone", context)
    using, letter = tools(context), given["token"]
    octets = None if letter is None else read_input(letter)
    with using.alone():
        home, now = using.home, using.now()
        profile = home.profile()
        mode = PUBLIC_MODE
        if octets is None:
            written = mails.asking(profile, group, now=now)
        else:
            token = joining.read_token(octets, home, what=str(letter))
            mode = SECRET_MODE  # who has it could ask in as the owner of the address
            signed, _ = joining.signed_answer(home, using.pin(group), token)
            written = mails.answering(profile, group, signed, token, now=now)
    write_output(given["out"], written, using.terminal, mode=mode)
    using.terminal.note(
        f"Send it from {profile.profile.accounts[0]}, with any mail program or sendmail -t. "
        f"Tell the administrator your fingerprint: {profile.identifier}"
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
