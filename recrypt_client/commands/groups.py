"""`recrypt create`, `key`, `close`, `history`: a group as a whole."""

from collections.abc import Iterator, Sequence

import click

from recrypt_client import (
    by_mail,
    chains,
    closing,
    escrows,
    founding,
    group_keys,
    recovering,
    trails,
    writing,
)
from recrypt_client.changing import Pace
from recrypt_client.commands.frame import (
    PUBLIC_MODE,
    Command,
    GroupName,
    Tools,
    read_input,
    read_profile,
    tools,
    write_output,
)
from recrypt_client.errors import Trouble, about
from recrypt_client.founding import Wanted
from recrypt_client.pins import Seen
from recrypt_client.service import Service
from recrypt_client.writing import KnownKey, Told
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
    people = [read_profile(using, name) for name in escrow]
    keys = recovering.escrow_keys(people)
    wanted = Wanted(group, Curve(algorithm), keys, escrows.named_with(people))
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
@click.option("--file", metavar="FILE", help="The key's file, or mail, from the list's -key@.")
@click.option("--out", metavar="FILE", help="Write the group key to FILE, as a JWK.")
@click.pass_context
def key(context: click.Context, /, group: str, out: str | None, **given: str | None) -> None:
    """Fetch and verify the key of GROUP; the group is remembered by its fingerprint.

    With --file nothing is fetched: it takes what a mail to the list's -key address is answered.
    """
    using = tools(context)
    fingerprint = given["fingerprint"]
    with using.alone(needs_keys=False), using.service_of(group, given["service"]) as called:
        known = _taken_key(using, called, group, file=given["file"], fingerprint=fingerprint)
    jwk = known.public.named_jwk()
    if out is not None:
        group_keys.check_open(known.key)
        write_output(out, write_json(jwk) + b"\n", using.terminal, mode=PUBLIC_MODE)
    stated = known.key.document
    trust = "fingerprint" if fingerprint else known.seen.value
    using.terminal.answer(
        {**_known(known), "Trust": trust, "EncryptionKey": jwk},
        f"{group}, at {known.pin.service}",
        f"Fingerprint: {known.pin.identifier}",
        f"Key:         {known.key.udf}, generation {stated.generation}, "
        f"good until {stated.not_after:%Y-%m-%d}",
    )
    using.warn(known.key)
    if stated.closed is not None:
        using.terminal.alarm(f"{group} was closed for good on {stated.closed:%Y-%m-%d}.")
    if known.seen is Seen.FIRST and not fingerprint:
        using.terminal.note(
            "This is trust on first use: compare the fingerprint with the administrator's, "
            "by another way than this service."
        )


def _taken_key(
    using: Tools, called: Service, group: str, *, file: str | None, fingerprint: str | None
) -> KnownKey:
    """Take a group's key from its service, or from a file that came by mail."""
    home, now = using.home, using.now()
    if file is None:
        return writing.fetch_key(home, called, group, fingerprint=fingerprint, now=now)
    octets = read_input(file)
    with about(file):
        told = Told(group, called.url, by_mail.key_in(octets))
    return writing.take_key(home, told, fingerprint=fingerprint, now=now)


def _known(known: KnownKey) -> JsonObject:
    """Give what is known of a group's key, for a program."""
    stated = known.key.document
    return {
        "GroupName": stated.group_name,
        "Identifier": known.pin.identifier,
        "Generation": stated.generation,
        "KeyUDF": known.key.udf,
        "NotAfter": write_time(stated.not_after),
        "Closed": None if stated.closed is None else write_time(stated.closed),
        "Service": known.pin.service,
    }


@click.command(cls=Command, epilog="Example: recrypt close team@lists.example")
@click.argument("group", type=GroupName())
@click.option("--yes", is_flag=True, help="Don't ask whether to.")
@click.pass_context
def close(context: click.Context, group: str, *, yes: bool) -> None:
    """End GROUP for good: nobody can post to it, and nothing of it changes, any more."""
    using = tools(context)
    with using.alone(), using.desk(group) as desk:
        before = chains.current(desk, now=using.now())
        if not before.is_closed:
            closing.check_may_close(desk, before)
    if not before.is_closed:
        for words in _meaning(before):
            using.terminal.note(words)
        _ask(using, group, is_yes=yes)
    with using.alone(), using.desk(group) as desk:
        done = closing.close(desk, chains.current(desk, now=using.now()), Pace(using.now))
    after, closed = done.state, done.state.key.document.closed
    already = "" if done.is_new else " already"
    using.terminal.answer(
        {
            "GroupName": group,
            "Closed": None if closed is None else write_time(closed),
            "Changed": done.is_new,
            "Head": {"seq": after.head.seq, "hash": after.head.hash},
        },
        f"{group} is closed for good{already}",
    )


def _meaning(state: GroupState) -> Iterator[str]:
    """Tell what a group's end means, before it comes."""
    name, keep = state.name, state.policy.keep
    yield (
        f"When {name} is closed nobody can post to it or join it, no member, rule or key of it "
        "changes, and its name isn't given again. That can't be undone."
    )
    yield "What it has taken is sent out still."
    until = (
        f"Members can ask for what they lack for {keep} days (keep), then"
        if keep
        else "Members can't ask for what they lack (keep=0): as soon as that is sent"
    )
    yield f"{until} the service erases its halves of all keys. Administrators keep their own."


def _ask(using: Tools, group: str, *, is_yes: bool) -> None:
    if not (is_yes or using.outside.confirm(f"Close {group} for good?")):
        raise Trouble(
            "nothing was changed, as nobody said yes", "Without a terminal, --yes says it"
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
        before: GroupState | None = None
        for state, change in chains.walk(desk, now=using.now()):
            signer = trails.signer(before or state, change)
            rows.append(_row(state, change, signer))
            changes.append(_stated(state, change, signer))
            before = state
    using.terminal.rows({"Changes": changes}, ("SEQ", "WHEN", "WHO", "WHAT"), rows)


def _row(state: GroupState, change: Change, signer: str) -> tuple[str, str, str, str]:
    issued = f"{change.request.issued:%Y-%m-%d %H:%M}"
    what = [
        change.message.transaction,
        *(f"{who} {status}" for who, status in trails.members(state, change)),
        *trails.parts(change),
    ]
    return str(change.link.seq), issued, signer, " ".join(what)


def _stated(state: GroupState, change: Change, signer: str) -> JsonObject:
    return {
        "Seq": change.link.seq,
        "Hash": change.hash,
        "Issued": write_time(change.request.issued),
        "Signer": change.request.signer,
        "SignedBy": signer,
        "Transaction": change.message.transaction,
        "Members": [
            {"AccountName": who, "Status": status} for who, status in trails.members(state, change)
        ],
        "Parts": [*trails.parts(change)],
    }
