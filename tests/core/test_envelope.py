"""An envelope's forms say the same: .mmx, general and flattened JSON, in any layout (spec §3)."""

import dataclasses
import hashlib
import json
from typing import Any

import pytest

from recrypt_core import limits
from recrypt_core.encoding import read_b64url, read_json, write_b64url, write_json
from recrypt_core.envelope import Envelope, KeyWrap, read_envelope
from recrypt_core.errors import Malformed
from recrypt_core.jose import ContentCipher
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.sealing import seal
from tests.builders import new_group, new_membership, new_person, recryption_for

KEYS = [PrivateKey.generate(curve) for curve in Curve]
CONTENT = b"Subject: x\r\n\r\nhello\r\n"


def sealed(count: int = 1, *, named: bool = True) -> Envelope:
    keys = [key.public for key in KEYS]
    return seal(CONTENT, (keys * 22)[:count], cty="message/rfc822", named=named)


def as_json(envelope: Envelope) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(write_json(envelope.json()))
    return whole


def read(whole: dict[str, Any]) -> Envelope:
    return read_envelope(json.dumps(whole).encode())


def flattened(envelope: Envelope) -> dict[str, Any]:
    whole = as_json(envelope)
    (recipient,) = whole.pop("recipients")
    whole.update(recipient)
    return whole


def merged(envelope: Envelope) -> dict[str, Any]:
    """Give a JWE whose every header stands in the protected one (of another envelope, so)."""
    whole = as_json(envelope)
    (recipient,) = whole.pop("recipients")
    header = read_json(read_b64url(whole["protected"]), limit=4096) | recipient["header"]
    protected = write_b64url(write_json(header))
    whole |= {"protected": protected, "encrypted_key": recipient["encrypted_key"]}
    return whole


def full() -> Envelope:
    """Make a relayed copy with every member that one can have."""
    group, alice = new_group(), new_person("alice@example.org", devices=2)
    membership = new_membership(alice, group.key)
    envelope = seal(CONTENT, [group.key.public], cty="message/rfc822")
    return dataclasses.replace(
        envelope, aad="YWFk", sender="a.b.c", recryption=recryption_for(membership, envelope)
    )


@pytest.mark.parametrize(
    "envelope", [sealed(), sealed(2), sealed(64), sealed(3, named=False), full()]
)
def test_what_is_written_is_read_again_in_every_form(envelope: Envelope) -> None:
    assert read_envelope(envelope.mmx()) == envelope
    assert read_envelope(envelope.mmx()).mmx() == envelope.mmx()
    whole = as_json(envelope)
    for text in (
        write_json(envelope.json()),
        json.dumps(whole).encode(),
        json.dumps(whole, indent=2).encode(),
        json.dumps(whole, indent=None).encode() + b"\n",
        b" \r\n\t" + json.dumps(whole, indent=4, sort_keys=True).encode() + b"\r\n",
    ):
        assert read_envelope(text) == envelope


def test_the_flattened_form_is_the_general_form_with_one_recipient() -> None:
    envelope = sealed()
    assert read(flattened(envelope)) == envelope
    mmx = flattened(envelope)
    del mmx["ciphertext"]
    assert read_envelope(json.dumps(mmx).encode() + b"\n" + envelope.ciphertext) == envelope


@pytest.mark.parametrize("make", [as_json, flattened, merged])
def test_reading_what_was_written_of_what_was_read_changes_nothing(make: Any) -> None:  # noqa: ANN401 - one of three
    once = read(make(sealed()))
    assert read_envelope(once.mmx()) == once
    assert read_envelope(write_json(once.json())) == once


def test_alg_and_epk_may_stand_in_any_of_the_three_headers() -> None:
    envelope = sealed()
    (recipient,) = envelope.recipients
    inside = read(merged(envelope)).recipients[0]
    shared = flattened(envelope)
    shared["unprotected"] = shared.pop("header")
    outside = read(shared).recipients[0]
    assert outside == recipient
    assert inside == dataclasses.replace(recipient, header={})


def test_an_empty_header_is_not_written() -> None:
    """RFC 7516 §7.2.1: header must be absent when it would be empty."""
    (recipient,) = as_json(read(merged(sealed())))["recipients"]
    assert set(recipient) == {"encrypted_key"}


def test_of_the_unprotected_header_only_what_a_copy_needs_is_kept() -> None:
    whole = as_json(sealed())
    whole["unprotected"] = {"apu": "QWxpY2U", "x-trace": "alice's host"}
    envelope = read(whole)
    assert envelope.recipients[0].apu == b"Alice"
    assert b"x-trace" not in envelope.mmx()
    assert "unprotected" not in envelope.head()
    assert read_envelope(envelope.mmx()) == envelope


