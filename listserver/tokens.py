"""Tokens in addresses: opaque, unlinkable, and only the server can make and read them (spec §7).

Those of return paths, of copies and of letters about leaving are three kinds, each under a key of
its own: a mail host that sees a return path can't have the member leave by it.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
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
_TEXT_LETTERS: Final = 26
_LETTERS: Final = b"abcdefghijklmnopqrstuvwxyz234567" + bytes(224)  # RFC 4648 §6, small; by value
_LANES: Final = 128  # ours: blocks that are written at once
_LANE_OCTETS: Final = 32
_BEFORE: Final = bytes(12)
_BEHIND: Final = bytes(4)
_ALL: Final = (1 << 8 * _LANE_OCTETS * _LANES) - 1
# Of each step of `base32` the masks of what stays and of what moves up, and how many bits.
_STEPS: Final = tuple(
    (low, low << 5 * part, 3 * part)
    for part in (16, 8, 4, 2, 1)  # letters that stay together
    for low in [((1 << 5 * part) - 1) * (_ALL // ((1 << 16 * part) - 1))]
)
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
            return _written(vault, _RETURN, _of_post(post), member)
        case ProbeToken(sent, member):
            return _written(vault, _RETURN, _IS_PROBE | int(sent.timestamp()), member)
        case LeaveToken(post, member, stays):
            return _written(vault, _LEAVE, _of_copy(post, stays), member)
        case StayToken(asked, member):
            return _written(vault, _STAY, int(asked.timestamp()), member)
        case _:
            assert_never(token)


def write_copy_tokens(
    vault: Vault, post: PostId, readers: Sequence[tuple[MemberId, int]]
) -> Iterator[tuple[str, str]]:
    """Write the DeliveryToken and the LeaveToken of copies, as `write_token` does one by one.

    readers: of each copy the member, and how often that one has stayed.

    Raises:
        OverflowError: for an id that is too large.
    """
    first = _of_post(post)
    returns = b"".join([_block(first, member) for member, _ in readers])
    leaves = b"".join([_block(_of_copy(post, stays), member) for member, stays in readers])
    return zip(
        base32(vault.encipher(returns, use=_RETURN)),
        base32(vault.encipher(leaves, use=_LEAVE)),
        strict=True,
    )


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


def _of_post(post: PostId) -> int:
    if post >= _IS_PROBE:
        raise OverflowError("a post's id that would read as a probe's time")
    return post


def _of_copy(post: PostId, stays: int) -> int:
    return stays % STAYS_COUNTED << _POST_BITS | post % (1 << _POST_BITS)


def _block(first: int, member: MemberId) -> bytes:
    return first.to_bytes(_ID_OCTETS, "big") + member.to_bytes(_ID_OCTETS, "big") + _CHECK


def _written(vault: Vault, kind: str, first: int, member: MemberId) -> str:
    (text,) = base32(vault.encipher(_block(first, member), use=kind))
    return text


def base32(blocks: bytes) -> list[str]:
    """Write blocks of 16 octets, 26 letters each (RFC 4648 §6): one by one is four times slower.

    Each has a lane of 256 bits in one long integer, first its 128 bits and 32 more in the lowest
    160. Then the upper half of these goes to the middle of the lane, and so on with each half: in
    the end every octet of the lane holds five bits.
    """
    texts: list[str] = []
    for start in range(0, len(blocks), BLOCK_OCTETS * _LANES):
        some = blocks[start : start + BLOCK_OCTETS * _LANES]
        lanes = [
            b"".join((_BEFORE, some[at : at + BLOCK_OCTETS], _BEHIND))
            for at in range(0, len(some), BLOCK_OCTETS)
        ]
        number = int.from_bytes(b"".join(lanes), "big")
        for low, high, shift in _STEPS:
            number = (number & high) << shift | number & low
        letters = number.to_bytes(_LANE_OCTETS * len(lanes), "big").translate(_LETTERS)
        text = letters.decode("ascii")
        texts += [text[at : at + _TEXT_LETTERS] for at in range(0, len(text), _LANE_OCTETS)]
    return texts


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
