"""UpdateGroup: policy, Master, and the change to a new group key (spec §6)."""

from datetime import timedelta
from typing import Any

import pytest

from recrypt_core import chain, limits
from recrypt_core.documents import Head, Privilege, RecryptionGroup, Status, VerifiedGroupKey
from recrypt_core.encoding import write_json
from recrypt_core.errors import Malformed, NotAuthentic, Refused, TooLarge, Why
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.members import Member, Members
from recrypt_core.messages import UpdateGroup
from recrypt_core.policy import Policy, PostRight
from recrypt_core.sealing import seal
from recrypt_core.signature_keys import SignaturePrivateKey
from recrypt_core.wire import SealedKey
from tests.builders import (
    EVERY_POWER,
    TEAM,
    History,
    Person,
    new_group,
    new_history,
    new_membership,
    new_person,
    signed_group_key,
)

GROUP = new_group()
ALICE, BOB, CAROL = (new_person(f"{name}@example.org") for name in ("alice", "bob", "carol"))
FOLLOWER, THIRD = (PrivateKey.generate(Curve.X25519) for _ in range(2))
BEGUN = new_history(
    GROUP,
    new_membership(ALICE, GROUP.key, privileges=EVERY_POWER),
    new_membership(BOB, GROUP.key, privileges=(Privilege.ADMIN,)),
    new_membership(CAROL, GROUP.key),
    authorised=ALICE,
)


@pytest.fixture
def history() -> History:
    """Give a group of a SUPER, an ADMIN and a plain member."""
    return History(GROUP, list(BEGUN.changes), list(BEGUN.states))


def refused(why: Why, history: History, key: SignaturePrivateKey, **changes: object) -> str:
    before = history.state
    with pytest.raises(Refused) as problem:
        history.change_group(key, **changes)
    assert problem.value.why is why
    assert history.state is before
    return str(problem.value)


def following(history: History, key: PrivateKey = FOLLOWER, **changes: Any) -> VerifiedGroupKey:  # noqa: ANN401 - by name
    """Sign the key that comes after the group's current one."""
    current = history.state.key
    stated: dict[str, Any] = {
        "generation": current.document.generation + 1,
        "previous": current.udf,
        "head": history.state.head,
    }
    return signed_group_key(GROUP.master, key, **stated | changes)


def test_an_admin_sets_the_policy_and_a_plain_member_does_not(history: History) -> None:
    policy = Policy(post=PostRight.MEMBERS, notice=False)
    refused(Why.FORBIDDEN, history, CAROL.online, policy=policy)
    for key in (BOB.online, ALICE.online, GROUP.master.online):
        history.change_group(key, policy=policy)
    assert history.state.policy == policy
    assert history.state.key == GROUP.signed_key
    assert len(history.state.members) == 3


def test_administrator_keys_are_replaced_as_a_whole(history: History) -> None:
    sealed = seal(write_json(GROUP.key.to_secret_jwk()), [ALICE.devices[0].public], named=False)
    history.change_group(BOB.online, administrator_keys=(SealedKey(sealed),))
    history.change_group(BOB.online, policy=Policy(notice=False))
    assert history.state.administrator_keys == (SealedKey(sealed),)
    history.change_group(BOB.online, administrator_keys=())
    assert list(history.state.administrator_keys) == []


def test_an_update_names_the_group_and_brings_no_members_or_past_keys(history: History) -> None:
    wrong: list[dict[str, object]] = [
        {"group_name": "other@lists.example"},
        {"members": (new_membership(CAROL, GROUP.key).entry,)},
        {"past_encryption_keys": (GROUP.signed_key.signed,)},
    ]
    for changes in wrong:
        with pytest.raises(Malformed):
            history.change_group(ALICE.online, **changes)


def test_a_rekey_waits_until_every_active_member_has_an_entry(history: History) -> None:
    new = following(history).signed
    words = refused(Why.CONFLICT, history, BOB.online, current_encryption_key=new)
    assert words.startswith("3 ACTIVE members lack")


