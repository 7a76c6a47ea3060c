"""Who wrote a post: the sender's token for the gateway, the author's line for readers (spec §7)."""

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest

from recrypt_core import limits
from recrypt_core.authorship import (
    AUTHOR_FIELD,
    sender_kid,
    sign_content,
    sign_sender,
    split_content,
    verify_author,
    verify_sender,
)
from recrypt_core.encoding import write_b64url
from recrypt_core.errors import Malformed, NotAuthentic
from recrypt_core.signature_keys import SignaturePrivateKey
from recrypt_core.signing import Kind, read_compact, sign_document, unverified_payload
from tests.builders import NOW, TEAM, new_group, new_person

ALICE, BOB = new_person("alice@example.org"), new_person("bob@example.org")
GROUP, OTHER = new_group(), new_group("other@lists.example")
KEY = GROUP.key.public.udf
CID = bytes(range(32))
ENTITY = b"Subject: x\r\nMessage-ID: <a@example.org>\r\n\r\nhello\r\n"
MESSAGE_ID = "<a@example.org>"


def check_sender(text: str, **changes: Any) -> None:  # noqa: ANN401 - by name
    stated: dict[str, Any] = {"list_name": TEAM, "cid": CID, "now": NOW}
    key = changes.pop("key", ALICE.online.public)
    verify_sender(text, key, **stated | changes)


TOKEN = sign_sender(TEAM, CID, ALICE.online, now=NOW)


def test_a_senders_token_is_for_one_list_and_content_by_one_key() -> None:
    assert sender_kid(TOKEN) == ALICE.online.public.udf
    check_sender(TOKEN)
    for changes in (
        {"list_name": "other@lists.example"},
        {"list_name": TEAM.upper()},
        {"cid": bytes(32)},
        {"cid": b""},
        {"key": ALICE.master.public},
        {"key": BOB.online.public},
    ):
        with pytest.raises(NotAuthentic):
            check_sender(TOKEN, **changes)


def test_its_members_are_those_of_the_spec() -> None:
    assert unverified_payload(read_compact(TOKEN)) == {
        "list": TEAM,
        "iat": int(NOW.timestamp()),
        "cid": write_b64url(CID),
    }


def test_a_senders_token_counts_for_5_days_and_not_before_its_time() -> None:
    for late in (timedelta(0), timedelta(days=5), -limits.REQUEST_SKEW):
        check_sender(TOKEN, now=NOW + late)
    for late in (timedelta(days=5, seconds=1), timedelta(days=400), timedelta(seconds=-301)):
        with pytest.raises(NotAuthentic, match="too old"):
            check_sender(TOKEN, now=NOW + late)


@pytest.mark.parametrize(
    "changes",
    [
        {"list": None},
        {"list": 1},
        {"iat": "1"},
        {"iat": 10**30},
        {"cid": write_b64url(CID) + "="},
        {"cid": ""},
        {"cid": None},
    ],
)
def test_a_senders_token_of_another_form_is_refused(changes: dict[str, Any]) -> None:
    stated: dict[str, Any] = {"list": TEAM, "iat": int(NOW.timestamp()), "cid": write_b64url(CID)}
    wrong = sign_document(Kind.SENDER, stated | changes, ALICE.online).compact()
    with pytest.raises(Malformed):
        check_sender(wrong)


def test_a_document_of_another_kind_is_no_senders_token() -> None:
    stated: Any = unverified_payload(read_compact(TOKEN))
    for kind in Kind:
        if kind is Kind.SENDER:
            continue
        wrong = sign_document(kind, stated, ALICE.online).compact()
        for read in (check_sender, sender_kid):
            with pytest.raises(Malformed, match="kind"):
                read(wrong)
    for text in ("", "a.b.c", TOKEN + "\n", json.dumps({"payload": "e30"})):
        with pytest.raises(Malformed):
            check_sender(text)


def signed(entity: bytes = ENTITY, key: SignaturePrivateKey = ALICE.online) -> bytes:
    return sign_content(
        entity,
        group=(GROUP.master.udf, KEY),
        message_id=MESSAGE_ID,
        signer=(ALICE.verified, key),
        now=NOW,
    )


def line_of(content: bytes) -> str:
    line, _ = split_content(content)
    assert line is not None
    return line


