"""Letters to people have one size on the wire: it doesn't tell what they are about (spec §7)."""

from typing import Final

import pytest

from listserver.catalogue import BUILT_IN, Texts, Words, placeholders
from listserver.letters import owner_mail, write_enclosing, write_letter
from recrypt_core.members import Member
from recrypt_core.opening import open_whole
from recrypt_core.padding import FIELD, padme
from recrypt_core.policy import Language
from tests.builders import NOW, TEAM, Person, new_membership, new_person
from tests.mails import envelope_of

PERSON: Final = new_person(f"{'d' * 60}@{'e' * 60}.example.org")
LETTERS: Final = (
    "asking", "goodbye", "in-vain", "leaving", "probe", "rejected", "welcome", "troubles-asking",
    "troubles-waiting", "troubles-stopped", "troubles-failed", "troubles-off", "troubles-left",
)  # fmt: skip
VALUES: Final = {
    "copies": "\n\n".join(f"  {PERSON.address}: given up\n{'w' * 200}" for _ in range(5)),
    "members": "\n".join(f"  {PERSON.address}" for _ in range(20)),
}


def member(person: Person) -> Member:
    """Make somebody a member."""
    return Member(new_membership(person).entry, person.verified)


def words_of(texts: Texts, name: str) -> Words:
    """Fill a letter's text with what is long."""
    values = {
        each: VALUES.get(each, "v" * 100) for each in placeholders(BUILT_IN[texts.language][name])
    }
    return texts.letter(
        name, **{each: values[each] for each in values if each not in ("list", "name")}
    )


@pytest.mark.parametrize("language", Language)
def test_letters_of_every_kind_to_one_member_are_of_one_size(language: Language) -> None:
    texts, to = Texts(language, TEAM), member(PERSON)
    made = {name: write_letter(words_of(texts, name), to, TEAM, now=NOW) for name in LETTERS}
    words = owner_mail(texts, "zoe@example.org")
    made["owner-mail"] = write_enclosing(b"Subject: Hi\r\n\r\nHello\r\n", words, to, texts, now=NOW)
    assert {*LETTERS} >= {
        name for name, text in BUILT_IN[language].items() if name.startswith("troubles-")
    }
    assert len({len(octets) for octets in made.values()}) == 1, {
        name: len(octets) for name, octets in made.items()
    }


@pytest.mark.parametrize("lines", [100, 300, 2000, 20_000])
def test_a_long_one_tells_its_order_of_size_and_ends_as_it_did(lines: int) -> None:
    words = Words("long", ("x" * 60,) * lines)
    texts = Texts(Language.EN, TEAM)
    mail = b"Subject: Hi\r\n\r\n" + b"y" * 60 * lines + b"\r\n"
    for octets in (
        write_letter(words, member(PERSON), TEAM, now=NOW),
        write_enclosing(mail, owner_mail(texts, "a@b.c"), member(PERSON), texts, now=NOW),
    ):
        inner = open_whole(envelope_of([octets]), PERSON.devices)
        assert len(inner) == max(padme(len(inner)), 8192)
        header, _, body = inner.partition(b"\r\n\r\n")
        assert len(header) < 32 * 2**10
        assert header.count(b"\r\n" + FIELD.encode()) == 1
        assert body.rstrip().endswith((b"x" * 60, b"--"))
