"""Laws of the core: what is written is read, anything else refused, no other octets come out."""

import dataclasses
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recrypt_core.agreement import Split, complete, halves_match, partial
from recrypt_core.encoding import (
    JsonObject,
    read_b64url,
    read_json,
    read_time,
    write_b64url,
    write_json,
    write_time,
)
from recrypt_core.envelope import read_envelope
from recrypt_core.errors import Malformed, NotAuthentic, NotForThisKey
from recrypt_core.fields import CURVE448, CURVE25519, P256, Field
from recrypt_core.keys import Curve, PrivateKey, PublicKey
from recrypt_core.opening import open_recrypted, open_whole
from recrypt_core.sealing import seal
from recrypt_core.signature_keys import SignatureCurve, SignaturePrivateKey
from recrypt_core.signing import Jws, Kind, sign_document, verify_document
from recrypt_core.splitting import _GROUPS, _split_from_parts
from recrypt_core.udf import fingerprint, read_udf, typed_matches
from recrypt_core.wire import from_json
from tests.builders import new_group, new_membership, new_person, recryption_for

CONTENT = b"Subject: x\r\n\r\nhello\r\n"
GROUP, ALICE = new_group(), new_person("alice@example.org")
SEALED = seal(CONTENT, [GROUP.key.public])
COPY = dataclasses.replace(
    SEALED, recryption=recryption_for(new_membership(ALICE, GROUP.key), SEALED)
)
LARGE = seal(bytes(150_000), [GROUP.key.public])
LARGE_TEXT = write_b64url(LARGE.ciphertext).encode()
SIGNER = SignaturePrivateKey.generate(SignatureCurve.ED25519)
DOCUMENT: JsonObject = {"Name": "value", "List": [1, 2, {"x": None}]}
SIGNED = sign_document(Kind.PROFILE, DOCUMENT, SIGNER)

SOME = settings(max_examples=25)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=12,
)
CURVES = pytest.mark.parametrize("curve", Curve, ids=lambda curve: curve.value)


@SOME
@given(st.binary(max_size=80))
def test_octets_come_back_from_base64url(octets: bytes) -> None:
    assert read_b64url(write_b64url(octets)) == octets


@given(st.text(max_size=8) | st.text("ABcd01-_=+/ \n", max_size=8))
@example("AB")
@example("AA==")
def test_a_text_is_refused_or_is_the_one_way_to_write_its_octets(text: str) -> None:
    try:
        octets = read_b64url(text)
    except Malformed:
        return
    assert write_b64url(octets) == text


@given(st.dictionaries(TEXT, TREES, max_size=4))
def test_json_comes_back_as_it_was_written(value: JsonObject) -> None:
    try:
        assert read_json(write_json(value), limit=10**6) == value
    except Malformed as problem:
        assert "deeper" in str(problem)


@given(st.binary(max_size=60) | st.text('{}[]":,abc0123.eE-\\u \n', max_size=40).map(str.encode))
def test_octets_are_json_that_others_read_alike_or_malformed(octets: bytes) -> None:
    try:
        value = read_json(octets, limit=50)
    except Malformed:
        return
    assert value == json.loads(octets)
    assert read_json(write_json(value), limit=1000) == value


@SOME
@given(st.datetimes(timezones=st.just(read_time("2026-11-22T12:00:00Z").tzinfo)))
def test_a_time_comes_back_to_the_second(moment: object) -> None:
    whole = moment.replace(microsecond=0)  # type: ignore[attr-defined]  # a datetime
    if whole.year >= 1000:
        assert read_time(write_time(whole)) == whole


@given(st.binary(max_size=20), st.lists(st.integers(0, 35), max_size=8), st.integers(25, 30))
def test_a_fingerprint_is_known_however_it_is_typed(
    data: bytes, cuts: list[int], length: int
) -> None:
    udf = fingerprint("text/plain", data)
    assert read_udf(udf) == udf
    typed = udf.replace("-", "")[:length].lower()
    for cut in cuts:
        typed = typed[:cut] + "- "[cut % 2] + typed[cut:]
    assert typed_matches(typed, udf)


@CURVES
@SOME
@given(data=st.data())
def test_halves_of_every_split_match_and_complete_to_the_agreement(
    curve: Curve, data: st.DataObject
) -> None:
    octets, order = curve.field.octets, _GROUPS[curve].order
    secret = data.draw(st.integers(1, order - 1)).to_bytes(octets, curve.field.order)
    whole, sender = PrivateKey(curve, secret), PrivateKey.generate(curve)
    halves = _split_from_parts(whole, data.draw(st.integers(1, order - 1)))
    if halves is None:
        return
    r, x = halves.recryption, halves.decryption
    if r.public.x == x.public.x:
        return
    assert halves_match(Split.SUM, r, x.public, whole.public.udf)
    candidates = complete(Split.SUM, x, sender.public, partial(r, sender.public))
    assert whole.exchange(sender.public) in candidates


