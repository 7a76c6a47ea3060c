"""What every Store does, whatever it is made of: one suite for them all."""

from dataclasses import replace
from datetime import timedelta

import pytest

from listserver.model import (
    EntryRow,
    Erased,
    PostId,
    Readers,
    Record,
    StoredList,
    StoredPost,
    Withdrawn,
)
from listserver.outcomes import Delivered, GaveUp, Outcome, Phase, TryLater
from listserver.store import Work
from recrypt_core.documents import Head, Privilege, Status
from recrypt_core.udf import Udf
from tests.builders import (
    EVERY_POWER,
    NOW,
    TEAM,
    Group,
    History,
    Membership,
    Person,
    new_group,
    new_history,
    new_membership,
    new_person,
    signed_group_key,
)
from tests.mails import sealed
from tests.stored import half_of, stored_post


async def listed(
    work: Work, *memberships: Membership, alice: Person, group: Group
) -> tuple[StoredList, History]:
    """Write a list with these members beside Alice."""
    first = new_membership(alice, group.key, privileges=EVERY_POWER)
    history = new_history(group, first, *memberships, authorised=alice)
    list_id = await work.create_list(
        history.state, history.changes[0], b"s" * 32, founder=alice.udf
    )
    members = [
        (
            history.state.members[each.entry.recrypt_udf],
            [EntryRow(half_of(each), 900)] if each.entry.entries else [],
        )
        for each in (first, *memberships)
    ]
    await work.put_members(list_id, members)
    found = await work.find_list(group.name)
    assert found is not None
    return found, history


@pytest.fixture
def group() -> Group:
    return new_group()


@pytest.fixture
def alice() -> Person:
    return new_person("alice@example.org")


@pytest.mark.asyncio
async def test_a_right_to_create_holds_for_every_key_until_it_is_taken(
    work: Work, alice: Person
) -> None:
    assert await work.authorized(alice.online.public.udf) is None
    newer = alice.changed()
    for profile in (alice.verified, newer.verified):
        await work.authorize(profile)
        for key in profile.signature_keys:
            assert await work.authorized(key.udf) == profile
    assert await work.authorized(alice.devices[0].public.udf) is None
    assert await work.deauthorize(alice.udf)
    assert not await work.deauthorize(alice.udf)
    assert await work.authorized(alice.online.public.udf) is None


@pytest.mark.asyncio
async def test_a_nonce_is_known_of_its_signer_until_its_time(work: Work) -> None:
    one, other = Udf("one"), Udf("other")
    until = NOW + timedelta(minutes=10)
    assert await work.take_nonce(one, b"n", until=until, now=NOW)
    assert not await work.take_nonce(one, b"n", until=until, now=until)
    assert await work.had_nonce(one, b"n")
    assert not await work.had_nonce(other, b"n")
    assert await work.take_nonce(other, b"n", until=until, now=NOW)
    later = until + timedelta(seconds=1)
    assert await work.take_nonce(one, b"m", until=later, now=later)
    assert not await work.had_nonce(one, b"n")


@pytest.mark.asyncio
async def test_a_list_is_found_by_name_in_any_case_and_by_identifier(
    work: Work, group: Group, alice: Person
) -> None:
    stored, history = await listed(work, group=group, alice=alice)
    for name in (TEAM, TEAM.upper(), group.master.udf):
        assert await work.find_list(name) == stored
    assert stored.secret == b"s" * 32
    assert stored.state == replace(history.state, members=stored.state.members)
    assert not stored.state.members
    for name in ("", "team", "other@lists.example", group.master.udf.lower(), alice.udf):
        assert await work.find_list(name) is None


@pytest.mark.asyncio
async def test_a_past_key_stays_though_the_online_key_that_signed_it_is_gone(
    work: Work, group: Group, alice: Person
) -> None:
    stored, history = await listed(work, group=group, alice=alice)
    past = signed_group_key(alice, group.key)
    newer = replace(stored.state, past_keys=(past,), head=Head(2, history.changes[0].hash))
    assert await work.append_change(stored, newer, history.changes[0])
    found = await work.find_list(TEAM)
    assert found is not None
    assert found.state.past_keys == (past,)


