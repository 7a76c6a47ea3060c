"""Measure what an administrator's commands cost with many members, and who waits meanwhile.

    python -m benchmarks.groups [--members 100,300] [--quiet 3] [--folder DIR] [--json]

For each number of members: a real service in a process of its own, its store on a real disk (see
--folder), a new list, and the real `recrypt` command, a process each time. One adds all of them
from files of their profiles; one rekeys the list; one, with a fresh pin, verifies it: the whole
chain, and GetGroup in pages. Then the pages alone are read. While members are added and while the
list is rekeyed, mail is offered to the list up to RCPT and the service is greeted, fifty times a
second.

Processor time counts, as wall time depends on what else runs here. The ratio is to what no way of
doing it can save: a split of the group's key and a seal of its half, once for each member. These
two are measured between the commands, in rounds. Peaks are of resident memory.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.acceptance import BIN, make_folder, make_profile, processor_seconds, run, serving
from benchmarks.asking import Asking, Server, Waits
from benchmarks.ports import free_port
from benchmarks.sender import HOST, LIST
from recrypt_client import chains, clock
from recrypt_client.chains import open_desk
from recrypt_client.home import Home
from recrypt_client.pins import Pin
from recrypt_client.service import Service
from recrypt_core.documents import Profile, sign_profile
from recrypt_core.encoding import write_json
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.sealing import seal
from recrypt_core.signature_keys import SignatureCurve, SignaturePrivateKey
from recrypt_core.splitting import split

PRIMITIVES: Final = 300  # splits and seals in a round
ADMINISTRATOR: Final = "a@example.org"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took: seconds, processor seconds of either side, MiB at the peak.

    Attributes:
        client_mib: 0 where the client isn't a process of its own.
    """

    seconds: float
    client: float
    server: float
    client_mib: float
    server_mib: float


@dataclass(frozen=True, slots=True)
class Run:
    """All that was measured with so many members."""

    members: int
    primitive: float
    """Processor seconds of one split and one seal."""
    costs: dict[str, Cost]
    waits: dict[str, Waits]


@contextmanager
def list_server(folder: Path) -> Iterator[tuple[Server, Path]]:
    """Run our server with a list of one, and give the administrator's home."""
    with socket.socket() as nobody:
        nobody.bind((HOST, 0))  # and never listens: that port refuses
        relay, port = nobody.getsockname()[1], free_port()
        config = make_folder(folder, relay, url := f"http://{HOST}:{port}")
        profile = make_profile(folder, ADMINISTRATOR)
        run("listserver", "authorize", profile, "--config", config)
        with serving(config) as peer:
            run("recrypt", "create", LIST, "--service", url, home=profile.parent)
            yield Server(peer.pid, peer.port, port, url), profile.parent


def make_profiles(folder: Path, count: int) -> list[Path]:
    """Make the files of so many profiles; their private keys are nobody's."""
    folder.mkdir()
    made = []
    for at in range(count):
        master, online = (SignaturePrivateKey.generate(SignatureCurve.ED25519) for _ in range(2))
        stated = Profile(
            identifier=master.public.udf,
            master_signature_key=master.public,
            online_signature_keys=(online.public,),
            encryption_keys=(PrivateKey.generate(Curve.X25519).public,),
            accounts=(f"m{at}@example.org",),
            updated=clock.now().replace(microsecond=0),
        )
        path = folder / f"{at}.json"
        path.write_bytes(write_json(sign_profile(stated, master).signed.json()))
        made.append(path)
    return made


def primitive_seconds() -> float:
    """Measure a split of a group's key and a seal of its half, in processor seconds."""
    group, device = PrivateKey.generate(Curve.X25519), PrivateKey.generate(Curve.X25519)
    begun = time.process_time()
    for _ in range(PRIMITIVES):
        half = split(group).decryption
        seal(write_json(half.to_secret_jwk()), [device.public], named=False)
    return (time.process_time() - begun) / PRIMITIVES


def measured(server: Server, act: Callable[[], tuple[float, float]]) -> Cost:
    """Do something of the client's, which tells its own processor seconds and peak."""
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")  # the peak begins anew
    before, begun = processor_seconds(server.pid), time.perf_counter()
    client, client_mib = act()
    seconds = time.perf_counter() - begun
    spent = processor_seconds(server.pid) - before
    return Cost(seconds, client, spent, client_mib, peak_mib(server.pid))


