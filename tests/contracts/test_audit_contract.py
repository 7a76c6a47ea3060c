"""What every Store does with RecryptData: finding entries, counting, the log."""

from datetime import timedelta

import pytest

from listserver.model import Asked, EntryRow, ListId, MemberId, Recryptions
from listserver.store import Work
from recrypt_core.members import Member
from recrypt_core.records import AuditEntry, AuditResult
from tests.builders import (
    EVERY_POWER,
    NOW,
    new_group,
    new_history,
    new_membership,
    new_person,
)
from tests.stored import half_of

ALICE, BOB = (new_person(f"{name}@example.org") for name in ("alice", "bob"))
NEWER = BOB.changed(accounts=("b@example.org",))
GROUPS = new_group(), new_group("other@lists.example")
EPK = ALICE.devices[0].public.udf
DAY = timedelta(days=1)
FIRST, SECOND = ListId(1), ListId(2)
KEEP = 90 * DAY


async def listed(work: Work) -> list[EntryRow]:
    """Write two lists of Alice's and Bob's; give Bob's entries."""
    found = []
    for group in GROUPS:
        made = (
            new_membership(ALICE, group.key, privileges=EVERY_POWER),
            new_membership(BOB, group.key),
        )
        history = new_history(group, *made, authorised=ALICE)
        list_id = await work.create_list(
            history.state, history.changes[0], b"s" * 32, founder=ALICE.udf
        )
        rows = [EntryRow(half_of(each), 900) for each in made]
        members = [
            (Member(each.entry, person.verified), [row])
            for each, person, row in zip(made, (ALICE, BOB), rows, strict=True)
        ]
        await work.put_members(list_id, members)
        found.append(rows[1])
    return found


def asked(day: int = 0, result: AuditResult = AuditResult.DONE) -> Asked:
    return Asked(BOB.udf, EPK, EPK, result, NOW + day * DAY)


@pytest.mark.asyncio
async def test_an_entry_is_found_by_its_x_with_the_newest_profile(work: Work) -> None:
    assert await work.entry_by_half(EPK) is None
    for number, row in enumerate(await listed(work)):
        held = await work.entry_by_half(row.half.member_key)
        assert held is not None
        assert held.half.recryption.to_secret_bytes() == row.half.recryption.to_secret_bytes()
        assert held.half.member_key == row.half.member_key
        assert held.list.id == (FIRST, SECOND)[number]
        assert held.list.state.name == GROUPS[number].name
        assert (held.id, held.member.profile.signed) == (2 * number + 2, BOB.signed)
    await work.put_profile(SECOND, NEWER.verified)
    held = await work.entry_by_half(row.half.member_key)
    assert held is not None
    assert held.member.profile.signed == NEWER.signed


@pytest.mark.asyncio
async def test_where_there_is_no_such_entry_another_is_read_for_its_time(work: Work) -> None:
    await listed(work)
    held = await work.entry_by_half(EPK)
    assert held is not None
    assert held.half.member_key != EPK


@pytest.mark.asyncio
async def test_what_was_done_and_refused_is_counted_by_day_member_and_list(work: Work) -> None:
    await listed(work)
    bob, alice = MemberId(2), MemberId(1)
    for who in (bob, bob, alice):
        await work.audit(FIRST, who, asked())
    await work.audit(FIRST, bob, asked(result=AuditResult.QUOTA))
    await work.audit(FIRST, bob, asked(result=AuditResult.REFUSED))
    await work.audit(FIRST, bob, asked(1))
    cases: tuple[tuple[ListId, MemberId | None, int, Recryptions], ...] = (
        (FIRST, bob, 0, Recryptions(2, 2)),
        (FIRST, alice, 0, Recryptions(1, 0)),
        (FIRST, None, 0, Recryptions(3, 2)),
        (FIRST, bob, 1, Recryptions(1, 0)),
        (FIRST, None, 1, Recryptions(1, 0)),
        (FIRST, bob, 2, Recryptions(0, 0)),
        (SECOND, None, 0, Recryptions(0, 0)),
    )
    for list_id, counted, day, expected in cases:
        assert await work.recryptions(list_id, counted, NOW + day * DAY) == expected


@pytest.mark.asyncio
async def test_a_days_counts_end_at_midnight_utc(work: Work) -> None:
    await listed(work)
    await work.audit(FIRST, MemberId(2), asked())
    midnight = NOW.replace(hour=0)
    for moment, done in (
        (midnight, 1),
        (midnight + DAY - timedelta(seconds=1), 1),
        (midnight + DAY, 0),
        (midnight - timedelta(seconds=1), 0),
    ):
        assert (await work.recryptions(FIRST, None, moment)).done == done


@pytest.mark.asyncio
async def test_the_log_is_read_in_order_each_list_by_itself(work: Work) -> None:
    await listed(work)
    for list_id, result in ((FIRST, AuditResult.DONE), (SECOND, AuditResult.DONE)):
        await work.audit(list_id, MemberId(2), asked(result=result))
    await work.audit(FIRST, MemberId(2), asked(1, AuditResult.QUOTA))
    entries = [
        AuditEntry(
            seq=1 + at,
            time=NOW + at * DAY,
            recrypt_udf=BOB.udf,
            member_key_udf=EPK,
            ephemeral_udf=EPK,
            result=result,
        )
        for at, result in enumerate((AuditResult.DONE, AuditResult.QUOTA))
    ]
    assert await work.audit_after(FIRST, 0, 9) == (tuple(entries), False)
    assert await work.audit_after(FIRST, 0, 1) == (tuple(entries[:1]), True)
    assert await work.audit_after(FIRST, 1, 1) == (tuple(entries[1:]), False)
    assert await work.audit_after(SECOND, 0, 9) == (tuple(entries[:1]), False)


@pytest.mark.asyncio
async def test_old_rows_and_counts_are_erased_and_seqs_go_on(work: Work) -> None:
    await listed(work)
    await work.audit(FIRST, MemberId(2), asked())
    await work.erase_audit(NOW + KEEP - timedelta(seconds=1), KEEP)
    assert len((await work.audit_after(FIRST, 0, 9))[0]) == 1
    assert await work.recryptions(FIRST, None, NOW) == Recryptions(0, 0)
    await work.erase_audit(NOW + KEEP, KEEP)
    assert await work.audit_after(FIRST, 0, 9) == ((), False)
    await work.audit(FIRST, MemberId(2), asked())
    ((entry,), _) = await work.audit_after(FIRST, 0, 9)
    assert entry.seq == 2
