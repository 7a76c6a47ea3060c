"""`recrypt create`, `key`, `history`: a group as a whole."""

from collections.abc import Sequence

import click

from recrypt_client import chains, founding, recovering, trails, writing
from recrypt_client.commands.frame import (
    PUBLIC_MODE,
    Command,
    GroupName,
    read_profile,
    tools,
    write_output,
)
from recrypt_client.founding import Wanted
from recrypt_client.pins import Seen
from recrypt_core.chain import Change, GroupState
from recrypt_core.encoding import JsonObject, JsonValue, write_json, write_time
from recrypt_core.keys import Curve


@click.command(
    cls=Command, epilog="Example: recrypt create team@lists.example --service https://lists.example"
)
@click.argument("group", type=GroupName())
@click.option("--service", metavar="URL", help="The service that is to hold the group.")
@click.option(
    "--algorithm",
    type=click.Choice([curve.value for curve in Curve]),
    default=Curve.X25519.value,
    show_default=True,
    help="Of the group's key.",
)
@click.option(
    "--escrow",
    "escrow",
    metavar="PROFILE.json",
    multiple=True,
    help="Whose keys can restore the group if all its administrators lose theirs.",
)
@click.pass_context
def create(
    context: click.Context,
    group: str,
    service: str | None,
    algorithm: str,
    escrow: Sequence[str],
) -> None:
    """Make GROUP and register it at its service; you are its first member and administrator.

    If it fails half-way, give the same command again: the group keeps its keys.
    """
    using = tools(context)
    keys = recovering.escrow_keys([read_profile(using, name) for name in escrow])
    wanted = Wanted(group, Curve(algorithm), keys)
    with using.alone(), using.service_of(group, service) as called:
        pin = founding.create_group(using.home, called, wanted, now=using.now())
    using.terminal.answer(
        {
            "GroupName": group,
            "Identifier": pin.identifier,
            "KeyUDF": pin.key_udf,
            "Service": pin.service,
            "Head": {"seq": pin.head.seq, "hash": pin.head.hash},
        },
        f"{group} is made, at {pin.service}",
        f"Fingerprint: {pin.identifier}",
        f"Add members with: recrypt add {group} PROFILE.json",
    )
    if escrow:
        using.terminal.note(f"Now write its escrow file: recrypt escrow {group} --out FILE")


@click.command(
    cls=Command,
    epilog="Example: recrypt key team@lists.example --service https://lists.example --out team.jwk",
)
@click.argument("group", type=GroupName())
@click.option("--service", metavar="URL", help="The service to ask.")
@click.option("--fingerprint", metavar="UDF", help="The group's fingerprint, as you were told.")
@click.option("--out", metavar="FILE", help="Write the group key to FILE, as a JWK.")
@click.pass_context
def key(
    context: click.Context,
    group: str,
    service: str | None,
    fingerprint: str | None,
    out: str | None,
) -> None:
    """Fetch the key of GROUP, verify it, and remember the group by its fingerprint."""
    using = tools(context)
    with using.alone(needs_keys=False), using.service_of(group, service) as called:
        known = writing.fetch_key(
            using.home, called, group, fingerprint=fingerprint, now=using.now()
        )
    jwk = known.public.named_jwk()
    if out is not None:
        write_output(out, write_json(jwk) + b"\n", using.terminal, mode=PUBLIC_MODE)
    stated = known.key.document
    using.terminal.answer(
        {
            "GroupName": group,
            "Identifier": known.pin.identifier,
            "Generation": stated.generation,
            "KeyUDF": known.key.udf,
            "NotAfter": write_time(stated.not_after),
            "Service": known.pin.service,
            "Trust": "fingerprint" if fingerprint else known.seen.value,
            "EncryptionKey": jwk,
        },
        f"{group}, at {known.pin.service}",
        f"Fingerprint: {known.pin.identifier}",
        f"Key:         {known.key.udf}, generation {stated.generation}, "
        f"good until {stated.not_after:%Y-%m-%d}",
    )
    using.warn(known.key)
    if known.seen is Seen.FIRST and not fingerprint:
        using.terminal.note(
            "This is trust on first use: compare the fingerprint with the administrator's, "
            "by another way than this service."
        )


@click.command(cls=Command, epilog="Example: recrypt history team@lists.example")
@click.argument("group", type=GroupName())
@click.pass_context
def history(context: click.Context, group: str) -> None:
    """Show the changes of GROUP from its beginning, every one verified."""
    using = tools(context)
    changes: list[JsonValue] = []
    rows = []
    with using.alone(), using.desk(group) as desk:
        for state, change in chains.walk(desk, now=using.now()):
            rows.append(_row(state, change))
            changes.append(_stated(state, change))
    using.terminal.rows({"Changes": changes}, ("SEQ", "WHEN", "WHO", "WHAT"), rows)


def _row(state: GroupState, change: Change) -> tuple[str, str, str, str]:
    issued = f"{change.request.issued:%Y-%m-%d %H:%M}"
    what = [
        change.message.transaction,
        *(f"{who} {status}" for who, status in trails.members(state, change)),
        *trails.parts(change),
    ]
    return str(change.link.seq), issued, trails.signer(state, change), " ".join(what)


def _stated(state: GroupState, change: Change) -> JsonObject:
    return {
        "Seq": change.link.seq,
        "Hash": change.hash,
        "Issued": write_time(change.request.issued),
        "Signer": change.request.signer,
        "SignedBy": trails.signer(state, change),
        "Transaction": change.message.transaction,
        "Members": [
            {"AccountName": who, "Status": status} for who, status in trails.members(state, change)
        ],
        "Parts": [*trails.parts(change)],
    }
