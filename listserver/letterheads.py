"""What all copies of a list's posts have in common, written once while the list is as it is."""

from collections.abc import Sequence

from listserver import copies
from listserver.headers import ListFacts, ListHeader
from listserver.links import leave_octets, list_page
from listserver.model import House, StoredList
from listserver.threads import ThreadIds
from recrypt_core.moderation import HeldName
from recrypt_core.policy import ReplyTo


class Letterhead:
    """A list's part in its copies; of the list as it was found, so a changed one has another.

    Attributes:
        found: The list.
        house: Where it is.
        threads: Its Message-IDs.
        header: Its header fields.
    """

    __slots__ = ("_around", "_notice", "_own", "_texts", "found", "header", "house", "threads")

    def __init__(self, found: StoredList, house: House) -> None:
        state = found.state
        name, _, domain = state.name.partition("@")
        self.found = found
        self.house = house
        self.threads = ThreadIds(name, domain, found.secret)
        self.header = ListHeader(
            ListFacts(
                name,
                domain,
                reply_to_list=state.policy.reply_to is ReplyTo.LIST,
                subject=state.policy.subject,
                page=list_page(house, state.name),
            )
        )
        self._texts = house.catalogue.of_list(state)
        self._notice = copies.notice(self._texts)
        self._own = leave_octets(state.name, house.public_url)
        self._around = self._own + _octets(self._notice if state.policy.notice else None)

    def notice(self, held: HeldName | None = None) -> tuple[str, ...]:
        """Give what stands before the envelope; of a held post, for moderators, with its name."""
        return self._notice if held is None else copies.notice(self._texts, held)

    def around(self, held: HeldName | None = None) -> int:
        """Tell how many octets of a copy are neither its post's header nor base64."""
        return self._around if held is None else self._own + _octets(self.notice(held))


def _octets(notice: Sequence[str] | None) -> int:
    return sum(map(len, copies.wrapping(notice)))
