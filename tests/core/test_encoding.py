"""One form is read and one is written: base64url, JSON, times."""

import base64
import itertools
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from recrypt_core import limits
from recrypt_core.encoding import (
    read_b64url,
    read_json,
    read_seconds,
    read_time,
    write_b64url,
    write_json,
    write_time,
)
from recrypt_core.errors import Malformed, TooLarge

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
LIMIT = 10_000


@pytest.mark.parametrize("octets", [b"\xfb", b"\xfb\xff", b"\xfb\xff\xfe"])
def test_of_all_texts_that_decode_loosely_to_some_octets_one_is_read(octets: bytes) -> None:
    right = write_b64url(octets)
    texts = {"".join(letters) for letters in itertools.product(LETTERS, repeat=2)}
    texts = {right[: -2 or None] + ending for ending in texts}
    texts |= {right + end for end in ("=", "==", "\n", " ", "A", "\0", "é")}
    texts |= {" " + right, right[:1] + "\n" + right[1:], right.replace("_", "/"), right + right[:1]}
    texts |= {right.replace("-", "+"), right.translate(str.maketrans("-_", "+/"))}
    texts.add(right)
    read = []
    for text in texts:
        try:
            if read_b64url(text) == octets:
                read.append(text)
        except Malformed:
            continue
    assert len(texts) > 4000
    assert read == [right]


def test_no_octets_are_an_empty_text() -> None:
    assert write_b64url(b"") == ""
    assert read_b64url("") == b""


