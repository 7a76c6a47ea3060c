"""Who may do what to whom in a group (spec §5, §6)."""

import dataclasses
from typing import Any

import pytest

from recrypt_core import limits
from recrypt_core.documents import MemberEntry, Privilege, Status
from recrypt_core.errors import Malformed, NotAuthentic, Refused, Why
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.members import Members
from recrypt_core.policy import Policy
from recrypt_core.signature_keys import SignaturePrivateKey
from recrypt_core.signing import Jws
from tests.builders import (
    EVERY_POWER,
    History,
    Membership,
    Person,
    new_group,
    new_history,
    new_membership,
    new_person,
)

GROUP = new_group()
SUPER, ADMIN, PLAIN, OUTSIDER = (
    new_person(f"{name}@example.org") for name in ("alice", "bob", "carol", "dave")
)
POWERS = {SUPER.udf: EVERY_POWER, ADMIN.udf: (Privilege.RECRYPT, Privilege.ADMIN)}


def of(person: Person, *privileges: Privilege, **changes: Any) -> Membership:  # noqa: ANN401 - by name
    """Make a membership, with the privileges that the person has unless others are given."""
    own = privileges or POWERS.get(person.udf, (Privilege.RECRYPT,))
    keys = () if changes.get("status") is Status.REVOKED else (GROUP.key,)
    return new_membership(person, *keys, privileges=own, **changes)


BEGUN = new_history(GROUP, of(SUPER), of(ADMIN), of(PLAIN), authorised=SUPER)


@pytest.fixture
def history() -> History:
    """Give a group of a SUPER, an ADMIN and a plain member."""
    return History(GROUP, list(BEGUN.changes), list(BEGUN.states))


def refused(
    why: Why, history: History, act: str, key: SignaturePrivateKey, *to: Membership
) -> None:
    before = history.state
    with pytest.raises(Refused) as problem:
        getattr(history, act)(key, *to)
    assert problem.value.why is why
    assert history.state is before


MASTER = GROUP.master
MAY_ADD_PLAIN = [(SUPER, True), (ADMIN, True), (PLAIN, False), (MASTER, True)]
MAY_ADD_POWER = [(SUPER, True), (ADMIN, False), (PLAIN, False), (MASTER, True)]


@pytest.mark.parametrize("which", ["master", "online"])
@pytest.mark.parametrize(
    ("signer", "privilege", "allowed"),
    [
        *((signer, Privilege.RECRYPT, allowed) for signer, allowed in MAY_ADD_PLAIN),
        *((signer, Privilege.ADMIN, allowed) for signer, allowed in MAY_ADD_POWER),
        *((signer, Privilege.SUPER, allowed) for signer, allowed in MAY_ADD_POWER),
    ],
)
def test_an_admin_adds_members_and_only_a_super_adds_powers(
    history: History, signer: Person, privilege: Privilege, allowed: bool, which: str
) -> None:
    key = getattr(signer, which)
    # Each ADMIN holds the Master's online key, so it does what an ADMIN may.
    if allowed and not (key is MASTER.online and privilege is not Privilege.RECRYPT):
        history.add(key, of(OUTSIDER, privilege))
        assert history.state.members[OUTSIDER.udf].may(privilege)
    else:
        refused(Why.FORBIDDEN, history, "add", key, of(OUTSIDER, privilege))


@pytest.mark.parametrize(("signer", "allowed"), MAY_ADD_POWER)
def test_only_a_super_gives_takes_or_touches_a_power(
    history: History, signer: Person, allowed: bool
) -> None:
    changes = [
        of(PLAIN, Privilege.ADMIN),
        of(PLAIN, Privilege.RECRYPT, Privilege.SUPER),
        of(ADMIN, Privilege.RECRYPT),
        of(ADMIN, status=Status.SUSPENDED),
        of(ADMIN, Privilege.RECRYPT, status=Status.REVOKED),
        stated(of(ADMIN), quotas=("RecryptData per-day 0",)),
        stated(of(ADMIN), account_name=None),
        stated(of(SUPER), quotas=("RecryptData per-day 0",)),
    ]
    for change in changes:
        fresh = History(GROUP, list(BEGUN.changes), list(BEGUN.states))
        if allowed:
            fresh.update(signer.master, change)
        else:
            refused(Why.FORBIDDEN, fresh, "update", signer.master, change)
        refused(Why.FORBIDDEN, history, "update", MASTER.online, change)
    assert history.state is BEGUN.state


