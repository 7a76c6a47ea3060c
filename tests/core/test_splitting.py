"""Halves are ordinary private keys, and each split is a new one (spec §1)."""

import shutil
import subprocess

import pytest

from recrypt_core.agreement import Split, complete, halves_match, partial
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.splitting import _GROUPS, _split_from_parts, split

OPENSSL = shutil.which("openssl")
CURVES = pytest.mark.parametrize("curve", Curve, ids=lambda curve: curve.value)
MONTGOMERY = pytest.mark.parametrize("curve", [Curve.X25519, Curve.X448])


def clamped(curve: Curve, secret: bytes) -> bytes:
    """Clamp as RFC 7748 §5 writes it, octet by octet."""
    octets = bytearray(secret)
    if curve is Curve.X25519:
        octets[0] &= 248
        octets[31] = octets[31] & 127 | 64
    else:
        octets[0] &= 252
        octets[55] |= 128
    return bytes(octets)


@CURVES
def test_the_halves_match_and_complete_to_what_the_whole_key_gives(curve: Curve) -> None:
    whole = PrivateKey.generate(curve)
    ephemeral = PrivateKey.generate(curve).public
    halves = split(whole)
    r, x = halves.recryption, halves.decryption
    assert halves_match(Split.SUM, r, x.public, whole.public.udf)
    assert halves_match(Split.SUM, x, r.public, whole.public.udf)
    candidates = complete(Split.SUM, x, ephemeral, partial(r, ephemeral))
    assert len(set(candidates)) == 2
    assert whole.exchange(ephemeral) in candidates


@MONTGOMERY
def test_halves_are_stored_clamped(curve: Curve) -> None:
    whole = PrivateKey.generate(curve)
    for _ in range(20):
        halves = split(whole)
        for half in (halves.recryption, halves.decryption):
            secret = half.to_secret_bytes()
            assert clamped(curve, secret) == secret


@MONTGOMERY
def test_a_private_key_is_read_as_clamped(curve: Curve) -> None:
    for octet in (0, 255):
        raw = bytes([octet]) * curve.field.octets
        halves = _split_from_parts(PrivateKey(curve, raw), 12345)
        assert halves is not None
        assert halves_match(
            Split.SUM,
            halves.recryption,
            halves.decryption.public,
            PrivateKey(curve, clamped(curve, raw)).public.udf,
        )


@CURVES
def test_every_split_draws_a_new_x(curve: Curve) -> None:
    whole = PrivateKey.generate(curve)
    drawn = [split(whole) for _ in range(20)]
    assert len({halves.decryption.to_secret_bytes() for halves in drawn}) == 20
    assert len({halves.recryption.to_secret_bytes() for halves in drawn}) == 20


@CURVES
def test_x_is_drawn_from_1_to_the_order_less_1(
    curve: Curve, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds: list[int] = []
    seen: list[int] = []

    def lowest_then_second(bound: int) -> int:
        bounds.append(bound)
        return len(bounds) - 1

    def recorded(_private: PrivateKey, drawn: int) -> None:
        seen.append(drawn)
        if len(seen) == 2:
            raise StopIteration

    monkeypatch.setattr("recrypt_core._random.below", lowest_then_second)
    monkeypatch.setattr("recrypt_core.splitting._split_from_parts", recorded)
    with pytest.raises(StopIteration):
        split(PrivateKey.generate(curve))
    assert bounds == [_GROUPS[curve].order - 1] * 2
    assert seen == [1, 2]


@CURVES
def test_the_ends_of_the_range_split(curve: Curve) -> None:
    whole = PrivateKey.generate(curve)
    order = _GROUPS[curve].order
    for drawn in (1, 3, order // 2, order - 3, order - 1):
        halves = _split_from_parts(whole, drawn)
        assert halves is not None
        r, x = halves.recryption, halves.decryption
        assert halves_match(Split.SUM, r, x.public, whole.public.udf)


def test_plus_and_minus_x_act_alike_on_montgomery_curves_alone() -> None:
    for curve in (Curve.X25519, Curve.X448):
        whole, order = PrivateKey.generate(curve), _GROUPS[curve].order
        plus, minus = (_split_from_parts(whole, drawn) for drawn in (77, order - 77))
        assert plus is not None
        assert minus is not None
        assert plus.decryption.to_secret_bytes() == minus.decryption.to_secret_bytes()
    whole, order = PrivateKey.generate(Curve.P256), _GROUPS[Curve.P256].order
    halves = _split_from_parts(whole, order - 77)
    assert halves is not None
    assert halves.decryption.to_secret_bytes() == (order - 77).to_bytes(32, "big")


@CURVES
def test_an_x_that_leaves_nothing_for_r_is_drawn_again(curve: Curve) -> None:
    whole, order = PrivateKey.generate(curve), _GROUPS[curve].order
    secret = whole.to_secret_bytes()
    raw = secret if curve is Curve.P256 else clamped(curve, secret)
    scalar = int.from_bytes(raw, curve.field.order)
    assert _split_from_parts(whole, scalar % order) is None
    assert _split_from_parts(whole, 0) is None


@MONTGOMERY
def test_an_x_without_a_clamped_form_is_drawn_again(curve: Curve) -> None:
    group = _GROUPS[curve]
    whole = PrivateKey.generate(curve)
    gap = 1 if curve is Curve.X25519 else group.low - 1
    assert not group.low <= group.order - gap < 2 * group.low
    assert _split_from_parts(whole, gap * group.cofactor) is None
    assert _split_from_parts(whole, (group.order - gap) * group.cofactor % group.order) is None


@CURVES
def test_nobody_learns_the_size_of_the_key_from_the_sizes_of_the_halves(curve: Curve) -> None:
    """Halves drawn from an interval beside a would all be larger, or smaller, than it."""
    whole = PrivateKey.generate(curve)
    sizes = [
        int.from_bytes(split(whole).recryption.to_secret_bytes(), curve.field.order)
        for _ in range(64)
    ]
    low, high = (0, _GROUPS[curve].order) if curve is Curve.P256 else (min(sizes), min(sizes) * 2)
    middle = (low + high) // 2
    assert 10 < sum(size > middle for size in sizes) < 54


@pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")
@CURVES
def test_openssl_reads_both_halves_and_computes_the_same_public_keys(curve: Curve) -> None:
    halves = split(PrivateKey.generate(curve))
    for half in (halves.recryption, halves.decryption):
        shown = subprocess.run(
            [OPENSSL or "openssl", "pkey", "-in", "/dev/stdin", "-noout", "-text"],
            input=half.to_secret_pem(),
            capture_output=True,
            check=True,
        ).stdout.decode()
        digits = "".join(shown.split()).replace(":", "").lower()
        public = half.public
        assert (b"\4" * bool(public.y) + public.x + public.y).hex() in digits
        assert half.to_secret_bytes().hex() in digits
