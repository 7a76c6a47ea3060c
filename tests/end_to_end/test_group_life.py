"""A group's whole life, with real programs: two administrators, rekey, removal, recovery."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path

from recrypt_client.home import Home
from recrypt_core.documents import Profile, sign_profile
from recrypt_core.keys import Curve, PrivateKey
from tests.end_to_end.network import MailHost
from tests.end_to_end.programs import DOMAIN, ListServer, Person, new_person
from tests.end_to_end.team import send

TEAM = f"team@{DOMAIN}"
NAMES = ("alice", "bob", "carol", "dave", "notary")


def set_up(server: ListServer, folder: Path) -> dict[str, Person]:
    """Let Alice make the list, in escrow with the notary, and Bob administer it too."""
    with ThreadPoolExecutor() as pool:
        addresses = [f"{name}@example.org" for name in NAMES]
        people = dict(zip(NAMES, pool.map(partial(new_person, folder), addresses), strict=True))
    alice, bob = people["alice"], people["bob"]
    server.authorize(alice.profile)
    server.start()
    notary = people["notary"].profile
    made = alice.recrypt("create", TEAM, "--service", server.url, "--escrow", notary, "--json")
    alice.recrypt("escrow", TEAM, "--out", folder / "team.escrow")
    powers = ("--privilege", "RECRYPT", "--privilege", "ADMIN")
    alice.recrypt("add", TEAM, bob.profile, *powers)
    fingerprint = json.loads(made)["Identifier"]
    bob.recrypt("key", TEAM, "--service", server.url, "--fingerprint", fingerprint)
    return people


def latest(mail_host: MailHost, count: int, address: str) -> bytes:
    """Wait until there are so many mails in all; give the last one to somebody."""
    return [mail.content for mail in mail_host.wait_for(count) if mail.recipient == address][-1]


def reads(person: Person, mail: bytes) -> bytes:
    return person.recrypt("read", stdin=mail)


def test_a_removed_member_reads_nothing_that_comes_after_a_rekey_and_others_do(
    server: ListServer, mail_host: MailHost, tmp_path: Path
) -> None:
    """By an administrator on a machine of his own, with the keys that the group has for him."""
    mail_host.start()
    people = set_up(server, tmp_path)
    alice, bob, carol, dave = (people[name] for name in ("alice", "bob", "carol", "dave"))
    bob.recrypt("add", TEAM, carol.profile, dave.profile)
    on_its_way = alice.sealed(TEAM, "To the old key.")
    bob.recrypt("delete", TEAM, dave.address)
    assert json.loads(bob.recrypt("rekey", TEAM, "--json"))["Generation"] == 2
    send(server, TEAM, on_its_way)
    assert b"To the old key" in reads(carol, latest(mail_host, 3, carol.address))
    send(server, TEAM, bob.sealed(TEAM, "To the new key."))
    for person in (alice, bob, carol):
        assert b"To the new key" in reads(person, latest(mail_host, 6, person.address))
    assert dave.address not in {mail.recipient for mail in mail_host.wait_for(6)}
    alice.recrypt("set", TEAM, "keep=3", "post=members")
    assert_well(alice)
    server.stop()
    assert not any(person.address in server.logs for person in people.values())


def test_an_administrator_is_removed_and_when_the_last_one_is_lost_escrow_goes_on(
    server: ListServer, mail_host: MailHost, tmp_path: Path
) -> None:
    mail_host.start()
    people = set_up(server, tmp_path)
    alice, bob, carol, notary = (people[name] for name in ("alice", "bob", "carol", "notary"))
    bob.recrypt("add", TEAM, carol.profile)
    alice.recrypt("delete", TEAM, bob.address)
    assert b"403" in bob.try_recrypt("members", TEAM).stderr
    assert_well(alice)
    send(server, TEAM, alice.sealed(TEAM, "Without Bob."))
    assert b"Without Bob" in reads(carol, latest(mail_host, 2, carol.address))
    shutil.rmtree(alice.folder / "home")
    notary.recrypt("recover", TEAM, tmp_path / "team.escrow")
    notary.recrypt("delete", TEAM, alice.address)
    assert_well(notary, {"ok", "advice"})  # Alice had the master key: that is told for good
    send(server, TEAM, notary.sealed(TEAM, "It goes on."))
    assert b"It goes on" in reads(carol, latest(mail_host, 4, carol.address))
    assert "CurrentEncryptionKey" in notary.recrypt("history", TEAM).decode()


def assert_well(person: Person, results: set[str] | None = None) -> None:
    checks = json.loads(person.recrypt("verify", TEAM, "--json"))["Checks"]
    assert {each["Result"] for each in checks} == (results or {"ok"}), checks


def test_a_new_device_takes_the_place_of_a_lost_one(
    server: ListServer, mail_host: MailHost, tmp_path: Path
) -> None:
    """The newer profile is made by hand: it is of the one device, which has the master key."""
    mail_host.start()
    people = set_up(server, tmp_path)
    alice, bob = people["alice"], people["bob"]
    with_new_device(bob)
    bob.recrypt("profile", "publish", TEAM)
    told = json.loads(alice.recrypt("refresh", TEAM, "--json"))
    assert told["Changed"] == [bob.address]
    send(server, TEAM, alice.sealed(TEAM, "To the new device."))
    assert b"new device" in reads(bob, latest(mail_host, 2, bob.address))
    assert_well(bob, {"ok", "advice"})  # the lost device holds the keys that administrators have
    alice.recrypt("rekey", TEAM)
    assert_well(bob)


def with_new_device(person: Person) -> None:
    """Sign a profile with another EncryptionKey, in place of the one that was lost."""
    home = Home(person.folder / "home")
    old = home.profile()
    (lost,) = home.device_keys()
    fresh = PrivateKey.generate(Curve.X25519)
    master = home.signature_key(old.identifier)
    assert master is not None
    home.keep_key(fresh)
    stated = Profile(
        identifier=old.identifier,
        master_signature_key=old.profile.master_signature_key,
        online_signature_keys=old.profile.online_signature_keys,
        encryption_keys=(fresh.public,),
        accounts=old.profile.accounts,
        updated=old.profile.updated + timedelta(seconds=1),
    )
    newer = sign_profile(stated, master).signed
    (home.root / "profile.json").write_text(json.dumps(newer.json()))
    (home.root / "keys" / f"{lost.public.udf}.jwk").unlink()
