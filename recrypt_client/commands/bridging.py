"""`recrypt bridge`: lists' mail of any mail program goes out sealed, all else as it is."""

import signal
from functools import partial
from typing import Final, TypedDict, Unpack

import click

from recrypt_client import paths, submitting, writing
from recrypt_client.commands.content import key_to_write_to, tell_stranger
from recrypt_client.commands.frame import Command, Tools, tools
from recrypt_client.commands.syncing import ask_password
from recrypt_client.errors import Trouble
from recrypt_client.mail_servers import MailServer, Security
from recrypt_client.submission import Reply, Submission, refusal
from recrypt_client.submitting import Order, Unsendable
from recrypt_core import _random
from recrypt_core.wire import Document

_PORTS: Final = {Security.TLS: 465, Security.STARTTLS: 587, Security.NONE: 25}
_LETTERS: Final = 32  # of the password, in hexadecimal: 128 bits


class BridgePassword(Document, frozen=True, kw_only=True):
    """What mail programs log in with, at the bridge alone."""

    password: str


class _Given(TypedDict):
    """The options of `recrypt bridge`."""

    upstream: str
    upstream_port: int | None
    user: str | None
    security: str
    password_file: str | None
    listen: str


@click.command(
    cls=Command, epilog="Example: recrypt bridge --upstream smtp.example.org --user alice"
)
@click.option("--upstream", metavar="HOST", required=True, help="The server you send mail by.")
@click.option(
    "--upstream-port",
    type=click.IntRange(1, 65535),
    help="Default: 465; with starttls 587, with none 25.",
)
@click.option("--user", help="Who you are there, if it asks.")
@click.option(
    "--security",
    type=click.Choice([each.value for each in Security]),
    default=Security.TLS.value,
    show_default=True,
    help="none is for a server on this machine alone.",
)
@click.option("--password-file", metavar="FILE", help="Its one line is the password; mode 0600.")
@click.option(
    "--listen", default="127.0.0.1:1587", show_default=True, help="For programs on this machine."
)
@click.pass_context
def bridge(context: click.Context, **given: Unpack[_Given]) -> None:
    """Send mail for any mail program on this machine: sealed, if it is for a list.

    The program is to use 127.0.0.1, port 1587, with a password that is shown at the first
    start. A list that you have met (recrypt key) gets mail sealed and signed by your profile; mail
    for it and for others too is refused, and nothing of it is sent. All other mail goes as it is to
    your own server, whose answer your program hears; unless it answers a list's mail, or quotes
    what recrypt read --view has shown. It ends at SIGINT or SIGTERM.
    """
    import asyncio  # loaded where it is used: it takes a while

    using = tools(context)
    server = _server(given)
    password = ask_password(using, given["password_file"], server) if server.user else ""
    using.home.secrets.unlock()
    asyncio.run(_serve(using, given["listen"], server, password))


def _server(given: _Given) -> MailServer:
    security = Security(given["security"])
    port = given["upstream_port"] or _PORTS[security]
    server = MailServer(given["upstream"], port, given["user"] or "", security)
    server.check()
    return server


async def _serve(using: Tools, listen: str, server: MailServer, password: str) -> None:
    """Listen until a signal comes, then finish what is in hand."""
    import asyncio

    from recrypt_client.smtp_door import SmtpDoor

    host, port = _address(listen)
    own, is_new = _own_password(using)
    door = SmtpDoor(partial(deliver, using, server, password), own)
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    _tell(using, host, await door.open(host, port), own if is_new else None)
    await stop.wait()
    await door.close()


async def deliver(using: Tools, server: MailServer, password: str, given: Submission) -> Reply:
    """Seal a mail or leave it as it is, and hand it to the person's own server."""
    import asyncio

    from recrypt_client import upstream

    try:
        ready = await asyncio.to_thread(_ready, using, given)
    except Trouble as trouble:
        using.terminal.note(f"not sent: {trouble}")
        return refusal(trouble)
    return await upstream.hand_over(ready, server, password)


def _ready(using: Tools, given: Submission) -> Submission:
    """Give what is to go out.

    The addresses in the header count too: a mail to a list and others may come in pieces.

    Raises:
        Trouble: if nothing is.
    """
    order = Order("m", given.recipients, reads_header=True, sender=None)
    found = submitting.list_among(using.home.pins(), submitting.recipients_of(order, given.octets))
    if found is None:
        submitting.check_may_go_in_clear(given.octets, using.home.pins(), given.recipients)
        return given
    with using.alone():
        known = key_to_write_to(using, found.group_name, None)
        try:
            sealed = writing.seal_message(
                given.octets, using.home, known, author=None, now=using.now()
            )
        except Trouble as problem:
            raise Unsendable(problem.what, problem.hint) from problem
    tell_stranger(using, sealed)
    return given.sealed_to(found.group_name, sealed.post)


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise Trouble(f"{listen!r} is no address to listen at", "Give --listen 127.0.0.1:1587")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _own_password(using: Tools) -> tuple[str, bool]:
    """Find the password of the bridge, or draw one; tell whether it is new."""
    with using.alone():
        known = using.home.document(paths.bridge_file(), BridgePassword)
        if known is not None:
            return known.password, False
        made = BridgePassword(password=_random.octets(_LETTERS // 2).hex())
        using.home.keep_document(paths.bridge_file(), made)
        return made.password, True


def _tell(using: Tools, host: str, port: int, password: str | None) -> None:
    """Say how a mail program is set up; the password is shown once."""
    from recrypt_client.smtp_door import USER

    kept = using.home.root / paths.bridge_file()
    using.terminal.answer(
        {"Server": host, "Port": port, "User": USER, "PasswordFile": str(kept)},
        f"Listening at {host}, port {port}. In your mail program, as its outgoing server (SMTP):",
        f"server {host}, port {port}, no encryption (it is on this machine), password by login,",
        f"user {USER}, password {password or f'as it stands in {kept}'}",
    )
