"""`recrypt seal`: what stands inside and outside of a post, and what is refused."""

import email
import email.policy
from datetime import timedelta
from email.message import EmailMessage

import pytest

from recrypt_client import mail
from recrypt_core.authorship import split_content, verify_sender
from recrypt_core.envelope import Envelope, read_envelope
from recrypt_core.opening import open_whole
from tests.client.stage import MESSAGE, TEAM, URL, Stage


def parsed(octets: bytes) -> EmailMessage:
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def envelope(post: bytes) -> Envelope:
    return read_envelope(mail.envelope_in(post))


def inside(stage: Stage, post: bytes) -> bytes:
    """Give the entity that is sealed in a post."""
    assert stage.service.state is not None
    key = stage.keys("alice").agreement_key(stage.service.state.key.udf)
    assert key is not None
    return split_content(open_whole(envelope(post), [key]))[1]


def with_attachment() -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Älice Ø <alice@example.org>"
    message["To"] = TEAM
    message["Subject"] = "Grüße, 世界 — a subject that is long enough to be folded somewhere"
    message["Message-ID"] = "<plan@example.org>"
    message["Date"] = "Sun, 22 Nov 2026 14:00:00 +0200"
    message["In-Reply-To"] = "<before@example.org>"
    message["References"] = " ".join(f"<{number}.before@example.org>" for number in range(30))
    message["X-Mailer"] = "Test"
    message["Bcc"] = TEAM
    message.set_content("Schöne Grüße\n.\nFrom here\n")
    message.add_attachment(bytes(range(256)) * 40, "application", "pdf", filename="plän.pdf")
    return message


@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_a_message_with_attachments_comes_out_as_it_went_in(stage: Stage, line_end: str) -> None:
    stage.team("bob")
    message = with_attachment()
    sent = message.as_bytes(policy=email.policy.SMTP.clone(linesep=line_end))
    got = stage.does("bob", "read", stdin=stage.copy(stage.sealed(sent), "bob"))
    assert b"\n" not in got.replace(b"\r\n", b"")
    read = parsed(got)
    for name in ("From", "To", "Subject", "Message-ID", "Date", "In-Reply-To", "References"):
        assert read[name] == message[name]
    assert read["Bcc"] is None
    text, attachment = read.iter_parts()
    assert isinstance(text, EmailMessage)
    assert isinstance(attachment, EmailMessage)
    assert text.get_content() == "Schöne Grüße\r\n.\r\nFrom here\r\n"
    assert attachment.get_content() == bytes(range(256)) * 40
    assert attachment.get_filename() == "plän.pdf"
    body = message.as_bytes(policy=email.policy.SMTP).partition(b"\r\n\r\n")[2]
    assert got.endswith(b"\r\n\r\n" + body)


def test_outside_stands_only_what_mail_needs(stage: Stage) -> None:
    stage.team()
    post = parsed(stage.sealed(with_attachment().as_bytes()))
    assert post.keys() == [
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "In-Reply-To",
        "References",
        "MIME-Version",
        "Content-Type",
    ]
    assert (post["From"], post["To"], post["Subject"]) == ("alice@example.org", TEAM, "[...]")
    assert post["Date"] == "Sun, 22 Nov 2026 12:00:00 +0000"
    assert post["Message-ID"] == "<plan@example.org>"
    assert post["In-Reply-To"] == "<before@example.org>"
    assert len(post["References"].split()) == 20
    notice, sealed = post.iter_parts()
    assert notice.get_content_type() == "text/plain"
    assert sealed.get_content_type() == "application/vnd.recrypt"
    assert sealed.get_param("name") == "message.mmx"
    assert sealed.get_content_disposition() == "attachment"
    assert sealed["Content-Transfer-Encoding"] == "base64"


def test_a_post_has_short_ascii_lines_with_crlf(stage: Stage) -> None:
    stage.team()
    post = stage.sealed(with_attachment().as_bytes())
    assert post.isascii()
    assert b"\n" not in post.replace(b"\r\n", b"")
    assert max(map(len, post.split(b"\r\n"))) <= 78


def test_the_header_inside_is_protected(stage: Stage) -> None:
    stage.team()
    post = stage.sealed(with_attachment().as_bytes())
    outer, inner = parsed(post), parsed(inside(stage, post))
    assert inner["Content-Type"].params["hp"] == "cipher"
    assert inner["Content-Type"].params["protected-headers"] == "v1"
    assert inner.get_boundary()
    told = [str(value) for value in inner.get_all("HP-Outer", [])]
    written = [
        f"{name}: {' '.join(str(value).split())}"
        for name, value in outer.items()
        if name not in ("MIME-Version", "Content-Type")
    ]
    assert [" ".join(each.split()) for each in told] == written


