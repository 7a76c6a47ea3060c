"""Commands that look after a store: queue, lists, back-ups, the vault's key (spec §11)."""

import asyncio
import fcntl
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from listserver import letters_cli
from listserver.app import StartError, open_vault
from listserver.config import Config
from listserver.edges.clock import SystemClock
from listserver.edges.sqlite import open_store
from listserver.edges.sqlite_upkeep import QueuedPost, Upkeep, copy_store, open_upkeep
from listserver.model import PostId
from listserver.options import failed, load_config, table, with_config
from listserver.rotation import rotate_key
from listserver.vault import Vault
from recrypt_core.encoding import JsonObject, write_json, write_time
from recrypt_core.errors import RecryptError

_HEADS: Final = (
    "POST", "LIST", "ACCEPTED", "WAITING", "UNDER WAY", "PUT OFF", "GIVEN UP", "HELD",
)  # fmt: skip
_UNREADABLE: Final = "(can't be read)"
_POST: Final = click.IntRange(1, 2**48)  # ids of posts: see listserver.tokens
_PART: Final = re.compile(r"store-\d{8}T\d{6}Z\.part(-journal|-shm|-wal)?", re.ASCII)
_SHOW: Final = "`listserver queue` shows what there is"


@click.group(invoke_without_command=True)
@click.option("--json", "is_json", is_flag=True, help="For programs: one JSON object.")
@with_config
@click.pass_context
def queue(context: click.Context, config_file: Path | None, *, is_json: bool) -> None:
    """Show posts that have copies to deliver, or failed ones. Never whose.

    Below them stands mail for the operator that was given up.

    Example: listserver queue --config /var/lib/listserver/listserver.toml
    """
    if context.invoked_subcommand is not None:
        given = {"config_file": config_file}
        context.default_map = dict.fromkeys(("show", "retry", "drop"), given)
        return
    with _store(config_file) as store:
        posts, letters = store.queue(SystemClock().now()), store.letters.all()
    if is_json:
        shown = [letters_cli.as_json(letter) for letter in letters]
        click.echo(write_json({"posts": [_as_json(post) for post in posts], "letters": [*shown]}))
        return
    if posts:
        table([_HEADS, *(_row(post) for post in posts)])
    if letters:
        table([letters_cli.HEADS, *(letters_cli.row(letter) for letter in letters)])
    if not posts and not letters:
        click.echo("The queue is empty.")


@queue.command()
@click.argument("post", type=_POST)
@with_config
def show(post: int, config_file: Path | None) -> None:
    """Show more of one post. Attempts, when the next is due, the codes of refusals.

    Peers' words may name an address, so of them only the codes are shown, and how many.

    Example: listserver queue show 3
    """
    with _store(config_file) as store:
        found = store.queue(SystemClock().now(), PostId(post))
        codes = store.codes(PostId(post))
    if not found:
        raise failed(f"there is no post {post} in the queue: {_SHOW}")
    click.echo("\n".join(_words(found[0], codes)))


@queue.command()
@click.argument("post", metavar="POST|all|LETTER|letters")
@with_config
def retry(post: str, config_file: Path | None) -> None:
    """Try given-up and held copies again now. Of one post or of all; or held letters.

    A server that runs does so within half a minute.

    Example: listserver queue retry all
    """
    if letters_cli.means_letters(post):
        with _store(config_file) as store:
            click.echo(letters_cli.retry(store.letters, post, SystemClock().now()))
        return
    which = None if post == "all" else _post_id(post)
    with _store(config_file) as store:
        now = SystemClock().now()
        if which is not None:
            _check_retriable(which, store.queue(now, which))
        done = store.retry(which, now)
    click.echo(f"In the queue again: copies {done.deliveries}, whole posts {done.posts}.")
    if done.erased:
        click.echo(f"Given up for good: copies {done.erased}, as their posts are erased already.")


