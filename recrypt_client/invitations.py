"""The invitations of a group that were sent from this home, and whose proof of one is good.

Each is for one address and one person: who used it is written down before it is let in, so that
nobody comes in by it a second time, wherever a command is cut off (spec §6, Inviting).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Final

from recrypt_client import paths
from recrypt_client.home import Home
from recrypt_core import invitations, limits
from recrypt_core.encoding import read_b64url
from recrypt_core.mailboxes import folded
from recrypt_core.udf import Udf
from recrypt_core.wire import Document, Hash, UdfText

OCTETS: Final = 8 * 2**20  # of the file: some 30,000; ours


class Standing(Enum):
    """What the proof of an invitation is worth that somebody asks in with."""

    GOOD = "invited"
    USED = "invited, but somebody else has used it"
    UNKNOWN = "not by an invitation from here, or not to that address"


class Open(Document, frozen=True, kw_only=True):
    """An invitation that may be used, or was not long ago.

    Attributes:
        sent: It is known to have gone out.
        used_by: Who was let in with it, or was to be when a command was cut off.
    """

    address: str
    secret: Hash
    since: datetime
    sent: bool = False
    used_by: UdfText | None = None

    def __repr__(self) -> str:
        return "Open(...)"

    def used(self, identifier: Udf) -> "Open":
        """Give it as it is when somebody uses it."""
        return Open(
            address=self.address,
            secret=self.secret,
            since=self.since,
            sent=self.sent,
            used_by=identifier,
        )

    def gone_out(self) -> "Open":
        """Give it as it is once it was sent."""
        return Open(address=self.address, secret=self.secret, since=self.since, sent=True)

    def proven_by(self, identifier: Udf, account: str, proof: str) -> bool:
        """Tell whether a proof was made with its secret."""
        return invitations.proves(proof, read_b64url(self.secret), identifier, account)


class _File(Document, frozen=True, kw_only=True):
    """All of a group's."""

    invitations: tuple[Open, ...] = ()


class Book:
    """The invitations of one group, by address; those that are too old are gone."""

    def __init__(self, home: Home, group: str, *, now: datetime) -> None:
        self._home = home
        self._name = paths.invitations_file(group)
        found = home.document(self._name, _File, octets=OCTETS) or _File()
        self._found = {
            folded(each.address): each
            for each in found.invitations
            if each.since + limits.INVITATION_LIFE > now
        }

    def find(self, address: str) -> Open | None:
        """Find the invitation of an address."""
        return self._found.get(folded(address))

    def put(self, changed: Iterable[Open]) -> None:
        """Write these, each in the place of an earlier one to its address.

        Raises:
            Trouble: if they can't be written.
        """
        self._found |= {folded(each.address): each for each in changed}
        self._home.keep_document(self._name, _File(invitations=(*self._found.values(),)))

    def standing(self, identifier: Udf, account: str, proof: str | None) -> Standing | None:
        """Tell what a proof is worth; None if there is none."""
        if proof is None:
            return None
        found = self.find(account)
        if found is None or not found.proven_by(identifier, account, proof):
            return Standing.UNKNOWN
        return Standing.GOOD if found.used_by in (None, identifier) else Standing.USED

    def use(self, users: Mapping[str, Udf]) -> None:
        """Note who uses the invitations of these addresses; an invitation is used once."""
        used = [
            found.used(identifier)
            for address, identifier in users.items()
            if (found := self.find(address)) is not None and found.used_by is None
        ]
        if used:
            self.put(used)
