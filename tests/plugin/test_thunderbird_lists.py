"""Bob's lists and devices in Thunderbird: other keys, a second list, leaving, a second computer."""

import json
import re
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from tests.end_to_end.programs import Person
from tests.mails import message_of
from tests.plugin.mail_program import ADDRESS, MailProgram, mail_program
from tests.plugin.membership import MARKER, TEAM, Membership, new_message

pytestmark = pytest.mark.plugin

PLANS = "plans@lists.example"
TEAM_ROW = f"#lists tr[data-name='{TEAM}']"
TEXT = f"The keys are under the {MARKER}.\n"


@pytest.fixture(autouse=True)
def _nothing_leaks(membership: Membership) -> Iterator[None]:
    """After each test, find the marker nowhere that outlasts it."""
    yield
    assert membership.leaks() == []


def test_after_a_rekey_mail_opens_and_is_answered_as_before(membership: Membership) -> None:
    bob = membership.bob
    before = membership.deliver(membership.post(new_message("Before", TEXT))[ADDRESS])
    membership.alice.recrypt("rekey", TEAM)
    copy = membership.post(new_message("After", TEXT))[ADDRESS]
    assert f"Encrypted to {TEAM}" in bob.text("show", membership.deliver(copy), MARKER)
    assert MARKER.encode() in answered(membership, "Will be encrypted to team")
    assert f"Encrypted to {TEAM}" in bob.text("show", before, MARKER)


def test_mail_of_a_list_that_is_not_known_here_is_answered_once_it_is(
    membership: Membership, tmp_path: Path
) -> None:
    bob, alice = membership.bob, membership.alice
    bob.do("settings", "Your devices")
    profile = tmp_path / "bob.json"
    profile.write_text(bob.text("set", "value", "#profile"))
    alice.recrypt("create", PLANS, "--service", membership.server.url)
    alice.recrypt("add", PLANS, profile)
    show_plans(membership, "isn't known here")
    bob.keep_picture("13-an-unknown-list")
    refuse_answer_in_clear(membership)
    bob.do("click", "Get to know", "Get to know")
    said = meet_plans(membership)
    bob.keep_picture("14-two-lists")
    known = alice.recrypt("key", PLANS, "--service", membership.server.url).decode()
    fingerprint = re.search(r"Its fingerprint is (M[A-Z2-7-]+)", said)
    assert fingerprint is not None
    assert fingerprint[1] in known
    show_plans(membership, f"Encrypted to {PLANS}")
    assert MARKER.encode() in answered(membership, "Will be encrypted to plans")


def show_plans(membership: Membership, words: str) -> None:
    """Let Alice post to the other list, and Bob open it."""
    copy = membership.post(new_message("Plans", TEXT, PLANS), PLANS)[ADDRESS]
    assert words in membership.bob.text("show", membership.deliver(copy), MARKER)


def refuse_answer_in_clear(membership: Membership) -> None:
    """Let Bob try to answer what nobody could seal."""
    bob = membership.bob
    bob.do("write", "cmd_replySender")
    bob.do("written", "Can't be sent so")
    bob.do("type", "In clear?\n")
    bob.do("unmodified")
    mails = membership.smtp.heard.count(b"MAIL FROM")
    assert "isn't known here yet" in bob.text("refused")
    assert membership.smtp.heard.count(b"MAIL FROM") == mails
    bob.do("discard", True)


def meet_plans(membership: Membership) -> str:
    """Let Bob get to know the other list; its server isn't where its domain would be."""
    bob = membership.bob
    bob.do("opened", "#meet [name=list]", PLANS)
    bob.do("opened", "#meet [name=service]", "https://lists.example")
    bob.do("set", "fill", "#meet [name=service]", membership.server.url)
    bob.do("set", "press", "#meet", "Get to know it")
    return bob.text("settings", f"You know {PLANS} now")


def test_bob_adds_a_computer_with_recrypt_and_takes_it_away(
    membership: Membership, tmp_path: Path
) -> None:
    bob, alice = membership.bob, membership.alice
    laptop = Person(ADDRESS, tmp_path / "laptop")
    code = add_device(membership, laptop)
    alice.recrypt("refresh", TEAM)
    copy = membership.post(new_message("Both", TEXT))[ADDRESS]
    bob.do("show", membership.deliver(copy), MARKER)
    assert MARKER.encode() in laptop.recrypt("read", stdin=copy)

    row = f"#devices tr[data-name='{code}']"
    bob.do("settings", "Your devices")
    bob.do("set", "press", row, "Take away")
    bob.do("settings", f"Yes, take {code} away")
    bob.do("set", "press", row, f"Yes, take {code} away")
    bob.do("settings", f"{code} is none of your devices any more")
    alice.recrypt("refresh", TEAM)
    copy = membership.post(new_message("One", TEXT))[ADDRESS]
    bob.do("show", membership.deliver(copy), MARKER)
    assert laptop.try_recrypt("read", stdin=copy).returncode == 1


