"""A database that is damaged, empty or gone: the server says so and doesn't start on nothing.

A server that started with an empty store would answer 550 for every list, and mail would bounce.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.end_to_end.network import MailHost
from tests.faults.ledger import Ledger

PAGE: Final = 4096


def bad_header(store: Path) -> None:
    """Overwrite its beginning."""
    overwrite(store, 0, 100)


def bad_pages(store: Path) -> None:
    """Overwrite every page but the first three, so that all that is found there is wrong."""
    overwrite(store, 3 * PAGE, store.stat().st_size - 3 * PAGE)


def bad_page(store: Path) -> None:
    """Overwrite the last page."""
    overwrite(store, store.stat().st_size - PAGE, PAGE)


def half(store: Path) -> None:
    """Cut it in the midst."""
    store.write_bytes(store.read_bytes()[: store.stat().st_size // 2 // PAGE * PAGE])


def empty(store: Path) -> None:
    """Cut it to nothing."""
    store.write_bytes(b"")


def gone(store: Path) -> None:
    """Take it away."""
    store.unlink()


def overwrite(store: Path, start: int, octets: int) -> None:
    """Write rubbish."""
    with store.open("r+b") as stream:
        stream.seek(start)
        stream.write(b"\xa5" * octets)


DAMAGES: Final[dict[str, Callable[[Path], None]]] = {
    "bad header": bad_header,
    "bad pages": bad_pages,
    "bad page": bad_page,
    "half": half,
    "empty": empty,
    "gone": gone,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_store_is_refused_with_words(
    damage: str, ledger: Ledger, host: MailHost, report: Callable[[str], None]
) -> None:
    host.start()
    ledger.take(5)
    assert ledger.settle()
    server = ledger.server
    server.stop()
    DAMAGES[damage](server.store)
    has_started = server.begin()
    code = ledger.hand_in(ledger.new_post()) if has_started else None
    words = server.child.output.strip().splitlines()[-1]
    server.kill()
    said = f"starts, and answers {code} to a post" if has_started else words
    report(f"F14 store {damage}: {said.replace(str(server.folder), '...')}")
    assert not has_started, said
    assert words.startswith("Error: ")
    assert "Traceback" not in server.child.output