@pytest.mark.parametrize("signer", [SUPER, ADMIN, MASTER])
def test_an_admin_makes_entries_anew_for_who_has_powers(history: History, signer: Person) -> None:
    history.update(signer.online, of(SUPER), of(ADMIN))
    refused(Why.FORBIDDEN, history, "update", PLAIN.online, of(SUPER))


@pytest.mark.parametrize(("signer", "allowed"), MAY_ADD_PLAIN)
def test_an_admin_changes_plain_members(history: History, signer: Person, allowed: bool) -> None:
    for status in (Status.SUSPENDED, Status.REVOKED, Status.ACTIVE):
        if allowed:
            history.update(signer.online, of(PLAIN, status=status))
            assert history.state.members[PLAIN.udf].entry.status is status
        else:
            refused(Why.FORBIDDEN, history, "update", signer.online, of(PLAIN, status=status))


@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.REVOKED])
def test_an_administrator_who_is_not_active_may_nothing(history: History, status: Status) -> None:
    history.update(SUPER.online, of(ADMIN, status=status))
    refused(Why.FORBIDDEN, history, "add", ADMIN.online, of(OUTSIDER))
    refused(Why.FORBIDDEN, history, "update", ADMIN.online, of(PLAIN, status=Status.SUSPENDED))
    refused(Why.FORBIDDEN, history, "update", ADMIN.online, of(ADMIN))
    refused(Why.FORBIDDEN, history, "update", MASTER.online, of(ADMIN))
    with pytest.raises(Refused):
        history.change_group(ADMIN.online, policy=Policy())
    history.update(SUPER.online, of(ADMIN))
    history.add(ADMIN.online, of(OUTSIDER))


def test_rights_are_those_of_the_state_before_the_change(history: History) -> None:
    refused(Why.FORBIDDEN, history, "update", PLAIN.online, of(PLAIN, *EVERY_POWER))
    history.update(SUPER.online, of(SUPER, Privilege.RECRYPT), of(ADMIN, *EVERY_POWER))
    refused(Why.FORBIDDEN, history, "add", SUPER.online, of(OUTSIDER))
    history.add(ADMIN.online, of(OUTSIDER, Privilege.SUPER))


@pytest.mark.parametrize("status", list(Status))
def test_the_last_active_super_stays(history: History, status: Status) -> None:
    change = of(SUPER, *(() if status is not Status.ACTIVE else (Privilege.ADMIN,)), status=status)
    refused(Why.CONFLICT, history, "update", SUPER.online, change)
    refused(Why.CONFLICT, history, "update", MASTER.master, change)
    history.update(SUPER.online, of(ADMIN, *EVERY_POWER))
    history.update(SUPER.online, change)
    refused(Why.CONFLICT, history, "update", MASTER.master, of(ADMIN, status=Status.SUSPENDED))


def test_who_is_there_is_not_added_and_who_is_not_is_not_updated(history: History) -> None:
    refused(Why.CONFLICT, history, "add", SUPER.online, of(PLAIN))
    refused(Why.UNKNOWN, history, "update", SUPER.online, of(OUTSIDER))
    history.update(SUPER.online, of(PLAIN, status=Status.REVOKED))
    refused(Why.CONFLICT, history, "add", SUPER.online, of(PLAIN))
    history.update(SUPER.online, of(PLAIN))


def test_one_wrong_entry_refuses_the_whole_change(history: History) -> None:
    refused(Why.CONFLICT, history, "add", SUPER.online, of(OUTSIDER), of(PLAIN))
    refused(
        Why.FORBIDDEN,
        history,
        "add",
        ADMIN.online,
        of(OUTSIDER),
        of(new_person("erin@example.org"), Privilege.ADMIN),
    )
    assert OUTSIDER.udf not in history.state.members


def stated(membership: Membership, **changes: object) -> Membership:
    """State a member entry with members changed."""
    entry: Any = membership.entry
    values = {name: getattr(entry, name) for name in entry.__struct_fields__}
    return dataclasses.replace(membership, entry=MemberEntry(**values | changes))


