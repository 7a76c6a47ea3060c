"""A group at the real service, on a real store, against a model: rights, halves, chain, crashes.

A crash leaves what stands in the store's files at that moment; the next server opens a copy.
"""

from dataclasses import replace
from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace as but

from recrypt_core import chain
from recrypt_core.documents import RecryptionGroup, Status
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.messages import (
    AddMember,
    ChangeResponse,
    GetChanges,
    GetChangesResponse,
    GetEntry,
    GetEntryResponse,
    GetGroup,
    UpdateGroup,
    UpdateMember,
    UpdateProfile,
)
from recrypt_core.policy import Policy
from recrypt_core.signature_keys import SignatureCurve, SignaturePrivateKey
from tests.builders import (
    TEAM,
    Membership,
    signed_group_key,
)
from tests.laws.group_house import GROUP, PEOPLE, RIGHTS
from tests.laws.group_model import (
    ADMIN,
    CONFLICT,
    DONE,
    FORBIDDEN,
    MASTER,
    ONLINE,
    STRANGER,
    SUPER,
    WRONG,
    Powers,
)
from tests.laws.group_office import Office

SIGNERS: Final = st.sampled_from([0, *range(len(PEOPLE)), MASTER, ONLINE])
WHO: Final = st.integers(0, len(PEOPLE) - 1)
RARELY: Final = st.sampled_from([False, False, False, True])
SOME: Final = st.integers(0, 2**16)


