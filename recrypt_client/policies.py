"""`KEY=VALUE` of a list's Policy, each checked before it is sent (spec §7). Pure."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from recrypt_client.errors import Trouble, about
from recrypt_core import limits
from recrypt_core.documents import RecryptionGroup
from recrypt_core.encoding import JsonObject, JsonValue, read_object
from recrypt_core.errors import Malformed
from recrypt_core.policy import (
    SUBJECT,
    FromPolicy,
    History,
    Language,
    Policy,
    PostRight,
    ReplyTo,
)
from recrypt_core.udf import read_udf
from recrypt_core.wire import from_json, to_json
from recrypt_core.words import Word

KEYS: Final = Policy.__struct_encode_fields__
WORDS: Final[Mapping[str, type[Word]]] = {
    "post": PostRight,
    "reply_to": ReplyTo,
    "from": FromPolicy,
    "history": History,
    "language": Language,
}
FLAGS: Final = frozenset({"notice", "past_keys", "hold", "welcome"})
COUNTS: Final[Mapping[str, range]] = {
    "keep": range(limits.KEEP_DAYS_AT_MOST + 1),
    "recrypt_per_day": range(10**9),
    "hold_days": range(1, limits.HOLD_DAYS_AT_MOST + 1),
    "posts_per_day": range(10**9),
    "list_posts_per_day": range(10**9),
    "post_kib": range(10**9),
}
OPTIONAL: Final = frozenset({"recrypt_per_day", "posts_per_day", "list_posts_per_day", "post_kib"})
PROFILES: Final = frozenset({"banned"})
TEXTS: Final = frozenset({"subject"})

_WHOLE = re.compile(r"0|[1-9]\d{0,8}", re.ASCII)
_UNSET: Final = "unset"
NOBODY: Final = "none"


@dataclass(frozen=True, slots=True)
class Difference:
    """One rule that becomes another, as words."""

    key: str
    before: str
    after: str


def changed(policy: Policy, settings: Iterable[str]) -> Policy:
    """Give a Policy with these settings, each `KEY=VALUE`.

    Raises:
        Trouble: naming the key that isn't known, or what its value may be.
    """
    stated = stated_as_json(policy)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise Trouble(f"{setting!r} is no KEY=VALUE", "Write it as keep=30")
        if key not in KEYS:
            raise Trouble(f"{key!r} is no rule of a list", _suggestion(key))
        try:
            value = _read(key, text.strip())
        except ValueError:
            raise Trouble(f"{key}={text} can't be", f"{key} is {_may_be(key)}") from None
        if value is None:
            stated.pop(key, None)
        else:
            stated[key] = value
    with about("the rules of the list"):
        return from_json(Policy, stated)


def differences(before: Policy, after: Policy) -> list[Difference]:
    """Tell which rules differ."""
    old, new = shown(before), shown(after)
    return [Difference(key, old[key], new[key]) for key in KEYS if old[key] != new[key]]


def shown(policy: Policy) -> Mapping[str, str]:
    """Give every rule as it would be set."""
    stated = stated_as_json(policy)
    return {key: _word(stated.get(key)) for key in KEYS}


def stated_as_json(policy: Policy) -> JsonObject:
    """Give a Policy as it stands in the group's document."""
    group = to_json(RecryptionGroup(group_name="a@b", policy=policy))
    return read_object(group["Policy"], what="a Policy")


def _word(value: JsonValue) -> str:
    match value:
        case None:
            return _UNSET
        case bool():
            return "true" if value else "false"
        case list():
            return ",".join(map(str, value)) or NOBODY
        case _:
            return str(value)


def _suggestion(key: str) -> str:
    close = difflib.get_close_matches(key.lower().replace("-", "_"), KEYS, n=1)
    return f"Did you mean {close[0]}?" if close else f"The rules are {', '.join(KEYS)}"


def _may_be(key: str) -> str:
    """Say what a rule may be."""
    if key in WORDS:
        return f"one of {', '.join(str(each.value) for each in WORDS[key])}"
    if key in FLAGS:
        return "true or false"
    if key in PROFILES:
        return f"fingerprints with commas between them, at most {limits.BANNED}, or {NOBODY}"
    if key in TEXTS:
        return f"a text with {SUBJECT} in it, at most {limits.SUBJECT_OCTETS} ASCII characters"
    may_be = f"a whole number, {COUNTS[key][0]} to {COUNTS[key][-1]}"
    return may_be + (f", or {_UNSET}" if key in OPTIONAL else "")


def _read(key: str, text: str) -> JsonValue:
    """Read what a person typed; ValueError for what can't be."""
    if key in TEXTS:
        return _read_subject(text)
    text = text.lower()
    if key in WORDS:
        return str(WORDS[key](text).value)
    if key in FLAGS and text in ("true", "false"):
        return text == "true"
    if key in PROFILES:
        return _read_profiles(text)
    if key in OPTIONAL and text == _UNSET:
        return None
    if key not in COUNTS or not _WHOLE.fullmatch(text) or int(text) not in COUNTS[key]:
        raise ValueError
    return int(text)


def _read_subject(text: str) -> JsonValue:
    try:
        return from_json(Policy, {"subject": text}).subject
    except Malformed:
        raise ValueError from None


def _read_profiles(text: str) -> JsonValue:
    if text == NOBODY:
        return []
    try:
        return [*sorted({read_udf(each.strip().upper()) for each in text.split(",")})]
    except Malformed:
        raise ValueError from None
