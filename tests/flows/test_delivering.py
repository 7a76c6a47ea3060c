"""Delivering on a real store: one copy for each, tried again or not, and nothing lost."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec.structs import replace as but

from listserver import limits
from listserver.addresses import ListAddress, Role, parse_address, read_list_address
from listserver.delivering import Batch
from listserver.model import Claim, Faulted, Record
from listserver.outcomes import Answer, Broken, Delivered, GaveUp, Phase, Refused, TryLater
from listserver.store import StoreTrouble
from listserver.tokens import DeliveryToken, read_token
from recrypt_core.documents import Status
from recrypt_core.opening import open_recrypted
from tests.builders import (
    History,
    Membership,
    Person,
    new_group,
    new_membership,
    new_person,
)
from tests.fakes import TAKEN, Bench, ScriptedCourier, administrator, open_bench
from tests.mails import CONTENT, envelope_of, mail, sealed

NAMES = ("alice", "bob", "carol")
BOB = "bob@example.org"
LATER = Refused(Phase.RCPT, 451, "bob@example.org: try later")
NEVER = Refused(Phase.RCPT, 550, "bob@example.org: unknown")


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Open a server."""
    async with open_bench(tmp_path) as opened:
        yield opened


async def posted_to_three(bench: Bench) -> tuple[History, list[Person]]:
    """Create a list of three, and post to it."""
    group = new_group()
    people = [new_person(f"{name}@example.org") for name in NAMES]
    alice, *others = people
    memberships: list[Membership] = [new_membership(each, group.key) for each in others]
    history = await bench.create(group, administrator(alice, group), *memberships, authorised=alice)
    assert (await bench.post(mail(sealed(group.key.public).mmx()))).positive
    return history, people


async def attempts(bench: Bench) -> list[tuple[Claim, Record]]:
    """Claim what is due and try each once, recording nothing."""
    batch = await bench.delivering.claim(100)
    if batch is None:
        return []
    return [(each, await bench.attempt(batch.frame, each)) for each in batch.claims]


async def wait_of(bench: Bench) -> timedelta | None:
    """Tell how long nothing is due."""
    now = bench.clock.now()
    async with bench.store.begin() as work:
        due = await work.next_due(now)
    return None if due is None else due - now


async def states(bench: Bench) -> list[int]:
    """Give the states of deliveries that have a row: 0 due, 1 claimed, 2 given up, 3 held."""
    return sorted(int(row[0] or 0) for row in await bench.rows("SELECT state FROM deliveries"))


@pytest.mark.asyncio
async def test_each_member_gets_one_copy_that_only_it_reads(bench: Bench) -> None:
    _, people = await posted_to_three(bench)
    await bench.relay_all()
    sent = {each.recipient: each for each in bench.courier.sent}
    assert len(bench.courier.sent) == len(sent) == len(people)
    for person in people:
        copy = envelope_of(sent[person.address].parts)
        assert open_recrypted(copy, person.devices) == CONTENT
    assert len({len(b"".join(each.parts)) for each in sent.values()}) == 1
    assert await bench.delivering.claim(100) is None
    assert await wait_of(bench) is None


async def attempts_at_once(bench: Bench, batch: Batch | None) -> list[Record]:
    """Begin to try what was claimed all at one time, recording nothing."""
    assert batch is not None
    tried = [each async for _, each in bench.delivering.attempt(batch.frame, batch.claims)]
    return [each for each in tried if isinstance(each, Record)]


@pytest.mark.asyncio
async def test_what_begins_at_one_time_is_read_in_one_block(bench: Bench) -> None:
    await posted_to_three(bench)
    batch = await bench.delivering.claim(100)
    with bench.statements() as noted:
        records = await attempts_at_once(bench, batch)
    assert [each.outcome for each in records] == [Delivered()] * 3
    assert noted.count("COMMIT") == 1


