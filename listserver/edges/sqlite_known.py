"""What was read of sealed rows, kept beside them: to open, parse and verify takes far longer."""

from typing import Final, Generic, TypeVar

T = TypeVar("T")

_OCTETS: Final = 2**20  # ours: of rows; what is read of them takes some times as much memory


class Known(Generic[T]):
    """Values by the names of their rows, each good while its row is the same."""

    def __init__(self, octets: int = _OCTETS, *, first_stay: bool = False) -> None:
        """Keep what is read of rows of so many octets in all.

        first_stay: where there is no room, what came first is kept and not the latest, as is good
            for what is read again and again in one order.
        """
        self._most = octets
        self._first_stay = first_stay
        self._octets = 0
        self._values: dict[bytes, tuple[bytes, T]] = {}

    def get(self, name: bytes, row: bytes) -> T | None:
        """Give what was read of this row; None if it was never read, or has changed since."""
        found = self._values.get(name)
        return found[1] if found is not None and found[0] == row else None

    def put(self, name: bytes, row: bytes, value: T) -> None:
        """Keep what was read of a row; where there is no room, all else is forgotten, or this."""
        old, _ = self._values.pop(name, (b"", None))
        self._octets -= len(old)
        if self._octets + len(row) > self._most and not self._first_stay:
            self.clear()
        if self._octets + len(row) <= self._most:
            self._octets += len(row)
            self._values[name] = (row, value)

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()
        self._octets = 0
