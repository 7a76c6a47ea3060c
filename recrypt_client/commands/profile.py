"""`recrypt profile`: the keys of a person, their passphrase, and the file that moves them."""

from collections.abc import Callable
from typing import TypeAlias

import click

from recrypt_client import devices, exporting, founding, importing, publishing
from recrypt_client.commands import addresses, passphrases
from recrypt_client.commands import devices as device_commands
from recrypt_client.commands.frame import (
    PUBLIC_MODE,
    Group,
    GroupName,
    Tools,
    may_have_none,
    read_input,
    tools,
    write_output,
)
from recrypt_client.errors import Trouble, about
from recrypt_client.files import new_file
from recrypt_client.importing import Imported
from recrypt_core.documents import VerifiedProfile
from recrypt_core.encoding import JsonObject, write_json
from recrypt_core.errors import Malformed
from recrypt_core.keys import Curve
from recrypt_core.mailboxes import parse_address

Body: TypeAlias = Callable[..., None]


def _with_export_passphrase(command: Body) -> Body:
    """Give a command on an exported file the option with that file's passphrase."""
    words = "Whose one line is the exported file's own passphrase; else you are asked."
    return click.option("--export-passphrase-file", "export_file", metavar="FILE", help=words)(
        command
    )


@click.group(
    cls=Group,
    commands=[addresses.address, device_commands.devices],
    epilog="Example: recrypt profile create alice@example.org",
)
def profile() -> None:
    """Make and show your profile, and have it on several machines; seal its private keys."""


@profile.command(epilog="Example: recrypt profile create alice@example.org")
@click.argument("address")
@click.option(
    "--algorithm",
    type=click.Choice([curve.value for curve in Curve]),
    default=Curve.X25519.value,
    show_default=True,
    help="Of the key that others encrypt to.",
)
@may_have_none
@click.pass_context
def create(context: click.Context, address: str, algorithm: str, no_passphrase: bool) -> None:
    """Make a profile for ADDRESS, with new keys; nothing is overwritten.

    On a terminal you are asked for a passphrase that your private keys are sealed under.
    """
    try:
        account = str(parse_address(address))
    except Malformed as problem:
        raise click.BadParameter(str(problem), param_hint="ADDRESS") from problem
    using = tools(context)
    passphrase = using.passphrase_of_new_home(no_passphrase=no_passphrase)
    with using.alone():
        if passphrase is not None and not using.home.has_profile():
            using.home.secrets.seal(passphrase, using.outside.cost)
        made = founding.create_profile(using.home, account, Curve(algorithm), now=using.now())
    using.terminal.answer(
        {
            "Identifier": made.identifier,
            "AccountName": account,
            "Home": str(using.home.root),
            "Sealed": using.home.secrets.is_sealed,
        },
        made.identifier,
    )


@profile.command(epilog="Example: recrypt profile show --out alice.json")
@click.option("--out", metavar="FILE", help="Write to FILE instead of standard output.")
@click.pass_context
def show(context: click.Context, out: str | None) -> None:
    """Give your signed profile, in JSON: administrators need it to add you."""
    using = tools(context)
    signed = using.home.profile().signed
    write_output(out, write_json(signed.json()) + b"\n", using.terminal, mode=PUBLIC_MODE)


@profile.command(epilog="Example: recrypt profile passphrase")
@click.option(
    "--new-passphrase-file",
    "new_file_name",
    metavar="FILE",
    help="Whose one line is the new passphrase; else you are asked, twice.",
)
@click.option("--remove", is_flag=True, help="Store the private keys as they are from now on.")
@click.pass_context
def passphrase(context: click.Context, new_file_name: str | None, remove: bool) -> None:
    """Set, change or remove the passphrase of your private keys: they are sealed under it.

    If it is cut off, one of the two passphrases opens everything: give the command again.
    """
    if remove and new_file_name is not None:
        raise click.UsageError("Either --remove or --new-passphrase-file.", context)
    using = tools(context)
    using.home.profile()
    was_sealed = using.home.secrets.unlock() is not None
    if remove:
        with using.alone():
            using.home.secrets.unseal()
        done = (
            "removed: private keys are stored as they are" if was_sealed else "not set: no change"
        )
    else:
        new = passphrases.new(
            new_file_name,
            f"New passphrase for the private keys in {using.home.root}",
            option="--new-passphrase-file",
            prompt=using.outside.prompt,
        )
        with using.alone():
            using.home.secrets.seal(new, using.outside.cost)
        done = "changed" if was_sealed else "set: private keys are sealed"
    using.terminal.answer(
        {"Home": str(using.home.root), "Sealed": not remove}, f"The passphrase is {done}."
    )


