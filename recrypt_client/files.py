"""Files of a folder of one's own: 0700, and whatever is in it 0600; written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recrypt_client.errors import Trouble
from recrypt_core import _random


class Folder:
    """A folder whose files `paths` names. It is made when first written to."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def make(self) -> None:
        """Make it, if there is none."""
        if not self.root.exists():
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def read(self, name: str) -> bytes | None:
        """Read a file, if there is one."""
        with self.in_words(path := self.root / name):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

    def write(self, name: str, octets: bytes, *, new: bool = False) -> None:
        """Write a file; with `new` only where there is none.

        Raises:
            Trouble: if it can't be written.
        """
        with self.in_words(path := self.root / name):
            self.make()
            path.parent.mkdir(mode=0o700, exist_ok=True)
            replace_file(path, octets, mode=0o600, new=new)

    def drop(self, name: str) -> None:
        """Remove a file, if it is there."""
        with self.in_words(path := self.root / name):
            path.unlink(missing_ok=True)

    def names(self, pattern: str) -> list[str]:
        """Give the names of the files that a pattern such as `keys/*.jwk` fits, in their order."""
        with self.in_words(self.root / pattern):
            found = [path.relative_to(self.root) for path in self.root.glob(pattern)]
        return sorted(each.as_posix() for each in found)

    @contextmanager
    def in_words(self, path: Path) -> Iterator[None]:
        """Put the system's errors about a path into words.

        Raises:
            Trouble: for every OSError.
        """
        try:
            yield
        except FileExistsError as problem:
            raise Trouble(
                f"{problem.filename2 or path}: it is there already",
                "Nothing was overwritten; choose another home with --home",
            ) from problem
        except OSError as problem:
            raise Trouble(
                f"{path}: {problem.strerror}",
                "Check the folder's owner and mode, or choose another with --home",
            ) from problem


def new_file(name: str, octets: bytes) -> None:
    """Write a file that a person named, for the owner alone, where there is none.

    Raises:
        Trouble: if there is one, or it can't be written.
    """
    try:
        replace_file(Path(name), octets, mode=0o600, new=True)
    except FileExistsError:
        raise Trouble(
            f"{name}: it is there already", "Nothing was overwritten; choose another name"
        ) from None
    except OSError as problem:
        raise Trouble(f"{name}: {problem.strerror}", "Choose another file") from problem


def replace_file(path: Path, octets: bytes, *, mode: int, new: bool = False) -> None:
    """Write a file whole or not at all: beside it, to disk, then under its name.

    Raises:
        FileExistsError: if `new` and there is one.
        OSError: if it can't be written.
    """
    beside = path.with_name(f".{_random.octets(8).hex()}.new")
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(handle)
        if new:
            os.link(beside, path)
        else:
            beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Bring the new name to disk too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
