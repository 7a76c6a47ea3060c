"""Envelopes as a gateway reads them: large ones cheaply, and none that was recrypted (spec §7)."""

import json
from typing import Any

import pytest

from recrypt_core import limits
from recrypt_core.encoding import JsonValue, write_b64url, write_json
from recrypt_core.envelope import Envelope, read_envelope, read_post_envelope
from recrypt_core.errors import Malformed, Recrypted, TooLarge
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.sealing import seal
from tests.builders import new_group, new_membership, new_person, recryption_for

GROUP = new_group()
SMALL = seal(b"content", [GROUP.key.public])
LARGE = seal(bytes(150_000), [PrivateKey.generate(Curve.X25519).public])
COPY = recryption_for(new_membership(new_person("alice@example.org"), GROUP.key), SMALL)
Whole = dict[str, Any]


def whole(envelope: Envelope = LARGE) -> Whole:
    made: Whole = json.loads(write_json(envelope.json()))
    return made


@pytest.mark.parametrize("envelope", [SMALL, LARGE], ids=["small", "large"])
def test_a_new_envelope_is_read_in_both_forms(envelope: Envelope) -> None:
    for octets in (envelope.mmx(), write_json(envelope.json())):
        assert read_post_envelope(octets) == envelope == read_envelope(octets)


@pytest.mark.parametrize("recryption", [COPY.json(), {}, None, [], "x", 7, {"Split": "x"}])
@pytest.mark.parametrize("envelope", [SMALL, LARGE], ids=["small", "large"])
def test_an_envelope_with_a_recryption_of_any_form_is_no_new_one(
    envelope: Envelope, recryption: JsonValue
) -> None:
    head = {**envelope.head(), "recryption": recryption}
    for octets in (
        write_json(head) + b"\n" + envelope.ciphertext,
        json.dumps({"recryption": recryption} | envelope.json()).encode(),
        json.dumps({**envelope.json(), "recryption": recryption, "iv": 7}).encode(),
    ):
        with pytest.raises(Recrypted):
            read_post_envelope(octets)


def test_a_large_envelope_in_json_is_read_wherever_its_ciphertext_stands_and_however() -> None:
    members = whole()
    text = members.pop("ciphertext")
    for order in (
        {"ciphertext": text, **members},
        {**members, "ciphertext": text},
        {**members, "ciphertext": text, "other": {"ciphertext": "AAAA", "more": '"ciphertext":"'}},
    ):
        for layout in (None, 2):
            octets = json.dumps(order, indent=layout).encode()
            assert read_envelope(octets) == LARGE
            spaced = octets.replace(b'"ciphertext"', b'"ciphertext" \r\n\t ', 1)
            assert read_envelope(b"\n " + spaced + b"\n") == LARGE


def test_of_a_large_envelope_a_second_ciphertext_is_refused() -> None:
    octets = write_json(LARGE.json())
    for more in (b'"ciphertext":""', b'"ciphertext":0', b'"ciph\\u0065rtext":1'):
        for changed in (
            octets.replace(b"{", b"{" + more + b",", 1),
            octets[:-1] + b"," + more + b"}",
        ):
            with pytest.raises(Malformed, match="duplicate"):
                read_envelope(changed)


def test_of_a_large_envelope_no_other_members_text_is_its_ciphertext() -> None:
    members = whole()
    text = members.pop("ciphertext")
    for inner in (
        {"recryption": {"ciphertext": text}},
        {"other": [{"ciphertext": text}]},
        {'"ciphertext': text},
        {"other": f'"ciphertext":"{text}"'},
    ):
        for own in ({}, {"ciphertext": ""}, {"ciphertext": 0}, {"ciphertext": 1}):
            for order in (members | own | inner, inner | own | members):
                with pytest.raises(Malformed):
                    read_envelope(json.dumps(order).encode())


@pytest.mark.parametrize("change", ["\\u0041", "=", " ", "\\n", "é", "+", "A"])
def test_a_large_ciphertext_is_strict_base64url(change: str) -> None:
    text = write_b64url(bytes(150_000)) + change
    octets = json.dumps(whole() | {"ciphertext": "TEXT"}, ensure_ascii=False)
    with pytest.raises(Malformed):
        read_envelope(octets.replace("TEXT", text).encode())


def test_beside_a_large_ciphertext_at_most_64_kib_are_read() -> None:
    octets = write_json(LARGE.json())
    room = limits.ENVELOPE_LINE_OCTETS - (len(octets) - len(write_b64url(LARGE.ciphertext)))
    for spaces in (octets + b" " * room, b" " * room + octets):
        assert read_envelope(spaces) == LARGE
    for over in (octets + b" " * (room + 1), b" " * (room + 1) + octets):
        with pytest.raises(Malformed, match="64 KiB"):
            read_envelope(over)


@pytest.mark.parametrize("filling", [b"{},", b'"ciphertext":"",', b"[", b'"', b"\xff"])
def test_what_is_beside_a_ciphertext_is_not_parsed_when_it_is_too_large(filling: bytes) -> None:
    for filled in (
        b'{"x":[' + filling * 300_000 + b'{}],"ciphertext":"AAAA"}',
        b'{"ciphertext":"' + bytes(150_000) + b'","x":[' + filling * 300_000,
    ):
        with pytest.raises(Malformed, match="64 KiB"):
            read_envelope(filled)


def test_content_of_over_64_mib_is_too_large() -> None:
    octets = limits.CONTENT_OCTETS * 4 // 3 + limits.ENVELOPE_LINE_OCTETS
    with pytest.raises(TooLarge, match="64 MiB"):
        read_envelope(b"{" + bytes(octets))
    with pytest.raises(TooLarge, match="64 MiB"):
        read_envelope(write_json(SMALL.head()) + b"\n" + bytes(limits.CONTENT_OCTETS + 33))


def test_recipients_that_are_null_are_no_flattened_form() -> None:
    flat = whole(SMALL)
    (recipient,) = flat.pop("recipients")
    assert read_envelope(json.dumps(flat | recipient).encode()) == SMALL
    with pytest.raises(Malformed, match="general and the flattened"):
        read_envelope(json.dumps(flat | recipient | {"recipients": None}).encode())
    with pytest.raises(Malformed, match="1 to 64"):
        read_envelope(json.dumps(flat | {"recipients": None}).encode())
