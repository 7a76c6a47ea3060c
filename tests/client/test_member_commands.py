"""`recrypt add`, `delete`, `suspend`, `resume`, `members`: who is in a group."""

import json
import shutil
from pathlib import Path

import pytest

from recrypt_client import chains, contacts, entries, terminal
from recrypt_client.entries import Made
from recrypt_client.service import Service
from recrypt_core import limits
from recrypt_core.documents import MemberEntry, Privilege, Status
from recrypt_core.encoding import write_json
from recrypt_core.errors import NotForThisKey
from recrypt_core.members import Member
from recrypt_core.messages import AddMember
from recrypt_core.opening import open_whole
from tests.builders import new_group, new_membership, new_person
from tests.client.stage import TEAM, URL, Stage


def statuses(stage: Stage) -> dict[str, str]:
    answer = json.loads(stage.does("alice", "members", TEAM, "--json"))
    return {each["AccountName"]: each["Status"] for each in answer["Members"]}


def member(stage: Stage, name: str) -> Member:
    assert stage.service.state is not None
    members = stage.service.state.members.values()
    return next(each for each in members if each.account == f"{name}@example.org")


def first(stage: Stage, *arguments: str) -> None:
    """Let Alice's other machine come first with a change, before the service sees the next one."""

    def change() -> None:
        shutil.copytree(stage.home("alice"), stage.home("other"))
        stage.does("other", *arguments)

    stage.service.before = change


def test_members_are_added_with_a_fresh_split_each(stage: Stage) -> None:
    stage.team("bob", "carol")
    assert statuses(stage) == {
        "alice@example.org": "ACTIVE",
        "bob@example.org": "ACTIVE",
        "carol@example.org": "ACTIVE",
    }
    assert len(stage.service.halves) == 3
    assert member(stage, "alice").entry.privileges == (
        Privilege.RECRYPT,
        Privilege.ADMIN,
        Privilege.SUPER,
    )
    assert member(stage, "bob").entry.privileges == (Privilege.RECRYPT,)


def test_x_is_sealed_to_the_members_devices_without_their_names(stage: Stage) -> None:
    stage.team("bob")
    (entry,) = member(stage, "bob").entry.entries
    envelope = entry.decryption_key.envelope
    assert [each.kid for each in envelope.recipients] == [None]
    opened = json.loads(open_whole(envelope, stage.keys("bob").device_keys()))
    assert opened["kid"] == entry.member_key_udf
    with pytest.raises(NotForThisKey):
        open_whole(envelope, stage.keys("alice").device_keys())


def test_privileges_and_status_are_as_given(stage: Stage) -> None:
    stage.team()
    file = str(stage.person("bob"))
    terms = ("--privilege", "recrypt", "--privilege", "ADMIN", "--status", "suspended")
    stage.does("alice", "add", TEAM, file, *terms)
    assert member(stage, "bob").entry.privileges == (Privilege.RECRYPT, Privilege.ADMIN)
    assert member(stage, "bob").entry.status is Status.SUSPENDED


def test_who_is_a_member_already_is_passed_over(stage: Stage) -> None:
    stage.team("bob")
    files = [
        str(stage.folder / "bob.json"),
        str(stage.person("carol")),
        str(stage.folder / "bob.json"),
    ]
    answer = json.loads(stage.does("alice", "add", TEAM, *files, "--json"))
    assert answer["Changed"] == ["carol@example.org"]
    assert answer["Skipped"] == ["bob@example.org"]


def test_after_a_lost_answer_the_next_add_sees_what_was_taken(stage: Stage) -> None:
    stage.team()
    file = str(stage.person("bob"))
    stage.service.lost_answers = 1
    assert "the connection was reset" in stage.fails("alice", "add", TEAM, file)
    assert json.loads(stage.does("alice", "add", TEAM, file, "--json"))["Changed"] == []
    assert statuses(stage)["bob@example.org"] == "ACTIVE"


def test_a_change_that_came_too_late_is_made_once_more(stage: Stage) -> None:
    stage.team("bob")
    file = str(stage.person("carol"))
    first(stage, "suspend", TEAM, "bob@example.org")
    stage.does("alice", "add", TEAM, file)
    assert statuses(stage) == {
        "alice@example.org": "ACTIVE",
        "bob@example.org": "SUSPENDED",
        "carol@example.org": "ACTIVE",
    }


def test_a_change_that_came_too_late_does_not_undo_the_other_one(stage: Stage) -> None:
    stage.team("bob")
    first(stage, "delete", TEAM, "bob@example.org")
    stage.does("alice", "suspend", TEAM, "bob@example.org")
    assert member(stage, "bob").entry.status is Status.SUSPENDED
    assert member(stage, "bob").entry.entries == ()  # the other one's deletion took them


