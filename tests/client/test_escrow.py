"""Escrow: a group outlives the keys of all its administrators."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from recrypt_client import escrows
from recrypt_core import limits
from recrypt_core.chain import GroupState
from recrypt_core.documents import Privilege, RecryptionGroup, Status
from tests.builders import new_group
from tests.client.malicious_members import listing, written
from tests.client.stage import MESSAGE, TEAM, URL, Stage
from tests.client.test_administrators import by_hand

NOTARY = "notary@example.org"
FROM_NOTARY = MESSAGE.replace(b"alice@", b"notary@")


def state(stage: Stage) -> GroupState:
    assert stage.service.state is not None
    return stage.service.state


def escrowed(stage: Stage) -> Path:
    """Let Alice make the team with the notary's keys as escrow; give the escrow file."""
    stage.person("alice")
    notary, file = str(stage.person("notary")), stage.folder / "team.escrow"
    made = stage.run("alice", "create", TEAM, "--service", URL, "--escrow", notary)
    assert f"recrypt escrow {TEAM} --out FILE" in made.stderr
    stage.does("alice", "escrow", TEAM, "--out", str(file))
    return file


def recovered(stage: Stage, file: Path) -> dict[str, object]:
    """Let the notary recover the team after Alice has lost everything."""
    shutil.rmtree(stage.home("alice"))
    answer: dict[str, object] = json.loads(
        stage.does("notary", "recover", TEAM, str(file), "--json")
    )
    return answer


def test_the_escrow_file_holds_nothing_in_clear_and_the_master_says_whose_it_is(
    stage: Stage,
) -> None:
    file = escrowed(stage)
    stated = json.loads(file.read_text())
    assert {*stated} == {"EscrowVersion", "GroupName", "Identifier", "Service", "MasterKey"}
    assert file.stat().st_mode & 0o777 == 0o600
    (key,) = state(stage).master.profile.master_escrow_keys
    assert key in stage.keys("notary").profile().profile.encryption_keys


def test_a_group_is_recovered_with_a_file_from_before_a_rekey(stage: Stage) -> None:
    file = escrowed(stage)
    stage.does("alice", "add", TEAM, str(stage.person("bob")))
    stage.does("alice", "rekey", TEAM)
    stage.now += limits.GROUP_KEY_LIFE + timedelta(days=400)  # its key has ended long ago, too
    answer = recovered(stage, file)
    assert (answer["AccountName"], answer["HasKey"]) == (NOTARY, True)
    assert answer["OtherAdministrators"] == ["alice@example.org"]
    stage.does("notary", "delete", TEAM, "alice@example.org")
    stage.does("notary", "add", TEAM, str(stage.person("carol")))
    for who in ("bob", "carol", "notary"):
        post = stage.sealed(FROM_NOTARY, by="notary")
        assert b"At one?" in stage.does(who, "read", stdin=stage.copy(post, who))
    assert stage.run("notary", "verify", TEAM).exit_code == 0


def test_who_recovers_may_be_a_member_already(stage: Stage) -> None:
    file = escrowed(stage)
    stage.does("alice", "add", TEAM, str(stage.folder / "notary.json"))
    stage.does("alice", "suspend", TEAM, NOTARY)
    recovered(stage, file)
    member = state(stage).members[stage.keys("notary").profile().identifier]
    assert member.may(Privilege.SUPER)
    assert member.entry.status is Status.ACTIVE


def test_a_group_whose_private_key_is_lost_is_rekeyed(stage: Stage) -> None:
    file = escrowed(stage)
    by_hand(stage, "alice", RecryptionGroup(group_name=TEAM, administrator_keys=()))
    answer = recovered(stage, file)
    assert answer["HasKey"] is False
    stage.does("notary", "rekey", TEAM)
    post = stage.sealed(FROM_NOTARY, by="notary")
    assert b"At one?" in stage.does("notary", "read", stdin=stage.copy(post, "notary"))


def test_escrow_keys_are_named_later_too(stage: Stage) -> None:
    stage.team("bob")
    assert "has no escrow keys" in stage.fails("alice", "escrow", TEAM)
    file = stage.folder / "late.escrow"
    stage.does("alice", "escrow", TEAM, str(stage.person("notary")), "--out", str(file))
    assert len(state(stage).master.profile.master_escrow_keys) == 1
    count = len(stage.service.changes)
    stage.does("alice", "escrow", TEAM, str(stage.folder / "notary.json"), "--out", str(file))
    assert len(stage.service.changes) == count
    assert recovered(stage, file)["HasKey"] is True