@pytest.mark.parametrize("cipher", ContentCipher, ids=lambda cipher: cipher.enc)
@pytest.mark.parametrize("wrap", KeyWrap, ids=lambda wrap: wrap.alg)
def test_every_accepted_algorithm_is_read(cipher: ContentCipher, wrap: KeyWrap) -> None:
    whole = as_json(sealed())
    whole["protected"] = write_b64url(write_json({"enc": cipher.enc}))
    whole["iv"] = write_b64url(bytes(cipher.iv_octets))
    whole["tag"] = write_b64url(bytes(cipher.tag_octets))
    whole["recipients"][0]["header"]["alg"] = wrap.alg
    whole["recipients"][0]["encrypted_key"] = write_b64url(bytes(cipher.key_octets + 8))
    envelope = read(whole)
    assert envelope.cipher is cipher
    assert envelope.recipients[0].wrap is wrap
    assert envelope.cty is None


def test_an_mmx_line_may_be_filled_with_spaces() -> None:
    envelope = sealed()
    line, ciphertext = envelope.mmx().split(b"\n", 1)
    assert ciphertext == envelope.ciphertext
    for spaces in (1, 2051 - len(line), limits.ENVELOPE_LINE_OCTETS - 1 - len(line)):
        assert read_envelope(line + b" " * spaces + b"\n" + ciphertext) == envelope


def test_a_line_of_over_64_kib_is_refused() -> None:
    envelope = sealed()
    line, ciphertext = envelope.mmx().split(b"\n", 1)
    filled = line.ljust(limits.ENVELOPE_LINE_OCTETS, b" ") + b"\n" + ciphertext
    with pytest.raises(Malformed):
        read_envelope(filled)
    whole = as_json(envelope) | {"more": "x" * limits.ENVELOPE_LINE_OCTETS}
    with pytest.raises(Malformed, match="64 KiB"):
        read(whole)
    with pytest.raises(Malformed, match="64 KiB"):
        dataclasses.replace(envelope, sender="x" * limits.ENVELOPE_LINE_OCTETS).mmx()


def test_the_ciphertext_counts_for_no_line() -> None:
    content = bytes(200_000)
    envelope = seal(content, [KEYS[0].public])
    assert len(envelope.ciphertext) == len(content)
    assert read_envelope(envelope.mmx()) == envelope
    assert read_envelope(write_json(envelope.json())) == envelope


def test_ciphertext_with_line_feeds_and_braces_is_left_alone() -> None:
    for ciphertext in (b"", b"\n", b"}\n{", b'{"ciphertext":"AA"}\n', bytes(256), b"\r\n"):
        envelope = dataclasses.replace(sealed(), ciphertext=ciphertext)
        assert read_envelope(envelope.mmx()) == envelope


def test_the_content_id_is_the_hash_that_the_spec_gives() -> None:
    envelope = sealed()
    whole = as_json(envelope)
    h = write_b64url(hashlib.sha256(envelope.ciphertext).digest())
    text = f"{whole['protected']}.{whole['iv']}.{whole['tag']}.{h}"
    assert envelope.content_id == hashlib.sha256(text.encode()).digest()


def test_the_content_id_names_the_content_whatever_its_recipients() -> None:
    envelope, other = sealed(3), sealed(3)
    same = (
        dataclasses.replace(envelope, recipients=envelope.recipients[:1]),
        dataclasses.replace(envelope, recipients=other.recipients),
        dataclasses.replace(envelope, sender="a.b.c", recryption=full().recryption),
        read_envelope(envelope.mmx()),
        read_envelope(write_json(envelope.json())),
    )
    assert {each.content_id for each in same} == {envelope.content_id}
    changed = (
        dataclasses.replace(envelope, ciphertext=bytes(len(envelope.ciphertext))),
        dataclasses.replace(envelope, iv=bytes(12)),
        dataclasses.replace(envelope, tag=bytes(16)),
        dataclasses.replace(envelope, protected=other.protected + "AAAA"),
        other,
    )
    assert len({each.content_id for each in (envelope, *changed)}) == len(changed) + 1


def test_additional_data_is_what_rfc_7516_says() -> None:
    envelope = sealed()
    assert envelope.additional_data == envelope.protected.encode()
    with_aad = read(as_json(envelope) | {"aad": "YWFk"})
    assert with_aad.additional_data == f"{envelope.protected}.YWFk".encode()
    assert read_envelope(with_aad.mmx()) == with_aad


def test_a_recryption_is_read_with_all_that_it_states() -> None:
    copy = full()
    read_again = read_envelope(copy.mmx())
    assert read_again.recryption == copy.recryption
    assert read_again.recryption is not None
    assert read_again.recryption.decryption_key.recipients[0].kid is None


def test_seal_writes_what_the_spec_says() -> None:
    whole = as_json(sealed(2))
    assert read_json(read_b64url(whole["protected"]), limit=4096) == {
        "enc": "A256GCM",
        "typ": "recrypt+json",
        "cty": "message/rfc822",
    }
    for recipient, key in zip(whole["recipients"], KEYS, strict=False):
        assert set(recipient["header"]) == {"alg", "kid", "epk"}
        assert recipient["header"]["alg"] == "ECDH-ES+A256KW"
        assert recipient["header"]["kid"] == key.public.udf
        assert "kid" not in recipient["header"]["epk"]
    epks = [each.epk for each in sealed(64).recipients]
    assert len(set(epks)) == 64


def test_seal_refuses_no_key_and_too_many() -> None:
    for count in (0, 65):
        with pytest.raises(Malformed, match="1 to 64"):
            sealed(count)
