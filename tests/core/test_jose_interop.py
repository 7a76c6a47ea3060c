"""Any JOSE library is a sender, and a reader that holds a whole key (spec §3)."""

import dataclasses
import json
from typing import Any

import pytest
from joserfc import jwe as joserfc_jwe
from joserfc.jwk import ECKey, OKPKey
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK

from recrypt_core.encoding import write_json
from recrypt_core.envelope import KeyWrap, read_envelope
from recrypt_core.errors import Malformed
from recrypt_core.jose import ContentCipher
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.opening import open_recrypted, open_whole
from recrypt_core.sealing import seal
from tests.builders import new_group, new_membership, new_person, recryption_for

CONTENT = b"Subject: x\r\n\r\nhello\r\n"
CURVES = pytest.mark.parametrize("curve", Curve, ids=lambda curve: curve.value)
CIPHERS = pytest.mark.parametrize("cipher", ContentCipher, ids=lambda cipher: cipher.enc)
WRAPS = pytest.mark.parametrize("wrap", KeyWrap, ids=lambda wrap: wrap.alg)
ALGORITHMS = [cipher.enc for cipher in ContentCipher] + [wrap.alg for wrap in KeyWrap]


def stock(key: PrivateKey) -> JWK:
    return JWK(**key.public.named_jwk())


def stock_jwe(
    key: PrivateKey, protected: dict[str, Any], header: dict[str, Any] | None = None
) -> bytes:
    """Seal as the manual of jwcrypto shows it."""
    token = JWE(CONTENT, json.dumps(protected), recipient=stock(key), header=_text(header))
    text: str = token.serialize()
    return text.encode()


def _text(header: dict[str, Any] | None) -> str | None:
    return None if header is None else json.dumps(header)


@CURVES
@CIPHERS
@WRAPS
def test_what_jwcrypto_seals_opens_here(curve: Curve, cipher: ContentCipher, wrap: KeyWrap) -> None:
    key = PrivateKey.generate(curve)
    named = {"alg": wrap.alg, "kid": key.public.udf}
    for text in (
        stock_jwe(key, {"enc": cipher.enc}, named),
        stock_jwe(key, {"enc": cipher.enc, **named}),
        stock_jwe(key, {"enc": cipher.enc, "alg": wrap.alg}),
        stock_jwe(
            key,
            {"enc": cipher.enc, "alg": wrap.alg, "cty": "message/rfc822"},
            {"kid": key.public.udf},
        ),
    ):
        envelope = read_envelope(text)
        assert envelope.cipher is cipher
        assert open_whole(envelope, [key]) == CONTENT
        assert open_whole(read_envelope(envelope.mmx()), [key]) == CONTENT


@CURVES
def test_what_jwcrypto_seals_to_two_opens_for_both(curve: Curve) -> None:
    keys = [PrivateKey.generate(curve), PrivateKey.generate(Curve.X25519)]
    token = JWE(CONTENT, json.dumps({"enc": "A128CBC-HS256"}), json.dumps({"cty": "text/plain"}))
    for key in keys:
        header = {"alg": "ECDH-ES+A128KW", "kid": key.public.udf, "apu": "QWxpY2U", "apv": "Qm9i"}
        token.add_recipient(stock(key), json.dumps(header))
    envelope = read_envelope(token.serialize().encode())
    assert [each.apu for each in envelope.recipients] == [b"Alice"] * 2
    assert [each.apv for each in envelope.recipients] == [b"Bob"] * 2
    for key in keys:
        assert open_whole(read_envelope(envelope.mmx()), [key]) == CONTENT


@CURVES
@CIPHERS
def test_a_jwcrypto_post_is_relayed_and_opens_with_halves(
    curve: Curve, cipher: ContentCipher
) -> None:
    group, alice = new_group(curve=curve), new_person("alice@example.org")
    named = {"alg": "ECDH-ES+A256KW", "kid": group.key.public.udf, "apu": "QWxpY2U", "apv": "Qm9i"}
    post = read_envelope(stock_jwe(group.key, {"enc": cipher.enc}, named))
    recryption = recryption_for(new_membership(alice, group.key), post)
    copy = read_envelope(dataclasses.replace(post, recryption=recryption).mmx())
    assert open_recrypted(copy, [alice.devices[0]]) == CONTENT


