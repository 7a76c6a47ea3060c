"""A member with two devices: each with keys of its own, until one of them is lost."""

import json
from pathlib import Path

from tests.end_to_end.network import MailHost
from tests.end_to_end.programs import DOMAIN, ListServer, Person, new_person
from tests.end_to_end.team import send

TEAM = f"team@{DOMAIN}"
PLAN = b"the plan"


def set_up(server: ListServer, folder: Path) -> tuple[Person, Person, Person, str]:
    """Let Alice make the list with Bob, who adds his phone by its code; give that too."""
    alice, bob = (new_person(folder, f"{name}@example.org") for name in ("alice", "bob"))
    server.authorize(alice.profile)
    server.start()
    alice.recrypt("create", TEAM, "--service", server.url)
    alice.recrypt("add", TEAM, bob.profile)
    bob.recrypt("key", TEAM, "--service", server.url)
    phone = Person(bob.address, folder / "phone")
    phone.folder.mkdir()
    asking = folder / "phone.json"
    code = json.loads(phone.recrypt("profile", "devices", "new", asking, "--json"))["Code"]
    told = bob.recrypt("profile", "devices", "add", asking, "--code", code, "--json")
    assert json.loads(told)["Sent"] == [server.url]
    brought(bob, phone)
    phone.recrypt("key", TEAM, "--service", server.url)
    return alice, bob, phone, code


def brought(by: Person, to: Person) -> None:
    """Bring a newer profile from one device to another."""
    by.recrypt("profile", "show", "--out", by.profile)
    to.recrypt("profile", "import", by.profile)


def latest(mail_host: MailHost, count: int, address: str) -> bytes:
    """Wait until there are so many mails in all; give the last one to somebody."""
    return [mail.content for mail in mail_host.wait_for(count) if mail.recipient == address][-1]


def test_both_read_and_write_until_one_is_revoked(
    server: ListServer, mail_host: MailHost, tmp_path: Path
) -> None:
    mail_host.start()
    alice, bob, phone, code = set_up(server, tmp_path)
    alice.recrypt("set", TEAM, "post=members")
    assert json.loads(alice.recrypt("refresh", TEAM, "--json"))["Changed"] == [bob.address]
    send(server, TEAM, phone.sealed(TEAM, "From the phone."))
    for person in (bob, phone):
        assert b"From the phone" in person.recrypt("read", stdin=latest(mail_host, 2, bob.address))
    file = tmp_path / "plan.mmx"
    alice.recrypt("encrypt", "-", "--to", TEAM, "--out", file, stdin=PLAN)
    assert [each.recrypt("decrypt", file) for each in (bob, phone)] == [PLAN, PLAN]

    bob.recrypt("profile", "devices", "revoke", code)
    assert phone.try_recrypt("decrypt", file).returncode == 1  # at once: its signature key is gone
    alice.recrypt("refresh", TEAM)
    send(server, TEAM, bob.sealed(TEAM, "Without the phone."))
    copy = latest(mail_host, 4, bob.address)
    assert b"Without the phone" in bob.recrypt("read", stdin=copy)
    assert phone.try_recrypt("read", stdin=copy).returncode == 1
    assert bob.recrypt("decrypt", file) == PLAN
    checks = json.loads(alice.recrypt("verify", TEAM, "--json"))["Checks"]
    assert {each["Result"] for each in checks} == {"ok"}, checks


def moved(laptop: Person, folder: Path) -> Person:
    """Export a home, and import that on another machine."""
    words, export = folder / "words", folder / "alice.recrypt"
    words.write_text("password of the file")
    option = f"--export-passphrase-file={words}"
    laptop.recrypt("profile", "export", export, option)
    desktop = Person(laptop.address, folder / "desktop")
    desktop.folder.mkdir()
    desktop.recrypt("profile", "import", export, option)
    return desktop


def test_a_sole_administrator_whose_laptop_is_lost_goes_on_from_an_export(
    server: ListServer, tmp_path: Path
) -> None:
    laptop = new_person(tmp_path, "alice@example.org")
    server.authorize(laptop.profile)
    server.start()
    laptop.recrypt("create", TEAM, "--service", server.url)
    desktop = moved(laptop, tmp_path)
    file = tmp_path / "plan.mmx"
    desktop.recrypt("encrypt", "-", "--to", TEAM, "--out", file, stdin=PLAN)

    (device,) = json.loads(desktop.recrypt("profile", "devices", "--json"))["Devices"]
    told = json.loads(desktop.recrypt("profile", "devices", "revoke", device["Code"], "--json"))
    assert told["Sent"] == [server.url]
    assert told["FreshCode"] not in (None, device["Code"])
    assert desktop.recrypt("decrypt", file) == PLAN
    desktop.recrypt("rekey", TEAM)
    desktop.recrypt("encrypt", "-", "--to", TEAM, "--out", file, stdin=PLAN)
    assert desktop.recrypt("decrypt", file) == PLAN
    assert laptop.try_recrypt("decrypt", file).returncode == 1
    desktop.recrypt("add", TEAM, new_person(tmp_path, "bob@example.org").profile)
    checks = json.loads(desktop.recrypt("verify", TEAM, "--json"))["Checks"]
    assert {each["Result"] for each in checks} == {"ok", "advice"}, checks
    assert laptop.try_recrypt("members", TEAM).returncode == 1