def test_who_was_added_by_another_in_the_meantime_is_passed_over(stage: Stage) -> None:
    stage.team()
    files = [str(stage.person(name)) for name in ("bob", "carol")]
    first(stage, "add", TEAM, files[0])
    answer = json.loads(stage.does("alice", "add", TEAM, *files, "--json"))
    assert (answer["Changed"], answer["Skipped"]) == (["carol@example.org"], ["bob@example.org"])
    assert [len(each.entry.entries) for each in (member(stage, "bob"), member(stage, "carol"))] == [
        1,
        1,
    ]


def test_what_another_did_in_the_meantime_is_not_done_again(stage: Stage) -> None:
    stage.team("bob")
    first(stage, "suspend", TEAM, "bob@example.org")
    answer = json.loads(stage.does("alice", "suspend", TEAM, "bob@example.org", "--json"))
    assert (answer["Changed"], answer["Skipped"]) == ([], ["bob@example.org"])
    assert len(stage.service.changes) == 3


def test_a_member_whose_account_name_another_left_out_goes_by_the_profiles_first(
    stage: Stage,
) -> None:
    stage.team()
    state, home = stage.service.state, stage.keys("alice")
    assert state is not None
    key = home.agreement_key(state.key.udf)
    assert key is not None
    bob = new_person("bob@example.org")
    made = new_membership(bob, key)
    entry = MemberEntry(recrypt_udf=bob.udf, profile=bob.signed, entries=made.entry.entries)
    assert entry.account_name is None
    message = AddMember(recryption_group=state.identifier, member_entry=(entry,))
    pin = home.pin(TEAM)
    assert pin is not None
    desk = chains.open_desk(home, Service(URL, stage.service.transport), pin)
    chains.append(desk, state, message, halves=made.halves, now=stage.now)
    assert statuses(stage)["bob@example.org"] == "ACTIVE"
    for command in ("suspend", "resume", "delete", "resume"):
        told = stage.does("alice", command, TEAM, "bob@example.org").decode()
        assert told.startswith("bob@example.org now ")
    assert "bob@example.org ACTIVE" in stage.does("alice", "history", TEAM).decode()


def test_who_is_deleted_has_no_entries_and_comes_back_with_new_ones(stage: Stage) -> None:
    stage.team("bob")
    (before,) = member(stage, "bob").entry.entries
    stage.does("alice", "delete", TEAM, "bob@example.org")
    assert member(stage, "bob").entry.status is Status.REVOKED
    assert member(stage, "bob").entry.entries == ()
    words = stage.fails("alice", "add", TEAM, str(stage.folder / "bob.json"))
    assert f"recrypt resume {TEAM} bob@example.org" in words
    stage.does("alice", "resume", TEAM, "bob@example.org")
    (after,) = member(stage, "bob").entry.entries
    assert after.member_key_udf != before.member_key_udf
    assert stage.does("bob", "read", stdin=stage.copy(stage.sealed(), "bob"))


def test_who_is_suspended_keeps_the_entries(stage: Stage) -> None:
    stage.team("bob")
    before = member(stage, "bob").entry.entries
    stage.does("alice", "suspend", TEAM, "bob@EXAMPLE.org")
    assert member(stage, "bob").entry.status is Status.SUSPENDED
    assert member(stage, "bob").entry.entries == before
    stage.does("alice", "resume", TEAM, "bob@example.org")
    assert member(stage, "bob").entry.status is Status.ACTIVE
    assert member(stage, "bob").entry.entries == before


def test_what_is_so_already_changes_nothing(stage: Stage) -> None:
    stage.team("bob")
    stage.does("alice", "resume", TEAM, "bob@example.org")
    assert len(stage.service.changes) == 2


def test_a_member_is_named_by_typed_fingerprint(stage: Stage) -> None:
    stage.team("bob")
    typed = member(stage, "bob").profile.identifier.replace("-", " ").lower()
    stage.does("alice", "delete", TEAM, typed)
    assert statuses(stage)["bob@example.org"] == "REVOKED"