def peak_mib(pid: int) -> float:
    """Tell the most memory that a process had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 2**10
    raise SystemExit("this kernel doesn't tell a process's peak")


def recrypt(folder: Path, *words: str | Path) -> tuple[float, float]:
    """Run the real command; its processor seconds, and its peak."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [BIN / "recrypt", *words],
            env=os.environ | {"RECRYPT_HOME": str(folder / "home")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"recrypt {words[0]}: {said.read().decode()}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**10


def read_pages(folder: Path, url: str) -> tuple[float, float]:
    """Read GetGroup in pages and keep none; the peak isn't that of a command."""
    home = Home(folder / "home")
    with Service(url) as service:
        desk = open_desk(home, service, pin_of(home))
        state = chains.current(desk, now=clock.now())
        begun = time.process_time()
        for _ in chains.pages(desk, state, now=clock.now()):
            pass
        return time.process_time() - begun, 0.0


def pin_of(home: Home) -> Pin:
    """Give what the administrator knows of the list."""
    pin = home.pin(LIST)
    if pin is None:
        raise SystemExit("the list isn't known to its administrator")
    return pin


def measure(folder: Path, members: int, quiet: float) -> Run:
    """Measure all commands with so many members."""
    profiles = make_profiles(folder / "profiles", members)
    costs, waits, rounds = dict[str, Cost](), dict[str, Waits](), [primitive_seconds()]
    with list_server(folder) as (server, home):
        with Asking(server).meanwhile() as found:
            time.sleep(quiet)
        waits |= {f"{what}, quiet": each for what, each in found.items()}
        for name, more in (("add", profiles), ("rekey", [])):
            with Asking(server).meanwhile() as found:
                costs[name] = measured(server, partial(recrypt, home, name, LIST, *more))
            waits |= {f"{what}, {name}": each for what, each in found.items()}
            rounds.append(primitive_seconds())
        forget(home, server.url)
        costs["verify"] = measured(server, partial(recrypt, home, "verify", LIST))
        costs["pages"] = measured(server, partial(read_pages, home, server.url))
        rounds.append(primitive_seconds())
    return Run(members, statistics.median(rounds), costs, waits)


def forget(folder: Path, url: str) -> None:
    """Forget the list's history, and meet it once more by its fingerprint."""
    fingerprint = pin_of(Home(folder / "home")).identifier
    shutil.rmtree(folder / "home" / "groups")
    recrypt(folder, "key", LIST, "--service", url, "--fingerprint", fingerprint)


def table(runs: Sequence[Run]) -> str:
    """Lay the figures out, a line for each command and number of members.

    What one member more costs, from the fewest to the most, is without the program's start.
    """
    heads = ("seconds", "client us", "server us", "client x", "both x", "client MiB", "server MiB")
    lines = [f"{'a member':<16}" + "".join(f"{head:>12}" for head in heads)]
    for name in runs[0].costs:
        lines += [_line(name, each, each.costs[name]) for each in runs]
        if len(runs) > 1:
            lines.append(_line_of_one_more(name, runs[0], runs[-1]))
    primitives = ", ".join(f"{each.primitive * 1e6:,.0f}" for each in runs)
    lines.append(f"x is a split and a seal, us: {primitives}")
    return "\n".join(lines)


def _line(name: str, each: Run, cost: Cost) -> str:
    ratios = (_ratio(cost.client, each), _ratio(cost.client + cost.server, each))
    cells = (
        f"{cost.seconds:,.1f}",
        f"{cost.client / each.members * 1e6:,.0f}",
        f"{cost.server / each.members * 1e6:,.0f}",
        *ratios,
        f"{cost.client_mib:,.0f}" if cost.client_mib else "-",
        f"{cost.server_mib:,.0f}",
    )
    return f"{name:<7}{each.members:>8,} " + "".join(f"{cell:>12}" for cell in cells)


def _ratio(seconds: float, each: Run) -> str:
    return f"{seconds / each.members / each.primitive:.2f}"


def _line_of_one_more(name: str, few: Run, many: Run) -> str:
    old, new, more = few.costs[name], many.costs[name], many.members - few.members
    client, server = (new.client - old.client) / more, (new.server - old.server) / more
    unit = (few.primitive + many.primitive) / 2
    client_kib = (new.client_mib - old.client_mib) / more * 2**10
    server_kib = (new.server_mib - old.server_mib) / more * 2**10
    cells = (
        f"{(new.seconds - old.seconds) / more * 1e3:,.1f} ms",
        f"{client * 1e6:,.0f}",
        f"{server * 1e6:,.0f}",
        f"{client / unit:.2f}",
        f"{(client + server) / unit:.2f}",
        f"{client_kib:.1f} KiB" if new.client_mib else "-",
        f"{server_kib:.1f} KiB",
    )
    return f"{name:<7}{'one more':>8} " + "".join(f"{cell:>12}" for cell in cells)


def table_of_waits(runs: Sequence[Run]) -> str:
    """Lay out how long answers took, a line for each kind and number of members."""
    heads = ("members", "asked", "median", "99 of 100", "longest")
    lines = [f"{'answers, ms':<16}" + "".join(f"{head:>12}" for head in heads)]
    for each in runs:
        for name, wait in each.waits.items():
            times = (f"{time:.1f}" for time in (wait.middle, wait.most, wait.longest))
            cells = (f"{each.members:,}", f"{wait.count:,}", *times)
            lines.append(f"{name:<16}" + "".join(f"{cell:>12}" for cell in cells))
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description="An administrator's commands, many members.")
    parser.add_argument("--members", default="100,300", help="numbers of them (default 100,300)")
    parser.add_argument("--quiet", type=float, default=3.0, help="seconds first (default 3)")
    parser.add_argument(
        "--folder", type=Path, help="for the store (default: the system's for files)"
    )
    parser.add_argument("--json", action="store_true", help="figures for a program")
    asked = parser.parse_args(arguments)
    runs = []
    for members in map(int, asked.members.split(",")):
        with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
            runs.append(measure(Path(folder), members, asked.quiet))
    if asked.json:
        sys.stdout.write(json.dumps([asdict(each) for each in runs], indent=2) + "\n")
    else:
        sys.stdout.write(f"{table(runs)}\n\n{table_of_waits(runs)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
