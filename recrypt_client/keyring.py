"""The secret files of a home, as they are or sealed under a passphrase (spec §8).

Each is sealed under the home key, and that under the passphrase, in a file of its own: so a change
of the passphrase is one file that is replaced. Where there is such a file, every secret file is
sealed: what a kill has left as it was is made good when the home key is opened the next time.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from recrypt_client import paths
from recrypt_client.errors import Trouble, about
from recrypt_client.files import Folder
from recrypt_core import limits
from recrypt_core.encoding import read_json, write_json
from recrypt_core.errors import Malformed, NotAuthentic
from recrypt_core.passphrases import Cost, SealingKey, open_under, seal_under

Ask: TypeAlias = Callable[[str], str]
"""Gives the passphrase of what it is told the name of."""

_SEALED: Final = b'{"recrypt-sealed":1,'  # as our writer begins what is sealed
_SEALED_OCTETS: Final = 2 * limits.REQUEST_OCTETS  # base64 takes a third more
_FORM: Final = "recrypt-passphrase"


def nobody(what: str) -> str:
    """Answer for who has no way to give a passphrase.

    Raises:
        Trouble: always.
    """
    raise Trouble(
        f"{what} is sealed under a passphrase",
        "Give it with --passphrase-file FILE or RECRYPT_PASSPHRASE_FILE: without a terminal "
        "nothing is asked",
    )


class Keyring:
    """The secret files of a folder."""

    def __init__(self, folder: Folder, ask: Ask) -> None:
        self._folder = folder
        self._ask = ask
        self._opened: tuple[bytes, SealingKey] | None = None

    @property
    def is_sealed(self) -> bool:
        """Whether there is a passphrase."""
        return self._folder.read(paths.passphrase_file()) is not None

    def unlock(self) -> SealingKey | None:
        """Open the home key, where there is one; once, unless another command has replaced it.

        Raises:
            Trouble: if the passphrase can't be had, or is wrong.
        """
        stored = self._folder.read(paths.passphrase_file())
        if stored is None:
            return None
        if self._opened is None or self._opened[0] != stored:
            self._opened = stored, self._open(stored)
        return self._opened[1]

    def read(self, name: str) -> bytes | None:
        """Read a secret file, if there is one.

        Raises:
            Trouble: if it can't be opened.
        """
        octets = self._folder.read(name)
        if octets is None or not octets.startswith(_SEALED):
            return octets
        key = self.unlock()
        if key is None:
            raise Trouble(
                f"{self._folder.root / name}: sealed, but {paths.passphrase_file()} is gone",
                "Bring that file back, or import an export of the profile into another home",
            )
        with about(str(self._folder.root / name)):
            return key.open(read_json(octets, limit=_SEALED_OCTETS), name=_bound(name))

    def write(self, name: str, octets: bytes) -> None:
        """Write a secret file, sealed if there is a passphrase."""
        key = self.unlock()
        if key is not None:
            octets = write_json({"recrypt-sealed": 1, **key.seal(octets, name=_bound(name))})
        self._folder.write(name, octets)

    def tidy(self) -> None:
        """Seal what isn't, where it should be: a command that seals or unseals was cut off."""
        if self.unlock() is None:
            return
        for pattern in paths.UNFINISHED:
            for name in self._folder.names(pattern):
                self._folder.drop(name)
        for name, octets in self._secrets():
            if not octets.startswith(_SEALED):
                self.write(name, octets)

    def seal(self, passphrase: str, cost: Cost) -> None:
        """Set a passphrase, or another one; who holds the home alone may.

        Killed at any moment, the home opens with the old passphrase or with the new one.
        """
        key = self.unlock() or SealingKey.draw()
        name = paths.passphrase_file()
        with about("the passphrase"):
            sealed = seal_under(passphrase, key.to_secret_bytes(), name=_bound(name), cost=cost)
        stored = write_json({_FORM: 1, **sealed})
        self._folder.write(name, stored)
        self._opened = stored, key
        self.tidy()

    def unseal(self) -> None:
        """Take the passphrase away; who holds the home alone may.

        Killed before its end, the home opens with the passphrase as before.
        """
        for name, _ in self._secrets():
            plain = self.read(name)
            if plain is not None:
                self._folder.write(name, plain)
        self._folder.drop(paths.passphrase_file())
        self._opened = None

    def _open(self, stored: bytes) -> SealingKey:
        name = paths.passphrase_file()
        with about(str(self._folder.root / name)):
            value = read_json(stored, limit=limits.DOCUMENT_OCTETS)
            if value.get(_FORM) != 1:
                raise Malformed("not of the form that this version of recrypt reads")
            try:
                secret = open_under(self._ask(str(self._folder.root)), value, name=_bound(name))
            except NotAuthentic:
                raise wrong_passphrase(str(self._folder.root)) from None
            return SealingKey(secret)

    def _secrets(self) -> list[tuple[str, bytes]]:
        names = [name for pattern in paths.SECRETS for name in self._folder.names(pattern)]
        found = ((name, self._folder.read(name)) for name in names)
        return [(name, octets) for name, octets in found if octets is not None]


def wrong_passphrase(what: str) -> Trouble:
    """Say that a passphrase doesn't open what it was asked for."""
    return Trouble(f"{what}: the passphrase is wrong, or the file was changed", "Try again")


def _bound(name: str) -> str:
    """Name a sealed file, so that none opens in another one's place."""
    return f"recrypt-home:{name}"
