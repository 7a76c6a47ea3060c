"""Open an envelope with a whole private key, or with the member's half and a partial (spec §3)."""

from collections.abc import Iterable, Sequence

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from recrypt_core import limits
from recrypt_core.agreement import complete
from recrypt_core.encoding import read_json
from recrypt_core.envelope import Envelope, Recipient, Recryption
from recrypt_core.errors import Malformed, NotAuthentic, NotForThisKey
from recrypt_core.jose import decrypt_content
from recrypt_core.keys import PrivateKey


def open_whole(envelope: Envelope, keys: Sequence[PrivateKey]) -> bytes:
    """Open with a private key that some recipient is for.

    A recipient that names no key is tried with every key of its curve.

    Raises:
        NotForThisKey: if no key here fits.
        NotAuthentic: if one fits and the content was changed.
    """
    names: dict[str, PrivateKey] = {key.public.udf: key for key in keys}
    for recipient in envelope.recipients:
        fitting = list(keys) if recipient.kid is None else [names.get(recipient.kid)]
        for key in fitting:
            if key is None or key.curve is not recipient.epk.curve:
                continue
            content_key = _unwrap(recipient, [key.exchange(recipient.epk)])
            if content_key is not None:
                return _open_content(envelope, content_key)
    raise NotForThisKey("the envelope is sealed to none of the keys here")


def open_decryption_key(recryption: Recryption, member_keys: Sequence[PrivateKey]) -> PrivateKey:
    """Open x with one of the member's own keys, and check that it gives X (spec §1, §4).

    Raises:
        NotForThisKey: if it is sealed to none of them.
        NotAuthentic: if it is another key than MemberKeyUDF says.
    """
    plaintext = open_whole(recryption.decryption_key, member_keys)
    decryption = PrivateKey.from_secret_jwk(read_json(plaintext, limit=limits.DOCUMENT_OCTETS))
    if decryption.public.udf != recryption.member_key:
        raise NotAuthentic("a decryption key that isn't the one its entry names")
    return decryption


def open_with_halves(envelope: Envelope, recryption: Recryption, decryption: PrivateKey) -> bytes:
    """Open with the member's half x and the partial that the service computed with r (spec §3).

    Raises:
        NotForThisKey: if the envelope isn't sealed to the group, or the halves don't match.
        NotAuthentic: if they do and the content was changed.
    """
    for recipient in envelope.recipients:
        if recipient.kid not in (recryption.group_key, None):
            continue
        if recipient.epk.curve is not decryption.curve:
            continue
        content_key = _unwrap(
            recipient,
            complete(recryption.split, decryption, recipient.epk, recryption.partial),
        )
        if content_key is not None:
            return _open_content(envelope, content_key)
    raise NotForThisKey("the partial and this decryption key don't open the envelope")


def open_recrypted(envelope: Envelope, member_keys: Sequence[PrivateKey]) -> bytes:
    """Open a relayed copy by the recryption that it holds.

    Raises:
        Malformed: if it holds none.
        NotForThisKey: if it is another member's copy.
        NotAuthentic: if it was changed.
    """
    if envelope.recryption is None:
        raise Malformed("an envelope without a recryption")
    decryption = open_decryption_key(envelope.recryption, member_keys)
    return open_with_halves(envelope, envelope.recryption, decryption)


def _unwrap(recipient: Recipient, agreements: Iterable[bytes]) -> bytes | None:
    """Unwrap the content key with the first Z that fits; AES-KW tells which (spec §1)."""
    for agreement in agreements:
        try:
            return aes_key_unwrap(_wrapping_key(recipient, agreement), recipient.encrypted_key)
        except InvalidUnwrap:
            continue
    return None


def _wrapping_key(recipient: Recipient, agreement: bytes) -> bytes:
    """Derive the wrapping key (RFC 7518 §4.6.2)."""
    wrap = recipient.wrap
    info = b"".join(
        len(part).to_bytes(4, "big") + part
        for part in (wrap.alg.encode("ascii"), recipient.apu, recipient.apv)
    ) + (wrap.octets * 8).to_bytes(4, "big")
    return ConcatKDFHash(SHA256(), wrap.octets, info).derive(agreement)


def _open_content(envelope: Envelope, content_key: bytes) -> bytes:
    return decrypt_content(
        envelope.cipher,
        content_key,
        aad=envelope.additional_data,
        iv=envelope.iv,
        sealed=(envelope.ciphertext, envelope.tag),
    )
