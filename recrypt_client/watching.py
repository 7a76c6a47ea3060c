"""The flow of who watches over a group: who waits is let in by rule, all else is kept in order.

A rule says who may come in without being looked at. What is looked at in each case is what
`approve` looks at, and nobody gets more than RECRYPT by it (spec §6, Watching).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from recrypt_client import (
    custody,
    debts,
    deciding,
    escrows,
    group_keys,
    leaving,
    refreshing,
    renewing,
)
from recrypt_client.chains import Desk
from recrypt_client.changing import Pace
from recrypt_client.claims import Claims
from recrypt_client.debts import Owed
from recrypt_client.deciding import Waiting
from recrypt_client.errors import Trouble, about, is_passing
from recrypt_client.invitations import Book
from recrypt_client.refreshing import Beside
from recrypt_core.chain import GroupState
from recrypt_core.documents import Status
from recrypt_core.mailboxes import check_domain, folded
from recrypt_core.members import check_not_ahead
from recrypt_core.udf import TYPED_LENGTH, Udf, bare, read_typed

INVITED: Final = "invited"
EVERYBODY: Final = "everybody"
DOMAIN: Final = "domain:"
FINGERPRINTS: Final = "fingerprints:"


@dataclass(frozen=True, slots=True)
class Rules:
    """Who is let in: by invitation from this home, by domain, by fingerprint, or everybody."""

    invited: bool = False
    everybody: bool = False
    domains: frozenset[str] = frozenset()
    fingerprints: frozenset[str] = frozenset()

    def named(self, one: Waiting) -> bool:
        """Tell whether somebody's fingerprint is on the list: that proves who it is."""
        return bare(one.profile.identifier)[:TYPED_LENGTH] in self.fingerprints

    def allow(self, one: Waiting, book: Book) -> bool:
        """Tell whether somebody may come in."""
        if self.everybody or self.named(one):
            return True
        domain = folded(one.account).rpartition("@")[2]
        return domain in self.domains or (self.invited and deciding.is_invited(book, one))


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that was done, or is for a person to do.

    Attributes:
        what: One word for it.
        words: The same for a person.
        account: Whom it is about, if it is somebody.
        identifier: The profile's fingerprint, if it is known.
    """

    what: str
    words: str
    account: str | None = None
    identifier: Udf | None = None


def read_domain(text: str) -> str:
    """Read a domain of a rule.

    Raises:
        Trouble: if it is none.
    """
    with about(f"{text!r}"):
        return check_domain(text)


def read_fingerprints(text: str, *, what: str) -> frozenset[str]:
    """Read a list of fingerprints, one a line, as people type them; `#` begins a remark.

    Raises:
        Trouble: naming the line that has none.
    """
    found = set()
    for number, line in enumerate(text.splitlines(), start=1):
        typed = line.partition("#")[0].strip()
        if typed:
            with about(f"{what}, line {number}"):
                found.add(read_typed(typed)[:TYPED_LENGTH])
    return frozenset(found)


def go_round(desk: Desk, rules: Rules, pace: Pace) -> Iterator[Event]:
    """Let in who may come in, end what members have left, take newer profiles in, tend the key.

    Raises:
        Passing: if the service can't be reached; what was done until then is told.
        Trouble: if something is wrong that a person has to look at.
    """
    owed = debts.owed(desk, now=pace.clock())
    state = owed.state
    group_keys.check_open(state.key)
    queue = deciding.waiting(desk, now=pace.clock())
    moved = deciding.moved(desk, state, queue, now=pace.clock())
    known = {each.profile.identifier for each in moved}
    others = [each for each in queue.waiting if each.profile.identifier not in known]
    chosen, passed = _choose(desk, state, others, rules, pace)
    yield from passed
    yield from _let_in(desk, chosen, pace)
    if chosen:
        owed = debts.owed(desk, now=pace.clock())
        state = owed.state
    asking = {each.profile.identifier for each in queue.waiting}
    ended = leaving.revoke_left(desk, state, pace, but=asking)  # who asks to stay, a person decides
    for who in ended.outcome.changed:
        yield Event("left", f"{who} has left, and is REVOKED now", who)
    for who in ended.powerful:
        words = f"{who} has left, as the service says, and administers {state.name}: ask"
        yield Event("to-do", words, who)
    done = refreshing.refresh(
        desk,
        ended.outcome.state,
        pace,
        beside=Beside(
            profiles=[each.profile for each in moved],
            accounts={each.profile.identifier: each.account for each in moved},
        ),
    )
    yield from _told(done, state.name)
    yield from _tended(desk, done.outcome.state, owed, pace)


def _choose(
    desk: Desk, state: GroupState, waiting: Sequence[Waiting], rules: Rules, pace: Pace
) -> tuple[list[Waiting], list[Event]]:
    """Choose who is let in, and tell why others aren't whom a rule allows, or nobody could."""
    book = Book(desk.home, state.name, now=pace.clock())
    taken = Claims(state, escrows.owners(desk.home, state.name))
    asking = Counter(folded(each.account) for each in waiting)
    invited = Counter(folded(each.account) for each in waiting if deciding.is_invited(book, each))
    held = deciding.holders(state)
    chosen, passed = list[Waiting](), list[Event]()
    for each in waiting:
        if not rules.allow(each, book):
            worth = deciding.worth(book, each, held)
            why = "no rule allows it" + (f" ({worth.value})" if worth else "")
        else:
            rivals = invited if deciding.is_invited(book, each) else asking
            why = _obstacle(state, each, pace) or ""
            if not why and not rules.named(each) and rivals[folded(each.account)] > 1:
                why = "several ask in with that address"
            if not why and not rules.named(each):
                why = _unproven(desk, each, held)
            why = why or _claimed(state, each, taken)
        if why:
            words = f"{each.account} {each.profile.identifier} waits: {why}"
            passed.append(Event("waits", words, each.account, each.profile.identifier))
        else:
            chosen.append(each)
    return chosen, passed


