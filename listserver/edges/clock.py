"""The only clock: everything else is given the time."""

import time
from datetime import UTC, datetime, timedelta


class SystemClock:
    """The machine's own clock: a `Clock` of listserver.ports."""

    def now(self) -> datetime:
        """Return this moment in UTC."""
        return datetime.now(UTC)

    def steady(self) -> timedelta:
        """Return the time since some beginning; it doesn't jump."""
        return timedelta(seconds=time.monotonic())
