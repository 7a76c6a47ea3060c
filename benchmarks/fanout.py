"""Measure how fast a post goes out to a list's members, beside Postfix's smtp-source.

    python -m benchmarks.fanout [--members 1000] [--connections 8] [--workers 0] [--rounds 5]
        [--parts] [--asked] [--json]

Ours is `listserver serve`, its store on a real disk (see --folder), with a list that `recrypt` made
and added its members to. A post is handed in, and the time is taken until the last copy's outcome
is on the disk. The next mail host is Postfix's smtp-sink, on kept connections. smtp-source sends it
as many mails of as many octets on as many connections, in alternating rounds. The ratio is the
median of the rounds' ratios; a first round of ours, which isn't counted, tells how long a copy is.

Processor time is that of the server and its workers. With --parts the server is interrupted every
millisecond of its processor time, in rounds of their own, to see in which part of the work it is
(see benchmarks/sampled.py). With --asked its gateway and service are asked 50 times a second, in a
round of its own, and how long answers take is told, beside the same without copies to send.
"""

import argparse
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Final

from benchmarks.acceptance import (
    BIN,
    READY,
    SMTP_SOURCE,
    make_folder,
    make_profile,
    processor_seconds,
    run,
)
from benchmarks.asking import Asking, Waits
from benchmarks.asking import Server as Asked
from benchmarks.groups import ADMINISTRATOR, make_profiles, peak_mib, recrypt
from benchmarks.ports import free_port
from benchmarks.sender import HOST, LIST, PATIENCE, Load, make_post, talk
from recrypt_core.encoding import read_json
from recrypt_core.keys import PublicKey

SMTP_SINK: Final = "/usr/sbin/smtp-sink"  # Debian's, of its package postfix
DELIVERED: Final = re.compile(r"event='relayed'.* what='copies'.* delivered=(\d+)")
OTHERS: Final = re.compile(r"event='relayed'.* (?:later|given_up|faulted|withdrawn)=[1-9]")
SAMPLED: Final = ("-m", "benchmarks.sampled")
SAMPLES: Final = "samples.json"
AT_ONCE: Final = 10_000  # profiles, as arguments of one command


@dataclass(frozen=True, slots=True)
class Round:
    """What came of sending so many: by us, or by smtp-source.

    Attributes:
        microseconds: Of the sender's processor time for each.
        octets: That the next host read for each, the dialogue included.
    """

    per_second: float
    microseconds: float
    octets: float


@dataclass(frozen=True, slots=True)
class Measured:
    """All that was measured; each round of ours stands beside one of smtp-source."""

    members: int
    connections: int
    ours: list[Round]
    source: list[Round]
    peak_mib: float
    parts: dict[str, float]
    workers: int = 0
    workers_mib: float = 0
    """The largest worker's peak."""
    waits: dict[str, Waits] = field(default_factory=dict)
    where: dict[str, str] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """Give the median of the rounds' ratios."""
        pairs = zip(self.ours, self.source, strict=True)
        return statistics.median(ours.per_second / source.per_second for ours, source in pairs)


class Sink:
    """A next mail host that takes all, and what it has read so far."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        self._process = process
        self.port = port

    def octets(self) -> int:
        """Tell how many octets it has read."""
        found = re.search(r"rchar: (\d+)", Path(f"/proc/{self._process.pid}/io").read_text())
        return int(found[1]) if found else 0


class Server:
    """`listserver serve`, and what its log says."""

    def __init__(self, process: "subprocess.Popen[str]", port: int) -> None:
        self._log = SimpleQueue[str]()
        self.pid = process.pid
        self.port = port
        # Read at once: else the server would wait for it in the end.
        Thread(target=self._read, args=[process], daemon=True).start()

    def _read(self, process: "subprocess.Popen[str]") -> None:
        with suppress(ValueError):  # it is closed in the end
            for line in process.stderr or ():
                self._log.put(line)
        self._log.put("")

    def processes(self) -> list[int]:
        """Give the server's process, and those of its workers."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [self.pid, *map(int, children.split())]

    def spent(self) -> float:
        """Tell what it and its workers have used of all processors so far, in seconds."""
        return sum(map(processor_seconds, self.processes()))

    def await_copies(self, number: int) -> None:
        """Wait until so many more copies are on their way, each recorded."""
        while number > 0:
            line = self._log.get()
            if not line or OTHERS.search(line):
                raise SystemExit(f"not all copies went out: {line}")
            if found := DELIVERED.search(line):
                number -= int(found[1])