@pytest.mark.asyncio
async def test_a_state_comes_with_the_signer_and_all_who_are_active_with_powers(
    work: Work, group: Group, alice: Person
) -> None:
    people = [new_person(f"m{at}@example.org") for at in range(4)]
    idle = new_membership(people[3], privileges=(Privilege.ADMIN,), status=Status.SUSPENDED)
    others = [new_membership(each, group.key) for each in people[:3]]
    stored, history = await listed(work, *others, idle, group=group, alice=alice)
    signer = people[0].online.public.udf
    found = await work.with_signer(stored, signer)
    assert set(found.state.members) == {alice.udf, people[0].udf}
    for udf, member in found.state.members.items():
        assert member == history.state.members[udf]
    bare = await work.with_signer(stored, Udf("nobody"))
    assert set(bare.state.members) == {alice.udf}
    assert await work.signing_member(stored, signer) == history.state.members[people[0].udf]
    assert await work.signing_member(stored, people[0].devices[0].public.udf) is None


@pytest.mark.asyncio
async def test_members_are_read_by_name_each_with_its_own_halves(
    work: Work, group: Group, alice: Person
) -> None:
    people = [new_person(f"m{at}@example.org") for at in range(3)]
    made = [new_membership(each, group.key) for each in people[:2]]
    without = new_membership(people[2])
    stored, history = await listed(work, *made, without, group=group, alice=alice)
    found = await work.named(stored.id, [*(each.udf for each in people), Udf("nobody")])
    held = {
        member.profile.identifier: [half.member_key for half in halves] for member, halves in found
    }
    assert len(found) == len(held) == 3
    assert all(member == history.state.members[member.profile.identifier] for member, _ in found)
    for person, each in zip(people, (*made, without), strict=True):
        assert held[person.udf] == list(each.halves)


@pytest.mark.asyncio
async def test_a_change_is_written_only_upon_the_head_that_was_read(
    work: Work, group: Group, alice: Person
) -> None:
    stored, history = await listed(work, group=group, alice=alice)
    change = history.changes[0]
    second = replace(stored.state, head=Head(2, change.hash))
    assert await work.append_change(stored, second, change)
    assert not await work.append_change(stored, second, change)
    found = await work.find_list(TEAM)
    assert found is not None
    assert found.state.head == second.head
    assert await work.append_change(found, replace(second, head=Head(3, change.hash)), change)
    for after, limit, octets, count in ((0, 9, 10**6, 3), (1, 9, 10**6, 2), (3, 9, 10**6, 0),
                                        (0, 2, 10**6, 2), (0, 9, 1, 1)):  # fmt: skip
        page = await work.changes_after(stored.id, after, limit, octets=octets)
        assert page == (change,) * count


@pytest.mark.asyncio
async def test_an_entry_that_a_member_no_longer_has_is_gone_and_its_x_stays_known(
    work: Work, group: Group, alice: Person
) -> None:
    stored, _ = await listed(work, group=group, alice=alice)
    ((member, (found,)),) = await work.named(stored.id, [alice.udf])
    assert (found.address, found.group_key) == (alice.address, group.key.public.udf)
    other = Udf("another X")
    assert await work.take_halves([])
    assert await work.take_halves([found.member_key])
    assert not await work.take_halves([other, found.member_key])
    assert not await work.take_halves([Udf("twice"), Udf("twice")])
    assert await work.has_entries(stored.id, group.key.public.udf)
    await work.put_members(stored.id, [(member, [])])
    assert await work.named(stored.id, [alice.udf]) == ((member, ()),)
    assert not await work.has_entries(stored.id, group.key.public.udf)
    assert not await work.take_halves([found.member_key])


