"""Members' newer profiles: published, handed on by the service, taken in with entries anew."""

import json
from datetime import timedelta

import pytest
from msgspec.structs import replace as but

from recrypt_core.chain import GroupState, read_change
from recrypt_core.documents import Privilege, VerifiedProfile, sign_profile
from recrypt_core.errors import NotForThisKey
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.members import Member
from recrypt_core.messages import GetGroupResponse, Response, UpdateMember
from recrypt_core.opening import open_whole
from recrypt_core.signing import Jws
from recrypt_core.wire import from_json
from tests.builders import new_person
from tests.client.stage import TEAM, URL, Stage

BOB = "bob@example.org"


def state(stage: Stage) -> GroupState:
    assert stage.service.state is not None
    return stage.service.state


def member(stage: Stage, address: str = BOB) -> Member:
    return next(each for each in state(stage).members.values() if each.account == address)


def newer(stage: Stage, who: str, **changes: object) -> VerifiedProfile:
    """Sign a newer profile of somebody, and put it into the home."""
    home = stage.keys(who)
    old = home.profile()
    master = home.signature_key(old.identifier)
    assert master is not None
    later = {"updated": stage.now.replace(microsecond=0), **changes}
    made = sign_profile(but(old.profile, **later), master)
    (stage.home(who) / "profile.json").write_text(json.dumps(made.signed.json()))
    return made


def lose_the_device(stage: Stage, who: str) -> PrivateKey:
    """Let somebody have another device than the one that was lost; give the lost one's key."""
    (lost,) = stage.keys(who).device_keys()
    fresh = PrivateKey.generate(Curve.X25519)
    stage.keys(who).keep_key(fresh)
    newer(stage, who, encryption_keys=(fresh.public,))
    return lost


def published(stage: Stage, who: str) -> None:
    if stage.keys(who).pin(TEAM) is None:
        stage.does(who, "key", TEAM, "--service", URL)
    stage.does(who, "profile", "publish", TEAM)


def test_a_lost_device_reads_no_more_and_the_new_one_does(stage: Stage) -> None:
    stage.team("bob", "carol")
    before = member(stage).entry.entries
    lost = lose_the_device(stage, "bob")
    published(stage, "bob")
    told = stage.does("alice", "refresh", TEAM).decode()
    assert told == f"{BOB} has a newer profile, and entries for it\n"
    (entry,) = member(stage).entry.entries
    assert entry.member_key_udf not in {each.member_key_udf for each in before}
    with pytest.raises(NotForThisKey):
        open_whole(entry.decryption_key.envelope, [lost])
    assert b"At one?" in stage.does("bob", "read", stdin=stage.copy(stage.sealed(), "bob"))
    assert stage.does("alice", "refresh", TEAM) == b"No newer profile waits\n"


@pytest.mark.parametrize("command", ["add", "resume", "rekey"])
def test_other_commands_take_newer_profiles_in_on_the_way(stage: Stage, command: str) -> None:
    stage.team("bob", "carol")
    lose_the_device(stage, "bob")
    published(stage, "bob")
    rest = {
        "add": [str(stage.person("dave"))],
        "resume": ["carol@example.org"],
        "rekey": [],
    }[command]
    result = stage.run("alice", command, TEAM, *rest)
    assert result.exit_code == 0, result.output
    assert f"{BOB} has a newer profile" in result.stderr
    assert b"At one?" in stage.does("bob", "read", stdin=stage.copy(stage.sealed(), "bob"))


def test_a_profile_with_the_same_devices_keeps_its_entries(stage: Stage) -> None:
    stage.team("bob")
    before = member(stage).entry.entries
    newer(stage, "bob", accounts=(BOB, "robert@example.org"))
    published(stage, "bob")
    stage.does("alice", "refresh", TEAM)
    assert member(stage).entry.entries == before
    assert member(stage).profile.profile.accounts == (BOB, "robert@example.org")


def test_an_administrators_new_device_gets_the_groups_keys(stage: Stage) -> None:
    stage.team()
    stage.does("alice", "add", TEAM, str(stage.person("bob")), "--privilege", "ADMIN")
    lost = lose_the_device(stage, "bob")
    published(stage, "bob")
    stage.does("alice", "refresh", TEAM)
    kids = {each.kid for key in state(stage).administrator_keys for each in key.envelope.recipients}
    assert lost.public.udf not in kids
    stage.does("bob", "add", TEAM, str(stage.person("carol")))


