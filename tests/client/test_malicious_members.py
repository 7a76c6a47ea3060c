"""A member who lists another's key is refused or told of, and takes nothing from anybody by it."""

import json
import shutil

import pytest
from msgspec.structs import replace

from recrypt_client import trails
from recrypt_core import chain
from recrypt_core.documents import Privilege
from recrypt_core.records import JoinRequest
from tests.builders import (
    EVERY_POWER,
    NOW,
    Membership,
    new_group,
    new_history,
    new_membership,
    new_person,
)
from tests.client.malicious_members import (
    LISTED,
    MALLORY,
    device,
    escrowed,
    let_in,
    listing,
    online,
    state,
    written,
)
from tests.client.stage import TEAM, URL, Stage
from tests.client.test_administrators import BOB, member, two
from tests.client.test_debts import ELSEWHERE, is_clear, owed
from tests.client.test_joining_commands import JoinService
from tests.client.test_newer_profiles import newer, published
from tests.fakes import administrator

CAROL = "carol@example.org"
BOTH = (Privilege.RECRYPT, Privilege.ADMIN)


@pytest.fixture
def joining(stage: Stage) -> JoinService:
    """Give the stage a service that people can ask in at."""
    service = JoinService(URL)
    stage.service = service
    return service


@pytest.mark.parametrize("what", LISTED)
def test_who_lists_anothers_key_is_not_added_nor_named_for_escrow(stage: Stage, what: str) -> None:
    escrowed(stage)
    file, count = written(stage, listing(LISTED[what](stage))), len(stage.service.changes)
    for command in (["add", TEAM, file], ["escrow", TEAM, file, "--out", "/dev/null"]):
        words = stage.fails("alice", *command)
        assert f"{MALLORY} lists the key" in words
        assert "Nothing was done" in words
    assert len(stage.service.changes) == count


@pytest.mark.parametrize("what", LISTED)
def test_who_lists_anothers_key_is_not_approved(
    stage: Stage, joining: JoinService, what: str
) -> None:
    escrowed(stage)
    mallory, count = listing(LISTED[what](stage)), len(stage.service.changes)
    joining.waits[mallory.udf] = JoinRequest(
        account_name=MALLORY, profile=mallory.signed, since=NOW
    )
    assert f"{MALLORY} lists the key" in stage.fails("alice", "approve", TEAM, mallory.udf)
    assert len(stage.service.changes) == count


@pytest.mark.parametrize("what", LISTED)
def test_a_newer_profile_that_lists_anothers_key_is_not_taken_in(stage: Stage, what: str) -> None:
    escrowed(stage)
    stage.does("alice", "add", TEAM, str(stage.person("mallory")))
    before = member(stage, MALLORY).profile
    newest = listing(LISTED[what](stage)).verified.profile
    own = before.profile
    newer(
        stage,
        "mallory",
        encryption_keys=(*own.encryption_keys, *newest.encryption_keys[1:]),
        online_signature_keys=(*own.online_signature_keys, *newest.online_signature_keys[1:]),
    )
    published(stage, "mallory")
    assert f"{MALLORY} lists the key" in stage.does("alice", "refresh", TEAM).decode()
    assert member(stage, MALLORY).profile == before


@pytest.mark.parametrize("command", ["suspend", "delete"])
def test_who_lists_anothers_key_is_not_resumed(stage: Stage, command: str) -> None:
    escrowed(stage)
    let_in(stage, listing(device(stage, "bob")))
    stage.does("alice", command, TEAM, MALLORY)
    assert f"{MALLORY} lists the key" in stage.fails("alice", "resume", TEAM, MALLORY)
    assert not member(stage, MALLORY).is_active


def test_two_who_list_one_key_are_not_added_at_once(stage: Stage) -> None:
    stage.team()
    carol = new_person(CAROL)
    mallory = listing(carol.verified.profile.encryption_keys[0])
    files = [written(stage, each) for each in (carol, mallory)]
    assert f"as does {CAROL}" in stage.fails("alice", "add", TEAM, *files)
    words = stage.fails("alice", "escrow", TEAM, *files, "--out", "/dev/null")
    assert "two of the escrow profiles list the same key" in words


def test_who_lists_a_key_first_keeps_nobody_out_for_good(stage: Stage) -> None:
    stage.team()
    bob = str(stage.person("bob"))
    stage.does("alice", "add", TEAM, written(stage, listing(device(stage, "bob"))))
    assert f"as does {MALLORY}" in stage.fails("alice", "add", TEAM, bob)
    stage.does("alice", "delete", TEAM, MALLORY)
    result = stage.run("alice", "add", TEAM, bob)
    assert result.exit_code == 0
    assert f"stands in the profiles of {MALLORY}, {BOB}" in result.stderr
    assert is_clear(stage)


def test_who_lists_a_key_does_not_gain_powers_with_it(stage: Stage) -> None:
    stage.team("bob")
    mallory = listing(device(stage, "bob"))
    let_in(stage, mallory)
    words = stage.fails("alice", "add", TEAM, written(stage, mallory), "--privilege", "ADMIN")
    assert f"{MALLORY} lists the key" in words
    assert f"stands in the profiles of {BOB}, {MALLORY}" in stage.does(
        "alice", "verify", TEAM
    ).decode().replace("\n", " ")