def rekeyed(history: History) -> History:
    """Give the history after a rekey, however members came by their entries for the new key."""
    members = []
    for person, member in ((ALICE, EVERY_POWER), (BOB, (Privilege.ADMIN,)), (CAROL, ())):
        privileges = member or (Privilege.RECRYPT,)
        entry = new_membership(person, GROUP.key, FOLLOWER, privileges=privileges).entry
        members.append(Member(entry, person.verified))
    state = history.state
    history.states.append(chain.GroupState(**_fields(state) | {"members": Members(members)}))
    history.change_group(BOB.online, current_encryption_key=following(history).signed)
    return history


def _fields(state: chain.GroupState) -> dict[str, Any]:
    return {name: getattr(state, name) for name in state.__slots__}


def test_after_a_rekey_the_old_key_is_a_past_key(history: History) -> None:
    state = rekeyed(history).state
    assert state.key.udf == FOLLOWER.public.udf
    assert state.past_keys == (GROUP.signed_key,)
    assert state.public_key(GROUP.key.public.udf) == GROUP.key.public
    assert state.public_key(FOLLOWER.public.udf) == FOLLOWER.public


def test_who_is_not_active_needs_no_entry_for_the_new_key(history: History) -> None:
    gone = [new_membership(CAROL, status=Status.REVOKED)]
    gone.append(
        new_membership(BOB, GROUP.key, privileges=(Privilege.ADMIN,), status=Status.SUSPENDED)
    )
    history.update(ALICE.online, *gone)
    words = refused(
        Why.CONFLICT, history, ALICE.online, current_encryption_key=following(history).signed
    )
    assert words.startswith("1 ACTIVE members lack")


@pytest.mark.parametrize(
    "changes",
    [
        {"generation": 1},
        {"generation": 3},
        {"previous": None},
        {"previous": THIRD.public.udf},
        {"previous": FOLLOWER.public.udf},
    ],
)
def test_a_new_key_follows_the_current_one(history: History, changes: dict[str, Any]) -> None:
    wrong = following(history, **changes).signed
    words = refused(Why.CONFLICT, history, ALICE.online, current_encryption_key=wrong)
    assert "doesn't follow" in words


def test_a_key_that_the_group_had_before_never_comes_back(history: History) -> None:
    rekeyed(history)
    wrong = following(history, GROUP.key).signed
    words = refused(Why.CONFLICT, history, ALICE.online, current_encryption_key=wrong)
    assert "had before" in words


def test_a_key_is_signed_anew_under_the_same_generation(history: History) -> None:
    newer = signed_group_key(GROUP.master, GROUP.key, head=history.state.head)
    history.change_group(BOB.online, current_encryption_key=newer.signed)
    assert history.state.key == newer
    assert history.state.past_keys == ()
    others: list[dict[str, Any]] = [{"generation": 2}, {"previous": THIRD.public.udf}]
    for changes in others:
        wrong = signed_group_key(GROUP.master, GROUP.key, **changes)
        refused(Why.CONFLICT, history, BOB.online, current_encryption_key=wrong.signed)


def test_a_key_is_signed_at_the_head_of_the_chain(history: History) -> None:
    """Else who only had the online key could keep one ready for when it is taken away."""
    former = history.state.head
    history.change_group(ALICE.online, policy=Policy(notice=False))
    for key in (FOLLOWER, GROUP.key):
        for head in (former, Head(former.seq + 1, former.hash)):
            stated = {} if key is FOLLOWER else {"generation": 1, "previous": None}
            wrong = following(history, key, head=head, **stated).signed
            words = refused(Why.CONFLICT, history, ALICE.online, current_encryption_key=wrong)
            assert words.startswith("a key whose Head isn't the group's")


def test_a_key_that_the_master_did_not_sign_is_not_authentic(history: History) -> None:
    stranger = new_group()
    for master in (stranger.master, BOB):
        wrong = signed_group_key(
            master, FOLLOWER, generation=2, previous=GROUP.key.public.udf, head=Head(0, None)
        )
        with pytest.raises(NotAuthentic):
            history.change_group(ALICE.online, current_encryption_key=wrong.signed)


def test_only_a_super_changes_the_master(history: History) -> None:
    newer = GROUP.master.changed()
    refused(Why.FORBIDDEN, history, BOB.online, master=newer.signed)
    refused(Why.FORBIDDEN, history, CAROL.online, master=newer.signed)
    history.change_group(ALICE.online, master=newer.signed)
    assert history.state.master == newer.verified
    history.change_group(GROUP.master.master, master=newer.changed().signed)


