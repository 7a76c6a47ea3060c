"""Large letters hold up nothing else: they are sealed, written and erased in threads."""

import threading
from pathlib import Path

import pytest

from listserver import limits
from listserver.edges.sqlite import open_store
from listserver.model import Letter, LetterKind, LetterRecord
from listserver.outcomes import Delivered, GaveUp, Phase, TryLater
from listserver.vault import Vault
from tests.builders import NOW

LARGE = b"x" * 2 * limits.QUICK_OCTETS


class WatchedVault(Vault):
    """A vault that notes where it is used for much."""

    def __init__(self) -> None:
        super().__init__(b"v" * 32)
        self.on_loop: list[bool] = []

    def seal(self, table: str, plaintext: bytes, *, row: bytes = b"") -> bytes:
        """Seal."""
        self._note(plaintext)
        return super().seal(table, plaintext, row=row)

    def unseal(self, table: str, sealed: bytes, *, row: bytes = b"") -> bytes:
        """Open."""
        self._note(sealed)
        return super().unseal(table, sealed, row=row)

    def _note(self, octets: bytes) -> None:
        if len(octets) > limits.QUICK_OCTETS:
            self.on_loop.append(threading.current_thread() is threading.main_thread())


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", LetterKind)
async def test_a_large_letter_is_never_worked_on_in_the_loop(
    tmp_path: Path, kind: LetterKind
) -> None:
    vault, on_loop = WatchedVault(), list[bool]()
    store = await open_store(tmp_path / "store.db", vault)

    def note(statement: str) -> None:
        if statement.split()[0] in ("INSERT", "UPDATE", "DELETE"):
            on_loop.append(threading.current_thread() is threading.main_thread())

    store._database.conn.set_trace_callback(note)
    refused = GaveUp(Phase.CONTENT, 554, "no")
    async with store.begin() as work:
        for outcome in (Delivered(), refused):
            await work.enqueue_letter(Letter("m@example.org", "", LARGE, kind=kind), NOW)
            for end in (TryLater(NOW, ambiguous=False), outcome):
                (claim,) = await work.claim_letters(NOW, 9)
                assert (await work.read_letter(claim)).octets == LARGE
                await work.record_letters([LetterRecord(claim.id, end)], NOW)
        await work.enqueue_letter(Letter("m@example.org", "", LARGE, kind=kind), NOW)
        assert await work.claim_letters(NOW, 9)
        await work.release_letters(NOW)
    store._database.conn.set_trace_callback(None)
    await store.close()
    assert on_loop.count(False) >= 13
    assert not any(on_loop)
    assert len(vault.on_loop) == 7
    assert not any(vault.on_loop)
