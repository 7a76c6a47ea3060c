"""What all copies of a list's posts have in common, written once while the list is as it is."""

from listserver import copies
from listserver.headers import ListFacts, ListHeader
from listserver.links import leave_octets, list_page
from listserver.model import House, StoredList
from listserver.threads import ThreadIds
from recrypt_core.policy import ReplyTo


class Letterhead:
    """A list's part in its copies; of the list as it was found, so a changed one has another.

    Attributes:
        found: The list.
        house: Where it is.
        threads: Its Message-IDs.
        header: Its header fields.
        own_octets: The octets of the fields that each copy has for itself.
    """

    __slots__ = ("_notice", "_texts", "found", "header", "house", "own_octets", "threads")

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
        self.own_octets = leave_octets(state.name, house.public_url)
        self._texts = house.catalogue.of_list(state)
        self._notice = copies.notice(self._texts)

    def notice(self, held: int | None = None) -> tuple[str, ...]:
        """Give what stands before the envelope; of a held post, for moderators, with its number."""
        return self._notice if held is None else copies.notice(self._texts, held)