def _obstacle(state: GroupState, one: Waiting, pace: Pace) -> str | None:
    """Tell why somebody can't be let in, whoever it is."""
    udf = one.profile.identifier
    if udf in state.policy.banned:
        return "banned"
    member = state.members.get(udf)
    if member is not None and not member.is_active:
        does = "approve" if member.entry.status is Status.REVOKED else "resume"
        return f"{member.entry.status.value} here: recrypt {does} {state.name} {udf}"
    try:
        with about("the profile"):
            check_not_ahead(one.profile, pace.clock())
    except Trouble as trouble:
        return trouble.what
    return None


def _unproven(desk: Desk, one: Waiting, held: Mapping[str, Udf]) -> str:
    """Tell whose an address was, or is here, if it is another's."""
    try:
        deciding.check_known(desk, one)
        deciding.check_free(held, one)
    except Trouble as trouble:
        return trouble.what
    return ""


def _claimed(state: GroupState, one: Waiting, taken: Claims) -> str:
    """Tell if somebody new lists keys of others."""
    try:
        if one.profile.identifier not in state.members:
            taken.check([one.profile])
    except Trouble as trouble:
        return trouble.what
    return ""


def _let_in(desk: Desk, chosen: Sequence[Waiting], pace: Pace) -> Iterator[Event]:
    """Let them in together; if that is refused, in halves, so that one holds up no others."""
    if not chosen:
        return
    try:
        done = deciding.let_in(desk, chosen, pace)
    except Trouble as trouble:
        if is_passing(trouble):
            raise
        if len(chosen) == 1:
            one = chosen[0]
            words = f"{one.account} {one.profile.identifier} waits: {trouble.what}"
            yield Event("waits", words, one.account, one.profile.identifier)
            return
        half = len(chosen) // 2
        yield from _let_in(desk, chosen[:half], pace)
        yield from _let_in(desk, chosen[half:], pace)
    else:
        prints = {each.account: each.profile.identifier for each in chosen}
        for who in done.outcome.changed:
            udf = prints.get(who)
            yield Event("added", f"{who} {udf or ''} added to {desk.pin.group_name}", who, udf)
        deciding.settle(desk, chosen, now=pace.clock())


def _told(done: refreshing.Refresh, group: str) -> Iterator[Event]:
    for who in done.outcome.changed:
        yield Event("refreshed", f"{who} has a newer profile, and entries for it", who)
    for why in done.waiting:
        yield Event("to-do", why)
    for who in done.lost:
        words = f"a device of {who} is gone that had the private keys of {group}"
        yield Event("to-do", f"{words}: recrypt rekey {group}", who)


def _tended(desk: Desk, state: GroupState, owed: Owed, pace: Pace) -> Iterator[Event]:
    """Seal the group's keys anew and sign its key again, if that is due; tell what is owed."""
    tended = renewing.tend(desk, custody.share(desk, state, pace), pace)
    yield from (Event("key", words) for words in tended.notes)
    is_same = tended.state.head == owed.state.head
    left = owed if is_same else debts.owed(desk, now=pace.clock())
    yield from (Event("to-do", words) for words in left.words())
