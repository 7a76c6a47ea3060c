"""What was seen of a group before, against what is shown now: same, newer, or refused (spec §8)."""

from datetime import datetime
from enum import Enum

from recrypt_client.errors import Trouble
from recrypt_core.documents import NO_HEAD, Head, VerifiedGroupKey
from recrypt_core.wire import Document, UdfText


class Pin(Document, frozen=True, kw_only=True):
    """What this home knows of a group, and never silently forgets."""

    group_name: str
    identifier: UdfText
    generation: int
    key_udf: UdfText
    past_key_udf: tuple[UdfText, ...] = ()
    service: str
    head: Head
    since: datetime
    closed: datetime | None = None

    def is_key(self, kid: str) -> bool:
        """Tell whether the group has or had this key."""
        return kid in (self.key_udf, *self.past_key_udf)


class Seen(Enum):
    """How what is shown relates to the pin."""

    FIRST = "first use"
    SAME = "as pinned"
    NEWER = "newer than pinned"


def compare(pin: Pin | None, key: VerifiedGroupKey) -> Seen:
    """Compare a verified group key with the pin (spec §6, GetKey).

    Raises:
        Trouble: for another Identifier, a lower generation, or another key of the same one; for one
            that goes on where the group was seen to be closed for good.
    """
    if pin is None:
        return Seen.FIRST
    shown = key.document
    if shown.group_identifier != pin.identifier:
        raise _alarm(
            pin,
            f"ITS FINGERPRINT HAS CHANGED, from {pin.identifier} to {shown.group_identifier}",
        )
    if pin.closed is not None and shown.closed is None:
        raise _alarm(
            pin,
            f"THE SERVICE SHOWS AS OPEN A GROUP THAT WAS CLOSED FOR GOOD on {pin.closed:%Y-%m-%d}",
            _restored(pin),
        )
    if shown.generation < pin.generation:
        raise _alarm(
            pin,
            f"THE SERVICE SHOWS AN OLD GROUP KEY, generation {shown.generation} "
            f"where {pin.generation} was seen",
            _restored(pin),
        )
    if shown.generation > pin.generation:
        return Seen.NEWER
    if key.udf != pin.key_udf:
        raise _alarm(
            pin,
            f"THE SERVICE SHOWS ANOTHER GROUP KEY of generation {pin.generation}",
            _restored(pin),
        )
    return Seen.SAME


def renew(
    pin: Pin | None,
    key: VerifiedGroupKey,
    *,
    service: str,
    now: datetime,
    head: Head | None = None,
) -> Pin:
    """Give the pin that remembers this key too, and this head of the chain if there is one.

    Raises:
        Trouble: as `compare`.
    """
    seen = compare(pin, key)
    shown = key.document
    past = () if pin is None else pin.past_key_udf
    if pin is not None and seen is Seen.NEWER:
        past = (*past, pin.key_udf)
    return Pin(
        group_name=shown.group_name,
        identifier=shown.group_identifier,
        generation=shown.generation,
        key_udf=key.udf,
        past_key_udf=past,
        service=service,
        head=head or (NO_HEAD if pin is None else pin.head),
        since=now if pin is None else pin.since,
        closed=shown.closed,
    )


def merge(here: Pin, there: Pin, *, hint: str) -> Pin:
    """Give the pin that knows what two homes of one profile know of a group.

    Args:
        here: The pin of this home, whose service stays.
        there: The other one's.
        hint: What to do if they can't be one.

    Raises:
        Trouble: if they know different groups, keys or histories by one name.
    """
    old, new = sorted((here, there), key=lambda pin: pin.generation)
    behind, ahead = sorted((here.head, there.head), key=lambda head: head.seq)
    problem = None
    if here.identifier != there.identifier:
        problem = f"ANOTHER GROUP, {there.identifier}, by the name of {here.identifier}"
    elif old.generation == new.generation and old.key_udf != new.key_udf:
        problem = f"ANOTHER GROUP KEY of generation {new.generation}"
    elif behind.seq == ahead.seq and behind.hash != ahead.hash:
        problem = f"ANOTHER HISTORY: change {ahead.seq} is not the same"
    if problem is not None:
        raise Trouble(f"{here.group_name}: THE FILE SHOWS {problem}", hint)
    past = dict.fromkeys((*old.past_key_udf, old.key_udf, *new.past_key_udf))
    return Pin(
        group_name=here.group_name,
        identifier=here.identifier,
        generation=new.generation,
        key_udf=new.key_udf,
        past_key_udf=tuple(udf for udf in past if udf != new.key_udf),
        service=here.service,
        head=ahead,
        since=min(here.since, there.since),
        closed=here.closed or there.closed,
    )


def check_hash(pin: Pin, head: Head, found: str | None) -> None:
    """Check that the chain has, at a seq that was seen before, the change that was seen (spec §5).

    Args:
        pin: The group's pin, for the words.
        head: A head of the past: the pinned one, or the one in the group key.
        found: The hash of the change that the service shows at that seq; None if it shows none.

    Raises:
        Trouble: if the service went back, or shows another history.
    """
    problem = None
    if found is None:
        problem = f"it goes back before change {head.seq}"
    elif found != head.hash:
        problem = f"change {head.seq} is not the same"
    if problem is not None:
        raise _alarm(
            pin,
            f"THE SERVICE SHOWS ANOTHER HISTORY: {problem}",
            _restored(pin),
        )


def _restored(pin: Pin) -> str:
    return (
        ". Who administers it and knows that a back-up was restored: "
        f"recrypt verify {pin.group_name} --accept-restored, or recrypt recover with that option"
    )


def _alarm(pin: Pin, what: str, more: str = "") -> Trouble:
    return Trouble(
        f"{pin.group_name} at {pin.service}: {what}",
        f"Nothing was done or pinned. Ask the group's administrator by another way{more}",
    )
