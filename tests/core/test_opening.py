"""Opening: with the right key the content, with anything else a refusal, never other octets."""

import dataclasses
from collections.abc import Iterator

import pytest

from recrypt_core.agreement import Split
from recrypt_core.encoding import write_json
from recrypt_core.envelope import Envelope, Recryption, read_envelope
from recrypt_core.errors import Malformed, NotAuthentic, NotForThisKey
from recrypt_core.jose import ContentCipher, decrypt_content
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.opening import (
    open_decryption_key,
    open_recrypted,
    open_whole,
    open_with_halves,
)
from recrypt_core.sealing import seal
from recrypt_core.splitting import split
from tests.builders import new_group, new_membership, new_person, recryption_for

CONTENT = b"Subject: x\r\n\r\nhello\r\n"
CURVES = pytest.mark.parametrize("curve", Curve, ids=lambda curve: curve.value)


def flipped(octets: bytes) -> Iterator[bytes]:
    """Give the octets with a bit changed: of the first, a middle and the last octet."""
    for at in {0, len(octets) // 2, len(octets) - 1}:
        for bit in (1, 128):
            yield octets[:at] + bytes([octets[at] ^ bit]) + octets[at + 1 :]


def but(envelope: Envelope, **members: object) -> Envelope:
    return dataclasses.replace(envelope, **members)  # type: ignore[arg-type]  # by name


def copy_for_alice(curve: Curve = Curve.X25519) -> tuple[Envelope, PrivateKey]:
    """Make a relayed copy, and the device that reads it."""
    group, alice = new_group(curve=curve), new_person("alice@example.org", curve=curve)
    envelope = seal(CONTENT, [group.key.public])
    recryption = recryption_for(new_membership(alice, group.key), envelope)
    return dataclasses.replace(envelope, recryption=recryption), alice.devices[0]


def recryption_of(envelope: Envelope) -> Recryption:
    assert envelope.recryption is not None
    return envelope.recryption


@CURVES
def test_a_relayed_copy_opens_with_each_device_of_its_member(curve: Curve) -> None:
    group, alice = new_group(curve=curve), new_person("alice@example.org", devices=3)
    envelope = seal(CONTENT, [group.key.public])
    recryption = recryption_for(new_membership(alice, group.key), envelope)
    copy = read_envelope(dataclasses.replace(envelope, recryption=recryption).mmx())
    for device in alice.devices:
        assert open_recrypted(copy, [device]) == CONTENT
    assert open_whole(copy, [group.key]) == CONTENT


@CURVES
def test_a_half_alone_opens_nothing(curve: Curve) -> None:
    whole = PrivateKey.generate(curve)
    envelope = seal(CONTENT, [whole.public])
    halves = split(whole)
    unnamed = seal(CONTENT, [whole.public], named=False)
    for half in (halves.recryption, halves.decryption, PrivateKey.generate(curve)):
        for each in (envelope, unnamed):
            with pytest.raises(NotForThisKey):
                open_whole(each, [half])


def test_each_of_many_recipients_opens_it_and_nobody_else() -> None:
    keys = [PrivateKey.generate(curve) for curve in Curve] * 2
    strangers = [PrivateKey.generate(curve) for curve in Curve]
    for named in (True, False):
        envelope = seal(CONTENT, [key.public for key in keys], named=named)
        for key in keys:
            assert open_whole(envelope, [*strangers, key]) == CONTENT
        for ring in (strangers, []):
            with pytest.raises(NotForThisKey):
                open_whole(envelope, ring)


def test_content_of_every_length_comes_out_as_it_went_in() -> None:
    key = PrivateKey.generate(Curve.X25519)
    for length in (0, 1, 15, 16, 17, 255, 70_000):
        assert open_whole(seal(bytes(length), [key.public]), [key]) == bytes(length)


def test_a_changed_content_is_not_authentic_to_whoever_holds_a_key() -> None:
    copy, device = copy_for_alice()
    group_key = PrivateKey.generate(Curve.X25519)
    whole = seal(CONTENT, [group_key.public])
    for name in ("ciphertext", "tag", "iv"):
        for octets in flipped(getattr(copy, name)):
            with pytest.raises(NotAuthentic):
                open_recrypted(but(copy, **{name: octets}), [device])
        for octets in flipped(getattr(whole, name)):
            with pytest.raises(NotAuthentic):
                open_whole(but(whole, **{name: octets}), [group_key])


def test_a_changed_protected_header_or_aad_is_not_authentic() -> None:
    copy, device = copy_for_alice()
    changes = [{"protected": copy.protected + "A"}, {"aad": "YWFk"}, {"aad": ""}]
    changes.append({"protected": seal(CONTENT, [device.public], cty="text/plain").protected})
    for change in changes:
        with pytest.raises(NotAuthentic):
            open_recrypted(but(copy, **change), [device])
    longer = dataclasses.replace(copy, ciphertext=copy.ciphertext + b"\0")
    with pytest.raises(NotAuthentic):
        open_recrypted(longer, [device])


def test_another_encrypted_key_or_epk_is_for_no_key_here() -> None:
    copy, device = copy_for_alice()
    (recipient,) = copy.recipients
    changes = [{"encrypted_key": octets} for octets in flipped(recipient.encrypted_key)]
    changes += [{"apu": b"x"}, {"apv": b"x"}]
    for change in changes:
        changed = dataclasses.replace(recipient, **change)  # type: ignore[arg-type]  # octets
        with pytest.raises(NotForThisKey):
            open_recrypted(dataclasses.replace(copy, recipients=(changed,)), [device])


@CURVES
def test_another_partial_never_opens(curve: Curve) -> None:
    copy, device = copy_for_alice(curve)
    recryption = recryption_of(copy)
    wrong = [*flipped(recryption.partial), PrivateKey.generate(curve).public.x]
    wrong += [bytes(len(recryption.partial)), recryption.partial[:-1], b""]
    refused = []
    for part in wrong:
        changed = dataclasses.replace(recryption, partial=part)
        with pytest.raises((NotForThisKey, Malformed)) as problem:
            open_recrypted(dataclasses.replace(copy, recryption=changed), [device])
        refused.append(problem.type)
    assert set(refused) == {NotForThisKey, Malformed}


@CURVES
def test_the_partial_of_another_member_or_message_never_opens(curve: Curve) -> None:
    group = new_group(curve=curve)
    alice, bob = new_person("alice@example.org"), new_person("bob@example.org")
    memberships = [new_membership(person, group.key) for person in (alice, bob)]
    envelope, other = (seal(text, [group.key.public]) for text in (CONTENT, b"another"))
    hers, his = (recryption_for(each, envelope) for each in memberships)
    hers_of_other = recryption_for(memberships[0], other)
    for part in (his.partial, hers_of_other.partial):
        mixed = dataclasses.replace(envelope, recryption=dataclasses.replace(hers, partial=part))
        with pytest.raises((NotForThisKey, Malformed)):
            open_recrypted(mixed, [alice.devices[0]])
    with pytest.raises(NotForThisKey):
        open_recrypted(dataclasses.replace(envelope, recryption=his), [alice.devices[0]])


def test_a_decryption_key_that_is_not_the_entrys_is_refused() -> None:
    copy, device = copy_for_alice()
    recryption, x = recryption_of(copy), open_decryption_key(recryption_of(copy), [device])
    other = PrivateKey.generate(Curve.X25519)
    for key, name in ((other, x.public.udf), (x, other.public.udf)):
        wrapped = seal(write_json(key.to_secret_jwk()), [device.public], named=False)
        changed = dataclasses.replace(recryption, member_key=name, decryption_key=wrapped)
        with pytest.raises(NotAuthentic, match="isn't the one"):
            open_decryption_key(changed, [device])


def test_a_decryption_key_that_is_no_key_is_malformed_and_not_quoted() -> None:
    copy, device = copy_for_alice()
    for secret in (b'{"d":"secret"}', b"secret", b'{"kty":"OKP","crv":"X25519","d":"secret"}'):
        wrapped = seal(secret, [device.public], named=False)
        changed = dataclasses.replace(recryption_of(copy), decryption_key=wrapped)
        with pytest.raises(Malformed) as problem:
            open_decryption_key(changed, [device])
        assert "secret" not in str(problem.value)


def test_an_envelope_to_another_group_or_of_another_curve_is_for_no_key_here() -> None:
    copy, device = copy_for_alice()
    recryption = recryption_of(copy)
    x = open_decryption_key(recryption, [device])
    for curve in Curve:
        other = seal(CONTENT, [PrivateKey.generate(curve).public])
        with pytest.raises(NotForThisKey):
            open_with_halves(other, recryption, x)


def test_the_groups_recipient_is_found_beside_others_without_a_name() -> None:
    """The partial is for the recipient that names the group, and fits no other's epk."""
    group, alice = new_group(), new_person("alice@example.org")
    for _ in range(8):
        strangers = [PrivateKey.generate(Curve.X25519).public] * 3
        unnamed = seal(CONTENT, [*strangers, group.key.public], named=False)
        (*others, last) = unnamed.recipients
        named = dataclasses.replace(last, kid=group.key.public.udf)
        envelope = dataclasses.replace(unnamed, recipients=(*others, named))
        membership = new_membership(alice, group.key)
        only_named = dataclasses.replace(envelope, recipients=(named,))
        copy = dataclasses.replace(envelope, recryption=recryption_for(membership, only_named))
        assert open_recrypted(copy, [alice.devices[0]]) == CONTENT


def test_an_envelope_without_a_recryption_is_no_copy() -> None:
    key = PrivateKey.generate(Curve.X25519)
    with pytest.raises(Malformed, match="without a recryption"):
        open_recrypted(seal(CONTENT, [key.public]), [key])


@pytest.mark.parametrize("cipher", ContentCipher, ids=lambda cipher: cipher.enc)
def test_no_cipher_decrypts_what_it_did_not_make(cipher: ContentCipher) -> None:
    for length in (0, 1, 16, 100):
        with pytest.raises(NotAuthentic):
            decrypt_content(
                cipher,
                bytes(cipher.key_octets),
                aad=b"aad",
                iv=bytes(cipher.iv_octets),
                sealed=(bytes(length), bytes(cipher.tag_octets)),
            )


def test_a_split_is_part_of_what_is_asked() -> None:
    copy, device = copy_for_alice()
    changed = dataclasses.replace(recryption_of(copy), split=Split.PRODUCT)
    with pytest.raises(NotForThisKey):
        open_recrypted(dataclasses.replace(copy, recryption=changed), [device])
