"""The worker: it delivers what comes, wakes for what was put off, and stops without loss."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

import pytest

from listserver.carrying import Carrying
from listserver.copies import Frame
from listserver.delivering import Delivering
from listserver.edges import relay as relay_room
from listserver.edges.relay import Relay
from listserver.limits import FAULTS, IN_HAND, QUEUE_PATIENCE, STORE_RETRY, STORE_TROUBLES
from listserver.model import Claim, MemberId, Record
from listserver.outcomes import Answer, Broken, Phase, Refused, Schedule
from listserver.ports import Outgoing
from listserver.store import StoreDamaged, StoreTrouble
from recrypt_core.keys import PublicKey
from tests.builders import new_group, new_membership, new_person
from tests.fakes import (
    CONNECTIONS,
    TAKEN,
    Bench,
    ScriptedCourier,
    TroubledStore,
    administrator,
    open_bench,
)
from tests.mails import mail, sealed

Tried: TypeAlias = tuple[Claim, Record | Exception]
LATER = Refused(Phase.RCPT, 451, "later")


@pytest.fixture(autouse=True)
def _no_waiting_for_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_room, "STORE_RETRY", timedelta(0))


class GatedCourier(ScriptedCourier):
    """Holds every delivery until `gate` is open; `held` is released for each that came."""

    def __init__(self, scripts: Mapping[str, Sequence[Answer]] | None = None) -> None:
        super().__init__(scripts)
        self.gate = asyncio.Event()
        self.held = asyncio.Semaphore(0)
        self.under_way = 0
        self.most_under_way = 0

    async def deliver(self, mail: Outgoing) -> Answer:
        """Wait, then deliver."""
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        self.held.release()
        await self.gate.wait()
        self.under_way -= 1
        return await super().deliver(mail)


async def queued(bench: Bench, members: int = 3) -> PublicKey:
    """Post to a list of so many; give its key."""
    group = new_group()
    alice, *others = [new_person(f"m{at}@example.org") for at in range(members)]
    entries = [new_membership(each, group.key) for each in others]
    await bench.create(group, administrator(alice, group), *entries, authorised=alice)
    assert (await bench.post(mail(sealed(group.key.public).mmx()))).positive
    return group.key.public


@asynccontextmanager
async def running(
    bench: Bench, delivering: Delivering | None = None
) -> AsyncIterator[Relay[Frame, Claim, Record]]:
    """Run a relay; stop it in good order."""
    relay = Relay(
        delivering or bench.delivering,
        bench.posting.arrived,
        connections=CONNECTIONS,
        log=bench.log,
    )
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        relay.stop()
        await asyncio.wait_for(task, 5)


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Ask until something is so, for 5 seconds; each time asked, the store lets others in."""
    async with asyncio.timeout(5):
        while not await is_so():
            pass


def in_state(bench: Bench, *expected: int) -> Callable[[], Awaitable[bool]]:
    """Ask whether every member was claimed, and these are the states of what has a row still."""

    async def asked() -> bool:
        rows = await bench.rows("SELECT state FROM deliveries ORDER BY state")
        (left,) = await bench.rows("SELECT count(*) FROM shards")
        return left == (0,) and [row[0] for row in rows] == list(expected)

    return asked


def in_state_after(bench: Bench, event: str) -> Callable[[], Awaitable[bool]]:
    """Ask whether this was logged and nothing is claimed any more."""

    async def asked() -> bool:
        claimed = await bench.rows("SELECT 1 FROM deliveries WHERE state = 1")
        return not claimed and event in {name for name, _ in bench.log.events}

    return asked


