"""What a member wants of a list's mail: a request of ours, not of the drafts (spec §6)."""

from typing import ClassVar

from recrypt_core.documents import Account
from recrypt_core.signing import Jws
from recrypt_core.wire import Document
from recrypt_core.words import Word


class Mail(Word):
    """Whether a member wants a list's mail."""

    ON = "on"
    PAUSED = "paused"
    LEFT = "left"


class SetMail(Document, frozen=True, kw_only=True):
    """Say which mail of a group one wants, as the member with this Profile; None: as it was."""

    transaction: ClassVar[str] = "SetMail"
    group_name: Account
    profile: Jws
    mail: Mail | None = None
    own_posts: bool | None = None
