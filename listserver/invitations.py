"""The letter with an invitation, in clear: who is invited has no keys yet (spec §6, Inviting)."""

from datetime import UTC, datetime
from email.utils import format_datetime

from listserver.catalogue import Texts
from listserver.model import Letter, LetterKind
from listserver.plain_text import subject_field, text_entity
from recrypt_core import _random
from recrypt_core.encoding import write_b64url
from recrypt_core.invitations import URI
from recrypt_core.limits import INVITATION_LIFE


def write_invitation(texts: Texts, account: str, token: str, *, now: datetime) -> Letter:
    """Write it: generated mail (RFC 3834 §5), whose words are the same for everybody."""
    name, _, domain = texts.list_address.partition("@")
    days, line = INVITATION_LIFE.days, f"{URI}{token}"
    words = texts.letter("invitation", account=account, token=line, days=days)
    lines = (
        f'From: "{name}" <postmaster@{domain}>',
        f"To: {account}",
        subject_field(words.subject),
        f"Date: {format_datetime(now.astimezone(UTC))}",
        f"Message-ID: <n.{write_b64url(_random.octets(16))}@{domain}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        *text_entity((*words.lines, "")),
    )
    octets = "\r\n".join(lines).encode("ascii")
    return Letter(account, "", octets, kind=LetterKind.INVITATION)
