"""The flow of a rekey: a new group key, entries for all who are served, then the switch (spec §6).

It may be cut off anywhere. The next key is in the home before the first entry is sent, and what
has an entry for it is skipped: the same command goes on where the last one ended.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from recrypt_client import chains, custody, entries, group_keys, paths, sharing
from recrypt_client.chains import Desk
from recrypt_client.changing import TRIES, Pace, change_members
from recrypt_client.entries import Made
from recrypt_client.errors import ServiceRefused, Trouble
from recrypt_core.chain import GroupState, Member
from recrypt_core.documents import History, RecryptionGroup
from recrypt_core.keys import PrivateKey
from recrypt_core.messages import UpdateGroup, UpdateMember
from recrypt_core.udf import Udf
from recrypt_core.wire import Document, UdfText


class Rekey(Document, frozen=True, kw_only=True):
    """A rekey that is under way: which key is to follow which."""

    previous_udf: UdfText
    next_udf: UdfText


@dataclass(frozen=True, slots=True)
class Plan:
    """A rekey that is to be done, or to be gone on with.

    Attributes:
        state: The group before it.
        key: The next key.
        lacking: How many members have no entry for it yet.
        is_resumed: Whether it was begun before.
    """

    state: GroupState
    key: PrivateKey
    lacking: int
    is_resumed: bool


def begin(desk: Desk, state: GroupState) -> Plan:
    """Draw the next key and keep it, or find the one of a rekey that was cut off.

    Raises:
        Trouble: if what signs for the group isn't here.
    """
    custody.online_key(desk.home, state)
    name = paths.rekey_file(state.name)
    known = desk.home.document(name, Rekey)
    if known is not None and state.key.udf in (known.previous_udf, known.next_udf):
        key = desk.home.agreement_key(known.next_udf)
        if key is not None:
            return Plan(state, key, state.lacking(key.public.udf), is_resumed=True)
    key = PrivateKey.generate(state.key.document.encryption_key.curve)
    desk.home.keep_key(key)
    following = Rekey(previous_udf=state.key.udf, next_udf=key.public.udf)
    desk.home.keep_document(name, following)
    return Plan(state, key, state.lacking(key.public.udf), is_resumed=False)


def finish(desk: Desk, plan: Plan, pace: Pace) -> GroupState:
    """Make the entries that are missing, switch to the next key, and end the past entries.

    Raises:
        Trouble: if another administrator has rekeyed meanwhile, or the service doesn't take it.
    """
    state = plan.state
    if state.key.udf != plan.key.public.udf:
        state = _switched(desk, plan, pace)
    if not state.policy.past_keys and state.policy.history is History.NONE:
        state = _without_past(desk, state, pace)
    desk.home.drop(paths.rekey_file(state.name))
    return state


def _switched(desk: Desk, plan: Plan, pace: Pace) -> GroupState:
    """Give all an entry and switch; who was added before the switch gets one in another round."""
    state: GroupState | None = plan.state
    for _ in range(TRIES):
        state = _prepared(desk, plan, state, pace)
        now = pace.clock()
        message = UpdateGroup(recryption_group=_switch(desk, state, plan.key, now=now))
        try:
            return chains.append(desk, state, message, halves={}, now=now)
        except ServiceRefused as refusal:
            if not chains.is_conflict(refusal):
                raise
            state = None
    raise Trouble(
        f"other administrators change {plan.state.name} again and again",
        f"Give recrypt rekey {plan.state.name} again: it goes on where it was",
    )


def _prepared(desk: Desk, plan: Plan, state: GroupState | None, pace: Pace) -> GroupState:
    """Give every ACTIVE member an entry for the next key, in pages."""

    def write(state: GroupState) -> Iterator[Made]:
        _check_first(desk, state, plan)
        for each in _lacking(state, plan.key.public.udf):
            yield _with_next(each, state, plan.key)

    done, _ = change_members(desk, UpdateMember, write, pace, state=state)
    return done


def _check_first(desk: Desk, state: GroupState, plan: Plan) -> None:
    """Stop if another administrator's rekey came first: this one's key would follow no more."""
    if state.key.udf == plan.state.key.udf:
        return
    desk.home.drop(paths.rekey_file(state.name))
    raise Trouble(
        f"another administrator has rekeyed {state.name} meanwhile: "
        f"generation {state.key.document.generation}",
        "It has a new key. Rekey once more only if you need another one",
    )


def _lacking(state: GroupState, key: Udf) -> list[Member]:
    members = state.members.values()
    return [each for each in members if each.is_active and each.entry_for(key) is None]


def _with_next(member: Member, state: GroupState, key: PrivateKey) -> Made:
    made = entries.split_for(member.profile, member.account, key)
    every = (*entries.kept(member.entry, state), *made.entry.entries)
    revised = entries.revised(member.entry, member.entry.status, entries=every)
    return Made(revised, made.halves)


def _switch(desk: Desk, state: GroupState, key: PrivateKey, *, now: datetime) -> RecryptionGroup:
    """Write the UpdateGroup with the next key, its private part sealed to the administrators."""
    online = custody.online_key(desk.home, state)
    keys = custody.take(desk.home, state)
    signed = group_keys.next_key(state, key.public, online, now=now)
    return RecryptionGroup(
        group_name=state.name,
        current_encryption_key=signed.signed,
        administrator_keys=sharing.seal_for(state, replace(keys, agreement=(key, *keys.agreement))),
    )


def _without_past(desk: Desk, state: GroupState, pace: Pace) -> GroupState:
    """End the entries for past keys, where nothing asks for them any more."""

    def write(state: GroupState) -> Iterator[Made]:
        for each in state.members.values():
            stay = entries.kept(each.entry, state)
            if stay != each.entry.entries:
                yield Made(entries.revised(each.entry, each.entry.status, entries=stay), {})

    state, _ = change_members(desk, UpdateMember, write, Pace(pace.clock), state=state)
    return state
