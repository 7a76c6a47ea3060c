"""`recrypt read` and `decrypt` of mail sealed to the profile, as a service's notices are."""

import base64
import json

import pytest

from recrypt_client.home import Home
from recrypt_client.mail import envelope_in
from recrypt_core.encoding import read_b64url, write_json
from recrypt_core.sealing import seal
from tests.builders import Person, new_person
from tests.client.honest_service import in_mail
from tests.client.stage import Stage

NOTICE = (
    b"From: Mail of lists.example <team-owner@lists.example>\r\nTo: alice@example.org\r\n"
    b"Subject: 2 copies were given up\r\nMIME-Version: 1.0\r\nHP-Outer: Subject: [...]\r\n"
    b'Content-Type: text/plain; charset=utf-8;\r\n hp="cipher"; protected-headers="v1"\r\n\r\n'
    b"bob@example.org: 5.1.1\r\n"
)
SAYS = "Mail of lists.example <team-owner@lists.example>"
TOLD = f"not signed and sealed to you, not to a list: says {SAYS}, not proven\n"


def mmx(person: Person, content: bytes = NOTICE, *, named: bool = False) -> bytes:
    """Seal to all devices of a profile; the service gives the recipients no kid."""
    keys = person.verified.profile.encryption_keys
    return seal(content, keys, cty="message/rfc822", named=named).mmx()


def notice(envelope: bytes) -> bytes:
    """Give a notice as the service sends it: the envelope alone, in a mail that says nothing."""
    return (
        b"From: lists.example <postmaster@lists.example>\r\nTo: alice@example.org\r\n"
        b"Subject: [...]\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: application/vnd.recrypt; name="message.mmx"\r\n'
        b'Content-Disposition: attachment; filename="message.mmx"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(envelope).replace(b"\n", b"\r\n")
    )


def moved_in(stage: Stage, person: Person, *, without: int | None = None) -> None:
    """Make Alice's home that of a person, one of whose devices' keys is lost."""
    home = Home(stage.home("alice"))
    for at, key in enumerate(person.devices):
        if at != without:
            home.keep_key(key)
    home.keep_profile(person.verified)


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("lost", [None, 0, 1])
def test_a_notice_opens_with_the_key_of_whichever_device_is_here(
    stage: Stage, lost: int | None, *, named: bool
) -> None:
    alice = new_person("alice@example.org", devices=2)
    moved_in(stage, alice, without=lost)
    sealed = mmx(alice, named=named)
    for mail in (notice(sealed), in_mail(sealed), sealed, notice(sealed).replace(b"\r\n", b"\n")):
        result = stage.run("alice", "read", stdin=mail)
        assert (result.exit_code, result.stderr, result.stdout_bytes) == (0, TOLD, NOTICE)
    shown = stage.does("alice", "read", "--text", stdin=notice(sealed)).decode()
    assert "Subject: 2 copies were given up\n\nbob@example.org: 5.1.1" in shown
    assert stage.does("alice", "decrypt", "-", stdin=sealed) == NOTICE


def test_programs_are_told_that_it_came_from_no_list(stage: Stage) -> None:
    alice = new_person("alice@example.org")
    moved_in(stage, alice)
    answer = json.loads(stage.does("alice", "read", "--json", stdin=notice(mmx(alice))))
    assert (answer["Signature"], answer["Personal"], answer["Says"]) == ("none", True, SAYS)
    assert read_b64url(answer["Content"]) == NOTICE


def test_mail_to_somebody_else_or_changed_is_not_opened(stage: Stage) -> None:
    alice, bob = new_person("alice@example.org"), new_person("bob@example.org")
    moved_in(stage, alice)
    for named in (False, True):
        words = stage.fails("alice", "read", stdin=notice(mmx(bob, named=named)))
        assert "sealed to keys that aren't here" in words
    sealed = mmx(alice)
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    assert "content that was changed" in stage.fails("alice", "read", stdin=notice(changed))
    assert "keys that aren't here" in stage.fails("nobody", "read", stdin=notice(sealed))


def test_what_a_list_got_is_not_passed_off_as_signed_in_personal_mail(stage: Stage) -> None:
    stage.team("bob")
    signed = stage.does("alice", "decrypt", "-", stdin=envelope_in(stage.sealed()))
    assert signed.startswith(b"Recrypt-Signature: ")
    bob = stage.keys("bob").profile().profile
    forwarded = seal(signed, bob.encryption_keys, cty="message/rfc822", named=False).mmx()
    result = stage.run("bob", "read", stdin=notice(forwarded))
    assert result.exit_code == 1
    assert "BAD SIGNATURE: an authorship line for a group, in mail sealed to you" in result.stderr


def test_private_keys_that_are_sealed_to_the_profile_are_neither_shown_nor_saved(
    stage: Stage,
) -> None:
    stage.team("bob")
    assert stage.service.state is not None
    state = stage.service.state
    bob = next(each for each in state.members.values() if each.account == "bob@example.org")
    (entry,) = bob.entry.entries
    for who, envelope in (
        ("bob", entry.decryption_key.envelope),
        *(("alice", each.envelope) for each in state.administrator_keys),
    ):
        for form in (envelope.mmx(), write_json(envelope.json())):
            for words in (
                stage.fails(who, "read", stdin=notice(form)),
                stage.fails(who, "decrypt", "-", stdin=form),
            ):
                assert "doesn't say that it is mail. Nothing was shown" in words
