"""Texts by name, in a list's language, or in the operator's own words for it.

Why not gettext: a text here is a whole letter with a name, by which an operator replaces it, and a
translator finds it. The texts are constants of `english` and `german`: nothing is compiled, no file
can be missing when a letter is due, a text that is missing fails the build, and rules stay without
files. Another language is one more pair of rooms with the same names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Final

from listserver import english, english_pages, german, german_pages
from recrypt_core.chain import GroupState
from recrypt_core.errors import Malformed
from recrypt_core.policy import Language

BUILT_IN: Final[Mapping[Language, Mapping[str, str]]] = {
    Language.EN: {**english.TEXTS, **english_pages.TEXTS},
    Language.DE: {**german.TEXTS, **german_pages.TEXTS},
}
_OF_A_LIST: Final = frozenset({"list", "name"})  # its address and name, known in each of its texts
_NEEDED: Final = frozenset({"token", "page", "fingerprint", "copies", "members"})
_LINE: Final = 900  # of a letter: with room for what is filled in, RFC 5322 §2.1.1 allows 998
_ALONE: Final = "token"  # programs look for it as a line of its own


@dataclass(frozen=True, slots=True)
class Words:
    """What a letter says: a subject, and lines of text."""

    subject: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one list; of the service, where there is no address."""

    language: Language = Language.EN
    list_address: str = ""
    own: Mapping[str, str] = field(default_factory=dict)

    def say(self, text: str, **values: object) -> str:
        """Give a text with its values filled in.

        Raises:
            KeyError: there is no such text, or a value is missing.
        """
        found = self.own.get(text) or BUILT_IN[self.language][text]
        name = self.list_address.partition("@")[0]
        return found.format_map({"list": self.list_address, "name": name, **values})

    def letter(self, text: str, **values: object) -> Words:
        """Give one that begins with its subject."""
        subject, _, rest = self.say(text, **values).partition("\n")
        return Words(subject, tuple(rest.strip("\n").split("\n")))

    def lines(self, text: str, **values: object) -> tuple[str, ...]:
        """Give one as lines."""
        return tuple(self.say(text, **values).strip("\n").split("\n"))


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All texts: the built-in ones, and the operator's own, by the address of their list."""

    own: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def of_list(self, state: GroupState) -> Texts:
        """Choose a list's."""
        return Texts(state.policy.language, state.name, self.own.get(state.name.lower(), {}))


def placeholders(text: str) -> frozenset[str]:
    """Find what stands in braces.

    Raises:
        Malformed: a brace alone, or more than a name in them.
    """
    try:
        found = list(Formatter().parse(text))
    except ValueError as problem:
        raise Malformed(f"a brace that isn't one of a {{name}}: {problem}") from problem
    for _, name, form, conversion in found:
        if name is not None and (form or conversion or not name.isidentifier()):
            raise Malformed(f"{{{name}}} has more than a name in its braces")
    return frozenset(name for _, name, _, _ in found if name is not None)


def check_own(name: str, text: str) -> None:
    """Look over one of the operator's own texts.

    Raises:
        Malformed: with the line, if it is known.
    """
    source = BUILT_IN[Language.EN].get(name)
    if source is None:
        raise Malformed("there is no text of this name")
    known = placeholders(source) | _OF_A_LIST
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        _check_line(line, number, known)
    missing = (placeholders(source) & _NEEDED) - placeholders(text)
    if missing:
        raise Malformed(f"{{{min(missing)}}} is missing")
    alone = f"{{{_ALONE}}}"
    if alone in source and alone not in map(str.strip, lines):
        raise Malformed(f"{alone} must have a line of its own")
    if source.split("\n")[1:2] == [""] and (not lines[0].strip() or lines[1:2] != [""]):
        raise Malformed("line 1 must be the subject, and line 2 empty")


def _check_line(line: str, number: int, known: frozenset[str]) -> None:
    if not line.isprintable() or len(line.encode()) > _LINE:
        raise Malformed(f"line {number}: a control character, or over {_LINE} octets")
    try:
        unknown = placeholders(line) - known
    except Malformed as problem:
        raise Malformed(f"line {number}: {problem}") from problem
    if unknown:
        names = ", ".join(f"{{{each}}}" for each in sorted(known))
        raise Malformed(f"line {number}: {{{min(unknown)}}} isn't known here: {names} are")
