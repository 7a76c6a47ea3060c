"""`recrypt read`: copies are opened, and it is told who wrote them, proven or not."""

import base64
import json
from dataclasses import replace

import pytest

from recrypt_client import mail
from recrypt_client.showing import readable
from recrypt_core.authorship import sign_content
from recrypt_core.encoding import read_b64url
from recrypt_core.envelope import read_envelope
from recrypt_core.keys import PublicKey
from recrypt_core.sealing import seal
from recrypt_core.udf import Udf
from tests.builders import Person, new_person
from tests.client.honest_service import in_mail
from tests.client.stage import MESSAGE, TEAM, Stage


def group_key(stage: Stage) -> PublicKey:
    assert stage.service.state is not None
    return stage.service.state.key.document.encryption_key


def mmx(stage: Stage, content: bytes = MESSAGE) -> bytes:
    """Give what anyone may send: a content sealed to the group."""
    return seal(content, [group_key(stage)], cty="message/rfc822").mmx()


def signed(
    stage: Stage,
    who: Person,
    entity: bytes = MESSAGE,
    *,
    message_id: str = "<1@example.org>",
    group: Udf | None = None,
) -> bytes:
    """Give a content that somebody signed, sealed to the group."""
    assert stage.service.state is not None
    content = sign_content(
        entity,
        group=(group or stage.service.state.identifier, group_key(stage).udf),
        message_id=message_id,
        signer=(who.verified, who.online),
        now=stage.now,
    )
    return mmx(stage, content)


def bob_reads(stage: Stage, sealed: bytes) -> tuple[int, str, bytes]:
    """Let Bob read his copy: exit status, what is told of the author, the entity."""
    copy = in_mail(stage.service.recrypted(sealed, "bob@example.org"))
    result = stage.run("bob", "read", stdin=copy)
    return result.exit_code, result.stderr, result.stdout_bytes


def test_the_author_is_first_seen_then_known(stage: Stage) -> None:
    stage.team("bob")
    alice = new_person("alice@example.org")
    name = f"signed by Alice <alice@example.org> {alice.udf}"
    first = bob_reads(stage, signed(stage, alice))
    assert first == (0, f"{name} (first seen now)\n", MESSAGE)
    again = bob_reads(stage, signed(stage, alice, message_id="<2@example.org>"))
    assert again == (0, f"{name} (known since 2026-11-22)\n", MESSAGE)


def test_without_a_signature_the_author_is_not_proven(stage: Stage) -> None:
    stage.team("bob")
    code, told, entity = bob_reads(stage, mmx(stage, MESSAGE.replace(b"Alice", b"Carol")))
    assert (code, told) == (0, "not signed: says Carol <alice@example.org>, not proven\n")
    assert entity == MESSAGE.replace(b"Alice", b"Carol")


def test_a_content_that_is_no_message_is_given_as_it_is(stage: Stage) -> None:
    stage.team("bob")
    assert bob_reads(stage, mmx(stage, b"\x00\xff")) == (
        0,
        "not signed: says nothing, not proven\n",
        b"\x00\xff",
    )


def test_another_author_under_a_known_address_is_an_alarm(stage: Stage) -> None:
    stage.team("bob")
    alice, mallory = new_person("alice@example.org"), new_person("alice@example.org")
    bob_reads(stage, signed(stage, alice))
    for _ in range(2):  # it is never pinned instead
        code, told, entity = bob_reads(stage, signed(stage, mallory))
        assert code == 1
        assert "ANOTHER AUTHOR" in told
        assert alice.udf in told
        assert mallory.udf in told
        assert entity == MESSAGE
    assert bob_reads(stage, signed(stage, alice, message_id="<3@example.org>"))[0] == 0


def test_a_from_that_is_not_the_authors_is_an_alarm(stage: Stage) -> None:
    stage.team("bob")
    code, told, _ = bob_reads(stage, signed(stage, new_person("mallory@example.org")))
    assert code == 1
    assert "signed by mallory@example.org" in told
    assert "FROM IS NOT THE AUTHOR: it says Alice <alice@example.org>" in told


def test_a_second_from_is_not_overlooked(stage: Stage) -> None:
    stage.team("bob")
    entity = b"From: alice@example.org\r\nFrom: bob@example.org\r\n\r\nx\r\n"
    assert bob_reads(stage, signed(stage, new_person("alice@example.org"), entity))[0] == 1


def test_a_changed_content_has_a_bad_signature(stage: Stage) -> None:
    stage.team("bob")
    assert stage.service.state is not None
    alice = new_person("alice@example.org")
    content = sign_content(
        MESSAGE,
        group=(stage.service.state.identifier, group_key(stage).udf),
        message_id="<1@example.org>",
        signer=(alice.verified, alice.online),
        now=stage.now,
    )
    code, told, entity = bob_reads(stage, mmx(stage, content.replace(b"At one?", b"At two?")))
    assert code == 1
    assert told.startswith("BAD SIGNATURE: an authorship line for another content")
    assert entity == MESSAGE.replace(b"At one?", b"At two?")


