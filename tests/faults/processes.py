"""What Linux tells of a process."""

import re
from pathlib import Path
from typing import Final

RSS: Final = "VmRSS"  # what it has in memory now
PEAK: Final = "VmHWM"  # the most that it has had


def memory(pid: int, what: str = RSS) -> int:
    """Give octets of memory."""
    found = re.search(rf"^{what}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.M)
    assert found, f"no {what}"
    return int(found[1]) * 1024


def descriptors(pid: int) -> int:
    """Count the open files and sockets."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def children(pid: int) -> list[int]:
    """Give the processes that one has started, and that run."""
    found = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(each) for each in found.read_text().split()]
