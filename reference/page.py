"""The messages as a page to read: who may, members with types and meaning, an example each."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from recrypt_core.encoding import JsonObject, JsonValue, read_object
from recrypt_core.wire import to_json
from reference.cast import Cast
from reference.examples import examples
from reference.openapi import REFUSALS, UNSIGNED
from reference.schemas import REF, REQUESTS, response_of, schemas

_SHOWN_LETTERS: Final = 50  # of a text in an example
_CUT_LETTERS: Final = 12  # what is left of a longer one
_LINE_LETTERS: Final = 110  # of what is shown on one line
_STATED: Final = {"Status", "StatusDescription"}  # in every response
Schemas: TypeAlias = Mapping[str, JsonObject]

_ROW = re.compile(r"^\| (.+?) \| (.+?) \| (.+?) \|$", re.M)
_INTRODUCTION: Final = """\
# The messages of the service

Made of the code and of [spec.md](spec.md) by `make reference`: change those, not this page. §n is a
section of the spec, which decides. [openapi.json](openapi.json) says the same to programs.

A request is POSTed to `/.well-known/recrypt` as one JSON object with one member:
`{"XRequest": {…}}`, X being the transaction, or `{"X": {…}}`. An answer is `{"XResponse": {…}}`, or
`{"RecryptResponse": {…}}` to what isn't understood; each has a Status and a StatusDescription, of
which more isn't said here. Signed requests are the payload of a JWS (spec §5). Members that aren't
known are passed over; words are read in any case. Long texts are cut here: `…`.
"""


def page(cast: Cast, spec: str) -> str:
    """Write the page; `spec` is docs/spec.md, whose tables say who may and what is done."""
    made, shown = schemas(), examples(cast)
    parts = [_INTRODUCTION, _overview(spec), _statuses()]
    for kind in REQUESTS:
        name, response = kind.transaction, response_of(kind).__name__
        example = shown[name]
        parts += [
            f"## {name}\n\n{_prose(made[name])}\n",
            _said_of(name, spec),
            _members(made[name], made, title=f"{name}Request"),
            _shown({f"{name}Request": to_json(example.request)}),
            _members(made[response], made, title=f"{name}Response"),
            _shown({f"{name}Response": to_json(example.response)}),
        ]
    return "\n".join([*parts, "# What they are made of\n", *_types(made)])


def _overview(spec: str) -> str:
    rows = ["| transaction | signed | who may |", "| --- | --- | --- |"]
    for kind in REQUESTS:
        name, signed = kind.transaction, "no" if kind in UNSIGNED else "yes"
        rows.append(f"| [{name}](#{name.lower()}) | {signed} | {rules(name, spec)[0]} |")
    return "\n".join([*rows, ""])


def _statuses() -> str:
    rows = [
        f"| {status} | {words} | `{beginning.replace('|', '`, `')}` |"
        for status, (beginning, words) in REFUSALS.items()
    ]
    head = ["| Status | when | StatusDescription begins |", "| --- | --- | --- |"]
    done = "| 201 | Done; also for what is only read. | with what came of it |"
    return "\n".join([*head, done, *rows, ""])


def _said_of(name: str, spec: str) -> str:
    who, does = rules(name, spec)
    asked, answered = _stated(name, spec)
    return f"* Who: {who}\n* Does: {does}\n* The spec's members: {asked} → {answered}\n"


def rules(name: str, spec: str) -> tuple[str, str]:
    """Give who may do a transaction and what it does: the spec's words (spec §6)."""
    first, _ = _tables(spec)
    return _row_of(name, first) or _row_of(_partner(name, spec), first) or ("", "")


def _stated(name: str, spec: str) -> tuple[str, str]:
    """Give the spec's words about a transaction's members, of request and response."""
    _, second = _tables(spec)
    return _row_of(name, second) or ("", "")


def _partner(name: str, spec: str) -> str:
    """Give the transaction whose rules stand for this one's too: it shares its row of members."""
    _, second = _tables(spec)
    return next((_names(head)[0] for head, _, _ in second if name in _names(head)), name)


def _row_of(name: str, table: list[tuple[str, str, str]]) -> tuple[str, str] | None:
    return next((row[1:] for row in table if name in _names(row[0])), None)


def _names(head: str) -> list[str]:
    """Give the transactions that a row is about: the words before, after and between braces."""
    return re.findall(r"[A-Za-z]+", re.sub(r"\{.*?\}|\(.*?\)", "", head))


def _tables(spec: str) -> tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]]:
    """Find the two tables of transactions: what they do, and their members."""
    _, _, after = spec.partition("\n| transaction | who | does |\n")
    rules, _, members = after.partition("\n| transaction | request | response |\n")
    members, _, _ = members.partition("\n\n")
    return _rows(rules), _rows(members)


def _rows(text: str) -> list[tuple[str, str, str]]:
    return [(found[1], found[2], found[3]) for found in _ROW.finditer(text)]


