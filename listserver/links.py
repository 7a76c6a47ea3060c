"""What of a copy is one delivery's own: where it comes back to, and how its member leaves."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Final

from listserver.addresses import ListAddress, Role, write_list_address
from listserver.model import House, MemberId, PostId
from listserver.tokens import write_copy_tokens
from listserver.vault import Vault

LEAVE_PAGE: Final = "/u/"  # under public_url, and a copy's token after it: to leave
LIST_PAGE: Final = "/l/"  # under public_url, and what `page_name` gives after it: what a list is
STAY_PAGE: Final = "/stay/"  # the same, with the token of the letter about it: to stay after all

_BLANKS: Final = tuple(letter * 26 for letter in ascii_lowercase)  # as long as any token
_FORMS_KEPT: Final = 1000  # ours


class Links:
    """Writes the tokens of deliveries, in the forms in which they go out."""

    def __init__(self, vault: Vault, public_url: str) -> None:
        self._vault = vault
        self._public_url = public_url
        self._forms: dict[str, _Forms] = {}

    def of_copies(
        self, list_address: str, post: PostId, readers: Sequence[tuple[MemberId, int]]
    ) -> Iterator[tuple[str, bytes]]:
        """Write the envelope sender of each copy, unlinkable (spec §7), and its own fields.

        The fields are those by which mail programs offer to leave; of one length.

        readers: of each copy the member, and how often that one has stayed, or come back, so far.
        """
        forms = self._forms_of(list_address)
        for returns, leaves in write_copy_tokens(self._vault, post, readers):
            yield returns.join(forms.path), leaves.join(forms.fields).encode("ascii")

    def _forms_of(self, list_address: str) -> "_Forms":
        """Give what stands around the tokens of a list's copies; it is written once."""
        forms = self._forms.get(list_address)
        if forms is None:
            if len(self._forms) >= _FORMS_KEPT:
                self._forms.clear()
            blank = next(each for each in _BLANKS if each not in list_address + self._public_url)
            path = _address(list_address, Role.BOUNCES, blank)
            fields = _leave_fields(list_address, self._public_url, blank)
            forms = _Forms(path.split(blank), fields.split(blank))
            self._forms[list_address] = forms
        return forms


@dataclass(frozen=True, slots=True)
class _Forms:
    """What stands around a token, in pieces."""

    path: list[str]
    fields: list[str]


def list_page(house: House, list_address: str) -> str:
    """Write where a list's page for people is."""
    return f"{house.public_url}{LIST_PAGE}{page_name(house, list_address)}"


def page_name(house: House, list_address: str) -> str:
    """Write how a list is called in its page's address: by its name, at the server's own domain."""
    return list_address.removesuffix(f"@{house.domain}")


def leave_octets(list_address: str, public_url: str) -> int:
    """Tell how long those fields are in each copy of a list's posts."""
    return len(_leave_fields(list_address, public_url, _BLANKS[0]))


def unsubscribe_address(list_address: str, token: str) -> str:
    """Write the address by which a token is sent in by mail."""
    return _address(list_address, Role.UNSUBSCRIBE, token)


def _leave_fields(list_address: str, public_url: str, token: str) -> str:
    """Offer a page first, as one click wants https (RFC 8058 §3.1), then mail (RFC 2369 §3.2)."""
    address = unsubscribe_address(list_address, token)
    return (
        f"List-Unsubscribe: <{public_url}{LEAVE_PAGE}{token}>,\r\n"
        f" <mailto:{address}>\r\n"
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    )


def _address(list_address: str, role: Role, token: str) -> str:
    return str(write_list_address(ListAddress(list_address, role, token)))
