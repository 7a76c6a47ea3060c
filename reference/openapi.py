"""The service as an OpenAPI document: one path, two Content-Types, every message (spec §5, §6)."""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from listserver.edges.service import PATH, PLAIN, SIGNED
from recrypt_core import messages
from recrypt_core.encoding import JsonObject, JsonValue
from recrypt_core.messages import ConfirmJoin, GetKey, Hello, Request
from recrypt_core.wire import to_json
from reference.cast import Cast
from reference.examples import Example, examples, signed_body
from reference.schemas import REF, REQUESTS, response_of, schemas

UNSIGNED: Final[tuple[type[Request], ...]] = (Hello, GetKey, ConfirmJoin)
"""What goes as it is; all else is signed (spec §5)."""

REFUSALS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("Malformed", "It breaks the format, or asks for what isn't offered."),
    401: ("Not authentic", "The signature is bad, stale, replayed, or of a key unknown here."),
    403: ("Refused", "Who signed it may not do that."),
    404: ("Refused", "There is no such thing, or none that the signer may know of."),
    405: ("Refused", "It is no POST."),
    408: ("Refused", "The body didn't come in time."),
    409: ("Refused", "It doesn't fit the state: another change came first, say."),
    413: ("Too large|Refused", "It is over a limit: send it in several."),
    415: ("Refused", f"It is neither {PLAIN} nor {SIGNED}."),
    429: ("Refused", "It is over a quota."),
    503: (
        "Refused|Trouble here|The server's disk is nearly full",
        "Not now: send the same again later.",
    ),
}
"""How the words of a refusal begin, and what it means, by its Status (spec §6)."""

_PROJECT: Final = Path(__file__).parent.parent / "pyproject.toml"
_DESCRIPTION: Final = """\
Every request is one JSON object with one member: `{"XRequest": {…}}`, where X is the transaction,
or `{"X": {…}}`. Every answer is `{"XResponse": {"Status": n, "StatusDescription": …}}`, and n is
the HTTP status too; what isn't understood is answered as `RecryptResponse`. Hello, GetKey and
ConfirmJoin go as `application/json`, of 4 KiB at most. All else is signed: the same JSON is the
payload of a flattened JWS, sent as `application/jose+json`. Members that aren't known are passed
over, words are read in any case, and JSON with duplicate members or with numbers that are not
integers is refused. What the members mean is in messages.md and spec.md beside this document.
"""


def document(cast: Cast) -> JsonObject:
    """Give the OpenAPI 3.1 document."""
    project = tomllib.loads(_PROJECT.read_text("utf-8"))["project"]
    shown = examples(cast)
    operation: JsonObject = {
        "operationId": "recrypt",
        "summary": "One transaction of the recrypt service",
        "requestBody": {"required": True, "content": _bodies(cast, shown)},
        "responses": _responses(shown),
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "The recrypt service",
            "version": project["version"],
            "description": _DESCRIPTION,
            "license": {"name": project["license"], "identifier": project["license"]},
        },
        "servers": [{"url": "https://lists.example"}],
        "paths": {PATH: {"post": operation}},
        "components": {"schemas": {**schemas(), **_wrappers()}},
    }


def _bodies(cast: Cast, shown: Mapping[str, Example]) -> JsonObject:
    plain: JsonObject = {
        kind.transaction: {"value": _wrapped(shown[kind.transaction].request)} for kind in UNSIGNED
    }
    return {
        PLAIN: {"schema": _one_of(f"{kind.transaction}Message" for kind in UNSIGNED),
                "examples": plain},
        SIGNED: {"schema": {"$ref": f"{REF}SignedRequest"},
                 "examples": {"AddMember": {"value": signed_body(cast)}}},
    }  # fmt: skip


def _responses(shown: Mapping[str, Example]) -> JsonObject:
    done: JsonObject = {
        name: {"value": {f"{name}Response": to_json(example.response)}}
        for name, example in shown.items()
    }
    found: JsonObject = {
        "201": {
            "description": "Done; also for what is only read.",
            "content": {
                PLAIN: {
                    "schema": _one_of(f"{kind.transaction}Answer" for kind in REQUESTS),
                    "examples": done,
                }
            },
        }
    }
    for status, (_, words) in REFUSALS.items():
        schema: JsonObject = {"$ref": f"{REF}Refusal{status}"}
        found[str(status)] = {"description": words, "content": {PLAIN: {"schema": schema}}}
    return found


