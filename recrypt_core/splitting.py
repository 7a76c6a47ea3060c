"""Split a group's private key into two halves that are ordinary private keys (spec §1, D§3.1).

This is the client's alone, and the one place where a secret scalar is a Python integer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from recrypt_core import _random
from recrypt_core.keys import Curve, PrivateKey


@dataclass(frozen=True, slots=True)
class Halves:
    """What a split gives: r for the service, x for the member. Neither tells anything about a."""

    recryption: PrivateKey
    decryption: PrivateKey


@dataclass(frozen=True, slots=True)
class _Group:
    """The scalars of a curve: their number, and for Montgomery curves the clamped interval."""

    order: int
    cofactor: int = 1
    low: int = 1
    """The smallest j of a clamped scalar h·j; the largest is below twice as much."""


_GROUPS: Final[Mapping[Curve, _Group]] = {
    Curve.X25519: _Group(2**252 + 27742317777372353535851937790883648493, 8, 2**251),
    Curve.X448: _Group(
        2**446 - 13818066809895115352007386748515426880336692474882178609894547503885, 4, 2**445
    ),
    Curve.P256: _Group(0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551),
}


def split(private: PrivateKey) -> Halves:
    """Split a group's private key for one entry, with an x that is fresh (spec §1)."""
    order = _GROUPS[private.curve].order
    while True:
        halves = _split_from_parts(private, 1 + _random.below(order - 1))
        if halves is not None:
            return halves


def _split_from_parts(private: PrivateKey, drawn: int) -> Halves | None:
    """Split with this x; None where it has no clamped form, or r would be 0: draw again."""
    order = _GROUPS[private.curve].order
    recryption = _acting_as(private.curve, (_scalar(private) - drawn) % order)
    decryption = _acting_as(private.curve, drawn)
    if recryption is None or decryption is None:
        return None
    return Halves(recryption, decryption)


def _scalar(private: PrivateKey) -> int:
    """Read the scalar that a private key multiplies by: clamped (RFC 7748 §5) but for P-256."""
    number = int.from_bytes(private.to_secret_bytes(), private.curve.field.order)
    group = _GROUPS[private.curve]
    if group.cofactor == 1:
        return number
    top = group.low * group.cofactor
    return (number % top + top) & -group.cofactor


def _acting_as(curve: Curve, scalar: int) -> PrivateKey | None:
    """Give the key that multiplies by `scalar` up to sign, if it has a clamped form."""
    group = _GROUPS[curve]
    if scalar == 0:
        return None
    if group.cofactor > 1:
        j = scalar * pow(group.cofactor, -1, group.order) % group.order
        if not group.low <= j < 2 * group.low:
            j = group.order - j
        if not group.low <= j < 2 * group.low:
            return None
        scalar = group.cofactor * j
    return PrivateKey(curve, scalar.to_bytes(curve.field.octets, curve.field.order))
