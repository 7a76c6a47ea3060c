"""Agreement keys and signature keys: JWKs, what is refused, and that secrets stay inside."""

import traceback
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from recrypt_core.encoding import JsonObject, write_b64url
from recrypt_core.errors import Malformed
from recrypt_core.keys import Curve, PrivateKey, PublicKey
from recrypt_core.signature_keys import SignatureCurve, SignaturePrivateKey, SignaturePublicKey
from recrypt_core.signing import read_request, request_body, sign_request
from recrypt_core.splitting import split
from tests.builders import NOW, URL, new_person

AnyPrivate: TypeAlias = PrivateKey | SignaturePrivateKey
AnyPublic: TypeAlias = PublicKey | SignaturePublicKey

MAKERS: list[Callable[[], AnyPrivate]] = [
    *(partial(PrivateKey.generate, curve) for curve in Curve),
    *(partial(SignaturePrivateKey.generate, curve) for curve in SignatureCurve),
]
EVERY_KIND = pytest.mark.parametrize("make", MAKERS)
CURVES = pytest.mark.parametrize("curve", Curve, ids=lambda curve: curve.value)


def read_private(key: AnyPrivate, jwk: JsonObject) -> AnyPrivate:
    return type(key).from_secret_jwk(jwk)


def read_public(key: AnyPrivate, jwk: JsonObject) -> AnyPublic:
    return type(key.public).from_named_jwk(jwk)


@EVERY_KIND
def test_a_key_is_read_as_it_was_written(make: Callable[[], AnyPrivate]) -> None:
    key = make()
    assert read_private(key, key.to_secret_jwk()).to_secret_jwk() == key.to_secret_jwk()
    read = read_public(key, key.public.named_jwk())
    assert read == key.public
    assert hash(read) == hash(key.public)
    assert read != make().public
    assert read != "a key"


@EVERY_KIND
def test_no_text_of_a_private_key_shows_it(make: Callable[[], AnyPrivate]) -> None:
    key = make()
    d = str(key.to_secret_jwk()["d"])
    octets = key._secret
    texts = [repr(key), str(key), f"{key}", f"{key!a}", repr([key]), repr({"key": key})]
    for text in texts:
        assert key.public.udf in text
        for secret in (d, octets.hex(), repr(octets), str(int.from_bytes(octets, "big"))):
            assert secret not in text
    assert not hasattr(key, "__dict__")


def test_halves_and_requests_that_carry_them_print_no_secret() -> None:
    halves = split(PrivateKey.generate(Curve.X25519))
    half = halves.recryption
    alice = new_person("alice@example.org")
    signed = sign_request(b'{"HelloRequest":{}}', alice.online, url=URL, now=NOW)
    request = read_request(request_body(signed, {half.public.udf: half}))
    assert request.halves[half.public.udf].public == half.public
    for text in (repr(halves), repr(request), str(request)):
        assert str(half.to_secret_jwk()["d"]) not in text


@EVERY_KIND
def test_a_private_key_is_not_hashable(make: Callable[[], AnyPrivate]) -> None:
    with pytest.raises(TypeError, match="not hashable"):
        hash(make())


@EVERY_KIND
def test_a_private_jwk_that_contradicts_itself_is_refused(make: Callable[[], AnyPrivate]) -> None:
    key, other = make(), make()
    jwk, stranger = key.to_secret_jwk(), other.to_secret_jwk()
    wrong = [{**jwk, "d": stranger["d"]}, {**jwk, "kid": stranger["kid"]}]
    wrong.append({**jwk, "x": stranger["x"], **({"y": stranger["y"]} if "y" in jwk else {})})
    for each in wrong:
        with pytest.raises(Malformed) as problem:
            read_private(key, each)
        text = "".join(traceback.format_exception(problem.value))
        assert str(each["d"]) not in text


@EVERY_KIND
@pytest.mark.parametrize("name", ["kty", "crv", "x", "d"])
def test_a_private_jwk_without_a_member_is_refused(
    make: Callable[[], AnyPrivate], name: str
) -> None:
    key = make()
    jwk = key.to_secret_jwk()
    without = {each: part for each, part in jwk.items() if each != name}
    for wrong in (without, {**jwk, name: 7}, {**jwk, name: "AA"}, {**jwk, name: f"{jwk[name]}="}):
        with pytest.raises(Malformed) as problem:
            read_private(key, wrong)
        assert str(jwk["d"]) not in "".join(traceback.format_exception(problem.value))


