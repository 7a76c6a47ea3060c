"""The candidate formulas of spec §1, on coordinates; there is no scalar multiplication here."""

from dataclasses import dataclass
from typing import Final, Literal

from recrypt_core.errors import Malformed

Order = Literal["little", "big"]


@dataclass(frozen=True, slots=True)
class Field:
    """A curve's field and coefficients; coordinates are `octets` long, in `order`.

    Either `montgomery` (y² = x³ + Mx² + x) or `weierstrass` (y² = x³ + αx + β) is set.
    """

    prime: int
    octets: int
    order: Order
    montgomery: int | None = None
    weierstrass: tuple[int, int] | None = None

    def read(self, coordinate: bytes) -> int:
        """Read a coordinate.

        Raises:
            Malformed: if it has another length or is not below the prime.
        """
        if len(coordinate) != self.octets:
            raise Malformed(f"a coordinate that is not {self.octets} octets long")
        number = int.from_bytes(coordinate, self.order)
        if number >= self.prime:
            raise Malformed("a coordinate that is not below the field's prime")
        return number

    def write(self, number: int) -> bytes:
        """Write a coordinate."""
        return number.to_bytes(self.octets, self.order)

    def sqrt(self, square: int) -> int:
        """Find a root of `square`.

        Raises:
            Malformed: if it has none.
        """
        p = self.prime
        if p % 4 == 3:
            root = pow(square, (p + 1) // 4, p)
        else:  # p = 5 mod 8
            root = pow(square, (p + 3) // 8, p)
            if root * root % p != square % p:
                root = root * pow(2, (p - 1) // 4, p) % p
        if root * root % p != square % p:
            raise Malformed("coordinates that belong to no points of the curve")
        return root

    def candidates(self, first: bytes, second: bytes) -> tuple[bytes, bytes]:
        """Give x(P+Q) and x(P-Q), in either order, from the coordinates of P and Q (spec §1).

        Raises:
            Malformed: if the coordinates are equal, not canonical, or of no points.
        """
        p, x1, x2 = self.prime, self.read(first), self.read(second)
        if x1 == x2:
            raise Malformed("two coordinates that are equal")
        over_d = pow(x1 - x2, -2, p)
        product = x1 * x2
        if self.montgomery is not None:
            h = ((x1 + x2) * (product + 1) + 2 * self.montgomery * product) * over_d
            q = (product - 1) ** 2 * over_d
        else:
            alpha, beta = self.weierstrass or (0, 0)
            h = ((x1 + x2) * (product + alpha) + 2 * beta) * over_d
            q = ((product - alpha) ** 2 - 4 * beta * (x1 + x2)) * over_d
        root = self.sqrt((h * h - q) % p)
        return self.write((h + root) % p), self.write((h - root) % p)


CURVE25519: Final = Field(2**255 - 19, 32, "little", montgomery=486662)
CURVE448: Final = Field(2**448 - 2**224 - 1, 56, "little", montgomery=156326)
P256: Final = Field(
    2**256 - 2**224 + 2**192 + 2**96 - 1,
    32,
    "big",
    weierstrass=(-3, 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B),
)
