"""What is owed: keys of the group that somebody has who isn't to have them any more."""

import json

import pytest
from msgspec.structs import replace as but

from recrypt_client import chains, custody, debts, entries, group_keys, sharing
from recrypt_client.entries import Made
from recrypt_client.service import Service
from recrypt_client.sharing import GroupKeys
from recrypt_core.chain import GroupState
from recrypt_core.documents import RecryptionGroup, Status, sign_profile
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.messages import Change, ChangeResponse, UpdateGroup, UpdateMember, write_message
from recrypt_core.signature_keys import SignaturePrivateKey
from recrypt_core.signing import Link, request_body, sign_request
from recrypt_core.udf import Udf
from tests.client.stage import TEAM, URL, Stage
from tests.client.test_administrators import BOB, CAROL, member, state, two
from tests.client.test_newer_profiles import lose_the_device, published

ALICE = "alice@example.org"
ELSEWHERE = "private keys elsewhere"


def owed(stage: Stage, who: str = "alice") -> debts.Owed:
    """Tell what is owed, as somebody's commands would find it."""
    home = stage.keys(who)
    pin = home.pin(TEAM)
    assert pin is not None
    with Service(URL, stage.service.transport) as service:
        return debts.owed(chains.open_desk(home, service, pin), now=stage.now)


def is_clear(stage: Stage, who: str = "alice") -> bool:
    """Tell whether nothing is left to do."""
    return (
        not [*owed(stage, who).words()]
        and ELSEWHERE not in stage.does(who, "verify", TEAM).decode()
    )


def signed_by(
    stage: Stage,
    key: SignaturePrivateKey,
    message: Change,
    halves: dict[Udf, PrivateKey] | None = None,
) -> None:
    """Send a change that our client wouldn't."""
    at = state(stage)
    link = Link(at.identifier, at.head.seq + 1, at.head.hash)
    signed = sign_request(write_message(message), key, url=URL, now=stage.now, link=link)
    with Service(URL, stage.service.transport) as service:
        service.send(request_body(signed, halves or {}), message.transaction, ChangeResponse)


def online_key_of(stage: Stage, who: str) -> SignaturePrivateKey:
    stage.does(who, "members", TEAM)
    return custody.online_key(stage.keys(who), state(stage))


def switch(stage: Stage, online: SignaturePrivateKey, *, shared: bool) -> PrivateKey:
    """Give the group a key of one's own, with an online key of the group."""
    at, own = state(stage), PrivateKey.generate(Curve.X25519)
    made = [given(at, each.profile.identifier, own) for each in at.members.values()]
    made = [each for each in made if each.entry.status is Status.ACTIVE]
    halves = {udf: half for each in made for udf, half in each.halves.items()}
    message = UpdateMember(
        recryption_group=at.identifier, member_entry=tuple(each.entry for each in made)
    )
    signed_by(stage, online, message, halves)
    at = state(stage)
    group = RecryptionGroup(
        group_name=TEAM,
        current_encryption_key=group_keys.next_key(at, own.public, online, now=stage.now).signed,
        administrator_keys=(sharing.seal_for(at, GroupKeys((own,), (online,))) if shared else None),
    )
    signed_by(stage, online, UpdateGroup(recryption_group=group))
    return own


def given(at: GroupState, udf: str, key: PrivateKey) -> Made:
    each = next(each for each in at.members.values() if each.profile.identifier == udf)
    made = entries.split_for(each.profile, each.account, key)
    every = (*each.entry.entries, *made.entry.entries)
    return Made(entries.revised(each.entry, each.entry.status, entries=every), made.halves)


def cut_off_at_the_master(stage: Stage, monkeypatch: pytest.MonkeyPatch, *command: str) -> None:
    """Give a command that dies before its first UpdateGroup."""
    real = stage.service._change

    def cut(message: Change, signed: object) -> object:
        if isinstance(message, UpdateGroup):
            raise KeyboardInterrupt
        return real(message, signed)  # type: ignore[arg-type]  # handed on as it came

    with monkeypatch.context() as patch:
        patch.setattr(stage.service, "_change", cut)
        assert stage.run("alice", *command).exit_code != 0


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("first", ["delete", "suspend"])
def test_a_key_that_a_removed_administrator_made_himself_pays_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, first: str, shared: bool
) -> None:
    two(stage, "ADMIN")
    stage.does("bob", "add", TEAM, str(stage.person("carol")))
    online = online_key_of(stage, "bob")
    if first == "delete":
        cut_off_at_the_master(stage, monkeypatch, "delete", TEAM, BOB)
    else:
        stage.does("alice", "suspend", TEAM, BOB)
    evil = switch(stage, online, shared=shared)
    assert state(stage).key.udf == evil.public.udf
    assert owed(stage).group_key == (BOB,)
    stage.does("alice", "delete", TEAM, BOB)
    assert state(stage).key.udf != evil.public.udf
    assert (owed(stage).online, owed(stage).group_key) == ((), ())
    told = stage.does("alice", "verify", TEAM).decode()
    assert "2 changes of" in told
    assert "undo what you don't want" in told


