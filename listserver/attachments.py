"""The JSON document that a mail to a list's desk brings along: as an attachment, or as its text."""

from typing import Final

from listserver import mime
from listserver.mime import Entity
from recrypt_core.encoding import read_json
from recrypt_core.errors import Malformed
from recrypt_core.limits import DOCUMENT_OCTETS
from recrypt_core.signing import Jws
from recrypt_core.wire import from_json

_TYPES: Final = frozenset({"application/json", "application/jose+json"})


def document_in(raw: bytes, message: Entity) -> Jws | None:
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


def _read(octets: bytes) -> Jws | None:
    try:
        return from_json(Jws, read_json(octets.strip(), limit=DOCUMENT_OCTETS))
    except Malformed:
        return None
