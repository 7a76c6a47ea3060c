"""Agreement with two halves of a private key, and the check that they match (spec §1)."""

from recrypt_core.errors import Malformed
from recrypt_core.keys import Curve, PrivateKey, PublicKey
from recrypt_core.udf import Udf
from recrypt_core.words import Word


class Split(Word):
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
        return (decryption.exchange(_points_of(curve, part)[0]),)  # either y gives the same x
    return combine(curve, part, decryption.exchange(ephemeral))


def combine(curve: Curve, part: bytes, own: bytes) -> tuple[bytes, bytes]:
    """Give the two candidates for Z from a partial and the member's own exchange (spec §1).

    Raises:
        Malformed: for a length or value that no partial has, and for two equal values.
    """
    return curve.field.candidates(part, own)


def made_up(split: Split, recryption: PrivateKey, decryption: PublicKey) -> tuple[PublicKey, ...]:
    """Give the keys that r, whose R is computed here, and X may make up (spec §1).

    One of the four is A or, where coordinates leave the sign open, its negative; P-256 has both.
    It tells nothing about x, which only the member can check against X.

    Raises:
        Malformed: if they make up none.
    """
    if split is Split.PRODUCT:
        candidates: tuple[bytes, ...] = (recryption.exchange(decryption),)
    elif recryption.curve is decryption.curve:
        candidates = combine(decryption.curve, recryption.public.x, decryption.x)
    else:
        raise Malformed("halves of two curves")
    return tuple(key for x in candidates for key in _points_of(decryption.curve, x))


def halves_match(split: Split, recryption: PrivateKey, decryption: PublicKey, group: Udf) -> bool:
    """Check an entry: that r and X make up the group key of this fingerprint (spec §1)."""
    try:
        return any(key.udf == group for key in made_up(split, recryption, decryption))
    except Malformed:
        return False


def _points_of(curve: Curve, x: bytes) -> tuple[PublicKey, ...]:
    """Give the keys with this coordinate: one, and for P-256 one for each y."""
    if curve is not Curve.P256:
        return (PublicKey(curve, x),)
    field = curve.field
    number = field.read(x)
    alpha, beta = field.weierstrass or (0, 0)
    y = field.sqrt((number**3 + alpha * number + beta) % field.prime)
    return tuple(PublicKey(curve, x, field.write(each)) for each in (y, field.prime - y))
