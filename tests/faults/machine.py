"""What of the machine a fault needs; a test is skipped by the name of what isn't there."""

import ctypes.util
import os
import shutil
from pathlib import Path
from typing import Final

import pytest

FAKETIME: Final = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


def _needs(there: object, what: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not there, reason=f"no {what} here")


STRACE: Final = _needs(shutil.which("strace"), "strace")
SMTP_SINK: Final = _needs(
    shutil.which("smtp-sink") or Path("/usr/sbin/smtp-sink").exists(), "smtp-sink (postfix)"
)
PRLIMIT: Final = _needs(shutil.which("prlimit"), "prlimit (util-linux)")
CLOCK: Final = _needs(FAKETIME, "libfaketime")
ROOT: Final = _needs(os.geteuid() == 0, "root")
FUSE: Final = _needs(
    Path("/dev/fuse").exists() and ctypes.util.find_library("fuse"), "FUSE (/dev/fuse, libfuse2)"
)