class GroupMachine(Office, RuleBasedStateMachine):
    """Changes by anybody, in any order, and crashes between them."""

    # --- what happens

    @rule(signer=SIGNERS, who=WHO, powers=st.sampled_from(RIGHTS), is_other=RARELY)
    def state_active(self, signer: int, who: int, powers: Powers, *, is_other: bool) -> None:
        """Add, promote, demote or take back; perhaps by the transaction that isn't for it."""
        made = self.member(who, powers, Status.ACTIVE, self.key)
        self.state(signer, who, made, is_other=is_other)

    @rule(signer=SIGNERS, who=WHO, powers=st.sampled_from(RIGHTS))
    def revoke(self, signer: int, who: int, powers: Powers) -> None:
        """Revoke somebody, who gets these privileges for later."""
        self.state(signer, who, self.member(who, powers, Status.REVOKED), is_other=False)

    def state(self, signer: int, who: int, made: Membership, *, is_other: bool) -> None:
        """Add or update somebody."""
        is_update = (who in self.model.seats) != is_other
        kind = UpdateMember if is_update else AddMember
        message = kind(recryption_group=GROUP.master.udf, member_entry=(made.entry,))
        expected = self.model.of_member(signer, who, self.seat(who, made), is_update=is_update)
        if self.send(self.sign(signer, message), made, expected=expected):
            self.take(who, made)

    @rule(signer=SIGNERS, some=SOME, status=st.sampled_from([Status.SUSPENDED, Status.ACTIVE]))
    def set_status(self, signer: int, some: int, status: Status) -> None:
        """Suspend or resume a member whose entries stay as they are."""
        who = [*self.model.seats][some % len(self.model.seats)]
        made = Membership(but(self.stated[who], status=status), {})
        expected = self.model.of_member(signer, who, self.seat(who, made), is_update=True)
        if self.send(self.sign(signer, self.update(made.entry)), made, expected=expected):
            self.take(who, made)

    @rule(signer=SIGNERS, count=st.integers(1, len(PEOPLE)))
    def prepare(self, signer: int, count: int) -> None:
        """Make entries for the next key ahead, for some who have none: all or nothing."""
        key = self.next_key.public.udf
        lacking = [
            who
            for who, seat in self.model.seats.items()
            if seat.status is Status.ACTIVE and key not in seat.entries.values()
        ][:count]
        if not lacking:
            return
        made = [self.with_next(who) for who in lacking]
        answers = [
            self.model.of_member(signer, who, self.seat(who, each), is_update=True)
            for who, each in zip(lacking, made, strict=True)
        ]
        expected = next((each for each in answers if each != DONE), DONE)
        message = self.update(*(each.entry for each in made))
        if self.send(self.sign(signer, message), *made, expected=expected):
            for who, each in zip(lacking, made, strict=True):
                self.take(who, each)

    @rule(signer=SIGNERS)
    def rekey(self, signer: int) -> None:
        """Make entries for all, then switch; who isn't ACTIVE goes without."""
        self.prepare(signer=signer, count=len(PEOPLE))
        self.switch(signer=signer)

    @rule(signer=SIGNERS)
    def switch(self, signer: int) -> None:
        """Rekey: only once every ACTIVE member has an entry."""
        signed = signed_group_key(
            self.master,
            self.next_key,
            generation=len(self.model.past) + 2,
            previous=self.model.key,
            head=self.head(),
        )
        stated = RecryptionGroup(group_name=TEAM, current_encryption_key=signed.signed)
        expected = self.model.of_group(signer, ADMIN, SUPER)
        if expected == DONE and self.model.lacking(signed.udf):
            expected = CONFLICT
        message = UpdateGroup(recryption_group=stated)
        if self.send(self.sign(signer, message), expected=expected):
            self.model.switch(signed.udf)
            self.key, self.next_key = self.next_key, PrivateKey.generate(Curve.X25519)

    @rule(signer=SIGNERS, keep=st.integers(0, 365))
    def set_policy(self, signer: int, keep: int) -> None:
        """Set the policy."""
        policy = Policy(keep=keep)
        message = UpdateGroup(recryption_group=RecryptionGroup(group_name=TEAM, policy=policy))
        expected = self.model.of_group(signer, ADMIN, SUPER)
        if self.send(self.sign(signer, message), expected=expected):
            self.model.policy = policy

    @rule(signer=SIGNERS)
    def replace_master(self, signer: int) -> None:
        """Give the Master another online key, which signs the group key anew."""
        online = SignaturePrivateKey.generate(SignatureCurve.ED25519)
        later = self.master.changed(online_signature_keys=(online.public,))
        later = replace(later, online=online)
        signed = signed_group_key(
            later,
            self.key,
            generation=len(self.model.past) + 1,
            previous=self.model.past[-1] if self.model.past else None,
            head=self.head(),
        )
        stated = RecryptionGroup(
            group_name=TEAM, master=later.signed, current_encryption_key=signed.signed
        )
        message = UpdateGroup(recryption_group=stated)
        expected = self.model.of_group(signer, SUPER)
        if self.send(self.sign(signer, message), expected=expected):
            self.master = later

    @rule(who=WHO)
    def update_profile(self, who: int) -> None:
        """Send a newer profile; nobody learns by the answer whether it changed anything."""
        newer = self.people[who][-1].changed()
        self.people[who].append(newer)
        message = self.sign(who, UpdateProfile(profile=newer.signed))
        assert self.house.answers((message, ()))[0].status == DONE
        if who in self.model.seats:
            self.model.newest[who] = len(self.people[who]) - 1

    # --- what goes wrong

    @rule(one=SIGNERS, other=SIGNERS)
    def race(self, one: int, other: int) -> None:
        """Have two administrators change the group at once; who comes late signs anew."""
        signers, policies = (one, other), (Policy(keep=1), Policy(keep=2))
        messages = [
            UpdateGroup(recryption_group=RecryptionGroup(group_name=TEAM, policy=policy))
            for policy in policies
        ]
        changes = [self.sign(*each) for each in zip(signers, messages, strict=True)]
        found = [each.status for each in self.house.answers(*((change, ()) for change in changes))]
        expected = [self.model.of_group(signer, ADMIN, SUPER) for signer in signers]
        assert found.count(DONE) == (DONE in expected), (found, expected)
        for each, alone in zip(found, expected, strict=True):
            assert each in (alone, CONFLICT), (found, expected)
        if DONE in found:
            first = found.index(DONE)
            self.model.policy = policies[first]
            self.model.chain.append(changes[first])
            self.sent.append(())
            late = 1 - first
            if self.send(self.sign(signers[late], messages[late]), expected=expected[late]):
                self.model.policy = policies[late]

    @rule(some=SOME)
    def replay(self, some: int) -> None:
        """Send a change again: the last one is answered again, an older one is refused."""
        at = some % len(self.model.chain)
        is_last = at == len(self.model.chain) - 1
        response = self.house.answers((self.model.chain[at], self.sent[at]))[0]
        assert response.status in ((DONE,) if is_last else (STRANGER, CONFLICT)), (at, response)
        if isinstance(response, ChangeResponse):
            assert response.head == self.head()

    @precondition(lambda self: len(self.model.chain) > 1)
    @rule(signer=SIGNERS, some=SOME)
    def come_late(self, signer: int, some: int) -> None:
        """Sign for a place in the chain that is taken."""
        message = UpdateGroup(
            recryption_group=RecryptionGroup(group_name=TEAM, policy=Policy(keep=9))
        )
        change = self.sign(signer, message, at=some % (len(self.model.chain) - 1))
        self.send(change, expected=CONFLICT if self.model.is_known(signer) else STRANGER)

    @rule(who=WHO, how=st.sampled_from(["none", "another's", "one too many"]))
    def send_wrong_halves(self, who: int, how: str) -> None:
        """State an entry without its r, with another's, or with one that belongs to none."""
        powers = self.model.seats[who].powers if who in self.model.seats else ()
        made = self.member(who, powers, Status.ACTIVE, self.key)
        other = self.member(who, powers, Status.ACTIVE, self.key).halves
        ((x, r),) = made.halves.items()
        halves = {
            "none": {},
            "another's": {x: next(iter(other.values()))},
            "one too many": {x: r, **other},
        }[how]
        is_update = who in self.model.seats
        kind = UpdateMember if is_update else AddMember
        message = kind(recryption_group=GROUP.master.udf, member_entry=(made.entry,))
        seat = self.seat(who, made)
        expected = self.model.of_member(MASTER, who, seat, is_update=is_update)
        change = self.sign(MASTER, message)
        self.send(
            change, replace(made, halves=halves), expected=WRONG if expected == DONE else expected
        )

    @rule(some=SOME, who=WHO)
    def use_an_x_again(self, some: int, who: int) -> None:
        """State an entry that another member has, or that has ended, for somebody."""
        before = self.model.seats.get(who)
        others = sorted(self.model.spent - {*(before.entries if before else ())})
        if not others:
            return
        entry, r = self.drawn[others[some % len(others)]]
        powers = before.powers if before else ()
        stated = but(self.member(who, powers, Status.ACTIVE).entry, entries=(entry,))
        made = Membership(stated, {entry.member_key_udf: r})
        kind = UpdateMember if before else AddMember
        message = kind(recryption_group=GROUP.master.udf, member_entry=(stated,))
        self.send(self.sign(MASTER, message), made, expected=CONFLICT)

    @rule(in_midst=st.booleans())
    def crash(self, *, in_midst: bool) -> None:
        """Die, perhaps in the midst of a change, and start again."""
        self.house.crash(in_midst=in_midst)

    # --- what always holds

    @rule(signer=SIGNERS)
    def look(self, signer: int) -> None:
        """Have anybody look at the group."""
        expected = self.model.of_group(signer, ADMIN, SUPER)
        for message in (GetGroup(group_id=TEAM), GetChanges(group_id=TEAM)):
            assert self.ask(signer, message).status == expected
        is_active = signer in self.model.seats and (
            self.model.seats[signer].status is Status.ACTIVE
        )
        own = DONE if is_active else FORBIDDEN if self.model.is_known(signer) else STRANGER
        answer = self.ask(signer, GetEntry(group_id=TEAM))
        assert answer.status == own
        if isinstance(answer, GetEntryResponse):
            served = [each.encryption_key_udf for each in answer.entries]
            assert set(served) <= {self.model.key}

    @invariant()
    def the_chain_is_what_was_taken_and_gives_the_group(self) -> None:
        """Replay what GetChanges shows, and compare it with GetGroup and with the model."""
        shown = self.ask(MASTER, GetChanges(group_id=TEAM, limit=1000))
        assert isinstance(shown, GetChangesResponse)
        assert [*shown.changes] == self.model.chain
        assert shown.head == self.head()
        for each in shown.changes[self.replayed.head.seq :]:
            self.replayed = chain.advance(self.replayed, chain.read_change(each))
        state = self.replayed
        members, newer = self.members(state)
        assert members == {PEOPLE[who].udf: entry for who, entry in self.stated.items()}
        assert members == {udf: each.entry for udf, each in state.members.items()}
        assert newer == {
            self.people[who][profile].signed for who, profile in self.model.newer().items()
        }
        seats = {who: self.seat(who, Membership(each, {})) for who, each in self.stated.items()}
        assert seats == self.model.seats
        assert (state.key.udf, tuple(key.udf for key in state.past_keys), state.policy) == (
            self.model.key,
            self.model.past,
            self.model.policy,
        )
        assert any(seat.may(SUPER) for seat in self.model.seats.values())

    @invariant()
    def the_store_has_the_halves_of_todays_entries_and_no_other(self) -> None:
        """Open every row: an r whose entry has ended is nowhere."""
        halves = self.house.halves()
        assert len(halves) == len(self.model.halves())
        assert {each.member_key for each in halves} == self.model.halves()
        for each in halves:
            entry, r = self.drawn[each.member_key]
            assert each.recryption.public == r.public == entry.recryption_public

    def teardown(self) -> None:
        """Replay all of the chain, and stop the server."""
        try:
            assert chain.replay(self.model.chain) == self.replayed
        finally:
            self.house.close()


TestGroupMachine = GroupMachine.TestCase
TestGroupMachine.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)