def add_device(membership: Membership, laptop: Person) -> str:
    """Let Bob bring a request and a profile from one computer to the other; give the code."""
    bob = membership.bob
    laptop.folder.mkdir()
    request = laptop.folder / "request.json"
    made = json.loads(laptop.recrypt("profile", "devices", "new", request, "--json"))
    code = str(made["Code"])
    bob.do("settings", "Your devices")
    bob.do("set", "fill", "#add textarea", request.read_text())
    bob.do("set", "press", "#add", "Read it")
    bob.do("settings", f"Does the new device show this code? {code}")
    bob.do("look_at", "#compare")
    bob.keep_picture("15-a-new-device")
    bob.do("set", "press", "#compare", "Yes, add it")
    assert "WASN'T TOLD" not in bob.text("settings", f"{code} is a device of yours now")
    laptop.profile.write_text(bob.text("set", "value", "#profile"))
    laptop.recrypt("profile", "import", laptop.profile)
    return code


def test_a_second_thunderbird_is_a_device_with_keys_of_its_own(
    membership: Membership, tmp_path: Path
) -> None:
    bob = membership.bob
    imap, smtp = membership.imap.port, membership.smtp.port
    with mail_program(tmp_path / "second", imap_port=imap, smtp_port=smtp) as second:
        second.do("settings", "Make my profile")
        second.do("set", "press", "#become", "Make keys")
        code = re.search(r"of this device is (M[A-Z2-7-]{22})", asking(second))
        assert code is not None
        second.keep_picture("17-a-second-device")
        bob.do("settings", "Your devices")
        bob.do("set", "fill", "#add textarea", second.text("set", "value", "#request"))
        bob.do("set", "press", "#add", "Read it")
        bob.do("settings", f"Does the new device show this code? {code[1]}")
        bob.do("set", "press", "#compare", "Yes, add it")
        bob.do("settings", f"{code[1]} is a device of yours now")
        profile = bob.text("set", "value", "#profile")
        second.do("set", "fill", "#asked form textarea", profile)
        second.do("set", "press", "#asked form", "Take it in")
        second.do("settings", "Your profile is here")
        membership.alice.recrypt("refresh", TEAM)
        copy = membership.post(new_message("Both", TEXT))[ADDRESS]
        mail = membership.deliver(copy)
        assert "isn't known here" in second.text("show", mail, MARKER)
        assert f"Encrypted to {TEAM}" in bob.text("show", mail, MARKER)


def asking(second: MailProgram) -> str:
    """Give what the page says to a device that asks."""
    second.do("look_at", "#asked")
    return second.text("settings", "The code of this device is M")


def test_without_consent_nothing_is_asked_of_a_server_nor_sent(membership: Membership) -> None:
    bob = membership.bob
    bob.do("disallow")
    bob.do("write", "new", {"to": TEAM, "subject": "Allowed"})
    bob.do("written", "Will be encrypted to team")
    bob.do("type", f"About the {MARKER}.\n")
    bob.do("unmodified")
    assert "may not ask" in bob.text("refused")
    bob.do("settings", "Allow to ask its server")
    bob.do("set", "press", TEAM_ROW, "Allow to ask")
    bob.do("settings", "Leave…")
    bob.do("send")
    membership.next_mail(membership.alice.address)
    copy = membership.deliver(membership.next_mail())
    bob.do("dark", True)
    try:
        bob.do("show", copy, MARKER)
        bob.keep_picture("18-in-the-dark")
        bob.do("settings", "Lists you know")
        bob.keep_picture("19-settings-in-the-dark")
    finally:
        bob.do("dark", False)


def test_bob_leaves_by_a_button_and_comes_back(membership: Membership) -> None:
    bob = membership.bob
    bob.do("settings", "Lists you know")
    bob.do("set", "press", TEAM_ROW, "Leave")
    assert "You have left" not in str(bob.do("settings", f"Yes, leave {TEAM}"))
    bob.do("set", "press", TEAM_ROW, f"Yes, leave {TEAM}")
    bob.do("settings", f"You have left {TEAM}: nothing more is sent to you")
    bob.keep_picture("16-left")
    assert left(membership)
    bob.do("set", "press", TEAM_ROW, "Mail again")
    bob.do("settings", f"{TEAM} sends you mail")
    assert not left(membership)


def left(membership: Membership) -> bool:
    """Tell whether Alice's client says that somebody has left."""
    found = json.loads(membership.alice.recrypt("members", TEAM, "--json"))
    return any(each.get("Left") for each in found["Members"])


def answered(membership: Membership, words: str) -> bytes:
    """Let Bob answer what he sees, with its quote, and Alice open that; give the text in it."""
    bob = membership.bob
    bob.do("write", "cmd_replySender")
    bob.do("written", words)
    bob.do("quoting", MARKER)
    bob.do("send")
    copy = membership.next_mail(membership.alice.address)
    membership.deliver(membership.next_mail())
    found = message_from_bytes(membership.alice.recrypt("read", stdin=copy), policy=SMTP)
    assert isinstance(found, EmailMessage)
    assert message_of(copy)["In-Reply-To"] == found["In-Reply-To"]
    body = found.get_body(("plain",))
    assert body is not None
    return str(body.get_content()).encode()
