"""The sealed row of an entry: what its member's copies are made with.

It is read for each copy, so it is read into its form at once, and kept: to open one takes longer
than to look it up, and to load its r as long as a partial does. Who wrote it is known: the vault
has opened it.
"""

from typing import Final

import msgspec

from listserver.edges.sqlite_known import Known
from listserver.edges.sqlite_rows import ROW_OCTETS
from listserver.limits import HALVES_OCTETS
from listserver.model import Half
from listserver.vault import Vault
from recrypt_core.agreement import Split
from recrypt_core.encoding import read_b64url, write_b64url
from recrypt_core.errors import Malformed
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.udf import read_udf


class _Row(msgspec.Struct, gc=False):
    """As JSON, in this order."""

    address: str
    group_key: str
    member_key: str
    split: Split
    curve: Curve
    r: str
    decryption_key: str

    def __repr__(self) -> str:
        return type(self).__name__


_READER: Final = msgspec.json.Decoder(_Row)


class Halves:
    """Halves that were read before, each good while its row is the same.

    When any entry has ended all are forgotten: no r outlives its row for long.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._kept = Known[Half](HALVES_OCTETS, first_stay=True)

    def read(self, sealed: bytes, name: bytes, *, stays: int) -> Half:
        """Give what the row of an entry holds; see `read_half`."""
        half = self._kept.get(name, sealed)
        if half is None or half.stays != stays:
            half = read_half(self._vault, sealed, name, stays=stays)
            self._kept.put(name, sealed, half)
        return half

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()


def read_half(vault: Vault, sealed: bytes, name: bytes, *, stays: int = 0) -> Half:
    """Open the row of an entry.

    Raises:
        NotAuthentic: if it was changed, moved, or sealed under another key.
        Malformed: if it isn't a half's.
    """
    opened = vault.unseal("entries", sealed, row=name)
    if len(opened) > ROW_OCTETS:
        raise Malformed("an entry's row that is too long")
    try:
        row = _READER.decode(opened)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Malformed("an entry's row of another form") from None
    return Half(
        row.address,
        read_udf(row.group_key),
        read_udf(row.member_key),
        row.split,
        PrivateKey(row.curve, read_b64url(row.r)),
        row.decryption_key.encode(),
        stays,
    )


def seal_half(vault: Vault, half: Half, name: bytes) -> bytes:
    """Write the row of an entry; it opens beside its name alone."""
    row = _Row(
        half.address,
        half.group_key,
        half.member_key,
        half.split,
        half.recryption.curve,
        write_b64url(half.recryption.to_secret_bytes()),
        half.decryption_key.decode(),
    )
    return vault.seal("entries", msgspec.json.encode(row), row=name)
