"""What is written to people: whole in each language, about nobody in clear, and good mail."""

import re
from dataclasses import replace
from email import message_from_bytes
from email.header import decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listserver import copies, english, english_pages, letters
from listserver.catalogue import BUILT_IN, Texts, check_own, placeholders
from listserver.invitations import write_invitation
from listserver.plain_text import subject_field, text_entity
from recrypt_client import inviting, joining
from recrypt_core.errors import Malformed
from recrypt_core.invitations import Invitation, new_secret, write_token
from recrypt_core.moderation import HeldName
from recrypt_core.policy import Language
from tests.builders import NOW, TEAM, URL, new_group, new_membership, new_person
from tests.mails import envelope_of, message_of, sealed
from tests.stored import copy_octets, half_of, stored_post

CLEAR = re.compile("desk-.*|subject-.*|copy|held-copy|page-.*")
ABOUT_A_LIST = {
    *("list", "name", "fingerprint", "service", "page", "key", "subscribe", "owner", "file"),
    *("number", "post", "domain", "address", "which", "days"),
}
COMMAND = re.compile(r"recrypt \w+|listserver \w+ \w+|--[a-z-]+")


@pytest.mark.parametrize("language", Language, ids=lambda each: each.value)
@pytest.mark.parametrize("name", sorted(BUILT_IN[Language.EN]))
def test_each_text_is_there_with_the_same_placeholders_and_commands(
    name: str, language: Language
) -> None:
    source, text = BUILT_IN[Language.EN][name], BUILT_IN[language][name]
    assert placeholders(text) | {"list", "name"} == placeholders(source) | {"list", "name"}
    assert set(COMMAND.findall(text)) == set(COMMAND.findall(source))
    assert text.endswith("\n") == source.endswith("\n")
    check_own(name, text)


@pytest.mark.parametrize("language", Language, ids=lambda each: each.value)
def test_no_language_has_a_text_that_english_has_not(language: Language) -> None:
    assert BUILT_IN[language].keys() == BUILT_IN[Language.EN].keys()
    assert not english.TEXTS.keys() & english_pages.TEXTS.keys()


@pytest.mark.parametrize("name", [each for each in BUILT_IN[Language.EN] if CLEAR.fullmatch(each)])
def test_what_goes_out_in_clear_has_room_for_nobodys_name(name: str) -> None:
    assert placeholders(BUILT_IN[Language.EN][name]) <= ABOUT_A_LIST


def test_in_a_letter_only_administrators_read_of_others_and_each_of_itself() -> None:
    members = {"members", "copies", "sender"}
    naming = {name for name, text in english.TEXTS.items() if placeholders(text) & members}
    assert naming == {"troubles-failed", "troubles-off", "troubles-left", "owner-mail"}
    own = {name for name, text in english.TEXTS.items() if "account" in placeholders(text)}
    assert own == {"asking", "welcome", "goodbye", "invitation"}


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("nothing", "x", "there is no text of this name"),
        ("probe", "S\n\nx\n{account}\n", "line 4: {account} isn't known here: {list}, {name} are"),
        ("probe", "S\n\nx {\n", "line 3: a brace"),
        ("probe", "S\n\n{list.state}\n", "line 3: {list.state} has more than a name"),
        ("probe", "S\n\n{list!r}\n", "line 3: {list} has more than a name"),
        ("probe", "S\n\n{0}\n", "line 3: {0} has more than a name"),
        ("probe", "S\n\n{}\n", "line 3: {} has more than a name"),
        ("probe", "S\n\na\rb\n", "line 3: a control character"),
        ("probe", "S\n\n" + "x" * 901 + "\n", "line 3: a control character, or over 900 octets"),
        ("probe", "no subject\nat all\n", "line 1 must be the subject, and line 2 empty"),
        ("probe", "", "line 1 must be the subject, and line 2 empty"),
        ("asking", "S\n\nx\n", "{token} is missing"),
        ("asking", "S\n\nnow {token}\n", "{token} must have a line of its own"),
        ("leaving", "S\n\nx\n", "{page} is missing"),
    ],
)
def test_own_words_that_cannot_be_said_are_refused(name: str, text: str, problem: str) -> None:
    with pytest.raises(Malformed, match=re.escape(problem)):
        check_own(name, text)


def test_own_words_are_said_for_their_list_in_any_language() -> None:
    texts = Texts(Language.DE, TEAM, {"probe": "{name}?\n\nHear, {list}!\n"})
    assert texts.letter("probe").subject == "team?"
    assert texts.letter("probe").lines == ("Hear, team@lists.example!",)
    assert texts.say("subject-leave") == "team: die Liste verlassen"


@given(st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])), min_size=1))
def test_any_text_passes_where_only_short_lines_of_ascii_do(lines: list[str]) -> None:
    octets = "\r\n".join(text_entity(lines)).encode("ascii")
    read = message_from_bytes(octets)
    payload = read.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert payload.decode().split("\r\n") == lines
    assert b"=_" not in octets
    if read["Content-Transfer-Encoding"]:
        assert max(map(len, octets.split(b"\r\n"))) <= 76


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1))
def test_any_subject_is_a_field_of_ascii_that_reads_the_same(subject: str) -> None:
    octets = f"{subject_field(f'team: {subject}')}\r\n\r\n".encode("ascii")
    read = message_from_bytes(octets)["Subject"]
    if not subject.isascii():
        assert str(make_header(decode_header(read))) == f"team: {subject}"
    assert max(map(len, octets.split(b"\r\n"))) <= 998


@pytest.mark.parametrize("language", Language, ids=lambda each: each.value)
def test_programs_find_what_they_look_for_in_each_language(language: Language) -> None:
    texts, secret = Texts(language, TEAM), new_secret()
    invitation = Invitation(TEAM, URL, new_group().master.udf, secret)
    letter = write_invitation(texts, "bob@example.org", write_token(invitation), now=NOW)
    assert letter.octets.isascii()
    assert inviting.read(letter.octets, what="the letter") == invitation
    asked = letters.asking(texts, "bob@example.org", "a" * 26)
    assert joining._TOKEN.findall("\r\n".join(asked.lines).encode()) == [b"a" * 26]


@pytest.mark.parametrize("held", [None, 7])
@pytest.mark.parametrize("language", Language, ids=lambda each: each.value)
def test_copies_are_of_one_size_and_short_lines_in_each_language(
    language: Language, held: int | None
) -> None:
    key = new_group().key
    halves = [
        half_of(new_membership(new_person(f"{name}@example.org"), key)) for name in ("bob", "carol")
    ]
    envelope = sealed(key.public)
    named = None if held is None else HeldName(held, "A" * 43)
    text = copies.notice(Texts(language, TEAM), named)
    post = replace(stored_post(envelope, *halves), text=text, held=held)
    frame = copies.make_frame(post, envelope.ciphertext)
    made = [copies.make_copy(frame, half) for half in halves]
    sizes = {len(b"".join(copy)) for copy in made}
    assert sizes == {copy_octets(post, envelope)}
    for copy in made:
        octets = b"".join(copy)
        assert octets.isascii()
        assert max(map(len, octets.split(b"\r\n"))) <= 998
        assert envelope_of(copy).content_id == envelope.content_id
        shown = message_of(octets).get_payload(0)
        assert "\r\n".join(text) in shown.get_payload(decode=True).decode()  # type: ignore[union-attr]