@queue.command()
@click.argument("post", metavar="POST|LETTER|letters")
@click.option("--yes", is_flag=True, help="Don't ask.")
@with_config
def drop(post: str, config_file: Path | None, *, yes: bool) -> None:
    """End what is queued of a post, and erase it. Or letters that are held.

    Example: listserver queue drop 3 --yes
    """
    if letters_cli.means_letters(post):
        with _store(config_file) as store:
            _confirm(f"Drop {post}", given=yes)
            click.echo(letters_cli.drop(store.letters, post))
        return
    which = _post_id(post)
    with _store(config_file) as store:
        now = SystemClock().now()
        found = store.queue(now, which)
        if not found:
            raise failed(f"there is no post {post} in the queue: {_SHOW}")
        _confirm(f"Drop {', '.join(_counts(found[0]))} of post {post}", given=yes)
        dropped = store.drop(which, now)
    if dropped is None:
        raise failed(f"post {post} has just left the queue: nothing is changed")
    click.echo(f"Dropped: copies {dropped.deliveries} of post {post}.")
    if dropped.under_way:
        click.echo(
            f"Under way: copies {dropped.under_way}, which may still arrive."
            " The server erases the post when they have ended."
        )


@click.command()
@click.argument("address")
@with_config
def suspend(address: str, config_file: Path | None) -> None:
    """Stop the list ADDRESS for a while. Posts are put off, and no post is sent.

    Senders' mail servers try again, for days; what the list has taken already waits. Its
    administrators can go on with it. A server that runs does so at once.

    Example: listserver suspend team@lists.example
    """
    with _store(config_file) as store:
        done = _of_a_list(address, store.suspend(address, SystemClock().now()))
    click.echo(
        f"{address} is stopped: copies that are under way may still arrive."
        f" Let it go on with `listserver resume {address}`."
        if done
        else f"{address} is stopped already."
    )


@click.command()
@click.argument("address")
@with_config
def resume(address: str, config_file: Path | None) -> None:
    """Let the list ADDRESS go on, that was stopped. What has waited is sent.

    A server that runs begins within half a minute.

    Example: listserver resume team@lists.example
    """
    with _store(config_file) as store:
        done = _of_a_list(address, store.resume(address, SystemClock().now()))
    click.echo(f"{address} goes on." if done else f"{address} wasn't stopped.")


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@with_config
def backup(folder: Path, config_file: Path | None) -> None:
    """Copy the store into DIR, while the server runs too. Never the vault key.

    Example: listserver backup /var/backups/listserver
    """
    config = load_config(config_file)
    now = SystemClock().now()
    copy = folder / f"store-{now:%Y%m%dT%H%M%SZ}.db"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _copy(config, copy)
    except OSError as problem:
        raise failed(f"no back-up was made: {problem}") from problem
    click.echo(
        f"Copied the store to {copy}.\n"
        f"The vault key {config.vault.key_file} isn't in it, and the copy can't be read without:"
        " keep the key where the copies are not."
    )


@click.command("rotate-vault-key")
@with_config
def rotate_vault_key(config_file: Path | None) -> None:
    """Seal the store under a new key. The server must be stopped.

    Example: listserver rotate-vault-key --config /var/lib/listserver/listserver.toml
    """
    config = load_config(config_file)
    vault = _checked(config, alone=True)
    try:
        unread = rotate_key(config, vault, lambda _step: None)
    except (OSError, RecryptError) as problem:
        # If it was committed, the next command finishes it.
        raise failed(f"the change of the vault key broke off: {problem}: try again") from problem
    click.echo(
        f"The store opens with a new key, in {config.vault.key_file}. Keep a copy of it apart from"
        " this machine.\nKeep the old key for as long as back-ups of before are kept: they open"
        " with it alone."
    )
    if unread:
        click.echo(f"Rows that are damaged, and stayed as they are: {unread}.")


def _of_a_list(address: str, done: bool | None) -> bool:
    if done is None:
        raise failed(f"there is no list {address!r} here: `listserver lists` shows what there is")
    return done


def _check_retriable(post: PostId, found: tuple[QueuedPost, ...]) -> None:
    if not found:
        raise failed(f"there is no post {post} in the queue: {_SHOW}")
    if found[0].dropped:
        raise failed(f"post {post} was dropped: it is erased when what is under way has ended")


def _post_id(text: str) -> PostId:
    if not re.fullmatch(r"[1-9]\d{0,14}", text, re.ASCII):
        raise click.BadParameter(f"{text!r} is no number of a post, nor a word that fits")
    return PostId(int(text))