def test_a_revoked_member_has_no_entries(history: History) -> None:
    kept = stated(of(PLAIN), status=Status.REVOKED)
    with pytest.raises(Malformed, match="REVOKED"):
        history.update(SUPER.online, kept)


def test_an_entry_for_the_next_group_key_may_stand_ready(history: History) -> None:
    history.add(SUPER.online, new_membership(OUTSIDER, PrivateKey.generate(Curve.X448)))


def test_an_entry_for_a_key_of_the_group_is_of_its_curve(history: History) -> None:
    for curve in Curve:
        foreign = new_membership(OUTSIDER, PrivateKey.generate(curve))
        (entry,) = foreign.entry.entries
        values: Any = {name: getattr(entry, name) for name in entry.__struct_fields__}
        renamed = type(entry)(**values | {"encryption_key_udf": GROUP.key.public.udf})
        if curve is not Curve.X25519:
            with pytest.raises(Malformed, match="another curve"):
                history.add(SUPER.online, stated(foreign, entries=(renamed,)))


def test_a_member_entry_fits_its_profile(history: History) -> None:
    other = new_person("erin@example.org")
    with pytest.raises(Malformed, match="RecryptUDF"):
        history.add(SUPER.online, stated(of(OUTSIDER), profile=other.signed))
    with pytest.raises(Malformed, match="AccountName"):
        history.add(SUPER.online, stated(of(OUTSIDER), account_name="erin@example.org"))
    forged = Jws(OUTSIDER.signed.payload, OUTSIDER.signed.protected, other.signed.signature)
    with pytest.raises(NotAuthentic):
        history.add(SUPER.online, stated(of(OUTSIDER), profile=forged))
    two = OUTSIDER.changed(accounts=("dave@example.org", "dave@example.net"))
    history.add(SUPER.online, stated(of(two), account_name="dave@example.net"))


def test_an_older_profile_is_refused_and_an_equal_or_newer_one_taken(history: History) -> None:
    newer = PLAIN.changed(accounts=("carol@example.net",))
    history.update(SUPER.online, of(newer))
    refused(Why.CONFLICT, history, "update", SUPER.online, of(PLAIN))
    history.update(SUPER.online, of(newer))
    history.update(SUPER.online, of(newer.changed(seconds=60)))


def test_signature_keys_are_those_of_the_last_profile_in_the_chain(history: History) -> None:
    fresh = new_person("bob@example.org").online
    newer = ADMIN.changed(online_signature_keys=(fresh.public,))
    with pytest.raises(NotAuthentic):
        history.add(fresh, of(OUTSIDER))
    history.update(SUPER.online, of(newer))
    with pytest.raises(NotAuthentic):
        history.add(ADMIN.online, of(OUTSIDER))
    history.add(fresh, of(OUTSIDER))


def test_a_member_who_lists_an_administrators_key_neither_gains_nor_locks_out(
    history: History,
) -> None:
    """Public keys can be listed by anybody; who signs with one holds it, whoever lists it."""
    listed = (ADMIN.online.public, SUPER.online.public, SUPER.master.public)
    greedy = PLAIN.changed(online_signature_keys=(*listed, PLAIN.online.public))
    history.update(SUPER.online, of(greedy))
    members = dict(history.state.members)
    first = Members([members.pop(PLAIN.udf), *members.values()])
    history.states.append(dataclasses.replace(history.state, members=first))
    refused(Why.FORBIDDEN, history, "add", PLAIN.online, of(OUTSIDER))
    history.add(ADMIN.online, of(OUTSIDER))
    history.update(SUPER.online, of(ADMIN, Privilege.RECRYPT))


def test_so_many_may_administer_a_group_and_no_more(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ADMINISTRATORS", 3)
    third, fourth = (new_person(f"{name}@example.org") for name in ("erin", "frank"))
    ruling = (Privilege.RECRYPT, Privilege.ADMIN)
    history.add(SUPER.online, of(third, *ruling))
    refused(Why.CONFLICT, history, "add", SUPER.online, of(fourth, *ruling))
    history.add(SUPER.online, of(fourth, *ruling, status=Status.SUSPENDED))
    refused(Why.CONFLICT, history, "update", SUPER.online, of(fourth, *ruling))
    history.update(SUPER.online, of(third, *ruling, status=Status.REVOKED), of(fourth, *ruling))
