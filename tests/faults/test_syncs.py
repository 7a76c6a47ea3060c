"""The order of system calls: each 250 is said after a completed sync of all that it speaks for."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.end_to_end.network import MailHost
from tests.faults.house import MEMBERS
from tests.faults.ledger import Ledger
from tests.faults.machine import STRACE
from tests.faults.tracing import Strace

POSTS = 20
SENDERS = 8
GO_AHEAD, ACCEPTED = 'sendto(.*"354 ', 'sendto(.*"250 2.0.0 Accepted'
WRITE, SYNC = r"pwrite64(.*-wal>", r"fdatasync(.*-wal>"


def find(calls: list[str], pattern: str) -> list[int]:
    """Give the places of the lines that match; brackets stand for themselves."""
    expression = re.compile(pattern.replace("(", r"\("))
    return [place for place, line in enumerate(calls) if expression.search(line)]


def completed(calls: list[str], place: int) -> int:
    """Give the place where the sync that begins at `place` has returned 0, or the very end."""
    if "unfinished" not in calls[place]:
        return place if calls[place].endswith("= 0") else len(calls)
    thread = calls[place].split()[0]
    ends = find(calls[place:], rf"^{thread} .*fdatasync resumed>.* = 0$")
    return place + ends[0] if ends else len(calls)


def is_synced(calls: list[str]) -> bool:
    """Tell whether something was written, and the last of it then synced to the end."""
    writes = find(calls, WRITE)
    return bool(writes) and any(
        start > writes[-1] and completed(calls, start) < len(calls) for start in find(calls, SYNC)
    )


@STRACE
def test_each_250_comes_after_a_completed_sync(
    ledger: Ledger, host: MailHost, tmp_path: Path, report: Callable[[str], None]
) -> None:
    host.start()
    out, child = tmp_path / "calls", ledger.server.child
    strace = Strace(ledger.server, "pwrite64,fdatasync,sendto", out=out)
    for number in range(POSTS):
        ledger.take(1)
        # Nothing else may write until the next post.
        child.wait_total("delivered", (number + 1) * len(MEMBERS))
    strace.detach()
    calls = out.read_text().splitlines()
    begins, ends = find(calls, GO_AHEAD), find(calls, ACCEPTED)
    assert len(begins) == len(ends) == POSTS
    synced = [is_synced(calls[first:last]) for first, last in zip(begins, ends, strict=True)]
    report(f"F4 answers of 250 after a completed fdatasync: {sum(synced)} of {POSTS}")
    assert all(synced)


@STRACE
def test_the_syncs_of_a_busy_server_are_counted(
    ledger: Ledger, host: MailHost, tmp_path: Path, report: Callable[[str], None]
) -> None:
    host.start()
    out = tmp_path / "calls"
    strace = Strace(ledger.server, "fdatasync", out=out)
    with ThreadPoolExecutor(SENDERS) as senders:
        posts = [ledger.new_post() for _ in range(POSTS * SENDERS)]
        list(senders.map(ledger.hand_in, posts))
    accepting = len(find(out.read_text().splitlines(), SYNC)) / len(posts)
    assert ledger.settle()
    strace.detach()
    in_all = len(find(out.read_text().splitlines(), SYNC)) / len(posts)
    report(
        f"F4 syncs for each 250 with {SENDERS} senders: {accepting:.2f} until the last 250,"
        f" {in_all:.2f} with all relaying to {len(MEMBERS)} members"
    )
    ledger.check("F4")
