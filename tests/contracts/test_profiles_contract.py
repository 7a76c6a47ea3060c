"""What every Store does with newer profiles, new keys and founders."""

import pytest

from listserver.model import EntryRow, StoredList
from listserver.store import Work
from recrypt_core.documents import Privilege, Status
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.members import Member
from recrypt_core.signature_keys import SignatureCurve, SignaturePrivateKey
from tests.builders import (
    EVERY_POWER,
    Membership,
    Person,
    new_group,
    new_history,
    new_membership,
    new_person,
)
from tests.stored import half_of

ALICE, BOB, CAROL = (new_person(f"{name}@example.org") for name in ("alice", "bob", "carol"))
GROUP, OTHER = new_group(), new_group("other@lists.example")
FRESH = SignaturePrivateKey.generate(SignatureCurve.ED25519)
NEWER = BOB.changed(online_signature_keys=(FRESH.public,))


def rows(membership: Membership, person: Person) -> tuple[Member, list[EntryRow]]:
    """Give a member as it is put in the store."""
    has_entry = membership.entry.entries
    return (
        Member(membership.entry, person.verified),
        [EntryRow(half_of(membership), 900)] if has_entry else [],
    )


async def listed(work: Work) -> tuple[StoredList, StoredList]:
    """Write a list of Alice's, Bob's and Carol's (SUSPENDED), and one of Alice's and Carol's."""
    stored = []
    for group, people in ((GROUP, (BOB, CAROL)), (OTHER, (CAROL,))):
        first = new_membership(ALICE, group.key, privileges=EVERY_POWER)
        history = new_history(group, first, authorised=ALICE)
        list_id = await work.create_list(
            history.state, history.changes[0], b"s" * 32, founder=ALICE.udf
        )
        status = {CAROL.udf: Status.SUSPENDED}
        made = [
            (new_membership(each, group.key, status=status.get(each.udf, Status.ACTIVE)), each)
            for each in people
        ]
        await work.put_members(list_id, [rows(*each) for each in ((first, ALICE), *made)])
        found = await work.find_list(group.name)
        assert found is not None
        stored.append(found)
    return stored[0], stored[1]


@pytest.mark.asyncio
async def test_a_newer_profile_stands_beside_the_entry_of_its_list(work: Work) -> None:
    one, other = await listed(work)
    assert await work.newest_profiles(BOB.udf) == {one.id: BOB.verified}
    assert await work.newest_profiles(CAROL.udf) == {
        one.id: CAROL.verified, other.id: CAROL.verified
    }  # fmt: skip
    assert await work.newest_profiles(new_person("dave@example.org").udf) == {}
    everybody = [ALICE.udf, BOB.udf, CAROL.udf]
    assert await work.newer_profiles(one.id, everybody) == {}
    for newer in (NEWER, NEWER.changed()):
        await work.put_profile(one.id, newer.verified)
        assert await work.newer_profiles(one.id, everybody) == {BOB.udf: newer.verified}
        assert await work.newest_profiles(BOB.udf) == {one.id: newer.verified}
    assert await work.newer_profiles(other.id, everybody) == {}
    ((member, _),) = await work.named(one.id, [BOB.udf])
    assert member.profile == BOB.verified


@pytest.mark.asyncio
async def test_it_counts_where_the_newest_is_asked_for(work: Work) -> None:
    one, _ = await listed(work)
    old, new = BOB.online.public.udf, FRESH.public.udf
    await work.put_profile(one.id, NEWER.verified)
    for kid, newest, is_found in (
        (old, False, True), (new, False, False), (old, True, False), (new, True, True)
    ):  # fmt: skip
        found = await work.with_signer(one, kid, newest=newest)
        assert (found.state.signer(kid) is not None) == is_found
        assert ALICE.udf in found.state.members
    found = await work.with_signer(one, new, newest=True)
    member = found.state.members[BOB.udf]
    assert (member.profile, member.account) == (NEWER.verified, BOB.address)
    assert member.entry.profile == BOB.signed
    assert await work.signing_member(one, old) is None
    signing = await work.signing_member(one, new)
    assert signing is not None
    assert signing.profile == NEWER.verified