@pytest.mark.parametrize(
    "line", [b"Recrypt-Signature: x\r\n", b"Recrypt-Signature: e30.e30.AA\r\n"]
)
def test_a_broken_authorship_line_is_a_bad_signature(stage: Stage, line: bytes) -> None:
    stage.team("bob")
    code, told, entity = bob_reads(stage, mmx(stage, line + MESSAGE))
    assert (code, entity) == (1, MESSAGE)
    assert "BAD SIGNATURE" in told


def test_a_signature_for_another_group_is_bad_where_the_group_is_known(stage: Stage) -> None:
    stage.team("bob")
    alice = new_person("alice@example.org")
    elsewhere = signed(stage, alice, group=new_person(TEAM).udf)
    stage.does("bob", "key", TEAM)
    code, told, _ = bob_reads(stage, elsewhere)
    assert code == 1
    assert "BAD SIGNATURE: an authorship line for another group" in told


def test_an_older_profile_of_an_author_is_refused(stage: Stage) -> None:
    stage.team("bob")
    alice = new_person("alice@example.org")
    assert bob_reads(stage, signed(stage, alice.changed()))[0] == 0
    code, told, _ = bob_reads(stage, signed(stage, alice))
    assert code == 1
    assert "BAD SIGNATURE: a profile older than one that was seen" in told


def test_an_id_that_was_read_in_another_content_is_flagged(stage: Stage) -> None:
    stage.team("bob")
    alice = new_person("alice@example.org")
    first = signed(stage, alice)
    assert "REPLAY" not in bob_reads(stage, first)[1]
    assert "REPLAY" not in bob_reads(stage, first)[1]
    code, told, _ = bob_reads(stage, signed(stage, alice))
    assert code == 0
    assert "REPLAY: a message with this id was read before" in told


def test_programs_get_the_author_and_the_content_as_json(stage: Stage) -> None:
    stage.team("bob")
    copy = stage.copy(stage.sealed(), "bob")
    answer = json.loads(stage.does("bob", "read", "--json", stdin=copy))
    assert answer["Signature"] == "good"
    assert answer["AccountName"] == "alice@example.org"
    assert answer["Identifier"] == stage.keys("alice").profile().identifier
    assert answer["KnownSince"] is None
    assert read_b64url(answer["Content"]).endswith(b"At one?\r\n")


def test_text_is_shown_for_people(stage: Stage) -> None:
    stage.team("bob")
    message = (
        b"From: =?utf-8?q?J=C3=B6rg?= <alice@example.org>\r\nSubject: =?utf-8?b?R3LDvMOfZQ==?=\r\n"
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n'
        b"Content-Type: text/plain; charset=iso-8859-1\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\nSch=F6n\r\n--b\r\n"
        b"Content-Type: text/html\r\n\r\n<p>x</p>\r\n--b\r\n"
        b'Content-Type: image/png; name="x.png"\r\n\r\n\x00\r\n--b--\r\n'
    )
    copy = stage.copy(stage.sealed(message), "bob")
    shown = stage.does("bob", "read", "--text", stdin=copy).decode()
    assert "From: Jörg <alice@example.org>\n" in shown
    assert "Subject: Grüße\n\nSchön\n[text/html]\n[image/png: x.png]\n" in shown


def test_copies_with_lf_lines_and_copies_alone_are_read(stage: Stage) -> None:
    stage.team("bob")
    sealed = stage.service.recrypted(mmx(stage), "bob@example.org")
    alone = (
        b"Subject: [...]\nContent-Type: application/vnd.recrypt\n"
        b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(sealed)
    )
    other_type = alone.replace(
        b"application/vnd.recrypt", b'application/octet-stream; name="message.mmx"'
    )
    for copy in (in_mail(sealed).replace(b"\r\n", b"\n"), alone, other_type, sealed):
        assert stage.does("bob", "read", stdin=copy) == MESSAGE


def test_a_jwe_is_a_file_however_its_json_is_laid_out(stage: Stage) -> None:
    stage.team("bob")
    envelope = read_envelope(mmx(stage))
    for space in ("", " ", "\n", "\t", "\r\n"):
        jwe = json.dumps(envelope.json()).replace("{", "{" + space, 1).encode()
        assert stage.does("alice", "read", stdin=b" \n" + jwe) == MESSAGE


