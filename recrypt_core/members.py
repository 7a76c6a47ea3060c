"""A group's members as its chain states them: a map that never changes, and whose keys sign.

And what is asked of an entry by itself, and of the time that a profile states.

A chain of 10,000 changes makes 10,000 of these maps, each with a few members more than the last: so
one is made of another without a copy of all that both have.
"""

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, TypeVar

from recrypt_core import limits
from recrypt_core.documents import (
    MemberEntry,
    Privilege,
    Status,
    UserDecryptionEntry,
    VerifiedProfile,
)
from recrypt_core.errors import Malformed
from recrypt_core.udf import Udf

V = TypeVar("V")

AHEAD: Final = "a Profile dated over a day ahead: sign it anew where the clock is right"


@dataclass(frozen=True, slots=True)
class Member:
    """A member as the chain states it: the entry, and its profile, verified."""

    entry: MemberEntry
    profile: VerifiedProfile

    @property
    def account(self) -> str:
        """The address that it is a member with: the first of its profile, unless said (spec §4)."""
        return self.entry.account_name or self.profile.profile.accounts[0]

    @property
    def is_active(self) -> bool:
        """Whether it is served."""
        return self.entry.status is Status.ACTIVE

    def may(self, *privileges: Privilege) -> bool:
        """Whether it is ACTIVE with one of these privileges."""
        return self.is_active and not set(privileges).isdisjoint(self.entry.privileges)

    def entry_for(self, key: Udf) -> UserDecryptionEntry | None:
        """Find its entry for a group key."""
        return next((each for each in self.entry.entries if each.encryption_key_udf == key), None)


class Members(Mapping[Udf, Member]):
    """Members by their Identifiers, in the order in which they came; it doesn't change.

    `with_changed` costs what is changed, and a few copies of it, however many there are.

    Attributes:
        supers: How many are ACTIVE with SUPER.
        administrators: How many are ACTIVE with ADMIN or SUPER.
    """

    __slots__ = ("_by_kid", "_by_udf", "administrators", "supers")

    def __init__(self, members: Iterable[Member] = ()) -> None:
        self._by_udf: _Layers[Member] = _Layers()
        self._by_kid: _Layers[tuple[Udf, ...]] = _Layers()
        self.supers = 0
        self.administrators = 0
        self._put(members)

    def __getitem__(self, udf: Udf) -> Member:
        return self._by_udf[udf]

    def __iter__(self) -> Iterator[Udf]:
        return iter(self._by_udf)

    def __len__(self) -> int:
        return len(self._by_udf)

    def holders(self, kid: Udf) -> tuple[Member, ...]:
        """Find all whose profiles list this signature key, who listed it first before others."""
        return tuple(self._by_udf[udf] for udf in self._by_kid.get(kid, ()))

    def with_changed(self, changed: Iterable[Member]) -> "Members":
        """Give these members with some more, or in another form."""
        made = Members()
        made._by_udf, made._by_kid = self._by_udf, self._by_kid
        made.supers, made.administrators = self.supers, self.administrators
        made._put(changed)
        return made

    def _put(self, changed: Iterable[Member]) -> None:
        """Take members in, while the map is made."""
        members, holders = dict[Udf, Member](), dict[Udf, tuple[Udf, ...]]()
        for member in changed:
            udf = member.profile.identifier
            before = members.get(udf) or self._by_udf.get(udf)
            members[udf] = member
            self._count(before, -1)
            self._count(member, 1)
            old, new = _kids(before), _kids(member)
            for kid in old.keys() ^ new.keys():
                others = holders.get(kid, self._by_kid.get(kid, ()))
                holders[kid] = tuple(each for each in others if each != udf)
                if kid in new:
                    holders[kid] += (udf,)
        self._by_udf = self._by_udf.with_layer(members)
        self._by_kid = self._by_kid.with_layer(holders)

    def _count(self, member: Member | None, by: int) -> None:
        if member is not None and member.may(Privilege.ADMIN, Privilege.SUPER):
            self.administrators += by
            self.supers += by if member.may(Privilege.SUPER) else 0


def _kids(member: Member | None) -> dict[Udf, None]:
    return {} if member is None else {key.udf: None for key in member.profile.signature_keys}


def check_stated(entry: MemberEntry) -> None:
    """Refuse an entry that contradicts itself (spec §4).

    Raises:
        Malformed: if it does.
    """
    if entry.status is Status.REVOKED and entry.entries:
        raise Malformed("a REVOKED member with Entries")
    if len({each.member_key_udf for each in entry.entries}) != len(entry.entries):
        raise Malformed("two Entries of one MemberKeyUDF")
    if len(set(entry.privileges)) != len(entry.privileges):
        raise Malformed("a privilege twice in an entry")
    if len(entry.quotas) > limits.MEMBER_QUOTAS:
        raise Malformed(f"an entry with over {limits.MEMBER_QUOTAS} Quotas")


def check_not_ahead(profile: VerifiedProfile, now: datetime) -> None:
    """Refuse a profile that is new here and dated ahead: it would hold off later ones (spec §4).

    What a chain holds already is read without it: there is no time that all agree on.

    Raises:
        Malformed: if it is.
    """
    if profile.profile.updated > now + limits.PROFILE_AHEAD:
        raise Malformed(AHEAD)


class _Layers(Mapping[Udf, V], Generic[V]):
    """A map in layers, a later one before an earlier one: each over twice as large as the next.

    So there are few, and what is put in is copied as often as there are layers at most.
    """

    __slots__ = ("_layers", "_length")

    def __init__(self, layers: tuple[dict[Udf, V], ...] = (), length: int = 0) -> None:
        self._layers = layers
        self._length = length

    def __getitem__(self, key: Udf) -> V:
        for layer in reversed(self._layers):
            if key in layer:
                return layer[key]
        raise KeyError(key)

    def __iter__(self) -> Iterator[Udf]:
        return iter(ChainMap(*reversed(self._layers)))

    def __len__(self) -> int:
        return self._length

    def with_layer(self, top: dict[Udf, V]) -> "_Layers[V]":
        """Put a layer on top, which is this map's from now on."""
        if not top:
            return self
        length = self._length + sum(key not in self for key in top)
        layers = [*self._layers, top]
        while len(layers) > 1 and len(layers[-2]) <= 2 * len(layers[-1]):
            top = layers.pop()
            layers[-1] = {**layers[-1], **top}
        return _Layers(tuple(layers), length)
