"""`recrypt join`: asking in, with an invitation or without."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import click

from recrypt_client import by_mail as mails
from recrypt_client import group_keys, inviting, joining, paths, writing
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
from recrypt_client.errors import Trouble
from recrypt_client.joining import Asked
from recrypt_client.pins import Pin, Seen
from recrypt_core import invitations

_ASK: Final = ""  # instead of an invitation: it is asked for
_WHOSE: Final = (
    "If the invitation was sent to another address than {0}, it doesn't count: make that your "
    "first one with recrypt profile address, and join again."
)


@click.command(
    cls=Command, epilog="Example: recrypt join team@lists.example --service https://lists.example"
)
@click.argument("group", type=GroupName(), required=False)
@click.option("--service", metavar="URL", help="The group's service.")
@click.option("--fingerprint", metavar="UDF", help="The group's fingerprint, as you were told.")
@click.option("--token", metavar="FILE", help="The letter that came; - is standard input.")
@click.option(
    "--invitation",
    metavar="[FILE|TOKEN]",
    is_flag=False,
    flag_value=_ASK,
    help="The letter with your invitation, or the line from it; it says which group, and where. "
    "It counts for the address that it was sent to, which has to be your profile's first. Others "
    "on this machine see a TOKEN typed here: give - for standard input, or nothing, and you are "
    "asked.",
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
        using.tell_first_use(known.pin)
    if door.secret is not None:
        using.terminal.note(_WHOSE.format(asked.account))
    _tell(using, asked, known.pin, is_confirmed=token is not None)


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
    found = inviting.read(_invitation(context, text), what="the invitation")
    name = paths.group_name(found.group_name)
    if group not in (None, name):
        raise Trouble(f"that is no invitation to {group}, but to {name}", f"Ask for one to {group}")
    return _Door(name, found.service, found.identifier, found.secret)


def _invitation(context: click.Context, text: str) -> bytes:
    """Give the letter or token that was named, or is typed now, where nobody sees it."""
    if text != _ASK:
        return text.encode() if invitations.is_token(text) else read_input(text)
    typed = tools(context).outside.prompt("Invitation")
    if typed is None:
        raise Trouble(
            "there is no terminal to ask for the invitation on", "Give the letter, or - to read it"
        )
    return typed.encode()


def _join_by_mail(
    context: click.Context, group: str | None, given: Mapping[str, str | None], *, by_mail: bool
) -> None:
    """Write the mail that asks, or the one that sends the token back, for `sendmail -t`."""
    if not by_mail:
        raise click.UsageError("--out goes with --by-mail", context)
    if given["service"] or given["fingerprint"]:
        raise click.UsageError("--by-mail goes without --service and --fingerprint", context)
    using, letter, door = tools(context), given["token"], _door(context, group, given)
    octets = None if letter is None else read_input(letter)
    with using.alone():
        home, now = using.home, using.now()
        profile = home.profile()
        mode = PUBLIC_MODE
        if octets is None:
            proof = joining.proven(door.secret, profile)
            written = mails.asking(profile, door.group, now=now, invitation=proof)
        else:
            token = joining.read_token(octets, home, what=str(letter))
            mode = SECRET_MODE  # who has it could ask in as the owner of the address
            signed, _ = joining.signed_answer(home, using.pin(door.group), token)
            written = mails.answering(profile, door.group, signed, token, now=now)
    write_output(given["out"], written, using.terminal, mode=mode)
    if door.secret is not None:
        using.terminal.note(_WHOSE.format(profile.profile.accounts[0]))
        using.terminal.note(
            f"Its answer needs the list's key, which a mail to its -key address brings: recrypt "
            f"key {door.group} --file FILE --service {door.service} --fingerprint "
            f"{door.fingerprint}"
        )
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