@pytest.mark.asyncio
async def test_what_is_queued_and_what_comes_while_it_runs_is_delivered(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        async with running(bench):
            await queued(bench, 12)
            await until(in_state(bench))
        assert sorted(each.recipient for each in bench.courier.sent) == sorted(
            f"m{at}@example.org" for at in range(12)
        )
        relayed = [counts for name, counts in bench.log.events if name == "relayed"]
        assert sum(int(each["delivered"]) for each in relayed) == 12
        assert "example.org" not in str(bench.log.events)


class Sleepless(Delivering):
    """Tells how long nothing is due, and then lets all that time pass at once."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(
            bench.store, Carrying(bench.courier, CONNECTIONS), bench.links, bench.clock, Schedule()
        )
        self._fixed = bench.clock
        self.slept: asyncio.Queue[timedelta] = asyncio.Queue()

    async def pause(self) -> timedelta:
        """Tell."""
        wait = await super().pause()
        self.slept.put_nowait(wait)
        self._fixed.advance(wait)
        return timedelta(seconds=-1)


@pytest.mark.asyncio
async def test_it_wakes_for_what_was_put_off_while_it_slept(tmp_path: Path) -> None:
    courier = GatedCourier({"m0@example.org": [LATER]})
    async with open_bench(tmp_path, courier=courier) as bench:
        await queued(bench, 1)
        delivering = Sleepless(bench)
        async with running(bench, delivering):
            assert await delivering.slept.get() == QUEUE_PATIENCE  # the one delivery is under way
            courier.gate.set()
            await until(in_state(bench))
        assert len(courier.sent) == 2
        slept = [delivering.slept.get_nowait() for _ in range(delivering.slept.qsize())]
        assert sum(slept, timedelta(0)) >= timedelta(minutes=5)


@pytest.mark.asyncio
async def test_no_more_are_under_way_than_there_are_connections(tmp_path: Path) -> None:
    courier = GatedCourier()
    async with open_bench(tmp_path, courier=courier) as bench:
        await queued(bench, 6)
        async with running(bench):
            for _ in range(CONNECTIONS):
                await courier.held.acquire()
            assert courier.sent == []
            courier.gate.set()
            await until(in_state(bench))
        assert courier.most_under_way == CONNECTIONS


@pytest.mark.asyncio
async def test_a_stop_finishes_what_is_in_hand_and_puts_back_the_rest(tmp_path: Path) -> None:
    courier = GatedCourier()
    async with open_bench(tmp_path, courier=courier) as bench:
        await queued(bench, 6)
        async with running(bench) as relay:
            for _ in range(CONNECTIONS):
                await courier.held.acquire()
            relay.stop()
            courier.gate.set()
        assert len(courier.sent) == CONNECTIONS
        assert await bench.waiting() == 4
        assert await bench.delivering.recover() == 0
        await bench.relay_all()
        assert len({each.recipient for each in courier.sent}) == len(courier.sent) == 6


@pytest.mark.asyncio
async def test_outcomes_that_cannot_be_written_at_first_are_not_lost(tmp_path: Path) -> None:
    courier = GatedCourier()
    async with open_bench(tmp_path, courier=courier) as bench:
        await queued(bench, 2)
        store = TroubledStore(bench.store)
        delivering = bench.delivering_by(store, courier)
        async with running(bench, delivering):
            for _ in range(CONNECTIONS):
                await courier.held.acquire()
            store.failures = 3
            courier.gate.set()
            await until(in_state(bench))
        assert len(courier.sent) == 2
        assert store.failures == 0
        assert "record-trouble" in {name for name, _ in bench.log.events}


@pytest.mark.asyncio
async def test_what_cannot_be_written_is_in_hand_until_it_is(tmp_path: Path) -> None:
    class Full(Delivering):
        """Writes no outcome while it is full; claims all the same."""

        full = True

        async def record(self, records: Sequence[Record]) -> None:
            """Write, or don't."""
            if self.full:
                raise StoreTrouble("Full")
            await super().record(records)

    async with open_bench(tmp_path) as bench:
        await queued(bench, 40)
        carrying = Carrying(bench.courier, CONNECTIONS)

        async def claimed() -> int:
            return len(await bench.rows("SELECT 1 FROM deliveries WHERE state = 1"))

        async def more_than_one_group() -> bool:
            return await claimed() > CONNECTIONS

        full = Full(bench.store, carrying, bench.links, bench.clock, Schedule())
        async with running(bench, full):
            await until(more_than_one_group)
            for _ in range(100):
                assert len(bench.courier.sent) <= await claimed() <= IN_HAND * CONNECTIONS
            full.full = False
            await until(in_state(bench))
        assert len(bench.courier.sent) == 40


@pytest.mark.asyncio
async def test_claims_that_come_to_nothing_are_claimed_again(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        await queued(bench, 2)
        store = TroubledStore(bench.store)
        store.failures = 2
        delivering = bench.delivering_by(store, bench.courier)
        async with running(bench, delivering):
            await until(in_state(bench))
        assert len(bench.courier.sent) == 2
        assert ("relay-trouble", {"error": "StoreTrouble"}) in bench.log.events


@pytest.mark.asyncio
async def test_a_fault_in_one_delivery_puts_it_off_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    class Faulty(ScriptedCourier):
        """Has a bug that one recipient brings out."""

        async def deliver(self, mail: Outgoing) -> Answer:
            """Deliver, or fail."""
            if mail.recipient == "m1@example.org":
                raise ZeroDivisionError("m1@example.org")
            return TAKEN

    async with open_bench(tmp_path, courier=Faulty()) as bench:
        await queued(bench, 4)
        async with running(bench):
            await until(in_state(bench, 0))
        assert ("delivery-fault", {"error": "ZeroDivisionError"}) in bench.log.events
        assert await bench.rows("SELECT faults FROM deliveries") == [(1,)]


@pytest.mark.asyncio
async def test_a_stop_does_not_wait_for_ever_for_a_silent_peer_and_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_room, "STOP_TIMEOUT", timedelta(seconds=0.05))
    courier = GatedCourier()
    async with open_bench(tmp_path, courier=courier) as bench:
        await queued(bench, 8)
        for _ in range(FAULTS + 1):
            async with running(bench):
                for _ in range(CONNECTIONS):
                    await courier.held.acquire()
            assert await bench.delivering.recover() == 0
            assert await bench.waiting() == 8
            assert await bench.rows("SELECT sum(faults) FROM deliveries") == [(0,)]
        courier.gate.set()
        async with running(bench):
            await until(in_state(bench))


@pytest.mark.asyncio
async def test_an_outcome_that_cannot_be_written_stops_no_other(tmp_path: Path) -> None:
    class Unwritable(Delivering):
        """Meets words that nothing can encode."""

        async def attempt(self, frame: Frame, claims: Sequence[Claim]) -> AsyncIterator[Tried]:
            """Try, and spoil one outcome."""
            async for claim, record in super().attempt(frame, claims):
                assert isinstance(record, Record)
                is_his = claim.member == MemberId(2)
                yield claim, replace(record, words="\udcff") if is_his else record

    courier = ScriptedCourier({"m1@example.org": [Refused(Phase.RCPT, 550, "no")]})
    async with open_bench(tmp_path, courier=courier) as bench:
        await queued(bench, 8)
        spoilt = Unwritable(
            bench.store, Carrying(courier, CONNECTIONS), bench.links, bench.clock, Schedule()
        )
        async with running(bench, spoilt):
            await until(in_state(bench, 1))
        assert "record-fault" in {name for name, _ in bench.log.events}
        assert len(courier.sent) == 8


class Untold(Delivering):
    """Gets no answer of the store about one member; counts how often it asks."""

    def __init__(self, bench: Bench, problem: StoreTrouble) -> None:
        super().__init__(
            bench.store, Carrying(bench.courier, CONNECTIONS), bench.links, bench.clock, Schedule()
        )
        self._fixed, self._problem = bench.clock, problem
        self.asked = 0

    async def attempt(self, frame: Frame, claims: Sequence[Claim]) -> AsyncIterator[Tried]:
        """Try, or fail."""
        for claim in claims:
            if claim.member == MemberId(2):
                self.asked += 1
                yield claim, self._problem
        others = [each for each in claims if each.member != MemberId(2)]
        async for each in super().attempt(frame, others):
            yield each

    async def pause(self) -> timedelta:
        """Let a moment pass."""
        self._fixed.advance(STORE_RETRY)
        return timedelta(seconds=-1)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("problem", "tries"), [(StoreTrouble("I/O"), STORE_TROUBLES), (StoreDamaged("page"), 1)]
)
async def test_what_the_store_has_no_answer_for_is_put_off_and_at_last_a_fault(
    tmp_path: Path, problem: StoreTrouble, tries: int
) -> None:
    async with open_bench(tmp_path) as bench:
        await queued(bench, 4)
        delivering = Untold(bench, problem)
        begun = bench.clock.now()
        async with running(bench, delivering):
            await until(in_state_after(bench, "delivery-fault"))
        assert delivering.asked == tries
        assert len(bench.courier.sent) == 3
        assert bench.clock.now() - begun >= (tries - 1) * STORE_RETRY
        assert await bench.rows("SELECT state, attempts, faults FROM deliveries") == [(0, 1, 1)]


