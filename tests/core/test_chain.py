"""A group's history: begun by its Master, in one order, by those who may (spec §5)."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from recrypt_core import chain
from recrypt_core.documents import NO_HEAD, Head, Privilege, Status
from recrypt_core.encoding import read_b64url, write_b64url
from recrypt_core.errors import Malformed, NotAuthentic, RecryptError, Refused, TooLarge, Why
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.messages import CreateGroup, GetGroup, Hello, UpdateMember, write_message
from recrypt_core.policy import Policy
from recrypt_core.signature_keys import SignaturePrivateKey
from recrypt_core.signing import Jws, Link, read_request, sign_request
from recrypt_core.udf import Udf
from tests.builders import (
    EVERY_POWER,
    NOW,
    TEAM,
    URL,
    History,
    Membership,
    create_message,
    new_group,
    new_history,
    new_membership,
    new_person,
    posted,
    signed_group_key,
)

GROUP = new_group()
ALICE, BOB, CAROL = (new_person(f"{name}@example.org") for name in ("alice", "bob", "carol"))
FIRST = new_membership(ALICE, GROUP.key, privileges=EVERY_POWER)
WITH_BOB = new_membership(BOB, GROUP.key)
WITH_CAROL = new_membership(CAROL, GROUP.key)
BEGUN = new_history(GROUP, FIRST, authorised=ALICE)


@pytest.fixture
def history() -> History:
    """Give a group of which Alice is the only member."""
    return History(GROUP, list(BEGUN.changes), list(BEGUN.states))


def refused(why: Why, act: Callable[[], object]) -> None:
    with pytest.raises(Refused) as problem:
        act()
    assert problem.value.why is why


def test_a_chain_begins_with_what_its_master_signed(history: History) -> None:
    state = history.state
    assert (state.name, state.identifier) == (TEAM, GROUP.master.udf)
    assert state.head == Head(1, history.changes[0].hash)
    assert state.key == GROUP.signed_key
    assert state.policy == Policy()
    assert list(state.members) == [ALICE.udf]
    assert state.members[ALICE.udf].entry == FIRST.entry
    assert state.past_keys == state.administrator_keys == ()


def test_each_change_moves_the_head_and_a_replay_gives_the_same_state(history: History) -> None:
    history.add(ALICE.online, WITH_BOB, WITH_CAROL)
    suspended = new_membership(BOB, GROUP.key, status=Status.SUSPENDED)
    history.update(ALICE.master, suspended)
    history.update(GROUP.master.online, new_membership(CAROL, status=Status.REVOKED))
    history.change_group(GROUP.master.master, policy=Policy(notice=False))
    assert [state.head.seq for state in history.states] == [1, 2, 3, 4, 5]
    assert [state.head.hash for state in history.states] == [each.hash for each in history.changes]
    assert chain.replay(history.changes) == history.state
    assert history.state.members[BOB.udf].entry == suspended.entry
    assert not history.state.policy.notice
    active = [each.entry.recrypt_udf for each in history.state.members.values() if each.is_active]
    assert active == [ALICE.udf]


def test_halves_beside_a_request_do_not_change_what_the_chain_keeps(history: History) -> None:
    change = history.sign(history.add_message(WITH_BOB), ALICE.online)
    request = read_request(posted(change, WITH_BOB))
    assert set(request.halves) == set(WITH_BOB.halves)
    assert chain.read_change(request).hash == change.hash
    state = chain.advance(history.state, chain.read_change(request))
    history.take(change)
    assert state == history.state


def test_a_refused_change_leaves_the_state_as_it_was(history: History) -> None:
    before = dataclasses.replace(history.state)
    acts: tuple[Callable[[], None], ...] = (
        lambda: history.add(ALICE.online, WITH_BOB, FIRST),
        lambda: history.add(BOB.online, WITH_BOB),
        lambda: history.update(ALICE.online, new_membership(ALICE, status=Status.REVOKED)),
    )
    for act in acts:
        with pytest.raises(RecryptError):
            act()
        assert history.state == before
        assert list(history.state.members) == [ALICE.udf]
    with pytest.raises(TypeError):
        history.state.members[BOB.udf] = history.state.members[ALICE.udf]  # type: ignore[index]  # read-only


def test_a_change_out_of_its_place_is_refused(history: History) -> None:
    head = history.state.head
    for seq, prev in ((1, None), (3, head.hash), (2, BEGUN.changes[0].hash[::-1])):
        link = Link(GROUP.master.udf, seq, prev)
        change = history.sign(history.add_message(WITH_BOB), ALICE.online, link=link)
        refused(Why.CONFLICT, lambda change=change: history.take(change))  # type: ignore[misc]  # bound early


def test_a_change_is_taken_once(history: History) -> None:
    history.add(ALICE.online, WITH_BOB)
    refused(Why.CONFLICT, lambda: history.take(history.changes[1]))
    refused(Why.CONFLICT, lambda: history.take(history.changes[0]))


def test_a_replay_of_changes_in_another_order_or_with_gaps_is_refused(history: History) -> None:
    history.add(ALICE.online, WITH_BOB)
    history.add(ALICE.online, WITH_CAROL)
    one, two, three = history.changes
    for wrong in ([one, three], [one, three, two], [two, three], [one, two, two], [one, one]):
        with pytest.raises((Refused, Malformed)):
            chain.replay(wrong)
    with pytest.raises(Malformed, match="without a change"):
        chain.replay([])


def test_a_forged_change_is_not_authentic(history: History) -> None:
    change = history.sign(history.add_message(WITH_BOB), ALICE.online)
    other = history.sign(history.add_message(WITH_CAROL), ALICE.online)
    payload = read_b64url(change.payload).replace(b"RECRYPT", b"ADMIN", 1)
    for forged in (
        Jws(payload=other.payload, protected=change.protected, signature=change.signature),
        Jws(payload=change.payload, protected=change.protected, signature=other.signature),
        Jws(write_b64url(payload), change.protected, change.signature),
    ):
        with pytest.raises((NotAuthentic, Malformed)):
            history.take(forged)
    assert history.state == BEGUN.state


def test_a_signer_that_the_group_does_not_know_is_not_authentic(history: History) -> None:
    for stranger in (BOB.online, BOB.master, new_person("alice@example.org").online):
        with pytest.raises(NotAuthentic, match="unknown"):
            history.add(stranger, WITH_BOB)


def test_a_change_of_another_group_is_refused(history: History) -> None:
    other = new_group("other@lists.example")
    theirs = new_history(
        other, new_membership(ALICE, other.key, privileges=EVERY_POWER), authorised=ALICE
    )
    change = theirs.sign(theirs.add_message(new_membership(BOB, other.key)), ALICE.online)
    with pytest.raises(Malformed, match="another group"):
        history.take(change)
    link = Link(GROUP.master.udf, 2, history.state.head.hash)
    message = theirs.add_message(new_membership(BOB, other.key))
    with pytest.raises(Malformed, match="RecryptionGroup"):
        history.take(history.sign(message, ALICE.online, link=link))


def test_a_group_is_created_once(history: History) -> None:
    message = create_message(GROUP, [FIRST], ALICE.online)
    refused(Why.CONFLICT, lambda: history.take(history.sign(message, GROUP.master.online)))


def test_only_a_change_in_its_place_can_be_read_as_one(history: History) -> None:
    for message in (Hello(), GetGroup(group_id=TEAM)):
        link = Link(GROUP.master.udf, 2, history.state.head.hash)
        signed = sign_request(write_message(message), ALICE.online, url=URL, now=NOW, link=link)
        with pytest.raises(Malformed, match="not a change"):
            chain.read_change(signed)
    added = history.add_message(WITH_BOB)
    unlinked = sign_request(write_message(added), ALICE.online, url=URL, now=NOW)
    with pytest.raises(Malformed, match="without group, seq and prev"):
        chain.read_change(unlinked)
    with pytest.raises(Malformed):
        chain.read_change(ALICE.signed)


def begin(
    *memberships: Membership,
    signer: SignaturePrivateKey = GROUP.master.online,
    **changes: Any,  # noqa: ANN401 - by name
) -> chain.GroupState:
    """Begin Alice's group in another way."""
    message = create_message(GROUP, memberships or [FIRST], ALICE.online)
    fields = {name: getattr(message.recryption_group, name) for name in _FIELDS}
    group = type(message.recryption_group)(**fields | changes)
    changed = CreateGroup(recryption_group=group, authorization=message.authorization)
    link = Link(GROUP.master.udf, 1, None)
    return chain.begin(chain.read_change(History(GROUP).sign(changed, signer, link=link)))


