"""What the contracts' tests begin with: each kind of store there is."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest
import pytest_asyncio

from listserver.edges.sqlite import SqliteStore, open_store
from listserver.store import Work
from listserver.vault import Vault

MakeStore: TypeAlias = Callable[[Path], Awaitable[SqliteStore]]


async def sqlite_store(folder: Path) -> SqliteStore:
    return await open_store(folder / "store.db", Vault(b"v" * 32))


@pytest_asyncio.fixture(params=[sqlite_store])
async def work(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Work]:
    """Begin one transaction of each kind of store."""
    make: MakeStore = request.param
    store = await make(tmp_path)
    async with store.begin() as begun:
        yield begun
    await store.close()
