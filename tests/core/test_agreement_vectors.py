"""Vectors that other programs made (tests/vectors/README.md): spec §1 and §2, D§3.1."""

import json
from pathlib import Path
from typing import Any

import pytest

from recrypt_core.agreement import Split, complete, halves_match, partial
from recrypt_core.encoding import read_b64url, write_b64url, write_json
from recrypt_core.envelope import Envelope, Recryption, read_envelope
from recrypt_core.keys import Curve, PrivateKey, PublicKey
from recrypt_core.opening import open_recrypted, open_whole
from recrypt_core.sealing import seal
from recrypt_core.splitting import _split_from_parts
from recrypt_core.udf import fingerprint, typed_matches

VECTORS = Path(__file__).resolve().parent.parent / "vectors"
CASES: list[dict[str, Any]] = json.loads((VECTORS / "agreement.json").read_text("utf-8"))
NAMES: list[dict[str, Any]] = json.loads((VECTORS / "udf.json").read_text("utf-8"))
MESH: list[dict[str, Any]] = json.loads(
    (VECTORS / "mesh/threshold_x25519_x448.json").read_text("utf-8")
)["sections"]
MONTGOMERY = ("X25519", "X448")
GENERATION = [
    section
    for section in MESH
    if "key generation" in section["kind"] and section["curve"] in MONTGOMERY
]
DECRYPTION = [section for section in MESH if "threshold decryption" in section["kind"]]


def named(case: dict[str, Any]) -> str:
    return f"{case.get('alg') or case['curve']}-{case.get('split') or case['kind'].split()[1]}"


def keys_of(case: dict[str, Any]) -> tuple[PrivateKey, PrivateKey, PrivateKey, PublicKey]:
    group, r, x = (
        PrivateKey.from_secret_jwk(case[name]) for name in ("group", "recryption", "decryption")
    )
    return group, r, x, PublicKey.from_jwk(case["ephemeral"])


def test_every_vector_was_found() -> None:
    found = {(case["alg"], case["split"]) for case in CASES}
    assert found == {(curve.value, split.value) for curve in Curve for split in Split}
    assert len(CASES) == 24
    assert sum("jwe" in case for case in CASES) >= 3
    assert len(NAMES) == 4
    assert [section["curve"] for section in GENERATION] == list(MONTGOMERY)
    assert [section["curve"] for section in DECRYPTION] == list(MONTGOMERY)


@pytest.mark.parametrize("case", CASES, ids=named)
def test_partial_own_and_candidates_are_those_of_the_vector(case: dict[str, Any]) -> None:
    group, r, x, ephemeral = keys_of(case)
    assert group.public.udf == case["group"]["kid"]
    part = partial(r, ephemeral)
    assert write_b64url(part) == case["partial"]
    if case["split"] == "sum":
        assert write_b64url(x.exchange(ephemeral)) == case["own"]
    candidates = [write_b64url(z) for z in complete(Split(case["split"]), x, ephemeral, part)]
    assert set(candidates) == set(case["candidates"])
    assert write_b64url(group.exchange(ephemeral)) == case["Z"]
    assert case["Z"] in candidates


@pytest.mark.parametrize("case", CASES, ids=named)
def test_halves_of_a_vector_match_and_others_do_not(case: dict[str, Any]) -> None:
    group, r, x, ephemeral = keys_of(case)
    split = Split(case["split"])
    other = Split.PRODUCT if split is Split.SUM else Split.SUM
    assert halves_match(split, r, x.public, group.public.udf)
    assert not halves_match(other, r, x.public, group.public.udf)
    assert not halves_match(split, r, x.public, ephemeral.udf)
    assert not halves_match(split, group, x.public, group.public.udf)
    assert not halves_match(split, r, ephemeral, group.public.udf)


def envelope_of(case: dict[str, Any]) -> Envelope:
    return read_envelope(json.dumps(case["jwe"]).encode())


