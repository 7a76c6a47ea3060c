"""What of a copy is one delivery's own: where it comes back to, and how its member leaves."""

from typing import Final

from listserver.addresses import ListAddress, Role, write_list_address
from listserver.model import House, MemberId, PostId
from listserver.tokens import DeliveryToken, LeaveToken, write_token
from listserver.vault import Vault

LEAVE_PAGE: Final = "/u/"  # under public_url, and a copy's token after it: to leave
LIST_PAGE: Final = "/l/"  # under public_url, and what `page_name` gives after it: what a list is
STAY_PAGE: Final = "/stay/"  # the same, with the token of the letter about it: to stay after all

_BLANK: Final = "a" * 26  # as long as any token


class Links:
    """Writes the tokens of deliveries, in the forms in which they go out."""

    def __init__(self, vault: Vault, public_url: str) -> None:
        self._vault = vault
        self._public_url = public_url

    def return_path(self, list_address: str, post: PostId, member: MemberId) -> str:
        """Write the envelope sender: a token for each delivery, unlinkable (spec §7)."""
        token = write_token(self._vault, DeliveryToken(post, member))
        return _address(list_address, Role.BOUNCES, token)

    def leave_fields(
        self, list_address: str, post: PostId, member: MemberId, *, stays: int
    ) -> bytes:
        """Write the fields of a copy by which mail programs offer to leave; of one length.

        stays: how often the member has stayed, or come back, so far.
        """
        token = write_token(self._vault, LeaveToken(post, member, stays))
        return _leave_fields(list_address, self._public_url, token)


def list_page(house: House, list_address: str) -> str:
    """Write where a list's page for people is."""
    return f"{house.public_url}{LIST_PAGE}{page_name(house, list_address)}"


def page_name(house: House, list_address: str) -> str:
    """Write how a list is called in its page's address: by its name, at the server's own domain."""
    return list_address.removesuffix(f"@{house.domain}")


def leave_octets(list_address: str, public_url: str) -> int:
    """Tell how long those fields are in each copy of a list's posts."""
    return len(_leave_fields(list_address, public_url, _BLANK))


def unsubscribe_address(list_address: str, token: str) -> str:
    """Write the address by which a token is sent in by mail."""
    return _address(list_address, Role.UNSUBSCRIBE, token)


def _leave_fields(list_address: str, public_url: str, token: str) -> bytes:
    """Offer a page first, as one click wants https (RFC 8058 §3.1), then mail (RFC 2369 §3.2)."""
    address = unsubscribe_address(list_address, token)
    return (
        f"List-Unsubscribe: <{public_url}{LEAVE_PAGE}{token}>,\r\n"
        f" <mailto:{address}>\r\n"
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    ).encode("ascii")


def _address(list_address: str, role: Role, token: str) -> str:
    return str(write_list_address(ListAddress(list_address, role, token)))
