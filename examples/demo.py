"""Watch a confidential mailing list at work: `make demo`.

Real programs on this machine's loopback: the server, its embedded store, a mail host that keeps
each member's mail in a Maildir, and people with keys of their own. Between them stand taps that
record every octet on the wire. At the end everything that anybody saw is searched for what was
written; the demo fails if it is found where it mustn't be, or isn't read where it must.
"""

import base64
import os
import re
import signal
import smtplib
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeAlias

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import SMTP, Envelope, Session
from rich.console import Console
from rich.table import Table

LIST = "team@lists.example"
FIRST = "The meeting is at nine, behind the old observatory."
SECOND = "This one was sealed by a stock JOSE library."
PEOPLE = {
    "Alice": "alice@example.org",
    "Bob": "bob@example.org",
    "Carol": "carol@example.org",
    "Dave": "dave@example.org",
}
READERS = ("Alice", "Bob", "Carol")
REMOVED = "Dave"
PATIENCE = 15.0  # seconds until mail must have arrived

BIN = Path(sys.executable).parent
HERE = Path(__file__).resolve().parent
say = Console(highlight=False)

Done: TypeAlias = "subprocess.CompletedProcess[bytes]"


@dataclass
class Claims:
    """What the demo says, and whether it held."""

    held: int = 0
    broken: list[str] = field(default_factory=list)

    def check(self, words: str, truth: bool, *, quiet: bool = False) -> None:
        """Show one claim with its result; a quiet one only if it is broken."""
        if truth:
            self.held += 1
        else:
            self.broken.append(words)
        if not truth or not quiet:
            say.print(
                f"  [green]holds[/]   {words}" if truth else f"  [bold red]BROKEN[/]  {words}"
            )


class Tap(socketserver.ThreadingTCPServer):
    """Stands between two programs and records every octet that passes, in both directions."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, target: int) -> None:
        self.target = target
        self.seen = bytearray()
        super().__init__(("127.0.0.1", port), _Passing)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Passing(socketserver.BaseRequestHandler):
    server: Tap

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.target)) as onward:
            back = threading.Thread(target=self._pump, args=(onward, self.request), daemon=True)
            back.start()
            self._pump(self.request, onward)
            back.join()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while octets := source.recv(65536):
                self.server.seen += octets
                target.sendall(octets)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return  # one of the two has gone: so has the conversation


class MailHost:
    """Takes mail for everybody and keeps it in one Maildir an address."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._boxes = {each: Mailbox(folder / each) for each in PEOPLE.values()}

    async def handle_DATA(  # noqa: N802 - aiosmtpd finds and calls it so
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Deliver one message."""
        for address in envelope.rcpt_tos:
            await self._boxes[address].handle_DATA(server, session, envelope)
        return "250 Delivered"

    def copies(self, person: str) -> list[Path]:
        """Find the messages that a person has got."""
        return sorted((self._folder / PEOPLE[person] / "new").iterdir())


@dataclass
class World:
    """Where everything of this demo is."""

    folder: Path
    to_server: Tap
    to_service: Tap
    to_members: Tap
    mail: MailHost

    def home(self, person: str) -> Path:
        """Give the folder of a person's keys."""
        return self.folder / "homes" / person.lower()

    def recrypt(self, person: str, *words: str, text: bytes = b"", fine: bool = True) -> Done:
        """Run `recrypt` as a person."""
        return run("recrypt", *words, home=self.home(person), text=text, fine=fine)

    def things(self) -> dict[str, bytes]:
        """Collect what everybody but the readers could see."""
        seen = {
            "the server's database": b"".join(
                file.read_bytes() for file in sorted((self.folder / "server").glob("store.db*"))
            ),
            "the server's log": (self.folder / "server.log").read_bytes(),
            "wire: posts in": bytes(self.to_server.seen),
            "wire: service": bytes(self.to_service.seen),
            "wire: copies out": bytes(self.to_members.seen),
        }
        for person in PEOPLE:
            copies = (file.read_bytes() for file in self.mail.copies(person))
            seen[f"{person}'s mailbox"] = b"".join(copies)
        return seen


def run(*words: str, home: Path | None = None, text: bytes = b"", fine: bool = True) -> Done:
    """Run one of our commands as a user would; stop if it fails and mustn't."""
    environment = {**os.environ, "RECRYPT_HOME": str(home)}
    done = subprocess.run(  # noqa: S603 - our own programs
        [str(BIN / words[0]), *words[1:]],
        input=text,
        capture_output=True,
        env=environment,
        check=False,
    )
    if fine and done.returncode:
        raise SystemExit(f"{' '.join(words)} failed: {done.stderr.decode()}")
    return done


@contextmanager
def world() -> Iterator[World]:
    """Set everything up on loopback, and take it down again."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="recrypt-demo-")))
        ports = free_ports(6)
        mail = MailHost(folder / "mail")
        controller = Controller(mail, hostname="127.0.0.1", port=ports[0])
        controller.start()
        stack.callback(controller.stop)
        (folder / "homes").mkdir()
        to_server, to_service = Tap(ports[1], ports[2]), Tap(ports[3], ports[4])
        to_members = Tap(ports[5], ports[0])
        for tap in (to_server, to_service, to_members):
            stack.callback(tap.shutdown)
        made = World(folder, to_server, to_service, to_members, mail)
        run("listserver", "init", f"{folder}/server", "--domain", "lists.example",
            "--public-url", f"http://127.0.0.1:{ports[3]}")  # fmt: skip
        configure(folder / "server" / "listserver.toml", ports)
        yield made


def configure(file: Path, ports: list[int]) -> None:
    """Put this demo's ports into the settings, as an operator would with an editor."""
    text = file.read_text()
    for old, new in (
        ("127.0.0.1:8025", f"127.0.0.1:{ports[2]}"),
        ('lmtp = "127.0.0.1:8024"', 'lmtp = ""'),
        ("127.0.0.1:8080", f"127.0.0.1:{ports[4]}"),
        ("port = 25", f"port = {ports[5]}"),
    ):
        text = text.replace(old, new)
    file.write_text(text)


def free_ports(count: int) -> list[int]:
    """Find ports that nobody has, below those that systems give to connections."""
    found: list[int] = []
    for port in range(20_000 + os.getpid() % 8_000, 32_768):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
        if len(found) == count:
            return found
    raise SystemExit("this takes six free ports")


@contextmanager
def serving(made: World) -> Iterator[None]:
    """Run the server, until it has stopped in good order."""
    config = made.folder / "server" / "listserver.toml"
    words: list[Path | str] = [BIN / "listserver", "serve", "--config", config]
    with (made.folder / "server.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log)  # noqa: S603
        try:
            if process.stdout is None or not process.stdout.readline():
                raise SystemExit("the server did not start: see its log")
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)


def together(jobs: list[Callable[[], object]]) -> None:
    """Do several people's things at the same time."""
    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(job) for job in jobs]:
            each.result()


