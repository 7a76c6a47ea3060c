"""The one source of randomness: the operating system's."""

import secrets
from collections.abc import Sequence
from typing import Final, TypeVar

T = TypeVar("T")

_PIECE: Final = 4096  # items sorted at once: a few milliseconds, in which nothing else runs


def octets(length: int) -> bytes:
    """Draw `length` octets."""
    return secrets.token_bytes(length)


def below(bound: int) -> int:
    """Draw a number uniformly from 0 to `bound` - 1."""
    return secrets.randbelow(bound)


def shuffled(items: Sequence[T]) -> list[T]:
    """Give `items` in random order.

    Many are dealt out at random first, and each part is shuffled by itself. In a part each stands
    beside a number of 64 bits; two of 4096 are alike once in 2 billion times.
    """
    if len(items) > _PIECE:
        parts: tuple[list[T], ...] = tuple([] for _ in range(256))
        for item, part in zip(items, octets(len(items)), strict=True):
            parts[part].append(item)
        return [item for part in parts for item in shuffled(part)]
    numbers = memoryview(octets(8 * len(items))).cast("Q")
    return [item for _, _, item in sorted(zip(numbers, range(len(items)), items, strict=True))]