def test_marks_of_protection_are_the_sealers_own(stage: Stage) -> None:
    stage.team()
    message = (
        b"From: alice@example.org\nHP-Outer: Subject: forged\n"
        b'Content-Type: text/plain; hp="clear"; charset=utf-8; protected-headers=v0\n\nx\n'
    )
    inner = inside(stage, stage.sealed(message))
    assert b"forged" not in inner
    assert (
        b'Content-Type: text/plain; charset=utf-8;\r\n hp="cipher"; protected-headers="v1"\r\n'
        in inner
    )


def test_what_is_missing_is_added(stage: Stage) -> None:
    stage.team()
    post = stage.sealed(b"Subject: x\n\nsch\xc3\xb6n\n")
    outer, inner = parsed(post), parsed(inside(stage, post))
    for name in ("From", "To", "Date", "Message-ID"):
        assert inner[name] == outer[name]
    assert inner["From"] == "alice@example.org"
    assert inner["Message-ID"].endswith("@example.org>")
    assert inner["MIME-Version"] == "1.0"
    assert inner["Content-Transfer-Encoding"] == "8bit"
    assert inner.get_content() == "schön\r\n"


def test_from_is_chosen_by_option(stage: Stage) -> None:
    stage.team()
    post = stage.does(
        "alice", "seal", "--to", TEAM, "--from", "Al <alice@example.org>", stdin=MESSAGE
    )
    assert parsed(inside(stage, post))["From"] == "Al <alice@example.org>"
    assert parsed(post)["From"] == "alice@example.org"


def test_a_from_that_the_profile_does_not_have_is_warned_of(stage: Stage) -> None:
    stage.team()
    result = stage.run("alice", "seal", "--to", TEAM, "--from", "x@example.net", stdin=MESSAGE)
    assert result.exit_code == 0
    assert "x@example.net is not in the profile" in result.stderr


def test_sender_is_for_the_gateway_to_check(stage: Stage) -> None:
    stage.team()
    sealed = envelope(stage.sealed())
    assert sealed.sender is not None
    assert sealed.cty == "message/rfc822"
    verify_sender(
        sealed.sender,
        stage.keys("alice").profile().profile.online_signature_keys[0],
        list_name=TEAM,
        cid=sealed.content_id,
        now=stage.now + timedelta(days=4),
    )


def test_who_has_no_profile_seals_unsigned(stage: Stage) -> None:
    stage.team()
    stage.does("bob", "key", TEAM, "--service", URL)
    post = stage.sealed(by="bob")
    assert envelope(post).sender is None
    assert inside(stage, post).startswith(b"From: Alice")
    words = stage.fails("bob", "seal", "--to", TEAM, stdin=b"Subject: x\n\ny\n")
    assert "--from ADDRESS" in words


@pytest.mark.parametrize("field", ["To", "Cc", "Bcc", "CC", "Resent-To"])
def test_a_message_for_others_too_is_refused(stage: Stage, field: str) -> None:
    stage.team()
    message = f"From: alice@example.org\n{field}: {TEAM}, Bob <bob@example.org>\n\nx\n".encode()
    words = stage.fails("alice", "seal", "--to", TEAM, stdin=message)
    assert "others than team@lists.example, who would get it in clear" in words


def test_the_list_may_be_named_in_any_case_and_to_nobody(stage: Stage) -> None:
    stage.team()
    stage.sealed(b"To: Team <TEAM@Lists.Example>\nFrom: alice@example.org\n\nx\n")
    stage.sealed(b"To: undisclosed-recipients:;\nFrom: alice@example.org\n\nx\n")


def test_what_is_sealed_to_the_list_already_is_refused(stage: Stage) -> None:
    stage.team()
    post = stage.sealed()
    assert "encrypted to team@lists.example already" in stage.fails(
        "alice", "seal", "--to", TEAM, stdin=post
    )


BROKEN = [
    b"",
    b"no header\n\nx\n",
    b"From: alice@example.org\n" + b"X: y\n" * 1001 + b"\nx\n",
    b"From: alice@example.org\nX: " + b"y" * 70_000 + b"\n\nx\n",
    b"From: alice@example.org, bob@example.org\n\nx\n",
    b"From: \n\nx\n",
    b"From: \xff@example.org\n\nx\n",
    b"From: alice@example.org\nContent-Type: multipart/mixed\n\nx\n",
]


@pytest.mark.parametrize("message", BROKEN, ids=range(len(BROKEN)))
def test_what_is_no_message_is_refused_in_one_line(stage: Stage, message: bytes) -> None:
    stage.team()
    result = stage.run("nobody", "seal", "--to", TEAM, stdin=message)
    assert result.exit_code == 1
    assert result.stdout == ""


def test_no_field_can_break_out_of_its_line(stage: Stage) -> None:
    stage.team()
    result = stage.run(
        "alice", "seal", "--to", TEAM, "--from", "a@example.org\nBcc: x@example.org", stdin=MESSAGE
    )
    assert b"Bcc" not in result.stdout_bytes
