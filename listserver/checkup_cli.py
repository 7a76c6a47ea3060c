"""Commands that only look: at the lists, at the whole installation, at the figures (spec §11)."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from listserver.app import StartError, open_vault
from listserver.config import Config
from listserver.edges.checkup import Finding, Verdict, look_here
from listserver.edges.checkup_network import ask_dns, look_at_relay, look_up
from listserver.edges.checkup_service import NoAnswer, fetch_figures, look_at_service
from listserver.edges.clock import SystemClock
from listserver.edges.sqlite_figures import ListFigures, open_figures, schema
from listserver.options import failed, load_config, table, with_config
from recrypt_core.encoding import JsonObject, write_json, write_time

_HEADS: Final = (
    "LIST", "STATE", "MEMBERS", "RECEIVING", "MAIL OFF", "SUSPENDED", "REVOKED", "KEPT",
    "TO DELIVER", "GIVEN UP", "HELD", "CHANGES", "LAST CHANGE",
)  # fmt: skip
_UNREADABLE: Final = "(can't be read)"


@click.command()
@click.option("--json", "is_json", is_flag=True, help="For programs: one JSON object.")
@with_config
def lists(config_file: Path | None, *, is_json: bool) -> None:
    """Show each list in counts of members, posts and copies. Never who.

    Example: listserver lists --config /var/lib/listserver/listserver.toml
    """
    config = load_config(config_file)
    file = config.store.file
    try:
        vault = open_vault(config)
        with open_figures(file) as store:
            if store.version() != schema():
                raise failed(f"the store {file} is of another version: run `listserver serve` once")
            if not store.is_of(vault):
                words = f"the store {file} was made with another vault key"
                raise failed(f"{words}: look at [vault] key_file")
            found = tuple(store.lists(vault))
    except (OSError, StartError) as problem:
        raise failed(str(problem)) from problem
    if is_json:
        click.echo(write_json({"lists": [_as_json(each) for each in found]}))
    elif found:
        table([_HEADS, *(_row(each) for each in found)])
    else:
        click.echo("There are no lists: `listserver authorize` lets somebody create one.")


@click.command()
@click.option("--no-dns", is_flag=True, help="Don't ask the DNS.")
@click.option("--json", "is_json", is_flag=True, help="For programs: one JSON object.")
@with_config
def check(config_file: Path | None, *, no_dns: bool, is_json: bool) -> None:
    """Look over all that the server needs.

    At settings, files, store, clock, disk, mail server, DNS and certificates. Each line says what
    to do next where something isn't right. Nothing is changed, and no mail is sent. Ends with
    status 1 if anything is wrong.

    Example: listserver check --config /var/lib/listserver/listserver.toml
    """
    config = load_config(config_file)
    findings = []
    for each in _findings(config, dns=not no_dns):
        findings.append(each)
        if not is_json:  # at once, as a peer may take its time
            click.echo(f"{each.verdict.value:6}  {each.check}: {each.words}")
    counts = Counter(each.verdict for each in findings)
    if is_json:
        click.echo(write_json({"findings": [_finding_as_json(each) for each in findings]}))
    if counts[Verdict.WRONG]:
        raise failed(
            f"things that are wrong: {counts[Verdict.WRONG]}: do what their lines say, and check"
            " again"
        )


@click.command()
@with_config
def metrics(config_file: Path | None) -> None:
    """Print the figures of the server that runs. They have the form of Prometheus.

    Example: listserver metrics --config /var/lib/listserver/listserver.toml
    """
    config = load_config(config_file)
    try:
        figures = fetch_figures(config)
    except NoAnswer as problem:
        raise failed(
            f"[service] listen {config.service.listen}: {problem}: run `listserver serve`, and let"
            " [service] metrics be for this machine"
        ) from problem
    click.echo(figures, nl=False)


def _findings(config: Config, *, dns: bool) -> Iterator[Finding]:
    now = SystemClock().now()
    yield Finding("settings", Verdict.OK, ", ".join((*config.domains, config.public_url)))
    yield from look_here(config, now)
    yield from look_at_service(config, now)
    yield look_at_relay(config)
    if dns:
        yield from look_up(config, ask_dns)


def _row(each: ListFigures) -> tuple[str, ...]:
    counts = (each.members, each.receiving, each.mail_off, each.suspended, each.revoked)
    copies = (each.kept, each.unsent, each.given_up, each.held, each.seq)
    changed = _UNREADABLE if each.changed is None else write_time(each.changed)
    head = (each.address or _UNREADABLE, _state(each))
    return (*head, *map(str, counts), *map(str, copies), changed)


def _state(each: ListFigures) -> str:
    words = [*(["closed"] if each.closed else []), *(["stopped"] if each.stopped else [])]
    return ", ".join(words) or "open"


def _as_json(each: ListFigures) -> JsonObject:
    times = {"changed": each.changed, "stopped": each.stopped}
    return {**asdict(each), **{name: time and write_time(time) for name, time in times.items()}}


def _finding_as_json(each: Finding) -> JsonObject:
    return {**asdict(each), "verdict": each.verdict.value}
