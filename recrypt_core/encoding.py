"""Strict base64, JSON and times: size before parse, one form accepted, one form written."""

import json
import re
from datetime import UTC, datetime
from typing import Final, NoReturn, TypeAlias

import msgspec
import pybase64

from recrypt_core import limits
from recrypt_core.errors import Malformed, TooLarge

JsonValue: TypeAlias = "bool | int | str | list[JsonValue] | JsonObject | None"
JsonObject: TypeAlias = "dict[str, JsonValue]"

_URL_LETTERS: Final = b"-_"  # in place of + and / (RFC 4648 §5)
# What a text may end with whose last letter has four or two bits too many: those are zero.
_ENDS: Final = {1: frozenset("AQgw"), 2: frozenset("AEIMQUYcgkosw048")}
_INTEGERS: Final = 2**63
_INTEGER_LETTERS: Final = 20
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)


def write_b64url(octets: bytes) -> str:
    """Write base64url without padding (RFC 7515 §2)."""
    return pybase64.b64encode_as_string(octets, _URL_LETTERS).rstrip("=")


def read_b64url(text: str) -> bytes:
    """Read base64url without padding: no white space, unused bits zero.

    Raises:
        Malformed: for any text that `write_b64url` would not have written.
    """
    if "=" in text or "+" in text or "/" in text:
        raise Malformed("not base64url without padding")
    padding = "=" * (-len(text) % 4)
    try:
        octets = pybase64.b64decode(text + padding, _URL_LETTERS, validate=True)
    except ValueError:
        raise Malformed("not base64url without padding") from None
    if padding and text[-1] not in _ENDS[len(octets) % 3]:
        raise Malformed("base64url with unused bits that are not zero")
    return octets


def write_base64_lines(octets: bytes | memoryview) -> bytes:
    """Write base64 in lines of 76 characters, CRLF after each (RFC 2045 §6.8)."""
    return pybase64.encodebytes(octets).replace(b"\n", b"\r\n")


def read_base64(text: bytes) -> bytes:
    """Read base64 with its padding, and nothing else in it.

    Raises:
        Malformed: for whatever isn't of its alphabet, or is cut off.
    """
    try:
        return pybase64.b64decode(text, validate=True)
    except ValueError:
        raise Malformed("not base64") from None


def read_json(octets: bytes, *, limit: int) -> JsonObject:
    """Read one JSON object of at most `limit` octets.

    Refused besides what is no JSON: duplicate members, numbers that are not integers of 64 bits,
    lone surrogates, a byte order mark, and nesting deeper than `limits.JSON_DEPTH`.

    Raises:
        TooLarge: for over `limit` octets or, commas in texts counted too, `limits.JSON_VALUES`.
        Malformed: with the reason, which never quotes the text.
    """
    if len(octets) > limit:
        raise TooLarge(f"JSON of over {limit} octets")
    opened = octets.count(b"{") + octets.count(b"[")
    if opened + octets.count(b",") > limits.JSON_VALUES:
        raise TooLarge(f"JSON of over {limits.JSON_VALUES} values")
    try:
        value = _DECODER.decode(octets.decode("utf-8"))
    except UnicodeDecodeError:
        raise Malformed("JSON that is not UTF-8") from None
    except (ValueError, RecursionError):
        raise Malformed("not JSON") from None
    if not isinstance(value, dict):
        raise Malformed("JSON that is not an object")
    # Most texts can't be too deep, nor have a surrogate, which comes of an escape alone.
    if opened >= limits.JSON_DEPTH or b"\\u" in octets:
        _check_tree(value)
    return value


def write_json(value: JsonObject) -> bytes:
    """Write a JSON object in UTF-8, members in their order, without white space."""
    return _ENCODER.encode(value)


def read_text(holder: JsonObject, name: str, *, what: str) -> str:
    """Read a member that must be a text; `what` names the holder, for people.

    Raises:
        Malformed: if it is missing or something else.
    """
    text = holder.get(name)
    if not isinstance(text, str):
        raise Malformed(f"{what} without {name}")
    return text


def read_object(value: JsonValue, *, what: str) -> JsonObject:
    """Read a value that must be an object; `what` names what it stands in, for people.

    Raises:
        Malformed: if it is something else.
    """
    if not isinstance(value, dict):
        raise Malformed(f"{what} with something else where an object belongs")
    return value


def read_time(text: str) -> datetime:
    """Read an RFC 3339 time in UTC.

    Raises:
        Malformed: for another form or another zone than `Z`.
    """
    if not _TIME.fullmatch(text):
        raise Malformed("not an RFC 3339 time in UTC")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise Malformed("not an RFC 3339 time in UTC") from None


def read_seconds(seconds: int) -> datetime:
    """Read a time that is given in seconds since 1970, as `iat` is (RFC 7519 §2).

    Raises:
        Malformed: for one that no datetime holds: the bounds are the years 1 and 9999.
    """
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        raise Malformed("a number of seconds that is no time") from None


def write_time(moment: datetime) -> str:
    """Write an RFC 3339 time in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _without_duplicates(members: list[tuple[str, JsonValue]]) -> JsonObject:
    found = dict(members)
    if len(found) != len(members):
        raise Malformed("JSON with a duplicate member")
    return found


def _integer(text: str) -> int:
    number = int(text) if len(text) <= _INTEGER_LETTERS else _INTEGERS
    if not -_INTEGERS <= number < _INTEGERS:
        raise Malformed("JSON with an integer of over 64 bits")
    return number


def _no_number(_text: str) -> NoReturn:
    raise Malformed("JSON with a number that is not an integer")


def _check_tree(root: JsonObject) -> None:
    """Refuse too deep a tree and text that UTF-8 can't carry."""
    level: list[JsonValue] = [root]
    for _ in range(limits.JSON_DEPTH):
        below: list[JsonValue] = []
        for value in level:
            if isinstance(value, str):
                _check_text(value)
            elif isinstance(value, list):
                below += value
            elif isinstance(value, dict):
                below += value.keys()
                below += value.values()
        if not below:
            return
        level = below
    raise Malformed(f"JSON nested deeper than {limits.JSON_DEPTH}")


def _check_text(text: str) -> None:
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise Malformed("JSON with a lone surrogate")


# Made once: to make one takes as long as to read or write a short text.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_without_duplicates,
    parse_int=_integer,
    parse_float=_no_number,
    parse_constant=_no_number,
)
_ENCODER: Final = msgspec.json.Encoder()
