"""Tokens: each delivery has one, nobody else can make or link them."""

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listserver.model import MemberId, PostId
from listserver.tokens import DeliveryToken, read_token, write_token
from listserver.vault import Vault
from recrypt_core.errors import Malformed

VAULT = Vault(b"k" * 32)
IDS = st.integers(0, 2**48 - 1)
LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


def token(post: int, member: int) -> str:
    return write_token(VAULT, DeliveryToken(PostId(post), MemberId(member)))


@given(IDS, IDS)
def test_a_token_is_read_back_in_any_case(post: int, member: int) -> None:
    text = token(post, member)
    assert re.fullmatch("[a-z2-7]{26}", text)
    expected = DeliveryToken(PostId(post), MemberId(member))
    mixed = "".join(c.upper() if at % 2 else c for at, c in enumerate(text))
    for form in (text, text.upper(), mixed):
        assert read_token(VAULT, form) == expected


@settings(max_examples=5)
@given(IDS, IDS)
def test_no_token_with_one_character_changed_is_taken(post: int, member: int) -> None:
    text = token(post, member)
    for at, letter in itertools.product(range(26), LETTERS):
        changed = text[:at] + letter + text[at + 1 :]
        if changed != text:
            with pytest.raises(Malformed):
                read_token(VAULT, changed)


def test_tokens_of_neighbours_have_nothing_in_common() -> None:
    texts = [token(post, member) for post in range(1, 21) for member in range(1, 21)]
    assert len(set(texts)) == 400
    # 400 random texts share 4 first or last characters in a pair or two, and 8 in none at all.
    assert len({text[:8] for text in texts}) == 400
    assert len({text[-9:] for text in texts}) == 400
    assert texts != sorted(texts)


def test_a_token_of_another_server_is_refused() -> None:
    other = write_token(Vault(b"o" * 32), DeliveryToken(PostId(1), MemberId(1)))
    with pytest.raises(Malformed):
        read_token(VAULT, other)


@pytest.mark.parametrize("text", ["", "a" * 25, "a" * 27, "1" * 26, "a" * 25 + "\n", "\u0131" * 26])
def test_what_has_not_the_form_of_a_token_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        read_token(VAULT, text)


def test_an_id_that_is_too_large_is_a_fault_and_not_a_wrong_token() -> None:
    with pytest.raises(OverflowError):
        token(2**48, 1)