def test_an_attachment_that_was_saved_is_decrypted(stage: Stage) -> None:
    stage.team("bob")
    saved, plain = stage.folder / "message.mmx", stage.folder / "message.eml"
    saved.write_bytes(stage.service.recrypted(mmx(stage), "bob@example.org"))
    stage.does("bob", "decrypt", str(saved), "--out", str(plain))
    assert plain.read_bytes() == MESSAGE


def test_who_holds_the_groups_private_key_reads_a_post_itself(stage: Stage) -> None:
    stage.team("bob")
    post = stage.sealed()
    assert stage.does("alice", "read", stdin=post).endswith(b"At one?\r\n")
    words = stage.fails("bob", "read", stdin=post)
    assert "sealed to keys that aren't here" in words
    assert "fetch its key with recrypt key GROUP first" in words
    assert "RecryptData" not in stage.service.asked


def test_another_members_copy_is_not_opened(stage: Stage) -> None:
    stage.team("bob", "carol")
    words = stage.fails("carol", "read", stdin=stage.copy(stage.sealed(), "bob"))
    assert "recrypted for another member" in words


def test_halves_that_do_not_match_open_nothing(stage: Stage) -> None:
    stage.team("bob", "carol")
    sealed = mmx(stage)
    ours = read_envelope(stage.service.recrypted(sealed, "bob@example.org"))
    theirs = read_envelope(stage.service.recrypted(sealed, "carol@example.org"))
    assert ours.recryption is not None
    assert theirs.recryption is not None
    mixed = replace(ours.recryption, partial=theirs.recryption.partial)
    copy = in_mail(replace(ours, recryption=mixed).mmx())
    assert "another member" in stage.fails("bob", "read", stdin=copy)


def test_a_changed_copy_is_not_opened(stage: Stage) -> None:
    stage.team("bob")
    sealed = stage.service.recrypted(mmx(stage), "bob@example.org")
    copy = in_mail(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    assert "content that was changed" in stage.fails("bob", "read", stdin=copy)


def test_a_message_without_or_with_two_encrypted_parts_is_refused(stage: Stage) -> None:
    stage.team("bob")
    assert "no encrypted parts" in stage.fails("bob", "read", stdin=MESSAGE)
    copy = stage.copy(stage.sealed(), "bob")
    part = copy[
        copy.index(b"--frontier\r\nContent-Type: application") : copy.index(b"--frontier--")
    ]
    twice = copy.replace(b"--frontier--", part + b"--frontier--")
    assert "2 encrypted parts" in stage.fails("bob", "read", stdin=twice)


DEEP = b"".join(
    b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(30)
)
BROKEN = [
    b"",
    b"\x00\xff\n",
    DEEP,
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 200,
    b"Content-Type: application/vnd.recrypt\r\nContent-Transfer-Encoding: base64\r\n\r\n@@@\r\n",
    b"Content-Type: application/vnd.recrypt\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nx\r\n",
    b"Content-Type: application/vnd.recrypt\r\n\r\n{}\r\n",
    b'{"protected":"e30"}',
    b"Content-Type: multipart/mixed; boundary*=x; boundary*0=y\r\n\r\nx\r\n",
    b"Content-Type: multipart/mixed; boundary=" + b"b" * 5000 + b"\r\n\r\nx\r\n",
]


@pytest.mark.parametrize("copy", BROKEN, ids=range(len(BROKEN)))
def test_what_is_no_copy_is_refused_in_one_line(stage: Stage, copy: bytes) -> None:
    stage.team("bob")
    stage.fails("bob", "read", stdin=copy)


def test_a_file_that_is_no_envelope_is_refused_by_name(stage: Stage) -> None:
    file = stage.folder / "plain.txt"
    file.write_bytes(b"hello")
    assert "plain.txt" in stage.fails("bob", "decrypt", str(file))
    assert "nosuch: No such file" in stage.fails("bob", "decrypt", "nosuch")


def test_parts_are_taken_apart_without_writing_them_anew() -> None:
    octets = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n\r\none\r\n"
        b"--bb\r\n\r\n--b  \r\nX: y\r\n\r\n\r\n--b--\r\n--b\r\n\r\nepilogue"
    )
    parts = list(mail.leaves(mail.parse(octets)))
    assert [part.body for part in parts] == [b"one\r\n--bb\r\n", b""]


def test_a_mail_that_is_enclosed_is_shown_behind_a_bar_and_a_broken_one_by_its_type() -> None:
    inner = b"From: bob@example.org\r\nSubject: Please\r\n\r\nLet me in.\r\n"
    head = b"Subject: Enclosed\r\nContent-Type: message/rfc822\r\n\r\n"
    assert readable(head + inner).endswith(
        "\n| From: bob@example.org\n| Subject: Please\n| \n| Let me in."
    )
    assert readable(head + b"no header\r\n").endswith("[message/rfc822]")
    assert "[message/rfc822]" in readable(head + head + inner)
