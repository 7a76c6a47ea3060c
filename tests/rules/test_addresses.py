"""Addresses: one strict grammar, and what a list's own ones mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listserver.addresses import (
    Address,
    ListAddress,
    Role,
    check_list_name,
    is_plain,
    parse_address,
    read_list_address,
    write_list_address,
)
from recrypt_core import limits
from recrypt_core.errors import Malformed

ATOMS = st.from_regex(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}", fullmatch=True)
LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
ADDRESSES = st.builds(
    lambda local, domain: f"{'.'.join(local)}@{'.'.join(domain)}",
    st.lists(ATOMS, min_size=1, max_size=3),
    st.lists(LABELS, min_size=1, max_size=3),
)
NAMES = st.from_regex(r"[a-z0-9]{1,12}", fullmatch=True)
TOKENS = st.from_regex(r"[a-z2-7]{26}", fullmatch=True)
DOMAINS = ("lists.example", "news.example")
WITH_TOKEN = [Role.UNSUBSCRIBE, Role.CONFIRM, Role.BOUNCES]


@given(ADDRESSES)
def test_an_address_is_written_as_it_was_read(text: str) -> None:
    assert str(parse_address(text)) == text
    assert is_plain(text)


@given(st.text(max_size=30) | st.from_regex(r"[A-Za-z.@-]{3,90}", fullmatch=True))
def test_any_text_is_an_address_that_reads_the_same_again_or_malformed(text: str) -> None:
    try:
        address = parse_address(text)
    except Malformed:
        assert not is_plain(text)
        return
    assert is_plain(text) == (str(address) == text)
    assert parse_address(str(address)) == address
    assert not set('\r\n\0 <>,;:"()[]\\') & set(str(address))


@given(ADDRESSES, st.sampled_from('\r\n\0\t "(),:;<>@[\\]\x7f\xa0é\u212a'), st.integers(0, 200))
def test_a_foreign_character_anywhere_is_refused(text: str, foreign: str, at: int) -> None:
    with pytest.raises(Malformed):
        parse_address(text[: at % (len(text) + 1)] + foreign + text[at % (len(text) + 1) :])


def test_the_domain_is_compared_in_lower_case_and_the_local_part_as_it_is() -> None:
    assert parse_address("Alice@Example.ORG") == Address("Alice", "example.org")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "alice",
        "@example.org",
        "alice@",
        ".alice@example.org",
        "alice.@example.org",
        "al..ice@example.org",
        '"alice"@example.org',
        "alice@[127.0.0.1]",
        "alice@-example.org",
        "alice@example-.org",
        "alice@example..org",
        "alice@example.org.",
        "alice@exa_mple.org",
        "a" * 65 + "@example.org",
        "alice@" + "a" * 64 + ".org",
        "alice@" + "a." * 124 + "org",
        "alice@example.org\r\nRCPT TO:<eve@example.org>",
        "alice@example.org\n",
    ],
)
def test_what_breaks_the_grammar_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(Malformed) as problem:
        parse_address(text)
    assert not text or text not in str(problem.value)


def test_the_longest_parts_are_taken() -> None:
    local, label = "a" * limits.LOCAL_PART_OCTETS, "a" * limits.LABEL_OCTETS
    assert parse_address(f"{local}@{label}.org") == Address(local, f"{label}.org")


@given(NAMES, st.sampled_from(Role).filter(lambda role: role is not Role.OPERATOR))
def test_a_list_address_is_read_as_it_was_written(name: str, role: Role) -> None:
    for domain in DOMAINS:
        to = ListAddress(f"{name}@{domain}", role)
        assert read_list_address(write_list_address(to), DOMAINS) == to


@given(NAMES, st.sampled_from(WITH_TOKEN), TOKENS)
def test_a_token_is_read_in_any_case(name: str, role: Role, token: str) -> None:
    to = ListAddress(f"{name}@lists.example", role, token)
    address = write_list_address(to)
    assert len(address.local) <= limits.LOCAL_PART_OCTETS
    shouted = Address(address.local.upper(), address.domain)
    assert read_list_address(shouted, DOMAINS) == to


@pytest.mark.parametrize("local", ["team+x", "team-owner+x", "-bounces", "-bounces+x"])
def test_what_has_no_roles_form_is_a_name_of_its_own(local: str) -> None:
    to = read_list_address(Address(local, "lists.example"), ("lists.example",))
    assert to == ListAddress(f"{local}@lists.example", Role.POST)


@pytest.mark.parametrize("local", ["postmaster", "Abuse"])
@pytest.mark.parametrize("domain", ["lists.example", "news.example"])
def test_what_reaches_the_operator_is_no_list(local: str, domain: str) -> None:
    to = read_list_address(Address(local, domain), DOMAINS)
    assert to == ListAddress("postmaster@lists.example", Role.OPERATOR)  # all are one mailbox
    assert str(write_list_address(to)) == "postmaster@lists.example"


@pytest.mark.parametrize("domain", ["example.org", "example", "lists.example.org", "s.example"])
def test_an_address_elsewhere_is_none_of_ours(domain: str) -> None:
    assert read_list_address(Address("team", domain), DOMAINS) is None


@pytest.mark.parametrize("name", ["team", "a", "team.2", "the_team-of-7", "a" * 25, "keys"])
def test_a_good_list_name_passes(name: str) -> None:
    check_list_name(name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "a to z"),
        ("Team", "a to z"),
        ("team\n", "a to z"),
        ("-team", "only inside"),
        ("team.", "only inside"),
        ("te..am", "single dots"),
        ("team+x", "a to z"),
        ("a" * 26, "25"),
        ("postmaster", "operator"),
        ("abuse", "operator"),
        ("team-key", "-key"),
        ("team-bounces", "-bounces"),
    ],
)
def test_a_bad_list_name_is_refused_with_the_rule(name: str, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        check_list_name(name)