@CURVES
def test_jwcrypto_opens_what_is_sealed_here(curve: Curve) -> None:
    keys = [PrivateKey.generate(curve), PrivateKey.generate(Curve.P256)]
    for ring in (keys, keys[:1]):
        envelope = seal(CONTENT, [key.public for key in ring], cty="message/rfc822")
        copy = read_envelope(envelope.mmx())
        for key in ring:
            token = JWE()
            token.deserialize(write_json(copy.json()).decode(), JWK(**key.to_secret_jwk()))
            assert token.payload == CONTENT


def test_jwcrypto_opens_a_post_whose_every_header_is_protected_after_it_was_relayed() -> None:
    key = PrivateKey.generate(Curve.X25519)
    protected = {"enc": "A256GCM", "alg": "ECDH-ES+A256KW", "kid": key.public.udf}
    copy = read_envelope(read_envelope(stock_jwe(key, protected)).mmx())
    token = JWE()
    token.deserialize(write_json(copy.json()).decode(), JWK(**key.to_secret_jwk()))
    assert token.payload == CONTENT


def joserfc_key(jwk: Any) -> OKPKey | ECKey:  # noqa: ANN401 - joserfc's own dict
    return ECKey.import_key(jwk) if jwk["kty"] == "EC" else OKPKey.import_key(jwk)


@CURVES
@CIPHERS
@WRAPS
def test_what_joserfc_seals_opens_here(curve: Curve, cipher: ContentCipher, wrap: KeyWrap) -> None:
    key = PrivateKey.generate(curve)
    for kind in (joserfc_jwe.GeneralJSONEncryption, joserfc_jwe.FlattenedJSONEncryption):
        token = kind({"enc": cipher.enc}, CONTENT)
        header: Any = {"alg": wrap.alg, "kid": key.public.udf}
        token.add_recipient(header, joserfc_key(key.public.named_jwk()))
        made = joserfc_jwe.encrypt_json(token, None, algorithms=ALGORITHMS)
        assert open_whole(read_envelope(json.dumps(made).encode()), [key]) == CONTENT


@CURVES
def test_joserfc_opens_what_is_sealed_here(curve: Curve) -> None:
    keys = [PrivateKey.generate(curve), PrivateKey.generate(curve)]
    whole: Any = json.loads(write_json(seal(CONTENT, [key.public for key in keys[:1]]).json()))
    opened = joserfc_jwe.decrypt_json(
        whole, joserfc_key(keys[0].to_secret_jwk()), algorithms=ALGORITHMS
    )
    assert opened.plaintext == CONTENT


def test_what_jwcrypto_would_open_and_the_format_forbids_is_refused() -> None:
    key = PrivateKey.generate(Curve.X25519)
    named = {"alg": "ECDH-ES+A256KW", "kid": key.public.udf}
    zipped = stock_jwe(key, {"enc": "A256GCM", "zip": "DEF"}, named)
    token = JWE()
    token.deserialize(zipped.decode(), JWK(**key.to_secret_jwk()))
    assert token.payload == CONTENT
    with pytest.raises(Malformed, match="zip"):
        read_envelope(zipped)
    password = JWK.generate(kty="oct", size=128)
    direct = JWE(CONTENT, json.dumps({"alg": "dir", "enc": "A128GCM"}), recipient=password)
    direct_agreement = JWE(
        CONTENT, json.dumps({"alg": "ECDH-ES", "enc": "A128GCM"}), recipient=stock(key)
    )
    for refused in (direct, direct_agreement):
        with pytest.raises(Malformed, match=r"alg|without encrypted_key"):
            read_envelope(refused.serialize().encode())
        with pytest.raises(Malformed):
            read_envelope(refused.serialize(compact=True).encode())
