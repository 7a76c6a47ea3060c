"""The vault's key is changed: every row sealed anew, and at each moment a file with its key.

The new key is on the disk, beside the old one, before the store is committed, and takes its place
after. Whoever dies between leaves two files, and the store opens with one of them: the next command
finds out which. All of it happens while nobody else has the store open.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path
from stat import S_IMODE

from listserver.config import Config
from listserver.edges.sqlite_upkeep import keep_open, open_upkeep
from listserver.vault import Vault, read_key_line
from recrypt_core.errors import Malformed


class Step(Enum):
    """How far a rotation has come: where it may be cut off."""

    KEY_WRITTEN = auto()
    RESEALED = auto()
    COMMITTED = auto()
    RENAMED = auto()


def rotate_key(config: Config, vault: Vault, passed: Callable[[Step], None]) -> int:
    """Seal the store under a new key; count the rows that didn't open, and stay as they are.

    Args:
        config: Where the store and its key are.
        vault: The store's.
        passed: Is called after each step.

    Raises:
        OSError: if anybody has the store, or a file can't be written. The old key is the store's
            still, unless `Step.COMMITTED` was passed: then `finish_rotation` is to be called.
        NotAuthentic: if this isn't the store's vault.
    """
    file, new = _files(config)
    octets = vault.successor()
    with open_upkeep(config.store.file, vault, alone=True) as store:
        _write_like(file, new, octets)
        passed(Step.KEY_WRITTEN)
        unread = store.reseal(read_key_line(octets))
        passed(Step.RESEALED)
        store.commit()
        passed(Step.COMMITTED)
        new.replace(file)
        _sync(file.parent)
        passed(Step.RENAMED)
    return unread


def finish_rotation(config: Config) -> None:
    """Let the new key take the old one's place, if a rotation was cut off before it did.

    A new key that isn't the store's stays where it is: a key is never erased here.

    Raises:
        OSError: if the store can't be read, or the file can't be renamed.
    """
    file, new = _files(config)
    if not new.exists():
        return
    with keep_open(config.store.file) as is_of_store:  # so no rotation goes on meanwhile
        old_vault, new_vault = _vault_in(file), _vault_in(new)
        if old_vault is not None and is_of_store(old_vault):
            return
        if new_vault is not None and is_of_store(new_vault):
            with suppress(FileNotFoundError):  # another command has just done it
                new.replace(file)
            _sync(file.parent)


def _files(config: Config) -> tuple[Path, Path]:
    """Give the key's file, and the one beside it for a new key."""
    file = Path(config.vault.key_file).resolve()  # a link stays one
    return file, file.with_name(f"{file.name}.new")


def _vault_in(file: Path) -> Vault | None:
    try:
        return read_key_line(file.read_bytes())
    except (OSError, Malformed):
        return None


def _write_like(model: Path, file: Path, octets: bytes) -> None:
    """Write a file to the disk, with the owner and the mode of another."""
    like = model.stat()
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as stream:
        os.fchown(handle, like.st_uid, like.st_gid)
        os.fchmod(handle, S_IMODE(like.st_mode))
        stream.write(octets)
        stream.flush()
        os.fsync(handle)
    _sync(file.parent)


def _sync(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
