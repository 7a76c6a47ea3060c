"""Runs `listserver` and notes, every millisecond of its processor time, in which part it is.

    python -m benchmarks.sampled SAMPLES.json serve --config …

What runs in C is counted where it was called. What other threads do, such as commits, is counted
where the main thread is meanwhile.
"""

import json
import signal
import sys
from collections import Counter
from pathlib import Path
from traceback import walk_stack
from types import FrameType
from typing import Final

from listserver.cli import main as listserver

INTERVAL: Final = 0.001  # seconds of processor time
# The innermost frame that is one of these counts: part of the file's path, function or "" for all.
PARTS: Final = (
    ("listserver/copies.py", "_recryption", "partial and its JSON"),
    ("recrypt_core/agreement.py", "", "partial and its JSON"),
    ("listserver/copies.py", "", "copy"),
    ("listserver/links.py", "", "tokens"),
    ("listserver/edges/sqlite_queue.py", "record", "record"),
    ("listserver/edges/sqlite_queue.py", "claim", "claim"),
    ("listserver/edges/sqlite_queue.py", "_claim_fresh", "claim"),
    ("listserver/edges/sqlite_queue.py", "busy_post", "claim"),
    ("listserver/edges/sqlite_queue.py", "", "half"),
    ("listserver/edges/sqlite_groups.py", "", "half"),
    ("listserver/edges/sqlite.py", "", "block and commit"),
    ("listserver/edges/sqlite_connection.py", "enter", "block and commit"),
    ("listserver/edges/sqlite_connection.py", "leave", "block and commit"),
    ("listserver/edges/sqlite_connection.py", "commit", "block and commit"),
    ("listserver/edges/sqlite_connection.py", "there", "block and commit"),
    ("listserver/edges/logs.py", "", "log"),
    ("listserver/edges/courier.py", "", "SMTP"),
    ("listserver/edges/wire.py", "", "SMTP"),
    ("aiosmtplib/", "", "SMTP"),
    ("listserver/delivering.py", "", "judging"),
    ("listserver/carrying.py", "", "relay"),
    ("listserver/edges/relay.py", "", "relay"),
)
# Where there is none of these, the innermost frame that is one of the following.
LOOP: Final = (
    ("asyncio/selector_events.py", "", "SMTP"),
    ("selectors.py", "", "commits and waits"),
    ("asyncio/", "", "event loop"),
)


def main(samples: Path, words: list[str]) -> None:
    """Run it to its end, then write how often it was seen in which part."""
    counts = Counter[str]()

    def note(_signal: int, frame: FrameType | None) -> None:
        counts[part_of(frame)] += 1

    signal.signal(signal.SIGPROF, note)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
    try:
        listserver(words, standalone_mode=False)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        samples.write_text(json.dumps(counts))


def part_of(frame: FrameType | None) -> str:
    """Name the part that the innermost known frame belongs to."""
    frames = [each for each, _ in walk_stack(frame)]
    for parts in (PARTS, LOOP):
        for each in frames:
            path, function = each.f_code.co_filename, each.f_code.co_name
            for piece, name, part in parts:
                if piece in path and (not name or name == function):
                    return part
    return "other"


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
