"""Tokens in addresses: opaque, unlinkable, and only the server can make and read them (spec §7)."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from listserver.model import MemberId, PostId
from listserver.vault import BLOCK_OCTETS, Vault
from recrypt_core.errors import Malformed

_ID_OCTETS: Final = 6  # of a post and of a member: 2^48 of each
_CHECK: Final = bytes(BLOCK_OCTETS - 2 * _ID_OCTETS)  # 32 bits that a guess must hit
_FORM = re.compile(r"[a-z2-7]{26}", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DeliveryToken:
    """What the return path of one copy names."""

    post: PostId
    member: MemberId


def write_token(vault: Vault, token: DeliveryToken) -> str:
    """Encipher a delivery as one block: 26 characters a-z and 2-7, no row kept for it."""
    block = token.post.to_bytes(_ID_OCTETS, "big") + token.member.to_bytes(_ID_OCTETS, "big")
    return base64.b32encode(vault.encipher(block + _CHECK)).decode("ascii").rstrip("=").lower()


def read_token(vault: Vault, text: str) -> DeliveryToken:
    """Read a token, in any case.

    Raises:
        Malformed: if it isn't one of ours.
    """
    if not _FORM.fullmatch(text):
        raise Malformed("not a token")
    try:
        octets = base64.b32decode(text.upper() + "======")
    except binascii.Error:
        raise Malformed("not a token") from None
    block = vault.decipher(octets)
    if block[2 * _ID_OCTETS :] != _CHECK:
        raise Malformed("not a token of this server")
    post, member = block[:_ID_OCTETS], block[_ID_OCTETS : 2 * _ID_OCTETS]
    token = DeliveryToken(
        PostId(int.from_bytes(post, "big")), MemberId(int.from_bytes(member, "big"))
    )
    if write_token(vault, token) != text.lower():  # the last character has two unused bits
        raise Malformed("not a token of this server")
    return token
