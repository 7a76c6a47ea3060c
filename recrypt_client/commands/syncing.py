"""`recrypt sync`: list mail of an IMAP account, decrypted, in a Maildir for any program."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, NoReturn, TypedDict, Unpack

import click

from recrypt_client import reading
from recrypt_client.commands.frame import Command, Tools, tools
from recrypt_client.commands.watching import until_stopped
from recrypt_client.errors import Trouble, about, is_passing
from recrypt_client.mail_servers import MailServer, Security, read_password
from recrypt_client.maildirs import Maildir
from recrypt_client.plain_mail import plain_mail
from recrypt_client.recrypting import Asking
from recrypt_client.syncing import UNREAD, Event, Sync

AGAIN: Final = timedelta(hours=1)  # between two tries of what couldn't be read, while it goes on
_PORTS: Final = {Security.TLS: 993, Security.STARTTLS: 143, Security.NONE: 143}


class _Given(TypedDict):
    """The options of `recrypt sync`."""

    host: str
    user: str
    port: int | None
    security: str
    password_file: str | None
    folder: str
    store_plaintext: bool
    every: int | None


@click.command(
    cls=Command,
    epilog="Example: recrypt sync ~/Mail/lists --host imap.example.org --user alice "
    "--store-plaintext",
)
@click.argument("maildir")
@click.option("--host", required=True, help="Your IMAP server.")
@click.option("--user", required=True, help="Who you are there.")
@click.option("--port", type=click.IntRange(1, 65535), help="Default: 993; with starttls 143.")
@click.option(
    "--security",
    type=click.Choice([each.value for each in Security]),
    default=Security.TLS.value,
    show_default=True,
    help="none is for a server on this machine alone.",
)
@click.option("--password-file", metavar="FILE", help="Its one line is the password; mode 0600.")
@click.option("--folder", default="INBOX", show_default=True, help="The folder that is read.")
@click.option("--store-plaintext", is_flag=True, help="Yes, store what is decrypted on this disk.")
@click.option(
    "--every",
    type=click.IntRange(1, 1440),
    metavar="MINUTES",
    help="Go on, and look again so often, until SIGINT or SIGTERM.",
)
@click.pass_context
def sync(context: click.Context, maildir: str, **given: Unpack[_Given]) -> None:
    """Add to MAILDIR what lists have sent to your account, DECRYPTED: it lies there in clear.

    Whoever gets at the disk, or a back-up of it, reads that. Each mail is added once; the field
    Recrypt-Author says who wrote it, and answers go to the list. What can't be read is told, and
    tried again the next time. Nothing is changed in the account, and no other mail is fetched.
    """
    using = tools(context)
    if not given["store_plaintext"]:
        raise Trouble(
            f"recrypt sync stores your lists' mail UNENCRYPTED in {maildir}",
            "If that is what you want, say so with --store-plaintext",
        )
    server = _server(given)
    password = ask_password(using, given["password_file"], server)
    using.home.secrets.unlock()
    job = _Job(using, server, password, given["folder"], Path(maildir))
    every = given["every"]
    if every is None:
        job.run(again=True)
    else:
        _go_on(job, timedelta(minutes=every))


def _go_on(job: "_Job", every: timedelta) -> None:
    """Look again and again; what couldn't be read is fetched again once in a while alone."""
    tried: datetime | None = None
    with until_stopped(job.using) as wait:
        while True:
            now = job.using.now()
            again = tried is None or now - tried >= AGAIN
            tried = now if again else tried
            try:
                job.run(again=again)
            except Trouble as trouble:
                if not is_passing(trouble):
                    raise
                job.using.terminal.note(f"{trouble}. Looking again in {every}")
            if wait(every.total_seconds()):
                return


def ask_password(using: Tools, file: str | None, server: MailServer) -> str:
    """Get the password of an account: from a file, else from the person.

    Raises:
        Trouble: if there is neither.
    """
    if file is not None:
        return read_password(file)
    typed = using.outside.prompt(f"Password of {server.user} at {server}")
    if not typed:
        raise Trouble(
            f"{server}: a password is needed, and there is no terminal to ask for it",
            "Write it to a file that is yours alone, and name that with --password-file",
        )
    return typed


def _server(given: _Given) -> MailServer:
    security = Security(given["security"])
    server = MailServer(given["host"], given["port"] or _PORTS[security], given["user"], security)
    server.check()
    return server


@dataclass(frozen=True, slots=True)
class _Job:
    """What is read where, and where to it is written."""

    using: Tools
    server: MailServer
    password: str = field(repr=False)
    folder: str
    root: Path

    def run(self, *, again: bool) -> None:
        """Look once; what was done is told also if something failed then."""
        from recrypt_client import accounts  # loaded where it is used: it takes a while

        maildir = Maildir(self.root)
        name = f"{self.server.user} {self.server} {self.folder}"
        events, is_done = list[Event](), False
        try:
            with (
                maildir.alone(),
                self.using.terminal.waiting(f"Reading {self.folder} at {self.server}"),
                accounts.open_folder(self.server, self.password, self.folder) as source,
            ):
                made = Sync(source, maildir, name, read=partial(_read, self.using))
                for event in made.run(again=again):
                    events.append(event)
            is_done = True
        finally:
            if is_done or events:
                _tell(self.using, self.root, events)


def _read(using: Tools, octets: bytes) -> bytes:
    """Open a mail. No service is asked: whoever writes to the account could have that done."""
    with using.alone():
        asking = Asking(_ask_nobody, using.terminal.waiting, using.now())
        opened = reading.read_copy(octets, using.home, asking)
        pins = (pin for pin in using.home.pins() if opened.group_key is not None)
        group = next((pin.group_name for pin in pins if pin.is_key(opened.group_key or "")), None)
    with about("the content of the message"):
        return plain_mail(octets, opened, group)


def _ask_nobody(_url: str) -> NoReturn:
    raise Trouble(
        "it holds no recryption for you",
        "Open it with recrypt read, which asks the list's service",
    )


def _tell(using: Tools, root: Path, events: Sequence[Event]) -> None:
    unread = [each.words for each in events if each.what == UNREAD]
    for words in unread:
        using.terminal.note(words)
    added = len(events) - len(unread)
    using.terminal.answer(
        {"Maildir": str(root), "Added": added, "Unread": [*unread]},
        f"{added} added to {root}, in clear"
        + (f"; {len(unread)} can't be read yet" if unread else ""),
    )