@pytest.mark.asyncio
async def test_of_those_that_are_read_together_only_the_damaged_one_has_a_fault(
    bench: Bench,
) -> None:
    await posted_to_three(bench)
    await bench.rows("UPDATE entries SET sealed = x'01' WHERE id = (SELECT max(id) FROM entries)")
    batch = await bench.delivering.claim(100)
    outcomes = [each.outcome for each in await attempts_at_once(bench, batch)]
    assert outcomes.count(Delivered()) == 2
    assert sum(isinstance(each, Faulted) for each in outcomes) == 1


@pytest.mark.asyncio
async def test_every_return_path_is_another_and_the_servers_own(bench: Bench) -> None:
    history, _ = await posted_to_three(bench)
    await bench.post(mail(sealed(history.group.key.public).mmx(), message_id="<2@x>"))
    await bench.relay_all()
    paths = [read_list_address(parse_address(each.return_path), ("lists.example",))
             for each in bench.courier.sent]  # fmt: skip
    tokens = []
    for path in paths:
        assert path is not None
        assert path.token is not None
        assert path == ListAddress("team@lists.example", Role.BOUNCES, path.token)
        token = read_token(bench.vault, path.token)
        assert isinstance(token, DeliveryToken)
        tokens.append(token)
    assert len(set(tokens)) == 6
    assert len({each.post for each in tokens}) == 2
    assert len({each.member for each in tokens}) == 3


@pytest.mark.asyncio
async def test_a_4xx_is_tried_again_later_and_later_until_it_is_taken(tmp_path: Path) -> None:
    courier = ScriptedCourier({BOB: [LATER, Broken(Phase.CONNECT, "reset"), LATER, TAKEN]})
    async with open_bench(tmp_path, courier=courier) as bench:
        await posted_to_three(bench)
        await bench.relay_all()
        for delay in (5, 10, 20):
            assert await wait_of(bench) == timedelta(minutes=delay)
            bench.clock.advance(timedelta(minutes=delay, seconds=-1))
            assert await bench.delivering.claim(100) is None
            bench.clock.advance(timedelta(seconds=1))
            await bench.relay_all()
        assert [each.recipient for each in courier.sent].count(BOB) == 4
        assert await states(bench) == []
        assert await wait_of(bench) is None


@pytest.mark.asyncio
async def test_a_5xx_is_final_and_its_words_are_kept_sealed(tmp_path: Path) -> None:
    async with open_bench(tmp_path, courier=ScriptedCourier({BOB: [NEVER]})) as bench:
        await posted_to_three(bench)
        await bench.relay_all()
        assert await states(bench) == [2]
        assert await bench.delivering.claim(100) is None
        ((delivery, words),) = await bench.rows("SELECT id, sealed FROM deliveries")
        assert isinstance(words, bytes)
        row = str(delivery).encode()
        assert bench.vault.unseal("deliveries", words, row=row).decode() == f"550 {NEVER.text}"
        assert BOB.encode() not in bench.octets_on_disk()


@pytest.mark.asyncio
async def test_what_was_tried_too_long_is_given_up(tmp_path: Path) -> None:
    async with open_bench(tmp_path, courier=ScriptedCourier({BOB: [LATER] * 99})) as bench:
        await posted_to_three(bench)
        await bench.relay_all()
        while (wait := await wait_of(bench)) is not None:
            bench.clock.advance(wait)
            await bench.relay_all()
        assert await states(bench) == [2]
        (row,) = await bench.rows("SELECT max(attempts) FROM deliveries")
        assert isinstance(row[0], int)
        assert 20 < row[0] < 60
        assert timedelta(days=5) == limits.LIFETIME


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [Status.REVOKED, Status.SUSPENDED])
async def test_who_stops_being_active_after_acceptance_gets_no_copy(
    bench: Bench, status: Status
) -> None:
    history, (alice, bob, _) = await posted_to_three(bench)
    ended = new_membership(bob, status=status)
    if status is Status.SUSPENDED:  # who is suspended may keep the entries
        ended = Membership(but(history.state.members[bob.udf].entry, status=status), {})
    await bench.restate(history, alice, ended)
    await bench.relay_all()
    assert BOB not in {each.recipient for each in bench.courier.sent}
    assert await states(bench) == []


