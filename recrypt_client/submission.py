"""A mail that a program hands over to be sent (RFC 6409), and what the program hears. Pure."""

from dataclasses import dataclass, replace
from typing import Final

from recrypt_client.errors import Trouble, is_passing

OCTETS: Final = 64 * 2**20  # of one mail; ours
_WORDS: Final = 400  # letters in a reply, of 512 octets (RFC 5321 §4.5.3.1.5)


@dataclass(frozen=True, slots=True)
class Submission:
    """A mail and its envelope; `sender` is empty for the null return path."""

    sender: str
    recipients: tuple[str, ...]
    octets: bytes

    def sealed_to(self, group: str, post: bytes) -> "Submission":
        """Give what goes to a list in its place."""
        return replace(self, recipients=(group,), octets=post)


@dataclass(frozen=True, slots=True)
class Reply:
    """An SMTP reply: code, and words that begin with an enhanced status."""

    code: int
    words: str

    def __str__(self) -> str:
        """Write it in one line of printable ASCII."""
        words = "".join(each if " " <= each <= "~" else " " for each in self.words)
        return f"{self.code} {' '.join(words.split())[:_WORDS]}"


def refusal(trouble: Trouble) -> Reply:
    """Say that nothing was sent, and whether trying again may help."""
    if is_passing(trouble):
        return Reply(451, f"4.3.0 Not sent: {trouble}")
    return Reply(554, f"5.7.1 Not sent: {trouble}")