@pytest.mark.parametrize("case", [case for case in CASES if "jwe" in case], ids=named)
def test_a_vectors_jwe_opens_with_the_whole_key_and_with_halves(case: dict[str, Any]) -> None:
    group, r, x, _ = keys_of(case)
    envelope = envelope_of(case)
    plaintext = case["jwe_plaintext"].encode()
    assert open_whole(envelope, [group]) == plaintext
    (recipient,) = envelope.recipients
    assert write_b64url(partial(r, recipient.epk)) == case["jwe_partial"]
    device = PrivateKey.generate(Curve.X25519)
    recryption = Recryption(
        group.public.udf,
        x.public.udf,
        Split.SUM,
        read_b64url(case["jwe_partial"]),
        seal(write_json(x.to_secret_jwk()), [device.public], named=False),
    )
    copy = read_envelope(write_json({**envelope.json(), "recryption": recryption.json()}))
    assert open_recrypted(copy, [device]) == plaintext


@pytest.mark.parametrize(
    "case", [case for case in NAMES if "jwk" in case], ids=lambda case: case["udf"]
)
def test_a_key_has_the_fingerprint_of_the_vector(case: dict[str, Any]) -> None:
    key = PublicKey.from_jwk(case["jwk"])
    assert write_b64url(key.spki()) == case["spki"]
    assert key.udf == case["udf"]


def test_the_drafts_own_fingerprint_is_a_prefix_of_ours() -> None:
    (case,) = (case for case in NAMES if "data" in case)
    ours = fingerprint(case["content_type"], case["data"].encode())
    assert ours.replace("-", "").startswith(case["udf"].replace("-", ""))
    assert typed_matches(case["udf"], ours)


def key_of(section: dict[str, Any], name: str) -> PrivateKey:
    return PrivateKey(Curve(section["curve"]), bytes.fromhex(section[name]["encoded_private"]))


def coordinate(section: dict[str, Any], number: str) -> bytes:
    return Curve(section["curve"]).field.write(int(number))


@pytest.mark.parametrize("section", GENERATION, ids=named)
def test_the_composite_key_is_a_candidate_of_its_two_contributions(
    section: dict[str, Any],
) -> None:
    field = Curve(section["curve"]).field
    contributions = [coordinate(section, section[name]["U"]) for name in ("key1", "key2")]
    for name, u in zip(("key1", "key2"), contributions, strict=True):
        assert key_of(section, name).public.x == u
    composite = section["composite"]
    candidates = field.candidates(contributions[0], contributions[1])
    assert coordinate(section, composite["U"]) in candidates
    assert bytes.fromhex(composite["encoded_public_unsigned"]) in candidates


@pytest.mark.parametrize("section", DECRYPTION, ids=named)
def test_a_split_decryption_of_the_draft_gives_its_agreement(section: dict[str, Any]) -> None:
    curve = Curve(section["curve"])
    whole, share = key_of(section, "key_A"), key_of(section, "share_1")
    ephemeral = PublicKey(curve, coordinate(section, section["ephemeral_E"]["U"]))
    assert key_of(section, "ephemeral_E").public == ephemeral
    agreement = bytes.fromhex(section["agreement"]["encoded_correct"])
    assert agreement == coordinate(section, section["agreement"]["u"])
    assert whole.exchange(ephemeral) == agreement
    first = coordinate(section, section["partial_1"]["u"])
    assert share.exchange(ephemeral) == first
    second = coordinate(section, section["corrected"]["partial_2"]["u"])
    assert agreement in curve.field.candidates(first, second)


@pytest.mark.parametrize("section", DECRYPTION, ids=named)
def test_a_split_of_the_drafts_key_with_its_share_has_the_corrected_share(
    section: dict[str, Any],
) -> None:
    curve = Curve(section["curve"])
    ephemeral = key_of(section, "ephemeral_E").public
    halves = _split_from_parts(key_of(section, "key_A"), int(section["share_1"]["Scalar"]))
    assert halves is not None
    assert halves.decryption.public == key_of(section, "share_1").public
    corrected = coordinate(section, section["corrected"]["partial_2"]["u"])
    assert partial(halves.recryption, ephemeral) == corrected
    assert complete(Split.SUM, halves.decryption, ephemeral, corrected)
    assert halves_match(
        Split.SUM, halves.recryption, halves.decryption.public, key_of(section, "key_A").public.udf
    )
    assert curve is halves.recryption.curve
