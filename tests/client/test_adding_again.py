"""Who is a member already is added again with a newer profile: it is taken in, as by a refresh."""

import json

import pytest
from msgspec.structs import replace as but

from recrypt_core.documents import VerifiedProfile, sign_profile
from recrypt_core.errors import NotForThisKey
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.members import Member
from recrypt_core.opening import open_whole
from recrypt_core.records import JoinRequest
from tests.client.stage import TEAM, Stage
from tests.client.test_joining_commands import JoinService

BOB = "bob@example.org"


def member(stage: Stage) -> Member:
    """Give Bob, as the chain has him."""
    assert stage.service.state is not None
    return next(each for each in stage.service.state.members.values() if each.account == BOB)


def on_another_device(stage: Stage, seconds: int = 1) -> VerifiedProfile:
    """Sign a newer profile of Bob, whose only device is another one, and put it into his home."""
    home = stage.keys("bob")
    old, fresh = home.profile(), PrivateKey.generate(Curve.X25519)
    master = home.signature_key(old.identifier)
    assert master is not None
    home.keep_key(fresh)
    updated = stage.now.replace(second=stage.now.second + seconds)
    stated = but(old.profile, encryption_keys=(fresh.public,), updated=updated)
    newer = sign_profile(stated, master)
    home.keep_profile(newer, new=False)
    return newer


def file_of(stage: Stage, profile: VerifiedProfile) -> str:
    file = stage.folder / "newer.json"
    file.write_text(json.dumps(profile.signed.json()), "utf-8")
    return str(file)


def test_a_newer_profile_of_a_member_is_taken_in_with_entries_for_its_devices(
    stage: Stage,
) -> None:
    stage.team("bob", "carol")
    (lost,) = stage.keys("bob").device_keys()
    file = file_of(stage, on_another_device(stage))
    result = stage.run("alice", "add", TEAM, file, str(stage.folder / "carol.json"), "--json")
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    assert (value["Changed"], value["Skipped"]) == ([BOB], ["carol@example.org"])
    assert f"{BOB} has a newer profile: the entries were made anew" in result.stderr
    (entry,) = member(stage).entry.entries
    with pytest.raises(NotForThisKey):
        open_whole(entry.decryption_key.envelope, [lost])
    assert b"At one?" in stage.does("bob", "read", stdin=stage.copy(stage.sealed(), "bob"))


def test_he_may_become_an_administrator_by_the_same_command(stage: Stage) -> None:
    stage.team("bob")
    file = file_of(stage, on_another_device(stage))
    stage.does("alice", "add", TEAM, file, "--privilege", "RECRYPT", "--privilege", "ADMIN")
    stage.does("bob", "key", TEAM)
    stage.does("bob", "add", TEAM, str(stage.person("carol")))


def test_a_profile_that_was_seen_before_changes_nothing(stage: Stage) -> None:
    stage.team("bob")
    told = stage.does("alice", "add", TEAM, file_of(stage, on_another_device(stage)))
    assert told.decode() == f"{BOB} changed in {TEAM}\n"
    count = len(stage.service.changes)
    told = stage.does("alice", "add", TEAM, str(stage.folder / "newer.json"))
    assert told.decode() == f"{BOB} was so already\n"
    assert "older than one" in stage.fails("alice", "add", TEAM, str(stage.folder / "bob.json"))
    assert len(stage.service.changes) == count


def test_a_newer_profile_that_cannot_be_taken_in_is_told(stage: Stage) -> None:
    stage.team("bob")
    newer = on_another_device(stage)
    master = stage.keys("bob").signature_key(newer.identifier)
    assert master is not None
    file = file_of(stage, sign_profile(but(newer.profile, accounts=("robert@x.example",)), master))
    result = stage.run("alice", "add", TEAM, file)
    assert result.exit_code == 0
    assert f"{BOB} is no Account of the member's newer profile" in result.stderr


def test_a_member_who_asks_in_again_with_a_newer_profile_has_it_taken_in(stage: Stage) -> None:
    service = JoinService(stage.service.url)
    stage.service = service
    stage.team("bob")
    newer = on_another_device(stage)
    request = JoinRequest(account_name=BOB, profile=newer.signed, since=stage.now)
    service.waits[newer.identifier] = request
    told = json.loads(stage.does("alice", "approve", TEAM, BOB, "--json"))
    assert told["Changed"] == [BOB]
    assert member(stage).profile == newer
