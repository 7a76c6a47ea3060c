"""What is no envelope that anybody should open (spec §3)."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from recrypt_core.encoding import write_b64url, write_json
from recrypt_core.envelope import read_envelope
from recrypt_core.errors import Malformed
from recrypt_core.keys import _LOW_ORDER, Curve, PrivateKey
from recrypt_core.sealing import seal
from tests.builders import new_group, new_membership, new_person, recryption_for

KEYS = [PrivateKey.generate(curve) for curve in Curve]
Whole = dict[str, Any]


def whole(curve: Curve = Curve.X25519) -> Whole:
    made: Whole = json.loads(
        write_json(seal(b"content", [PrivateKey.generate(curve).public]).json())
    )
    return made


def own(changed: Whole) -> Whole:
    header: Whole = changed["recipients"][0]["header"]
    return header


def protect(changed: Whole, **members: object) -> None:
    """Put members into the protected header, None to take one away."""
    header = {"enc": "A256GCM", "typ": "recrypt+json", **members}
    kept: Any = {name: value for name, value in header.items() if value is not None}
    changed["protected"] = write_b64url(write_json(kept))


def refuse(changed: Whole, reason: str = ".") -> None:
    """Refuse it in both forms."""
    with pytest.raises(Malformed, match=reason):
        read_envelope(json.dumps(changed).encode())
    if isinstance(changed.get("ciphertext"), str):
        head = {name: value for name, value in changed.items() if name != "ciphertext"}
        with pytest.raises(Malformed, match=reason):
            read_envelope(json.dumps(head).encode() + b"\nciphertext")


def test_what_is_changed_here_is_read_unchanged() -> None:
    for curve in Curve:
        read_envelope(json.dumps(whole(curve)).encode())


@pytest.mark.parametrize("name", ["zip", "crit"])
@pytest.mark.parametrize("value", ["DEF", ["b64"], None, []])
def test_zip_and_crit_are_refused_in_any_header(name: str, value: object) -> None:
    for place in ("protected", "unprotected", "header"):
        changed = whole()
        if place == "protected":
            raw: Any = {"enc": "A256GCM", name: value}
            changed["protected"] = write_b64url(write_json(raw))
        elif place == "unprotected":
            changed["unprotected"] = {name: value}
        else:
            own(changed)[name] = value
        refuse(changed, "zip or crit")


@pytest.mark.parametrize(
    "alg",
    [
        "dir",
        "ECDH-ES",
        "ECDH-ES+A192KW",
        "A256KW",
        "A256GCMKW",
        "RSA-OAEP",
        "RSA1_5",
        "PBES2-HS256+A128KW",
        "none",
        "ecdh-es+a256kw",
        "",
        None,
        1,
        ["ECDH-ES+A256KW"],
    ],
)
def test_every_other_alg_is_refused(alg: object) -> None:
    changed = whole()
    own(changed)["alg"] = alg
    refuse(changed, "alg that isn't accepted")
    changed = whole()
    del own(changed)["alg"]
    refuse(changed, "alg that isn't accepted")
    protect(changed, alg=alg)
    refuse(changed, "alg that isn't accepted")


@pytest.mark.parametrize("enc", ["A192GCM", "A192CBC-HS384", "a256gcm", "none", "", 1, [], {}])
def test_every_other_enc_is_refused(enc: object) -> None:
    changed = whole()
    protect(changed, enc=enc)
    refuse(changed, "enc that isn't accepted")


def test_an_enc_stands_in_the_protected_header_alone() -> None:
    for place in ("unprotected", "header"):
        changed = whole()
        protect(changed, enc=None)
        holder = changed.setdefault(place, {}) if place == "unprotected" else own(changed)
        holder["enc"] = "A256GCM"
        refuse(changed, "enc that isn't accepted, or isn't in the protected header")
        protect(changed)
        refuse(changed, "two headers")


@pytest.mark.parametrize("name", ["alg", "epk", "kid", "typ", "anything"])
def test_a_name_in_two_headers_is_refused(name: str) -> None:
    for first, second in (
        ("protected", "header"),
        ("unprotected", "header"),
        ("protected", "unprotected"),
    ):
        changed = whole()
        value = own(changed).pop(name, "x")
        for place in (first, second):
            if place == "protected":
                protect(changed, **{name: value})
            else:
                holder = changed.setdefault(place, {}) if place == "unprotected" else own(changed)
                holder[name] = value
        if "protected" not in (first, second):
            protect(changed, typ=None)
        refuse(changed, "two headers")


def test_duplicate_members_are_refused_at_any_depth() -> None:
    text = json.dumps(whole())
    doubled = [
        text.replace('"iv":', '"iv":"AA","iv":', 1),
        text.replace('"alg":', '"alg":"none","alg":', 1),
        text.replace('"crv":', '"crv":"X448","crv":', 1),
        text.replace('"protected":', '"ciphertext":"","protected":', 1),
    ]
    for each in doubled:
        assert each != text
        with pytest.raises(Malformed, match="duplicate"):
            read_envelope(each.encode())
    changed = whole()
    changed["protected"] = write_b64url(b'{"enc":"A128GCM","enc":"A256GCM"}')
    refuse(changed, "duplicate")


@pytest.mark.parametrize("name", ["protected", "iv", "tag", "encrypted_key", "x"])
@pytest.mark.parametrize("end", ["=", "==", "\n", " ", "A"])
def test_loose_base64_is_refused(name: str, end: str) -> None:
    changed = whole()
    holders = {"encrypted_key": changed["recipients"][0], "x": own(changed)["epk"]}
    holder = holders.get(name, changed)
    holder[name] += end
    with pytest.raises(Malformed):
        read_envelope(json.dumps(changed).encode())
    holder[name] = None
    refuse(changed, f"without {name}")
    del holder[name]
    refuse(changed, f"without {name}")


def test_a_ciphertext_in_json_is_strict_base64url_too() -> None:
    wrongs: tuple[object, ...] = ("A", "AA==", "AB", "A A", "+/AA", None, 7, [])
    for wrong in wrongs:
        changed = whole() | {"ciphertext": wrong}
        with pytest.raises(Malformed):
            read_envelope(json.dumps(changed).encode())


def test_65_recipients_or_none_are_refused() -> None:
    for count in (0, 65):
        changed = whole()
        changed["recipients"] = changed["recipients"] * count
        refuse(changed, "1 to 64")


@pytest.mark.parametrize("wrong", [{}, "text", None, 7, [7], [[]], ["x"]])
def test_recipients_of_another_shape_are_refused(wrong: object) -> None:
    refuse(whole() | {"recipients": wrong}, "1 to 64|object belongs|without")


@pytest.mark.parametrize("name", ["iv", "tag"])
@pytest.mark.parametrize("change", [-1, 1, 4])
def test_an_iv_or_tag_of_another_length_is_refused(name: str, change: int) -> None:
    length = {"iv": 12, "tag": 16}[name] + change
    refuse(whole() | {name: write_b64url(bytes(length))}, "another length")


@pytest.mark.parametrize("length", [0, 8, 39, 41, 72])
def test_an_encrypted_key_of_another_length_is_refused(length: int) -> None:
    changed = whole()
    changed["recipients"][0]["encrypted_key"] = write_b64url(bytes(length))
    refuse(changed, "wrong length")


def test_an_envelope_without_epk_is_refused() -> None:
    wrongs: tuple[object, ...] = (None, "x", [], 7)
    for wrong in wrongs:
        changed = whole()
        own(changed)["epk"] = wrong
        refuse(changed, "object belongs")
        del own(changed)["epk"]
        refuse(changed, "object belongs")
    changed = whole()
    own(changed)["epk"] = {}
    refuse(changed, "no known curve")


@pytest.mark.parametrize("curve", [Curve.X25519, Curve.X448])
def test_an_epk_of_low_order_or_not_canonical_is_refused(curve: Curve) -> None:
    field = curve.field
    refused = [(number, "low order") for number in _LOW_ORDER[curve]]
    assert len(refused) >= 3
    refused += [(field.prime, "below"), (field.prime + 9, "below"), (2**255 + 9, "below")]
    if curve is Curve.X448:
        refused.pop()
    for number, reason in refused:
        changed = whole(curve)
        own(changed)["epk"]["x"] = write_b64url(field.write(number))
        refuse(changed, reason)


def test_an_epk_that_is_not_on_p256_is_refused() -> None:
    changed = whole(Curve.P256)
    own(changed)["epk"]["y"] = own(changed)["epk"]["x"]
    refuse(changed, "not on its curve")
    del own(changed)["epk"]["y"]
    refuse(changed, "without y")


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.curve.value)
def test_a_private_epk_is_refused(key: PrivateKey) -> None:
    changed = whole()
    own(changed)["epk"] = key.to_secret_jwk()
    refuse(changed, "private key")


def test_both_forms_at_once_are_refused() -> None:
    for name, value in (("header", {}), ("encrypted_key", "AA")):
        refuse(whole() | {name: value}, "general and the flattened")


@pytest.mark.parametrize(
    "name", ["GroupKeyID", "MemberKeyUDF", "Split", "Partial", "DecryptionKey"]
)
@pytest.mark.parametrize("wrong", ["x", None, {}, 7, "AA==", "S UM"])
def test_a_recryption_of_another_form_is_refused(name: str, wrong: object) -> None:
    group, alice = new_group(), new_person("alice@example.org")
    envelope = seal(b"content", [group.key.public])
    part: Whole = json.loads(
        write_json(recryption_for(new_membership(alice, group.key), envelope).json())
    )
    changed: Whole = json.loads(write_json(envelope.json()))
    read_envelope(json.dumps(changed | {"recryption": part}).encode())
    refuse(changed | {"recryption": part | {name: wrong}})
    del part[name]
    refuse(changed | {"recryption": part})


OCTETS: list[Callable[[bytes], bytes]] = [
    lambda mmx: mmx[:0],
    lambda mmx: b"\n" + mmx,
    lambda mmx: b"\xef\xbb\xbf" + mmx,
    lambda mmx: mmx.replace(b"\n", b"\r\n", 1),
    lambda mmx: mmx.replace(b"\n", b"\t\n", 1),
    lambda mmx: mmx.replace(b"\n", b"", 1),
    lambda mmx: b"[" + mmx,
    lambda mmx: mmx[: mmx.index(b"\n")],
    lambda mmx: b"Not an envelope.\n" * 9000 + mmx,
    lambda mmx: bytes(100_000) + mmx,
]


@pytest.mark.parametrize("change", OCTETS)
def test_octets_of_another_form_are_refused(change: Callable[[bytes], bytes]) -> None:
    envelope = seal(b"content", [KEYS[0].public])
    while envelope.ciphertext[:1] in (b" ", b"\n"):  # without its own, the line could end there
        envelope = seal(b"content", [KEYS[0].public])
    with pytest.raises(Malformed):
        read_envelope(change(envelope.mmx()))