@pytest.mark.asyncio
async def test_it_ends_when_an_entry_has_caught_up_with_it(work: Work) -> None:
    one, _ = await listed(work)
    await work.put_profile(one.id, NEWER.verified)
    for person, stands in ((BOB, True), (NEWER, False)):
        await work.put_members(one.id, [rows(new_membership(person, GROUP.key), person)])
        assert bool(await work.newer_profiles(one.id, [BOB.udf])) == stands
    assert await work.signing_member(one, BOB.online.public.udf) is None
    assert await work.signing_member(one, FRESH.public.udf) is not None


@pytest.mark.asyncio
async def test_an_administrator_is_written_to_by_the_newest_profile(work: Work) -> None:
    one, _ = await listed(work)
    device = PrivateKey.generate(Curve.X25519)
    newer = ALICE.changed(encryption_keys=(device.public,))
    await work.put_profile(one.id, newer.verified)
    (found,) = await work.administrators(one.id)
    assert found.profile == newer.verified


@pytest.mark.asyncio
async def test_who_has_another_members_key_in_a_profile_comes_after_that_member(
    work: Work,
) -> None:
    one, _ = await listed(work)
    copied = BOB.changed(online_signature_keys=(BOB.online.public, ALICE.online.public))
    await work.put_profile(one.id, copied.verified)
    signing = await work.signing_member(one, ALICE.online.public.udf)
    assert signing is not None
    assert signing.profile == ALICE.verified
    found = await work.with_signer(one, ALICE.online.public.udf, newest=True)
    assert found.state.may(ALICE.online.public.udf, Privilege.SUPER)


@pytest.mark.asyncio
async def test_a_key_of_the_chain_is_nobody_elses_and_one_of_two_members_is_nobodys(
    work: Work,
) -> None:
    one, _ = await listed(work)
    old, fresh = BOB.online.public, FRESH.public
    await work.put_profile(one.id, NEWER.verified)
    copied = ALICE.changed(online_signature_keys=(ALICE.online.public, old, fresh))
    await work.put_profile(one.id, copied.verified)
    assert await work.signing_member(one, old.udf) is None  # its owner has withdrawn it
    assert await work.signing_member(one, fresh.udf) is None
    await work.put_members(one.id, [rows(new_membership(NEWER, GROUP.key), NEWER)])
    signing = await work.signing_member(one, fresh.udf)
    assert signing is not None
    assert signing.profile.identifier == BOB.udf
    await work.put_members(one.id, [rows(new_membership(copied, GROUP.key), copied)])
    assert await work.signing_member(one, fresh.udf) is None


@pytest.mark.asyncio
async def test_the_active_members_without_an_entry_are_counted(work: Work) -> None:
    one, other = await listed(work)
    for stored, group in ((one, GROUP), (other, OTHER)):
        assert await work.lacking(stored.id, group.key.public.udf) == 0
    key = PrivateKey.generate(Curve.X25519)
    assert await work.lacking(one.id, key.public.udf) == 2
    assert await work.lacking(other.id, GROUP.key.public.udf) == 1
    await work.put_members(one.id, [rows(new_membership(BOB, key), BOB)])
    assert await work.lacking(one.id, key.public.udf) == 1
    idle = new_membership(BOB, status=Status.REVOKED)
    await work.put_members(one.id, [rows(idle, BOB)])
    assert await work.lacking(one.id, PrivateKey.generate(Curve.X25519).public.udf) == 1


@pytest.mark.asyncio
async def test_the_lists_that_a_profile_created_are_counted(work: Work) -> None:
    assert await work.founded(ALICE.udf) == 0
    await listed(work)
    assert await work.founded(ALICE.udf) == 2
    await work.authorize(ALICE.verified)
    await work.deauthorize(ALICE.udf)
    assert (await work.founded(ALICE.udf), await work.founded(BOB.udf)) == (2, 0)
