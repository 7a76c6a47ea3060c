"""A worker's event loop: uvloop's where the extra `fast` is installed, or else Python's own.

The server stays on Python's own, as what its gateway promises about hostile clients was measured
there. uvloop's transports are of no class of asyncio's, though they have the same methods: who may
be given one doesn't ask which it is.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a program's outermost coroutine to its end, as `asyncio.run` does."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)