def _types(made: Schemas) -> Iterator[str]:
    """Write of all that is neither a request nor a response."""
    told = {kind.__name__ for each in REQUESTS for kind in (each, response_of(each))} | {"Response"}
    for name, schema in made.items():
        if name not in told:
            form = (
                _members(schema, made) if "properties" in schema else f"It is {_words(schema)}.\n"
            )
            yield f"## {name}\n\n{_prose(schema)}\n\n{form}"


def _members(schema: JsonObject, made: Schemas, *, title: str = "") -> str:
    """Write a table of members; a response's Status is told once for all."""
    required, rows = schema.get("required"), []
    for name, stated in read_object(schema.get("properties", {}), what="a schema").items():
        form = read_object(stated, what=name)
        if title and name in _STATED:
            continue
        never = isinstance(required, list) and name in required
        absent = "never" if never else _default(form)
        rows.append(f"| {name} | {_words(form)} | {absent} | {_meaning(form, made)} |")
    if not rows:
        return f"**{title}**: no members.\n"
    above = [f"**{title}**\n"] if title else []
    head = ["| member | is | if absent | meaning |", "| --- | --- | --- | --- |"]
    return "\n".join([*above, *head, *rows, ""])


def _default(form: JsonObject) -> str:
    default = form.get("default")
    return "nothing" if default in (None, [], "") else f"`{json.dumps(default)}`"


def _meaning(form: JsonObject, made: Schemas) -> str:
    """Give what is said of a member itself, else of its type."""
    match form:
        case {"description": str()}:
            return _prose(form)
        case {"$ref": str(ref)}:
            return _prose(made[ref.removeprefix(REF)])
        case {"items": dict(inner)} | {"anyOf": [dict(inner), *_]}:
            return _meaning(inner, made)
        case _:
            return ""


def _prose(schema: JsonObject) -> str:
    words = schema.get("description", "")
    return " ".join(words.split()) if isinstance(words, str) else ""


def _words(form: JsonObject) -> str:
    """Say what a value is."""
    match form:
        case {"$ref": str(ref)}:
            name = ref.removeprefix(REF)
            return f"[{name}](#{name.lower()})"
        case {"anyOf": [dict(first), {"type": "null"}]}:
            return f"{_words(first)}, or null"
        case {"type": "array", "items": dict(items)}:
            return f"list of {_words(items)}{_bounds(form, 'Items')}"
        case {"enum": list(words)}:
            return "one of " + ", ".join(f"`{word}`" for word in words)
        case {"const": str(word)}:
            return f"`{word}`"
        case _:
            return _plain_words(form)


def _plain_words(form: JsonObject) -> str:
    match form:
        case {"type": "integer"}:
            return f"whole number{_range(form)}"
        case {"type": "string", "pattern": str(pattern)}:
            return f"text: `{pattern}`"
        case {"type": "string"}:
            bounds = _bounds(form, "Length")
            return f"text{bounds} letters" if bounds else "text"
        case {"type": "boolean"}:
            return "true or false"
        case _:
            return "object"


def _bounds(form: JsonObject, of: str) -> str:
    least, most = form.get(f"min{of}"), form.get(f"max{of}")
    if least is None and most is None:
        return ""
    if most is None:
        return f", {least} or more"
    return f", at most {most}" if least is None else f", {least} to {most}"


def _range(form: JsonObject) -> str:
    least, most, below = (form.get(name) for name in ("minimum", "maximum", "exclusiveMaximum"))
    if isinstance(below, int):
        power = below.bit_length() - 1
        most = f"below 2^{power}" if below == 2**power else f"below {below}"
        return f", {least} or more, {most}"
    return "" if least is None else f", {least} to {most}"


def _shown(message: JsonObject) -> str:
    return f"```json\n{_lines(_cut(message), '')}\n```\n"


def _lines(value: JsonValue, indent: str) -> str:
    """Write JSON: on one line what fits on one."""
    line = json.dumps(value, ensure_ascii=False)
    deeper = f"{indent}  "
    if len(indent) + len(line) <= _LINE_LETTERS:
        return line
    if isinstance(value, dict):
        parts = [f"{json.dumps(name)}: {_lines(part, deeper)}" for name, part in value.items()]
        return "{\n" + ",\n".join(deeper + part for part in parts) + f"\n{indent}}}"
    if isinstance(value, list):
        parts = [_lines(part, deeper) for part in value]
        return "[\n" + ",\n".join(deeper + part for part in parts) + f"\n{indent}]"
    return line


def _cut(value: JsonValue) -> JsonValue:
    """Cut long texts."""
    if isinstance(value, dict):
        return {name: _cut(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_cut(part) for part in value]
    if isinstance(value, str) and len(value) > _SHOWN_LETTERS:
        return value[:_CUT_LETTERS] + "…"
    return value
