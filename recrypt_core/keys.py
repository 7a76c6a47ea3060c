"""Agreement keys of the three curves, their JWKs and fingerprints (spec §1, §2).

The scalar multiplication is OpenSSL's, through the cryptography package. A private key's octets
leave it by `to_secret_bytes` and `to_secret_jwk` alone; it prints as its curve and fingerprint.
Python doesn't wipe memory: freed octets of a key may stay in it until they are overwritten.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final, Never, TypeAlias, cast

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, x448, x25519

from recrypt_core import fields
from recrypt_core.encoding import JsonObject, read_b64url, read_text, write_b64url
from recrypt_core.errors import Malformed
from recrypt_core.udf import Udf, key_udf

_LibraryPublic: TypeAlias = x25519.X25519PublicKey | x448.X448PublicKey | ec.EllipticCurvePublicKey
_LibraryPrivate: TypeAlias = (
    x25519.X25519PrivateKey | x448.X448PrivateKey | ec.EllipticCurvePrivateKey
)


class Curve(Enum):
    """An agreement algorithm, by the name of its JWK curve."""

    X25519 = "X25519"
    X448 = "X448"
    P256 = "P-256"

    @property
    def kty(self) -> str:
        """The JWK key type."""
        return "EC" if self is Curve.P256 else "OKP"

    @property
    def field(self) -> fields.Field:
        """The field of its coordinates."""
        return _FIELDS[self]


_FIELDS: Final[Mapping[Curve, fields.Field]] = {
    Curve.X25519: fields.CURVE25519,
    Curve.X448: fields.CURVE448,
    Curve.P256: fields.P256,
}

# The u-coordinates, below the prime, of all points of small order on the curve and its twist
# (RFC 7748 §6): an exchange with one of them gives zero whatever the private key.
_LOW_ORDER: Final[Mapping[Curve, frozenset[int]]] = {
    Curve.X25519: frozenset(
        {
            0,
            1,
            325606250916557431795983626356110631294008115727848805560023387167927233504,
            39382357235489614581723060781553021112529911719440698176882885853963445705823,
            fields.CURVE25519.prime - 1,
        }
    ),
    Curve.X448: frozenset({0, 1, fields.CURVE448.prime - 1}),
    Curve.P256: frozenset(),
}

# SEC 1 ECPrivateKey of P-256 without its public key: the octets before and after the scalar. It
# lets a scalar pass to and from OpenSSL as octets, never as a Python integer.
_SEC1_BEFORE: Final = bytes.fromhex("30310201010420")
_SEC1_AFTER: Final = bytes.fromhex("a00a06082a8648ce3d030107")
_SCALAR_OCTETS: Final[Mapping[Curve, int]] = {Curve.X25519: 32, Curve.X448: 56, Curve.P256: 32}


class PublicKey:
    """A public agreement key: canonical, on its curve, not of low order.

    Attributes:
        curve: Its curve.
        x: The u- or x-coordinate, in the curve's octet order.
        y: The y-coordinate for P-256, empty for the others.
    """

    __slots__ = ("_key", "_udf", "curve", "x", "y")

    def __init__(self, curve: Curve, x: bytes, y: bytes = b"") -> None:
        if curve.field.read(x) in _LOW_ORDER[curve]:
            raise Malformed("a public key of low order")
        self.curve = curve
        self.x = x
        self.y = y
        self._key = _library_public(curve, x, y)
        self._udf: Udf | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PublicKey):
            return NotImplemented
        return (self.curve, self.x, self.y) == (other.curve, other.x, other.y)

    def __hash__(self) -> int:
        return hash((self.curve, self.x, self.y))

    def __repr__(self) -> str:
        return f"PublicKey({self.curve.value}, {self.udf})"

    @classmethod
    def from_jwk(cls, jwk: JsonObject) -> "PublicKey":
        """Read a public JWK, as an `epk` is; its `kid` isn't looked at.

        Raises:
            Malformed: for another curve, a private key, a coordinate that is not canonical or of
                no point, or a point of low order.
        """
        if "d" in jwk:
            raise Malformed("a private key where a public one belongs")
        curve = _curve_of(jwk)
        y = _coordinate(jwk, "y") if curve is Curve.P256 else b""
        return cls(curve, _coordinate(jwk, "x"), y)

    @classmethod
    def from_named_jwk(cls, jwk: JsonObject) -> "PublicKey":
        """Read a public JWK of a document, whose `kid` must be its fingerprint (spec §4).

        Raises:
            Malformed: as `from_jwk`, and for another `kid` or none.
        """
        key = cls.from_jwk(jwk)
        if jwk.get("kid") != key.udf:
            raise Malformed("a key whose kid is not its fingerprint")
        return key

    @property
    def udf(self) -> Udf:
        """Its fingerprint."""
        if self._udf is None:
            self._udf = key_udf(self.spki())
        return self._udf

    def spki(self) -> bytes:
        """Give its DER SubjectPublicKeyInfo."""
        return self._key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def jwk(self) -> JsonObject:
        """Give the JWK without a `kid`, as an `epk` is."""
        jwk: JsonObject = {
            "kty": self.curve.kty,
            "crv": self.curve.value,
            "x": write_b64url(self.x),
        }
        return jwk | {"y": write_b64url(self.y)} if self.y else jwk

    def named_jwk(self) -> JsonObject:
        """Give the JWK of a document, with its fingerprint as `kid`."""
        return {**self.jwk(), "kid": self.udf}


class PrivateKey:
    """A private agreement key: a group's a, a half r or x, a device's (spec §1).

    The library computes the public key when it loads a private one, as long as an exchange takes:
    so it is loaded when it is first used.
    """

    __slots__ = ("_loaded", "_secret", "curve")

    def __init__(self, curve: Curve, secret: bytes) -> None:
        if len(secret) != _SCALAR_OCTETS[curve]:
            raise Malformed(f"a private key that is not {_SCALAR_OCTETS[curve]} octets long")
        self.curve = curve
        self._secret = secret
        # Of P-256 alone there are octets that are no key, which only the library can tell.
        self._loaded = _library_private(curve, secret) if curve is Curve.P256 else None

    def __repr__(self) -> str:
        return f"PrivateKey({self.curve.value}, {self.public.udf})"

    def __hash__(self) -> Never:
        raise TypeError("private keys are not hashable")

    @classmethod
    def generate(cls, curve: Curve) -> "PrivateKey":
        """Draw a new key."""
        match curve:
            case Curve.X25519:
                return cls(curve, x25519.X25519PrivateKey.generate().private_bytes_raw())
            case Curve.X448:
                return cls(curve, x448.X448PrivateKey.generate().private_bytes_raw())
            case Curve.P256:
                der = ec.generate_private_key(ec.SECP256R1()).private_bytes(
                    serialization.Encoding.DER,
                    serialization.PrivateFormat.TraditionalOpenSSL,
                    serialization.NoEncryption(),
                )
                start = len(_SEC1_BEFORE)
                return cls(curve, der[start : start + _SCALAR_OCTETS[curve]])

    @classmethod
    def from_secret_jwk(cls, jwk: JsonObject) -> "PrivateKey":
        """Read a private JWK; its public part is computed anew and must be the one it states.

        Raises:
            Malformed: if it is no private key of a known curve, or contradicts itself.
        """
        curve = _curve_of(jwk)
        key = cls(curve, _coordinate(jwk, "d"))
        stated = PublicKey.from_jwk({name: part for name, part in jwk.items() if name != "d"})
        public = key.public
        if stated != public or ("kid" in jwk and jwk["kid"] != public.udf):
            raise Malformed("a private key that contradicts its public part")
        return key

    @property
    def _key(self) -> _LibraryPrivate:
        if self._loaded is None:
            self._loaded = _library_private(self.curve, self._secret)
        return self._loaded

    @property
    def public(self) -> PublicKey:
        """Its public key, computed anew at each call."""
        if isinstance(self._key, ec.EllipticCurvePrivateKey):
            point = self._key.public_key().public_bytes(
                serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
            )
            return PublicKey(self.curve, point[1:33], point[33:])
        return PublicKey(self.curve, self._key.public_key().public_bytes_raw())

    def exchange(self, peer: PublicKey) -> bytes:
        """Multiply `peer` by this key and give the x- (u-) coordinate: 32, 56 or 32 octets.

        Raises:
            Malformed: if `peer` is of another curve.
        """
        if self.curve is not peer.curve:
            raise Malformed("an exchange of keys of two curves")
        # Not isinstance: the library's classes are abstract, which makes that slow.
        ours, theirs = self._key, peer._key  # noqa: SLF001 - of this room
        match self.curve:
            case Curve.X25519:
                return cast(x25519.X25519PrivateKey, ours).exchange(
                    cast(x25519.X25519PublicKey, theirs)
                )
            case Curve.X448:
                return cast(x448.X448PrivateKey, ours).exchange(cast(x448.X448PublicKey, theirs))
            case Curve.P256:
                return cast(ec.EllipticCurvePrivateKey, ours).exchange(
                    ec.ECDH(), cast(ec.EllipticCurvePublicKey, theirs)
                )

    def to_secret_bytes(self) -> bytes:
        """Give the private octets: 32, 56 or 32, in the curve's order."""
        return self._secret

    def to_secret_jwk(self) -> JsonObject:
        """Give the private JWK, with the public key's fingerprint as `kid`."""
        return {**self.public.named_jwk(), "d": write_b64url(self._secret)}

    def to_secret_pem(self) -> bytes:
        """Give the private key as PKCS #8 in PEM, for other programs."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def _curve_of(jwk: JsonObject) -> Curve:
    for curve in Curve:
        if jwk.get("crv") == curve.value and jwk.get("kty") == curve.kty:
            return curve
    raise Malformed("a key of no known curve: X25519, X448 or P-256")


def _coordinate(jwk: JsonObject, name: str) -> bytes:
    return read_b64url(read_text(jwk, name, what="a key"))


def _library_public(curve: Curve, x: bytes, y: bytes) -> _LibraryPublic:
    if curve is not Curve.P256 and y:
        raise Malformed("a key with a coordinate too many")
    match curve:
        case Curve.X25519:
            return x25519.X25519PublicKey.from_public_bytes(x)
        case Curve.X448:
            return x448.X448PublicKey.from_public_bytes(x)
        case Curve.P256:
            curve.field.read(y)
            try:
                return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\4" + x + y)
            except ValueError:
                raise Malformed("a public key that is not on its curve") from None


def _library_private(curve: Curve, secret: bytes) -> _LibraryPrivate:
    match curve:
        case Curve.X25519:
            return x25519.X25519PrivateKey.from_private_bytes(secret)
        case Curve.X448:
            return x448.X448PrivateKey.from_private_bytes(secret)
        case Curve.P256:
            try:
                key = serialization.load_der_private_key(
                    _SEC1_BEFORE + secret + _SEC1_AFTER, password=None
                )
            except ValueError:
                raise Malformed("a private key out of its range") from None
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise Malformed("a private key of another kind")
            return key
