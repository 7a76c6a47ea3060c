"""The JSON document that a mail to a list's desk brings along: as an attachment, or as its text."""

from dataclasses import dataclass, field
from typing import Final

from listserver import mime
from listserver.mime import Entity
from recrypt_core.encoding import JsonObject, read_b64url, read_json, read_text
from recrypt_core.errors import Malformed
from recrypt_core.limits import DOCUMENT_OCTETS
from recrypt_core.signing import Jws
from recrypt_core.wire import from_json

_INVITATION: Final = "invitation"
_PROOF_OCTETS: Final = 32  # of SHA-256
_TYPES: Final = frozenset({"application/json", "application/jose+json"})


@dataclass(frozen=True, slots=True)
class Brought:
    """A signed document; and the proof of an invitation, if one stands beside it (spec §7)."""

    document: Jws
    invitation: str | None = field(default=None, repr=False)


def document_in(raw: bytes, message: Entity) -> Brought | None:
    """Find the first signed document in a mail; nothing in it is believed. None if there is none.

    Raises:
        Unreadable: if the MIME is broken, or over the limits of `mime`.
    """
    for leaf in mime.leaves(raw, message):
        if leaf.is_part and _may_hold(leaf) and leaf.size <= 2 * DOCUMENT_OCTETS:
            found = _read(mime.decoded(raw, leaf))
            if found is not None:
                return found
    return None


def _may_hold(leaf: Entity) -> bool:
    """Look at the type, or at how the name ends; mail programs don't agree on a type for files."""
    if leaf.media_type in _TYPES or leaf.media_type == "text/plain":
        return True
    names = (
        mime.parameter(leaf, "content-disposition", "filename"),
        mime.parameter(leaf, "content-type", "name"),
    )
    return any(name is not None and name.lower().endswith(".json") for name in names)


def _read(octets: bytes) -> Brought | None:
    try:
        value = read_json(octets.strip(), limit=DOCUMENT_OCTETS)
        document = {name: each for name, each in value.items() if name != _INVITATION}
        proof = _read_proof(value) if _INVITATION in value else None
        return Brought(from_json(Jws, document), proof)
    except Malformed:
        return None


def _read_proof(value: JsonObject) -> str:
    proof = read_text(value, _INVITATION, what="a document")
    if len(read_b64url(proof)) != _PROOF_OCTETS:
        raise Malformed("an invitation that isn't one")
    return proof