@profile.command(name="export", epilog="Example: recrypt profile export alice.recrypt")
@click.argument("file")
@_with_export_passphrase
@click.pass_context
def export_(context: click.Context, file: str, export_file: str | None) -> None:
    """Write your profile and all private keys to FILE; what is known of groups and people too.

    It is sealed under a passphrase of its own, and is a back-up, or goes to another machine. An
    existing FILE is not overwritten; - is standard output.
    """
    using = tools(context)
    with using.alone():
        gathered = exporting.gather(using.home)
    passphrase = passphrases.new(
        export_file,
        "Passphrase for the exported file",
        option="--export-passphrase-file",
        prompt=using.outside.prompt,
    )
    octets = exporting.write_export(gathered, passphrase, cost=using.outside.cost, now=using.now())
    if file == "-":
        using.terminal.octets(octets)
        return
    new_file(file, octets)
    using.terminal.answer(
        {
            "File": file,
            "Identifier": gathered.profile.identifier,
            "Keys": len(gathered.keys),
            "Groups": len(gathered.pins),
            "GroupsWithKeys": gathered.groups_with_keys,
        },
        f"{file}: {gathered.profile.profile.accounts[0]}, with {len(gathered.keys)} private keys; "
        f"groups known: {len(gathered.pins)}, administered: {gathered.groups_with_keys}.",
        "Whoever has the file and its passphrase is you: keep them apart.",
    )


@profile.command(name="import", epilog="Example: recrypt profile import alice.recrypt")
@click.argument("file")
@_with_export_passphrase
@may_have_none
@click.pass_context
def import_(
    context: click.Context, file: str, export_file: str | None, no_passphrase: bool
) -> None:
    """Take in the profile in FILE: `recrypt profile export` has written it; - is standard input.

    Where the same profile is already, what either knows is put together, and nothing becomes
    older. Another profile is never overwritten. On one of its other devices FILE is what
    `recrypt profile show` has written.
    """
    using = tools(context)
    octets = read_input(file)
    with about(file):
        own = devices.read_own(octets)
        if own is None:
            exporting.read_sealed(octets)
    if own is not None:
        _take_own(using, own)
        return
    secret = _of_export(using, file, export_file)
    export = exporting.read_export(octets, secret, what=file)
    passphrase = using.passphrase_of_new_home(no_passphrase=no_passphrase)
    with using.alone():
        if passphrase is not None and not using.home.has_profile():
            using.home.secrets.seal(passphrase, using.outside.cost)
        imported = importing.take(using.home, export)
    for address in imported.strangers:
        using.terminal.alarm(
            f"{address} is known here with another fingerprint than in {file}; it was left so. "
            "Ask the author by another way."
        )
    _tell(using, imported, export.profile.identifier)


def _of_export(using: Tools, file: str, export_file: str | None) -> str:
    if export_file is not None:
        return passphrases.read_file(export_file)
    typed = using.outside.prompt(f"Passphrase of {file}")
    if typed is None:
        raise Trouble(
            f"{file} is sealed under a passphrase, and there is no terminal to ask for it",
            "Give it with --export-passphrase-file FILE",
        )
    return typed


def _take_own(using: Tools, own: VerifiedProfile) -> None:
    """Take one's own newer profile, on a device of it; tell what its owner has to compare."""
    with using.alone():
        is_new = not using.home.has_profile()
        is_newer = devices.take(using.home, own, now=using.now())
        found = devices.of(using.home.profile().profile)
        is_device = any(each.is_at(using.home) for each in found)
    if not is_device:
        using.terminal.alarm("This device is none of the profile's any more: it was revoked")
    elif is_new:
        using.terminal.note(
            "Compare the fingerprint with the other machine's. Then meet your groups: "
            "recrypt key GROUP --fingerprint UDF"
        )
    using.terminal.answer(
        {
            "Identifier": own.identifier,
            "ProfileIsNewer": is_newer,
            "IsDevice": is_device,
            "Home": str(using.home.root),
        },
        f"Profile {own.identifier}: {_news(is_newer=is_newer)}",
    )


def _news(*, is_newer: bool) -> str:
    return "new here" if is_newer else "as it was, or older: not changed"


def _tell(using: Tools, imported: Imported, identifier: str) -> None:
    value: JsonObject = {
        "Identifier": identifier,
        "ProfileIsNewer": imported.is_newer,
        "Keys": imported.keys,
        "Groups": [*imported.groups],
        "Contacts": imported.contacts,
        "Strangers": [*imported.strangers],
        "Home": str(using.home.root),
        "Sealed": using.home.secrets.is_sealed,
    }
    using.terminal.answer(
        value,
        f"Profile {identifier}: {_news(is_newer=imported.is_newer)}",
        f"Added: {imported.keys} private keys, {imported.contacts} contacts; "
        f"groups new or known better: {', '.join(imported.groups) or 'none'}.",
    )


@profile.command(epilog="Example: recrypt profile publish team@lists.example")
@click.argument("group", type=GroupName())
@click.pass_context
def publish(context: click.Context, group: str) -> None:
    """Send your profile, as it is now, to the service of GROUP: you are a member of it."""
    using = tools(context)
    with using.alone(), using.desk(group) as desk:
        publishing.publish(desk, now=using.now())
        identifier = using.home.profile().identifier
    using.terminal.answer(
        {"GroupName": group, "Identifier": identifier},
        f"The service of {group} has your profile; its administrators take it in",
    )
