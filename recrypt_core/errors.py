"""The errors of the core: one for each thing that a caller can do about it."""

from enum import Enum


class Why(Enum):
    """Why a well-made and authentic request is refused."""

    FORBIDDEN = "not allowed"
    CONFLICT = "conflict"
    UNKNOWN = "unknown"
    QUOTA = "over a quota"
    STOPPED = "not now"


class RecryptError(Exception):
    """Parent of all errors of the core; never raised itself."""


class Malformed(RecryptError):
    """Breaks a format. Refuse it: 400 over HTTP, 5xx over SMTP."""


class TooLarge(Malformed):
    """Over a limit of a format. As Malformed, but 413 over HTTP (spec §6)."""


class Recrypted(Malformed):
    """An envelope that holds a recryption where a new post belongs: 550 5.4.6 (spec §7)."""


class NotAuthentic(RecryptError):
    """A signature or an integrity check failed. Refuse, and say no more."""


class NotForThisKey(RecryptError):
    """Well made, but no key here fits. Try another key, or ask the service."""


class Refused(RecryptError):
    """Authentic, but not to be done: without the right, out of order, or of what isn't there."""

    def __init__(self, why: Why, message: str) -> None:
        super().__init__(message)
        self.why = why
