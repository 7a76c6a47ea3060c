"""Padding of messages before they are sealed: lengths that tell little of them (spec §7).

Padmé (Nikitin and others, "Reducing Metadata Leakage from Encrypted Files and Communication with
PURBs", PETS 2019): of a length only its highest bits are left, as many as its exponent needs.
"""

from typing import Final

FIELD: Final = "Recrypt-Padding"
HEADER_OCTETS: Final = 32 * 2**10  # ours: of a header with the field, as readers bound headers

_SHORTEST: Final = 4  # of a folded line: a space, one character, CRLF
_LINE: Final = 56  # of a line, so that also the last one is not over 78


def padme(octets: int) -> int:
    """Give the length that so many octets, one or more, are padded to: 12 % more at most."""
    exponent = octets.bit_length() - 1
    low = (1 << (exponent - exponent.bit_length())) - 1
    return (octets + low) & ~low


def padding(octets: int, *, header: int, most: int, least: int = 0) -> tuple[bytes, bytes]:
    """Pad a message of so many octets, with what stands before it, to `least` to `most` of them.

    Gives a field for the end of its header, which has so many octets, and what follows the body:
    where the field would be too large, white space, which is no part of a multipart or of base64
    (RFC 2046 §5.1.1, RFC 2045 §6.8).
    """
    name = f"{FIELD}:".encode("ascii")
    shortest = len(name) + _SHORTEST
    missing = max(min(max(padme(octets + shortest), least), most) - octets, shortest)
    if header + missing <= HEADER_OCTETS:
        return name + _lines(missing - len(name), b"="), b""
    return name + _lines(_SHORTEST, b"="), _lines(missing - shortest, b" ")


def _lines(octets: int, filler: bytes) -> bytes:
    """Write so many octets, 4 or more, in lines that begin with a space."""
    full, rest = divmod(octets - _SHORTEST, _LINE)
    sizes = [_LINE] * full + [rest + _SHORTEST]
    return b"".join(b" " + filler * (size - 3) + b"\r\n" for size in sizes)
