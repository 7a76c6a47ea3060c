"""The one source of randomness: the operating system's."""

import secrets
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def octets(length: int) -> bytes:
    """Draw `length` octets."""
    return secrets.token_bytes(length)


def below(bound: int) -> int:
    """Draw a number uniformly from 0 to `bound` - 1."""
    return secrets.randbelow(bound)


def shuffled(items: Sequence[T]) -> list[T]:
    """Give `items` in random order.

    Each stands beside a number of 64 bits; two of a million are alike once in 37 million times.
    """
    numbers = memoryview(octets(8 * len(items))).cast("Q")
    return [item for _, _, item in sorted(zip(numbers, range(len(items)), items, strict=True))]
