"""Message-IDs: their grammar, and the list's own ids that stand for the authors' ones (spec §7)."""

import base64
import hmac
import re
from collections.abc import Iterable
from typing import Final

from listserver.vault import Mac

THREAD_IDS: Final = (
    20  # ids kept of one References or In-Reply-To: the first and the last 19 (spec §7)
)
SECRET_OCTETS: Final = 32  # of a list's secret
THREAD_CHARACTERS: Final = 26  # T: 130 bits in base32 (spec §7)
CHECK_CHARACTERS: Final = 8  # C: 40 bits in base32 (spec §7)

# Narrower than RFC 5322 §3.6.4, at most 250 octets: printable ASCII, no space, no angle bracket.
# The bound in the pattern keeps findall linear in what a stranger sends.
_ID: Final = re.compile(r"<[!-;=?-~]{1,248}>")


def is_id(text: str) -> bool:
    """Say whether `text` is one Message-ID, angle brackets included, and nothing else."""
    return _ID.fullmatch(text) is not None


def first_id(values: Iterable[str]) -> str | None:
    """Return the first of these unfolded field values that is one Message-ID."""
    return next((value for value in map(str.strip, values) if is_id(value)), None)


def ids_in(values: Iterable[str]) -> tuple[str, ...]:
    """Return the Message-IDs in these unfolded field values, in order; what isn't one is ignored.

    Of more than 20 the first and the last 19 are kept: the root of the thread and its newest end.
    """
    found = [one for value in values for one in _ID.findall(value)]
    if len(found) > THREAD_IDS:
        found = found[:1] + found[1 - THREAD_IDS :]
    return tuple(found)


class ThreadIds:
    """The Message-IDs of one list: `<m.T.C@domain>`, made and recognised with the list's secret.

    Without the secret nobody can tell from T which id it stands for, or make a C that verifies.
    """

    __slots__ = ("_domain", "_list_name", "_mac", "_own")

    def __init__(self, list_name: str, domain: str, secret: bytes) -> None:
        if len(secret) != SECRET_OCTETS:
            raise ValueError(f"a list's secret has {SECRET_OCTETS} octets")
        self._list_name = list_name
        self._domain = domain
        self._mac = Mac(secret)
        pattern = rf"<m\.([a-z2-7]{{26}})\.([a-z2-7]{{8}})@{re.escape(domain)}>"
        self._own = re.compile(pattern)

    def mapped(self, source: bytes) -> str:
        """Return the list's id for `source`: an author's id (`<…>`, ASCII), else a content id.

        The same source gives the same id. For an id that was relayed before, pass the content id
        of the new post: that gives a fresh T (spec §7).
        """
        thread = self._digest(b"id:" + source, THREAD_CHARACTERS)
        return f"<m.{thread}.{self._check(thread)}@{self._domain}>"

    def mapped_thread(self, ids: Iterable[str]) -> tuple[str, ...]:
        """Map the ids of a References or In-Reply-To; the list's own stay as they are (spec §7)."""
        return tuple(
            one if self.is_own(one) else self.mapped(one.encode("ascii")) for one in ids_in(ids)
        )

    def is_own(self, message_id: str) -> bool:
        """Say whether this list made the id: its C verifies. Takes the same time for any C."""
        found = self._own.fullmatch(message_id)
        return found is not None and hmac.compare_digest(found[2], self._check(found[1]))

    def _check(self, thread: str) -> str:
        message = f"check:{self._list_name}:{thread}".encode("ascii")
        return self._digest(message, CHECK_CHARACTERS)

    def _digest(self, message: bytes, characters: int) -> str:
        """Return the first characters of HMAC-SHA256 in lower-case base32 (RFC 4648 §6)."""
        octets = -(-characters // 8) * 5  # eight characters stand for five octets
        return base64.b32encode(self._mac.of(message)[:octets]).decode("ascii").lower()[:characters]
