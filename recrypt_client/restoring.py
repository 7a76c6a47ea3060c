"""A service that was restored from a back-up: its older history is taken for the group's.

Nothing here tells a restored back-up from a service that lies. Only who knows by another way that
there was one may go on from it (spec §8).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from recrypt_client import chains, paths, pins
from recrypt_client.chains import Desk
from recrypt_client.contacts import SeenProfile
from recrypt_client.errors import Trouble
from recrypt_client.pins import Pin
from recrypt_client.trails import Step, Trail
from recrypt_core.chain import GroupState


@dataclass(frozen=True, slots=True)
class Restored:
    """A history that isn't the one that was seen here, or ends before it, or before its key.

    Attributes:
        seen: What this home had seen of the group.
        state: The group as the history that is shown now leaves it; verified by itself.
        has_head: Whether the last change that was seen is in it, but not what the key tells of.
        is_cut: Whether it ends before what was seen; else another change stands there.
        is_master_old: Whether its Master is older than one that was seen.
        trail: The last changes that were seen and are in it.
        gone: Those that aren't.
    """

    seen: Pin
    state: GroupState
    has_head: bool
    is_cut: bool
    is_master_old: bool
    trail: Trail
    gone: tuple[Step, ...]

    def words(self) -> Iterator[str]:
        """Tell what is gone, as far as this home knows, and what is to be done again."""
        name, head, old = self.state.name, self.state.head, self.seen.head
        yield f"The history of {name} ends with change {head.seq} {head.hash}"
        if self.has_head:
            gone = "which is there, but its key or Master tells of changes after it, which are gone"
        elif self.is_cut:
            gone = f"{old.hash}: changes {head.seq + 1} to {old.seq} are gone"
        else:
            gone = f"{old.hash}: it is another one now, and perhaps some before it"
        yield f"You had seen change {old.seq}, {gone}. Make them again, removals first"
        for each in self.gone:
            yield f"Gone: change {each.seq}, {each.words}"
        yield from self._of_key()
        if self.is_master_old:
            yield (
                "Its Master is older than the one that you had seen: who had an online key that "
                f"ended since signs for it again. recrypt verify {name} tells who"
            )
        yield (
            "Take it only if you know by another way than this service that a back-up was "
            "restored, and the other administrators see that same last change. Else it is a lie"
        )

    def _of_key(self) -> Iterator[str]:
        """Tell what who has seen the key of before doesn't take any more, and what ends that."""
        name, key, seen = self.state.name, self.state.key, self.seen
        now, before = key.document.generation, seen.generation
        if now <= before and key.udf != seen.key_udf:
            times = "once" if now == before else f"{before - now + 1} times"
            yield (
                f"Its key is of generation {now} again: who has seen generation {before} takes "
                f"a later one only, so give recrypt rekey {name} {times}"
            )
        if seen.closed is not None and not self.state.is_closed:
            yield (
                f"It is open again, and was closed for good on {seen.closed:%Y-%m-%d}: who has "
                f"seen that refuses it for ever: recrypt close {name} closes it again"
            )


def look(desk: Desk, *, now: datetime) -> Restored | None:
    """Find how the history that is shown now differs from what was seen; None if it doesn't.

    Raises:
        Trouble: if it isn't in order, or is another group's.
    """
    trail = desk.home.document(paths.trail_file(desk.pin.group_name), Trail) or Trail()
    seen = next(iter(trail.before), desk.pin)
    hashes: dict[int, str] = {}
    state: GroupState | None = None
    for state, change in chains.shown(desk, now=now):
        hashes[state.head.seq] = change.hash
    if state is None or state.identifier != seen.identifier:
        raise Trouble(
            f"{desk.service.url} shows no history of {seen.group_name}, or another group's",
            "A restored back-up would have the same group. Ask the service's operator",
        )
    is_old = trail.had_newer_master or _is_master_old(desk, state)
    has_head = seen.head.seq == 0 or hashes.get(seen.head.seq) == seen.head.hash
    if has_head and not is_old and _is_taken(seen, state):
        return None
    kept = tuple(each for each in trail.steps if hashes.get(each.seq) == each.hash)
    return Restored(
        seen,
        state,
        has_head=has_head,
        is_cut=seen.head.seq not in hashes,
        is_master_old=is_old,
        trail=Trail(steps=kept),
        gone=tuple(each for each in trail.steps if each not in kept),
    )


def accept(desk: Desk, found: Restored, *, now: datetime) -> None:
    """Pin what was found, and nothing else; what is cut off tells all of it once more.

    Raises:
        Trouble: if the service shows something else meanwhile.
    """
    again = look(desk, now=now)
    if again is None or again.state.head != found.state.head:
        raise Trouble(
            f"the history of {found.state.name} has changed since you looked at it",
            "Nothing was done. Look at it again",
        )
    state, seen = found.state, found.seen
    had = (*(key.udf for key in state.past_keys), *seen.past_key_udf, seen.key_udf)
    pin = Pin(
        group_name=seen.group_name,
        identifier=seen.identifier,
        generation=state.key.document.generation,
        key_udf=state.key.udf,
        past_key_udf=tuple(udf for udf in dict.fromkeys(had) if udf != state.key.udf),
        service=seen.service,
        head=state.head,
        since=seen.since,
        closed=state.key.document.closed,
    )
    master = SeenProfile(updated=state.master.profile.updated)
    name = paths.trail_file(seen.group_name)
    steps = tuple(sorted((*found.trail.steps, *found.gone), key=lambda each: each.seq))
    noted = Trail(steps=steps, before=(seen,), had_newer_master=found.is_master_old)
    desk.home.keep_document(name, noted)
    desk.home.keep_pin(pin)
    desk.home.keep_document(paths.author_file(state.identifier), master)
    desk.home.keep_document(name, found.trail)


def _is_taken(seen: Pin, state: GroupState) -> bool:
    """Tell whether the key, which may have been seen without the history, is taken again."""
    try:
        pins.compare(seen, state.key)
    except Trouble:
        return False
    return True


def _is_master_old(desk: Desk, state: GroupState) -> bool:
    known = desk.home.document(paths.author_file(state.identifier), SeenProfile)
    return known is not None and state.master.profile.updated < known.updated
