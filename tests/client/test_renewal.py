"""A group key's time: senders are warned, administrators sign it again and are told to rekey."""

from datetime import timedelta

import pytest

from recrypt_client.renewing import OLD
from recrypt_core.limits import GROUP_KEY_LIFE
from tests.client.stage import TEAM, Stage

DAY = timedelta(days=1)


def seal(stage: Stage) -> str:
    """Seal a message; give what was told beside it."""
    result = stage.run("alice", "seal", "--to", TEAM, stdin=b"Subject: Lunch\r\n\r\nAt one?\r\n")
    assert result.exit_code == 0, result.stderr
    return result.stderr


def test_a_sender_is_warned_two_weeks_before_the_key_ends(stage: Stage) -> None:
    stage.team()
    stage.now += GROUP_KEY_LIFE - 15 * DAY
    assert "good until" not in seal(stage)
    stage.now += DAY
    told = seal(stage)
    assert told == (
        f"the key of {TEAM} is good until 2027-05-21 only: ask the group's administrator to sign "
        "it again\n"
    )
    assert "good until" in stage.run("alice", "key", TEAM).stderr
    assert "good until" in stage.run("alice", "encrypt", "-", "--to", TEAM, stdin=b"x").stderr


def test_nothing_is_encrypted_to_a_key_that_has_ended(stage: Stage) -> None:
    stage.team()
    stage.now += GROUP_KEY_LIFE + DAY
    for command in (("seal",), ("encrypt", "-")):
        result = stage.run("alice", *command, "--to", TEAM, stdin=b"Subject: Lunch\r\n\r\nx\r\n")
        assert result.exit_code == 1
        assert result.stdout_bytes == b""
        assert "was good until 2027-05-21" in result.stderr
        assert "Ask the group's administrator" in result.stderr


@pytest.mark.parametrize("days", [30, 1, -100], ids=["in time", "late", "too late"])
@pytest.mark.parametrize(
    "command", [("members", TEAM), ("suspend", TEAM, "bob@example.org")], ids=["members", "suspend"]
)
def test_an_administrators_command_signs_the_key_again(
    stage: Stage, command: tuple[str, ...], days: int
) -> None:
    stage.team("bob")
    key = stage.keys("alice").pin(TEAM)
    assert key is not None
    stage.now += GROUP_KEY_LIFE - days * DAY
    result = stage.run("alice", *command)
    assert result.exit_code == 0, result.stderr
    until = stage.now + GROUP_KEY_LIFE
    assert f"the key of {TEAM} was signed again: it is good until {until:%Y-%m-%d}" in result.stderr
    assert "good until" not in seal(stage)
    again = stage.keys("alice").pin(TEAM)
    assert again is not None
    assert (again.generation, again.key_udf) == (key.generation, key.key_udf)
    assert "signed again" not in stage.run("alice", "members", TEAM).stderr


def test_a_key_that_lasts_is_not_signed_again(stage: Stage) -> None:
    stage.team()
    stage.now += GROUP_KEY_LIFE - 31 * DAY
    assert stage.run("alice", "members", TEAM).stderr == ""


def test_an_old_key_is_to_be_followed_by_another_however_often_it_was_signed(stage: Stage) -> None:
    stage.team()
    stage.now += OLD + DAY
    reminder = f"days old: make a new one with recrypt rekey {TEAM}"
    told = stage.run("alice", "members", TEAM).stderr
    assert "signed again" in told
    assert f"151 {reminder}" in told
    stage.now += 10 * DAY
    assert stage.run("alice", "members", TEAM).stderr == f"the key of {TEAM} is 161 {reminder}\n"
    stage.does("alice", "rekey", TEAM)
    assert stage.run("alice", "members", TEAM).stderr == ""


def test_who_has_not_what_signs_is_told_and_the_command_works_all_the_same(stage: Stage) -> None:
    stage.team("bob")
    group = stage.keys("alice").pin(TEAM)
    assert group is not None
    state_keys = {path.stem for path in stage.home("alice").glob("keys/*.jwk")}
    own = stage.keys("alice").profile()
    kept = {key.udf for key in own.signature_keys}
    for udf in state_keys - kept - {group.key_udf}:
        (stage.home("alice") / f"keys/{udf}.jwk").unlink()
    stage.now += GROUP_KEY_LIFE - 20 * DAY
    result = stage.run("alice", "members", TEAM)
    assert result.exit_code == 0
    assert b"bob@example.org" in result.stdout_bytes
    assert f"the key of {TEAM} is good until 2027-05-21 only, and it couldn't be" in result.stderr
    assert "no private key that signs for" in result.stderr
