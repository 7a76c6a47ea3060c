"""The vault: rows sealed with AES-256-GCM, look-up names by HMAC, tokens by one block (spec §7).

Its key stands in a file of its own, apart from the store, so that who steals the database or a
back-up reads counts and sizes and nothing else. Look-up names can't be made anew, as of many things
only the name is kept: so a key that was changed has the first one's naming key beside it.
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from recrypt_core import _random
from recrypt_core.encoding import read_b64url, write_b64url
from recrypt_core.errors import Malformed, NotAuthentic

KEY_OCTETS: Final = 32
BLOCK_OCTETS: Final = 16  # AES

_FORM: Final = b"\x01"  # first octet of every sealed row: AES-256-GCM, 12 octets of nonce
_NONCE_OCTETS: Final = 12
_NAMES_KEPT: Final = 1000  # ours: a list's and its key's are asked for several times a post
_NO_KEY: Final = "the vault key file doesn't hold one line with a key"
_NAMING: Final = b"naming "  # begins the second line of a key that was changed


class Mac:
    """HMAC-SHA256 under one key, begun once: that is half the work for each message."""

    __slots__ = ("_begun",)

    def __init__(self, key: bytes) -> None:
        self._begun = HMAC(key, SHA256())

    def of(self, message: bytes) -> bytes:
        """Give the 32 octets for a message."""
        begun = self._begun.copy()
        begun.update(message)
        return begun.finalize()


class Vault:
    """Seals, names and enciphers under one key of 32 octets; prints as nothing but itself."""

    __slots__ = ("_blocks", "_key", "_namer", "_names", "_naming", "_seals")

    def __init__(self, key: bytes, *, naming: bytes | None = None) -> None:
        if any(len(each) != KEY_OCTETS for each in (key, naming) if each is not None):
            raise Malformed(f"a vault key that is not {KEY_OCTETS} octets long")
        self._key = key
        self._naming = self._derive("name") if naming is None else naming
        self._namer = Mac(self._naming)
        self._blocks: dict[str, tuple[CipherContext, CipherContext]] = {}
        self._seals: dict[str, AESGCM] = {}
        self._names: dict[tuple[str, ...], bytes] = {}

    def seal(self, table: str, plaintext: bytes, *, row: bytes = b"") -> bytes:
        """Seal a row of a table; it opens only there, and beside the same `row`."""
        nonce = _random.octets(_NONCE_OCTETS)
        return _FORM + nonce + self._seal_of(table).encrypt(nonce, plaintext, row)

    def unseal(self, table: str, sealed: bytes, *, row: bytes = b"") -> bytes:
        """Open a sealed row.

        Raises:
            NotAuthentic: if it was changed, moved, or sealed under another key.
        """
        form, nonce, rest = sealed[:1], sealed[1 : 1 + _NONCE_OCTETS], sealed[1 + _NONCE_OCTETS :]
        if form != _FORM:
            raise NotAuthentic(f"a row of {table} is of an unknown form: a damaged store")
        try:
            return self._seal_of(table).decrypt(nonce, rest, row)
        except (InvalidTag, ValueError):
            raise NotAuthentic(
                f"a row of {table} doesn't open: another vault key, or a damaged store"
            ) from None

    def name(self, kind: str, *parts: str) -> bytes:
        """Name something by HMAC-SHA256, 32 octets; equal parts have equal names."""
        named = (kind, *parts)
        name = self._names.get(named)
        if name is None:
            encoded = [part.encode() for part in named]
            text = b"".join([len(part).to_bytes(4, "big") + part for part in encoded])
            name = self._namer.of(text)
            if len(self._names) >= _NAMES_KEPT:
                self._names.clear()
            self._names[named] = name
        return name

    def successor(self) -> bytes:
        """Draw a new key for the same names, in the form of its file.

        What was sealed or enciphered under this one doesn't open under that.
        """
        naming = write_b64url(self._naming).encode("ascii")
        return new_key_line() + _NAMING + naming + b"\n"

    def encipher(self, blocks: bytes, *, use: str = "token") -> bytes:
        """Encipher blocks of 16 octets, each alone; a block must hold its own check octets.

        Each use has a key of its own, so a block of one tells nothing of those of another.
        """
        return self._cipher(use)[0].update(blocks)

    def decipher(self, block: bytes, *, use: str = "token") -> bytes:
        """Undo `encipher`; what comes of a block from outside is believed by its check octets."""
        return self._cipher(use)[1].update(block)

    def _cipher(self, use: str) -> tuple[CipherContext, CipherContext]:
        ciphers = self._blocks.get(use)
        if ciphers is None:
            # Each block alone: every token is another block, so ECB repeats nothing, and what
            # enciphers one is the same for the next.
            cipher = Cipher(AES(self._derive(use)), ECB())  # noqa: S305
            ciphers = self._blocks[use] = cipher.encryptor(), cipher.decryptor()
        return ciphers

    def _seal_of(self, table: str) -> AESGCM:
        seal = self._seals.get(table)
        if seal is None:
            seal = self._seals[table] = AESGCM(self._derive(f"seal:{table}"))
        return seal

    def _derive(self, use: str) -> bytes:
        # The key is uniform already, so HKDF's extract step has nothing to do (RFC 5869 §3.3).
        return HKDFExpand(SHA256(), KEY_OCTETS, f"recrypt-vault-1:{use}".encode()).derive(self._key)


def new_key_line() -> bytes:
    """Draw a new vault key, in the form of its file: one line of base64url."""
    return write_b64url(_random.octets(KEY_OCTETS)).encode("ascii") + b"\n"


def read_key_line(octets: bytes) -> Vault:
    """Read the file of a vault key.

    Raises:
        Malformed: if it is not one line of base64url of 32 octets, or that and, after "naming ",
            another such line. The words don't quote it.
    """
    key, *more = octets.removesuffix(b"\n").split(b"\n")
    if len(more) > 1 or not all(line.startswith(_NAMING) for line in more):
        raise Malformed(_NO_KEY)
    try:
        namings = [_read_key(line.removeprefix(_NAMING)) for line in more]
        return Vault(_read_key(key), naming=namings[0] if namings else None)
    except (UnicodeDecodeError, Malformed):
        raise Malformed(_NO_KEY) from None


def _read_key(line: bytes) -> bytes:
    return read_b64url(line.decode("ascii"))