@pytest.mark.asyncio
async def test_who_is_split_anew_after_acceptance_reads_the_copy(bench: Bench) -> None:
    history, (alice, bob, _) = await posted_to_three(bench)
    await bench.restate(history, alice, new_membership(bob, history.group.key))
    await bench.relay_all()
    (copy,) = [each for each in bench.courier.sent if each.recipient == BOB]
    assert open_recrypted(envelope_of(copy.parts), bob.devices) == CONTENT


@pytest.mark.asyncio
async def test_what_was_under_way_when_the_server_died_is_due_again(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        await posted_to_three(bench)
        (_, tried), *_ = await attempts(bench)
        await bench.delivering.record([tried])
    async with open_bench(tmp_path) as bench:
        assert await bench.delivering.claim(100) is None
        assert await bench.delivering.recover() == 2
        assert await bench.delivering.recover() == 0
        await bench.relay_all()
        assert len(bench.courier.sent) == 2
        assert await states(bench) == []


@pytest.mark.asyncio
async def test_the_ciphertext_is_erased_when_its_time_is_over_and_every_delivery_final(
    bench: Bench,
) -> None:
    await posted_to_three(bench)
    done = [record for _, record in await attempts(bench)]
    await bench.delivering.record(done[:2])
    bench.clock.advance(timedelta(days=14))
    await bench.erasing.erase()
    assert await bench.count("ciphertexts") == 1
    await bench.delivering.record(done[2:])
    bench.clock.advance(timedelta(seconds=-1))
    await bench.erasing.erase()
    assert await bench.count("ciphertexts") == 1
    bench.clock.advance(timedelta(seconds=1))
    await bench.erasing.erase()
    assert await bench.count("ciphertexts") == 0


@pytest.mark.asyncio
async def test_what_was_dropped_while_it_was_under_way_is_erased_in_its_time(bench: Bench) -> None:
    await posted_to_three(bench)
    done = [record for _, record in await attempts(bench)]
    async with bench.store.begin():
        await bench.store._rows.run("UPDATE posts SET held = 1")  # as `listserver queue drop` does
    await bench.delivering.record(done)
    bench.clock.advance(timedelta(days=14))
    await bench.erasing.erase()
    assert await bench.count("ciphertexts") == 0


@pytest.mark.asyncio
async def test_a_post_is_forgotten_when_no_return_path_counts_for_it_but_the_last(
    bench: Bench,
) -> None:
    history, _ = await posted_to_three(bench)
    await bench.post(mail(sealed(history.group.key.public).mmx(), message_id="<2@x>"))
    await bench.relay_all()
    bench.clock.advance(limits.TOKEN_LIFE - timedelta(seconds=1))
    await bench.erasing.erase()
    assert await bench.rows("SELECT id FROM posts") == [(1,), (2,)]
    bench.clock.advance(timedelta(seconds=1))
    await bench.erasing.erase()
    assert await bench.rows("SELECT id FROM posts") == [(2,)]


@pytest.mark.asyncio
async def test_a_claim_that_nothing_was_done_for_is_due_at_once(bench: Bench) -> None:
    await posted_to_three(bench)
    batch = await bench.delivering.claim(2)
    assert batch is not None
    assert len(batch.claims) == 2
    await bench.delivering.record([bench.delivering.untried(each) for each in batch.claims])
    assert await wait_of(bench) == timedelta(0)
    again = await bench.delivering.claim(100)
    assert again is not None
    assert [each.attempts for each in again.claims] == [1, 1, 1]  # nothing was tried


@pytest.mark.asyncio
async def test_a_batch_is_of_one_post_and_of_no_delivery_twice(bench: Bench) -> None:
    history, _ = await posted_to_three(bench)
    await bench.post(mail(sealed(history.group.key.public).mmx(), message_id="<2@x>"))
    batches = [await bench.delivering.claim(2) for _ in range(5)]
    found = [each.claims for each in batches if each is not None]
    assert [len({claim.post for claim in claims}) for claims in found] == [1, 1, 1, 1]
    assert len({claim.id for claims in found for claim in claims}) == 6


@pytest.mark.asyncio
async def test_an_outcome_is_judged_as_the_policy_says(tmp_path: Path) -> None:
    in_doubt = Broken(Phase.CONTENT, "lost")
    script: dict[str, list[Answer]] = {"alice@example.org": [NEVER], BOB: [in_doubt]}
    async with open_bench(tmp_path, courier=ScriptedCourier(script)) as bench:
        await posted_to_three(bench)
        found = {type(each.outcome): each for _, each in await attempts(bench)}
        assert found.keys() == {GaveUp, TryLater, Delivered}
        later = found[TryLater].outcome
        assert later == TryLater(bench.clock.now() + limits.FIRST_DELAY, ambiguous=True)
        assert (found[TryLater].words, found[GaveUp].words) == ("", f"550 {NEVER.text}")


@pytest.mark.asyncio
async def test_a_damaged_post_is_held_and_does_not_hold_up_the_next(bench: Bench) -> None:
    history, _ = await posted_to_three(bench)
    async with bench.store.begin():
        await bench.store._rows.run("UPDATE posts SET sealed = zeroblob(99)")
    await bench.post(mail(sealed(history.group.key.public).mmx(), message_id="<2@x>"))
    await bench.relay_all()
    assert len(bench.courier.sent) == 3
    assert await bench.rows("SELECT held FROM posts ORDER BY id") == [(1,), (0,)]
    assert await wait_of(bench) is None


@pytest.mark.asyncio
async def test_a_damaged_entry_is_held_after_three_attempts_and_delays_nobody(
    bench: Bench,
) -> None:
    await posted_to_three(bench)
    async with bench.store.begin():
        await bench.store._rows.run(
            "UPDATE entries SET sealed = zeroblob(99) WHERE id = (SELECT max(id) FROM entries)"
        )
    for faults in (1, 2, 3):
        await bench.relay_all()
        assert len(bench.courier.sent) == 2
        assert await bench.rows("SELECT faults FROM deliveries") == [(faults,)]
        bench.clock.advance(limits.FAULT_DELAY)
    assert await states(bench) == [3]
    assert await wait_of(bench) is None


@pytest.mark.asyncio
async def test_what_was_under_way_at_three_deaths_of_the_server_is_held(bench: Bench) -> None:
    await posted_to_three(bench)
    for due in (3, 3, 0):
        assert await bench.delivering.claim(100) is not None
        assert await bench.delivering.recover() == due
        bench.clock.advance(limits.FAULT_DELAY)  # after two deaths it is put off
    assert await states(bench) == [3, 3, 3]


@pytest.mark.asyncio
async def test_posts_take_turns(bench: Bench) -> None:
    history, _ = await posted_to_three(bench)
    await bench.post(mail(sealed(history.group.key.public).mmx(), message_id="<2@x>"))
    batches = [await bench.delivering.claim(1) for _ in range(6)]
    posts = [each.claims[0].post for each in batches if each is not None]
    assert posts == [1, 2, 1, 2, 1, 2]


@pytest.mark.asyncio
async def test_nothing_is_claimed_while_the_post_cannot_be_read(bench: Bench) -> None:
    await posted_to_three(bench)
    async with bench.store.begin():
        await bench.store._rows.run("ALTER TABLE posts RENAME COLUMN sealed TO lost")
    with pytest.raises(StoreTrouble):
        await bench.delivering.claim(100)
    async with bench.store.begin():
        await bench.store._rows.run("ALTER TABLE posts RENAME COLUMN lost TO sealed")
    await bench.relay_all()
    assert len(bench.courier.sent) == 3


@pytest.mark.asyncio
@pytest.mark.parametrize(("answer", "calls"), [(NEVER, 1), (LATER, 0), (TAKEN, 0)])
async def test_what_is_given_up_calls_for_the_chores(
    bench: Bench, answer: Answer, calls: int
) -> None:
    woken: list[int] = []
    bench.delivering.on_trouble = lambda: woken.append(1)
    bench.courier.script(BOB, answer)
    await posted_to_three(bench)
    await bench.relay_all()
    assert len(woken) == calls
