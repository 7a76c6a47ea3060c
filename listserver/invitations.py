"""The letter with an invitation, in clear: who is invited has no keys yet (spec §6, Inviting)."""

from datetime import UTC, datetime
from email.utils import format_datetime

from listserver.model import Letter, LetterKind
from recrypt_core import _random, invitations
from recrypt_core.encoding import write_b64url


def write_invitation(group: str, account: str, token: str, *, now: datetime) -> Letter:
    """Write it: generated mail (RFC 3834 §5), whose words are the same for everybody."""
    name, _, domain = group.partition("@")
    lines = (
        f'From: "{name}" <postmaster@{domain}>',
        f"To: {account}",
        f"Subject: {invitations.subject(group)}",
        f"Date: {format_datetime(now.astimezone(UTC))}",
        f"Message-ID: <n.{write_b64url(_random.octets(16))}@{domain}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=us-ascii",
        "Content-Transfer-Encoding: 7bit",
        "", *invitations.words(group, token, account), "",
    )  # fmt: skip
    octets = "\r\n".join(lines).encode("ascii")
    return Letter(account, "", octets, kind=LetterKind.INVITATION)