@contextmanager
def mail_sink() -> Iterator[Sink]:
    """Run smtp-sink on a free port."""
    port = free_port()
    user = () if os.getuid() else ("-u", "root")  # else root's processes want to become another's
    with subprocess.Popen(  # noqa: S603 - fixed program and arguments
        [SMTP_SINK, *user, f"{HOST}:{port}", "512"]
    ) as process:
        try:
            _await_port(port)
            yield Sink(process, port)
        finally:
            process.terminate()


def _await_port(port: int) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            socket.create_connection((HOST, port), PATIENCE).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return
    raise SystemExit("smtp-sink didn't start")


@contextmanager
def serving(config: Path, *, samples: Path | None, workers: int = 0) -> Iterator[Server]:
    """Run the server until the block ends; write its samples, if they are wanted."""
    program = [BIN / "listserver"] if samples is None else [sys.executable, *SAMPLED, samples]
    with subprocess.Popen(  # noqa: S603 - our own program
        [*program, "serve", "--workers", f"{workers}", "--config", config],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            ready = READY.match(process.stdout.readline() if process.stdout else "")
            if ready is None:
                raise SystemExit("the server didn't start")
            yield Server(process, int(ready[1]))
        finally:
            process.terminate()


@dataclass(frozen=True, slots=True)
class Bench:
    """A list at a server, and the key that is posted to."""

    config: Path
    key: PublicKey
    members: int
    connections: int
    sink: Sink
    url: str

    def post(self, server: Server, octets: int) -> Round:
        """Hand a new post in, and wait for its copies."""
        mail = make_post(self.key, octets)
        before, read = server.spent(), self.sink.octets()
        begun = time.perf_counter()
        talk(server.port, [mail], Load(1, octets, 1, pipelined=False))
        server.await_copies(self.members)
        seconds = time.perf_counter() - begun
        spent = server.spent() - before
        return self._round(seconds, spent, read)

    def waits(self, server: Server, octets: int) -> dict[str, Waits]:
        """Tell how long answers take, while copies go out and while none do."""
        asked = Asked(server.pid, server.port, int(self.url.rpartition(":")[2]), self.url)
        with Asking(asked).meanwhile() as busy:
            for _ in range(2):
                self.post(server, octets)
        with Asking(asked).meanwhile() as idle:
            time.sleep(3)
        return {
            f"{kind}, {state}": found[kind]
            for state, found in (("copies going out", busy), ("none", idle))
            for kind in found
        }

    def source(self, octets: int) -> Round:
        """Let smtp-source send as many."""
        read, begun = self.sink.octets(), time.perf_counter()
        before = os.times()
        subprocess.run(  # noqa: S603 - fixed program and arguments
            [
                *(SMTP_SOURCE, "-d", "-s", f"{self.connections}", "-m", f"{self.members}"),
                *("-l", f"{octets}", "-t", "bob@example.org", f"{HOST}:{self.sink.port}"),
            ],
            check=True,
        )
        seconds, after = time.perf_counter() - begun, os.times()
        spent = after.children_user + after.children_system
        spent -= before.children_user + before.children_system
        return self._round(seconds, spent, read)

    def _round(self, seconds: float, spent: float, read: int) -> Round:
        octets = (self.sink.octets() - read) / self.members
        return Round(self.members / seconds, spent / self.members * 1e6, octets)


@contextmanager
def list_of(folder: Path, members: int, connections: int) -> Iterator[Bench]:
    """Make a server's folder and a list of so many; the administrator is one of them."""
    with mail_sink() as sink:
        config = make_folder(folder, sink.port, url := f"http://{HOST}:{free_port()}")
        text = config.read_text().replace("[relay]\n", f"[relay]\nconnections = {connections}\n")
        config.write_text(text)
        profile = make_profile(folder, ADMINISTRATOR)
        home = profile.parent
        run("listserver", "authorize", profile, "--config", config)
        with serving(config, samples=None):
            run("recrypt", "create", LIST, "--service", url, home=home)
            profiles = make_profiles(folder / "profiles", members - 1)
            for start in range(0, len(profiles), AT_ONCE):
                recrypt(home, "add", LIST, *profiles[start : start + AT_ONCE])
            run("recrypt", "key", LIST, "--out", folder / "key.json", home=home)
        key = PublicKey.from_jwk(read_json((folder / "key.json").read_bytes(), limit=2**16))
        yield Bench(config, key, members, connections, sink, url)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be measured."""

    rounds: int
    octets: int
    workers: int = 0
    samples: Path | None = None
    asked: bool = False


def measure(bench: Bench, wanted: Wanted) -> Measured:
    """Send rounds of both in turn; then those that are sampled, or asked in."""
    with serving(bench.config, samples=None, workers=wanted.workers) as server:
        one = int(bench.post(server, wanted.octets).octets)
        for pid in server.processes():
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew
        pairs = [
            (bench.post(server, wanted.octets), bench.source(one)) for _ in range(wanted.rounds)
        ]
        peak, *workers = map(peak_mib, server.processes())
        waits = bench.waits(server, wanted.octets) if wanted.asked else {}
    ours, source = ([pair[at] for pair in pairs] for at in (0, 1))
    return Measured(
        bench.members,
        bench.connections,
        ours,
        source,
        peak,
        sampled(bench, wanted.octets, wanted.samples) if wanted.samples else {},
        wanted.workers,
        max(workers, default=0),
        waits,
        where(),
    )


def where() -> dict[str, str]:
    """Tell the commit, the day and the machine, so that figures can be compared."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607 - whichever git there is
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "commit": described.stdout.strip() or "unknown",
        "date": date.today().isoformat(),  # noqa: DTZ011 - the day here
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "python": platform.python_version(),
    }


