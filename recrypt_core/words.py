"""Words of the documents, read in any case and written in one: `Active` is ACTIVE (spec §6)."""

from enum import Enum


class Word(Enum):
    """A word of a document, by its one spelling."""

    @classmethod
    def _missing_(cls, value: object) -> "Word | None":
        if not isinstance(value, str) or not value.isascii():
            return None
        return next((word for word in cls if word.value.lower() == value.lower()), None)
