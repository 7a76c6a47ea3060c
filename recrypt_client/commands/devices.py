"""`recrypt profile devices`: one profile on several machines, each with private keys of its own."""

import click

from recrypt_client import devices as flows
from recrypt_client import publishing
from recrypt_client.commands.frame import (
    PUBLIC_MODE,
    Group,
    Tools,
    may_have_none,
    read_input,
    tools,
    write_output,
)
from recrypt_client.devices import Device
from recrypt_client.errors import Trouble, about
from recrypt_core.encoding import JsonObject, JsonValue, write_json
from recrypt_core.keys import PublicKey
from recrypt_core.signature_keys import SignaturePublicKey
from recrypt_core.wire import to_json


@click.group(
    cls=Group, invoke_without_command=True, epilog="Example: recrypt profile devices --json"
)
@click.pass_context
def devices(context: click.Context) -> None:
    """Show the devices of your profile, each by its code; or make, add and revoke one."""
    if context.invoked_subcommand is not None:
        return
    using = tools(context)
    with using.alone():
        found = flows.of(using.home.profile().profile)
        here = [each.is_at(using.home) for each in found]
        untold = publishing.untold(using.home)
    for group in () if untold is None else untold.group_names:
        using.terminal.alarm(f"{group} WASN'T TOLD of your newest profile: {_publish(group)}")
    value: JsonObject = {
        "Devices": [
            {**_stated(device), "Here": is_here}
            for device, is_here in zip(found, here, strict=True)
        ]
    }
    rows = [
        (each.code, "this one" if is_here else "", _udf(each.encryption), _udf(each.signature))
        for each, is_here in zip(found, here, strict=True)
    ]
    using.terminal.rows(value, ("CODE", "HERE", "ENCRYPTION KEY", "SIGNATURE KEY"), rows)


@devices.command(epilog="Example: recrypt profile devices new laptop.json")
@click.argument("file")
@may_have_none
@click.pass_context
def new(context: click.Context, file: str, no_passphrase: bool) -> None:
    """Make keys for this machine; FILE asks to add it to your profile, elsewhere.

    FILE holds public keys alone. Compare the code on the other machine; a repeat gives the same.
    """
    using = tools(context)
    passphrase = using.passphrase_of_new_home(no_passphrase=no_passphrase)
    with using.alone():
        if passphrase is not None and not using.home.has_profile():
            using.home.secrets.seal(passphrase, using.outside.cost)
        request = flows.ask(using.home)
    write_output(file, write_json(to_json(request)) + b"\n", using.terminal, mode=PUBLIC_MODE)
    code = request.device.code
    if file == "-":
        using.terminal.note(f"The code of this device is {code}")
        return
    using.terminal.answer(
        {"File": file, **_stated(request.device), "Home": str(using.home.root)},
        f"The code of this device is {code}",
        f"Where your profile is: recrypt profile devices add {file}",
    )


@devices.command(epilog="Example: recrypt profile devices add laptop.json")
@click.argument("file")
@click.option("--code", metavar="CODE", help="What the new device shows; else you are asked.")
@click.pass_context
def add(context: click.Context, file: str, code: str | None) -> None:
    """Add the device that asks by FILE to your profile: if the new one shows the same code.

    The services of the groups that you are in are told; their administrators take it in. It needs
    the profile's master key, which is where the profile was made.
    """
    using = tools(context)
    octets = read_input(file)
    with about(file):
        device = flows.read_request(octets)
    using.home.profile()
    _check_code(using, device, code)
    with using.alone():
        made = flows.add(using.home, device, now=using.now())
        value = published(using)
    using.terminal.answer(
        {"Identifier": made.identifier, **_stated(device), **value},
        f"{device.code} is a device of {made.identifier} now",
        "For it, and your other devices: recrypt profile show --out FILE here, recrypt profile "
        "import FILE there",
    )
    using.terminal.note(
        "It reads a group once an administrator has taken it in: recrypt refresh GROUP"
    )


@devices.command(epilog="Example: recrypt profile devices revoke MBWMZ-A7GMP-GFSEZ-I5RRR")
@click.argument("code")
@click.pass_context
def revoke(context: click.Context, code: str) -> None:
    """Take the device of this CODE from your profile: one that was lost, or is used no more.

    The services of the groups that you are in are told; it reads on until their administrators
    take that in. It needs the profile's master key, which is where the profile was made, or an
    export of it imported. If that leaves this home without keys, it has fresh ones. If it is cut
    off, the same command goes on; exit status 1 if no service took it.
    """
    using = tools(context)
    with using.alone():
        done = flows.revoke(using.home, code, now=using.now())
        identifier = using.home.profile().identifier
        value = published(using)
    fresh = None if done.fresh is None else done.fresh.code
    using.terminal.answer(
        {"Identifier": identifier, **_stated(done.device), "FreshCode": fresh, **value},
        f"{done.device.code} is no device of {identifier} any more",
        *([] if fresh is None else [f"this home has fresh keys in its place: {fresh}"]),
        "For your other devices: recrypt profile show --out FILE here, recrypt profile import "
        "FILE there",
    )
    using.terminal.note(
        "It reads a group until an administrator has taken that in: recrypt refresh GROUP"
    )
    if fresh is not None:
        using.terminal.note(
            "A home that the keys were exported from or to has the profile's master key too: if a "
            "stranger has it, with its passphrase or without one, only a new profile helps"
        )
    if value["NotSent"] != value["Unknown"] and not value["Sent"]:
        context.exit(1)


def _check_code(using: Tools, device: Device, code: str | None) -> None:
    """Let a person compare the code of a request with what the new device shows."""
    if code is None:
        is_same = using.outside.confirm(f"Does the new device show {device.code}?")
        if is_same is None:
            raise Trouble(
                f"the code of the device is {device.code}, and there is no terminal to ask whether "
                "it shows the same",
                "Give what it shows with --code CODE",
            )
    else:
        is_same = device.is_named(code)
    if not is_same:
        raise Trouble(
            "THE REQUEST IS NOT THE NEW DEVICE'S: it has another code",
            "Nothing was changed. Bring the file over once more, by another way",
        )


def published(using: Tools) -> JsonObject:
    """Send the profile to the services of the groups that are known; tell which have it."""
    sent: list[JsonValue] = []
    unsent: list[JsonValue] = []
    unknown: list[JsonValue] = []
    for pin in using.home.pins():
        if pin.service in sent:
            continue
        later = _publish(pin.group_name)
        try:
            with using.desk(pin.group_name) as desk:
                is_sent = publishing.tell(desk, now=using.now())
        except Trouble as trouble:
            using.terminal.alarm(f"{pin.group_name} WASN'T TOLD: {trouble}. Later: {later}")
            is_sent = False
        else:
            if not is_sent:
                using.terminal.alarm(
                    f"{pin.group_name} WASN'T TOLD: {pin.service} doesn't know you as a member. If "
                    f"you are one: {later}"
                )
                unknown.append(pin.group_name)
        if is_sent:
            sent.append(pin.service)
        else:
            unsent.append(pin.group_name)
    return {"Sent": sent, "NotSent": unsent, "Unknown": unknown}


def _publish(group: str) -> str:
    return f"recrypt profile publish {group}"


def _stated(device: Device) -> JsonObject:
    return {
        "Code": device.code,
        "EncryptionKeyUDF": _udf(device.encryption) or None,
        "SignatureKeyUDF": _udf(device.signature) or None,
    }


def _udf(key: PublicKey | SignaturePublicKey | None) -> str:
    return "" if key is None else key.udf