@pytest.mark.asyncio
async def test_an_outcome_whose_row_is_damaged_stops_no_other(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        await queued(bench, 4)
        async with bench.store.begin():
            await bench.store._rows.run(
                "CREATE TRIGGER stuck BEFORE DELETE ON deliveries WHEN old.member_id = 2"
                " BEGIN SELECT RAISE(ABORT, 'damaged'); END"
            )
        async with running(bench):
            await until(in_state(bench, 1))
        assert ("record-fault", {"error": "StoreDamaged"}) in bench.log.events


class Watched(Delivering):
    """Tells how many are tried at one time, and puts off some as tried too late."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(
            bench.store,
            Carrying(bench.courier, CONNECTIONS),
            bench.links,
            bench.clock,
            Schedule(),
        )
        self.groups: list[int] = []
        self.late = False

    async def attempt(self, frame: Frame, claims: Sequence[Claim]) -> AsyncIterator[Tried]:
        """Try."""
        self.groups.append(len(claims))
        async for claim, record in super().attempt(frame, claims):
            yield claim, self.untried(claim) if self.late else record


@pytest.mark.asyncio
async def test_more_are_in_hand_while_the_host_takes_them_and_fewer_when_it_is_slow(
    tmp_path: Path,
) -> None:
    async with open_bench(tmp_path) as bench:
        key = await queued(bench, 120)
        delivering = Watched(bench)
        async with running(bench, delivering) as relay:
            await until(in_state(bench))
            assert delivering.groups[0] == CONNECTIONS
            assert CONNECTIONS < max(delivering.groups) <= CONNECTIONS * IN_HAND
            assert relay._ahead == CONNECTIONS * IN_HAND
            delivering.late = True
            assert (await bench.post(mail(sealed(key).mmx(), message_id="<2@x>"))).positive
            await until(lambda: no_more_ahead(relay))
            delivering.late = False


async def no_more_ahead(relay: Relay[Frame, Claim, Record]) -> bool:
    """Ask whether no more may be in hand than are under way; others have their turn."""
    await asyncio.sleep(0)
    return relay._ahead == CONNECTIONS


LOST = Broken(Phase.CONNECT, "ConnectionRefusedError")


@pytest.mark.asyncio
async def test_while_the_host_cannot_be_reached_no_attempt_is_spent_on_the_rest(
    tmp_path: Path,
) -> None:
    everybody = {f"m{at}@example.org": [LOST] for at in range(12)}
    courier = ScriptedCourier(everybody)
    async with open_bench(tmp_path, courier=courier) as bench:
        await queued(bench, 12)
        async with running(bench):
            await until(in_state_after(bench, "relayed"))
        assert 1 <= len(courier.sent) <= CONNECTIONS
        assert await bench.waiting() == 12
        (spent,) = await bench.rows("SELECT total(attempts) FROM deliveries")
        assert spent == (len(courier.sent),)


@pytest.mark.asyncio
async def test_the_first_one_that_reaches_the_host_ends_the_pause_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_room, "HOST_DELAY", timedelta(microseconds=1))
    courier = ScriptedCourier({f"m{at}@example.org": [LOST] for at in range(3)})
    async with open_bench(tmp_path, courier=courier) as bench:
        await queued(bench, 12)

        async def all_tried() -> bool:
            return await in_state(bench, 0, 0, 0)() and len(courier.sent) == 12

        async with running(bench):
            await until(all_tried)


@pytest.mark.asyncio
async def test_the_pauses_grow_to_a_minute_and_end_with_the_first_success() -> None:
    host = relay_room._Host()
    waits = []
    for _ in range(9):
        host.note(reached=False)
        host.note(reached=False)  # under way when the pause began
        assert host.pauses
        assert host.is_lost
        waits.append(host._delay.total_seconds())
        host._until = 0.0
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    host.note(reached=True)
    assert not host.pauses
    assert not host.is_lost
