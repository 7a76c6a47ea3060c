"""One signature has one form: of all the ways to write it another one is read (spec §4)."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS

from recrypt_core.encoding import read_b64url, read_json, write_b64url, write_json
from recrypt_core.errors import Malformed, NotAuthentic
from recrypt_core.signature_keys import SignatureCurve, SignaturePrivateKey
from recrypt_core.signing import Jws, Kind, read_compact, sign_document, signer_of, verify_document
from recrypt_core.udf import Udf
from recrypt_core.wire import from_json

KEY = SignaturePrivateKey.generate(SignatureCurve.ED25519)
OTHER = SignaturePrivateKey.generate(SignatureCurve.ED25519)
PAYLOAD: Any = {"Name": "value~~~", "List": [1, 2, 3]}
SIGNED = sign_document(Kind.PROFILE, PAYLOAD, KEY)
EDWARDS_ORDER = 2**252 + 27742317777372353535851937790883648493
Members = dict[str, Any]


def read(body: bytes, key: SignaturePrivateKey = KEY) -> object:
    """Read a signed document from outside, and believe it."""
    document = from_json(Jws, read_json(body, limit=10_000))
    return verify_document(document, Kind.PROFILE, key.public)


def members() -> Members:
    made: Members = json.loads(write_json(SIGNED.json()))
    return made


def loose(text: str) -> Iterator[str]:
    """Give texts that a forgiving decoder takes for `text`."""
    yield from (text + end for end in ("=", "==", "===", "\n", " ", "\r\n", ".", "\0"))
    yield from (" " + text, "\n" + text, text[:7] + "\n" + text[7:], text[:8] + "=" + text[8:])
    yield base64.b64encode(read_b64url(text)).decode()
    yield text.replace("-", "+").replace("_", "/")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    yield from (text[:-1] + letter for letter in letters)


def signed_with(header: Members, payload: bytes = write_json(PAYLOAD)) -> Members:
    """Sign under any protected header at all."""
    text = write_b64url(json.dumps(header).encode())
    body = write_b64url(payload)
    signature = signature_of(f"{text}.{body}".encode())
    return {"protected": text, "payload": body, "signature": write_b64url(signature)}


def signature_of(octets: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(KEY._secret).sign(octets)


HEADER: Members = {"alg": "EdDSA", "kid": KEY.public.udf, "typ": "recrypt-profile"}


def test_a_signed_document_is_read_and_so_is_one_that_another_program_signed() -> None:
    assert read(write_json(SIGNED.json())) == PAYLOAD
    assert read(json.dumps(members(), indent=1).encode()) == PAYLOAD
    assert read(json.dumps(signed_with(HEADER)).encode()) == PAYLOAD
    assert signer_of(SIGNED, Kind.PROFILE) == KEY.public.udf
    assert read_compact(SIGNED.compact()) == SIGNED


@pytest.mark.parametrize("name", ["protected", "payload", "signature"])
def test_of_all_writings_of_a_part_exactly_one_is_accepted(name: str) -> None:
    right = members()[name]
    accepted = []
    variants = {right, *loose(right)}
    assert len(variants) > 70
    for text in variants:
        try:
            read(json.dumps(members() | {name: text}).encode())
        except (Malformed, NotAuthentic):
            continue
        accepted.append(text)
    assert accepted == [right]


def test_jwcrypto_alone_would_have_taken_many() -> None:
    """What the strict reading is for: if this fails, jwcrypto has become strict."""
    taken = 0
    for text in {SIGNED.signature, *loose(SIGNED.signature)}:
        token = JWS()
        try:
            token.deserialize(json.dumps(members() | {"signature": text}))
            token.verify(JWK(**KEY.public.named_jwk()), alg="EdDSA")
        except Exception:  # noqa: BLE001, S112 - whatever it doesn't take
            continue
        taken += 1
    assert taken > 1


def unprotected_alg() -> Members:
    return signed_with({"kid": KEY.public.udf, "typ": "recrypt-profile"}) | {
        "header": {"alg": "EdDSA"}
    }


SHAPES: list[Callable[[], Members]] = [
    lambda: members() | {"header": {}},
    lambda: members() | {"header": {"kid": KEY.public.udf}},
    lambda: members() | {"more": 1},
    lambda: members() | {"signatures": []},
    unprotected_alg,
    lambda: {"payload": SIGNED.payload, "signatures": [part(SIGNED)]},
    lambda: {"payload": SIGNED.payload, "signatures": [part(SIGNED), part(SIGNED)]},
    lambda: members() | {"signatures": [part(SIGNED)]},
    lambda: members() | {"signature": None},
    lambda: members() | {"payload": ""},
    lambda: members() | {"signature": ""},
    lambda: members() | {"protected": ""},
    lambda: {name: text for name, text in members().items() if name != "protected"},
]


def part(document: Jws) -> Members:
    return {"protected": document.protected, "signature": document.signature}


@pytest.mark.parametrize("make", SHAPES)
def test_no_shape_but_the_flattened_one_with_one_signature_is_read(
    make: Callable[[], Members],
) -> None:
    with pytest.raises((Malformed, NotAuthentic)):
        read(json.dumps(make()).encode())


@pytest.mark.parametrize(
    "change",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ES256"},
        {"alg": "Ed25519"},
        {"alg": "eddsa"},
        {"alg": None},
        {"typ": "recrypt-request"},
        {"typ": "RECRYPT-PROFILE"},
        {"typ": "application/recrypt-profile"},
        {"typ": None},
        {"kid": KEY.public.udf.lower()},
        {"kid": None},
        {"kid": "../../etc/passwd"},
        {"jwk": KEY.public.named_jwk()},
        {"jku": "https://example.org/"},
        {"x5u": "https://example.org/"},
        {"crit": ["b64"], "b64": False},
        {"crit": []},
        {"b64": True},
        {"cty": "json"},
        {"iat": 1},
        {"zip": "DEF"},
    ],
)
def test_another_protected_header_is_refused_though_it_is_signed(change: Members) -> None:
    with pytest.raises(Malformed):
        read(json.dumps(signed_with(HEADER | change)).encode())


@pytest.mark.parametrize("name", ["alg", "typ", "kid"])
def test_a_header_without_a_member_is_refused(name: str) -> None:
    header = {each: value for each, value in HEADER.items() if each != name}
    with pytest.raises(Malformed, match=name):
        read(json.dumps(signed_with(header)).encode())


def signed_text(header: bytes, payload: bytes) -> bytes:
    text, body = write_b64url(header), write_b64url(payload)
    signature = write_b64url(signature_of(f"{text}.{body}".encode()))
    return json.dumps({"protected": text, "payload": body, "signature": signature}).encode()


def test_duplicate_members_are_refused_though_they_are_signed() -> None:
    header, payload = json.dumps(HEADER).encode(), b'{"a":1}'
    assert read(signed_text(header, payload)) == {"a": 1}
    for wrong in (
        signed_text(header.replace(b"{", b'{"alg":"none",', 1), payload),
        signed_text(header.replace(b"{", b'{"kid":"x",', 1), payload),
        signed_text(header, b'{"a":1,"a":2}'),
        write_json(SIGNED.json()).replace(b"{", b'{"payload":"e30",', 1),
    ):
        with pytest.raises(Malformed, match="duplicate"):
            read(wrong)
    for payload in (b"", b"[]", b"text", b'{"a":1.5}', b"\xff"):
        with pytest.raises(Malformed):
            read(signed_text(header, payload))


def test_a_kind_is_never_read_as_another() -> None:
    documents = {kind: sign_document(kind, PAYLOAD, KEY) for kind in Kind}
    assert len(documents) == 8
    for signed_as, document in documents.items():
        for kind in Kind:
            if kind is signed_as:
                assert verify_document(document, kind, KEY.public) == PAYLOAD
                continue
            with pytest.raises(Malformed, match="kind"):
                verify_document(document, kind, KEY.public)


@pytest.mark.parametrize("curve", SignatureCurve)
def test_a_changed_bit_anywhere_is_refused(curve: SignatureCurve) -> None:
    key = SignaturePrivateKey.generate(curve)
    signed = sign_document(Kind.PROFILE, PAYLOAD, key)
    assert read(write_json(signed.json()), key) == PAYLOAD
    assert len(read_b64url(signed.signature)) == curve.signature_octets
    for name in ("protected", "payload", "signature"):
        octets = read_b64url(str(signed.json()[name]))
        for at in range(0, len(octets), 3):
            changed = octets[:at] + bytes([octets[at] ^ 1 << at % 8]) + octets[at + 1 :]
            with pytest.raises((NotAuthentic, Malformed)):
                read(write_json({**signed.json(), name: write_b64url(changed)}), key)


def test_a_signature_whose_s_is_not_below_the_order_is_refused() -> None:
    octets = read_b64url(SIGNED.signature)
    s = int.from_bytes(octets[32:], "little") + EDWARDS_ORDER
    larger = write_b64url(octets[:32] + s.to_bytes(32, "little"))
    with pytest.raises(NotAuthentic):
        read(write_json({**SIGNED.json(), "signature": larger}))


def test_a_signature_of_another_length_is_refused() -> None:
    octets = read_b64url(SIGNED.signature)
    for wrong in (octets[:-1], octets + b"\0", octets * 2, b""):
        with pytest.raises(NotAuthentic):
            read(write_json({**SIGNED.json(), "signature": write_b64url(wrong)}))


def test_anothers_signature_under_this_kid_or_this_under_anothers_is_refused() -> None:
    forged = sign_document(Kind.PROFILE, PAYLOAD, OTHER)
    with pytest.raises(NotAuthentic, match="another key"):
        read(write_json(forged.json()))
    mixed = Jws(protected=SIGNED.protected, payload=SIGNED.payload, signature=forged.signature)
    with pytest.raises(NotAuthentic, match="isn't this key's"):
        read(write_json(mixed.json()))
    stated = signed_with(HEADER | {"kid": Udf(OTHER.public.udf)})
    with pytest.raises(NotAuthentic):
        read(json.dumps(stated).encode(), OTHER)


@pytest.mark.parametrize(
    "text",
    ["", "a.b", "a.b.c.d", "a..c", ".b.c", "a.b.c\n", " a.b.c", "a.b.c=", "é.b.c", "a.b\n.c"],
)
def test_what_is_no_compact_form(text: str) -> None:
    with pytest.raises(Malformed, match="compact"):
        read_compact(text)
