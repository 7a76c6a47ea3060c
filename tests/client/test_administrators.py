"""Several administrators: each with the group's keys, each on a machine of her own; one leaves."""

import json

import pytest
from msgspec.structs import replace as but

from recrypt_client import sharing
from recrypt_client.service import Service
from recrypt_core.chain import GroupState
from recrypt_core.documents import Privilege, RecryptionGroup, Status
from recrypt_core.encoding import write_json
from recrypt_core.keys import PrivateKey
from recrypt_core.members import Member
from recrypt_core.messages import ChangeResponse, UpdateGroup, write_message
from recrypt_core.sealing import seal
from recrypt_core.signing import Link, request_body, sign_request
from recrypt_core.wire import SealedKey
from tests.builders import new_person
from tests.client.stage import TEAM, URL, Stage

BOB = "bob@example.org"
CAROL = "carol@example.org"


def state(stage: Stage) -> GroupState:
    assert stage.service.state is not None
    return stage.service.state


def member(stage: Stage, address: str) -> Member:
    return next(each for each in state(stage).members.values() if each.account == address)


def two(stage: Stage, *powers: str) -> None:
    """Let Alice make the team with Bob as another administrator, who has met it."""
    stage.team()
    given = [word for power in ("RECRYPT", *powers) for word in ("--privilege", power)]
    stage.does("alice", "add", TEAM, str(stage.person("bob")), *given)
    stage.does("bob", "key", TEAM, "--service", URL, "--fingerprint", state(stage).identifier)


def by_hand(stage: Stage, who: str, group: RecryptionGroup) -> None:
    """Send an UpdateGroup that our client wouldn't, with somebody's own key."""
    home, at = stage.keys(who), state(stage)
    message = write_message(UpdateGroup(recryption_group=group))
    link = Link(at.identifier, at.head.seq + 1, at.head.hash)
    key = home.signing_key(home.profile())
    signed = sign_request(message, key, url=URL, now=stage.now, link=link)
    with Service(URL, stage.service.transport) as service:
        service.send(request_body(signed, {}), UpdateGroup.transaction, ChangeResponse)


def test_an_administrator_on_another_machine_takes_the_keys_from_the_group(stage: Stage) -> None:
    two(stage, "ADMIN")
    assert stage.keys("bob").agreement_key(state(stage).key.udf) is None
    stage.does("bob", "add", TEAM, str(stage.person("carol")))
    assert stage.keys("bob").agreement_key(state(stage).key.udf) is not None
    assert b"At one?" in stage.does("carol", "read", stdin=stage.copy(stage.sealed(), "carol"))
    stage.does("bob", "suspend", TEAM, CAROL)
    stage.does("bob", "resume", TEAM, CAROL)


def test_the_master_key_is_for_super_alone(stage: Stage) -> None:
    two(stage, "ADMIN")
    stage.does("bob", "rekey", TEAM)
    assert stage.keys("bob").signature_key(state(stage).identifier) is None
    stage.does("alice", "add", TEAM, str(stage.folder / "bob.json"), "--privilege", "SUPER")
    assert member(stage, BOB).may(Privilege.SUPER)
    stage.does("bob", "rekey", TEAM)
    assert stage.keys("bob").signature_key(state(stage).identifier) is not None


def test_an_admin_rekeys_for_all_and_the_super_goes_on(stage: Stage) -> None:
    two(stage, "ADMIN")
    stage.does("bob", "rekey", TEAM)
    assert state(stage).key.document.generation == 2
    assert stage.keys("alice").agreement_key(state(stage).key.udf) is None
    stage.does("alice", "add", TEAM, str(stage.person("carol")))
    for who in ("alice", "bob", "carol"):
        assert b"At one?" in stage.does(who, "read", stdin=stage.copy(stage.sealed(), who))
    stage.does("alice", "rekey", TEAM)  # the master key's part was kept for her
    assert stage.run("alice", "verify", TEAM).exit_code == 0


def test_an_admin_can_make_nobody_an_administrator(stage: Stage) -> None:
    two(stage, "ADMIN")
    carol = str(stage.person("carol"))
    words = stage.fails("bob", "add", TEAM, carol, "--privilege", "ADMIN")
    assert "only an ACTIVE SUPER may do that" in words
    assert "only an ACTIVE SUPER" in stage.fails("bob", "delete", TEAM, "alice@example.org")


def test_who_is_added_with_powers_later_is_promoted(stage: Stage) -> None:
    stage.team("bob")
    file = str(stage.folder / "bob.json")
    told = stage.does("alice", "add", TEAM, file, "--privilege", "ADMIN").decode()
    assert told == f"{BOB} changed in {TEAM}\n"
    assert member(stage, BOB).entry.privileges == (Privilege.RECRYPT, Privilege.ADMIN)
    count = len(stage.service.changes)
    stage.does("alice", "add", TEAM, file, "--privilege", "ADMIN")
    assert len(stage.service.changes) == count


