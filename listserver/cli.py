"""The `listserver` command, for operators: one thing done, plain words out (spec §11)."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from listserver.app import StartError, open_vault, serve
from listserver.checkup_cli import check, lists, metrics
from listserver.config import Config, parse_config
from listserver.edges.sqlite import SqliteStore, open_store
from listserver.limits import WORKERS_MOST
from listserver.options import CONFIG_NAME, failed, load_config, with_config
from listserver.store import StoreTrouble
from listserver.upkeep_cli import backup, queue, resume, rotate_vault_key, suspend
from listserver.vault import new_key_line
from recrypt_core import limits
from recrypt_core.documents import VerifiedProfile, verified_profile
from recrypt_core.encoding import read_json
from recrypt_core.errors import RecryptError
from recrypt_core.signing import Jws
from recrypt_core.udf import Udf
from recrypt_core.wire import from_json

WIDTH: Final = 100  # of help, in characters

_TEMPLATE: Final = """\
# Settings of this list server. Every key is described in config/listserver.toml of the project;
# what isn't set here has its default. Relative paths start from this file's folder.

domain = "{domain}"
public_url = "{public_url}"
operator = "postmaster@{domain}"

[smtp]
listen = "127.0.0.1:8025"
lmtp = "127.0.0.1:8024"

[service]
listen = "{service}"

[relay]
host = "127.0.0.1"
port = 25

[store]
url = "sqlite:///store.db"

[vault]
key_file = "vault.key"
"""
_NEXT: Final = """\
Made {folder}.

Next:
  1. Keep a copy of {folder}/vault.key apart from this machine: without it the store can't be read.
  2. Look at {folder}/{config}: where mail goes out ([relay]), where this server listens.
  3. Let somebody create lists, with the profile they send you:
       listserver authorize PROFILE.json --config {folder}/{config}
  4. Run it:
       listserver serve --config {folder}/{config}
  5. See what isn't right yet:
       listserver check --config {folder}/{config}
"""


@click.group(
    context_settings={"max_content_width": WIDTH},
    commands=(lists, suspend, resume, queue, check, metrics, backup, rotate_vault_key),
)
@click.version_option(package_name="recrypt-listserver")
def main() -> None:
    """Run a confidential mailing list server: it relays what it cannot read.

    Example: listserver init /var/lib/listserver --domain lists.example
    """


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--domain", required=True, help="The domain of the lists' addresses.")
@click.option("--public-url", help="The service's address as clients know it [https://DOMAIN].")
def init(folder: Path, domain: str, public_url: str | None) -> None:
    """Make FOLDER with settings, store and vault key.

    Example: listserver init /var/lib/listserver --domain lists.example
    """
    text = _TEMPLATE.format(
        domain=domain.lower(),
        public_url=(public_url or f"https://{domain.lower()}").rstrip("/"),
        service="127.0.0.1:8080",
    )
    try:
        config = parse_config(text, folder.absolute())
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(folder / CONFIG_NAME, text.encode())
        _write_new(Path(config.vault.key_file), new_key_line())
        asyncio.run(_make_store(config))
    except FileExistsError as problem:
        raise failed(f"{problem.filename} is there already: choose another folder") from problem
    except (OSError, RecryptError, StartError) as problem:
        raise failed(f"{folder}: {problem}") from problem
    click.echo(_NEXT.format(folder=folder, config=CONFIG_NAME), nl=False)


@main.command()
@click.argument("profile_file", metavar="PROFILE.json", type=click.Path(path_type=Path))
@with_config
def authorize(profile_file: Path, config_file: Path | None) -> None:
    """Let the holder of a profile create lists here.

    Compare the fingerprint that is printed with its owner, by another way than mail.

    Example: listserver authorize alice.json
    """
    config = load_config(config_file)
    profile = _read_profile(profile_file)
    asyncio.run(_authorize(config, profile))
    click.echo(f"{profile.identifier} ({profile.profile.accounts[0]}) may create lists here.")


@main.command()
@click.argument("profile_file", metavar="PROFILE.json", type=click.Path(path_type=Path))
@with_config
def deauthorize(profile_file: Path, config_file: Path | None) -> None:
    """Take that right away; lists that were created stay.

    Example: listserver deauthorize alice.json
    """
    config = load_config(config_file)
    profile = _read_profile(profile_file)
    if not asyncio.run(_deauthorize(config, profile.identifier)):
        raise failed(f"{profile.identifier} was not authorised here: nothing is changed")
    click.echo(f"{profile.identifier} may no longer create lists here.")


@main.command("serve")
@click.option("--role", type=click.Choice(["all"]), default="all", help="What this process does.")
@click.option(
    "--workers",
    type=click.IntRange(0, WORKERS_MOST),
    help="Processes that carry copies, in place of [relay] workers.",
)
@with_config
def serve_command(
    role: str,  # noqa: ARG001 - one role so far
    workers: int | None,
    config_file: Path | None,
) -> None:
    """Run the server until SIGTERM. It then finishes what is in hand.

    Example: listserver serve --config /var/lib/listserver/listserver.toml
    """
    config = load_config(config_file)
    if workers is not None:
        config = replace(config, relay=replace(config.relay, workers=workers))
    try:
        asyncio.run(serve(config, click.echo))
    except StoreTrouble as problem:
        words = f"the store {config.store.file} can't be used ({problem})"
        raise failed(f"{words}: look at its disk, and for a program that holds it") from problem
    except (StartError, RecryptError, OSError) as problem:
        raise failed(str(problem)) from problem


def _read_profile(file: Path) -> VerifiedProfile:
    try:
        octets = file.read_bytes()
    except OSError as problem:
        raise failed(f"{file} can't be read: {problem.strerror}") from problem
    try:
        return verified_profile(from_json(Jws, read_json(octets, limit=limits.DOCUMENT_OCTETS)))
    except RecryptError as problem:
        raise failed(
            f"{file} is no profile ({problem}): its owner makes one with `recrypt profile show`"
        ) from problem


async def _open(config: Config) -> SqliteStore:
    try:
        return await open_store(config.store.file, open_vault(config))
    except (OSError, StartError, RecryptError) as problem:
        raise failed(str(problem)) from problem


async def _make_store(config: Config) -> None:
    store = await open_store(config.store.file, open_vault(config))
    await store.close()


async def _authorize(config: Config, profile: VerifiedProfile) -> None:
    store = await _open(config)
    async with store.begin() as work:
        await work.authorize(profile)
    await store.close()


async def _deauthorize(config: Config, identifier: Udf) -> bool:
    store = await _open(config)
    async with store.begin() as work:
        had = await work.deauthorize(identifier)
    await store.close()
    return had


def _write_new(file: Path, octets: bytes) -> None:
    """Write a file that isn't there yet, for its owner's eyes only."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(octets)
        stream.flush()
        os.fsync(stream.fileno())