def sampled(bench: Bench, octets: int, samples: Path) -> dict[str, float]:
    """Send two posts, and give the microseconds of each part for a copy."""
    with serving(bench.config, samples=samples) as server:
        spent = sum(bench.post(server, octets).microseconds for _ in range(2)) / 2
    counts = Counter[str](json.loads(samples.read_text()))
    return {part: spent * count / counts.total() for part, count in counts.most_common()}


def table(found: Measured) -> str:
    """Lay the figures out."""
    lines = [
        f"{found.members:,} members, {found.connections} connections, {found.workers} workers,"
        f" {found.ours[0].octets:,.0f} octets a copy; peak: the server {found.peak_mib:,.0f} MiB"
        + (f", a worker {found.workers_mib:,.0f} MiB" if found.workers else ""),
        f"{'':<12}{'copies/s':>12}{'least':>9}{'most':>9}{'CPU us/copy':>14}",
    ]
    for name, rounds in (("listserver", found.ours), ("smtp-source", found.source)):
        lines.append(_line(name, rounds))
    lines.append(f"listserver/smtp-source: {found.ratio:.2f}")
    lines += [f"  {part:<20}{spent:>6,.0f} us" for part, spent in found.parts.items()]
    lines += [
        f"  {kind:<26}{each.middle:>7.1f} ms, 99 of 100 within{each.most:>7.1f} ms"
        for kind, each in found.waits.items()
    ]
    return "\n".join(lines)


def _line(name: str, rounds: Sequence[Round]) -> str:
    rates = [each.per_second for each in rounds]
    spent = statistics.median(each.microseconds for each in rounds)
    middle = statistics.median(rates)
    return f"{name:<12}{middle:>12,.0f}{min(rates):>9,.0f}{max(rates):>9,.0f}{spent:>14,.0f}"


def main(arguments: list[str]) -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description="Copies sent a second, beside smtp-source.")
    for name, default, words in (
        ("--members", 1000, "of the list"),
        ("--connections", 8, "to the next host"),
        ("--workers", 0, "of the server"),
        ("--rounds", 5, "for each sender"),
        ("--octets", 10 * 2**10, "of the post"),
    ):
        parser.add_argument(name, type=int, default=default, help=f"{words} (default {default})")
    parser.add_argument(
        "--folder", type=Path, help="for the store (default: the system's for files)"
    )
    parser.add_argument("--parts", action="store_true", help="where the server's time goes")
    parser.add_argument("--asked", action="store_true", help="how long answers take meanwhile")
    parser.add_argument("--json", action="store_true", help="figures for a program")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        samples = Path(folder) / SAMPLES if asked.parts else None
        wanted = Wanted(asked.rounds, asked.octets, asked.workers, samples, asked.asked)
        with list_of(Path(folder), asked.members, asked.connections) as bench:
            found = measure(bench, wanted)
    if asked.json:
        answer = asdict(found) | {"ratio": found.ratio}
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    else:
        sys.stdout.write(table(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
