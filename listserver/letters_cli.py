"""What `listserver queue` says of the operator's mail that was given up (spec §11)."""

import re
from datetime import datetime
from typing import Final

from listserver.edges.sqlite_held import HeldLetter, HeldLetters
from listserver.model import LetterId
from listserver.options import failed
from recrypt_core.encoding import JsonObject, write_time

HEADS: Final = ("LETTER", "SINCE", "OCTETS", "WHY")
_ALL: Final = "letters"
_WORD: Final = re.compile(rf"{_ALL}|L([1-9]\d{{0,14}})", re.ASCII)
_SHOW: Final = "`listserver queue` shows what there is"


def means_letters(word: str) -> bool:
    """Tell whether a word names held letters: L and a number, or all of them."""
    return _WORD.fullmatch(word) is not None


def row(letter: HeldLetter) -> tuple[str, ...]:
    """Give a row of the table."""
    why = "not delivered" if letter.code is None else f"refused: {letter.code}"
    return (f"L{letter.id}", _time(letter), f"{letter.octets}", why)


def as_json(letter: HeldLetter) -> JsonObject:
    """Give it for programs."""
    since = None if letter.since is None else write_time(letter.since)
    return {"id": letter.id, "since": since, "octets": letter.octets, "code": letter.code}


def retry(letters: HeldLetters, word: str, now: datetime) -> str:
    """Try letters again now; give the words for it."""
    return f"In the queue again: letters {_some(letters.retry(_meant(word), now), word)}."


def drop(letters: HeldLetters, word: str) -> str:
    """Erase letters; give the words for it."""
    return f"Dropped: letters {_some(letters.drop(_meant(word)), word)}."


def _time(letter: HeldLetter) -> str:
    return "(can't be read)" if letter.since is None else write_time(letter.since)


def _some(count: int, word: str) -> int:
    if not count:
        what = "no letter" if word == _ALL else f"no letter {word}"
        raise failed(f"{what} is held: {_SHOW}")
    return count


def _meant(word: str) -> LetterId | None:
    """Give the number of the one that is meant; None if all are."""
    found = _WORD.fullmatch(word)
    return None if found is None or found[1] is None else LetterId(int(found[1]))
