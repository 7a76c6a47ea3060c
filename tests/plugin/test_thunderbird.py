"""Bob reads and writes a list's mail in Thunderbird, with the extension and a real server."""

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import SMTP
from email.utils import make_msgid

import pytest

from tests.end_to_end.network import LOCALHOST, Listener, MailHost
from tests.mails import message_of
from tests.plugin.mail_program import ADDRESS
from tests.plugin.membership import MARKER, TEAM, Membership, new_message

pytestmark = pytest.mark.plugin

TEXT = f"The keys are under the {MARKER}.\n"
NOTICE = "This message from the list"  # begins what stands outside of the envelope


@pytest.fixture(autouse=True)
def _nothing_leaks(membership: Membership) -> Iterator[None]:
    """After each test, find the marker nowhere that outlasts it."""
    yield
    assert membership.leaks() == []


def test_bob_came_onto_the_list_without_a_key_or_a_command(membership: Membership) -> None:
    said = str(membership.bob.do("settings", TEAM))
    membership.bob.keep_picture("05-on-the-list")
    fingerprint = re.search(r"M[A-Z2-7]{4}(-[A-Z2-7]{5}){5}", said)
    assert fingerprint is not None
    known = membership.alice.recrypt("key", TEAM, "--service", membership.server.url)
    assert fingerprint[0] in known.decode()


def test_a_copy_opens_in_its_place(membership: Membership) -> None:
    bob = membership.bob
    message = new_message("Flowerpots", TEXT)
    message.add_attachment(
        b"one,two\r\n" * 100, maintype="text", subtype="csv", filename="pots.csv"
    )
    copy = membership.post(message)[ADDRESS]
    shown = bob.text("show", membership.deliver(copy), MARKER)
    bob.keep_picture("06-a-copy")
    for words in ("Signed by Alice <alice@example.org>", "Flowerpots", "From: Alice", TEAM):
        assert words in shown
    assert NOTICE not in shown
    assert bob.do("label") == "Signed: alice@example.org"
    bob.do("click", "Save pots.csv", "Saved")
    assert (bob.saved / "pots.csv").read_bytes() == b"one,two\r\n" * 100


def test_html_is_shown_without_what_it_would_load_or_run(membership: Membership) -> None:
    calls: list[bytes] = []
    listener = Listener(lambda connection: calls.append(connection.recv(4096)))
    listener.start()
    try:
        away = f"http://{LOCALHOST}:{listener.port}"
        message = new_message("Formatted", "")
        message.set_content(
            f"<p>The <b>{MARKER}</b></p><img src='{away}/i'><link rel=stylesheet href='{away}/l'>"
            f"<style>@import url({away}/s); .recrypt-bar {{ display: none }}</style>"
            f"<div style='background: url({away}/b)' class=recrypt-bar>Signed by Carol</div>"
            f"<script>fetch('{away}/x')</script><iframe src='{away}/f'></iframe>",
            subtype="html",
        )
        bob = membership.bob
        bob.do("show", membership.deliver(membership.post(message)[ADDRESS]), MARKER)
        bob.keep_picture("07-html")
        markup = bob.text("markup")
        assert f"<b>{MARKER}</b>" in markup
        assert away not in markup
        assert markup.count("recrypt-bar recrypt-bar") == markup.count('class="recrypt-bar') == 1
    finally:
        listener.stop()
    assert calls == []


def test_an_answer_quotes_what_was_opened_and_is_sealed(membership: Membership) -> None:
    bob = membership.bob
    answered = membership.post(new_message("Keys?", TEXT))[ADDRESS]
    bob.do("show", membership.deliver(answered), MARKER)
    bob.do("write", "cmd_replySender")
    window = bob.do("written", "Will be encrypted to team")
    assert isinstance(window, dict)
    assert f"> The keys are under the {MARKER}." in window["text"]
    assert window["subject"] == "Re: Keys?"
    bob.do("type", "I have looked there.\n")
    bob.keep_picture("08-an-answer", "writing")
    bob.do("send")
    copy = membership.next_mail(membership.alice.address)
    membership.deliver(membership.next_mail())
    outer = message_of(copy)
    assert outer["Subject"] == "[...]"
    name = message_of(answered)["Message-ID"]
    inner = read(membership, copy)
    for header in (outer, inner):
        assert (header["In-Reply-To"], header["References"]) == (name, name)
    assert inner["Subject"] == "Re: Keys?"
    assert "I have looked there." in text_of(inner)
    assert f"> The keys are under the {MARKER}." in text_of(inner)


def test_an_answer_with_formatting_is_sealed_as_text_and_as_html(membership: Membership) -> None:
    bob = membership.bob
    bob.do("show", membership.deliver(membership.post(new_message("Both", TEXT))[ADDRESS]), MARKER)
    bob.do("formatted", True)
    try:
        bob.do("write", "cmd_replySender")
        bob.do("written", "Will be encrypted to team")
        bob.do("quoting", MARKER)
        bob.do("bold", "Look there.")
        bob.keep_picture("20-with-formatting", "writing")
        bob.do("send")
    finally:
        bob.do("formatted", False)
    copy = membership.next_mail(membership.alice.address)
    membership.deliver(membership.next_mail())
    inner = read(membership, copy)
    html = inner.get_body(("html",))
    assert html is not None
    assert "<b>Look there.</b>" in html.get_content()
    assert "<blockquote" in html.get_content()
    assert "Look there." in text_of(inner)
    assert f"> The keys are under the {MARKER}." in text_of(inner)