def test_an_address_of_two_members_is_refused_with_their_fingerprints(stage: Stage) -> None:
    stage.team("bob")
    stage.does("twin", "profile", "create", "bob@example.org")
    file = stage.folder / "twin.json"
    stage.does("twin", "profile", "show", "--out", str(file))
    stage.does("alice", "add", TEAM, str(file))
    words = stage.fails("alice", "delete", TEAM, "bob@example.org")
    for who in ("bob", "twin"):
        assert stage.keys(who).profile().identifier in words
    assert len(stage.service.changes) == 3


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        ("dave@example.org", "is no member"),
        ("dave", "not a fingerprint"),
        ("M" * 25, "is no member"),
    ],
)
def test_who_is_no_member_is_named(stage: Stage, who: str, expected: str) -> None:
    stage.team()
    assert expected in stage.fails("alice", "delete", TEAM, who)


def test_the_last_administrator_stays(stage: Stage) -> None:
    stage.team("bob")
    words = stage.fails("alice", "delete", TEAM, "alice@example.org")
    assert "without an ACTIVE SUPER" in words
    assert len(stage.service.changes) == 2


def test_a_member_is_no_administrator(stage: Stage) -> None:
    stage.team("bob")
    stage.does("bob", "key", TEAM)
    assert "403" in stage.fails("bob", "members", TEAM)


def test_a_stranger_is_told_no_more_than_that_the_key_is_unknown(stage: Stage) -> None:
    stage.team()
    stage.person("mallory")
    stage.does("mallory", "key", TEAM)
    assert "401 signed by a key that is unknown" in stage.fails("mallory", "members", TEAM)


@pytest.mark.parametrize(
    "octets", [b"", b"{}", b'{"payload":"e30","protected":"e30","signature":"AA"}']
)
def test_what_is_no_profile_is_refused_by_name(stage: Stage, octets: bytes) -> None:
    stage.team()
    file = stage.folder / "broken.json"
    file.write_bytes(octets)
    assert "broken.json" in stage.fails("alice", "add", TEAM, str(file))


def test_a_forged_profile_is_refused(stage: Stage) -> None:
    stage.team()
    file = stage.person("bob")
    other = json.loads(stage.person("carol").read_bytes())
    forged = {**json.loads(file.read_bytes()), "payload": other["payload"]}
    file.write_text(json.dumps(forged))
    assert "bob.json" in stage.fails("alice", "add", TEAM, str(file))


def test_a_profile_older_than_one_that_was_seen_is_refused(stage: Stage, tmp_path: Path) -> None:
    stage.team()
    bob, old = new_person("bob@example.org"), tmp_path / "old.json"
    old.write_bytes(write_json(bob.signed.json()))
    contacts.see(stage.keys("alice"), bob.changed().verified)
    assert "older than one that was seen" in stage.fails("alice", "add", TEAM, str(old))


def test_a_profile_without_encryption_keys_can_be_no_member(stage: Stage, tmp_path: Path) -> None:
    stage.team()
    file = tmp_path / "master.json"
    file.write_bytes(write_json(new_group().master.signed.json()))
    assert "no EncryptionKeys" in stage.fails("alice", "add", TEAM, str(file))


def test_a_missing_file_is_told_by_name(stage: Stage) -> None:
    stage.team()
    assert "nosuch.json: No such file" in stage.fails("alice", "add", TEAM, "nosuch.json")


def test_changes_hold_a_thousand_entries_at_most() -> None:
    key, person = new_group().key, new_person("bob@example.org")
    made = entries.member(person.verified, key, privileges=(Privilege.RECRYPT,))
    sizes = [len(batch) for batch in entries.batches([made] * 2001)]
    assert sizes == [1000, 1000, 1]


def test_changes_stay_below_eight_mebioctets() -> None:
    key, person = new_group().key, new_person("bob@example.org", devices=32)
    made = entries.member(person.verified, key, privileges=(Privilege.RECRYPT,))
    size = len(write_json({"x": made.entry.profile.json()}))
    assert size > 4000
    batches = list(entries.batches([Made(made.entry, made.halves)] * 900))
    assert len(batches) > 1
    for batch in batches:
        assert len(batch) * size * 4 // 3 < limits.REQUEST_OCTETS


def test_an_outcome_is_told_to_people_in_words(stage: Stage) -> None:
    stage.team()
    told = stage.does("alice", "add", TEAM, str(stage.person("bob"))).decode()
    assert told == f"bob@example.org added to {TEAM}\n"
    told = stage.does("alice", "suspend", TEAM, "bob@example.org").decode()
    assert told == f"bob@example.org now SUSPENDED in {TEAM}\n"
    assert "bob@example.org    SUSPENDED" in stage.does("alice", "members", TEAM).decode()


def test_names_are_shown_without_control_characters() -> None:
    assert terminal.plain_line("a\x1b[2J\nb\u202e") == "a\ufffd[2J b\ufffd"
