"""Measure how many posts a second are accepted for good, beside aiosmtpd doing nothing with them.

    python -m benchmarks.acceptance [--posts 2000] [--rounds 5] [--members 3] [--json]

Ours is `listserver serve` with its own settings, its store on a real disk (see --folder) and a list
that `recrypt` made: each 250 comes after a commit that was synced. Its relay host refuses
connections meanwhile. The other one is aiosmtpd's SMTP with a handler that keeps nothing. Each is a
process of its own, and so is the sender. That sends 10 KiB posts over eight connections, kept or
(--fresh) one for each post, a command at a time, to one server after the other. No two posts are
the same; they are made before the clock starts. The ratio is the median of the rounds' ratios.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, cast

from aiosmtpd.controller import UnthreadedController
from aiosmtpd.smtp import SMTP, Envelope, Session

from benchmarks.ports import free_port
from benchmarks.sender import HOST, LIST, PATIENCE, Load, send_rounds
from recrypt_core.encoding import read_json
from recrypt_core.keys import PublicKey

BIN: Final = Path(sys.executable).parent
SMTP_SOURCE: Final = "/usr/sbin/smtp-source"  # Debian's, of its package postfix
READY: Final = re.compile(r"listserver: ready: smtp .*:(\d+), lmtp ")
OURS: Final = "listserver"
PLAIN: Final = "aiosmtpd"


@dataclass(frozen=True, slots=True)
class Peer:
    """A server under load: its process and its port."""

    pid: int
    port: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of a round; `microseconds` of the server's processor time went into each post."""

    per_second: float
    microseconds: float


class Nothing:
    """aiosmtpd's handler: says 250 to all mail, and keeps none of it."""

    async def handle_DATA(  # noqa: N802 - aiosmtpd finds and calls it so
        self, _server: SMTP, _session: Session, _envelope: Envelope
    ) -> str:
        """Take a mail, and forget it."""
        return "250 OK"


def serve_plain(told: Connection) -> None:
    """Run aiosmtpd as it comes, and tell its port."""
    loop = asyncio.new_event_loop()
    controller = UnthreadedController(Nothing(), hostname=HOST, port=0, loop=loop)
    controller.begin()  # type: ignore[no-untyped-call]
    told.send(cast("asyncio.Server", controller.server).sockets[0].getsockname()[1])
    loop.run_forever()


@contextmanager
def plain_server() -> Iterator[Peer]:
    """Run aiosmtpd in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    ours, its = spawn.Pipe()
    process = spawn.Process(target=serve_plain, args=(its,))
    process.start()
    its.close()
    try:
        yield Peer(process.pid or 0, ours.recv())
    finally:
        process.terminate()
        process.join()


@contextmanager
def list_server(folder: Path, members: int) -> Iterator[tuple[Peer, PublicKey]]:
    """Run our server with a list of so many members; give the list's key too."""
    with socket.socket() as nobody:
        nobody.bind((HOST, 0))  # and never listens: that port refuses
        relay = nobody.getsockname()[1]
        config = make_folder(folder, relay, url := f"http://{HOST}:{free_port()}")
        profiles = [make_profile(folder, f"m{at}@example.org") for at in range(members)]
        run("listserver", "authorize", profiles[0], "--config", config)
        with serving(config) as peer:
            run("recrypt", "create", LIST, "--service", url, home=profiles[0].parent)
            if profiles[1:]:
                run("recrypt", "add", LIST, *profiles[1:], home=profiles[0].parent)
            key = folder / "key.json"
            run("recrypt", "key", LIST, "--out", key, home=profiles[0].parent)
            yield peer, PublicKey.from_jwk(read_json(key.read_bytes(), limit=2**16))


def make_folder(folder: Path, relay: int, url: str) -> Path:
    """Make a server's folder, with any free port for mail; give the file of its settings."""
    run("listserver", "init", folder / "server", "--domain", "lists.example", "--public-url", url)
    config = folder / "server" / "listserver.toml"
    text = config.read_text()
    for old, new in (
        ('listen = "127.0.0.1:8025"', 'listen = "127.0.0.1:0"'),
        ('lmtp = "127.0.0.1:8024"', 'lmtp = "127.0.0.1:0"'),
        ('listen = "127.0.0.1:8080"', f'listen = "127.0.0.1:{url.rpartition(":")[2]}"'),
        ("port = 25\n", f"port = {relay}\n"),
    ):
        if old not in text:
            raise SystemExit(f"listserver.toml has no {old!r} any more: mend this benchmark")
        text = text.replace(old, new)
    config.write_text(text)
    return config


def make_profile(folder: Path, address: str) -> Path:
    """Make somebody's keys; give the file of their profile."""
    home = folder / address
    home.mkdir()
    run("recrypt", "profile", "create", address, home=home)
    run("recrypt", "profile", "show", "--out", home / "profile.json", home=home)
    return home / "profile.json"