def set_up_people(made: World) -> None:
    """Everybody makes keys; the public part of each is a file that may be sent by mail."""

    def make(person: str) -> None:
        made.recrypt(person, "profile", "create", PEOPLE[person])
        made.recrypt(person, "profile", "show", "--out", str(profile_of(made, person)))

    together([partial(make, person) for person in PEOPLE])


def profile_of(made: World, person: str) -> Path:
    """Name the file of a person's public profile."""
    return made.folder / f"{person.lower()}.json"


def make_list(made: World) -> None:
    """Alice makes the list and adds three; then Dave has to go."""
    say.print("\n[bold]1. A list[/]")
    config = str(made.folder / "server" / "listserver.toml")
    run("listserver", "authorize", str(profile_of(made, "Alice")), "--config", config)
    say.print("   The operator lets Alice create lists.")
    address = f"http://127.0.0.1:{made.to_service.server_address[1]}"
    made.recrypt("Alice", "create", LIST, "--service", address)
    say.print(f"   Alice creates {LIST}. Its private key stays with her.")
    others = [str(profile_of(made, person)) for person in PEOPLE if person != "Alice"]
    made.recrypt("Alice", "add", LIST, *others)
    made.recrypt("Alice", "delete", LIST, PEOPLE[REMOVED])
    say.print("   She adds Bob, Carol and Dave: for each she splits the key anew, half for the")
    say.print("   server, half for the member. Then she removes Dave.")


