"""Everything about a group checked anew, each check in words that say what to do (spec §5, §10).

The history decides: all else that the service shows is held against it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from recrypt_client import (
    administering,
    chains,
    changing,
    custody,
    debts,
    refreshing,
    rekeying,
    sharing,
)
from recrypt_client.chains import Aside, Desk
from recrypt_client.debts import Owed
from recrypt_client.errors import Trouble
from recrypt_core.chain import GroupState
from recrypt_core.documents import Head
from recrypt_core.messages import GetGroupResponse, GetKey, GetKeyResponse
from recrypt_core.udf import Udf

SOON: Final = timedelta(days=30)  # before NotAfter it is time to sign or to rekey; ours


class Result(Enum):
    """What came of a check; only a wrong one makes the command fail."""

    OK = "ok"
    ADVICE = "advice"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Line:
    """One check: what was looked at, what came of it, and what to do next."""

    what: str
    result: Result
    words: str


@dataclass(frozen=True, slots=True)
class Report:
    """All checks, and the head that administrators may compare; None if there is no history."""

    lines: tuple[Line, ...]
    head: Head | None

    @property
    def is_wrong(self) -> bool:
        """Whether anything is."""
        return any(line.result is Result.WRONG for line in self.lines)


def verify(desk: Desk, *, now: datetime) -> Report:
    """Check a group from change 1 on; what is found wrong is told, not raised."""
    try:
        owed, shown = _compared(desk, now=now)
    except Trouble as trouble:
        return Report((Line("history", Result.WRONG, str(trouble)),), None)
    return _report(desk, owed, shown, now=now)


def _compared(desk: Desk, *, now: datetime) -> tuple[Owed, list[Line]]:
    """Hold what the service shows against the history.

    Where it is otherwise, another administrator may have changed the group meanwhile: it is wrong
    only if the history is still the same then.
    """
    owed, tries = debts.owed(desk, now=now), 1
    while True:
        shown = _shown(desk, owed.state, now=now)
        if tries == changing.TRIES or all(each.result is not Result.WRONG for each in shown):
            return owed, shown
        before, owed = owed, debts.owed(desk, now=now)
        if owed.state.head == before.state.head:
            return owed, shown
        tries += 1


def _report(desk: Desk, owed: Owed, shown: list[Line], *, now: datetime) -> Report:
    """Put what the history says by itself around what was compared with it."""
    state = owed.state
    seen = f"changes 1 to {state.head.seq}, each signed by who may, as pinned here before"
    lines = [Line("history", Result.OK, seen), _life(state, now=now), *shown]
    if not state.is_closed:  # else nothing that is to be done can be
        lines += [_private_keys(desk, state), _sealed_keys(desk, state), _entries(state)]
        lines += [Line("private keys elsewhere", Result.ADVICE, each) for each in owed.words()]
        lines += _rekey(desk, state)
    lines.append(
        Line(
            "head",
            Result.OK,
            f"{state.head.seq} {state.head.hash}: the other administrators see the same, or one "
            "of you is shown another history",
        )
    )
    return Report(tuple(lines), state.head)


def _shown(desk: Desk, state: GroupState, *, now: datetime) -> list[Line]:
    comparison, key = _Comparison(state), _shown_key(desk, state)
    try:
        for page in chains.pages(desk, state, now=now):
            comparison.take(page)
    except Trouble as trouble:
        return [key, Line("members", Result.WRONG, str(trouble))]
    lines = [key, comparison.members(), comparison.group()]
    if comparison.stopped is not None:
        words = administering.told_stopped(state.name, comparison.stopped)
        lines.append(Line("operator", Result.ADVICE, words))
    return lines if state.is_closed else [*lines, _newer(state, comparison.asides)]


def _shown_key(desk: Desk, state: GroupState) -> Line:
    """Compare what the world is shown, which needs no signature to ask for."""
    name = "key for senders"
    try:
        answer = desk.service.ask(GetKey(group_id=state.identifier), GetKeyResponse)
    except Trouble as trouble:
        return Line(name, Result.WRONG, str(trouble))
    if (answer.signed_key, answer.master) == (state.key.signed, state.master.signed):
        generation = state.key.document.generation
        return Line(name, Result.OK, f"generation {generation}, {state.key.udf}")
    return Line(
        name,
        Result.WRONG,
        f"{desk.service.url} SHOWS SENDERS ANOTHER KEY than the history has. Tell them by another "
        f"way: the fingerprint is {state.identifier}, the key {state.key.udf}",
    )


def _life(state: GroupState, *, now: datetime) -> Line:
    closed, end = state.key.document.closed, state.key.document.not_after
    if closed is not None:
        words = f"closed for good on {closed:%Y-%m-%d}: senders refuse it, and no change follows"
        return Line("life of the key", Result.OK, words)
    until = f"good until {end:%Y-%m-%d}"
    again = f"recrypt rekey {state.name}"
    if end < now:
        return Line("life of the key", Result.WRONG, f"was {until}: senders refuse it. {again}")
    if end < now + SOON:
        return Line("life of the key", Result.ADVICE, f"{until}: {again} in time")
    return Line("life of the key", Result.OK, until)


class _Comparison:
    """What is shown of a group beside what its history has; pages are taken one at a time."""

    def __init__(self, state: GroupState) -> None:
        self.asides: list[Aside] = []
        self.stopped: datetime | None = None
        self._state = state
        self._seen: set[Udf] = set()
        self._other: dict[Udf, None] = {}
        self._problem: str | None = None

    def take(self, page: GetGroupResponse) -> None:
        """Compare one page."""
        members, group = self._state.members, page.recryption_group
        self.stopped = page.stopped
        for each in group.members:
            self._seen.add(each.recrypt_udf)
            if each.recrypt_udf in members and each != members[each.recrypt_udf].entry:
                self._other[each.recrypt_udf] = None
        if page.newer_profiles:
            self.asides.append(Aside(newer_profiles=page.newer_profiles))
        if page.head != self._state.head:
            self._problem = (
                f"the service SHOWS TWO HEADS, {self._state.head.seq} and {page.head.seq}: ask its "
                "operator"
            )
        elif group != self._state.document(group.members):
            self._problem = self._problem or (
                "its key, Master, AdministratorKeys or Policy ISN'T WHAT THE HISTORY HAS. Go by "
                "the history; ask the operator"
            )

    def members(self) -> Line:
        """Tell whether they are those of the history."""
        members = self._state.members
        missing = sorted(members[udf].account for udf in members.keys() - self._seen)
        other = sorted(members[udf].account for udf in self._other)
        problems = [
            *(
                f"{udf} is A GHOST: no administrator has added that member"
                for udf in sorted(self._seen - members.keys())
            ),
            *(f"{who} is LEFT OUT, whom an administrator has added" for who in missing),
            *(f"{who} is shown with AN ENTRY THAT NO ADMINISTRATOR HAS SIGNED" for who in other),
        ]
        if not problems:
            return Line("members", Result.OK, f"{len(self._seen)}, as the history has them")
        what = "The service doesn't serve the group that you administer: ask its operator"
        return Line("members", Result.WRONG, f"{'; '.join(problems)}. {what}, or move it")

    def group(self) -> Line:
        """Tell whether all but the members is as the history has it."""
        name = "state at the service"
        if self._problem is not None:
            return Line(name, Result.WRONG, self._problem)
        return Line(name, Result.OK, "key, Master, AdministratorKeys and Policy as the history has")


def _private_keys(desk: Desk, state: GroupState) -> Line:
    name = "private keys"
    keys = custody.take(desk.home, state)
    has = (keys.has(state.key.udf), bool(keys.online), keys.master is not None)
    if not has[0]:
        words = "the group's private key isn't here: an administrator who has it seals it to you"
        return Line(name, Result.WRONG, f"{words}, with recrypt refresh {state.name}")
    kinds = ("the group key", "an online key", "the master key")
    stated = ", ".join(kind for kind, is_here in zip(kinds, has, strict=True) if is_here)
    return Line(name, Result.OK if has[1] else Result.ADVICE, f"here: {stated}")


def _sealed_keys(desk: Desk, state: GroupState) -> Line:
    """Open AdministratorKeys as another machine of ours would, and hold them against the group."""
    name, own = "AdministratorKeys", desk.home.device_keys()
    again = f"recrypt refresh {state.name} seals them anew"
    if faults := sharing.faults(state, own):
        words = (
            f"THEY AREN'T WHAT THEY SAY for {', '.join(faults)}: whoever sealed them last, as "
            f"recrypt history {state.name} tells, was wrong or lies"
        )
        return Line(name, Result.WRONG, f"{words}. {again}, by who has the keys")
    keys = sharing.open_keys(state, own)
    if not keys.has(state.key.udf):
        return Line(name, Result.ADVICE, f"the group's current key isn't in them for you: {again}")
    if not custody.are_whole(desk.home, state, custody.take(desk.home, state)):
        return Line(name, Result.ADVICE, f"keys that you have aren't in them: {again}")
    if not sharing.is_sealed_right(state, has_master=True):
        return Line(name, Result.ADVICE, f"not sealed to all administrators, or to more: {again}")
    return Line(name, Result.OK, "open here, match the group, sealed to its administrators alone")


def _entries(state: GroupState) -> Line:
    lacking = [
        each.account
        for each in state.members.values()
        if each.is_active and each.entry_for(state.key.udf) is None
    ]
    if not lacking:
        return Line("entries", Result.OK, "every ACTIVE member has one for the key of now")
    words = f"{', '.join(lacking)}: no entry, so no mail. recrypt resume {state.name} ADDRESS"
    return Line("entries", Result.WRONG, words)


def _rekey(desk: Desk, state: GroupState) -> list[Line]:
    if not rekeying.is_under_way(desk.home, state):
        return []
    words = f"begun here and cut off; the old key counts until recrypt rekey {state.name} goes on"
    return [Line("rekey", Result.ADVICE, words)]


def _newer(state: GroupState, asides: list[Aside]) -> Line:
    name = "newer profiles"
    try:
        found = refreshing.newer(state, asides)
    except Trouble as trouble:
        return Line(name, Result.WRONG, str(trouble))
    if not found:
        return Line(name, Result.OK, "none waits")
    accounts = ", ".join(state.members[udf].account for udf in found)
    return Line(
        name, Result.ADVICE, f"of {accounts}: take them in with recrypt refresh {state.name}"
    )
