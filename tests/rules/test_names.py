"""The name in a post's outer From, as copies of a list with `from = via` say it (spec §7)."""

import unicodedata
from email.header import decode_header, make_header
from email.utils import getaddresses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listserver.headers import CopyFacts, ListFacts, ListHeader
from listserver.names import NAME_CHARACTERS, phrase, shown_name
from tests.builders import NOW

ID = "<m.aaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbb@lists.example>"


def from_of(name: str) -> tuple[bytes, str, str]:
    """Give the From of a copy as it stands there, and the name and address that readers see."""
    header = ListHeader(ListFacts("team", "lists.example"))
    raw = header.block(CopyFacts(NOW, ID, author=name)).partition(b"\r\nTo: ")[0]
    unfolded = raw.decode("ascii").removeprefix("From:").replace("\r\n ", " ")
    ((shown, address),) = getaddresses([unfolded])
    return raw, str(make_header(decode_header(shown))), address


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("Carol Example <carol@example.org>", "Carol Example"),
        ('"Example, Carol" <carol@example.org>', "Example, Carol"),
        ("carol@example.org (Carol)", "Carol"),
        ("=?utf-8?q?Carol_=C3=89?= <carol@example.org>", "Carol \u00c9"),
        ("=?utf-8?b?Q2Fyb2w=?= =?utf-8?b?IEU=?= <carol@example.org>", "Carol E"),
        ("=?iso-8859-1?q?Andr=E9?= <carol@example.org>", "Andr\u00e9"),
        ("Andr\u00c3\u00a9 <carol@example.org>", "Andr\u00e9"),  # UTF-8 as it is (RFC 6532)
        ("=?utf-8?q?Carol=0D=0ABcc=3A_bob?= <carol@example.org>", "CarolBcc: bob"),
        ("=?utf-8?q?Carol=E2=80=AElort?= <carol@example.org>", "Carollort"),
        ("=?utf-8?q?Ca=00rol?= <carol@example.org>", "Carol"),
        ("x" * 60 + " <carol@example.org>", "x" * NAME_CHARACTERS),
    ],
)
def test_a_name_is_read_and_cleaned(value: str, name: str) -> None:
    assert shown_name([value]) == name


@pytest.mark.parametrize(
    "senders",
    [
        (),
        ("carol@example.org",),
        ("Carol <carol@example.org>", "Bob <bob@example.org>"),
        ("Carol <carol@example.org>, Bob <bob@example.org>",),
        ('"bob@example.org" <carol@example.org>',),
        ('"Bob <bob@x>" <carol@example.org>',),
        ('"\\\\" <carol@example.org>',),
        ("=?utf-8?q?bob=40example=2Eorg?= <carol@example.org>",),
        ("=?utf-8?b?77yg?= <carol@example.org>",),
        ("=?utf-7?q?Carol?= <carol@example.org>",),
        ("=?rot13?q?Carol?= <carol@example.org>",),
        ("=?utf-8?q?=FF?= <carol@example.org>",),
        ("=?utf-8?q?=E2=80=AE?= <carol@example.org>",),
        ("\u00ff <carol@example.org>",),
        ("x" * 999 + " <carol@example.org>",),
        ("<<<<",),
    ],
    ids=lambda senders: "|".join(senders)[:40].encode("unicode_escape").decode() or "none",
)
def test_no_name_is_shown_where_none_is_to_be_believed(senders: tuple[str, ...]) -> None:
    assert shown_name(senders) is None


@pytest.mark.parametrize("name", ["Carol", "Example, Carol", "Carol \u00c9", "=?utf-8?q?x?=", "K."])
def test_a_name_is_read_back_as_it_was_written(name: str) -> None:
    raw, shown, address = from_of(name)
    assert (shown, address) == (f"{name} via team", "team@lists.example")
    assert all(len(line) <= 78 for line in raw.split(b"\r\n"))


@given(st.text(max_size=80))
def test_whatever_a_stranger_writes_from_is_one_ascii_field_of_the_lists_address(text: str) -> None:
    encoded = "=?utf-8?q?" + "".join(f"={o:02X}" for o in text.encode("utf-8", "ignore")) + "?="
    for value in (f"{encoded} <carol@example.org>", text, f'"{text}" <carol@example.org>'):
        name = shown_name([value.encode("utf-8", "ignore").decode("latin-1")])
        if name is None:
            continue
        raw, shown, address = from_of(name)
        assert raw.isascii()
        assert all(len(each) <= 78 for each in raw.split(b"\r\n"))
        assert raw.count(b"\r\n") == raw.count(b"\r\n ") == raw.count(b"\n") == raw.count(b"\r")
        assert (shown, address) == (f"{name} via team", "team@lists.example")
        assert not {unicodedata.category(each)[0] for each in name} & {"C"}
        assert "@" not in name


def test_a_long_name_in_another_script_is_folded_between_encoded_words() -> None:
    words = phrase("\u0416" * NAME_CHARACTERS)
    assert len(words) > 1
    assert all(len(word) <= 75 for word in words)