def test_keys_that_were_not_sealed_as_the_answer_was_lost_are_sealed_next_time(
    stage: Stage,
) -> None:
    stage.team()
    file = str(stage.person("bob"))
    stage.service.lost_answers = 1
    stage.fails("alice", "add", TEAM, file, "--privilege", "ADMIN")
    assert not sharing.is_sealed_right(state(stage), has_master=True)
    stage.does("alice", "add", TEAM, file, "--privilege", "ADMIN")
    assert sharing.is_sealed_right(state(stage), has_master=True)


def test_two_administrators_at_once_both_get_their_way(stage: Stage) -> None:
    two(stage, "ADMIN")
    carol, dave = str(stage.person("carol")), str(stage.person("dave"))

    def first() -> None:
        stage.does("bob", "add", TEAM, dave)

    stage.service.before = first
    stage.does("alice", "add", TEAM, carol)
    assert {each.account for each in state(stage).members.values()} == {
        "alice@example.org", BOB, CAROL, "dave@example.org",
    }  # fmt: skip


def test_a_removed_administrator_can_do_nothing_with_what_he_had(stage: Stage) -> None:
    two(stage, "ADMIN")
    stage.does("bob", "add", TEAM, str(stage.person("carol")))
    had = stage.keys("bob")
    old = state(stage)
    result = stage.run("alice", "delete", TEAM, BOB, "--json")
    assert result.exit_code == 0, result.output
    now = state(stage)
    assert json.loads(result.stdout)["Head"]["seq"] == now.head.seq
    assert member(stage, BOB).entry.status is Status.REVOKED
    assert member(stage, BOB).entry.privileges == (Privilege.RECRYPT,)
    assert now.key.document.generation == 2
    online = old.master.profile.online_signature_keys[0].udf
    assert had.signature_key(online) is not None
    assert now.signer(online) is None
    assert sharing.is_sealed_right(now, has_master=True)
    opened = sharing.open_keys(now, had.device_keys())
    assert (opened.agreement, opened.online, opened.master) == ((), (), None)
    assert "403" in stage.fails("bob", "members", TEAM)
    assert b"At one?" in stage.does("carol", "read", stdin=stage.copy(stage.sealed(), "carol"))
    assert "private keys elsewhere" not in stage.does("alice", "verify", TEAM).decode()


def test_the_removal_goes_on_where_it_was_cut_off(stage: Stage) -> None:
    two(stage, "ADMIN")
    stage.service.lost_answers = 1
    assert "the connection was reset" in stage.fails("alice", "delete", TEAM, BOB)
    told = stage.does("alice", "verify", TEAM).decode()
    assert "can still sign for the group" in told
    assert "can still read" in told
    stage.does("alice", "delete", TEAM, BOB)
    assert state(stage).key.document.generation == 2
    assert "private keys elsewhere" not in stage.does("alice", "verify", TEAM).decode()


def test_who_was_super_is_told_to_have_the_master_key_for_good(stage: Stage) -> None:
    two(stage, "ADMIN", "SUPER")
    result = stage.run("alice", "delete", TEAM, BOB, "--json")
    (left,) = json.loads(result.stdout)["LeftToDo"]
    assert "had the master key" in left
    assert "only a new group ends" in left