_FIELDS = create_message(GROUP, [], ALICE.online).recryption_group.__struct_fields__


def test_a_group_is_begun_by_a_key_of_its_master_alone() -> None:
    assert begin(signer=GROUP.master.master).head.seq == 1
    for signer in (ALICE.online, ALICE.master, new_group().master.online):
        with pytest.raises(NotAuthentic):
            begin(signer=signer)


def test_a_group_that_nobody_could_administer_is_refused() -> None:
    for privileges, status in (
        ((Privilege.RECRYPT, Privilege.ADMIN), Status.ACTIVE),
        (EVERY_POWER, Status.SUSPENDED),
        ((), Status.ACTIVE),
    ):
        lone = new_membership(ALICE, GROUP.key, privileges=privileges, status=status)
        refused(Why.CONFLICT, lambda lone=lone: begin(lone))  # type: ignore[misc]  # bound early
    refused(Why.CONFLICT, lambda: begin(members=()))


FOLLOWER = PrivateKey.generate(Curve.X25519)


@pytest.mark.parametrize(
    "changes",
    [
        {"master": None},
        {"current_encryption_key": None},
        {"past_encryption_keys": (GROUP.signed_key.signed,)},
        {"group_name": "other@lists.example"},
        {"master": GROUP.master.changed(encryption_keys=(FOLLOWER.public,)).signed},
        {"current_encryption_key": GROUP.master.signed},
        {"current_encryption_key": signed_group_key(GROUP.master, GROUP.key, generation=2).signed},
        {
            "current_encryption_key": signed_group_key(
                GROUP.master, GROUP.key, previous=FOLLOWER.public.udf
            ).signed
        },
        {
            "current_encryption_key": signed_group_key(
                GROUP.master, GROUP.key, head=Head(0, "A" * 43)
            ).signed
        },
    ],
)
def test_an_incomplete_or_contradictory_group_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        begin(**changes)


