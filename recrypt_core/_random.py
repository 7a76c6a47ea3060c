"""The one source of randomness: the operating system's."""

import secrets
from collections.abc import MutableSequence


def octets(length: int) -> bytes:
    """Draw `length` octets."""
    return secrets.token_bytes(length)


def below(bound: int) -> int:
    """Draw a number uniformly from 0 to `bound` - 1."""
    return secrets.randbelow(bound)


def shuffle(items: MutableSequence[int]) -> None:
    """Put `items` in random order, in place."""
    secrets.SystemRandom().shuffle(items)
