"""A group's chain against a model of it: who may, what follows, and that a replay agrees."""

from functools import cache

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from recrypt_core import chain
from recrypt_core.documents import Privilege, Status
from recrypt_core.errors import NotAuthentic, RecryptError, Refused
from recrypt_core.policy import Policy
from tests.builders import (
    EVERY_POWER,
    Membership,
    new_group,
    new_history,
    new_membership,
    new_person,
)

GROUP = new_group()
PEOPLE = [new_person(f"{name}@example.org") for name in ("alice", "bob", "carol", "dave")]
RIGHTS = [(), (Privilege.RECRYPT,), (Privilege.RECRYPT, Privilege.ADMIN), EVERY_POWER]
ADMIN, SUPER = Privilege.ADMIN, Privilege.SUPER
SIGNERS = st.sampled_from([*range(len(PEOPLE)), None])
WHO = st.integers(0, len(PEOPLE) - 1)
Powers = tuple[Privilege, ...]


@cache
def membership(who: int, powers: Powers, status: Status) -> Membership:
    """Make one membership of each sort; sealing takes a millisecond."""
    keys = () if status is Status.REVOKED else (GROUP.key,)
    return new_membership(PEOPLE[who], *keys, privileges=powers, status=status)


FIRST = membership(0, EVERY_POWER, Status.ACTIVE)
BEGUN = new_history(GROUP, FIRST, authorised=PEOPLE[0])


class ChainMachine(RuleBasedStateMachine):
    """Changes by anybody, each judged by a model that is a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.history = type(BEGUN)(GROUP, list(BEGUN.changes), list(BEGUN.states))
        self.model: dict[int, tuple[Powers, Status]] = {0: (EVERY_POWER, Status.ACTIVE)}

    def may(self, signer: int | None, *needed: Privilege) -> bool:
        """Tell who may, by the table of the spec."""
        if signer is None:
            return True
        powers, status = self.model.get(signer, ((), Status.REVOKED))
        return status is Status.ACTIVE and bool({*powers} & {*needed})

    def allowed(self, signer: int | None, who: int, stated: tuple[Powers, Status]) -> bool:
        """Tell whether a signer may state this member so; an ADMIN may state it as it is."""
        before = self.model.get(who, ((), None))
        touched = {*stated[0], *before[0]}
        needed = (SUPER,) if touched & {ADMIN, SUPER} and stated != before else (ADMIN, SUPER)
        return self.may(signer, *needed)

    def attempt(self, signer: int | None, who: int, powers: Powers, status: Status) -> None:
        """Try an AddMember or UpdateMember, whichever suits."""
        after = self.model | {who: (powers, status)}
        supers = [each for each in after.values() if each[1] is Status.ACTIVE and SUPER in each[0]]
        key = GROUP.master.master if signer is None else PEOPLE[signer].online
        act = self.history.update if who in self.model else self.history.add
        change = membership(who, powers, status)
        if self.allowed(signer, who, (powers, status)) and supers:
            act(key, change)
            self.model = after
            return
        known = signer is None or signer in self.model
        with pytest.raises(Refused if known else NotAuthentic):
            act(key, change)

    @rule(signer=SIGNERS, who=WHO, powers=st.sampled_from(RIGHTS), status=st.sampled_from(Status))
    def state_member(self, signer: int | None, who: int, powers: Powers, status: Status) -> None:
        """Add or update somebody."""
        self.attempt(signer, who, powers, status)

    @rule(signer=SIGNERS, notice=st.booleans())
    def set_policy(self, signer: int | None, notice: bool) -> None:
        """Set the policy."""
        person = GROUP.master if signer is None else PEOPLE[signer]
        if self.may(signer, ADMIN, SUPER):
            self.history.change_group(person.online, policy=Policy(notice=notice))
            assert self.history.state.policy.notice is notice
            return
        with pytest.raises((Refused, NotAuthentic)):
            self.history.change_group(person.online, policy=Policy(notice=notice))

    @rule(at=st.integers(0, 50))
    def replay_an_old_change(self, at: int) -> None:
        """Send a change again that was taken before."""
        changes = self.history.changes
        with pytest.raises(RecryptError):
            self.history.take(changes[at % len(changes)])

    @invariant()
    def the_state_is_the_models(self) -> None:
        """Compare, and replay the whole chain."""
        state = self.history.state
        assert state.head.seq == len(self.history.changes) == len(self.history.states)
        stated = {
            udf: (member.entry.privileges, member.entry.status)
            for udf, member in state.members.items()
        }
        assert stated == {PEOPLE[who].udf: each for who, each in self.model.items()}
        assert any(member.may(SUPER) for member in state.members.values())

    def teardown(self) -> None:
        """Replay what was taken, as an administrator's client does."""
        assert chain.replay(self.history.changes) == self.history.state


TestChainMachine = ChainMachine.TestCase
TestChainMachine.settings = settings(max_examples=12, stateful_step_count=15, deadline=None)
