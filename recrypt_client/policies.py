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
from recrypt_core.policy import FromPolicy, History, Policy, PostRight, ReplyTo
from recrypt_core.wire import from_json, to_json
from recrypt_core.words import Word

KEYS: Final = Policy.__struct_encode_fields__
WORDS: Final[Mapping[str, type[Word]]] = {
    "post": PostRight,
    "reply_to": ReplyTo,
    "from": FromPolicy,
    "history": History,
}
FLAGS: Final = frozenset({"notice", "past_keys"})
MOST: Final[Mapping[str, int]] = {"keep": limits.KEEP_DAYS_AT_MOST, "recrypt_per_day": 10**9 - 1}
OPTIONAL: Final = frozenset({"recrypt_per_day"})

_WHOLE = re.compile(r"0|[1-9]\d{0,8}", re.ASCII)
_UNSET: Final = "unset"


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
            value = _read(key, text.strip().lower())
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
    return f"a whole number, 0 to {MOST[key]}" + (f", or {_UNSET}" if key in OPTIONAL else "")


def _read(key: str, text: str) -> JsonValue:
    """Read what a person typed; ValueError for what can't be."""
    if key in WORDS:
        return str(WORDS[key](text).value)
    if key in FLAGS and text in ("true", "false"):
        return text == "true"
    if key in OPTIONAL and text == _UNSET:
        return None
    if key not in MOST or not _WHOLE.fullmatch(text) or int(text) > MOST[key]:
        raise ValueError
    return int(text)
