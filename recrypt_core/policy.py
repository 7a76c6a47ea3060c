"""The rules of a list, which stand in its chain (spec §7)."""

from typing import Annotated, Final

import msgspec

from recrypt_core import limits
from recrypt_core.wire import UdfText
from recrypt_core.words import Word

SUBJECT: Final = "[...]"  # of what is encrypted (spec §7, RFC 9788 §3.2.1)
SUBJECT_PATTERN: Final = r"\A(?!.*=\?)[!-~]([ -~]*[!-~])?\Z"
"""Printable ASCII without spaces around it, and no encoded word, which would show as others."""

_Count = Annotated[int, msgspec.Meta(ge=0, lt=10**9)]
_Days = Annotated[int, msgspec.Meta(ge=0, le=limits.KEEP_DAYS_AT_MOST)]
_HoldDays = Annotated[int, msgspec.Meta(ge=1, le=limits.HOLD_DAYS_AT_MOST)]
_Subject = Annotated[str, msgspec.Meta(max_length=limits.SUBJECT_OCTETS, pattern=SUBJECT_PATTERN)]
_Banned = Annotated[tuple[UdfText, ...], msgspec.Meta(max_length=limits.BANNED)]


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


class Language(Word):
    """In which the service writes for a list: letters, answers, notices and pages."""

    EN = "en"
    DE = "de"


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
    hold: bool = False
    """Everything is held for the moderators, whoever sent it: for an emergency."""
    hold_days: _HoldDays = limits.HOLD_DAYS
    """So many days a held post waits for a decision."""
    banned: _Banned = ()
    """Identifiers of profiles that may neither post nor ask in, each once."""
    posts_per_day: _Count | None = None
    """So many posts a day of one proven poster; None: without a bound."""
    list_posts_per_day: _Count | None = None
    """So many posts a day of all together; None: without a bound."""
    post_kib: _Count | None = None
    """So many KiB of ciphertext in a post at most; None: as many as the service allows."""
    subject: _Subject = SUBJECT
    """Of every copy: ASCII around the `[...]` that stands for the real one, inside the envelope."""
    welcome: bool = False
    """New members are welcomed, and removed ones told, in letters of the service's."""
    language: Language = Language.EN
    """What the service writes for the list is in it."""

    def __post_init__(self) -> None:
        """Refuse, as msgspec wants it, what can't be said with types."""
        if len(set(self.banned)) != len(self.banned):
            raise ValueError("a profile that is banned twice")
        if SUBJECT not in self.subject:
            raise ValueError("a subject without [...] in it")
