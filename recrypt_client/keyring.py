"""The secret files of a home, as they are or sealed under a passphrase (spec §8).

Each is sealed under the home key, and that under the passphrase, in a file of its own: so a change
of the passphrase is one file that is replaced. Where there is such a file, every secret file is
sealed, and one that isn't is somebody else's and is refused: it could be a key that its author
knows too. But for what a command that seals or unseals was killed over: it has said so in a file
of its own, under the home key, and the next command makes it good.
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
            Trouble: if it can't be opened, or isn't sealed where it should be.
        """
        octets = self._folder.read(name)
        if octets is None:
            return None
        if not _is_sealed(octets):
            self._check_may_be_plain(name)
            return octets
        key = self.unlock()
        if key is None:
            raise self._gone(name)
        return self._read_sealed(key, name, octets)

    def write(self, name: str, octets: bytes) -> None:
        """Write a secret file, sealed if there is a passphrase."""
        key = self.unlock()
        self._folder.write(name, octets if key is None else _sealed(key, name, octets))

    def tidy(self) -> None:
        """Finish what a command that seals or unseals was cut off in.

        Raises:
            Trouble: if there is something that isn't sealed though nobody was about to, or that
                is sealed though there is no passphrase.
        """
        is_sealed = self.unlock() is not None
        for name, octets in self._secrets():
            if is_sealed and not _is_sealed(octets):
                self._check_may_be_plain(name)
                self.write(name, octets)
            elif not is_sealed and _is_sealed(octets):
                raise self._gone(name)
        if is_sealed:
            unfinished = [each for one in paths.UNFINISHED for each in self._folder.names(one)]
            for name in (*unfinished, paths.unfinished_file()):
                self._folder.drop(name)

    def seal(self, passphrase: str, cost: Cost) -> None:
        """Set a passphrase, or another one; who holds the home alone may.

        Killed at any moment, the home opens with the old passphrase or with the new one.
        """
        known = self.unlock()
        key = known or SealingKey.draw()
        name = paths.passphrase_file()
        with about("the passphrase"):
            sealed = seal_under(passphrase, key.to_secret_bytes(), name=_bound(name), cost=cost)
        stored = write_json({_FORM: 1, **sealed})
        if known is None:
            self._begin(key)
        self._folder.write(name, stored)
        self._opened = stored, key
        self.tidy()

    def unseal(self) -> None:
        """Take the passphrase away; who holds the home alone may.

        Killed before its end, the home opens with the passphrase as before.
        """
        key = self.unlock()
        if key is None:
            return
        self._begin(key)
        for name, _ in self._secrets():
            plain = self.read(name)
            if plain is not None:
                self._folder.write(name, plain)
        self._folder.drop(paths.passphrase_file())
        self._folder.drop(paths.unfinished_file())
        self._opened = None

    def _begin(self, key: SealingKey) -> None:
        """Say that secret files may be plain until `tidy`, so that nobody else can."""
        name = paths.unfinished_file()
        self._folder.write(name, _sealed(key, name, b""))

    def _check_may_be_plain(self, name: str) -> None:
        """Refuse what isn't sealed, unless a command was cut off that seals or unseals."""
        key = self.unlock()
        if key is None:
            return
        sign = paths.unfinished_file()
        octets = self._folder.read(sign)
        if octets is not None:
            self._read_sealed(key, sign, octets)
            return
        raise Trouble(
            f"{self._folder.root / name}: NOT SEALED, though this home has a passphrase: somebody "
            "else may have put it there",
            "Nothing was done with it. Move it out of the home; bring what is yours back with "
            "recrypt profile import",
        )

    def _read_sealed(self, key: SealingKey, name: str, octets: bytes) -> bytes:
        with about(str(self._folder.root / name)):
            return key.open(read_json(octets, limit=_SEALED_OCTETS), name=_bound(name))

    def _gone(self, name: str) -> Trouble:
        return Trouble(
            f"{self._folder.root / name}: sealed, but {paths.passphrase_file()} is gone",
            "Bring that file back, or import an export of the profile into another home",
        )

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


def _is_sealed(octets: bytes) -> bool:
    return octets.startswith(_SEALED)


def _sealed(key: SealingKey, name: str, octets: bytes) -> bytes:
    return write_json({"recrypt-sealed": 1, **key.seal(octets, name=_bound(name))})


def _bound(name: str) -> str:
    """Name a sealed file, so that none opens in another one's place."""
    return f"recrypt-home:{name}"
