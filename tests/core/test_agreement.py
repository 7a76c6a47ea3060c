"""What is refused of public keys and partials that come from outside (spec §1)."""

import pytest
from cryptography.hazmat.primitives.asymmetric import x448, x25519

from recrypt_core.agreement import Split, combine, complete, halves_match, partial
from recrypt_core.errors import Malformed
from recrypt_core.keys import _LOW_ORDER, Curve, PrivateKey, PublicKey
from recrypt_core.splitting import split

CURVES = pytest.mark.parametrize("curve", Curve, ids=lambda curve: curve.value)
MONTGOMERY = pytest.mark.parametrize("curve", [Curve.X25519, Curve.X448])


def library_exchange(curve: Curve, u: bytes) -> bytes:
    if curve is Curve.X25519:
        public = x25519.X25519PublicKey.from_public_bytes(u)
        return x25519.X25519PrivateKey.generate().exchange(public)
    return x448.X448PrivateKey.generate().exchange(x448.X448PublicKey.from_public_bytes(u))


@MONTGOMERY
def test_each_low_order_point_of_the_table_gives_zero_in_openssl_too(curve: Curve) -> None:
    assert len(_LOW_ORDER[curve]) == {Curve.X25519: 5, Curve.X448: 3}[curve]
    for number in _LOW_ORDER[curve]:
        u = curve.field.write(number)
        with pytest.raises(ValueError, match="shared key"):
            library_exchange(curve, u)
        with pytest.raises(Malformed, match="low order"):
            PublicKey(curve, u)


@MONTGOMERY
def test_no_other_small_coordinate_is_of_low_order(curve: Curve) -> None:
    prime = curve.field.prime
    for number in (*range(2, 40), *range(prime - 40, prime - 1)):
        PublicKey(curve, curve.field.write(number))
        assert library_exchange(curve, curve.field.write(number))


@CURVES
def test_a_coordinate_that_is_not_below_the_prime_is_refused(curve: Curve) -> None:
    own = PrivateKey.generate(curve).public
    full = 2 ** (8 * curve.field.octets)
    for number in {curve.field.prime, curve.field.prime + 2, full - 1}:
        for read in (
            lambda x: PublicKey(curve, x, own.y),
            lambda x: combine(curve, x, own.x),
            lambda x: combine(curve, own.x, x),
        ):
            with pytest.raises(Malformed, match="below"):
                read(curve.field.write(number))


def test_the_top_bit_of_x25519_is_refused() -> None:
    good = PrivateKey.generate(Curve.X25519).public.x
    with pytest.raises(Malformed, match="below"):
        PublicKey(Curve.X25519, good[:31] + bytes([good[31] | 128]))


@CURVES
@pytest.mark.parametrize("change", [b"", b"\0"])
def test_a_partial_of_another_length_is_refused(curve: Curve, change: bytes) -> None:
    x = split(PrivateKey.generate(curve)).decryption
    ephemeral = PrivateKey.generate(curve).public
    octets = curve.field.octets
    for part in (change * (octets - 1), change * (octets + 1), b"\7" * (octets - 1)):
        for each in Split:
            with pytest.raises(Malformed, match="octets long"):
                complete(each, x, ephemeral, part)


@CURVES
def test_a_partial_that_equals_the_members_own_exchange_is_refused(curve: Curve) -> None:
    x = split(PrivateKey.generate(curve)).decryption
    ephemeral = PrivateKey.generate(curve).public
    with pytest.raises(Malformed, match="equal"):
        complete(Split.SUM, x, ephemeral, x.exchange(ephemeral))


@CURVES
def test_coordinates_of_no_points_are_refused(curve: Curve) -> None:
    """Half of all coordinates lie on the twist, and one there has no sum with one here."""
    own = PrivateKey.generate(curve).public.x
    outcomes = []
    for number in range(2, 42):
        try:
            outcomes.append(len(combine(curve, curve.field.write(number), own)))
        except Malformed as problem:
            outcomes.append(0)
            assert "no points" in str(problem)
    assert 5 < outcomes.count(0) < 35


def test_a_product_partial_of_no_point_of_p256_is_refused() -> None:
    x = PrivateKey.generate(Curve.P256)
    ephemeral = PrivateKey.generate(Curve.P256).public
    with pytest.raises(Malformed, match="no points"):
        complete(Split.PRODUCT, x, ephemeral, (1).to_bytes(32, "big"))


@MONTGOMERY
def test_a_product_partial_of_low_order_is_refused(curve: Curve) -> None:
    x = PrivateKey.generate(curve)
    with pytest.raises(Malformed, match="low order"):
        complete(Split.PRODUCT, x, PrivateKey.generate(curve).public, bytes(curve.field.octets))


def test_keys_of_two_curves_never_meet() -> None:
    keys = {curve: PrivateKey.generate(curve) for curve in Curve}
    halves = {curve: split(key) for curve, key in keys.items()}
    pairs = [(one, other) for one in Curve for other in Curve if one is not other]
    assert len(pairs) == 6
    for one, other in pairs:
        with pytest.raises(Malformed, match="two curves"):
            partial(keys[one], keys[other].public)
        r, x = halves[one].recryption, halves[one].decryption.public
        for each in Split:
            assert not halves_match(each, r, x, keys[other].public.udf)
            assert not halves_match(each, r, keys[other].public, keys[one].public.udf)
            assert not halves_match(each, keys[other], x, keys[one].public.udf)


@CURVES
def test_halves_that_are_one_key_never_match(curve: Curve) -> None:
    """With r = x the partial would equal the member's own exchange in every message."""
    half = PrivateKey.generate(curve)
    assert not halves_match(Split.SUM, half, half.public, half.public.udf)


@CURVES
def test_halves_of_two_splits_do_not_match(curve: Curve) -> None:
    whole = PrivateKey.generate(curve)
    first, second = split(whole), split(whole)
    assert not halves_match(Split.SUM, first.recryption, second.decryption.public, whole.public.udf)
