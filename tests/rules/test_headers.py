"""The header of a copy holds what the allow-list names and nothing else (spec §7)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from listserver.headers import CopyFacts, ListFacts, ListHeader
from listserver.threads import ThreadIds
from recrypt_core.errors import Malformed

IDS = ThreadIds("team", "lists.example", bytes(32))
LIST = ListFacts("team", "lists.example")
FACTS = CopyFacts(
    accepted=datetime(2017, 11, 6, 10, 0, 59, 999, tzinfo=timezone(timedelta(hours=-5))),
    message_id=IDS.mapped(b"<one@example.org>"),
)
HOSTILE = [
    "<a@x>\r\nBcc: <b@x>",
    "<a\r\n b@x>",
    "<a@x>\n",
    "<a@x\r>",
    "<a\0@x>",
    "=?utf-8?q?=3Ca=0ABcc:_b=40x=3E?=",
    "<a@x> <b@x>",
    "<\u00e9@x>",
    "",
]


def block_of(**values: Any) -> bytes:  # noqa: ANN401 - facts of several types
    """Write the header of a copy, with other facts of its list or its post."""
    of_list = {name: values.pop(name) for name in ListFacts.__slots__ if name in values}
    return ListHeader(replace(LIST, **of_list)).block(replace(FACTS, **values))


def test_a_copy_has_these_fields_and_no_other() -> None:
    assert block_of().decode("ascii").split("\r\n") == [
        "From: team <team@lists.example>",
        "To: team@lists.example",
        "Subject: [...]",
        "Date: Mon, 06 Nov 2017 15:00:59 +0000",
        f"Message-ID: {FACTS.message_id}",
        "List-Id: <team.lists.example>",
        "List-Post: <mailto:team@lists.example>",
        "List-Help: <mailto:team-request@lists.example?subject=help>",
        "List-Subscribe: <mailto:team-subscribe@lists.example>",
        "List-Owner: <mailto:team-owner@lists.example>",
        "Precedence: list",
        "",
    ]


def test_what_a_post_or_policy_adds_is_added() -> None:
    parent, root = IDS.mapped(b"<two@example.org>"), IDS.mapped(b"<root@example.org>")
    block = block_of(
        references=(root, parent),
        in_reply_to=(parent,),
        auto_submitted="auto-generated",
        reply_to_list=True,
    ).decode("ascii")
    assert f"\r\nIn-Reply-To: {parent}\r\n" in block
    assert f"\r\nReferences: {root}\r\n {parent}\r\n" in block
    assert "\r\nAuto-Submitted: auto-generated\r\n" in block
    assert "\r\nReply-To: team@lists.example\r\n" in block


def test_twenty_references_are_folded_to_one_a_line() -> None:
    ids = tuple(IDS.mapped(b"<%d@example.org>" % n) for n in range(20))
    lines = block_of(references=ids).split(b"\r\n")
    assert all(len(line) <= 78 for line in lines)
    assert [line.decode().split(" ")[-1] for line in lines if b"<m." in line] == [
        FACTS.message_id,
        *ids,
    ]


def test_a_long_domain_folds_where_it_can_and_no_line_is_blank() -> None:
    domain = f"{'a' * 60}.{'b' * 60}.example"
    lines = block_of(domain=domain, list_name="x" * 25).split(b"\r\n")
    assert lines[:2] == [b"From: " + b"x" * 25, b" <" + b"x" * 25 + b"@" + domain.encode() + b">"]
    assert all(line.strip() for line in lines[:-1])


def test_a_name_with_a_dot_is_quoted() -> None:
    assert block_of(list_name="a.b").startswith(b'From: "a.b" <a.b@lists.example>\r\n')


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_id_never_reaches_a_header(hostile: str) -> None:
    for facts in (
        {"message_id": hostile},
        {"references": (hostile,)},
        {"in_reply_to": (FACTS.message_id, hostile)},
    ):
        with pytest.raises(Malformed):
            block_of(**facts)


@pytest.mark.parametrize("hostile", [*HOSTILE, "team\r\nBcc: b", "team\n", "te am"])
def test_a_hostile_name_domain_or_keyword_never_reaches_a_header(hostile: str) -> None:
    for name in ("list_name", "domain", "auto_submitted"):
        with pytest.raises(Malformed):
            block_of(**{name: hostile})


def test_the_page_of_a_list_stands_where_help_is() -> None:
    block = block_of(page="https://lists.example/l/team")
    assert (
        b"\r\nList-Help: <mailto:team-request@lists.example?subject=help>,\r\n"
        b" <https://lists.example/l/team>\r\n"
    ) in block


@pytest.mark.parametrize(
    "page", [*HOSTILE, "javascript:1", "http://x/,y", 'http://x/">', "http://"]
)
def test_a_page_that_is_no_address_of_one_never_reaches_a_header(page: str) -> None:
    with pytest.raises(Malformed):
        block_of(page=page)


def test_a_subject_has_the_words_of_the_policy() -> None:
    assert b"\r\nSubject: [team] [...]\r\n" in block_of(subject="[team] [...]")


@pytest.mark.parametrize("subject", [*HOSTILE, "team", "[...]\n", "[...] \r\nBcc: b@x", " [...]"])
def test_a_subject_without_the_mark_or_of_two_lines_never_reaches_a_header(subject: str) -> None:
    with pytest.raises(Malformed):
        block_of(subject=subject)


def test_a_name_stands_before_the_lists_own() -> None:
    block = block_of(author="Carol Example")
    assert block.startswith(b"From: Carol Example via team <team@lists.example>\r\n")


@pytest.mark.parametrize(
    "author", ["", "a\r\nBcc: b@x", "a\n", 'a"', "a\\", "a@b", "<a>", "a\0", "a\u202e", "a\u2028b"]
)
def test_a_name_that_was_not_cleaned_never_reaches_a_header(author: str) -> None:
    with pytest.raises(Malformed):
        block_of(author=author)


def test_a_time_without_zone_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="aware"):
        block_of(accepted=datetime(2017, 11, 6))  # noqa: DTZ001 - the refused case


def test_a_time_in_utc_says_plus_zero() -> None:
    assert b" +0000\r\n" in block_of(accepted=datetime(2017, 11, 6, tzinfo=UTC))


def test_each_second_has_its_own_date() -> None:
    header, began = ListHeader(LIST), datetime(1970, 1, 1, tzinfo=UTC)
    dates = [
        header.block(replace(FACTS, accepted=began + timedelta(seconds=at / 2)))
        .partition(b"Date: ")[2]
        .partition(b"\r\n")[0]
        for at in (0, 1, 2, 3, 0)
    ]
    ends = [b"00", b"00", b"01", b"01", b"00"]
    assert dates == [b"Thu, 01 Jan 1970 00:00:%s +0000" % end for end in ends]
