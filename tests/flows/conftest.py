"""What the flows' tests begin with."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.fakes import Bench, open_bench


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Open a server."""
    async with open_bench(tmp_path) as opened:
        yield opened