@pytest.mark.asyncio
async def test_the_pages_of_members_have_an_order_that_stays(
    work: Work, group: Group, alice: Person
) -> None:
    others = [new_membership(new_person(f"m{at}@example.org"), group.key) for at in range(4)]
    stored, _ = await listed(work, *others, group=group, alice=alice)
    whole, more = await work.members_after(stored.id, None, 5, octets=10**6)
    assert (len(whole), more) == (5, False)
    for at, each in enumerate(whole):
        page = await work.members_after(stored.id, each.recrypt_udf, 2, octets=10**6)
        assert page == (whole[at + 1 : at + 3], at < 2)
    for octets, count in ((1, 1), (3000, 2), (0, 0)):
        page = await work.members_after(stored.id, None, 5, octets=octets)
        assert page == (whole[:count], True)
    await work.members_after(stored.id, Udf("nobody"), 2, octets=1)


@pytest.mark.asyncio
async def test_contents_and_message_ids_are_known_of_their_list(
    work: Work, group: Group, alice: Person
) -> None:
    stored, _ = await listed(work, group=group, alice=alice)
    other, _ = await listed(work, group=new_group("other@lists.example"), alice=alice)
    key = group.key.public.udf
    one = sealed(group.key.public)
    for aside in (False, True):
        assert not await work.had_content(stored.id, one, is_aside=aside)
    assert await work.take_content(stored.id, one, key, is_aside=False)
    for aside in (False, True):
        assert await work.had_content(stored.id, one, is_aside=aside)
        assert not await work.had_content(other.id, one, is_aside=aside)
        assert not await work.take_content(stored.id, one, key, is_aside=aside)
    assert not await work.release_content(stored.id, one.content_id, key)
    anew = replace(one, aad="AAAA")
    assert [await work.had_otherwise(stored.id, each, key) for each in (one, anew)] == [False, True]
    assert not await work.had_otherwise(other.id, anew, key)
    assert await work.take_content(other.id, one, key, is_aside=False)
    assert await work.take_message_id(stored.id, "<1@x>")
    assert not await work.take_message_id(stored.id, "<1@x>")
    assert await work.take_message_id(other.id, "<1@x>")


@pytest.mark.asyncio
async def test_what_is_set_aside_is_known_by_its_sender_until_readers_have_it(
    work: Work, group: Group, alice: Person
) -> None:
    stored, _ = await listed(work, group=group, alice=alice)
    key, bare = group.key.public.udf, sealed(group.key.public)
    signed = replace(bare, sender="a.b.c")
    assert await work.take_content(stored.id, bare, key, is_aside=True)
    for aside in (False, True):
        assert not await work.take_content(stored.id, bare, key, is_aside=aside)
        assert await work.had_content(stored.id, bare, is_aside=aside)
    assert await work.had_content(stored.id, signed, is_aside=False)
    assert not await work.had_content(stored.id, signed, is_aside=True)
    assert await work.take_content(stored.id, signed, key, is_aside=True)
    assert await work.release_content(stored.id, bare.content_id, key)
    assert not await work.release_content(stored.id, bare.content_id, key)
    assert not await work.had_otherwise(stored.id, signed, key)
    another = replace(bare, sender="d.e.f")
    assert not await work.take_content(stored.id, another, key, is_aside=True)


async def posted_to(work: Work, group: Group, alice: Person) -> tuple[StoredPost, bytes]:
    """Post to a list of four."""
    people = [new_person(f"m{at}@example.org") for at in range(3)]
    others = [new_membership(each, group.key) for each in people]
    stored, _ = await listed(work, *others, group=group, alice=alice)
    readers = await work.readers(stored.id, group.key.public.udf)
    assert (len(readers.members), readers.longest_own) == (4, 900)
    assert await work.readers(stored.id, Udf("another")) == Readers(stored.id, [], 0)
    envelope = sealed(group.key.public)
    post = stored_post(envelope, *map(half_of, others))
    assert await work.next_due(NOW) is None
    kept = NOW + timedelta(days=14)
    await work.enqueue(readers, post, envelope.ciphertext, keep_until=kept)
    assert await work.next_due(NOW) == NOW
    return post, envelope.ciphertext


