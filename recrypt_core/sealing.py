"""Seal content to the keys of groups and people (spec §3). Client side, but for mail to people."""

from collections.abc import Sequence

from recrypt_core import jose, limits
from recrypt_core.encoding import JsonObject
from recrypt_core.envelope import Envelope, KeyWrap, Recipient
from recrypt_core.errors import Malformed
from recrypt_core.jose import ContentCipher
from recrypt_core.keys import PublicKey


def seal(
    content: bytes, to: Sequence[PublicKey], *, cty: str | None = None, named: bool = True
) -> Envelope:
    """Seal content of at most 64 MiB to 1 to 64 keys, A256GCM, each with a fresh epk.

    Args:
        content: What only the holders of these keys will read; its length isn't hidden.
        to: The recipients' agreement keys.
        cty: The content's media type.
        named: Whether recipients carry the fingerprint of their key as `kid`. Without it copies
            don't link mailboxes, and readers try their keys (spec §4).

    Raises:
        Malformed: if it is too large, or there are no or too many keys.
    """
    if len(content) > limits.CONTENT_OCTETS:
        raise Malformed("content of over 64 MiB: split it, or share it elsewhere")
    if not 1 <= len(to) <= limits.ENVELOPE_RECIPIENTS:
        raise Malformed(f"not 1 to {limits.ENVELOPE_RECIPIENTS} recipients")
    cipher, wrap = ContentCipher.A256GCM, KeyWrap.A256KW
    protected: JsonObject = {"enc": cipher.enc, "typ": "recrypt+json"}
    if cty is not None:
        protected["cty"] = cty
    made = jose.encrypt(content, protected, [(key, _own_header(key, wrap, named)) for key in to])
    return Envelope(
        protected=made.protected,
        cipher=cipher,
        cty=cty,
        recipients=tuple(_recipient(wrap, *each) for each in made.recipients),
        iv=made.iv,
        tag=made.tag,
        ciphertext=made.ciphertext,
    )


def _own_header(key: PublicKey, wrap: KeyWrap, named: bool) -> JsonObject:
    return {"alg": wrap.alg, "kid": key.udf} if named else {"alg": wrap.alg}


def _recipient(wrap: KeyWrap, header: JsonObject, encrypted_key: bytes) -> Recipient:
    epk, kid = header["epk"], header.get("kid")
    if not isinstance(epk, dict):
        raise Malformed("an envelope without epk")
    public = PublicKey.from_jwk(epk)
    name = kid if isinstance(kid, str) else None
    own: JsonObject = {each: header[each] for each in ("alg", "kid") if each in header}
    return Recipient(wrap, name, public, b"", b"", encrypted_key, own | {"epk": public.jwk()})
