"""Fingerprints: the drafts' names of keys, MBWMZ-A7GMP-GFSEZ-I5RRR-NZ3G2-I2VCN (spec §2)."""

import base64
import hashlib
import re
from typing import Final, NewType

from recrypt_core.errors import Malformed

Udf = NewType("Udf", str)
"""A fingerprint in the form of the wire: six groups of five characters of Base32."""

KEY_CONTENT: Final = "application/pkix-keyinfo"

_SHA_2_512: Final = b"\x60"
_LENGTH: Final = 30  # characters: 150 bits
_OCTETS: Final = 20  # that they are written of; Base32 in Python takes long for all 65
TYPED_LENGTH: Final = 25  # characters, the fewest that a person may type
_GROUP: Final = 5
_FORM = re.compile(r"M[A-Z2-7]{4}(-[A-Z2-7]{5}){5}", re.ASCII)
_TYPED = re.compile(r"M[A-Z2-7]{24,29}", re.ASCII)


def fingerprint(content_type: str, data: bytes) -> Udf:
    """Name `data` of the given content type (spec §2)."""
    inner = hashlib.sha512(data).digest()
    digest = hashlib.sha512(content_type.encode("ascii") + b":" + inner).digest()
    text = base64.b32encode((_SHA_2_512 + digest)[:_OCTETS]).decode("ascii")[:_LENGTH]
    return Udf("-".join(text[at : at + _GROUP] for at in range(0, _LENGTH, _GROUP)))


def key_udf(spki: bytes) -> Udf:
    """Name a public key by its DER SubjectPublicKeyInfo."""
    return fingerprint(KEY_CONTENT, spki)


def read_udf(text: str) -> Udf:
    """Read a fingerprint from the wire, where only the exact form counts.

    Raises:
        Malformed: for any other text.
    """
    if not _FORM.fullmatch(text):
        raise Malformed("not a fingerprint of six groups of five characters")
    return Udf(text)


def typed_matches(typed: str, udf: Udf) -> bool:
    """Tell whether what a person typed names `udf`, as `read_typed` takes it.

    Raises:
        Malformed: for what can't be a fingerprint, or is cut too short to be one.
    """
    return bare(udf).startswith(read_typed(typed))


def bare(udf: Udf) -> str:
    """Give the letters and digits of a fingerprint alone."""
    return udf.replace("-", "")


def read_typed(typed: str) -> str:
    """Read a fingerprint that a person typed, as the letters and digits that it begins with.

    It may be grouped in any way, in either case, and cut, to no fewer than 25 characters.

    Raises:
        Malformed: for what can't be a fingerprint, or is cut too short to be one.
    """
    letters = "".join(typed.split()).replace("-", "").upper()
    if not _TYPED.fullmatch(letters):
        raise Malformed(
            f"not a fingerprint: M, then {TYPED_LENGTH - 1} to {_LENGTH - 1} letters and digits"
        )
    return letters
