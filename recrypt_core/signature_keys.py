"""Signature keys: Ed25519 and Ed448, their JWKs and fingerprints (spec §4)."""

from enum import Enum
from typing import Final, Never, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519

from recrypt_core.encoding import JsonObject, read_b64url, read_text, write_b64url
from recrypt_core.errors import Malformed, NotAuthentic
from recrypt_core.udf import Udf, key_udf

_LibraryPublic: TypeAlias = ed25519.Ed25519PublicKey | ed448.Ed448PublicKey


class SignatureCurve(Enum):
    """A signature algorithm, by the name of its JWK curve."""

    ED25519 = "Ed25519"
    ED448 = "Ed448"

    @property
    def signature_octets(self) -> int:
        """The length of its signatures."""
        return 64 if self is SignatureCurve.ED25519 else 114


class SignaturePublicKey:
    """A public signature key and its fingerprint; `x` is 32 octets for Ed25519, 57 for Ed448."""

    __slots__ = ("_key", "curve", "udf", "x")

    def __init__(self, curve: SignatureCurve, x: bytes) -> None:
        self.curve = curve
        self.x = x
        try:
            self._key = _library_public(curve, x)
        except ValueError:
            raise Malformed("a signature key of the wrong length") from None
        self.udf: Final[Udf] = key_udf(
            self._key.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SignaturePublicKey):
            return NotImplemented
        return (self.curve, self.x) == (other.curve, other.x)

    def __hash__(self) -> int:
        return hash((self.curve, self.x))

    def __repr__(self) -> str:
        return f"SignaturePublicKey({self.curve.value}, {self.udf})"

    @classmethod
    def from_named_jwk(cls, jwk: JsonObject) -> "SignaturePublicKey":
        """Read a public JWK, whose `kid` must be its fingerprint (spec §4).

        Raises:
            Malformed: for another kind of key, a private key, or another `kid`.
        """
        key = cls(_curve_of(jwk), _octets(jwk, "x"))
        if "d" in jwk:
            raise Malformed("a private key where a public one belongs")
        if jwk.get("kid") != key.udf:
            raise Malformed("a key whose kid is not its fingerprint")
        return key

    def named_jwk(self) -> JsonObject:
        """Give the JWK, with its fingerprint as `kid`."""
        return {
            "kty": "OKP",
            "crv": self.curve.value,
            "x": write_b64url(self.x),
            "kid": self.udf,
        }

    def verify(self, signature: bytes, octets: bytes) -> None:
        """Check an EdDSA signature over `octets` (RFC 8032 §5.1.7, §5.2.7).

        Raises:
            NotAuthentic: if it isn't this key's.
        """
        try:
            self._key.verify(signature, octets)
        except InvalidSignature:
            raise NotAuthentic("a signature that isn't this key's") from None


class SignaturePrivateKey:
    """A private signature key: a master's or an online one."""

    __slots__ = ("_secret", "curve", "public")

    def __init__(self, curve: SignatureCurve, secret: bytes) -> None:
        self.curve = curve
        self._secret = secret
        self.public = SignaturePublicKey(curve, _derive(curve, secret))

    def __repr__(self) -> str:
        return f"SignaturePrivateKey({self.curve.value}, {self.public.udf})"

    def __hash__(self) -> Never:
        raise TypeError("private keys are not hashable")

    @classmethod
    def generate(cls, curve: SignatureCurve) -> "SignaturePrivateKey":
        """Draw a new key."""
        if curve is SignatureCurve.ED25519:
            return cls(curve, ed25519.Ed25519PrivateKey.generate().private_bytes_raw())
        return cls(curve, ed448.Ed448PrivateKey.generate().private_bytes_raw())

    @classmethod
    def from_secret_jwk(cls, jwk: JsonObject) -> "SignaturePrivateKey":
        """Read a private JWK, whose public part must be the one that its `d` gives.

        Raises:
            Malformed: if it is no private signature key, or contradicts itself.
        """
        key = cls(_curve_of(jwk), _octets(jwk, "d"))
        if key.to_secret_jwk() != {name: jwk.get(name) for name in key.to_secret_jwk()}:
            raise Malformed("a private key that contradicts its public part")
        return key

    def to_secret_jwk(self) -> JsonObject:
        """Give the private JWK, with the public key's fingerprint as `kid`."""
        return {**self.public.named_jwk(), "d": write_b64url(self._secret)}


def _derive(curve: SignatureCurve, secret: bytes) -> bytes:
    try:
        if curve is SignatureCurve.ED25519:
            private = ed25519.Ed25519PrivateKey.from_private_bytes(secret)
            return private.public_key().public_bytes_raw()
        return ed448.Ed448PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    except ValueError:
        raise Malformed("a signature key of the wrong length") from None


def _library_public(curve: SignatureCurve, x: bytes) -> _LibraryPublic:
    if curve is SignatureCurve.ED25519:
        return ed25519.Ed25519PublicKey.from_public_bytes(x)
    return ed448.Ed448PublicKey.from_public_bytes(x)


def _curve_of(jwk: JsonObject) -> SignatureCurve:
    for curve in SignatureCurve:
        if jwk.get("crv") == curve.value and jwk.get("kty") == "OKP":
            return curve
    raise Malformed("no signature key of a known curve: Ed25519 or Ed448")


def _octets(jwk: JsonObject, name: str) -> bytes:
    return read_b64url(read_text(jwk, name, what="a key"))
