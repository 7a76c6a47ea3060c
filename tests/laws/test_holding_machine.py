"""Held posts of a real store against a model that is a dict: each is decided about once, or over.

A crash leaves what stands in the store's files at that moment; the next server opens a copy.
"""

import asyncio
import shutil
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from listserver import replies
from listserver.held import HeldState
from listserver.holding import Holding, HoldKeeping
from listserver.signers import Signers
from recrypt_core.moderation import Decide, Decision
from recrypt_core.policy import Policy, PostRight
from tests.fakes import Bench, TroubledStore, open_bench
from tests.lists import said
from tests.moderated import House

T = TypeVar("T")

STATES: Final = {
    Decision.ACCEPT: HeldState.ACCEPTED,
    Decision.REJECT: HeldState.REJECTED,
    Decision.DISCARD: HeldState.DISCARDED,
}
DAYS: Final = 7
READERS: Final = ("alice", "bob", "carol")
MODERATORS: Final = ("alice", "bob")


class HoldingMachine(RuleBasedStateMachine):
    """Posts, decisions, crashes and days that pass, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = TemporaryDirectory()
        self.stack = AsyncExitStack()
        self.lives = 0
        self.states: dict[int, HeldState] = {}
        self.since: dict[int, timedelta] = {}
        self.age = timedelta(0)
        self.had: dict[str, list[int]] = {name: [] for name in READERS}
        self.house = House(self.run(self._open(None)))
        self.run(self.house.found(Policy(post=PostRight.MODERATED, hold_days=DAYS)))

    def run(self, job: Coroutine[object, object, T]) -> T:
        """Run something of the server's to its end."""
        return self.loop.run_until_complete(job)

    async def _open(self, earlier: Path | None) -> Bench:
        """Begin the next life, on the files as they are."""
        self.lives += 1
        folder = Path(self.folder.name) / f"{self.lives}"
        folder.mkdir()
        for file in earlier.parent.glob(f"{earlier.name}*") if earlier else ():
            if file.suffix != ".lock":
                shutil.copy(file, folder)
        bench = await self.stack.enter_async_context(open_bench(folder))
        bench.clock.advance(self.age)
        await bench.delivering.recover()
        return bench

    @rule(by=st.sampled_from([None, "carol", "erin"]))
    def post(self, by: str | None) -> None:
        """Hold a post; its content is its number."""
        number = len(self.states) + 1
        written = self.house.written(by, b"%d" % number)
        assert self.run(self.house.bench.post(written)) == replies.ACCEPTED
        self.states[number], self.since[number] = HeldState.WAITS, self.age

    @rule(some=st.integers(0, 2**16), decision=st.sampled_from(Decision))
    def decide(self, some: int, decision: Decision) -> None:
        """Decide about any post, also a second time."""
        number = some % (len(self.states) + 1)
        message = self._message(number, decision)
        status, words = said(self.run(self.house.ask(message)))
        match self.states.get(number):
            case None:
                assert status == 404
            case HeldState.WAITS:
                assert status == 201
                self.states[number] = STATES[decision]
            case state:
                assert (status, state.name.lower() in words) == (409, True)

    @rule(some=st.integers(0, 2**16), decision=st.sampled_from(Decision))
    def decide_and_die(self, some: int, decision: Decision) -> None:
        """Have a decision cut off before its commit: nothing of it has happened."""
        bench = self.house.bench
        store = TroubledStore(bench.store)
        store.failures = 1
        house = bench.posting._house
        holding = Holding(house, store, Signers(house, store), lambda: None)
        kept, bench.transactions._holding = bench.transactions._holding, holding
        number = some % (len(self.states) + 1)
        message = self._message(number, decision)
        assert self.run(self.house.ask(message)).status in (404, 409, 503)
        bench.transactions._holding = kept
        self.crash()

    def _message(self, number: int, decision: Decision) -> Decide:
        cid = self.run(self.house.named(number)).cid
        name = self.house.group.name
        return Decide(group_id=name, post=number, content_id=cid, decision=decision)

    @rule()
    def crash(self) -> None:
        """Kill the server, and begin another one on what it left."""
        self.house.bench = self.run(self._open(self.house.bench.file))

    @rule(days=st.integers(1, DAYS))
    def pass_time(self, days: int) -> None:
        """Let days pass, and keep house."""
        self.age += timedelta(days=days)
        self.house.bench.clock.advance(timedelta(days=days))
        for number, since in self.since.items():
            if self.states[number] is HeldState.WAITS and self.age - since >= timedelta(days=DAYS):
                self.states[number] = HeldState.EXPIRED
        self.run(self._keep_house())

    async def _keep_house(self) -> None:
        bench = self.house.bench
        await HoldKeeping(bench.store, bench.erasing_time).end_old()
        await bench.erasing.erase()

    @rule()
    def relay(self) -> None:
        """Deliver what is due: who may have it has it, and once of each kind."""
        self.run(self.house.bench.relay_all())
        for name in READERS:
            self.had[name] += [int(each) for each in self.house.read(name)]
        self.house.got()
        accepted = {n for n, state in self.states.items() if state is HeldState.ACCEPTED}
        waiting = {n for n, state in self.states.items() if state is HeldState.WAITS}
        assert sorted(self.had["carol"]) == sorted(accepted)
        for name in MODERATORS:
            had = self.had[name]
            assert waiting | accepted <= {*had}
            assert all(had.count(n) <= (2 if n in accepted else 1) for n in had)

    @invariant()
    def what_waits_is_shown(self) -> None:
        """Compare what moderators see with the model."""
        waiting = [n for n, state in self.states.items() if state is HeldState.WAITS]
        assert self.run(self.house.held()) == waiting

    def teardown(self) -> None:
        """See that nothing is kept of what came to nothing."""
        try:
            self.relay()
            self.run(self._keep_house())
            kept = self.run(self.house.bench.rows("SELECT post_id FROM ciphertexts"))
            lasts = (HeldState.WAITS, HeldState.ACCEPTED)
            assert len(kept) <= sum(state in lasts for state in self.states.values())
        finally:
            self.run(self.stack.aclose())
            self.loop.close()
            self.folder.cleanup()


TestHoldingMachine = HoldingMachine.TestCase
TestHoldingMachine.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)
