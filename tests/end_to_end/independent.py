"""A small client that knows docs/spec.md and nothing of this project's code.

Profiles, posts and the reading of copies, with X25519 and its own arithmetic; independent_group.py
has the service.
"""

import base64
import hashlib
import json
import secrets  # noqa: TID251 - recrypt_core is not to be used here
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK

Json = dict[str, Any]
SigningKey = Ed25519PrivateKey
AgreementKey = X25519PrivateKey

P: Final = 2**255 - 19
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
MONTGOMERY: Final = 486662


# Encodings, fingerprints, keys (spec §2)


def b64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def rfc3339(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def udf(key: Ed25519PublicKey | X25519PublicKey) -> str:
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    inner = b"application/pkix-keyinfo:" + hashlib.sha512(spki).digest()
    text = base64.b32encode(b"\x60" + hashlib.sha512(inner).digest()).decode()[:30]
    return "-".join(text[at : at + 5] for at in range(0, 30, 5))


def jwk(key: Ed25519PublicKey | X25519PublicKey) -> Json:
    curve = "Ed25519" if isinstance(key, Ed25519PublicKey) else "X25519"
    return {"kty": "OKP", "crv": curve, "x": b64(key.public_bytes_raw()), "kid": udf(key)}


def secret_jwk(key: SigningKey | AgreementKey, *, named: bool = True) -> Json:
    public = jwk(key.public_key())
    if not named:
        del public["kid"]
    return {**public, "d": b64(key.private_bytes_raw())}


# Signed documents (spec §4)


def sign(kind: str, payload: object, key: SigningKey, **header: object) -> Json:
    members = {"alg": "EdDSA", "kid": udf(key.public_key()), "typ": kind, **header}
    protected, body = b64(compact(members)), b64(compact(payload))
    signature = b64(key.sign(f"{protected}.{body}".encode()))
    return {"payload": body, "protected": protected, "signature": signature}


def verified(document: Json, kind: str, key: Json) -> Json:
    """Give the payload that `key` signed; cryptography raises if it didn't."""
    signed = f"{document['protected']}.{document['payload']}".encode()
    Ed25519PublicKey.from_public_bytes(unb64(key["x"])).verify(unb64(document["signature"]), signed)
    header = json.loads(unb64(document["protected"]))
    assert header == {"alg": "EdDSA", "kid": key["kid"], "typ": kind}
    payload: Json = json.loads(unb64(document["payload"]))
    return payload


def hash_of(change: Json) -> str:
    text = f"{change['protected']}.{change['payload']}.{change['signature']}"
    return b64(hashlib.sha256(text.encode()).digest())


@dataclass(frozen=True)
class Person:
    """Somebody's keys and their SignedProfile; a group's Master too, which has no device."""

    address: str
    master: SigningKey
    online: SigningKey
    device: AgreementKey
    profile: Json

    @property
    def identifier(self) -> str:
        """The fingerprint of the master signature key."""
        return udf(self.master.public_key())


def new_person(address: str, now: datetime, *, devices: int = 1) -> Person:
    master, online = SigningKey.generate(), SigningKey.generate()
    device = AgreementKey.generate()
    document = {
        "Identifier": udf(master.public_key()),
        "MasterSignatureKey": jwk(master.public_key()),
        "OnlineSignatureKeys": [jwk(online.public_key())],
        "MasterEscrowKeys": [],
        "EncryptionKeys": [jwk(device.public_key())][:devices],
        "Accounts": [address],
        "Updated": rfc3339(now),
    }
    return Person(address, master, online, device, sign("recrypt-profile", document, master))


# Agreement by halves (spec §1)


def acting_as(scalar: int) -> AgreementKey:
    """Give the clamped key that acts as a scalar, up to sign."""
    j = scalar * pow(8, -1, ORDER) % ORDER
    if not 2**251 <= j < 2**252:
        j = ORDER - j
    return AgreementKey.from_private_bytes((8 * j).to_bytes(32, "little"))


def split(key: AgreementKey) -> tuple[AgreementKey, AgreementKey]:
    """Give r and x."""
    octets = bytearray(key.private_bytes_raw())
    octets[0] &= 248
    octets[31] = octets[31] & 127 | 64
    x = 1 + secrets.randbelow(ORDER - 1)
    r = (int.from_bytes(octets, "little") - x) % ORDER
    return acting_as(r), acting_as(x)


def candidates(partial: bytes, own: bytes) -> list[bytes]:
    """Give the two Z that there can be."""
    x1, x2 = (int.from_bytes(each, "little") for each in (partial, own))
    over = pow((x1 - x2) ** 2, -1, P)
    h = ((x1 + x2) * (x1 * x2 + 1) + 2 * MONTGOMERY * x1 * x2) * over % P
    root = square_root(h * h - (x1 * x2 - 1) ** 2 * over)
    return [((h + each) % P).to_bytes(32, "little") for each in (root, -root)]


def square_root(square: int) -> int:
    root = pow(square, (P + 3) // 8, P)
    if (root * root - square) % P:
        root = root * pow(2, (P - 1) // 4, P) % P
    assert (root * root - square) % P == 0
    return root


# Envelopes (spec §3)


def seal(content: bytes, *keys: Json, cty: str | None = None, named: bool = True) -> Json:
    """Seal with a stock JOSE library."""
    protected = {"enc": "A256GCM"} | ({"cty": cty, "typ": "recrypt+json"} if cty else {})
    sealed = JWE(content, compact(protected).decode())
    for key in keys:
        header = {"alg": "ECDH-ES+A256KW"} | ({"kid": key["kid"]} if named else {})
        sealed.add_recipient(JWK(**key), json.dumps(header))
    made: Json = json.loads(sealed.serialize())
    return made


def unseal(envelope: Json, key: AgreementKey) -> Json:
    """Open a JWE of a private JWK, with a stock JOSE library."""
    opened = JWE()
    opened.deserialize(json.dumps(envelope), JWK(**secret_jwk(key)))
    value: Json = json.loads(opened.payload)
    return value


def mmx(envelope: Json) -> bytes:
    line = {name: value for name, value in envelope.items() if name != "ciphertext"}
    return compact(line) + b"\n" + unb64(envelope["ciphertext"])


def open_mmx(octets: bytes, device: AgreementKey) -> bytes:
    """Open an .mmx that holds the recryption for `device`."""
    line, _, ciphertext = octets.partition(b"\n")
    envelope = json.loads(line)
    (recipient,) = envelope["recipients"]
    facts, added = json.loads(unb64(envelope["protected"])), envelope["recryption"]
    facts |= recipient["header"]
    assert added["Split"] == "sum"
    assert facts["kid"] == added["GroupKeyID"]
    x = AgreementKey.from_private_bytes(unb64(unseal(added["DecryptionKey"], device)["d"]))
    assert udf(x.public_key()) == added["MemberKeyUDF"]
    epk = X25519PublicKey.from_public_bytes(unb64(facts["epk"]["x"]))
    wrapped = unb64(recipient["encrypted_key"])
    for z in candidates(unb64(added["Partial"]), x.exchange(epk)):
        try:
            cek = aes_key_unwrap(wrapping_key(z), wrapped)
        except InvalidUnwrap:
            continue
        sealed = ciphertext + unb64(envelope["tag"])
        return AESGCM(cek).decrypt(unb64(envelope["iv"]), sealed, envelope["protected"].encode())
    raise AssertionError("neither candidate is Z")


def wrapping_key(z: bytes) -> bytes:
    """Derive a key-wrapping key (RFC 7518 §4.6.2), without apu and apv."""
    alg = b"ECDH-ES+A256KW"
    info = len(alg).to_bytes(4, "big") + alg + bytes(8) + (256).to_bytes(4, "big")
    return ConcatKDFHash(SHA256(), 32, info).derive(z)


# Mail (spec §7)


def make_post(group_name: str, key: Json, content: bytes) -> bytes:
    """Write a post with one encrypted part that stands alone."""
    octets = mmx(seal(content, key, cty="message/rfc822"))
    head = (
        f"From: sender@example.org\r\nTo: {group_name}\r\nMIME-Version: 1.0\r\n"
        "Content-Type: application/vnd.recrypt\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    return head.encode() + base64.encodebytes(octets).replace(b"\n", b"\r\n")


def read_copy(copy: bytes, person: Person) -> bytes:
    """Give the content of a relayed copy."""
    parts = message_from_bytes(copy).walk()
    (part,) = [each for each in parts if each.get_content_type() == "application/vnd.recrypt"]
    octets = part.get_payload(decode=True)
    assert isinstance(octets, bytes)
    return open_mmx(octets, person.device)
