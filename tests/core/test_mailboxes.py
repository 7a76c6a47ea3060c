"""Mailboxes: the one grammar that the client and the server share (RFC 5321 §4.1.2)."""

import pytest

from recrypt_core.errors import Malformed
from recrypt_core.mailboxes import Address, check_domain, folded, is_plain, parse_address


@pytest.mark.parametrize(
    "text", ["alice@example.org", "a.b+c@example", "!#$%&'*+/=?^_`{|}~-@1.example"]
)
def test_an_address_is_written_as_it_was_read(text: str) -> None:
    assert str(parse_address(text)) == text
    assert is_plain(text)


def test_a_domain_is_in_lower_case_and_a_local_part_stays() -> None:
    assert parse_address("Alice@Lists.EXAMPLE") == Address("Alice", "lists.example")
    assert check_domain("Lists.EXAMPLE") == "lists.example"
    assert not is_plain("Alice@Lists.EXAMPLE")


def test_addresses_that_differ_in_case_alone_are_compared_as_one() -> None:
    assert folded("Alice@Lists.EXAMPLE") == folded("alice@lists.example") == "alice@lists.example"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "alice",
        "@example.org",
        "alice@",
        "a..b@example.org",
        ".a@example.org",
        "a.@example.org",
        '"a b"@example.org',
        "a@[127.0.0.1]",
        "a@-example.org",
        "a@example..org",
        "a@example.org.",
        "a@example.org\n",
        "a\r\n@example.org",
        "al\u00efce@example.org",
        "a@\u212aexample.org",
        "a@" + "a" * 64 + ".org",
        "a" * 65 + "@example.org",
        "a@" + "a." * 124 + "example",
        "a@b@example.org",
    ],
)
def test_any_other_text_is_refused_in_words_that_do_not_repeat_it(text: str) -> None:
    assert not is_plain(text)
    with pytest.raises(Malformed) as problem:
        parse_address(text)
    assert not text or text not in str(problem.value)
