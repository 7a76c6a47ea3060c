"""`recrypt escrow`, `recover`: a group outlives the keys of its administrators."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from recrypt_client import chains, paths, recovering
from recrypt_client.chains import Desk
from recrypt_client.changing import Pace
from recrypt_client.commands import restored
from recrypt_client.commands.frame import (
    SECRET_MODE,
    Command,
    GroupName,
    read_input,
    read_profile,
    tools,
    write_output,
)
from recrypt_client.errors import Trouble


@click.command(
    cls=Command, epilog="Example: recrypt escrow team@lists.example notary.json --out team.escrow"
)
@click.argument("group", type=GroupName())
@click.argument("profiles", metavar="[PROFILE.json]...", nargs=-1)
@click.option("--out", metavar="FILE", help="Where to write it; else to standard output.")
@click.pass_context
def escrow(context: click.Context, group: str, profiles: Sequence[str], out: str | None) -> None:
    """Write the escrow file of GROUP: for the owners of its escrow keys to keep.

    With profiles, their EncryptionKeys become the group's escrow keys, in place of those it had.
    With the file, one of them can restore the group when all its administrators have lost their
    keys: recrypt recover. It stays good when the group is rekeyed.
    """
    using = tools(context)
    people = [read_profile(using, name) for name in profiles]
    keys = recovering.escrow_keys(people)
    with using.alone(), using.desk(group) as desk:
        state = chains.current(desk, now=using.now())
        former = state.master.profile.master_escrow_keys
        recovering.name_owners(desk, state, people)
        if keys and keys != former:
            state = recovering.put_in_escrow(desk, state, keys, Pace(using.now))
        octets = recovering.escrow_file(desk, state)
    write_output(out, octets, using.terminal, mode=SECRET_MODE)
    if keys and set(former) - set(keys):
        using.terminal.alarm(
            f"Who owned the former escrow keys has the private keys of {group} still: "
            f"recrypt rekey {group} gives it other ones, but for the master key"
        )


@click.command(cls=Command, epilog="Example: recrypt recover team@lists.example team.escrow")
@click.argument("group", type=GroupName())
@click.argument("file", metavar="FILE")
@click.option("--service", metavar="URL", help="Where the group is, if not where FILE says.")
@restored.options
@click.pass_context
def recover(context: click.Context, group: str, file: str, service: str | None) -> None:
    """Administer GROUP again with its escrow FILE: it is sealed to you, who become SUPER.

    With --accept-restored what was seen of its history and isn't shown any more is forgotten, after
    a yes, as by recrypt verify.
    """
    using = tools(context)
    is_wanted = restored.is_wanted(context)
    with using.alone():
        stated, master = recovering.read_escrow(read_input(file), using.home, what=file)
    if paths.group_name(stated.group_name) != group:
        raise Trouble(f"{file} is for {stated.group_name}", "Give its own group or another file")
    url = service or stated.service

    @contextmanager
    def sit() -> Iterator[Desk]:
        with using.alone(), using.service(url) as called, using.terminal.bars() as told:
            yield Desk(using.home, called, using.pin(group), master, told)

    if is_wanted and using.home.pin(group) is not None:
        restored.accept(context, group, sit)
    with using.alone(), using.service(url) as called, using.terminal.bars() as told:
        pin = recovering.meet_again(using.home, called, group, master, now=using.now())
        desk = Desk(using.home, called, pin, master, told)
        done = recovering.recover(desk, Pace(using.now))
    using.terminal.answer(
        {
            "GroupName": group,
            "Identifier": done.state.identifier,
            "AccountName": done.account,
            "HasKey": done.has_key,
            "OtherAdministrators": [*done.others],
            "Head": {"seq": done.state.head.seq, "hash": done.state.head.hash},
        },
        f"{done.account} is SUPER in {group} now",
        f"Fingerprint: {done.state.identifier}",
        *(f"{who} administers it too, as before" for who in done.others),
    )
    if not done.has_key:
        using.terminal.note(f"The group's private key is lost: recrypt rekey {group} makes another")
    if done.others:
        using.terminal.note(f"Remove who has lost the keys: recrypt delete {group} ADDRESS")
