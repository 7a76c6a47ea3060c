"""RECRYPT_HOME: private keys, the profile and pins; 0600, written then renamed (spec §8)."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from recrypt_client import keyring, paths
from recrypt_client.errors import Passing, Trouble, about
from recrypt_client.files import Folder
from recrypt_client.keyring import Ask, Keyring
from recrypt_client.pins import Pin
from recrypt_core import limits
from recrypt_core.documents import VerifiedProfile, verified_profile
from recrypt_core.encoding import JsonObject, read_json, write_json
from recrypt_core.errors import Malformed
from recrypt_core.keys import Curve, PrivateKey
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
    """What one profile has and knows; its private keys may be sealed under a passphrase."""

    def __init__(self, root: Path, ask: Ask = keyring.nobody) -> None:
        self.root = root
        self._folder = Folder(root)
        self.secrets = Keyring(self._folder, ask)

    @contextmanager
    def alone(self, wait: Callable[[], None] = pause) -> Iterator[None]:
        """Keep other commands out, so that none overwrites what another has just remembered.

        Whoever holds the home neither reads nor writes a pipe: another recrypt may be at its end.

        Raises:
            Trouble: if another one holds it for too long.
        """
        with self._folder.in_words(path := self.root / paths.lock_file()):
            self._folder.make()
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
        raise Passing(
            f"{self.root}: another recrypt is at work here", "Try again when it has ended"
        )

    def has_profile(self) -> bool:
        """Tell whether there is a profile."""
        return self._folder.read(paths.profile_file()) is not None

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

    def keep_profile(self, profile: VerifiedProfile, *, new: bool = True) -> None:
        """Write the profile; with `new` only where there is none.

        Raises:
            Trouble: if there is one.
        """
        self._folder.write(paths.profile_file(), write_json(profile.signed.json()), new=new)

    def keep_key(self, key: PrivateKey | SignaturePrivateKey) -> None:
        """Write a private key under its fingerprint."""
        self.secrets.write(paths.key_file(key.public.udf), write_json(key.to_secret_jwk()))

    def agreement_key(self, kid: str) -> PrivateKey | None:
        """Find a private agreement key by what may be its fingerprint."""
        try:
            udf = read_udf(kid)
        except Malformed:
            return None
        found = self.secret_jwk(udf)
        with about(str(self.root / paths.key_file(udf))):
            return None if found is None else PrivateKey.from_secret_jwk(found)

    def signature_key(self, udf: Udf) -> SignaturePrivateKey | None:
        """Find a private signature key."""
        found = self.secret_jwk(udf)
        with about(str(self.root / paths.key_file(udf))):
            return None if found is None else SignaturePrivateKey.from_secret_jwk(found)

    def secret_jwk(self, udf: Udf) -> "JsonObject | None":
        """Find a private key of either kind, as its JWK, which names the key that it is kept as."""
        name = paths.key_file(udf)
        octets = self.secrets.read(name)
        if octets is None:
            return None
        with about(str(self.root / name)):
            jwk = read_json(octets, limit=limits.DOCUMENT_OCTETS)
            if jwk.get("kid") != udf:
                raise Malformed("another private key than its name says")
        return jwk

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
        """Give the private parts of the profile's EncryptionKeys that are here.

        And behind them what may be those of before, which earlier mail is sealed to: keys of no
        group that is known here.
        """
        if not self.has_profile():
            return []
        own, pins = [key.udf for key in self.profile().profile.encryption_keys], [*self.pins()]
        names = (name.rpartition("/")[2].partition(".")[0] for name in self.names("keys/*.jwk"))
        others = [
            udf
            for udf in names
            if udf not in own and not any(pin.is_key(udf) for pin in pins) and self._agrees(udf)
        ]
        keys = (self.agreement_key(udf) for udf in (*own, *others))
        return [key for key in keys if key is not None]

    def _agrees(self, kid: str) -> bool:
        """Tell whether a private key is for agreement: its curve tells."""
        try:
            jwk = self.secret_jwk(read_udf(kid))
        except Malformed:
            return False
        return jwk is not None and jwk.get("crv") in [curve.value for curve in Curve]

    def pin(self, group: str) -> Pin | None:
        """Find what is known of a group."""
        return self.document(paths.pin_file(group), Pin)

    def pins(self) -> Iterator[Pin]:
        """Give what is known of every group."""
        yield from self.documents("groups/*.json", Pin)

    def keep_pin(self, pin: Pin) -> None:
        """Remember what is known of a group."""
        self.keep_document(paths.pin_file(pin.group_name), pin)

    def pending(self, group: str) -> bytes | None:
        """Find a CreateGroup that wasn't answered yet, as it was sent."""
        return self.secrets.read(paths.pending_file(group))

    def keep_pending(self, group: str, body: bytes) -> None:
        """Keep a CreateGroup until it is answered."""
        self.secrets.write(paths.pending_file(group), body)

    def drop_pending(self, group: str) -> None:
        """Forget a CreateGroup that was answered; its halves go with it."""
        self.drop(paths.pending_file(group))

    def drop(self, name: str) -> None:
        """Forget a file that `paths` has named, if it is there."""
        self._folder.drop(name)

    def document(
        self, name: str, kind: type[T], *, octets: int = limits.DOCUMENT_OCTETS
    ) -> T | None:
        """Read a document that `paths` has named, of so many octets at most."""
        found = self._json(name, octets)
        with about(str(self.root / name)):
            return None if found is None else from_json(kind, found)

    def documents(self, pattern: str, kind: type[T]) -> Iterator[T]:
        """Read the documents whose names a pattern such as `groups/*.json` fits, in their order."""
        for name in self.names(pattern):
            found = self.document(name, kind)
            if found is not None:
                yield found

    def names(self, pattern: str) -> list[str]:
        """Give the names of the files that a pattern fits."""
        return self._folder.names(pattern)

    def keep_document(self, name: str, document: Document) -> None:
        """Write a document that `paths` has named, sealed if it is secret."""
        octets = write_json(to_json(document))
        if paths.is_secret(name):
            self.secrets.write(name, octets)
        else:
            self._folder.write(name, octets)

    def _json(self, name: str, limit: int = limits.DOCUMENT_OCTETS) -> "JsonObject | None":
        octets = self.secrets.read(name) if paths.is_secret(name) else self._folder.read(name)
        with about(str(self.root / name)):
            return None if octets is None else read_json(octets, limit=limit)
