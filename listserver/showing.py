"""What anybody may be shown of the service and of a list: nothing of members, and no counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from listserver.addresses import ListAddress, Role, write_list_address
from listserver.catalogue import Texts
from listserver.links import page_name
from listserver.model import House, StoredList
from listserver.ports import Clock
from listserver.store import Store
from recrypt_core.udf import Udf


@dataclass(frozen=True, slots=True)
class Shown:
    """A list, as everybody may see it.

    name: as its page is called.
    fingerprint: of the group, by which it is known for good; key: of its current key.
    not_after: until when mail is encrypted to that key; is_over: that is past.
    texts: what its page says.
    """

    name: str
    fingerprint: Udf
    key: Udf
    not_after: datetime
    is_over: bool
    list_address: str
    texts: Texts

    def address(self, role: Role = Role.POST) -> str:
        """Give an address of the list's own."""
        return str(write_list_address(ListAddress(self.list_address, role)))


class Showing:
    """Finds what is shown."""

    def __init__(
        self, house: House, store: Store, clock: Clock, *, front: Sequence[str] = ()
    ) -> None:
        """Show on the front these lists alone, as the operator says, by name or address."""
        self._house = house
        self._store = store
        self._clock = clock
        self._front = front

    async def front(self) -> Sequence[Shown]:
        """Find the lists that the start page has links to.

        Raises:
            StoreTrouble: they can't be read now.
        """
        found = [await self.list(name) for name in self._front]
        return [each for each in found if each is not None]

    async def list(self, named: str) -> Shown | None:
        """Find a list by its name or its address; None for one that is unknown or closed.

        One that its operator has stopped is shown as ever.

        Raises:
            StoreTrouble: it can't be read now.
        """
        address = named.lower() if "@" in named else f"{named.lower()}@{self._house.domain}"
        if address.rpartition("@")[2] not in self._house.domains:
            return None
        async with self._store.begin() as work:
            found = await work.find_list(address)
        if found is None or found.state.is_closed:
            return None
        state, key = found.state, found.state.key
        not_after = key.document.not_after
        is_over = not_after < self._clock.now()
        page = page_name(self._house, address)
        return Shown(
            page, state.identifier, key.udf, not_after, is_over, address, self.texts(found)
        )

    def texts(self, found: StoredList | None) -> Texts:
        """Give what pages say: a list's, or the service's where there is none."""
        house = self._house
        return Texts(house.language) if found is None else house.catalogue.of_list(found.state)