@contextmanager
def _store(config_file: Path | None) -> Iterator[Upkeep]:
    config = load_config(config_file)
    vault = _checked(config)
    try:
        with open_upkeep(config.store.file, vault) as store:
            yield store
    except OSError as problem:
        raise failed(str(problem)) from problem


def _checked(config: Config, *, alone: bool = False) -> Vault:
    """Find the store to be there, of this version, and the key's; an older one is upgraded."""
    file = config.store.file
    try:
        is_there = Path(file).is_file()
    except OSError as problem:
        raise failed(f"the store {file} can't be looked at: {problem.strerror}") from problem
    if not is_there:
        raise failed(f"there is no store {file}: restore it, or make one with `listserver init`")
    try:
        vault = open_vault(config)
        asyncio.run(_open_and_close(config, vault, alone=alone))
    except (OSError, StartError, RecryptError) as problem:
        raise failed(str(problem)) from problem
    return vault


async def _open_and_close(config: Config, vault: Vault, *, alone: bool) -> None:
    store = await open_store(config.store.file, vault, alone=alone)
    await store.close()


def _copy(config: Config, copy: Path) -> None:
    """Copy the store, under another name until all of it is on the disk; one copy after the other.

    What others left that were killed is erased, if the folder can be locked: a network disk's can't
    always.
    """
    folder = os.open(copy.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_EX)
            _erase_parts(copy.parent)
        _write_copy(config, copy)
        os.fsync(folder)
    finally:
        os.close(folder)


def _erase_parts(folder: Path) -> None:
    for each in folder.iterdir():
        if _PART.fullmatch(each.name):
            each.unlink()


def _write_copy(config: Config, copy: Path) -> None:
    if copy.exists():
        raise OSError(f"{copy} is there already")
    part = copy.with_suffix(".part")
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        copy_store(config.store.file, part)
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        part.rename(copy)
    finally:
        part.unlink(missing_ok=True)


def _confirm(what: str, *, given: bool) -> None:
    if given:
        return
    if not sys.stdin.isatty():
        raise failed("this can't be undone: say --yes")
    if not click.confirm(f"{what}? This can't be undone", err=True):
        raise failed("nothing is changed")


def _row(post: QueuedPost) -> tuple[str, ...]:
    counts = (post.waiting, post.under_way, post.put_off, post.given_up)
    held = f"{post.held}, all stopped" if post.stopped else f"{post.held}"
    where = post.list_address or _UNREADABLE
    if post.list_stopped:
        where = f"{where} (stopped)"
    return (f"{post.id}", where, _accepted(post), *map(str, counts), held)


def _accepted(post: QueuedPost) -> str:
    return _UNREADABLE if post.accepted is None else write_time(post.accepted)


def _counts(post: QueuedPost) -> tuple[str, ...]:
    return (
        f"waiting {post.waiting}",
        f"under way {post.under_way}",
        f"put off {post.put_off}",
        f"given up {post.given_up}",
        f"held {post.held}",
    )


def _words(post: QueuedPost, codes: dict[str, int]) -> Iterator[str]:
    where = post.list_address or _UNREADABLE
    yield f"post {post.id} to {where}, accepted {_accepted(post)}"
    yield f"copies: {', '.join(_counts(post))}"
    if post.due is not None:
        yield f"next: {write_time(post.due)}; attempts so far: {post.attempts} at most"
    if post.list_stopped:
        yield "its list is stopped by `listserver suspend`: what is open waits"
    if codes:
        each = (f"{code or 'no code'}: {count}" for code, count in sorted(codes.items()))
        yield f"given up by code: {', '.join(each)}"
    if post.erased:
        yield "erased: it can't be tried again"
    if post.stopped and post.list_address is None:
        yield "all stopped: its row can't be read (a damaged store?)"
    elif post.stopped:
        yield "all stopped: copies of it can't be made, or it was dropped while some were under way"


def _as_json(post: QueuedPost) -> JsonObject:
    times = {"accepted": post.accepted, "due": post.due}
    written = {name: time and write_time(time) for name, time in times.items()}
    return {**asdict(post), **written}