def post_both(made: World) -> None:
    """Carol posts with our own command, Bob with nothing but a stock JOSE library."""
    say.print("\n[bold]2. Two posts[/]")
    host, port = "127.0.0.1", made.to_server.server_address[1]
    address = f"http://127.0.0.1:{made.to_service.server_address[1]}"
    message = (
        f"From: Carol <{PEOPLE['Carol']}>\nTo: {LIST}\nSubject: Tomorrow\n"
        f"Content-Type: text/plain; charset=utf-8\n\n{FIRST}\n"
    )
    words = ("seal", "--to", LIST, "--service", address)
    post = made.recrypt("Carol", *words, text=message.encode()).stdout
    with smtplib.SMTP(host, port) as session:
        session.sendmail(PEOPLE["Carol"], [LIST], post)
    say.print("   Carol: [cyan]recrypt seal[/], then plain SMTP.")
    key = made.folder / "team.jwk"
    made.recrypt("Bob", "key", LIST, "--service", address, "--out", str(key))
    script = HERE / "post_with_any_jose_library.py"
    stock: list[Path | str] = [sys.executable, script, key, LIST, f"{host}:{port}"]
    subprocess.run(stock, input=SECOND.encode(), check=True)  # noqa: S603 - our own example
    say.print("   Bob: [cyan]examples/post_with_any_jose_library.py[/], no program of ours.")


def wait_for_mail(made: World) -> None:
    """Wait until every reader has both posts."""
    end = time.monotonic() + PATIENCE
    while any(len(made.mail.copies(person)) < 2 for person in READERS):
        if time.monotonic() > end:
            raise SystemExit("the copies did not arrive in time")
        time.sleep(0.05)


def read_all(made: World, claims: Claims) -> None:
    """Each member reads; the removed one tries, with another's copy too."""
    say.print("\n[bold]3. Who can read[/]")
    texts: dict[str, bytes] = {}

    def read(person: str) -> None:
        copies = [made.recrypt(person, "read", str(file)) for file in made.mail.copies(person)]
        texts[person] = b"".join(each.stdout for each in copies)

    together([partial(read, person) for person in READERS])
    for person in READERS:
        both = FIRST.encode() in texts[person] and SECOND.encode() in texts[person]
        claims.check(f"{person} reads both posts", both)
    wrapped = base64.encodebytes(b"..." + texts["Bob"])
    claims.check("the search finds them, in base64 too", holds(wrapped, FIRST), quiet=True)
    claims.check(f"{REMOVED}, removed, gets no copy", not made.mail.copies(REMOVED))
    stolen = str(made.mail.copies("Bob")[0])
    for person in (REMOVED, "Carol"):
        failed = made.recrypt(person, "read", stolen, fine=False).returncode == 1
        claims.check(f"{person} can't read a copy that was made for Bob", failed)


def compare(seen: dict[str, bytes], claims: Claims) -> None:
    """Search everything that was seen for what was written, and for who is on the list."""
    say.print("\n[bold]4. Who saw what[/]")
    table = Table("place", "octets", "the posts' text", "other members' addresses")
    for place, octets in seen.items():
        found = any(holds(octets, text) for text in (FIRST, SECOND))
        claims.check(f"what was written isn't in {place}", not found, quiet=True)
        row = [place, f"{len(octets):,}", shown(found)]
        if place.startswith("wire"):
            row.append("needed there")
        else:
            others = [each for name, each in PEOPLE.items() if f"{name}'s mailbox" != place]
            named = any(holds(octets, each) for each in others)
            claims.check(f"no other member is named in {place}", not named, quiet=True)
            row.append(shown(named))
        table.add_row(*row)
    say.print(table)


def shown(found: bool) -> str:
    """Say whether a search found something."""
    return "[bold red]FOUND[/]" if found else "[green]not there[/]"


def holds(octets: bytes, text: str) -> bool:
    """Search for a text as it is, and in base64 at each of its three alignments."""
    plain = text.encode()
    bare = re.sub(rb"[\r\n]", b"", octets)
    forms = [plain]
    for skipped in range(3):
        encoded = base64.b64encode(b"\0" * skipped + plain)
        forms.append(encoded[4 if skipped else 0 : -4])
    return any(form in octets or form in bare for form in forms)


def main() -> int:
    """Run the demo; 0 if every claim held."""
    begun = time.monotonic()
    claims = Claims()
    say.print("[bold]A confidential mailing list, on this machine's loopback.[/]")
    with world() as made:
        set_up_people(made)
        with serving(made):
            make_list(made)
            post_both(made)
            wait_for_mail(made)
            read_all(made, claims)
            seen = made.things()
        compare(seen, claims)
    seconds = time.monotonic() - begun
    if claims.broken:
        say.print(f"\n[bold red]{len(claims.broken)} claims are broken.[/]")
        return 1
    say.print(f"\n[bold green]All {claims.held} claims held[/], in {seconds:.0f} seconds.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