@contextmanager
def serving(config: Path) -> Iterator[Peer]:
    """Run the server until the block ends."""
    process = subprocess.Popen(  # noqa: S603 - our own program
        [BIN / "listserver", "serve", "--config", config],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            ready = READY.match(process.stdout.readline() if process.stdout else "")
            if ready is None:
                raise SystemExit("the server didn't start")
            yield Peer(process.pid, int(ready[1]))
        finally:
            process.terminate()


def run(program: str, *words: str | Path, home: Path | None = None) -> None:
    """Run a command of ours to its end, which must be a good one."""
    done = subprocess.run(  # noqa: S603 - our own programs
        [BIN / program, *words],
        capture_output=True,
        check=False,
        env=os.environ | ({"RECRYPT_HOME": str(home / "home")} if home else {}),
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=PATIENCE,
    )
    if done.returncode:
        raise SystemExit(f"{program} {words[0]}: {done.stderr}")


def measured(peer: Peer, load: Load, sender: Connection) -> Figures:
    """Send one round to a server."""
    sender.send(peer.port)
    sender.recv()
    before = processor_seconds(peer.pid)
    sender.send("go")
    seconds = sender.recv()
    spent = processor_seconds(peer.pid) - before
    return Figures(load.posts / seconds, spent / load.posts * 1e6)


def processor_seconds(pid: int) -> float:
    """Tell what a process has used of all processors so far, in its own code and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def compare(load: Load, rounds: int, *, folder: Path, members: int) -> dict[str, list[Figures]]:
    """Send rounds to the two servers in turn."""
    spawn = multiprocessing.get_context("spawn")
    with list_server(folder, members) as (ours, key), plain_server() as plain:
        here, there = spawn.Pipe()
        sender = spawn.Process(target=send_rounds, args=(there, load, key.jwk()), daemon=True)
        sender.start()
        there.close()
        try:
            pairs = [
                (measured(ours, load, here), measured(plain, load, here)) for _ in range(rounds)
            ]
        except EOFError:
            raise SystemExit("the sender ended early") from None
        here.send(0)
        sender.join()
        return {OURS: [pair[0] for pair in pairs], PLAIN: [pair[1] for pair in pairs]}


def source_rate(load: Load) -> float | None:
    """Ask Debian's smtp-source how fast aiosmtpd is; it sends the same octets again and again."""
    if not Path(SMTP_SOURCE).exists():
        return None
    with plain_server() as plain:
        start = time.perf_counter()
        subprocess.run(  # noqa: S603 - fixed program and arguments
            [
                *(SMTP_SOURCE, *(() if load.fresh else ("-d",)), "-l", f"{load.octets}"),
                *("-s", f"{load.connections}", "-m", f"{load.posts}"),
                *("-t", LIST, f"{HOST}:{plain.port}"),
            ],
            check=True,
            timeout=PATIENCE,
        )
        return load.posts / (time.perf_counter() - start)


def ratio_of(found: Mapping[str, Sequence[Figures]]) -> float:
    """Give the median of the rounds' ratios, of the first server's to the second's."""
    first, second = found.values()
    return statistics.median(
        ours.per_second / plain.per_second for ours, plain in zip(first, second, strict=True)
    )


def table(
    found: Mapping[str, Sequence[Figures]], source: float | None = None, *, of: str = "post"
) -> str:
    """Lay the figures out, a line for each server."""
    lines = [f"{'':<12}{f'{of}s/s':>12}{'least':>9}{'most':>9}{f'CPU us/{of}':>17}"]
    for name, rounds in found.items():
        rates = [each.per_second for each in rounds]
        cpu = statistics.median(each.microseconds for each in rounds)
        middle = statistics.median(rates)
        lines.append(
            f"{name:<12}{middle:>12,.0f}{min(rates):>9,.0f}{max(rates):>9,.0f}{cpu:>17,.0f}"
        )
    lines.append(f"{'/'.join(found)}: {ratio_of(found):.2f}")
    if source is not None:
        lines.append(f"{PLAIN} under smtp-source: {source:,.0f} posts/s")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description="Posts accepted a second, beside aiosmtpd.")
    for name, default, words in (
        ("--posts", 2000, "in a round"),
        ("--rounds", 5, "for each server"),
        ("--octets", 10 * 2**10, "of a post"),
        ("--connections", 8, "kept ones"),
        ("--members", 3, "of the list"),
    ):
        parser.add_argument(name, type=int, default=default, help=f"{words} (default {default})")
    parser.add_argument(
        "--folder", type=Path, help="for the store (default: the system's for files)"
    )
    parser.add_argument("--pipelined", action="store_true", help="where offered (RFC 2920)")
    parser.add_argument("--fresh", action="store_true", help="a connection for each post")
    parser.add_argument("--json", action="store_true", help="figures for a program")
    asked = parser.parse_args(arguments)
    load = Load(asked.posts, asked.octets, asked.connections, asked.pipelined, asked.fresh)
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        found = compare(load, asked.rounds, folder=Path(folder), members=asked.members)
    source = source_rate(load)
    if asked.json:
        rounds = {name: [asdict(each) for each in figures] for name, figures in found.items()}
        answer = {"rounds": rounds, "ratio": ratio_of(found), "smtp_source": source}
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    else:
        sys.stdout.write(table(found, source) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
