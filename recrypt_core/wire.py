"""Typed documents on the wire: msgspec structs with the drafts' names, read from strict JSON."""

from datetime import datetime, timedelta
from typing import Annotated, Final, TypeVar, get_args

import msgspec

from recrypt_core.encoding import JsonObject, JsonValue, read_object, read_text, read_time
from recrypt_core.envelope import Envelope, envelope_from_json
from recrypt_core.errors import Malformed
from recrypt_core.keys import PublicKey
from recrypt_core.signature_keys import SignaturePublicKey
from recrypt_core.udf import Udf

T = TypeVar("T")

_PROBLEM_LETTERS: Final = 200  # of a message, which may quote an unknown word

UdfText = Annotated[Udf, msgspec.Meta(pattern=r"\AM[A-Z2-7]{4}(-[A-Z2-7]{5}){5}\Z")]
"""A fingerprint in exactly the wire's form (spec §2)."""

Hash = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{43}\Z")]
"""A SHA-256 digest in base64url."""

Seconds = Annotated[int, msgspec.Meta(ge=0, lt=2**37)]
"""A time in seconds since 1970, as `iat` is; the bound is in the year 6325."""

_NULLS: Final = frozenset({"Previous", "Next", "hash"})
"""The members that are written as null where there is nothing (spec §4, §6)."""


def pascal(name: str) -> str:
    """Give the drafts' spelling of a field: `group_key_id` is GroupKeyID."""
    return "".join(
        part.upper() if part in ("udf", "id") else part.capitalize() for part in name.split("_")
    )


class Document(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False, rename=pascal):
    """A JSON object with PascalCase members; members that aren't known are passed over."""


class EphemeralKey(PublicKey):
    """An `epk`: its JWK has no `kid`."""

    __slots__ = ()


class SealedKey:
    """A JWE in a document, whose plaintext is a private JWK (spec §4)."""

    __slots__ = ("envelope",)

    def __init__(self, envelope: Envelope) -> None:
        self.envelope = envelope

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SealedKey):
            return NotImplemented
        return self.envelope == other.envelope

    __hash__ = None  # type: ignore[assignment]  # holds JSON objects


def from_json(kind: type[T], value: JsonObject) -> T:
    """Make a document of JSON that was read strictly.

    Raises:
        Malformed: naming the member that is missing or of another type.
    """
    try:
        # As a builtin type, a datetime isn't made of text, of which msgspec reads more forms.
        return msgspec.convert(
            _with_times(kind, value), kind, builtin_types=(datetime,), dec_hook=_read
        )
    except msgspec.ValidationError as problem:
        raise Malformed(str(problem)[:_PROBLEM_LETTERS]) from None


def _with_times(kind: object, value: JsonObject) -> dict[str, object]:
    """Read the members that are times, also in a list of objects: fields of datetime, or none."""
    found: dict[str, object] = {**value}
    for name, field in _fields_of(kind):
        is_there = datetime in get_args(field) and value.get(name) is not None
        if is_there or (field is datetime and name in value):
            found[name] = read_time(read_text(value, name, what="a document"))
        listed, inner = value.get(name), next(iter(get_args(field)), None)
        if isinstance(listed, list) and any(each is datetime for _, each in _fields_of(inner)):
            found[name] = [
                _with_times(inner, each) if isinstance(each, dict) else each for each in listed
            ]
    return found


def _fields_of(kind: object) -> list[tuple[str, object]]:
    """Give the wire's names of a struct's fields, and their types as they are written."""
    types = getattr(kind, "__annotations__", {})
    names = zip(
        getattr(kind, "__struct_fields__", ()),
        getattr(kind, "__struct_encode_fields__", ()),
        strict=True,
    )
    return [(name, types.get(field)) for field, name in names]


def check_utc(moment: datetime) -> None:
    """Refuse, as msgspec wants it, a time that isn't UTC."""
    if moment.utcoffset() != timedelta(0):
        raise ValueError("a time that is not in UTC")


def to_json(document: Document) -> JsonObject:
    """Give a document as JSON, without the members that it leaves out."""
    return read_object(
        _without_nulls(msgspec.to_builtins(document, enc_hook=_write)), what="a document"
    )


def _without_nulls(value: "JsonValue | tuple[JsonValue, ...]") -> JsonValue:
    if isinstance(value, list | tuple):
        return [_without_nulls(each) for each in value]
    if isinstance(value, dict):
        kept = ((name, part) for name, part in value.items() if part is not None or name in _NULLS)
        return {name: _without_nulls(part) for name, part in kept}
    return value


def _read(kind: type[object], value: JsonObject) -> object:
    if not isinstance(value, dict):
        raise Malformed("a key that is not a JSON object")
    if kind is EphemeralKey:
        return EphemeralKey.from_jwk(value)
    if kind is PublicKey:
        return PublicKey.from_named_jwk(value)
    if kind is SignaturePublicKey:
        return SignaturePublicKey.from_named_jwk(value)
    if kind is SealedKey:
        return SealedKey(envelope_from_json(value))
    raise NotImplementedError(kind)


def _write(value: object) -> JsonObject:
    match value:
        case EphemeralKey():
            return value.jwk()
        case PublicKey() | SignaturePublicKey():
            return value.named_jwk()
        case SealedKey():
            return value.envelope.json()
    raise NotImplementedError(type(value))