def test_a_removal_without_the_groups_keys_says_what_is_left_to_do(stage: Stage) -> None:
    two(stage, "ADMIN", "SUPER")
    stage.does("alice", "add", TEAM, str(stage.person("carol")), "--privilege", "ADMIN")
    by_hand(stage, "alice", RecryptionGroup(group_name=TEAM, administrator_keys=()))
    result = stage.run("bob", "delete", TEAM, CAROL, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["Changed"] == [CAROL]
    online, key = json.loads(result.stdout)["LeftToDo"]
    assert "carol@example.org can still sign" in online
    assert "carol@example.org can still read" in key
    assert f"recrypt rekey {TEAM}" in key


def test_a_super_without_the_master_key_says_what_is_left_to_do(stage: Stage) -> None:
    two(stage, "ADMIN", "SUPER")
    stage.does("alice", "add", TEAM, str(stage.person("carol")), "--privilege", "ADMIN")
    keys = stage.keys("bob")
    stage.does("bob", "members", TEAM)
    bare = tuple(
        each for each in state(stage).administrator_keys if each.envelope.cty == sharing.KEYS
    )
    assert keys.signature_key(state(stage).identifier) is None
    group = RecryptionGroup(group_name=TEAM, administrator_keys=bare)
    by_hand(stage, "alice", group)
    result = stage.run("bob", "delete", TEAM, CAROL)
    assert result.exit_code == 0, result.output
    assert "Left to do: carol@example.org can still sign" in result.stderr
    assert state(stage).key.document.generation == 2
    assert "another online key" in stage.run("alice", "delete", TEAM, CAROL).stderr


@pytest.mark.parametrize("client", ["ours", "another"])
def test_who_comes_back_is_a_plain_member(stage: Stage, client: str) -> None:
    two(stage, "ADMIN")
    stage.does("alice", "delete", TEAM, BOB)
    if client == "another":  # which may leave him his privileges
        entry = member(stage, BOB).entry
        stage.restates("alice", but(entry, privileges=(*entry.privileges, Privilege.ADMIN)))
    stage.does("alice", "resume", TEAM, BOB)
    assert not member(stage, BOB).may(Privilege.ADMIN)
    assert "403" in stage.fails("bob", "members", TEAM)


def test_a_key_that_is_not_the_one_it_is_named_is_passed_over_told_and_put_right(
    stage: Stage,
) -> None:
    two(stage, "ADMIN")
    at = state(stage)
    wrong = PrivateKey.generate(at.key.document.encryption_key.curve)
    text = write_json({at.key.udf: wrong.to_secret_jwk()})
    devices = stage.keys("bob").profile().profile.encryption_keys
    forged = SealedKey(seal(text, devices, cty=sharing.KEYS))
    by_hand(stage, "alice", RecryptionGroup(group_name=TEAM, administrator_keys=(forged,)))
    assert sharing.open_keys(state(stage), stage.keys("bob").device_keys()).agreement == ()
    carol = str(stage.person("carol"))
    assert "AdministratorKeys have none for you" in stage.fails("bob", "add", TEAM, carol)
    told = stage.run("bob", "verify", TEAM)
    assert told.exit_code == 1
    assert f"THEY AREN'T WHAT THEY SAY for {at.key.udf}" in told.stdout
    stage.does("alice", "add", TEAM, carol)
    stage.does("bob", "members", TEAM)
    assert sharing.open_keys(state(stage), stage.keys("bob").device_keys()).agreement


@pytest.mark.parametrize("text", [b"[]", b'{"KEY": 7}', b'{"KEY": {"kty": "OKP"}}'])
def test_administrator_keys_of_any_other_form_stop_nobody(stage: Stage, text: bytes) -> None:
    """They are sealed to Alice too: the next change of hers puts right what she opens wrong."""
    two(stage, "ADMIN")
    stage.does("bob", "members", TEAM)
    at = state(stage)
    devices = sharing.readers(at, Privilege.ADMIN, Privilege.SUPER)
    forged = SealedKey(seal(text.replace(b"KEY", at.key.udf.encode()), devices, cty=sharing.KEYS))
    masters = [each for each in at.administrator_keys if each.envelope.cty == sharing.MASTER]
    group = RecryptionGroup(group_name=TEAM, administrator_keys=(forged, *masters))
    by_hand(stage, "bob", group)
    assert sharing.is_sealed_right(state(stage), has_master=True)
    assert stage.run("alice", "verify", TEAM).exit_code == 1
    stage.does("alice", "refresh", TEAM)
    assert stage.run("alice", "verify", TEAM).exit_code == 0
    by_hand(stage, "bob", group)
    stage.does("alice", "delete", TEAM, BOB)
    assert state(stage).key.document.generation == 2
    assert stage.run("alice", "verify", TEAM).exit_code == 0


def test_keys_of_many_devices_are_sealed_in_parts_that_a_jwe_holds(stage: Stage) -> None:
    stage.team()
    people = [new_person(f"admin{number}@example.org", devices=30) for number in range(3)]
    for person in people:
        file = stage.folder / "many.json"
        file.write_bytes(write_json(person.signed.json()))
        stage.does("alice", "add", TEAM, str(file), "--privilege", "ADMIN")
    parts = [each.envelope for each in state(stage).administrator_keys]
    assert [len(each.recipients) for each in parts] == [64, 27, 1]
    stage.does("alice", "verify", TEAM)
    keys = sharing.open_keys(state(stage), people[2].devices)
    assert keys.has(state(stage).key.udf)
    assert keys.master is None


def test_without_the_private_key_an_administrator_is_told_where_it_comes_from(
    stage: Stage,
) -> None:
    two(stage, "ADMIN")
    by_hand(stage, "alice", RecryptionGroup(group_name=TEAM, administrator_keys=()))
    words = stage.fails("bob", "add", TEAM, str(stage.person("carol")))
    assert "AdministratorKeys have none for you" in words
    stage.does("alice", "refresh", TEAM)
    stage.does("bob", "add", TEAM, str(stage.folder / "carol.json"))


def test_a_suspended_administrators_devices_get_no_new_keys(stage: Stage) -> None:
    two(stage, "ADMIN")
    told = stage.run("alice", "suspend", TEAM, BOB)
    assert "still has its private keys" in told.stderr
    assert sharing.is_sealed_right(state(stage), has_master=True)
    opened = sharing.open_keys(state(stage), stage.keys("bob").device_keys())
    assert opened.agreement == ()
    stage.does("alice", "resume", TEAM, BOB)
    assert sharing.open_keys(state(stage), stage.keys("bob").device_keys()).agreement
