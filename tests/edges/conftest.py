"""What workers do is tested on both event loops that they may run on."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

ON_BOTH = frozenset({"test_courier", "test_pipelining"})


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Name the event loops that an asynchronous test is run on."""
    if item.path.stem in ON_BOTH:
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}
