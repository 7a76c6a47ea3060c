"""Signed decisions: who signed what, for which group, and for how long they count."""

from datetime import timedelta

import pytest

from recrypt_core import limits
from recrypt_core.authorship import sign_sender
from recrypt_core.errors import Malformed, NotAuthentic
from recrypt_core.moderation import (
    Decision,
    HeldName,
    SignedDecision,
    check_decision,
    read_name,
    sign_decision,
    unverified_decision,
)
from tests.builders import NOW, TEAM, new_person

ALICE = new_person("alice@example.org")
GROUP = new_person(TEAM).udf
NAME = HeldName(7, "A" * 43)


def signed(decision: Decision = Decision.ACCEPT, *, age: timedelta = timedelta(0)) -> str:
    return sign_decision(GROUP, NAME, decision, ALICE.online, now=NOW - age)


@pytest.mark.parametrize("decision", Decision, ids=lambda each: str(each.value))
def test_what_is_signed_is_what_is_read(decision: Decision) -> None:
    text = signed(decision)
    check_decision(text, ALICE.online.public, now=NOW)
    expected = SignedDecision(GROUP, NAME, decision, ALICE.online.public.udf)
    assert unverified_decision(text) == expected


def test_it_counts_as_long_as_mail_may_take() -> None:
    for age in (limits.SENDER_LIFE, -limits.REQUEST_SKEW):
        check_decision(signed(age=age), ALICE.online.public, now=NOW)
        beyond = age + timedelta(seconds=1 if age > timedelta(0) else -1)
        with pytest.raises(NotAuthentic):
            check_decision(signed(age=beyond), ALICE.online.public, now=NOW)


def test_another_key_or_kind_or_content_is_not_it() -> None:
    text = signed()
    with pytest.raises(NotAuthentic):
        check_decision(text, ALICE.master.public, now=NOW)
    head, body, _ = text.split(".")
    other = signed(Decision.DISCARD).split(".")
    with pytest.raises(NotAuthentic):
        check_decision(f"{head}.{body}.{other[2]}", ALICE.online.public, now=NOW)
    sender = sign_sender(TEAM, b"1" * 32, ALICE.online, now=NOW)
    for wrong in (sender, f"{head}.{body}", f"{body}.{head}.{other[2]}", ""):
        with pytest.raises(Malformed):
            unverified_decision(wrong)


@pytest.mark.parametrize("name", [NAME, HeldName(1), HeldName(10**15 - 1)], ids=str)
def test_a_name_that_is_written_is_read(name: HeldName) -> None:
    assert read_name(str(name)) == name


@pytest.mark.parametrize("text", ["0", "07", "x", "", "7:", "7:abc", f"7:{'A' * 44}", "7 "])
def test_what_is_no_name_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        read_name(text)


def test_a_decision_about_another_content_is_another() -> None:
    stated = unverified_decision(signed())
    assert stated.post == NAME != HeldName(7, "B" * 43)