@pytest.mark.parametrize("length", range(40))
def test_base64url_is_that_of_the_standard_library(length: int) -> None:
    octets = bytes(range(200, 200 + length))
    text = base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
    assert write_b64url(octets) == text
    assert read_b64url(text) == octets


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "AAAAA",
        "AB",
        "AAB",
        "A\u0391\u0391\u0391",
        "\u0663\u0663\u0663\u0663",
        "\uff21\uff21\uff21\uff21",
    ],
)
def test_what_base64url_never_is(text: str) -> None:
    with pytest.raises(Malformed):
        read_b64url(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a":1,"a":1}', "duplicate"),
        ('{"a":1,"\\u0061":2}', "duplicate"),
        ('{"x":{"y":[{"a":1,"b":2,"a":3}]}}', "duplicate"),
        ('{"a":1.0}', "integer"),
        ('{"a":1e3}', "integer"),
        ('{"a":NaN}', "integer"),
        ('{"a":Infinity}', "integer"),
        ('{"a":-Infinity}', "integer"),
        ('{"a":[{"b":-0.0}]}', "integer"),
        ('{"a":"\\ud800"}', "surrogate"),
        ('{"a":["\\udc00\\ud800"]}', "surrogate"),
        ('{"\\ud800":1}', "surrogate"),
        ("[]", "object"),
        ('"text"', "object"),
        ("1", "object"),
        ("null", "object"),
        ("", "not JSON"),
        ("{", "not JSON"),
        ("{}{}", "not JSON"),
        ("{} x", "not JSON"),
        ("{'a':1}", "not JSON"),
        ('{"a":1,}', "not JSON"),
        ('{"a":01}', "not JSON"),
        ('{"a":"\t"}', "not JSON"),
        ('{"a":"\\x41"}', "not JSON"),
        ("\ufeff{}", "not JSON"),
        ("\u00a0{}", "not JSON"),
        ('{"a":' + "9" * 5000 + "}", "64 bits"),
        (f'{{"a":{2**63}}}', "64 bits"),
        (f'{{"a":{-(2**63) - 1}}}', "64 bits"),
        ('{"a":' + "[" * 4000, "not JSON"),
    ],
)
def test_json_that_is_refused(text: str, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        read_json(text.encode(), limit=LIMIT)


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_json_in_another_encoding_is_refused(codec: str) -> None:
    with pytest.raises(Malformed):
        read_json('{"a":"é"}'.encode(codec), limit=LIMIT)


@pytest.mark.parametrize("octets", [b'{"a":"\xed\xa0\x80"}', b'{"a":"\xc0\xaf"}', b'{"a":"\xff"}'])
def test_octets_that_are_no_utf8_are_refused(octets: bytes) -> None:
    with pytest.raises(Malformed, match="UTF-8"):
        read_json(octets, limit=LIMIT)


def test_integers_of_64_bits_are_read_and_written() -> None:
    for number in (2**63 - 1, -(2**63)):
        text = f'{{"a":{number}}}'.encode()
        assert write_json(read_json(text, limit=LIMIT)) == text


def test_a_pair_of_surrogates_is_one_letter() -> None:
    assert read_json(b'{"a":"\\ud83d\\ude00"}', limit=LIMIT) == {"a": "\U0001f600"}


def nested(depth: int, opening: str, closing: str) -> bytes:
    """Write a value of `depth` levels, the root and the innermost value counted."""
    inside = depth - 2
    return ('{"a":' + opening * inside + "1" + closing * inside + "}").encode()


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_json_is_read_to_its_depth_and_no_deeper(opening: str, closing: str) -> None:
    read_json(nested(limits.JSON_DEPTH, opening, closing), limit=LIMIT)
    with pytest.raises(Malformed, match="deeper"):
        read_json(nested(limits.JSON_DEPTH + 1, opening, closing), limit=LIMIT)
    with pytest.raises(Malformed, match="not JSON"):
        read_json(nested(limits.JSON_VALUES // 2, opening, closing), limit=10**8)


def test_the_size_of_json_is_looked_at_before_it_is_parsed() -> None:
    text = b'{"a":1}'
    assert read_json(text, limit=len(text)) == {"a": 1}
    with pytest.raises(TooLarge, match="over 6 octets"):
        read_json(text, limit=6)
    with pytest.raises(TooLarge, match="over 6 octets"):
        read_json(b"\xff" * 7, limit=6)


@pytest.mark.parametrize("value", [b"0", b"{}", b"[]", b'{"a":[]}', b'""'])
def test_the_values_of_json_are_counted_before_it_is_parsed(value: bytes) -> None:
    many = b'{"a":[' + (value + b",") * limits.JSON_VALUES + value + b"]}"
    with pytest.raises(TooLarge, match="over 200000 values"):
        read_json(many, limit=10**8)
    most = b'{"a":[' + b"0," * (limits.JSON_VALUES - 2) + b"0]}"
    read_json(most, limit=10**8)


def test_seconds_are_read_as_a_time_while_there_is_one() -> None:
    assert read_seconds(0) == datetime(1970, 1, 1, tzinfo=UTC)
    assert read_seconds(2**37 - 1).year == 6325
    for wrong in (10**12, -(10**12), 10**30, -(10**30)):
        with pytest.raises(Malformed, match="no time"):
            read_seconds(wrong)


def test_a_refusal_never_quotes_the_text() -> None:
    for text in (
        '{"secret":secret}',
        '{"secret":1,"secret":2}',
        '{"secret":"\\ud800"}',
        '["secret"]',
    ):
        with pytest.raises(Malformed) as problem:
            read_json(text.encode(), limit=LIMIT)
        assert "secret" not in str(problem.value)


def test_json_is_written_in_one_form() -> None:
    value = {"b": [1, True, None, "é\n"], "a": {"c": "\u2028"}}
    written = write_json(value)  # type: ignore[arg-type]  # a literal, narrower than JsonObject
    assert written == '{"b":[1,true,null,"é\\n"],"a":{"c":"\u2028"}}'.encode()
    assert read_json(written, limit=LIMIT) == json.loads(written) == value


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T12:00:00Z", datetime(2026, 11, 22, 12, tzinfo=UTC)),
        ("2026-11-22T12:00:00.5Z", datetime(2026, 11, 22, 12, 0, 0, 500_000, tzinfo=UTC)),
        ("2024-02-29T23:59:59.000001Z", datetime(2024, 2, 29, 23, 59, 59, 1, tzinfo=UTC)),
    ],
)
def test_a_time_in_utc_is_read(text: str, moment: datetime) -> None:
    assert read_time(text) == moment
    assert read_time(text).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T12:00:00",
        "2026-11-22T12:00:00+00:00",
        "2026-11-22T13:00:00+01:00",
        "2026-11-22 12:00:00Z",
        "2026-11-22t12:00:00z",
        "2026-11-22T12:00Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T23:59:60Z",
        "2026-02-29T12:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-11-22T12:00:00.1234567Z",
        "2026-11-22T12:00:00Z\n",
        "\uff12026-11-22T12:00:00Z",
        "20261122T120000Z",
        "",
    ],
)
def test_a_time_of_another_form_or_zone_is_refused(text: str) -> None:
    with pytest.raises(Malformed, match="RFC 3339"):
        read_time(text)


def test_a_time_is_written_in_utc_to_the_second() -> None:
    moment = datetime(2026, 11, 22, 13, 0, 0, 999, tzinfo=timezone(timedelta(hours=1)))
    assert write_time(moment) == "2026-11-22T12:00:00Z"