@pytest.mark.asyncio
async def test_a_delivery_that_is_due_is_claimed_once(
    work: Work, group: Group, alice: Person
) -> None:
    post = await posted_to(work, group, alice)
    number = await work.busy_post(NOW, PostId(0))
    assert number is not None
    claims = [*await work.claim(number, NOW, 3), *await work.claim(number, NOW, 3)]
    assert await work.claim(number, NOW, 3) == ()
    assert await work.busy_post(NOW, PostId(0)) is None
    assert await work.next_due(NOW) is None
    assert len({each.member for each in claims}) == len(claims) == 4
    assert {each.attempts for each in claims} == {1}
    assert await work.read_post(claims[0].post) == post
    assert await work.release_claims() == 4
    assert {each.attempts for each in await work.claim(number, NOW, 9)} == {2}


@pytest.mark.asyncio
async def test_what_is_final_stays_so_and_the_ciphertext_stays_for_its_time(
    work: Work, group: Group, alice: Person
) -> None:
    post = await posted_to(work, group, alice)
    claims = await work.claim(PostId(1), NOW, 9)
    later = NOW + timedelta(hours=1)
    outcomes: tuple[Outcome | Withdrawn, ...] = (
        Delivered(),
        GaveUp(Phase.RCPT, 550, "no"),
        Withdrawn(),
        TryLater(later, ambiguous=False),
    )
    await work.record(
        [Record(each.id, each.post, what) for each, what in zip(claims, outcomes, strict=True)]
    )
    assert await work.next_due(NOW) == later
    assert await work.release_claims() == 0
    (again,) = await work.claim(PostId(1), later, 9)
    assert (again.id, again.attempts) == (claims[3].id, 2)
    assert await work.read_post(again.post) == post
    await work.record([Record(again.id, again.post, Delivered())])
    assert await work.next_due(NOW) is None
    await work.erase_old(NOW)
    assert await work.read_post(again.post) == post
    await work.erase_old(NOW + timedelta(days=14))
    with pytest.raises(LookupError):
        await work.read_post(again.post)


@pytest.mark.asyncio
async def test_how_far_was_erased_is_remembered_to_the_second(work: Work) -> None:
    assert await work.erased_until() is None
    for days in (0, 3):
        erased = Erased(NOW + timedelta(days=days), timedelta(days=days))
        await work.set_erased_until(erased)
        assert await work.erased_until() == erased


@pytest.mark.asyncio
async def test_late_delivery_repeats_what_ended_and_leaves_what_is_still_to_come(
    work: Work, group: Group, alice: Person
) -> None:
    await posted_to(work, group, alice)
    found = await work.find_list(group.name)
    assert found is not None
    member = alice.verified.identifier

    async def again(since: timedelta = timedelta(0)) -> int:
        return await work.redeliver(found.id, member, NOW + since, NOW)

    assert await again() == 0  # it stands in a shard
    claims = await work.claim(PostId(1), NOW, 9)
    assert await again() == 0  # under way
    gave_up = GaveUp(Phase.RCPT, 550, "no")
    await work.record([Record(each.id, each.post, gave_up) for each in claims])
    assert await work.busy_post(NOW, PostId(0)) is None
    assert await again(timedelta(seconds=1)) == 0
    assert await again() == 1  # given up before
    assert await again() == 0  # due
    (claim,) = await work.claim(PostId(1), NOW, 9)
    assert claim.attempts == 1
    await work.record([Record(claim.id, claim.post, Delivered())])
    assert await again() == 1  # delivered before
    assert await work.redeliver(found.id, Udf("nobody"), NOW, NOW) == 0
    (claim,) = await work.claim(PostId(1), NOW, 9)
    await work.record([Record(claim.id, claim.post, Delivered())])
    await work.erase_old(NOW + timedelta(days=14))
    assert await again() == 0
