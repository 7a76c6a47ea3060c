"""Agreement with two halves of a private key, and the check that they match (spec §1)."""

import hmac
from enum import Enum

from recrypt_core.errors import Malformed
from recrypt_core.keys import Curve, PrivateKey, PublicKey


class Split(Enum):
    """How an entry's halves make up the group's private key (spec §1)."""

    SUM = "sum"
    PRODUCT = "product"


def partial(recryption: PrivateKey, ephemeral: PublicKey) -> bytes:
    """Do the service's part: one exchange, 32, 56 or 32 octets (D§3.1).

    Raises:
        Malformed: if `ephemeral` is of another curve than the half.
    """
    return recryption.exchange(ephemeral)


def complete(
    split: Split, decryption: PrivateKey, ephemeral: PublicKey, part: bytes
) -> tuple[bytes, ...]:
    """Do the member's part: the candidates for Z, one of which unwraps (spec §1).

    Raises:
        Malformed: if `part` is no partial that can belong to `ephemeral`.
    """
    curve = decryption.curve
    if split is Split.PRODUCT:
        return (decryption.exchange(_point_of(curve, part)),)
    return combine(curve, part, decryption.exchange(ephemeral))


def combine(curve: Curve, part: bytes, own: bytes) -> tuple[bytes, bytes]:
    """Give the two candidates for Z from a partial and the member's own exchange (spec §1).

    Raises:
        Malformed: for a length or value that no partial has, and for two equal values.
    """
    return curve.field.candidates(part, own)


def halves_match(
    split: Split, recryption: PrivateKey, decryption: PublicKey, group: PublicKey
) -> bool:
    """Check an entry: that r, whose R is computed here, and X make up A (spec §1).

    It tells nothing about x, which only the member can check against X.
    """
    if not recryption.curve is decryption.curve is group.curve:
        return False
    try:
        if split is Split.PRODUCT:
            candidates: tuple[bytes, ...] = (recryption.exchange(decryption),)
        else:
            candidates = combine(group.curve, recryption.public.x, decryption.x)
    except Malformed:
        return False
    return any(hmac.compare_digest(candidate, group.x) for candidate in candidates)


def _point_of(curve: Curve, x: bytes) -> PublicKey:
    """Give a point with this x; for P-256 either y will do (spec §1)."""
    if curve is not Curve.P256:
        return PublicKey(curve, x)
    field = curve.field
    number = field.read(x)
    alpha, beta = field.weierstrass or (0, 0)
    y = field.sqrt((number**3 + alpha * number + beta) % field.prime)
    return PublicKey(curve, x, field.write(y))
