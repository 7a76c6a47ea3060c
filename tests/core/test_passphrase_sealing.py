"""A passphrase made a key, and what is sealed under it: the laws, and another program's key."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recrypt_core.encoding import JsonObject, read_b64url, read_object, write_b64url
from recrypt_core.errors import Malformed, NotAuthentic
from recrypt_core.passphrases import (
    COST,
    Cost,
    Kdf,
    SealingKey,
    check_new,
    open_under,
    read_passphrase,
    seal_under,
)

CHEAP = Cost(memory=8, passes=1, lanes=1)
VECTOR = Path(__file__).parent.parent / "vectors" / "profile-export.json"


@given(st.binary(max_size=200), st.text(max_size=20))
def test_what_is_sealed_opens_under_its_own_name_and_key(octets: bytes, name: str) -> None:
    key = SealingKey.draw()
    sealed = key.seal(octets, name=name)
    assert key.open(sealed, name=name) == octets
    for other, called in ((SealingKey.draw(), name), (key, name + "x")):
        with pytest.raises(NotAuthentic):
            other.open(sealed, name=called)


@pytest.mark.parametrize("part", ["iv", "ciphertext", "tag"])
def test_a_changed_octet_is_found(part: str) -> None:
    key = SealingKey.draw()
    sealed = key.seal(b"secret", name="file")
    octets = bytearray(read_b64url(str(sealed[part])))
    octets[0] ^= 1
    with pytest.raises(NotAuthentic):
        key.open({**sealed, part: write_b64url(bytes(octets))}, name="file")


def test_nothing_is_sealed_twice_alike() -> None:
    key = SealingKey.draw()
    assert key.seal(b"secret", name="file") != key.seal(b"secret", name="file")
    one, other = (seal_under("passphrase", b"", name="file", cost=CHEAP) for _ in range(2))
    assert one["kdf"] != other["kdf"]


def test_another_passphrase_opens_nothing() -> None:
    sealed = seal_under("correct horse", b"secret", name="file", cost=CHEAP)
    assert open_under("correct horse", sealed, name="file") == b"secret"
    with pytest.raises(NotAuthentic):
        open_under("correct horsf", sealed, name="file")


def test_the_cost_is_the_second_recommendation_of_rfc_9106() -> None:
    assert (COST.memory, COST.passes, COST.lanes) == (65536, 3, 4)


def test_another_program_makes_the_same_key_of_a_passphrase_in_any_normal_form() -> None:
    vector: JsonObject = json.loads(VECTOR.read_bytes())
    file = read_object(vector["file"], what="the vector")
    kdf = Kdf.from_json(read_object(file["kdf"], what="the vector"))
    assert kdf.json() == file["kdf"]
    key = SealingKey.derive(str(vector["passphrase"]), kdf)
    assert write_b64url(key.to_secret_bytes()) == vector["key"]


@pytest.mark.parametrize(
    "other",
    [
        {"alg": "argon2d"},
        {"v": 16},
        {"m": 7},
        {"m": 2**21 + 1},
        {"m": "8"},
        {"t": 0},
        {"t": 17},
        {"p": 0},
        {"p": 2},
        {"salt": "AAAA"},
        {"salt": None},
    ],
)
def test_a_kdf_that_no_honest_program_writes_is_refused_before_it_costs_anything(
    other: JsonObject,
) -> None:
    kdf = Kdf.draw(CHEAP).json()
    assert Kdf.from_json(kdf).json() == kdf
    with pytest.raises(Malformed):
        Kdf.from_json({**kdf, **other})


def test_a_key_prints_as_nothing_but_itself() -> None:
    key = SealingKey(b"x" * 32)
    assert "x" not in repr(key)
    with pytest.raises(TypeError):
        hash(key)
    with pytest.raises(Malformed):
        SealingKey(b"x" * 16)


def test_a_new_passphrase_is_not_too_short_and_can_be_written() -> None:
    assert check_new("12345678") == "12345678"
    with pytest.raises(Malformed):
        check_new("1234567")
    with pytest.raises(Malformed):
        SealingKey.derive("passphrase\udcff", Kdf.draw(CHEAP))


@pytest.mark.parametrize("octets", [b"a phrase", b"a phrase\n", b"a phrase\r\n"])
def test_the_end_of_the_line_is_no_part_of_a_passphrase(octets: bytes) -> None:
    assert read_passphrase(octets) == "a phrase"