def test_a_new_message_is_sealed_with_its_attachment(membership: Membership) -> None:
    bob = membership.bob
    file = bob.saved / "plan.txt"
    file.write_text(f"dig at the {MARKER}\n")
    bob.do("write", "new", {"to": TEAM, "subject": f"Plans: {MARKER}"})
    bob.do("written", "Will be encrypted to team")
    bob.do("type", f"Look at the {MARKER}.\n")
    bob.do("attach", str(file))
    bob.keep_picture("09-a-message", "writing")
    bob.do("send")
    copy = membership.next_mail(membership.alice.address)
    shown = bob.text("show", membership.deliver(membership.next_mail()), MARKER)
    assert "Signed by" in shown
    inner = read(membership, copy)
    assert inner["Subject"] == f"Plans: {MARKER}"
    assert f"Look at the {MARKER}." in text_of(inner)
    (attached,) = inner.iter_attachments()
    assert attached.get_filename() == "plan.txt"
    assert f"dig at the {MARKER}" in str(attached.get_content())


def test_a_message_to_a_list_and_to_somebody_else_is_refused_with_words(
    membership: Membership,
) -> None:
    bob = membership.bob
    bob.do("write", "new", {"to": TEAM, "cc": "carol@example.org", "subject": MARKER})
    bob.do("written", "Can't be sent so")
    bob.do("type", f"{MARKER}\n")
    bob.do("unmodified")
    mails = membership.smtp.heard.count(b"MAIL FROM")
    assert "carol@example.org" in bob.text("refused")
    bob.keep_picture("10-refused", "writing")
    window = bob.do("written", "Can't be sent so")
    assert isinstance(window, dict)
    assert MARKER in window["text"]
    assert membership.smtp.heard.count(b"MAIL FROM") == mails
    bob.do("discard", True)


def test_an_answer_with_its_quote_goes_to_nobody_else(membership: Membership) -> None:
    bob = membership.bob
    bob.do("show", membership.deliver(membership.post(new_message("Keys", TEXT))[ADDRESS]), MARKER)
    bob.do("write", "cmd_replySender")
    bob.do("written", "Will be encrypted to team")
    bob.do("type", "Look at this.\n")
    bob.do("unmodified")
    bob.do("readdress", "carol@example.org")
    mails = membership.smtp.heard.count(b"MAIL FROM")
    assert "quotes" in bob.text("refused")
    assert membership.smtp.heard.count(b"MAIL FROM") == mails
    bob.do("discard", True)


def test_a_copy_of_somebody_else_stays_closed(membership: Membership) -> None:
    alices = membership.post(new_message("Keys", TEXT))[membership.alice.address]
    shown = membership.bob.text("show", membership.deliver(alices), "another member")
    membership.bob.keep_picture("11-wrong-key")
    assert MARKER not in shown
    assert NOTICE in shown


def test_a_copy_that_was_tampered_with_stays_closed(membership: Membership) -> None:
    copy = membership.post(new_message("Keys", TEXT))[ADDRESS]
    lines = copy.rstrip().split(b"\r\n")
    at = max(number for number, each in enumerate(lines) if len(each) == 76)
    lines[at] = lines[at][:-1] + (b"A" if lines[at][-1:] != b"A" else b"B")
    tampered = b"\r\n".join(lines) + b"\r\n"
    shown = membership.bob.text("show", membership.deliver(tampered), "Not opened")
    membership.bob.keep_picture("12-tampered")
    assert MARKER not in shown


def test_an_envelope_in_somebody_elses_mail_is_not_quoted_to_them(membership: Membership) -> None:
    bob = membership.bob
    copy = membership.post(new_message("Keys", TEXT))[ADDRESS]
    bob.do("show", membership.deliver(wrapped(copy)), MARKER)
    assert bob.do("isBarShown")
    bob.do("select")
    bob.do("write", "cmd_replySender")
    window = bob.do("quoting", "What do you make of this?")
    assert isinstance(window, dict)
    assert window["to"] == "carol@example.org"
    assert MARKER not in window["text"]
    bob.do("discard")


def test_an_envelope_beside_other_things_is_not_opened(membership: Membership) -> None:
    copy = membership.post(new_message("Keys", TEXT))[ADDRESS]
    mail = wrapped(copy, b"a picture")
    shown = membership.bob.text("show", membership.deliver(mail), "another message")
    assert MARKER not in shown


def test_no_draft_is_left_at_the_mail_server(membership: Membership) -> None:
    bob = membership.bob
    bob.do("write", "new", {"to": TEAM, "subject": "A draft"})
    bob.do("written", "Will be encrypted to team")
    bob.do("type", f"Nobody saves the {MARKER}.\n")
    bob.do("unmodified")
    bob.do("autosave")
    assert drafts(membership) == []
    bob.do("discard", True)


