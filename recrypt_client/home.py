"""RECRYPT_HOME: private keys, the profile and pins; 0600, written then renamed (spec §8)."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from recrypt_client import paths
from recrypt_client.errors import Trouble, about
from recrypt_client.pins import Pin
from recrypt_core import _random, limits
from recrypt_core.documents import VerifiedProfile, verified_profile
from recrypt_core.encoding import JsonObject, read_json, write_json
from recrypt_core.errors import Malformed
from recrypt_core.keys import PrivateKey
from recrypt_core.signature_keys import SignaturePrivateKey
from recrypt_core.signing import Jws
from recrypt_core.udf import Udf, read_udf
from recrypt_core.wire import Document, from_json, to_json

T = TypeVar("T", bound=Document)

LOCK_TRIES: Final = 100  # a pause between two: ten seconds in all; ours
PAUSE_SECONDS: Final = 0.1


def pause() -> None:
    """Let another command get on."""
    time.sleep(PAUSE_SECONDS)


class Home:
    """A folder of its own: 0700, and whatever is in it 0600. It is made when first written to."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def alone(self, wait: Callable[[], None] = pause) -> Iterator[None]:
        """Keep other commands out, so that none overwrites what another has just remembered.

        Whoever holds the home neither reads nor writes a pipe: another recrypt may be at its end.

        Raises:
            Trouble: if another one holds it for too long.
        """
        with self._in_words(path := self.root / paths.lock_file()):
            if not self.root.exists():
                self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._lock(handle, wait)
            yield
        finally:
            os.close(handle)  # with it the lock goes, as it does when a process dies

    def _lock(self, handle: int, wait: Callable[[], None]) -> None:
        for _ in range(LOCK_TRIES):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                wait()
            else:
                return
        raise Trouble(
            f"{self.root}: another recrypt is at work here", "Try again when it has ended"
        )

    def has_profile(self) -> bool:
        """Tell whether there is a profile."""
        return self._read(paths.profile_file()) is not None

    def profile(self) -> VerifiedProfile:
        """Read the profile.

        Raises:
            Trouble: if there is none, or it can't be read.
        """
        name = paths.profile_file()
        found = self._json(name)
        if found is None:
            raise Trouble(
                f"{self.root}: no profile", "Make one with recrypt profile create ADDRESS"
            )
        with about(str(self.root / name)):
            return verified_profile(from_json(Jws, found))

    def keep_profile(self, profile: VerifiedProfile) -> None:
        """Write the profile, where there is none.

        Raises:
            Trouble: if there is one.
        """
        self._write(paths.profile_file(), write_json(profile.signed.json()), new=True)

    def keep_key(self, key: PrivateKey | SignaturePrivateKey) -> None:
        """Write a private key under its fingerprint."""
        self._write(paths.key_file(key.public.udf), write_json(key.to_secret_jwk()))

    def agreement_key(self, kid: str) -> PrivateKey | None:
        """Find a private agreement key by what may be its fingerprint."""
        try:
            name = paths.key_file(read_udf(kid))
        except Malformed:
            return None
        found = self._json(name)
        with about(str(self.root / name)):
            return None if found is None else PrivateKey.from_secret_jwk(found)

    def signature_key(self, udf: Udf) -> SignaturePrivateKey | None:
        """Find a private signature key."""
        name = paths.key_file(udf)
        found = self._json(name)
        with about(str(self.root / name)):
            return None if found is None else SignaturePrivateKey.from_secret_jwk(found)

    def signing_key(self, profile: VerifiedProfile) -> SignaturePrivateKey:
        """Find a key that signs for a profile or Master: online ones first, they are for that.

        Raises:
            Trouble: if there is none.
        """
        for public in (*profile.profile.online_signature_keys, profile.signature_keys[0]):
            key = self.signature_key(public.udf)
            if key is not None:
                return key
        raise Trouble(
            f"{self.root}: no private key of {profile.identifier}",
            "Use the home that made it, with --home",
        )

    def device_keys(self) -> list[PrivateKey]:
        """Give the private parts of the profile's EncryptionKeys that are here."""
        if not self.has_profile():
            return []
        keys = (self.agreement_key(key.udf) for key in self.profile().profile.encryption_keys)
        return [key for key in keys if key is not None]

    def pin(self, group: str) -> Pin | None:
        """Find what is known of a group."""
        return self.document(paths.pin_file(group), Pin)

    def pins(self) -> Iterator[Pin]:
        """Give what is known of every group."""
        with self._in_words(folder := self.root / "groups"):
            names = sorted(each.name for each in folder.glob("*.json"))
        for name in names:
            pin = self.document(f"groups/{name}", Pin)
            if pin is not None:
                yield pin

    def keep_pin(self, pin: Pin) -> None:
        """Remember what is known of a group."""
        self.keep_document(paths.pin_file(pin.group_name), pin)

    def pending(self, group: str) -> bytes | None:
        """Find a CreateGroup that wasn't answered yet, as it was sent."""
        return self._read(paths.pending_file(group))

    def keep_pending(self, group: str, body: bytes) -> None:
        """Keep a CreateGroup until it is answered."""
        self._write(paths.pending_file(group), body)

    def drop_pending(self, group: str) -> None:
        """Forget a CreateGroup that was answered; its halves go with it."""
        with self._in_words(path := self.root / paths.pending_file(group)):
            path.unlink(missing_ok=True)

    def document(self, name: str, kind: type[T]) -> T | None:
        """Read a document that `paths` has named."""
        found = self._json(name)
        with about(str(self.root / name)):
            return None if found is None else from_json(kind, found)

    def keep_document(self, name: str, document: Document) -> None:
        """Write a document that `paths` has named."""
        self._write(name, write_json(to_json(document)))

    def _json(self, name: str) -> "JsonObject | None":
        octets = self._read(name)
        with about(str(self.root / name)):
            return None if octets is None else read_json(octets, limit=limits.DOCUMENT_OCTETS)

    def _read(self, name: str) -> bytes | None:
        with self._in_words(path := self.root / name):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

    def _write(self, name: str, octets: bytes, *, new: bool = False) -> None:
        with self._in_words(path := self.root / name):
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            replace_file(path, octets, mode=0o600, new=new)

    @contextmanager
    def _in_words(self, path: Path) -> Iterator[None]:
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
