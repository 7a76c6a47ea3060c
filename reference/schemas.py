"""JSON schemas of the messages and documents, made of their types; words from their docstrings."""

import ast
import inspect
from collections.abc import Iterator, Mapping, Set
from datetime import datetime
from itertools import pairwise
from typing import Final, get_args

import msgspec

from recrypt_core import (
    agreement,
    documents,
    invitations,
    messages,
    moderation,
    policy,
    records,
    signing,
    wire,
    wishes,
)
from recrypt_core.encoding import JsonObject, JsonValue, read_object
from recrypt_core.keys import PublicKey
from recrypt_core.messages import ChangeResponse, Request, Response
from recrypt_core.signature_keys import SignaturePublicKey

REF: Final = "#/components/schemas/"
REQUESTS: Final[tuple[type[Request], ...]] = get_args(Request)

# What the payload of a Jws is: of a profile, a group's key, a recrypt-create, a recrypt-join.
SIGNED: Final = (
    documents.Profile,
    documents.GroupKey,
    documents.CreateAuthorization,
    documents.JoinAnswer,
)
_ROOMS: Final = (
    messages, documents, policy, records, wishes, moderation, invitations, agreement, wire, signing,
)  # fmt: skip

# Names for texts of a form, by which their schema is known where they stand.
_FORMS: Final[Mapping[str, object]] = {
    "Account": documents.Account,
    "GroupId": records.GroupId,
    "UdfText": wire.UdfText,
    "Hash": wire.Hash,
    "B64url": records.B64url,
}
_CURVES: Final[list[JsonValue]] = ["X25519", "X448", "P-256"]
_OCTETS: Final[JsonObject] = {"type": "string", "pattern": "^[A-Za-z0-9_-]*$"}
_EPHEMERAL: Final[JsonObject] = {
    "kty": {"enum": ["OKP", "EC"]},
    "crv": {"enum": _CURVES},
    "x": _OCTETS,
    "y": {**_OCTETS, "description": "Of P-256 alone."},
}
_SIGNATURE: Final[JsonObject] = {
    "kty": {"const": "OKP"},
    "crv": {"enum": ["Ed25519", "Ed448"]},
    "x": _OCTETS,
}
_JWE: Final[JsonObject] = {
    "protected": _OCTETS,
    "recipients": {"type": "array", "items": {"type": "object"}, "minItems": 1},
    "iv": _OCTETS,
    "ciphertext": _OCTETS,
    "tag": _OCTETS,
}
_KID: Final[JsonObject] = {"kid": {"$ref": f"{REF}UdfText"}}
_CUSTOM: Final = (PublicKey, wire.EphemeralKey, SignaturePublicKey, wire.SealedKey)


def response_of(request: type[Request]) -> type[Response]:
    """Give the kind of the response to a kind of request, when it is done."""
    if issubclass(request, messages.Change):
        return ChangeResponse
    named = getattr(messages, f"{request.transaction}Response", Response)
    return named if isinstance(named, type) and issubclass(named, Response) else Response


def schemas() -> dict[str, JsonObject]:
    """Give the schema of each message and document and of what they are made of, by name."""
    responses: list[type[Response]] = [Response, *map(response_of, REQUESTS)]
    _, made = msgspec.json.schema_components(
        (*REQUESTS, *responses, *SIGNED), schema_hook=_custom, ref_template=REF + "{name}"
    )
    words = read_words()
    found = {name: _struct(name, read_object(made[name], what=name), words) for name in made}
    for name, form in _FORMS.items():
        found[name] = _ecmascript(msgspec.json.schema(form)) | {"description": words[name, ""]}
    for kind in responses:
        required = found[kind.__name__]["required"]
        stated: list[JsonValue] = ["Status", "StatusDescription"]
        if isinstance(required, list):
            found[kind.__name__]["required"] = stated + [
                each for each in required if each not in stated
            ]
    return dict(sorted((found | _by_hand()).items()))


def read_words() -> dict[tuple[str, str], str]:
    """Read the docstrings of types and of names for them, and of their fields, by (type, field)."""
    found: dict[tuple[str, str], str] = {}
    for room in _ROOMS:
        body = ast.parse(inspect.getsource(room)).body
        found |= {(name, ""): words for name, words in _words_below(body)}
        for statement in body:
            if isinstance(statement, ast.ClassDef):
                found[statement.name, ""] = ast.get_docstring(statement) or ""
                fields = _words_below(statement.body)
                found |= {(statement.name, name): words for name, words in fields}
    return found


def _words_below(statements: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Give the names that are assigned to with a text below it, and that text."""
    for above, below in pairwise(statements):
        match above, below:
            case (
                ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(words))),
            ):
                yield name, inspect.cleandoc(words)
            case _:
                continue


def _struct(name: str, schema: JsonObject, words: Mapping[tuple[str, str], str]) -> JsonObject:
    """Name the forms in a schema, and write what docstrings say of it and its members."""
    schema["description"] = words[name, ""]
    members = schema.get("properties")
    if not isinstance(members, dict):
        return schema
    kind = next(getattr(room, name) for room in _ROOMS if hasattr(room, name))
    for field in msgspec.structs.fields(kind):
        member = field.encode_name
        found = read_object(_with_forms(members[member]), what=member)
        if field.type is datetime:
            found = {"$ref": f"{REF}Time"}
        if field.type == datetime | None:
            found = {"anyOf": [{"$ref": f"{REF}Time"}, {"type": "null"}], "default": None}
        if said := words.get((name, field.name)):
            found["description"] = said
        members[member] = found
    return schema


def _with_forms(value: JsonValue) -> JsonValue:
    """Put a name in place of each form that has one."""
    if isinstance(value, list):
        return [_with_forms(each) for each in value]
    if not isinstance(value, dict):
        return value
    for name, form in _FORMS.items():
        plain = msgspec.json.schema(form)
        if plain.items() <= value.items():
            rest = {key: part for key, part in value.items() if key not in plain}
            return {"$ref": f"{REF}{name}"} | rest
    return _ecmascript({key: _with_forms(part) for key, part in value.items()})


def _ecmascript(schema: JsonObject) -> JsonObject:
    """Write a pattern with the anchors that JSON schemas have."""
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        return {**schema, "pattern": pattern.replace(r"\A", "^").replace(r"\Z", "$")}
    return schema


def _custom(kind: type[object]) -> JsonObject:
    if kind in _CUSTOM:
        return {"$ref": f"{REF}{kind.__name__}"}
    raise NotImplementedError(kind)


def _by_hand() -> dict[str, JsonObject]:
    """Give the schemas of what is no struct."""
    return {
        "Time": {
            "type": "string",
            "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$",
            "description": "An RFC 3339 time in UTC, whose zone is written Z.",
        },
        "PublicKey": _object(_EPHEMERAL | _KID, "An agreement key: a public JWK.", less={"y"}),
        "EphemeralKey": _object(_EPHEMERAL, "An `epk`: a public JWK without kid.", less={"y"}),
        "SignaturePublicKey": _object(_SIGNATURE | _KID, "A signature key: a public JWK."),
        "SealedKey": _object(
            _JWE,
            "A JWE in JSON: of a private key or of a partial. Flattened, it has one recipient's "
            "`header` and `encrypted_key` in place of `recipients`.",
            less={"recipients"},
        ),
    }


def _object(members: JsonObject, words: str, *, less: Set[str] = frozenset()) -> JsonObject:
    required: list[JsonValue] = [name for name in members if name not in less]
    return {
        "type": "object",
        "description": words,
        "properties": members,
        "required": required,
    }