def test_what_was_typed_can_be_opened_again(membership: Membership) -> None:
    bob = membership.bob
    copy = membership.post(new_message("Later", TEXT))[ADDRESS]
    bob.do("show", membership.deliver(copy), MARKER)
    bob.do("write", "cmd_replySender")
    bob.do("written", "Will be encrypted to team")
    bob.do("type", "Not lost.\n")
    bob.do("unmodified")
    bob.do("abandon")
    bob.do("answer", "button")
    window = bob.do("written", "Will be encrypted to team")
    assert isinstance(window, dict)
    assert window["subject"] == "Re: Later"
    assert "Not lost." in window["text"]
    assert window["references"] == message_of(copy)["Message-ID"]
    bob.do("type", "And more.\n")
    bob.do("unmodified")
    bob.do("readdress", "carol@example.org")
    assert "quotes" in bob.text("refused")
    bob.do("discard", True)


def test_a_draft_that_was_saved_by_hand_is_taken_away_from_the_mail_server(
    membership: Membership,
) -> None:
    bob = membership.bob
    bob.do("write", "new", {"to": TEAM, "subject": "Saved by hand"})
    bob.do("written", "Will be encrypted to team")
    bob.do("type", "Nothing of any weight.\n")
    assert "taken away" in bob.text("save")
    assert drafts(membership) == []
    bob.do("discard", True)


def test_what_could_not_be_sent_is_there_again_as_it_was_written(membership: Membership) -> None:
    bob = membership.bob
    file = bob.saved / "again.txt"
    file.write_text("once more\n")
    bob.do("write", "new", {"to": TEAM, "subject": "Away"})
    bob.do("written", "Will be encrypted to team")
    bob.do("type", f"Seal the {MARKER}.\n")
    bob.do("attach", str(file))
    refusing = MailHost()
    refusing.refuse(TEAM, "550 5.7.1 not today")
    refusing.start()
    membership.smtp.turn_to(refusing.port)
    try:
        bob.do("fail")
    finally:
        membership.smtp.turn_to(membership.server.smtp_port)
        refusing.stop()
    window = bob.do("restored", "Away")
    assert isinstance(window, dict)
    assert MARKER in window["text"]
    assert window["attachments"] == ["again.txt"]
    bob.do("send")
    copy = membership.next_mail(membership.alice.address)
    membership.deliver(membership.next_mail())
    assert MARKER in text_of(read(membership, copy))


def test_keys_are_sealed_under_a_passphrase_until_it_is_given(membership: Membership) -> None:
    bob = membership.bob
    mail = membership.deliver(membership.post(new_message("Keys", TEXT))[ADDRESS])
    bob.do("settings", "Your keys lie open")
    bob.do("set", "fill", "#protect input", "a passphrase")
    bob.do("set", "click", "#protect button")
    bob.do("settings", "sealed under a passphrase")
    bob.do("set", "click", "#lock")
    bob.do("settings", "Unlock until")
    assert MARKER not in bob.text("show", mail, "Your keys are locked")
    bob.do("settings", "Unlock until")
    bob.do("set", "fill", "#unlock input", "another one")
    bob.do("set", "click", "#unlock button")
    bob.do("settings", "doesn't open")
    bob.do("set", "fill", "#unlock input", "a passphrase")
    bob.do("set", "click", "#unlock button")
    bob.do("settings", "sealed under a passphrase")
    other = membership.post(new_message("Keys", TEXT))[ADDRESS]
    bob.do("show", membership.deliver(other), MARKER)
    bob.do("settings", "sealed under a passphrase")
    bob.do("set", "click", "#protect button")
    bob.do("settings", "Your keys lie open")


def drafts(membership: Membership) -> list[str]:
    folder = membership.office.mail / ".Drafts"
    return [str(file) for part in ("cur", "new") for file in (folder / part).glob("*")]


def read(membership: Membership, copy: bytes) -> EmailMessage:
    """Let Alice open a copy; give what is in it."""
    opened = membership.alice.recrypt("read", stdin=copy)
    found = message_from_bytes(opened, policy=SMTP)
    assert isinstance(found, EmailMessage)
    return found


def text_of(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def wrapped(copy: bytes, *files: bytes) -> bytes:
    """Put a list's encrypted part into a mail of Carol's own, beside her words and files."""
    encrypted = list(message_of(copy).walk())[-1]
    message = EmailMessage(SMTP)
    message["From"], message["To"], message["Subject"] = "carol@example.org", ADDRESS, "Look"
    message["Message-ID"] = make_msgid(domain="carol.example")
    message.set_content(
        "<style>.recrypt-bar { display: none !important }</style>"
        "<p>What do you make of this? Please answer.</p>",
        subtype="html",
    )
    message.make_mixed()
    for file in files:
        message.add_attachment(file, maintype="image", subtype="png", filename="look.png")
    whole: Message = message
    whole.attach(encrypted)
    return message.as_bytes()