def _wrappers() -> dict[str, JsonObject]:
    """Give the schemas of whole bodies: under the name of a message, in a JWS, of a refusal."""
    found: dict[str, JsonObject] = {}
    for kind in REQUESTS:
        name = kind.transaction
        members: JsonObject = {"$ref": REF + kind.__name__}
        found[f"{name}Message"] = {
            "oneOf": [_alone(f"{name}Request", members), _alone(name, members)]
        }
        done: JsonObject = {"$ref": REF + response_of(kind).__name__}
        answered: JsonObject = {"allOf": [done, {"properties": {"Status": {"const": 201}}}]}
        found[f"{name}Answer"] = _alone(f"{name}Response", answered)
    for status, (beginning, _) in REFUSALS.items():
        found[f"Refusal{status}"] = _refusal(status, beginning)
    signed = [f"{kind.transaction}Message" for kind in REQUESTS if kind not in UNSIGNED]
    return found | {"SignedRequest": _signed(_one_of(signed)), "RequestHeader": _header()}


def _alone(name: str, schema: JsonObject) -> JsonObject:
    return {
        "type": "object",
        "properties": {name: schema},
        "required": [name],
        "additionalProperties": False,
    }


def _refusal(status: int, beginning: str) -> JsonObject:
    """Give the form of a refusal: its words say what is wrong, or what to do next."""
    stated: JsonObject = {
        "type": "object",
        "properties": {
            "Status": {"const": status},
            "StatusDescription": {"type": "string", "pattern": rf"^({beginning})[:;] .+\.$"},
        },
        "required": ["Status", "StatusDescription"],
        "additionalProperties": False,
    }
    names: JsonObject = {f"^({'|'.join(_names())})Response$": stated}
    return {
        "type": "object",
        "patternProperties": names,
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
    }


def _names() -> list[str]:
    return [messages.ANY, *(kind.transaction for kind in REQUESTS)]


def _signed(payload: JsonObject) -> JsonObject:
    """Give the form of a signed request's body: a flattened JWS, and halves beside it (spec §5)."""
    encoded: JsonObject = {"type": "string", "contentEncoding": "base64url"}
    octets: JsonObject = {**encoded, "contentMediaType": PLAIN}
    return {
        "type": "object",
        "description": "A flattened JWS of kind recrypt-request. A change has the private keys r "
        "of its new entries beside it, by MemberKeyUDF; they are no part of the history.",
        "properties": {
            "protected": {**octets, "contentSchema": {"$ref": f"{REF}RequestHeader"}},
            "payload": {**octets, "contentSchema": payload},
            "signature": encoded,
            "halves": {"type": "object", "additionalProperties": {"type": "object"}},
        },
        "required": ["protected", "payload", "signature"],
        "additionalProperties": False,
    }


def _header() -> JsonObject:
    """Give the form of a signed request's protected header (spec §5)."""
    udf: JsonObject = {"$ref": f"{REF}UdfText"}
    whole: JsonObject = {"type": "integer", "minimum": 0}
    members: JsonObject = {
        "alg": {"const": "EdDSA"},
        "kid": {**udf, "description": "The key that signed it."},
        "typ": {"const": "recrypt-request"},
        "url": {"type": "string", "description": "The service, as the client was configured."},
        "iat": {**whole, "description": "When it was signed; 300 seconds off at most."},
        "nonce": {"type": "string", "description": "16 octets, never used before, in base64url."},
        "group": {**udf, "description": "Of a change: the group's Identifier."},
        "seq": {**whole, "minimum": 1, "description": "Of a change: its number in the chain."},
        "prev": {
            "anyOf": [{"$ref": f"{REF}Hash"}, {"type": "null"}],
            "description": "Of a change: the hash of the one before it; null for the first.",
        },
    }
    required: list[JsonValue] = ["alg", "kid", "typ", "url", "iat", "nonce"]
    return {
        "type": "object",
        "properties": members,
        "required": required,
        "dependentRequired": {name: ["group", "seq", "prev"] for name in ("group", "seq", "prev")},
        "additionalProperties": False,
    }


def _wrapped(message: Request) -> JsonObject:
    return {f"{message.transaction}Request": to_json(message)}


def _one_of(names: Iterable[str]) -> JsonObject:
    return {"oneOf": [{"$ref": REF + name} for name in names]}