@pytest.mark.parametrize("entity", [ENTITY, b"", b"\r\n", b"\xff\0" * 99, AUTHOR_FIELD + b"x\r\n"])
@pytest.mark.parametrize("key", [ALICE.online, ALICE.master])
def test_a_signed_content_is_parted_and_verified(entity: bytes, key: SignaturePrivateKey) -> None:
    content = signed(entity, key)
    assert content.startswith(b"Recrypt-Signature: ")
    line, rest = split_content(content)
    assert rest == entity
    assert line is not None
    author = verify_author(line, rest, group=GROUP.master.udf, group_key=KEY)
    assert author.profile == ALICE.verified
    assert (author.message_id, author.issued) == (MESSAGE_ID, NOW)
    assert verify_author(line, rest, group=None, group_key=KEY) == author


def test_its_line_states_what_the_spec_says() -> None:
    stated = unverified_payload(read_compact(line_of(signed())))
    assert stated == {
        "group": GROUP.master.udf,
        "key": KEY,
        "id": MESSAGE_ID,
        "iat": int(NOW.timestamp()),
        "sha256": write_b64url(hashlib.sha256(ENTITY).digest()),
        "profile": ALICE.signed.json(),
    }


def test_content_without_a_line_is_left_alone() -> None:
    for content in (ENTITY, b"", b"Recrypt-Signature:x\r\n", b"recrypt-signature: x\r\n"):
        assert split_content(content) == (None, content)


def test_a_line_without_an_end_or_with_other_letters_is_refused() -> None:
    long = AUTHOR_FIELD + b"x" * limits.AUTHOR_LINE_OCTETS + b"\r\n"
    for content in (AUTHOR_FIELD, AUTHOR_FIELD + b"x", AUTHOR_FIELD + b"x\n\n", long):
        with pytest.raises(Malformed, match="without an end"):
            split_content(content)
    with pytest.raises(Malformed, match="ASCII"):
        split_content(AUTHOR_FIELD + b"\xff\r\n")


def test_a_line_for_another_content_is_not_authentic() -> None:
    line = line_of(signed())
    for entity in (ENTITY + b"\r\n", ENTITY[:-1], ENTITY.replace(b"hello", b"hallo"), b""):
        with pytest.raises(NotAuthentic, match="another content"):
            verify_author(line, entity, group=GROUP.master.udf, group_key=KEY)


def test_a_line_for_another_group_or_group_key_is_not_authentic() -> None:
    line = line_of(signed())
    for group, key in (
        (OTHER.master.udf, KEY),
        (GROUP.master.udf, OTHER.key.public.udf),
        (None, OTHER.key.public.udf),
    ):
        with pytest.raises(NotAuthentic, match="another group or group key"):
            verify_author(line, ENTITY, group=group, group_key=key)


def test_a_line_that_no_key_of_its_profile_signed_is_not_authentic() -> None:
    for key in (BOB.online, BOB.master):
        with pytest.raises(NotAuthentic):
            verify_author(line_of(signed(key=key)), ENTITY, group=None, group_key=KEY)


def stated(**changes: Any) -> str:  # noqa: ANN401 - JSON
    payload = unverified_payload(read_compact(line_of(signed())))
    return sign_document(Kind.AUTHOR, payload | changes, ALICE.online).compact()


def test_a_line_with_anothers_or_a_forged_profile_is_not_authentic() -> None:
    profile: Any = ALICE.signed.json()
    forged = {**profile, "signature": BOB.signed.signature}
    for wrong in (BOB.signed.json(), forged):
        with pytest.raises(NotAuthentic):
            verify_author(stated(profile=wrong), ENTITY, group=None, group_key=KEY)


@pytest.mark.parametrize("name", ["group", "key", "id", "iat", "sha256", "profile"])
def test_a_line_of_another_form_is_refused(name: str) -> None:
    wrongs: list[Any] = [None, [], True]
    for wrong in wrongs:
        with pytest.raises(Malformed):
            verify_author(stated(**{name: wrong}), ENTITY, group=None, group_key=KEY)


def test_a_line_of_another_kind_or_no_line_is_refused() -> None:
    payload = unverified_payload(read_compact(line_of(signed())))
    wrong = sign_document(Kind.SENDER, payload, ALICE.online).compact()
    for line in (wrong, "", "a.b.c", TOKEN):
        with pytest.raises(Malformed):
            verify_author(line, ENTITY, group=None, group_key=KEY)


def test_a_changed_letter_anywhere_in_the_line_is_refused() -> None:
    line = line_of(signed())
    for at in range(0, len(line), 37):
        letter = "A" if line[at] != "A" else "B"
        with pytest.raises((NotAuthentic, Malformed)):
            verify_author(line[:at] + letter + line[at + 1 :], ENTITY, group=None, group_key=KEY)