def liar(stage: Stage) -> str:
    """Write a profile of Mallory's that lists the notary's key."""
    (key,) = stage.keys("notary").profile().profile.encryption_keys
    return written(stage, listing(key))


def noted(stage: Stage) -> set[str]:
    """Give whose the escrow keys are, as Alice's home has noted it."""
    return {*escrows.owners(stage.keys("alice"), TEAM).values()}


def test_a_create_that_fails_changes_nothing_about_whose_the_escrow_keys_are(
    stage: Stage,
) -> None:
    escrowed(stage)
    notary = stage.keys("notary").profile().identifier
    words = stage.fails("alice", "create", TEAM, "--service", URL, "--escrow", liar(stage))
    assert "is known here already" in words
    assert noted(stage) == {notary}


def test_a_create_that_is_repeated_names_no_other_owner(stage: Stage) -> None:
    stage.person("alice")
    stage.service.is_authorised = False
    create = ("create", TEAM, "--service", URL, "--escrow")
    stage.fails("alice", *create, str(stage.person("notary")))
    notary = stage.keys("notary").profile().identifier
    assert noted(stage) == {notary}
    stage.service.is_authorised = True
    assert "was named as another's" in stage.fails("alice", *create, liar(stage))
    assert stage.service.state is None
    stage.does("alice", *create, str(stage.folder / "notary.json"))
    assert noted(stage) == {notary}


def test_who_recovers_and_is_a_member_keeps_what_reads_the_past(stage: Stage) -> None:
    file = escrowed(stage)
    stage.does("alice", "set", TEAM, "history=since-join")
    stage.does("alice", "add", TEAM, str(stage.folder / "notary.json"))
    past = stage.sealed()
    stage.does("alice", "rekey", TEAM)
    identifier = stage.keys("notary").profile().identifier
    before = state(stage).members[identifier].entry.entries
    assert len(before) == 2
    recovered(stage, file)
    assert state(stage).members[identifier].entry.entries == before
    assert b"At one?" in stage.does("notary", "read", stdin=stage.copy(past, "notary"))


def test_who_recovers_with_other_devices_has_all_entries_for_those(stage: Stage) -> None:
    file = escrowed(stage)
    stage.does("alice", "set", TEAM, "history=all")
    stage.does("alice", "add", TEAM, str(stage.folder / "notary.json"))
    stage.does("alice", "rekey", TEAM)
    identifier = stage.keys("notary").profile().identifier
    before = state(stage).members[identifier].entry.entries
    request = str(stage.folder / "phone.json")
    code = json.loads(stage.does("phone", "profile", "devices", "new", request, "--json"))["Code"]
    stage.does("notary", "profile", "devices", "add", request, "--code", code)
    recovered(stage, file)
    after = state(stage).members[identifier].entry.entries
    assert {each.encryption_key_udf for each in after} == {
        each.encryption_key_udf for each in before
    }
    assert {each.member_key_udf for each in after}.isdisjoint(
        each.member_key_udf for each in before
    )


def test_the_escrow_is_not_for_others(stage: Stage) -> None:
    file = escrowed(stage)
    stage.person("mallory")
    words = stage.fails("mallory", "recover", TEAM, str(file))
    assert "sealed to none of the keys here" in words
    other = "other@lists.example"
    assert f"is for {TEAM}" in stage.fails("notary", "recover", other, str(file))


@pytest.mark.parametrize(
    ("member", "value", "words"),
    [
        ("EscrowVersion", 2, "an escrow file of version 2"),
        ("Identifier", new_group().master.udf, "escrow file"),
        ("MasterKey", {}, "team.escrow"),
    ],
    ids=["version", "identifier", "key"],
)
def test_a_changed_escrow_file_is_refused(
    stage: Stage, member: str, value: object, words: str
) -> None:
    file = escrowed(stage)
    stated = json.loads(file.read_text())
    file.write_text(json.dumps({**stated, member: value}))
    assert words in stage.fails("notary", "recover", TEAM, str(file))


def test_a_service_with_another_group_of_that_name_is_noticed(stage: Stage) -> None:
    file = escrowed(stage)
    elsewhere = Stage(stage.folder / "elsewhere")
    elsewhere.folder.mkdir()
    elsewhere.team()
    stage.service = elsewhere.service
    assert "the group's fingerprint is" in stage.fails("notary", "recover", TEAM, str(file))
    assert stage.keys("notary").pin(TEAM) is None
