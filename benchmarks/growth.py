"""Measure how the cost of copies grows: with members, octets, lists, and posts at one time.

    python -m benchmarks.growth [--members 100,1000,10000] [--octets …] [--lists …] [--posts …]
                                [--out FILE] [--plots FOLDER]

Each row is a run of its own of the real server, with a real store and Postfix's smtp-sink as the
next mail host, on eight kept connections. Posts are handed in, and the time is taken until the last
copy's outcome is on the disk. With --plots there is a picture for each kind of row.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from click.testing import CliRunner
from matplotlib import rc_context
from matplotlib.figure import Figure

from benchmarks.acceptance import make_folder, make_profile, processor_seconds, run
from benchmarks.acceptance import serving as serving_quietly
from benchmarks.fanout import Server, Sink, list_of, mail_sink, serving
from benchmarks.groups import ADMINISTRATOR, make_profiles, peak_mib
from benchmarks.ports import free_port
from benchmarks.sender import HOST, LIST, Load, make_post, talk
from recrypt_client.cli import main as recrypt
from recrypt_core.encoding import read_json
from recrypt_core.keys import PublicKey

CONNECTIONS: Final = 8
MEMBERS: Final = 200  # of a list whose octets or posts grow
OF_EACH: Final = 10  # members, of many lists
OCTETS: Final = 10 * 2**10
ENOUGH: Final = 2000  # copies, to tell processor time by: posts go on until there are so many
WIDE: Final = 10  # times the least, from which on a scale is logarithmic
LARGE: Final = 2**20  # octets, over which one post is enough


@dataclass(frozen=True, slots=True)
class Row:
    """What copies cost at one size.

    Attributes:
        at: How many members, octets, lists or posts.
        octets: Of a copy, as the next host read it.
        microseconds: Of the server's processor time for a copy.
    """

    at: int
    copies: int
    per_second: float
    octets: float
    microseconds: float
    peak_mib: float


@dataclass(frozen=True, slots=True)
class Given:
    """Posts, some to one list at one time, then the next, and the copies that come of them all."""

    mails: Sequence[tuple[str, Sequence[bytes]]]
    copies: int


@dataclass(frozen=True, slots=True)
class Axis:
    """A kind of row: what grows, how it is measured, and what is said of it in the picture."""

    name: str
    unit: str
    default: tuple[int, ...]
    measure: Callable[[Path, int], Row]


def of_members(folder: Path, members: int) -> Row:
    """Post to a list of so many."""
    return _one_list(folder, members, members=members)


def of_octets(folder: Path, octets: int) -> Row:
    """Post so many octets."""
    return _one_list(folder, octets, members=MEMBERS, octets=octets)


def of_posts(folder: Path, posts: int) -> Row:
    """Post so many at one time, each on a connection of its own."""
    return _one_list(folder, posts, members=MEMBERS, posts=posts)


def of_lists(folder: Path, lists: int) -> Row:
    """Post to so many lists, to one after the other."""
    with mail_sink() as sink:
        config = make_folder(folder, sink.port, url := f"http://{HOST}:{free_port()}")
        _set(config, "relay", "connections", CONNECTIONS)
        _set(config, "service", "groups_per_profile", lists)
        profile = make_profile(folder, ADMINISTRATOR)
        run("listserver", "authorize", profile, "--config", config)
        others = make_profiles(folder / "profiles", OF_EACH - 1)
        names = [f"list-{number}@lists.example" for number in range(lists)]
        with serving_quietly(config):
            keys = [_new_list(profile.parent, name, url, others) for name in names]
        given = [(name, [make_post(key, OCTETS)]) for name, key in zip(names, keys, strict=True)]
        with serving(config, samples=None) as server:
            return _row(lists, server, sink, Given(given, lists * OF_EACH))


def _one_list(folder: Path, at: int, *, members: int, posts: int = 1, octets: int = OCTETS) -> Row:
    with list_of(folder, members, CONNECTIONS) as bench:
        _set(bench.config, "smtp", "connections_per_client", posts + 1)
        copies = posts * members
        times = max(1, ENOUGH // copies) if octets <= LARGE else 1
        given = [(LIST, [make_post(bench.key, octets) for _ in range(posts)]) for _ in range(times)]
        with serving(bench.config, samples=None) as server:
            return _row(at, server, bench.sink, Given(given, times * copies))


def _row(at: int, server: Server, sink: Sink, given: Given) -> Row:
    """Hand posts in, and wait for their copies."""
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")  # the peak begins anew
    spent, octets, begun = processor_seconds(server.pid), sink.octets(), time.perf_counter()
    for to, mails in given.mails:
        talk(server.port, mails, Load(len(mails), OCTETS, len(mails), to=to))
    server.await_copies(given.copies)
    seconds = time.perf_counter() - begun
    return Row(
        at=at,
        copies=given.copies,
        per_second=given.copies / seconds,
        octets=(sink.octets() - octets) / given.copies,
        microseconds=(processor_seconds(server.pid) - spent) / given.copies * 1e6,
        peak_mib=peak_mib(server.pid),
    )


def _new_list(home: Path, name: str, url: str, others: Sequence[Path]) -> PublicKey:
    """Make a list, in this process: an interpreter for each command would take most of the time."""
    key = home / "key.json"
    for words in (
        ("create", name, "--service", url),
        ("add", name, *map(str, others)),
        ("key", name, "--out", str(key)),
    ):
        done = CliRunner(env={"RECRYPT_HOME": str(home / "home")}).invoke(recrypt, words)
        if done.exit_code:
            raise SystemExit(f"recrypt {words[0]}: {done.output}")
    return PublicKey.from_jwk(read_json(key.read_bytes(), limit=2**16))


def _set(config: Path, section: str, name: str, value: int) -> None:
    head, text = f"[{section}]\n", config.read_text()
    if head not in text or f"\n{name} =" in text:
        raise SystemExit(f"listserver.toml has no [{section}], or {name} already: mend this")
    config.write_text(text.replace(head, f"{head}{name} = {value}\n"))


AXES: Final = (
    Axis("members", "members of the list", (100, 1000, 10_000), of_members),
    Axis("octets", "octets of the post", (2**10, 10 * 2**10, 100 * 2**10, 2**20), of_octets),
    Axis("lists", "lists, of 10 members each", (1, 10, 100), of_lists),
    Axis("posts", "posts at one time, to 200 members", (1, 10, 100), of_posts),
)


def table(axis: Axis, rows: Sequence[Row]) -> str:
    """Lay the rows out."""
    lines = [
        f"{axis.unit:<34}{'copies':>9}{'copies/s':>10}{'MiB/s':>8}"
        f"{'CPU us/copy':>13}{'peak MiB':>10}"
    ]
    lines += [
        f"{row.at:<34,}{row.copies:>9,}{row.per_second:>10,.0f}"
        f"{row.per_second * row.octets / 2**20:>8,.1f}"
        f"{row.microseconds:>13,.0f}{row.peak_mib:>10,.0f}"
        for row in rows
    ]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Measure, print tables, and draw."""
    parser = argparse.ArgumentParser(description="How the cost of copies grows.")
    for axis in AXES:
        default = ",".join(map(str, axis.default))
        parser.add_argument(
            f"--{axis.name}", default=default, help=f"{axis.unit} (default {default}; '' for none)"
        )
    parser.add_argument("--folder", type=Path, help="for the store (default: as tempfile's)")
    parser.add_argument("--out", type=Path, help="a file of the figures, in JSON")
    parser.add_argument("--plots", type=Path, help="a folder of pictures, as SVG")
    asked = parser.parse_args(arguments)
    if asked.plots:
        asked.plots.mkdir(parents=True, exist_ok=True)
    found = dict[str, list[Row]]()
    for axis in AXES:
        found[axis.name] = rows = []
        for at in [int(each) for each in getattr(asked, axis.name).split(",") if each]:
            with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
                rows.append(axis.measure(Path(folder), at))
        if rows:
            sys.stdout.write(f"{table(axis, rows)}\n\n")
            sys.stdout.flush()
            if asked.plots:
                draw(asked.plots / f"growth-{axis.name}.svg", axis, rows)
    if asked.out:
        figures = {name: [asdict(row) for row in rows] for name, rows in found.items()}
        asked.out.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def draw(path: Path, axis: Axis, rows: Sequence[Row]) -> None:
    """Draw processor time and memory for what grows, as SVG without a date."""
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": axis.name, "font.size": 9}):
        figure = Figure(figsize=(6.4, 2.8), layout="constrained")
        at = [row.at for row in rows]
        panels = figure.subplots(1, 2)
        for panel, what, values in (
            (panels[0], "processor time, us a copy", [row.microseconds for row in rows]),
            (panels[1], "peak of memory, MiB", [row.peak_mib for row in rows]),
        ):
            panel.plot(at, values, marker="o")
            panel.set(xscale="log", xlabel=axis.unit, ylabel=what)
            if max(values) > WIDE * min(values):
                panel.set_yscale("log")
            else:
                panel.set_ylim(bottom=0, top=1.15 * max(values))
            panel.grid(visible=True, alpha=0.3)
        figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
