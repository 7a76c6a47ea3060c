"""A Maildir for its owner alone: mail gets into it whole or not at all, and no copy twice.

A mail's name is made of its octets: what is there already, in new or in cur, is known by it.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from recrypt_client import paths
from recrypt_client.errors import Passing, Trouble, about
from recrypt_client.files import Folder
from recrypt_core import limits
from recrypt_core.encoding import read_json, write_json
from recrypt_core.wire import Document, from_json, to_json

_FOLDERS: Final = ("tmp", "new", "cur")


class Progress(Document, frozen=True, kw_only=True):
    """How far a folder of an account was read.

    `waiting` are the UIDs of mails before `next_uid` that couldn't be read yet.
    """

    uid_validity: int
    next_uid: int
    waiting: tuple[int, ...]


class Maildir:
    """A folder with tmp, new and cur; nobody else's."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = Folder(root)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Make it, if there is none, and keep another `recrypt sync` out.

        Raises:
            Trouble: if it is no Maildir, or others can read it, or another one is at work.
        """
        with self._folder.in_words(self._root):
            self._make()
            name = self._root / paths.sync_lock_file()
            handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise Passing(
                f"{self._root}: another recrypt sync is at work here", "Try again when it has ended"
            ) from None
        try:
            self._sweep()
            yield
        finally:
            os.close(handle)

    def progress(self, source: str) -> Progress | None:
        """Read how far a source was read."""
        name = paths.sync_file(source)
        octets = self._folder.read(name)
        with about(str(self._root / name)):
            if octets is None:
                return None
            return from_json(Progress, read_json(octets, limit=limits.DOCUMENT_OCTETS))

    def keep_progress(self, source: str, progress: Progress) -> None:
        """Remember how far a source was read."""
        self._folder.write(paths.sync_file(source), write_json(to_json(progress)))

    def has(self, key: str) -> bool:
        """Tell whether a mail is there, read or unread."""
        name = paths.maildir_file(key)
        read = self._root / "cur"
        return (self._root / "new" / name).exists() or any(read.glob(f"{name}*"))

    def add(self, key: str, octets: bytes) -> None:
        """Bring a mail to disk in tmp, then into new.

        Raises:
            Trouble: if it can't be written.
        """
        name = paths.maildir_file(key)
        written, new = self._root / "tmp" / name, self._root / "new"
        with self._folder.in_words(written):
            handle = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(octets)
                file.flush()
                os.fsync(handle)
            written.rename(new / name)
            entries = os.open(new, os.O_RDONLY)
            try:
                os.fsync(entries)
            finally:
                os.close(entries)

    def _make(self) -> None:
        known = {*_FOLDERS, paths.sync_lock_file()}
        there = {each.name for each in self._root.iterdir()} if self._root.exists() else set[str]()
        if "cur" not in there and there - known:
            raise Trouble(f"{self._root}: it is no Maildir, and not empty", "Name a new folder")
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._root.stat().st_mode & 0o077:
            raise Trouble(
                f"{self._root}: others can look into it",
                f"Make it yours alone: chmod 700 {self._root}",
            )
        for name in _FOLDERS:
            (self._root / name).mkdir(mode=0o700, exist_ok=True)

    def _sweep(self) -> None:
        """Take away what one that was killed has left in tmp."""
        for left in (self._root / "tmp").glob(paths.maildir_file("*")):
            left.unlink()
