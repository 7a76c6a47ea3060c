"""Signed requests: fresh, for one service, in their place, halves beside them (spec §5)."""

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest

from recrypt_core import jose, limits
from recrypt_core.encoding import read_b64url, write_b64url, write_json
from recrypt_core.errors import Malformed, NotAuthentic, TooLarge
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.signing import (
    Jws,
    Kind,
    Link,
    read_request,
    read_signed,
    request_body,
    sign_document,
    sign_request,
)
from tests.builders import NOW, URL, new_person

ALICE, BOB = new_person("alice@example.org"), new_person("bob@example.org")
PAYLOAD = b'{"GetGroupRequest":{"GroupID":"team@lists.example"}}'
HASH = write_b64url(bytes(range(32)))
HEADER: dict[str, Any] = {
    "kid": ALICE.online.public.udf,
    "typ": "recrypt-request",
    "url": URL,
    "iat": int(NOW.timestamp()),
    "nonce": write_b64url(bytes(16)),
}
LINK: dict[str, Any] = {"group": BOB.udf, "seq": 2, "prev": HASH}


def request_with(header: dict[str, Any]) -> bytes:
    """Sign a request under this header."""
    protected, payload, signature = jose.sign(ALICE.online, header, PAYLOAD)
    return write_json(Jws(protected=protected, payload=payload, signature=signature).json())


def test_a_request_is_read_as_it_was_signed() -> None:
    link = Link(BOB.udf, 7, HASH)
    signed = sign_request(PAYLOAD, ALICE.online, url=URL, now=NOW, link=link)
    request = read_request(request_body(signed, {}))
    assert request.jws == signed
    assert request.signer == ALICE.online.public.udf
    assert (request.url, request.issued, request.link) == (URL, NOW, link)
    assert len(request.nonce) == limits.NONCE_OCTETS
    assert request.verify(ALICE.online.public) == PAYLOAD
    assert not request.halves
    assert read_signed(signed) == request


def test_every_request_has_another_nonce() -> None:
    signed = [sign_request(PAYLOAD, ALICE.online, url=URL, now=NOW) for _ in range(20)]
    assert len({read_signed(each).nonce for each in signed}) == 20


def test_only_the_named_signers_key_verifies_it() -> None:
    request = read_request(request_with(HEADER))
    assert request.verify(ALICE.online.public) == PAYLOAD
    for other in (ALICE.master, BOB.online):
        with pytest.raises(NotAuthentic):
            request.verify(other.public)


@pytest.mark.parametrize("name", list(HEADER))
def test_a_header_without_a_member_is_refused(name: str) -> None:
    with pytest.raises(Malformed, match=name):
        read_request(request_with({each: HEADER[each] for each in HEADER if each != name}))


@pytest.mark.parametrize(
    "change",
    [
        {"iat": "1"},
        {"iat": True},
        {"iat": None},
        {"iat": 10**30},
        {"iat": -(10**30)},
        {"iat": 10**12},
        {"iat": 2**37},
        {"iat": -1},
        {"nonce": ""},
        {"nonce": write_b64url(bytes(15))},
        {"nonce": write_b64url(bytes(17))},
        {"nonce": write_b64url(bytes(16)) + "=="},
        {"nonce": write_b64url(bytes(16))[:-1] + "B"},
        {"nonce": 7},
        {"url": None},
        {"typ": "recrypt-create"},
        {"typ": "recrypt-profile"},
        {"more": 1},
        {"exp": 1},
    ],
)
def test_another_header_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        read_request(request_with(HEADER | change))


@pytest.mark.parametrize(
    "link",
    [
        *({each: LINK[each] for each in LINK if each != name} for name in LINK),
        *({name: LINK[name]} for name in LINK),
        LINK | {"group": None},
        LINK | {"group": "team@lists.example"},
        LINK | {"seq": None},
        LINK | {"seq": 0},
        LINK | {"seq": -1},
        LINK | {"seq": 2**53},
        LINK | {"seq": "2"},
        LINK | {"seq": True},
        LINK | {"seq": 1},
        LINK | {"prev": None},
        LINK | {"prev": HASH + "="},
        LINK | {"prev": HASH[:-1]},
        LINK | {"prev": ""},
        {"group": None, "seq": None, "prev": None},
    ],
)
def test_a_place_in_the_chain_is_stated_whole_and_consistent_or_refused(
    link: dict[str, Any],
) -> None:
    with pytest.raises(Malformed):
        read_request(request_with(HEADER | link))