def test_a_rekey_by_who_administers_pays_before_the_online_key_does(stage: Stage) -> None:
    """Carol, who is ADMIN, can't name another online key; her group key is good all the same."""
    two(stage, "ADMIN")
    stage.does("alice", "add", TEAM, str(stage.person("carol")), "--privilege", "ADMIN")
    stage.does("carol", "key", TEAM, "--service", URL)
    stage.does("alice", "suspend", TEAM, BOB)
    answer = json.loads(stage.does("carol", "rekey", TEAM, "--json"))
    (left,) = answer["LeftToDo"]
    assert left.startswith(f"{BOB} can still sign for the group")
    assert (owed(stage).online, owed(stage).group_key) == ((BOB,), ())
    result = stage.run("alice", "rekey", TEAM)
    assert "signed for by another online key" in result.stderr
    assert is_clear(stage)


def test_a_lost_device_of_an_administrator_owes_the_group_other_keys(stage: Stage) -> None:
    two(stage, "ADMIN")
    stage.does("bob", "members", TEAM)
    before = state(stage)
    lost = lose_the_device(stage, "bob")
    published(stage, "bob")
    told = stage.run("alice", "refresh", TEAM)
    assert told.exit_code == 0
    assert f"a device that {BOB} has no more can still read" in told.stderr
    assert sharing.open_keys(before, [lost]).has(state(stage).key.udf)
    shown = stage.does("alice", "verify", TEAM).decode()
    assert f"recrypt rekey {TEAM}" in shown
    stage.does("alice", "rekey", TEAM)
    assert is_clear(stage)
    had = sharing.open_keys(before, [lost])
    assert not had.has(state(stage).key.udf)
    assert state(stage).signer(had.online[0].public.udf) is None
    stage.does("bob", "members", TEAM)


@pytest.mark.parametrize("command", ["add", "resume", "rekey"])
def test_commands_that_take_a_lost_device_in_say_so(stage: Stage, command: str) -> None:
    two(stage, "ADMIN")
    lose_the_device(stage, "bob")
    published(stage, "bob")
    rest = {"add": [str(stage.person("carol"))], "resume": [ALICE], "rekey": []}[command]
    result = stage.run("alice", command, TEAM, *rest)
    assert result.exit_code == 0, result.output
    assert f"{BOB} administers {TEAM}, and a device that is gone" in result.stderr
    assert is_clear(stage) == (command == "rekey")


def test_a_device_more_owes_nothing(stage: Stage) -> None:
    two(stage, "ADMIN")
    home, fresh = stage.keys("bob"), PrivateKey.generate(Curve.X25519)
    old = home.profile()
    master = home.signature_key(old.identifier)
    assert master is not None
    keys = (*old.profile.encryption_keys, fresh.public)
    newer = sign_profile(but(old.profile, updated=stage.now, encryption_keys=keys), master)
    home.keep_profile(newer, new=False)
    published(stage, "bob")
    assert "Left to do" not in stage.run("alice", "refresh", TEAM).stderr
    assert is_clear(stage)


def test_an_administrator_who_is_removed_owns_no_escrow_key_after_that(stage: Stage) -> None:
    stage.person("alice")
    bob = str(stage.person("bob"))
    stage.does("alice", "create", TEAM, "--service", URL, "--escrow", bob)
    stage.does("alice", "add", TEAM, bob, "--privilege", "ADMIN")
    result = stage.run("alice", "delete", TEAM, BOB)
    assert result.exit_code == 0, result.output
    assert f"has the escrow key of {BOB} no more" in result.stderr
    assert "has no escrow keys now" in result.stderr
    assert f"{BOB} had the master key" in result.stderr
    opened = sharing.open_keys(state(stage), stage.keys("bob").device_keys())
    assert (opened.agreement, opened.online, opened.master) == ((), (), None)
    assert state(stage).master.profile.master_escrow_keys == ()


def test_other_escrow_keys_stay(stage: Stage) -> None:
    stage.person("alice")
    bob, notary = str(stage.person("bob")), str(stage.person("notary"))
    stage.does("alice", "create", TEAM, "--service", URL)
    stage.does("alice", "escrow", TEAM, bob, notary, "--out", str(stage.folder / "e"))
    stage.does("alice", "add", TEAM, bob, "--privilege", "ADMIN")
    stage.does("alice", "delete", TEAM, BOB)
    (left,) = state(stage).master.profile.master_escrow_keys
    assert left in stage.keys("notary").profile().profile.encryption_keys