@EVERY_KIND
def test_a_private_key_is_refused_where_a_public_one_belongs(
    make: Callable[[], AnyPrivate],
) -> None:
    key = make()
    with pytest.raises(Malformed, match="private key where a public one"):
        read_public(key, key.to_secret_jwk())
    if isinstance(key, PrivateKey):
        with pytest.raises(Malformed, match="private key where a public one"):
            PublicKey.from_jwk(key.to_secret_jwk())


@EVERY_KIND
def test_a_public_key_of_a_document_is_named_by_its_fingerprint(
    make: Callable[[], AnyPrivate],
) -> None:
    key = make()
    jwk = key.public.named_jwk()
    without = {name: part for name, part in jwk.items() if name != "kid"}
    for wrong in (without, {**jwk, "kid": make().public.udf}, {**jwk, "kid": None}):
        with pytest.raises(Malformed, match="kid"):
            read_public(key, wrong)


@CURVES
def test_pkcs8_is_the_same_key(curve: Curve) -> None:
    key = PrivateKey.generate(curve)
    loaded = load_pem_private_key(key.to_secret_pem(), password=None)
    assert loaded.public_key() == key.public._key


@CURVES
def test_the_octets_of_a_private_key_are_the_key(curve: Curve) -> None:
    key = PrivateKey.generate(curve)
    secret = key.to_secret_bytes()
    assert len(secret) == {Curve.X25519: 32, Curve.X448: 56, Curve.P256: 32}[curve]
    assert PrivateKey(curve, secret).public == key.public
    for wrong in (secret[1:], secret + b"\0", b""):
        with pytest.raises(Malformed, match="octets long"):
            PrivateKey(curve, wrong)


def test_a_small_scalar_of_p256_keeps_its_length() -> None:
    key = PrivateKey(Curve.P256, (5).to_bytes(32, "big"))
    assert read_private(key, key.to_secret_jwk()).to_secret_jwk() == key.to_secret_jwk()


P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.mark.parametrize("scalar", [0, P256_ORDER, P256_ORDER + 1, 2**256 - 1])
def test_a_scalar_of_p256_out_of_range_is_refused(scalar: int) -> None:
    with pytest.raises(Malformed, match="out of its range"):
        PrivateKey(Curve.P256, scalar.to_bytes(32, "big"))


def test_a_point_that_is_not_on_p256_is_refused() -> None:
    public = PrivateKey.generate(Curve.P256).public
    y = public.y[:-1] + bytes([public.y[-1] ^ 1])
    for wrong in (y, bytes(32)):
        with pytest.raises(Malformed, match="not on its curve"):
            PublicKey(Curve.P256, public.x, wrong)
    for wrong in (b"", public.y[1:], b"\0" + public.y, b"\xff" * 32):
        with pytest.raises(Malformed, match="coordinate"):
            PublicKey(Curve.P256, public.x, wrong)


def test_an_x_coordinate_alone_has_no_y() -> None:
    public = PrivateKey.generate(Curve.X25519).public
    with pytest.raises(Malformed, match="too many"):
        PublicKey(Curve.X25519, public.x, public.x)


@pytest.mark.parametrize(
    ("kty", "crv"),
    [("EC", "X25519"), ("OKP", "P-256"), ("OKP", "Ed25519"), ("EC", "P-384"), ("oct", "X448")],
)
def test_a_jwk_of_another_kind_is_refused(kty: str, crv: str) -> None:
    x = write_b64url(bytes(range(32)))
    with pytest.raises(Malformed, match="no known curve"):
        PublicKey.from_jwk({"kty": kty, "crv": crv, "x": x, "y": x})


def test_an_agreement_key_is_no_signature_key() -> None:
    with pytest.raises(Malformed, match="no signature key"):
        SignaturePublicKey.from_named_jwk(PrivateKey.generate(Curve.X25519).public.named_jwk())


@pytest.mark.parametrize("curve", SignatureCurve)
def test_a_signature_key_of_the_wrong_length_is_refused(curve: SignatureCurve) -> None:
    for length in (0, 31, 33, 56, 58):
        for make in (SignaturePublicKey, SignaturePrivateKey):
            with pytest.raises(Malformed, match="wrong length"):
                make(curve, bytes(length))
