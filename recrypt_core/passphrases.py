"""Private keys at rest: a passphrase made a key by Argon2id, and AES-256-GCM under it (spec §8).

Pure. For clients: a service has no passphrases.
"""

import unicodedata
from dataclasses import dataclass
from typing import Annotated, Final, Never

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from recrypt_core import _random, limits
from recrypt_core.encoding import JsonObject, read_b64url, read_object, read_text, write_b64url
from recrypt_core.errors import Malformed, NotAuthentic
from recrypt_core.wire import from_json

_ALGORITHM: Final = "argon2id"
_VERSION: Final = 19  # RFC 9106 §3.1: 0x13
_KEY_OCTETS: Final = 32
_NONCE_OCTETS: Final = 12
_TAG_OCTETS: Final = 16


class Cost(msgspec.Struct, frozen=True, kw_only=True, rename={"memory": "m", "passes": "t"}):
    """What one guess costs: memory in KiB, passes over it, and lanes that work at once."""

    memory: Annotated[int, msgspec.Meta(ge=8, le=limits.KDF_MEMORY_KIB)]
    passes: Annotated[int, msgspec.Meta(ge=1, le=limits.KDF_PASSES)]
    lanes: Annotated[int, msgspec.Meta(ge=1, le=limits.KDF_LANES)] = msgspec.field(name="p")


COST: Final = Cost(memory=64 * 1024, passes=3, lanes=4)
"""The second recommended option of RFC 9106 §4: 64 MiB."""


@dataclass(frozen=True, slots=True)
class Kdf:
    """How a passphrase becomes a key; it stands beside what is sealed, so that it can change."""

    cost: Cost
    salt: bytes

    @classmethod
    def draw(cls, cost: Cost) -> "Kdf":
        """Draw a new salt."""
        return cls(cost, _random.octets(limits.KDF_SALT_OCTETS))

    @classmethod
    def from_json(cls, value: JsonObject) -> "Kdf":
        """Read one.

        Raises:
            Malformed: if it is another algorithm, or asks for more than an honest one would.
        """
        if (value.get("alg"), value.get("v")) != (_ALGORITHM, _VERSION):
            raise Malformed(f"a kdf that is not {_ALGORITHM}, version {_VERSION}")
        salt = read_b64url(read_text(value, "salt", what="a kdf"))
        if len(salt) != limits.KDF_SALT_OCTETS:
            raise Malformed(f"a salt that is not {limits.KDF_SALT_OCTETS} octets long")
        cost = from_json(Cost, value)
        if cost.memory < 8 * cost.lanes:
            raise Malformed("a kdf with less memory than its lanes need")  # RFC 9106 §3.1
        return cls(cost, salt)

    def json(self) -> JsonObject:
        """Give it as JSON; the names are those of Argon2's own text form."""
        cost = self.cost
        return {
            "alg": _ALGORITHM,
            "v": _VERSION,
            "m": cost.memory,
            "t": cost.passes,
            "p": cost.lanes,
            "salt": write_b64url(self.salt),
        }


class SealingKey:
    """A key that seals octets, each bound to a name; it prints as nothing but itself."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        if len(secret) != _KEY_OCTETS:
            raise Malformed(f"a key that is not {_KEY_OCTETS} octets long")
        self._secret = secret

    def __repr__(self) -> str:
        return "SealingKey(...)"

    def __hash__(self) -> Never:
        raise TypeError("keys are not hashable")

    @classmethod
    def draw(cls) -> "SealingKey":
        """Draw a new key."""
        return cls(_random.octets(_KEY_OCTETS))

    @classmethod
    def derive(cls, passphrase: str, kdf: Kdf) -> "SealingKey":
        """Make a key of a passphrase, in NFC and UTF-8, so that every keyboard's is the same.

        It takes the memory that `kdf` says, and with 64 MiB about 0.2 s.

        Raises:
            Malformed: if it has letters that UTF-8 can't carry.
        """
        try:
            text = unicodedata.normalize("NFC", passphrase).encode()
        except UnicodeEncodeError:
            raise Malformed("a passphrase that is not UTF-8") from None
        cost = kdf.cost
        stretched = Argon2id(
            salt=kdf.salt,
            length=_KEY_OCTETS,
            iterations=cost.passes,
            lanes=cost.lanes,
            memory_cost=cost.memory,
        )
        return cls(stretched.derive(text))

    def seal(self, octets: bytes, *, name: str) -> JsonObject:
        """Seal octets under a name: the members iv, ciphertext and tag."""
        return self._seal_from_parts(octets, name=name, nonce=_random.octets(_NONCE_OCTETS))

    def _seal_from_parts(self, octets: bytes, *, name: str, nonce: bytes) -> JsonObject:
        sealed = AESGCM(self._secret).encrypt(nonce, octets, name.encode())
        return {
            "iv": write_b64url(nonce),
            "ciphertext": write_b64url(sealed[:-_TAG_OCTETS]),
            "tag": write_b64url(sealed[-_TAG_OCTETS:]),
        }

    def open(self, value: JsonObject, *, name: str) -> bytes:
        """Open what was sealed under this name.

        Raises:
            Malformed: if it breaks the format.
            NotAuthentic: if it was changed or moved, or sealed under another key.
        """
        parts = [
            read_b64url(read_text(value, part, what="what is sealed"))
            for part in ("iv", "ciphertext", "tag")
        ]
        nonce, ciphertext, tag = parts
        if (len(nonce), len(tag)) != (_NONCE_OCTETS, _TAG_OCTETS):
            raise Malformed("an iv or a tag of the wrong length")
        try:
            return AESGCM(self._secret).decrypt(nonce, ciphertext + tag, name.encode())
        except InvalidTag:
            raise NotAuthentic("sealed under another key, or changed") from None

    def to_secret_bytes(self) -> bytes:
        """Give its octets: 32."""
        return self._secret


def seal_under(passphrase: str, octets: bytes, *, name: str, cost: Cost) -> JsonObject:
    """Seal octets under a passphrase: the members kdf, iv, ciphertext and tag (spec §8).

    Raises:
        Malformed: if the passphrase has letters that UTF-8 can't carry.
    """
    kdf = Kdf.draw(cost)
    return {"kdf": kdf.json(), **SealingKey.derive(passphrase, kdf).seal(octets, name=name)}


def open_under(passphrase: str, value: JsonObject, *, name: str) -> bytes:
    """Open what `seal_under` has sealed.

    Raises:
        Malformed: if it breaks the format.
        NotAuthentic: if it was changed, or sealed under another passphrase or name.
    """
    kdf = Kdf.from_json(read_object(value.get("kdf"), what="what is sealed"))
    return SealingKey.derive(passphrase, kdf).open(value, name=name)


def check_new(passphrase: str) -> str:
    """Give a new passphrase, unless it is too easily guessed.

    Raises:
        Malformed: if it is.
    """
    if len(passphrase) < limits.PASSPHRASE_LETTERS:
        raise Malformed(f"a passphrase of less than {limits.PASSPHRASE_LETTERS} letters")
    return passphrase


def read_passphrase(octets: bytes) -> str:
    """Read the passphrase that is the one line of a file; the line end isn't part of it.

    Raises:
        Malformed: if there is none or more than one line, or it isn't UTF-8.
    """
    if len(octets) > limits.PASSPHRASE_OCTETS:
        raise Malformed(f"a passphrase of over {limits.PASSPHRASE_OCTETS} octets")
    try:
        line = octets.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Malformed("a passphrase that is not UTF-8") from None
    if not line or set(line) & {"\n", "\r"}:
        raise Malformed("a passphrase is one line, and this is none, or more than one")
    return line