def test_an_escrow_owner_who_is_suspended_is_told_of(stage: Stage) -> None:
    stage.person("alice")
    notary = str(stage.person("notary"))
    stage.does("alice", "create", TEAM, "--service", URL, "--escrow", notary)
    stage.does("alice", "add", TEAM, notary)
    assert is_clear(stage)
    stage.does("alice", "suspend", TEAM, "notary@example.org")
    told = stage.does("alice", "verify", TEAM).decode()
    assert "has escrow keys of notary@example.org" in told
    stage.does("alice", "rekey", TEAM)
    assert owed(stage).escrow == {}


def with_owner(stage: Stage) -> None:
    """Let the notary own an escrow key, and be a member without powers."""
    stage.person("alice")
    notary = str(stage.person("notary"))
    stage.does("alice", "create", TEAM, "--service", URL, "--escrow", notary)
    stage.does("alice", "add", TEAM, notary)


def test_the_owner_of_an_escrow_key_who_is_removed_has_none_after_that(stage: Stage) -> None:
    with_owner(stage)
    result = stage.run("alice", "delete", TEAM, "notary@example.org")
    assert result.exit_code == 0, result.output
    assert "has the escrow key of notary@example.org no more" in result.stderr
    assert state(stage).master.profile.master_escrow_keys == ()
    assert state(stage).key.document.generation == 2
    assert (owed(stage).online, owed(stage).group_key) == ((), ())
    assert "notary@example.org had the master key" in result.stderr


def test_who_suspends_the_owner_of_an_escrow_key_is_told(stage: Stage) -> None:
    with_owner(stage)
    result = stage.run("alice", "suspend", TEAM, "notary@example.org")
    assert "notary@example.org owns an escrow key" in result.stderr
    assert f"recrypt delete {TEAM} notary@example.org" in result.stderr
    stage.does("alice", "escrow", TEAM, str(stage.person("other")), "--out", "/dev/null")
    stage.does("alice", "resume", TEAM, "notary@example.org")
    assert "owns" not in stage.run("alice", "suspend", TEAM, "notary@example.org").stderr


def test_the_owners_of_former_escrow_keys_are_owed_for(stage: Stage) -> None:
    stage.person("alice")
    notary = str(stage.person("notary"))
    stage.does("alice", "create", TEAM, "--service", URL, "--escrow", notary)
    other = str(stage.person("other"))
    stage.does("alice", "escrow", TEAM, other, "--out", str(stage.folder / "e"))
    assert owed(stage).group_key == ("the owner of a former escrow key",)
    stage.does("alice", "rekey", TEAM)
    assert (owed(stage).online, owed(stage).group_key) == ((), ())
    assert owed(stage).master == ("the owner of a former escrow key",)


def test_keys_that_were_sealed_to_a_stranger_are_owed(stage: Stage) -> None:
    two(stage, "ADMIN")
    online_key_of(stage, "bob")
    home, stranger = stage.keys("bob"), PrivateKey.generate(Curve.X25519)
    to = (*sharing.devices([home.profile()], state(stage).master), stranger.public)
    sealed = sharing.seal_keys(custody.take(home, state(stage)), to, master_to=())
    group = RecryptionGroup(group_name=TEAM, administrator_keys=sealed)
    signed_by(stage, home.signing_key(home.profile()), UpdateGroup(recryption_group=group))
    stage.does("alice", "refresh", TEAM)
    assert owed(stage).group_key == (debts.NOBODY,)
    stage.does("alice", "rekey", TEAM)
    assert is_clear(stage)


def test_who_removes_herself_leaves_the_rest_to_another(stage: Stage) -> None:
    two(stage, "ADMIN", "SUPER")
    stage.does("bob", "members", TEAM)
    result = stage.run("alice", "delete", TEAM, ALICE, "--json")
    assert result.exit_code == 0, result.output
    own, *left = json.loads(result.stdout)["LeftToDo"]
    assert "you administer team@lists.example no more" in own
    assert [words.startswith(ALICE) for words in left] == [True] * 3
    assert member(stage, ALICE).entry.status is Status.REVOKED
    assert owed(stage, "bob").group_key == (ALICE,)
    stage.does("bob", "delete", TEAM, ALICE)
    assert (owed(stage, "bob").online, owed(stage, "bob").group_key) == ((), ())


def test_who_removes_herself_names_nobody_else_and_is_not_the_last_super(stage: Stage) -> None:
    two(stage, "ADMIN")
    count = len(stage.service.changes)
    assert "Remove the others first" in stage.fails("alice", "delete", TEAM, BOB, ALICE)
    assert "you are the last SUPER" in stage.fails("alice", "delete", TEAM, ALICE)
    assert "only an ACTIVE SUPER may do that" in stage.fails("bob", "delete", TEAM, BOB)
    assert len(stage.service.changes) == count


def test_a_plain_member_who_leaves_owes_nothing(stage: Stage) -> None:
    stage.team("bob", "carol")
    stage.does("alice", "delete", TEAM, CAROL)
    assert is_clear(stage)
    assert state(stage).key.document.generation == 1
