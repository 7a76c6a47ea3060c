"""The flow of a rekey: a new group key, entries for all who are served, then the switch (spec §6).

It may be cut off anywhere. The next key is in the home before the first entry is sent, and what
has an entry for it is skipped: the same command goes on where the last one ended.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from recrypt_client import chains, custody, entries, group_keys, paths, sharing
from recrypt_client.chains import Desk
from recrypt_client.changing import TRIES, Pace, change_members
from recrypt_client.entries import Made
from recrypt_client.errors import ServiceRefused, Trouble
from recrypt_client.home import Home
from recrypt_core.chain import GroupState
from recrypt_core.documents import RecryptionGroup, UserDecryptionEntry
from recrypt_core.keys import PrivateKey
from recrypt_core.members import Member
from recrypt_core.messages import AddMember, UpdateGroup, UpdateMember
from recrypt_core.policy import History
from recrypt_core.udf import Udf
from recrypt_core.wire import Document, UdfText


class Rekey(Document, frozen=True, kw_only=True):
    """A rekey that is under way: which key is to follow which, and which ones aren't any more."""

    previous_udf: UdfText
    next_udf: UdfText
    given_up_udf: tuple[UdfText, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A rekey that is to be done, or to be gone on with.

    Attributes:
        state: The group before it.
        key: The next key.
        given: Who was ever given an entry for it, and for which devices.
        given_up: Next keys of before, which somebody could find who isn't to read on.
        is_resumed: Whether it was begun before.
    """

    state: GroupState
    key: PrivateKey
    given: dict[Udf, frozenset[Udf]]
    given_up: tuple[Udf, ...]
    is_resumed: bool

    @property
    def lacking(self) -> int:
        """How many members have no entry for the next key yet."""
        return self.state.lacking(self.key.public.udf)


def is_under_way(home: Home, state: GroupState) -> bool:
    """Tell whether a rekey was begun in this home and cut off before the switch."""
    known = home.document(paths.rekey_file(state.name), Rekey)
    return known is not None and known.previous_udf == state.key.udf


def begin(desk: Desk, state: GroupState, *, now: datetime) -> Plan:
    """Draw the next key and keep it, or find the one of a rekey that was cut off.

    Raises:
        Trouble: if the group is closed, what signs for it isn't here, or as `chains.walk`.
    """
    group_keys.check_open(state.key)
    custody.online_key(desk.home, state)
    known = desk.home.document(paths.rekey_file(state.name), Rekey)
    if known is None or state.key.udf not in (known.previous_udf, known.next_udf):
        if known is not None:
            _drop(desk, state, (*known.given_up_udf, known.next_udf))
        return _drawn(desk, state)
    key = desk.home.agreement_key(known.next_udf)
    if key is None:
        return _drawn(desk, state, (*known.given_up_udf, known.next_udf))
    given, state = _given(desk, key.public.udf, now=now)
    plan = Plan(state, key, given, known.given_up_udf, is_resumed=True)
    return _drawn_anew(desk, plan, state) if _is_spoiled(plan, state) else plan


def _drawn(desk: Desk, state: GroupState, given_up: tuple[Udf, ...] = ()) -> Plan:
    key = PrivateKey.generate(state.key.document.encryption_key.curve)
    desk.home.keep_key(key)
    following = Rekey(previous_udf=state.key.udf, next_udf=key.public.udf, given_up_udf=given_up)
    desk.home.keep_document(paths.rekey_file(state.name), following)
    return Plan(state, key, {}, given_up, is_resumed=False)


def _drawn_anew(desk: Desk, plan: Plan, state: GroupState) -> Plan:
    """Give the next key up: with the service, who had an entry for it and left can find it."""
    return _drawn(desk, state, (*plan.given_up, plan.key.public.udf))


def _given(desk: Desk, key: Udf, *, now: datetime) -> tuple[dict[Udf, frozenset[Udf]], GroupState]:
    """Find in the chain who was ever given an entry for a key, and for which devices."""
    given: dict[Udf, frozenset[Udf]] = {}
    last: GroupState | None = None
    for last, change in chains.walk(desk, now=now):
        if isinstance(change.message, AddMember | UpdateMember):
            for udf in (each.recrypt_udf for each in change.message.member_entry):
                _note(given, last.members[udf], key)
    return given, last or chains.current(desk, now=now)


def _note(given: dict[Udf, frozenset[Udf]], member: Member, key: Udf) -> None:
    if member.entry_for(key) is not None:
        udf = member.profile.identifier
        given[udf] = given.get(udf, frozenset()) | _devices(member)


def _is_spoiled(plan: Plan, state: GroupState) -> bool:
    """Tell whether somebody has, or had, an entry for the next key who isn't to read on.

    Whoever has x, on a device that was lost too, finds the key with a service that kept r (spec
    §10); so nobody who leaves before the switch may have had one.
    """
    if state.key.udf == plan.key.public.udf:
        return False
    members = ((state.members[udf], devices) for udf, devices in plan.given.items())
    return any(not each.is_active or devices - _devices(each) for each, devices in members)


def _devices(member: Member) -> frozenset[Udf]:
    return frozenset(each.udf for each in member.profile.profile.encryption_keys)


def finish(desk: Desk, plan: Plan, pace: Pace) -> GroupState:
    """Make the entries that are missing, switch to the next key, and end what came to nothing.

    Raises:
        Trouble: if another administrator has rekeyed meanwhile, or the service doesn't take it.
    """
    state = plan.state
    if state.key.udf != plan.key.public.udf:
        plan, state = _switched(desk, plan, pace)
    state = _without_past(desk, state, plan.given_up, pace)
    custody.forget(desk.home, state)
    _drop(desk, state, plan.given_up)
    desk.home.drop(paths.rekey_file(state.name))
    return state


def _drop(desk: Desk, state: GroupState, keys: Iterable[Udf]) -> None:
    """Forget the private keys that came to nothing: who finds one reads what it would have read."""
    for udf in keys:
        if state.public_key(udf) is None:
            desk.home.drop(paths.key_file(udf))


def _switched(desk: Desk, plan: Plan, pace: Pace) -> tuple[Plan, GroupState]:
    """Give all an entry and switch; who was added before the switch gets one in another round."""
    state: GroupState | None = plan.state
    for _ in range(TRIES):
        state = _prepared(desk, plan, state, pace)
        if _is_spoiled(plan, state):
            plan = _drawn_anew(desk, plan, state)
            continue
        now = pace.clock()
        message = UpdateGroup(recryption_group=_switch(desk, state, plan.key, now=now))
        try:
            state = chains.append(desk, state, message, halves={}, now=now)
        except ServiceRefused as refusal:
            if not chains.is_conflict(refusal):
                raise
            state = None
        else:
            chains.confirm(desk, state, now=pace.clock())
            return plan, state
    raise Trouble(
        f"other administrators change {plan.state.name} again and again",
        f"Give recrypt rekey {plan.state.name} again: it goes on where it was",
    )


def _prepared(desk: Desk, plan: Plan, state: GroupState | None, pace: Pace) -> GroupState:
    """Give every ACTIVE member an entry for the next key, in pages."""
    udf = plan.key.public.udf

    def write(state: GroupState) -> Iterator[Made]:
        _check_first(desk, state, plan)
        for each in state.members.values():
            _note(plan.given, each, udf)
        for each in _lacking(state, udf):
            made = _with_next(each, state, plan)
            _note(plan.given, Member(made.entry, each.profile), udf)
            yield made

    done, _ = change_members(desk, UpdateMember, write, pace, state=state)
    return done


def _check_first(desk: Desk, state: GroupState, plan: Plan) -> None:
    """Stop if another administrator's rekey came first: this one's key would follow no more."""
    if state.key.udf == plan.state.key.udf:
        return
    _drop(desk, state, (*plan.given_up, plan.key.public.udf))
    desk.home.drop(paths.rekey_file(state.name))
    raise Trouble(
        f"another administrator has rekeyed {state.name} meanwhile: "
        f"generation {state.key.document.generation}",
        "It has a new key. Rekey once more only if you need another one",
    )


def _lacking(state: GroupState, key: Udf) -> list[Member]:
    members = state.members.values()
    return [each for each in members if each.is_active and each.entry_for(key) is None]


def _with_next(member: Member, state: GroupState, plan: Plan) -> Made:
    made = entries.split_for(member.profile, member.account, plan.key)
    every = (*_kept(member, state, plan.given_up), *made.entry.entries)
    revised = entries.revised(member.entry, member.entry.status, entries=every)
    return Made(revised, made.halves)


def _kept(
    member: Member, state: GroupState, given_up: Collection[Udf]
) -> tuple[UserDecryptionEntry, ...]:
    return _without(entries.kept(member.entry, state), given_up)


def _without(
    held: Iterable[UserDecryptionEntry], given_up: Collection[Udf]
) -> tuple[UserDecryptionEntry, ...]:
    return tuple(each for each in held if each.encryption_key_udf not in given_up)


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


def _without_past(
    desk: Desk, state: GroupState, given_up: Collection[Udf], pace: Pace
) -> GroupState:
    """End the entries for keys that came to nothing; for past ones, if nothing asks for them."""
    is_past_over = not state.policy.past_keys and state.policy.history is History.NONE

    def write(state: GroupState) -> Iterator[Made]:
        for each in state.members.values():
            held = each.entry.entries
            stay = _kept(each, state, given_up) if is_past_over else _without(held, given_up)
            if stay != held:
                yield Made(entries.revised(each.entry, each.entry.status, entries=stay), {})

    if not is_past_over and not given_up:
        return state
    state, _ = change_members(desk, UpdateMember, write, Pace(pace.clock), state=state)
    return state