def test_a_plain_member_takes_no_escrow_key_from_the_group(stage: Stage) -> None:
    escrowed(stage)
    file = stage.folder / "team.escrow"
    stage.does("alice", "escrow", TEAM, "--out", str(file))
    let_in(stage, listing(device(stage, "notary")))
    result = stage.run("alice", "delete", TEAM, MALLORY)
    assert result.exit_code == 0
    assert "escrow" not in result.stderr
    result = stage.run("alice", "rekey", TEAM)
    assert "escrow" not in result.stderr
    assert is_clear(stage)
    assert state(stage).master.profile.master_escrow_keys == (device(stage, "notary"),)
    shutil.rmtree(stage.home("alice"))
    answer = json.loads(stage.does("notary", "recover", TEAM, str(file), "--json"))
    assert answer["HasKey"] is True


def test_where_nobody_said_whose_an_escrow_key_is_it_stays_and_is_told(stage: Stage) -> None:
    """Bob is SUPER, and has met the group after Alice had named the notary."""
    escrowed(stage)
    powers = ("--privilege", "SUPER", "--privilege", "RECRYPT")
    stage.does("alice", "add", TEAM, str(stage.folder / "bob.json"), *powers)
    stage.does("bob", "key", TEAM, "--service", URL)
    let_in(stage, listing(device(stage, "notary")))
    stage.does("bob", "delete", TEAM, MALLORY)
    (words,) = owed(stage, "bob").words()
    assert words.startswith(f"{MALLORY} lists the escrow key")
    assert words in stage.run("bob", "rekey", TEAM).stderr.replace("\n", " ")
    assert state(stage).master.profile.master_escrow_keys == (device(stage, "notary"),)
    notary = str(stage.folder / "notary.json")
    stage.does("bob", "escrow", TEAM, notary, "--out", str(stage.folder / "again"))
    assert is_clear(stage, "bob")


def test_the_owner_of_an_escrow_key_may_be_a_member_where_it_was_said(stage: Stage) -> None:
    escrowed(stage)
    notary = str(stage.folder / "notary.json")
    powers = ("--privilege", "SUPER", "--privilege", "RECRYPT")
    stage.does("alice", "add", TEAM, str(stage.folder / "bob.json"), *powers)
    stage.does("bob", "key", TEAM, "--service", URL)
    assert "wasn't named here as theirs" in stage.fails("bob", "add", TEAM, notary)
    stage.does("alice", "add", TEAM, notary)
    assert is_clear(stage)
    stage.does("alice", "delete", TEAM, "notary@example.org")
    assert state(stage).master.profile.master_escrow_keys == ()


def test_a_removed_administrators_debt_is_not_paid_by_anothers_profile(stage: Stage) -> None:
    two(stage, "ADMIN")
    let_in(stage, listing(device(stage, "bob"), CAROL), *BOTH)
    stage.does("alice", "refresh", TEAM)
    stage.does("alice", "suspend", TEAM, BOB)
    assert (owed(stage).online, owed(stage).group_key) == ((BOB,), (BOB,))
    result = stage.run("alice", "delete", TEAM, BOB, "--json")
    (left,) = json.loads(result.stdout)["LeftToDo"]
    assert f"stands in the profiles of {BOB}, {CAROL}" in left
    assert state(stage).key.document.generation == 2
    assert ELSEWHERE in stage.does("alice", "verify", TEAM).decode()


def test_a_removed_administrator_who_listed_anothers_device_leaves_no_debt(stage: Stage) -> None:
    stage.team("bob")
    let_in(stage, listing(device(stage, "alice")), *BOTH)
    stage.does("alice", "delete", TEAM, MALLORY)
    left = owed(stage)
    assert (left.online, left.group_key, left.escrow) == ((), (), {})


def test_history_names_who_had_the_right_and_not_who_lists_the_key(stage: Stage) -> None:
    two(stage, "ADMIN")
    let_in(stage, listing(online(stage, "alice")))
    stage.does("alice", "suspend", TEAM, BOB)
    told = json.loads(stage.does("alice", "history", TEAM, "--json"))["Changes"]
    assert told[-2]["SignedBy"] == "alice@example.org"
    assert {each["SignedBy"] for each in told[1:]} == {"alice@example.org"}


def test_history_shows_the_key_where_two_had_the_right(stage: Stage) -> None:
    two(stage, "ADMIN")
    key = online(stage, "alice")
    let_in(stage, listing(key), *BOTH)
    stage.does("alice", "suspend", TEAM, BOB)
    told = json.loads(stage.does("alice", "history", TEAM, "--json"))["Changes"]
    assert told[-1]["SignedBy"] == f"alice@example.org or {MALLORY} (key {key.udf[:11]}…)"


def test_a_change_is_told_by_the_group_before_it() -> None:
    """Bob signs, and the same change takes a newer profile of his in, without that key."""
    group, alice, bob = new_group(), new_person("alice@example.org"), new_person(BOB)
    seat = new_membership(bob, group.key, privileges=EVERY_POWER)
    history = new_history(group, administrator(alice, group), seat, authorised=alice)
    entry = replace(seat.entry, profile=bob.changed(online_signature_keys=()).signed)
    before = history.state
    history.update(bob.online, Membership(entry, {}))
    change = chain.read_change(history.changes[-1])
    assert f", {BOB}: UpdateMember" in trails.step(before, history.state, change).words


def test_history_tells_the_groups_own_keys_apart(stage: Stage) -> None:
    stage.team("bob")
    file = stage.folder / "team.escrow"
    stage.does("alice", "escrow", TEAM, str(stage.person("notary")), "--out", str(file))
    stage.does("notary", "recover", TEAM, str(file))
    told = json.loads(stage.does("notary", "history", TEAM, "--json"))["Changes"]
    assert told[0]["SignedBy"] == f"{TEAM} (its online key)"
    assert f"{TEAM} (its master key)" in {each["SignedBy"] for each in told}