def test_the_first_change_has_no_prev_and_every_later_one_has() -> None:
    first = read_request(request_with(HEADER | LINK | {"seq": 1, "prev": None}))
    assert first.link == Link(BOB.udf, 1, None)
    assert read_request(request_with(HEADER | LINK)).link == Link(BOB.udf, 2, HASH)
    assert read_request(request_with(HEADER)).link is None


def test_a_request_is_taken_within_300_seconds_and_for_this_service_alone() -> None:
    request = read_request(request_with(HEADER))
    for seconds in (-300, 0, 300):
        request.check_fresh(URL, NOW + timedelta(seconds=seconds))
    for seconds in (-301, 301, 10**6):
        with pytest.raises(NotAuthentic, match="clock"):
            request.check_fresh(URL, NOW + timedelta(seconds=seconds))
    for url in (URL + "/", URL.upper(), "http://lists.example", "https://other.example", ""):
        with pytest.raises(NotAuthentic, match="another service"):
            request.check_fresh(url, NOW)


@pytest.mark.parametrize("curve", Curve, ids=lambda curve: curve.value)
def test_halves_travel_beside_the_signature_and_are_not_part_of_it(curve: Curve) -> None:
    half, x = PrivateKey.generate(curve), PrivateKey.generate(curve)
    signed = sign_request(PAYLOAD, ALICE.online, url=URL, now=NOW)
    body = request_body(signed, {x.public.udf: half})
    read = read_request(body)
    assert {name: each.to_secret_bytes() for name, each in read.halves.items()} == {
        x.public.udf: half.to_secret_bytes()
    }
    assert read.jws == signed
    assert str(half.to_secret_jwk()["d"]) not in json.dumps(read.jws.json())


def test_halves_that_contradict_themselves_are_refused_and_not_quoted() -> None:
    half, other = PrivateKey.generate(Curve.X25519), PrivateKey.generate(Curve.X25519)
    jwk, secret = half.to_secret_jwk(), str(half.to_secret_jwk()["d"])
    public = {name: part for name, part in jwk.items() if name != "d"}
    name = other.public.udf
    signed = json.loads(request_with(HEADER))
    wrong: list[Any] = [
        {name: {**jwk, "x": other.to_secret_jwk()["x"]}},
        {name: {**jwk, "kid": name}},
        {name: {**jwk, "d": secret[:-4]}},
        {name: public},
        {name: secret},
        {name: None},
        {name.lower(): jwk},
        {"": jwk},
        [jwk],
        None,
        secret,
    ]
    for halves in wrong:
        with pytest.raises(Malformed) as problem:
            read_request(json.dumps(signed | {"halves": halves}).encode())
        assert secret not in str(problem.value)
    read_request(json.dumps(signed | {"halves": {name: jwk}}).encode())


def test_over_1000_halves_or_8_mib_are_refused() -> None:
    signed = json.loads(request_with(HEADER))
    many: dict[str, Any] = {"halves": {str(number): {} for number in range(1001)}}
    with pytest.raises(TooLarge, match="over 1000 halves: send"):
        read_request(json.dumps(signed | many).encode())
    with pytest.raises(TooLarge, match="over 8388608 octets"):
        read_request(b" " * limits.REQUEST_OCTETS + b"{}")


def test_a_body_with_anything_else_beside_the_signature_is_refused() -> None:
    signed = json.loads(request_with(HEADER))
    unknown: list[dict[str, Any]] = [{"header": {}}, {"Halves": {}}, {"signatures": []}]
    for more in unknown:
        with pytest.raises(Malformed, match="unknown field"):
            read_request(json.dumps(signed | more).encode())
    for name in signed:
        with pytest.raises(Malformed):
            read_request(json.dumps(signed | {name: None}).encode())


def test_a_signed_document_is_no_request() -> None:
    document = sign_document(Kind.REQUEST, {"GetGroupRequest": {}}, ALICE.online)
    with pytest.raises(Malformed, match="url"):
        read_signed(document)
    with pytest.raises(Malformed):
        read_signed(ALICE.signed)


def test_the_hash_of_a_change_is_that_of_the_compact_form() -> None:
    signed = sign_request(PAYLOAD, ALICE.online, url=URL, now=NOW)
    digest = hashlib.sha256(signed.compact().encode()).digest()
    assert read_b64url(signed.hash) == digest
