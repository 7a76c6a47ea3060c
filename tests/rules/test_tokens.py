"""Tokens: each delivery has one, nobody else can make or link them."""

import base64
import hashlib
import itertools
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listserver.model import MemberId, PostId
from listserver.tokens import (
    DeliveryToken,
    LeaveToken,
    OwnToken,
    ProbeToken,
    StayToken,
    Token,
    base32,
    read_own_token,
    read_token,
    write_copy_tokens,
    write_token,
)
from listserver.vault import Vault
from recrypt_core.errors import Malformed

VAULT = Vault(b"k" * 32)
POSTS = st.integers(0, 2**47 - 1)
MEMBERS = st.integers(0, 2**48 - 1)
TIMES = st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - as it is asked for
LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


def token(post: int, member: int) -> str:
    return write_token(VAULT, DeliveryToken(PostId(post), MemberId(member)))


@given(
    st.builds(DeliveryToken, POSTS.map(PostId), MEMBERS.map(MemberId))
    | st.builds(ProbeToken, TIMES.map(lambda at: at.replace(microsecond=0)), MEMBERS.map(MemberId))
)
def test_a_token_is_read_back_in_any_case(expected: Token) -> None:
    text = write_token(VAULT, expected)
    assert re.fullmatch("[a-z2-7]{26}", text)
    mixed = "".join(c.upper() if at % 2 else c for at, c in enumerate(text))
    for form in (text, text.upper(), mixed):
        assert read_token(VAULT, form) == expected


@given(
    st.builds(
        LeaveToken,
        st.integers(0, 2**32 - 1).map(PostId),
        MEMBERS.map(MemberId),
        st.integers(0, 2**16 - 1),
    )
    | st.builds(StayToken, TIMES.map(lambda at: at.replace(microsecond=0)), MEMBERS.map(MemberId))
)
def test_a_token_of_ones_own_is_read_back_and_is_none_of_a_return_path(expected: OwnToken) -> None:
    text = write_token(VAULT, expected)
    assert re.fullmatch("[a-z2-7]{26}", text)
    for form in (text, text.upper()):
        assert read_own_token(VAULT, form) == expected
        with pytest.raises(Malformed):
            read_token(VAULT, form)


@given(POSTS, MEMBERS)
def test_who_sees_a_return_path_can_have_nobody_leave_by_it(post: int, member: int) -> None:
    probe = ProbeToken(datetime.fromtimestamp(post % 10**9, UTC), MemberId(member))
    for text in (token(post, member), write_token(VAULT, probe)):
        with pytest.raises(Malformed):
            read_own_token(VAULT, text)
    leave = write_token(VAULT, LeaveToken(PostId(post), MemberId(member)))
    assert leave[:8] != token(post, member)[:8]


@settings(max_examples=5)
@given(POSTS, MEMBERS)
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


def test_a_probes_token_has_its_time_to_the_second() -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    texts = [
        write_token(VAULT, ProbeToken(now + timedelta(milliseconds=late), MemberId(1)))
        for late in (0, 999, 1000)
    ]
    assert texts[0] == texts[1] != texts[2]
    assert read_token(VAULT, texts[1]) == ProbeToken(now, MemberId(1))


def test_a_block_whose_time_is_none_is_no_token() -> None:
    block = b"\xff" * 6 + bytes(10)
    text = base64.b32encode(VAULT.encipher(block)).decode("ascii").rstrip("=")
    with pytest.raises(Malformed):
        read_token(VAULT, text)


@pytest.mark.parametrize(("post", "member"), [(2**47, 1), (1, 2**48)])
def test_an_id_that_is_too_large_is_a_fault_and_not_a_wrong_token(post: int, member: int) -> None:
    with pytest.raises(OverflowError):
        token(post, member)


@pytest.mark.parametrize("number", [0, 1, 2, 127, 128, 129, 300])
def test_many_blocks_are_written_as_each_is(number: int) -> None:
    octets = hashlib.shake_128(b"%d" % number).digest(16 * number)
    blocks = [octets[at : at + 16] for at in range(0, len(octets), 16)]
    each = [base64.b32encode(block).decode().rstrip("=").lower() for block in blocks]
    assert base32(octets) == each


@given(
    st.integers(1, 2**47 - 1).map(PostId),
    st.lists(st.tuples(st.integers(1, 2**48 - 1).map(MemberId), st.integers(0, 2**20))),
)
def test_the_tokens_of_many_copies_are_those_of_each(
    post: PostId, readers: list[tuple[MemberId, int]]
) -> None:
    assert [*write_copy_tokens(VAULT, post, readers)] == [
        (
            write_token(VAULT, DeliveryToken(post, member)),
            write_token(VAULT, LeaveToken(post, member, stays)),
        )
        for member, stays in readers
    ]
