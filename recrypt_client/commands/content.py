"""`recrypt encrypt`, `decrypt`, `seal`, `read`: what is written to a group and read from it."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import click

from recrypt_client import group_keys, mail, reading, showing, writing
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
from recrypt_client.errors import Trouble, about
from recrypt_client.files import replace_file
from recrypt_client.home import Home
from recrypt_client.pins import Seen
from recrypt_client.reading import Bad, Opened, Signed, Unsigned
from recrypt_client.recrypting import Asking
from recrypt_client.showing import Attachment
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
    """Decrypt FILE.mmx, such as an attachment of a list's mail; - is standard input.

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
@click.option("--view", is_flag=True, help="As text for a mail program, who wrote it first.")
@click.option("--attachments", "folder", metavar="FOLDER", help="Save what is attached there.")
@click.pass_context
def read(context: click.Context, file: str, *, text: bool, view: bool, folder: str | None) -> None:
    """Decrypt mail that a list or its service sent to you; tell on standard error who wrote it.

    Exits 1 after showing it if its signature is bad, or its author not who it was. With --view all
    that is to be told is on standard output, and no passphrase is asked for.
    """
    using = tools(context)
    octets = mail.message_in(read_input(file))
    if view:
        using.terminal.text(_viewed(using, octets))
        return
    opened = _opened(using, octets)
    for each in showing.said_of(opened.authorship):
        (using.terminal.alarm if each.is_alarm else using.terminal.note)(each.text)
    with about("the content of the message"):
        if folder is not None:
            _save(using, opened, Path(folder))
        elif using.terminal.is_json:
            using.terminal.answer(_stated(opened))
        elif text:
            using.terminal.text(showing.readable(opened.entity))
        else:
            using.terminal.octets(opened.entity)
    if not showing.is_good(opened.authorship):
        context.exit(1)


def _opened(using: Tools, octets: bytes) -> Opened:
    with using.alone():
        return reading.read_copy(octets, using.home, _asking(using))


def _viewed(using: Tools, octets: bytes) -> str:
    """Give what a mail program shows: also why there is nothing to show."""
    unasked = replace(using.passphrases, prompt=_no_terminal)
    quiet = replace(using, home=Home(using.home.root, unasked.existing))
    try:
        opened = _opened(quiet, octets)
        key = opened.group_key
        pins = (pin for pin in quiet.home.pins() if key is not None and pin.is_key(key))
        group = next((pin.group_name for pin in pins), key)
        with about("the content of the message"):
            return showing.view(opened.entity, opened.authorship, group=group)
    except Trouble as trouble:
        return f"[recrypt: {trouble}]"


def _no_terminal(_words: str, *, twice: bool = False) -> None:
    """Answer no prompt: the terminal is the mail program's."""


def _save(using: Tools, opened: Opened, folder: Path) -> None:
    saved = [str(_save_one(each, folder)) for each in showing.attachments(opened.entity)]
    using.terminal.answer({"Saved": [*saved]}, *saved or ("nothing is attached",))


def _save_one(attachment: Attachment, folder: Path) -> Path:
    """Write a file of its own, over none that is there."""
    name = Path(attachment.name)
    for number in count(1):
        path = folder / (f"{name.stem} ({number}){name.suffix}" if number > 1 else name.name)
        try:
            replace_file(path, attachment.octets, mode=SECRET_MODE, new=True)
        except FileExistsError:
            continue
        except OSError as problem:
            raise Trouble(f"{path}: {problem.strerror}", "Choose another FOLDER") from problem
        return path
    raise AssertionError  # count() has no end


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
