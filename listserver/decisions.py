"""The signed decisions that a mail holds, each as a line of its own text (spec §7)."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from listserver import mime
from listserver.limits import MAIL_DECISIONS
from listserver.mime import Entity, Unreadable

_SIGNED: Final = re.compile(rb"^([\w-]{20,512}\.[\w-]{20,512}\.[\w-]{20,512})[ \t]*\r?$", re.M)


def signed_in(raw: bytes) -> list[str]:
    """Find what looks like a `recrypt-decide` in a mail's text, however that is encoded.

    Nothing of it is believed. A mail that can't be read holds what was found before its fault.
    """
    return list(islice(_found(raw), MAIL_DECISIONS))


def _found(raw: bytes) -> Iterator[str]:
    try:
        for leaf in mime.leaves(raw, mime.read_message(raw)):
            if leaf.is_part and leaf.media_type == "text/plain":
                for each in _SIGNED.finditer(_text(raw, leaf)):
                    yield each[1].decode("ascii")
    except Unreadable:
        return


def _text(raw: bytes, leaf: Entity) -> bytes:
    """Undo the transfer encoding; a text that isn't in the one it names is taken as it stands."""
    try:
        return mime.decoded(raw, leaf)
    except Unreadable:
        return raw[leaf.body.start : leaf.body.end]
