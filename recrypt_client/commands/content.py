"""`recrypt encrypt`, `decrypt`, `seal`, `read`: what is written to a group and read from it."""

from collections.abc import Sequence

import click

from recrypt_client import group_keys, posts, reading, writing
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
from recrypt_client.errors import about
from recrypt_client.pins import Seen
from recrypt_client.reading import Authorship, Bad, Opened, Signed, Unsigned
from recrypt_client.recrypting import Asking
from recrypt_client.writing import KnownKey, Sealed
from recrypt_core.encoding import JsonObject, write_b64url


@click.command(
    cls=Command,
    epilog="Example: recrypt encrypt plan.pdf --to team@lists.example --out plan.mmx",
)
@click.argument("file")
@click.option(
    "--to", "groups", type=GroupName(), multiple=True, required=True, help="Who can read."
)
@click.option("--service", metavar="URL", help="The groups' service.")
@click.option("--out", metavar="FILE.mmx", help="Write to FILE.mmx instead of standard output.")
@click.pass_context
def encrypt(
    context: click.Context,
    file: str,
    groups: Sequence[str],
    service: str | None,
    out: str | None,
) -> None:
    """Encrypt FILE to groups, each with --to; - is standard input."""
    using = tools(context)
    content = read_input(file)
    with using.alone(needs_keys=False):
        keys = [key_to_write_to(using, group, service) for group in dict.fromkeys(groups)]
    write_output(out, writing.encrypt(content, keys), using.terminal, mode=PUBLIC_MODE)


@click.command(cls=Command, epilog="Example: recrypt decrypt message.mmx --out message.eml")
@click.argument("file", metavar="FILE.mmx")
@click.option("--out", metavar="FILE", help="Write to FILE instead of standard output.")
@click.pass_context
def decrypt(context: click.Context, file: str, out: str | None) -> None:
    """Decrypt FILE.mmx, such as an attachment that a list has sent to you; - is standard input.

    What no list has sent you, but is sealed to a group of yours, its service is asked to recrypt.
    It doesn't see what is in it; the group's administrators see that you asked.
    """
    using = tools(context)
    name = "standard input" if file == "-" else file
    octets = read_input(file)
    with using.alone():
        content = reading.decrypt(octets, using.home, _asking(using), what=name)
    write_output(out, content, using.terminal, mode=SECRET_MODE)


@click.command(
    cls=Command, epilog="Example: recrypt seal --to team@lists.example < message.eml > post.eml"
)
@click.option("--to", "group", type=GroupName(), required=True, help="The list.")
@click.option("--from", "author", metavar="ADDRESS", help="Who it is from, if not who it says.")
@click.option("--service", metavar="URL", help="The group's service.")
@click.pass_context
def seal(context: click.Context, group: str, author: str | None, service: str | None) -> None:
    """Make a post of the MIME message on standard input: encrypted, and signed by your profile."""
    using = tools(context)
    message = read_input("-")
    with using.alone():
        known = key_to_write_to(using, group, service)
        sealed = writing.seal_message(message, using.home, known, author=author, now=using.now())
    tell_stranger(using, sealed)
    using.terminal.octets(sealed.post)


@click.command(cls=Command, epilog="Example: recrypt read --text < copy.eml")
@click.argument("file", default="-")
@click.option("--text", is_flag=True, help="As text for a terminal, not as MIME.")
@click.pass_context
def read(context: click.Context, file: str, text: bool) -> None:
    """Decrypt mail that a list or its service sent to you; tell on standard error who wrote it.

    Exits 1 after showing it if its signature is bad, or its author not who it was.
    """
    using = tools(context)
    octets = read_input(file)
    with using.alone():
        opened = reading.read_copy(octets, using.home, _asking(using))
    is_good = _tell_author(using, opened.authorship)
    if using.terminal.is_json:
        using.terminal.answer(_stated(opened))
    elif text:
        with about("the content of the message"):
            using.terminal.text(posts.readable(opened.entity))
    else:
        using.terminal.octets(opened.entity)
    if not is_good:
        context.exit(1)


def _asking(using: Tools) -> Asking:
    return Asking(using.service, using.terminal.waiting, using.now())


def tell_stranger(using: Tools, sealed: Sealed) -> None:
    """Warn who writes under an address that the own profile doesn't have."""
    if sealed.stranger is not None:
        using.terminal.note(
            f"Readers will be told that {sealed.stranger} is not in the profile that signed this: "
            "write from an address of yours"
        )


def key_to_write_to(using: Tools, group: str, service: str | None) -> KnownKey:
    """Get the key of a group that goes on; tell what is to be known of it.

    Raises:
        Trouble: if it can't be had, or isn't good.
    """
    with using.service_of(group, service) as called:
        known = writing.fetch_key(using.home, called, group, fingerprint=None, now=using.now())
    group_keys.check_open(known.key)
    if known.seen is Seen.FIRST:
        using.tell_first_use(known.pin)
    using.warn(known.key)
    return known


def _tell_author(using: Tools, authorship: Authorship) -> bool:
    """Tell who wrote a message; False if something is wrong with it."""
    match authorship:
        case Bad(reason):
            using.terminal.alarm(f"BAD SIGNATURE: {reason}. Don't believe who it is from.")
            return False
        case Unsigned(says, is_personal):
            to = " and sealed to you, not to a list" if is_personal else ""
            using.terminal.note(f"not signed{to}: says {says or 'nothing'}, not proven")
            return True
        case Signed():
            return _tell_signed(using, authorship)


def _tell_signed(using: Tools, author: Signed) -> bool:
    known = author.standing
    who = f"{author.name} <{author.address}>" if author.name else author.address
    since = "first seen now" if known.since is None else f"known since {known.since:%Y-%m-%d}"
    if known.other is not None:
        using.terminal.alarm(
            f"ANOTHER AUTHOR: signed by {author.identifier}, but {author.address} was "
            f"{known.other} ({since}). Ask the author by another way."
        )
    else:
        using.terminal.note(f"signed by {who} {author.identifier} ({since})")
    if author.says is not None:
        using.terminal.alarm(f"FROM IS NOT THE AUTHOR: it says {author.says}.")
    if author.is_replay:
        using.terminal.alarm("REPLAY: a message with this id was read before, in another envelope.")
    return known.other is None and author.says is None


def _stated(opened: Opened) -> JsonObject:
    """Give a message and its author for a program."""
    author = opened.authorship
    value: JsonObject = {"Content": write_b64url(opened.entity)}
    match author:
        case Bad(reason):
            return {"Signature": "bad", "Reason": reason, **value}
        case Unsigned(says, is_personal):
            return {"Signature": "none", "Says": says, "Personal": is_personal, **value}
        case Signed():
            since = author.standing.since
            return {
                "Signature": "good",
                "Identifier": author.identifier,
                "AccountName": author.address,
                "KnownSince": None if since is None else f"{since:%Y-%m-%dT%H:%M:%SZ}",
                "KnownAs": author.standing.other or author.identifier,
                "FromSays": author.says,
                "Replay": author.is_replay,
                **value,
            }