def test_a_master_keeps_its_identifier_and_grows_newer(history: History) -> None:
    other = new_group()
    with pytest.raises(Malformed, match="another Identifier"):
        history.change_group(ALICE.online, master=other.master.signed)
    with pytest.raises(Malformed, match="Accounts"):
        history.change_group(
            ALICE.online, master=GROUP.master.changed(accounts=("other@lists.example",)).signed
        )
    for seconds in (0, -60):
        older = GROUP.master.changed(seconds=seconds).signed
        refused(Why.CONFLICT, history, ALICE.online, master=older)
    history.change_group(ALICE.online, master=GROUP.master.changed().signed)
    refused(Why.CONFLICT, history, ALICE.online, master=GROUP.master.changed().signed)


def with_other_online_key(master: Person) -> tuple[Person, Person]:
    """Give the Master without the online key that somebody held, and who signs with the new."""
    fresh = new_person(TEAM, devices=0)
    newer = master.changed(online_signature_keys=(fresh.online.public,))
    return newer, Person(newer.verified, newer.master, fresh.online, ())


def test_a_master_without_the_key_that_signed_the_group_key_brings_it_signed_anew(
    history: History,
) -> None:
    newer, signing = with_other_online_key(GROUP.master)
    with pytest.raises(NotAuthentic):
        history.change_group(ALICE.online, master=newer.signed)
    key = signed_group_key(signing, GROUP.key, head=history.state.head)
    history.change_group(ALICE.online, master=newer.signed, current_encryption_key=key.signed)
    assert history.state.key == key
    with pytest.raises(NotAuthentic):
        history.change_group(GROUP.master.online, policy=Policy())
    history.change_group(signing.online, policy=Policy(notice=False))


def test_updated_is_compared_as_a_time(history: History) -> None:
    document = GROUP.master.verified.profile
    newer = GROUP.master.changed(updated=document.updated + timedelta(microseconds=1))
    history.change_group(ALICE.online, master=newer.signed)
    assert history.state.master.profile.updated > document.updated


def test_who_holds_a_part_of_the_members_says_how_many_lack_an_entry(history: History) -> None:
    key = PrivateKey.generate(Curve.X25519)
    new = signed_group_key(
        GROUP.master, key, generation=2, previous=GROUP.key.public.udf, head=history.state.head
    )
    stated = RecryptionGroup(group_name=TEAM, current_encryption_key=new.signed)
    change = chain.read_change(history.sign(UpdateGroup(recryption_group=stated), ALICE.online))
    for lacking, words in ((None, "3 ACTIVE members"), (7, "7 ACTIVE members")):
        with pytest.raises(Refused, match=words):
            chain.advance(history.state, change, lacking=lacking)
    assert chain.advance(history.state, change, lacking=0).key == new
    again = signed_group_key(GROUP.master, GROUP.key, head=history.state.head)
    stated = RecryptionGroup(group_name=TEAM, current_encryption_key=again.signed)
    change = chain.read_change(history.sign(UpdateGroup(recryption_group=stated), ALICE.online))
    assert chain.advance(history.state, change, lacking=7).key == again


def test_administrator_keys_are_bounded_in_number_and_octets(history: History) -> None:
    device = BOB.devices[0].public
    small = SealedKey(seal(b"", [device], cty="recrypt-keys"))
    half = SealedKey(
        seal(bytes(limits.ADMINISTRATOR_KEYS_OCTETS // 2), [device], cty="recrypt-keys")
    )
    for keys in ((small,) * limits.ADMINISTRATOR_KEYS, (half, half)):
        history.change_group(BOB.online, administrator_keys=keys)
        assert history.state.administrator_keys == keys
    with pytest.raises(Malformed):
        history.change_group(
            BOB.online, administrator_keys=(small,) * (limits.ADMINISTRATOR_KEYS + 1)
        )
    more = SealedKey(seal(b"x", [device], cty="recrypt-keys"))
    with pytest.raises(TooLarge):
        history.change_group(BOB.online, administrator_keys=(half, half, more))
