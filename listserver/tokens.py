"""Tokens in addresses: opaque, unlinkable, and only the server can make and read them (spec §7)."""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, assert_never

from listserver.model import MemberId, PostId
from listserver.vault import BLOCK_OCTETS, Vault
from recrypt_core.errors import Malformed

_ID_OCTETS: Final = 6  # of a post or a probe's time, and of a member: 2^47 and 2^48 of them
_IS_PROBE: Final = 1 << 8 * _ID_OCTETS - 1  # the highest bit of the first of them
_CHECK: Final = bytes(BLOCK_OCTETS - 2 * _ID_OCTETS)  # 32 bits that a guess must hit
_FORM = re.compile(r"[a-z2-7]{26}", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DeliveryToken:
    """What the return path of one copy names."""

    post: PostId
    member: MemberId


@dataclass(frozen=True, slots=True)
class ProbeToken:
    """What the return path of a probe names: whom, and when it was sent, to the second."""

    sent: datetime
    member: MemberId


Token = DeliveryToken | ProbeToken


def write_token(vault: Vault, token: Token) -> str:
    """Encipher a delivery or a probe as one block: 26 characters a-z and 2-7, no row kept for it.

    Raises:
        OverflowError: for an id or a time that is too large.
    """
    block = _first(token).to_bytes(_ID_OCTETS, "big") + token.member.to_bytes(_ID_OCTETS, "big")
    return base64.b32encode(vault.encipher(block + _CHECK)).decode("ascii").rstrip("=").lower()


def read_token(vault: Vault, text: str) -> Token:
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
    first, member = block[:_ID_OCTETS], block[_ID_OCTETS : 2 * _ID_OCTETS]
    token = _token(int.from_bytes(first, "big"), MemberId(int.from_bytes(member, "big")))
    if write_token(vault, token) != text.lower():  # the last character has two unused bits
        raise Malformed("not a token of this server")
    return token


def _first(token: Token) -> int:
    """Give the first number of a block: a post, or a probe's time with the highest bit."""
    match token:
        case DeliveryToken(post):
            if post >= _IS_PROBE:
                raise OverflowError("a post's id that would read as a probe's time")
            return post
        case ProbeToken(sent):
            return _IS_PROBE | int(sent.timestamp())
        case _:
            assert_never(token)


def _token(first: int, member: MemberId) -> Token:
    if not first & _IS_PROBE:
        return DeliveryToken(PostId(first), member)
    try:
        return ProbeToken(datetime.fromtimestamp(first ^ _IS_PROBE, UTC), member)
    except (OverflowError, ValueError):  # our check bits, and no time: a guess in 2^32
        raise Malformed("not a token of this server") from None
