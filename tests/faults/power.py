"""A folder whose power can be cut; forgetful.py is its file system."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.faults.house import Child, until

PROGRAM: Final = Path(__file__).parent / "forgetful.py"


class Disk:
    """A folder that keeps only what was synced."""

    def __init__(self, folder: Path, *options: str) -> None:
        """Mount it, empty. options: forgetful.py's."""
        self._options = options
        self._backing = folder / "disk"
        self.folder = folder / "mount"
        self._backing.mkdir()
        self.folder.mkdir()
        self.mount()

    def mount(self) -> None:
        """Give it power."""
        words: tuple[str | Path, ...] = (PROGRAM, self._backing, self.folder, *self._options)
        self._child = Child(sys.executable, *words)
        assert until(self._is_mounted), self._child.output

    def cut(self, *, torn: bool) -> None:
        """Cut its power, and give it power again. Nothing may run on it."""
        (self.folder / ("torn" if torn else "cut")).mkdir()
        self.unmount()
        self.mount()

    def fail(self) -> None:
        """Let the next sync fail, and what it was for never come to the disk."""
        with suppress(FileExistsError):
            (self.folder / "fail").mkdir()

    def unmount(self) -> None:
        """Take it away, if it stands."""
        if self._is_mounted():
            subprocess.run(["/bin/umount", self.folder], check=True)
            self._child.ended()

    def _is_mounted(self) -> bool:
        return f" {self.folder} fuse" in Path("/proc/mounts").read_text()
