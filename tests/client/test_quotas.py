"""`recrypt quota`: how often a member may have the service recrypt on a day."""

import json

import pytest

from tests.client.stage import TEAM, Stage

BOB, CAROL = "bob@example.org", "carol@example.org"
TEN = "RecryptData per-day 10"


def quotas(stage: Stage) -> dict[str, tuple[str, ...]]:
    """Tell whose entries in the chain have quotas."""
    assert stage.service.state is not None
    members = stage.service.state.members.values()
    return {each.account: each.entry.quotas for each in members if each.entry.quotas}


def test_it_is_set_shown_and_unset(stage: Stage) -> None:
    stage.team("bob", "carol")
    told = stage.does("alice", "quota", TEAM, BOB, CAROL, "--per-day", "10").decode()
    assert told == f"{BOB} bounded in {TEAM}\n{CAROL} bounded in {TEAM}\n"
    assert quotas(stage) == {BOB: (TEN,), CAROL: (TEN,)}
    assert stage.service.state is not None
    assert all(each.entry.entries for each in stage.service.state.members.values())
    told = stage.does("alice", "quota", TEAM, CAROL, "--unset").decode()
    assert told == f"{CAROL} no more bounded in {TEAM}\n"
    shown = json.loads(stage.does("alice", "quota", TEAM, "--json"))
    assert [(each["AccountName"], each["Quotas"]) for each in shown["Members"]] == [(BOB, [TEN])]
    assert f"{BOB}  {TEN}" in stage.does("alice", "quota", TEAM).decode()


def test_who_has_it_already_is_passed_over(stage: Stage) -> None:
    stage.team("bob")
    stage.does("alice", "quota", TEAM, BOB, "--per-day", "0")
    changes = len(stage.service.changes)
    told = json.loads(stage.does("alice", "quota", TEAM, BOB, "--per-day", "0", "--json"))
    assert (told["Changed"], told["Skipped"]) == ([], [BOB])
    assert len(stage.service.changes) == changes


def test_it_stays_through_a_suspension_and_a_rekey(stage: Stage) -> None:
    stage.team("bob")
    stage.does("alice", "quota", TEAM, BOB, "--per-day", "10")
    stage.does("alice", "suspend", TEAM, BOB)
    stage.does("alice", "resume", TEAM, BOB)
    stage.does("alice", "rekey", TEAM)
    assert quotas(stage) == {BOB: (TEN,)}


def test_an_admin_bounds_members_and_no_administrator(stage: Stage) -> None:
    stage.team("bob", "carol")
    file = str(stage.folder / "bob.json")
    stage.does("alice", "add", TEAM, file, "--privilege", "RECRYPT", "--privilege", "ADMIN")
    stage.does("bob", "key", TEAM, "--service", "https://lists.example")
    stage.does("bob", "quota", TEAM, CAROL, "--per-day", "1")
    assert "SUPER" in stage.fails("bob", "quota", TEAM, "alice@example.org", "--per-day", "1")
    assert quotas(stage) == {CAROL: ("RecryptData per-day 1",)}


@pytest.mark.parametrize("value", ["many", "-1", "1.5", "1000000000"])
def test_what_is_no_number_is_wrong_usage(stage: Stage, value: str) -> None:
    stage.team("bob")
    asked = len(stage.service.asked)
    assert stage.run("alice", "quota", TEAM, BOB, "--per-day", value).exit_code == 2
    assert stage.run("alice", "quota", TEAM, BOB).exit_code == 2
    assert stage.run("alice", "quota", TEAM, BOB, "--per-day", "1", "--unset").exit_code == 2
    assert stage.run("alice", "quota", TEAM, "--per-day", "1").exit_code == 2
    assert len(stage.service.asked) == asked


def test_who_is_no_member_is_named(stage: Stage) -> None:
    stage.team()
    assert "dave@example.org is no member" in stage.fails(
        "alice", "quota", TEAM, "dave@example.org", "--per-day", "1"
    )