def test_an_admin_takes_another_administrators_newer_profile_in(stage: Stage) -> None:
    stage.team()
    stage.does("alice", "add", TEAM, str(stage.person("bob")), "--privilege", "ADMIN")
    lose_the_device(stage, "alice")
    published(stage, "alice")
    stage.does("bob", "key", TEAM, "--service", URL)
    told = json.loads(stage.does("bob", "refresh", TEAM, "--json"))
    assert (told["Changed"], told["Waiting"]) == (["alice@example.org"], [])
    assert member(stage, "alice@example.org").may(Privilege.SUPER)


def test_what_cannot_be_taken_in_is_told(stage: Stage) -> None:
    stage.team("bob", "carol")
    newer(stage, "bob", accounts=("robert@example.org",))
    newer(stage, "carol", accounts=("carol@example.org", "c@example.org"))
    for who in ("bob", "carol"):
        published(stage, who)
    stage.does("alice", "delete", TEAM, "carol@example.org")
    told = stage.does("alice", "refresh", TEAM).decode()
    assert f"{BOB} is no Account of the member's newer profile" in told
    assert "carol@example.org is REVOKED" in told


@pytest.mark.parametrize("command", ["delete", "suspend"])
def test_who_is_resumed_has_at_no_time_an_entry_for_a_device_that_is_gone(
    stage: Stage, command: str
) -> None:
    stage.team("bob")
    lost = lose_the_device(stage, "bob")
    published(stage, "bob")
    stage.does("alice", command, TEAM, BOB)
    given = {each.member_key_udf for each in member(stage).entry.entries}
    count = len(stage.service.changes)
    told = stage.does("alice", "resume", TEAM, BOB).decode()
    assert told == f"{BOB} now ACTIVE in {TEAM}\n"
    entries = [
        entry
        for signed in stage.service.changes[count:]
        for stated in message_of(signed).member_entry
        for entry in stated.entries
    ]
    assert not given & {each.member_key_udf for each in entries}
    for entry in entries:
        with pytest.raises(NotForThisKey):
            open_whole(entry.decryption_key.envelope, [lost])
    assert b"At one?" in stage.does("bob", "read", stdin=stage.copy(stage.sealed(), "bob"))


def message_of(signed: Jws) -> UpdateMember:
    message = read_change(signed).message
    assert isinstance(message, UpdateMember)
    return message


def shows(stage: Stage, profile: Jws) -> None:
    """Let the service hand on this profile as a member's newer one."""

    def lie(_name: str, response: Response) -> Response:
        if not isinstance(response, GetGroupResponse):
            return response
        return but(response, newer_profiles=(profile,))

    stage.service.lie = lie


def test_a_newer_profile_dated_ahead_waits_until_it_is_not(stage: Stage) -> None:
    stage.team("bob")
    newer(stage, "bob", updated=stage.now.replace(microsecond=0) + timedelta(days=2))
    published(stage, "bob")
    count = len(stage.service.changes)
    told = stage.does("alice", "refresh", TEAM).decode()
    assert f"{BOB}: a Profile dated over a day ahead" in told
    assert len(stage.service.changes) == count
    stage.now += timedelta(days=1, hours=1)
    assert "has a newer profile" in stage.does("alice", "refresh", TEAM).decode()


def test_a_file_with_a_profile_dated_ahead_is_refused(stage: Stage) -> None:
    stage.team()
    file = stage.person("bob")
    ahead = newer(stage, "bob", updated=stage.now.replace(microsecond=0) + timedelta(days=2))
    file.write_text(json.dumps(ahead.signed.json()))
    assert "dated over a day ahead" in stage.fails("alice", "add", TEAM, str(file))


def test_an_older_profile_or_a_strangers_is_passed_over(stage: Stage) -> None:
    stage.team("bob")
    old = member(stage).profile.signed
    lose_the_device(stage, "bob")
    published(stage, "bob")
    stage.does("alice", "refresh", TEAM)
    for profile in (old, new_person("mallory@example.org").changed(seconds=10**6).signed):
        shows(stage, profile)
        assert stage.does("alice", "refresh", TEAM) == b"No newer profile waits\n"


def test_a_forged_profile_is_refused(stage: Stage) -> None:
    stage.team("bob")
    real = json.loads((stage.folder / "bob.json").read_text())
    other = new_person(BOB).changed(seconds=10**6).signed
    shows(stage, from_json(Jws, {**real, "payload": other.payload}))
    count = len(stage.service.changes)
    assert "a newer profile of a member" in stage.fails("alice", "refresh", TEAM)
    assert len(stage.service.changes) == count
