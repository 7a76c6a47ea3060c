"""A file system that forgets at a power cut what was not synced: run as a program of its own.

    python forgetful.py BACKING MOUNT [--names-by-fsync]

Files live in memory; BACKING holds what is on the disk, one folder without folders in it. What is
written to a file is on the disk after fsync or fdatasync of it. A name that was made, moved or
taken away is on the disk after fsync of the folder, as POSIX has it; with --names-by-fsync a new
name is also there after fsync of its file, as ext4 has it.

`mkdir MOUNT/cut` cuts the power: BACKING is as the disk then is, and everything fails from then on.
`mkdir MOUNT/torn` is a cut at which any half of the unsynced sectors had been written by chance.
`mkdir MOUNT/fail` lets the next sync fail, after which what it should have brought to the disk will
never come there, though programs read it and later syncs succeed: so Linux does it.
"""

import errno
import hashlib
import os
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fuse import FUSE, FuseOSError, Operations

SECTOR: Final = 512  # octets: written whole, or not at all


@dataclass
class File:
    """What programs read, what is on the disk, and the writes and cuts in between, in order."""

    seen: bytearray = field(default_factory=bytearray)
    kept: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    mode: int = 0o600

    def write(self, offset: int, octets: bytes) -> None:
        """Write, to memory alone."""
        put(self.seen, offset, octets)
        self.pending.append((offset, octets))

    def truncate(self, length: int) -> None:
        """Set the length, in memory alone."""
        cut(self.seen, length)
        self.pending.append((length, None))

    def sync(self) -> None:
        """Bring all to the disk."""
        for offset, octets in self.pending:
            if octets is None:
                cut(self.kept, offset)
            else:
                put(self.kept, offset, octets)
        self.pending.clear()

    def tear(self, seed: bytes) -> None:
        """Bring to the disk about half of what is pending, sector by sector; lengths too."""
        for number, (offset, octets) in enumerate(self.pending):
            if octets is None:
                if chance(seed, number, 0):
                    cut(self.kept, offset)
                continue
            for start in range(0, len(octets), SECTOR):
                if chance(seed, number, start):
                    put(self.kept, offset + start, octets[start : start + SECTOR])


def put(octets: bytearray, offset: int, new: bytes) -> None:
    """Write into octets, with zeros in a gap."""
    octets.extend(bytes(max(0, offset - len(octets))))
    octets[offset : offset + len(new)] = new


def cut(octets: bytearray, length: int) -> None:
    """Shorten octets, or fill them up with zeros."""
    del octets[length:]
    octets.extend(bytes(length - len(octets)))


def chance(seed: bytes, number: int, start: int) -> bool:
    """Toss a coin, the same one in every run."""
    return bool(hashlib.sha256(b"%b %d %d" % (seed, number, start)).digest()[0] & 1)


class Forgetful(Operations):  # type: ignore[misc]  # fusepy has no types
    """One flat folder."""

    def __init__(self, backing: Path, *, names_by_fsync: bool) -> None:
        """Read what is on the disk."""
        self._backing = backing
        self._names_by_fsync = names_by_fsync
        self._dark = False
        self._fails = False
        self._names: dict[str, File] = {}
        self._open: dict[int, File] = {}
        for path in backing.iterdir():
            octets = path.read_bytes()
            file = File(bytearray(octets), bytearray(octets), mode=path.stat().st_mode & 0o777)
            self._names[path.name] = file
        self._kept_names = dict(self._names)

    def __call__(self, op: str, *arguments: object) -> object:
        """Do what the kernel asks, as long as there is power."""
        if self._dark and op not in ("destroy", "release", "flush", "getattr"):
            raise FuseOSError(errno.EIO)
        return super().__call__(op, *arguments)

    def _file(self, path: str) -> File:
        try:
            return self._names[path[1:]]
        except KeyError as problem:
            raise FuseOSError(errno.ENOENT) from problem

    # The disk

    def fsync(self, path: str, _datasync: int, fh: int) -> int:
        """Bring a file to the disk."""
        file = self._open[fh]
        if self._fails:
            self._fails = False
            file.pending.clear()
            raise FuseOSError(errno.EIO)
        file.sync()
        if self._names_by_fsync and self._names.get(path[1:]) is file:
            self._kept_names[path[1:]] = file
        return 0

    def fsyncdir(self, _path: str, _datasync: int, _fh: int) -> int:
        """Bring the folder to the disk."""
        self._kept_names = dict(self._names)
        return 0

    def mkdir(self, path: str, _mode: int) -> int:
        """Cut the power, or let a sync fail."""
        if path == "/fail":
            self._fails = True
            raise FuseOSError(errno.EEXIST)
        self._dark = True
        for old in self._backing.iterdir():
            old.unlink()
        for name, file in self._kept_names.items():
            if path == "/torn":
                file.tear(name.encode())
            place = self._backing / name
            place.write_bytes(file.kept)
            place.chmod(file.mode)
        return 0

    # What programs see

    def getattr(self, path: str, _fh: int | None = None) -> dict[str, int]:
        """Describe a file, or the folder."""
        owner = {"st_uid": os.getuid(), "st_gid": os.getgid()}
        if path == "/" or self._dark:
            return {"st_mode": stat.S_IFDIR | 0o700, "st_nlink": 2, **owner}
        file = self._file(path)
        mode, size = stat.S_IFREG | file.mode, len(file.seen)
        return {"st_mode": mode, "st_nlink": 1, "st_size": size, **owner}

    def readdir(self, _path: str, _fh: int) -> list[str]:
        """List the folder."""
        return [".", "..", *self._names]

    def create(self, path: str, mode: int, _fi: object = None) -> int:
        """Make a file."""
        self._names[path[1:]] = File(mode=mode & 0o777)
        return self.open(path, 0)

    def open(self, path: str, _flags: int) -> int:
        """Open a file; its handle stands for it, whatever becomes of its name."""
        handle = max(self._open, default=0) + 1
        self._open[handle] = self._file(path)
        return handle

    def release(self, _path: str, fh: int) -> int:
        """Close a file, which syncs nothing."""
        self._open.pop(fh, None)
        return 0

    def read(self, _path: str, size: int, offset: int, fh: int) -> bytes:
        """Read."""
        return bytes(self._open[fh].seen[offset : offset + size])

    def write(self, _path: str, data: bytes, offset: int, fh: int) -> int:
        """Write."""
        self._open[fh].write(offset, data)
        return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        """Set a file's length."""
        (self._file(path) if fh is None else self._open[fh]).truncate(length)
        return 0

    def unlink(self, path: str) -> int:
        """Take a name away."""
        self._file(path)
        del self._names[path[1:]]
        return 0

    def rename(self, old: str, new: str) -> int:
        """Move a name."""
        self._names[new[1:]] = self._file(old)
        del self._names[old[1:]]
        return 0

    def chmod(self, path: str, mode: int) -> int:
        """Set a file's mode."""
        self._file(path).mode = mode & 0o777
        return 0

    def chown(self, path: str, _uid: int, _gid: int) -> int:
        """Leave the owner as it is."""
        self._file(path)
        return 0

    def utimens(self, path: str, _times: object = None) -> int:
        """Keep no times."""
        self._file(path)
        return 0


def main(backing: str, mount: str, *options: str) -> None:
    """Serve until it is unmounted."""
    files = Forgetful(Path(backing), names_by_fsync="--names-by-fsync" in options)
    FUSE(files, mount, foreground=True, nothreads=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