@pytest.mark.parametrize("field", [CURVE25519, CURVE448, P256], ids=["25519", "448", "P-256"])
@given(data=st.data())
def test_candidates_are_roots_or_refused_and_symmetric(field: Field, data: st.DataObject) -> None:
    first, second = (field.write(data.draw(st.integers(0, field.prime - 1))) for _ in range(2))
    try:
        candidates = field.candidates(first, second)
    except Malformed:
        with pytest.raises(Malformed):
            field.candidates(second, first)
        return
    assert set(field.candidates(second, first)) == set(candidates)
    for candidate in candidates:
        field.read(candidate)


@pytest.mark.parametrize("field", [CURVE25519, CURVE448, P256], ids=["25519", "448", "P-256"])
@SOME
@given(data=st.data())
def test_every_square_has_its_root_and_nothing_else_has(field: Field, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, field.prime - 1))
    square = number * number % field.prime
    assert field.sqrt(square) in (number, field.prime - number)
    if pow(number, (field.prime - 1) // 2, field.prime) == field.prime - 1:
        with pytest.raises(Malformed):
            field.sqrt(number)


@CURVES
@SOME
@given(data=st.data())
def test_octets_are_a_public_key_that_is_written_again_or_malformed(
    curve: Curve, data: st.DataObject
) -> None:
    x = data.draw(st.binary(min_size=curve.field.octets, max_size=curve.field.octets))
    y = data.draw(st.binary(min_size=32, max_size=32)) if curve is Curve.P256 else b""
    try:
        key = PublicKey(curve, x, y)
    except Malformed:
        return
    assert PublicKey.from_named_jwk(key.named_jwk()) == key


@SOME
@given(st.binary(max_size=300), st.integers(1, 5), st.booleans())
def test_what_is_sealed_is_opened_by_each_recipient(
    content: bytes, count: int, named: bool
) -> None:
    keys = [PrivateKey.generate(curve) for curve in list(Curve) * 2][:count]
    envelope = seal(content, [key.public for key in keys], named=named)
    for written in (envelope.mmx(), write_json(envelope.json())):
        read = read_envelope(written)
        assert read == envelope
        assert all(open_whole(read, [key]) == content for key in keys)


MUTATIONS = st.lists(
    st.tuples(st.integers(0, 10**6), st.sampled_from([0, 1, 2]), st.integers(0, 255)),
    min_size=1,
    max_size=3,
)


def mutated(octets: bytes, mutations: list[tuple[int, int, int]]) -> bytes:
    """Change, insert or remove octets."""
    for place, kind, octet in mutations:
        at = place % len(octets)
        middle = (bytes([octet]), bytes([octet]) + octets[at : at + 1], b"")[kind]
        octets = octets[:at] + middle + octets[at + 1 :]
    return octets


@given(MUTATIONS)
@settings(max_examples=300)
def test_a_changed_copy_gives_its_content_or_a_refusal_and_never_anything_else(
    mutations: list[tuple[int, int, int]],
) -> None:
    for written in (COPY.mmx(), write_json(COPY.json())):
        try:
            copy = read_envelope(mutated(written, mutations))
            assert read_envelope(copy.mmx()) == copy
            assert open_recrypted(copy, list(ALICE.devices)) == CONTENT
        except (Malformed, NotAuthentic, NotForThisKey):
            continue


@SOME
@given(MUTATIONS, st.booleans())
@example([], False)
def test_a_large_envelope_is_read_as_any_json_reader_reads_it_or_refused(
    mutations: list[tuple[int, int, int]], first: bool
) -> None:
    head = write_json(LARGE.head())
    parts = (mutated(head[1:-1], mutations), b'"ciphertext":"%s"' % LARGE_TEXT)
    octets = b"{" + b",".join(parts[::-1] if first else parts) + b"}"
    try:
        read = read_envelope(octets)
    except Malformed:
        return
    whole = json.loads(octets)
    assert write_b64url(read.ciphertext) == whole["ciphertext"]
    assert (read.protected, write_b64url(read.iv)) == (whole["protected"], whole["iv"])


@given(st.binary(max_size=100))
def test_any_octets_are_an_envelope_or_malformed(octets: bytes) -> None:
    with pytest.raises(Malformed):
        read_envelope(octets)


@given(MUTATIONS)
def test_a_changed_signed_document_says_what_was_signed_or_is_refused(
    mutations: list[tuple[int, int, int]],
) -> None:
    body = mutated(write_json(SIGNED.json()), mutations)
    try:
        document = from_json(Jws, read_json(body, limit=10_000))
        payload = verify_document(document, Kind.PROFILE, SIGNER.public)
    except (Malformed, NotAuthentic):
        return
    assert payload == DOCUMENT
    assert document == SIGNED
