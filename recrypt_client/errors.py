"""The client's error: words for a person, and the one place where the core's become such words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from recrypt_core.errors import (
    Malformed,
    NotAuthentic,
    NotForThisKey,
    RecryptError,
    Refused,
    Why,
)

_PASSING: Final = frozenset({408, 409, 429, 500, 502, 503, 504})  # refusals that may be over soon


class Trouble(Exception):
    """What a person has to know: what is wrong and where, and what to do next (spec §11)."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(f"{what}. {hint}")
        self.what = what
        self.hint = hint


class Passing(Trouble):
    """What may be over soon: a service that can't be reached, a home where another is at work."""


class ServiceRefused(Trouble):
    """The service said no, with a status of spec §6."""

    def __init__(self, status: int, what: str, hint: str) -> None:
        super().__init__(what, hint)
        self.status = status


def is_passing(trouble: Trouble) -> bool:
    """Tell whether something may be over soon, so that a program may try again by itself."""
    return isinstance(trouble, Passing) or (
        isinstance(trouble, ServiceRefused) and trouble.status in _PASSING
    )


@contextmanager
def about(where: str) -> Iterator[None]:
    """Put the core's errors into words; `where` names the file, group or service concerned.

    Raises:
        Trouble: for every error of the core.
    """
    try:
        yield
    except RecryptError as problem:
        raise Trouble(f"{where}: {problem}", _hint(problem)) from problem


def _hint(problem: RecryptError) -> str:
    match problem:
        case Malformed():
            return "It breaks the format: get it anew from where it came"
        case NotAuthentic():
            return "Don't use it: it was changed or forged. Ask where it came from by another way"
        case NotForThisKey():
            return "It was made for other keys: is this the right home? Choose one with --home"
        case Refused(why=Why.FORBIDDEN):
            return "Ask an administrator who has the right"
        case Refused(why=Why.UNKNOWN):
            return "Look it up with recrypt members"
        case _:
            return "See where the group stands with recrypt members and recrypt history"
