"""Threads hold, and authors' hosts don't show (spec §7)."""

import base64
import hashlib
import hmac
import re

import pytest

from listserver.threads import ThreadIds, first_id, ids_in, is_id

SECRET = bytes(range(32))
IDS = ThreadIds("team", "lists.example", SECRET)
AUTHORS = "<one@alice.example>"


def test_an_id_is_made_as_the_spec_says() -> None:
    def base32(message: bytes) -> str:
        digest = hmac.new(SECRET, message, hashlib.sha256).digest()
        return base64.b32encode(digest).decode().lower()

    thread = base32(b"id:<one@alice.example>")[:26]
    check = base32(b"check:team:" + thread.encode())[:8]
    assert IDS.mapped(AUTHORS.encode()) == f"<m.{thread}.{check}@lists.example>"


def test_an_own_id_is_recognised_and_is_a_message_id() -> None:
    own = IDS.mapped(b"anything, a content id too")
    assert re.fullmatch(r"<m\.[a-z2-7]{26}\.[a-z2-7]{8}@lists\.example>", own)
    assert is_id(own)
    assert IDS.is_own(own)


def test_nobody_else_makes_an_own_id() -> None:
    own = IDS.mapped(b"source")
    flipped = "b" if own[3] == "a" else "a"
    for other in (
        own[:3] + flipped + own[4:],
        own.upper(),
        own.replace("lists.example", "lists-example"),
        own + "\n",
        own[:-1],
        ThreadIds("other", "lists.example", SECRET).mapped(b"source"),
        ThreadIds("team", "lists.example", bytes(32)).mapped(b"source"),
        AUTHORS,
    ):
        assert not IDS.is_own(other)


def test_a_thread_is_mapped_once_and_then_stays() -> None:
    own = IDS.mapped(b"<root@alice.example>")
    mapped = IDS.mapped_thread([own, AUTHORS])
    assert mapped == (own, IDS.mapped(AUTHORS.encode()))
    assert IDS.mapped_thread(mapped) == mapped
    assert "alice" not in " ".join(mapped)


def test_at_most_twenty_ids_are_mapped() -> None:
    assert len(IDS.mapped_thread(f"<{n}@alice.example>" for n in range(100))) == 20


def test_ids_are_found_in_field_values_and_bounded() -> None:
    assert ids_in([" <a@x> (see <b@x>)", "Your mail of <Monday, 9>"]) == ("<a@x>", "<b@x>")
    assert first_id([" a@x", " <a b@x>", " <a@x> ", "<b@x>"]) == "<a@x>"
    assert ids_in(["<" * 100_000]) == ()
    assert is_id("<" + "a" * 248 + ">")
    assert not is_id("<" + "a" * 249 + ">")


def test_the_secret_does_not_print_and_has_its_length() -> None:
    assert "secret" not in repr(IDS)
    with pytest.raises(ValueError, match="32"):
        ThreadIds("team", "lists.example", b"short")