def test_a_group_whose_key_its_master_did_not_sign_is_not_authentic() -> None:
    other = new_group()
    for signed in (other.signed_key.signed, signed_group_key(other.master, GROUP.key).signed):
        with pytest.raises(NotAuthentic):
            begin(current_encryption_key=signed)


def test_a_chain_of_another_first_change_is_refused(history: History) -> None:
    change = history.sign(history.add_message(WITH_BOB), ALICE.online)
    with pytest.raises(Malformed, match="CreateGroup"):
        chain.begin(chain.read_change(change))
    message = create_message(GROUP, [FIRST], ALICE.online)
    for link in (Link(GROUP.master.udf, 2, "A" * 43), Link(Udf(ALICE.udf), 1, None)):
        with pytest.raises(Malformed):
            History(GROUP).take(history.sign(message, GROUP.master.online, link=link))


def test_a_state_finds_keys_members_and_who_lacks_an_entry(history: History) -> None:
    history.add(ALICE.online, WITH_BOB, new_membership(CAROL))
    state = history.state
    assert state.public_key(GROUP.key.public.udf) == GROUP.key.public
    assert state.public_key(FOLLOWER.public.udf) is None
    assert state.signer(BOB.master.public.udf) == BOB.master.public
    assert state.signer(GROUP.master.online.public.udf) == GROUP.master.online.public
    assert state.signer(FOLLOWER.public.udf) is None
    assert state.member_of(BOB.online.public.udf) == state.members[BOB.udf]
    assert state.lacking(GROUP.key.public.udf) == 1
    assert state.lacking(FOLLOWER.public.udf) == 3
    entry = state.members[BOB.udf].entry_for(GROUP.key.public.udf)
    assert entry == WITH_BOB.entry.entries[0]
    assert Head(0, None) == NO_HEAD


def test_a_change_names_each_member_once_and_at_most_1000_entries(history: History) -> None:
    with pytest.raises(Malformed, match="two entries for one member"):
        history.add(ALICE.online, WITH_BOB, WITH_BOB)
    entry = WITH_BOB.entry
    many = dataclasses.replace(
        WITH_BOB, entry=type(entry)(**_members(entry) | {"entries": entry.entries * 1001})
    )
    with pytest.raises(TooLarge, match="over 1000 entries"):
        history.add(ALICE.online, many)
    empty = UpdateMember(recryption_group=GROUP.master.udf, member_entry=())
    with pytest.raises(Malformed, match="without a MemberEntry"):
        history.take(history.sign(empty, ALICE.online))


def test_an_entry_states_each_split_and_privilege_once_and_few_quotas(history: History) -> None:
    twice: dict[str, dict[str, Any]] = {
        "two Entries": {"entries": WITH_BOB.entry.entries * 2},
        "a privilege twice": {"privileges": (Privilege.RECRYPT,) * 2},
        "over 16 Quotas": {"quotas": ("RecryptData per-day 5",) * 17},
    }
    for words, changes in twice.items():
        odd = dataclasses.replace(
            WITH_BOB, entry=type(WITH_BOB.entry)(**_members(WITH_BOB.entry) | changes)
        )
        with pytest.raises(Malformed, match=words):
            history.add(ALICE.online, odd)
    history.add(ALICE.online, WITH_BOB)


def _members(entry: Any) -> dict[str, Any]:  # noqa: ANN401 - any struct
    return {name: getattr(entry, name) for name in entry.__struct_fields__}
