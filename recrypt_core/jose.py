"""The one door to JOSE: signatures and encryption, each with a fixed choice of algorithm.

jwcrypto reads loosely: padded and re-wrapped base64, duplicate members, `zip`, PBES2, a header
outside the signature. So it is never given a token from outside: what comes in is read strictly
by `envelope` and `signing`, and only values that those have checked arrive here.

It signs and encrypts. To verify, once the header was read strictly, only EdDSA itself is left. That
is OpenSSL's either way: asked directly, it takes a third of the time that jwcrypto needs to parse
the token anew and then ask it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from cryptography.exceptions import InvalidSignature, InvalidTag
from jwcrypto.jwa import JWA
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS

from recrypt_core.encoding import JsonObject, read_b64url, read_json, write_b64url, write_json
from recrypt_core.errors import NotAuthentic
from recrypt_core.keys import PublicKey
from recrypt_core.limits import DOCUMENT_OCTETS
from recrypt_core.signature_keys import SignaturePrivateKey, SignaturePublicKey

SIGNATURE_ALGORITHM = "EdDSA"
"""Ed25519 or Ed448, as the key is (RFC 8037); the only one (spec §4)."""


class ContentCipher(Enum):
    """A content encryption that is accepted (spec §3), with octets of its key, IV and tag."""

    A256GCM = ("A256GCM", 32, 12, 16)
    A128GCM = ("A128GCM", 16, 12, 16)
    A256CBC_HS512 = ("A256CBC-HS512", 64, 16, 32)
    A128CBC_HS256 = ("A128CBC-HS256", 32, 16, 16)

    def __init__(self, enc: str, key_octets: int, iv_octets: int, tag_octets: int) -> None:
        self.enc = enc
        self.key_octets = key_octets
        self.iv_octets = iv_octets
        self.tag_octets = tag_octets


@dataclass(frozen=True, slots=True)
class Encrypted:
    """What encryption gives: `protected` as text, and for each recipient its header and key."""

    protected: str
    iv: bytes
    ciphertext: bytes
    tag: bytes
    recipients: tuple[tuple[JsonObject, bytes], ...]


def sign(key: SignaturePrivateKey, protected: JsonObject, payload: bytes) -> tuple[str, str, str]:
    """Sign: (protected, payload, signature), each base64url (RFC 7515 §7.2.2)."""
    token = JWS(payload)
    header = write_json({"alg": SIGNATURE_ALGORITHM, **protected}).decode()
    token.add_signature(JWK(**key.to_secret_jwk()), alg=SIGNATURE_ALGORITHM, protected=header)
    signature = token.objects["signature"]
    return write_b64url(header.encode()), write_b64url(payload), write_b64url(signature)


def verify(key: SignaturePublicKey, protected: str, payload: str, signature: str) -> None:
    """Check a signature over a protected header and a payload, both base64url (RFC 7515 §5.2).

    The header was read strictly before: its alg is EdDSA, and it has no `crit` and no `b64`.

    Raises:
        Malformed: if the signature isn't strict base64url.
        NotAuthentic: if it isn't the key's.
    """
    octets = read_b64url(signature)
    if len(octets) != key.curve.signature_octets:
        raise NotAuthentic("a signature of the wrong length")
    key.verify(octets, f"{protected}.{payload}".encode())


def encrypt(
    content: bytes, protected: JsonObject, recipients: Sequence[tuple[PublicKey, JsonObject]]
) -> Encrypted:
    """Encrypt to public keys, each with its own header, a fresh ephemeral key and a fresh IV."""
    header = write_json(protected).decode()
    token = JWE(content, protected=header)
    for key, own in recipients:
        token.add_recipient(JWK(**key.jwk()), header=write_json(own).decode())
    made = token.objects
    return Encrypted(
        write_b64url(header.encode()),
        made["iv"],
        made["ciphertext"],
        made["tag"],
        tuple(
            (read_json(each["header"].encode(), limit=DOCUMENT_OCTETS), each["encrypted_key"])
            for each in made.get("recipients", [made])
        ),
    )


def decrypt_content(
    cipher: ContentCipher, key: bytes, *, aad: bytes, iv: bytes, sealed: tuple[bytes, bytes]
) -> bytes:
    """Decrypt content under its content key; `sealed` is (ciphertext, tag).

    Raises:
        NotAuthentic: if the tag doesn't fit.
    """
    try:
        opened: bytes = JWA.encryption_alg(cipher.enc).decrypt(key, aad, iv, *sealed)
    except (InvalidSignature, InvalidTag, ValueError):
        raise NotAuthentic("content that was changed, or sealed under another key") from None
    return opened
