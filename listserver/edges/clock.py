"""The only clock: everything else is given the time."""

from datetime import UTC, datetime


class SystemClock:
    """The machine's own clock: a `Clock` of listserver.ports."""

    def now(self) -> datetime:
        """Return this moment in UTC."""
        return datetime.now(UTC)
