"""The rules of a list, which stand in its chain (spec §7)."""

from typing import Annotated

import msgspec

from recrypt_core import limits
from recrypt_core.words import Word

_Count = Annotated[int, msgspec.Meta(ge=0, lt=10**9)]
_Days = Annotated[int, msgspec.Meta(ge=0, le=limits.KEEP_DAYS_AT_MOST)]


class PostRight(Word):
    """Who may post to a list."""

    ANYONE = "anyone"
    MEMBERS = "members"
    MODERATED = "moderated"
    ANNOUNCE = "announce"


class ReplyTo(Word):
    """Where answers go by default."""

    NONE = "none"
    LIST = "list"


class FromPolicy(Word):
    """Whose name a copy's From shows."""

    LIST = "list"
    VIA = "via"


class History(Word):
    """How much of the past a new member can read."""

    NONE = "none"
    SINCE_JOIN = "since-join"
    ALL = "all"


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """The rules of a list, with their defaults (spec §7)."""

    post: PostRight = PostRight.ANYONE
    reply_to: ReplyTo = ReplyTo.NONE
    from_: FromPolicy = FromPolicy.LIST
    notice: bool = True
    past_keys: bool = True
    history: History = History.NONE
    keep: _Days = limits.KEEP_DAYS
    """So many days the service keeps a post's ciphertext, for late delivery."""
    recrypt_per_day: _Count | None = None
    """So many RecryptData a day of all members together; None: as many as the service allows."""
