"""Tokens in addresses: opaque, unlinkable, and only the server can make and read them (spec §7).

Those of return paths, of copies and of letters about leaving are three kinds, each under a key of
its own: a mail host that sees a return path can't have the member leave by it.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias, assert_never

from listserver.model import MemberId, PostId
from listserver.vault import BLOCK_OCTETS, Vault
from recrypt_core.errors import Malformed

_ID_OCTETS: Final = 6  # of a post or a time, and of a member: 2^47 and 2^48 of them
_IS_PROBE: Final = 1 << 8 * _ID_OCTETS - 1  # the highest bit of the first of them
_STAYS_BITS: Final = 16
_POST_BITS: Final = 8 * _ID_OCTETS - _STAYS_BITS
STAYS_COUNTED: Final = 1 << _STAYS_BITS  # how often a member stays until the count begins anew
_CHECK: Final = bytes(BLOCK_OCTETS - 2 * _ID_OCTETS)  # 32 bits that a guess must hit
_FORM = re.compile(r"[a-z2-7]{26}", re.ASCII | re.IGNORECASE)
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"  # RFC 4648 §6, in small letters
_PAIRS: Final = tuple(one + other for one in _LETTERS for other in _LETTERS)  # of ten bits
_UNUSED_BITS: Final = 2  # of a block's 26 letters
_SHIFTS: Final = tuple(range(8 * BLOCK_OCTETS + _UNUSED_BITS - 10, -1, -10))
_RETURN: Final = "token"  # what the vault's key of each kind is called
_LEAVE: Final = "leave token"
_STAY: Final = "stay token"


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


@dataclass(frozen=True, slots=True)
class LeaveToken:
    """By which whom a copy was made for leaves: in the copy alone, not in its envelope.

    post: Its last 32 bits, so that copies of two posts have two tokens.
    stays: How often the member had stayed, or come back, when the copy was made; its last 16 bits.
    """

    post: PostId
    member: MemberId
    stays: int = 0


@dataclass(frozen=True, slots=True)
class StayToken:
    """By which a member stays after all: in its letter; when it asked to leave, to the second."""

    asked: datetime
    member: MemberId


Token: TypeAlias = DeliveryToken | ProbeToken
"""In a return path."""

OwnToken: TypeAlias = LeaveToken | StayToken
"""In what only the member was sent."""


def write_token(vault: Vault, token: Token | OwnToken) -> str:
    """Encipher a token as one block: 26 characters a-z and 2-7, no row kept for it.

    Raises:
        OverflowError: for an id or a time that is too large.
    """
    match token:
        case DeliveryToken(post, member):
            if post >= _IS_PROBE:
                raise OverflowError("a post's id that would read as a probe's time")
            return _written(vault, _RETURN, post, member)
        case ProbeToken(sent, member):
            return _written(vault, _RETURN, _IS_PROBE | int(sent.timestamp()), member)
        case LeaveToken(post, member, stays):
            first = stays % STAYS_COUNTED << _POST_BITS | post % (1 << _POST_BITS)
            return _written(vault, _LEAVE, first, member)
        case StayToken(asked, member):
            return _written(vault, _STAY, int(asked.timestamp()), member)
        case _:
            assert_never(token)


def read_token(vault: Vault, text: str) -> Token:
    """Read the token of a return path, in any case.

    Raises:
        Malformed: if it isn't one of ours.
    """
    first, member = _read(vault, _RETURN, text)
    if not first & _IS_PROBE:
        return DeliveryToken(PostId(first), member)
    return ProbeToken(_time(first ^ _IS_PROBE), member)


def read_own_token(vault: Vault, text: str) -> OwnToken:
    """Read the token of a copy, or of a letter about leaving, in any case.

    Raises:
        Malformed: if it is neither.
    """
    try:
        first, member = _read(vault, _LEAVE, text)
    except Malformed:
        asked, member = _read(vault, _STAY, text)
        return StayToken(_time(asked), member)
    return LeaveToken(PostId(first % (1 << _POST_BITS)), member, first >> _POST_BITS)


def _written(vault: Vault, kind: str, first: int, member: MemberId) -> str:
    block = first.to_bytes(_ID_OCTETS, "big") + member.to_bytes(_ID_OCTETS, "big") + _CHECK
    number = int.from_bytes(vault.encipher(block, use=kind), "big") << _UNUSED_BITS
    return "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])


def _read(vault: Vault, kind: str, text: str) -> tuple[int, MemberId]:
    if not _FORM.fullmatch(text):
        raise Malformed("not a token")
    try:
        octets = base64.b32decode(text.upper() + "======")
    except binascii.Error:
        raise Malformed("not a token") from None
    block = vault.decipher(octets, use=kind)
    if block[2 * _ID_OCTETS :] != _CHECK:
        raise Malformed("not a token of this server")
    first = int.from_bytes(block[:_ID_OCTETS], "big")
    member = MemberId(int.from_bytes(block[_ID_OCTETS : 2 * _ID_OCTETS], "big"))
    if _written(vault, kind, first, member) != text.lower():  # the last one has two unused bits
        raise Malformed("not a token of this server")
    return first, member


def _time(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError):  # our check bits, and no time: a guess in 2^32
        raise Malformed("not a token of this server") from None
