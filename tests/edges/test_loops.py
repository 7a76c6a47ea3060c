"""The event loop of workers: uvloop's if it is there, and Python's own if it isn't."""

import asyncio
import sys

import pytest

from listserver.edges import loops


async def loop_in_use() -> str:
    """Name the package of the running loop."""
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


def test_it_is_uvloops_where_that_is_installed() -> None:
    assert loops.run(loop_in_use()) == "uvloop"


def test_it_is_pythons_own_where_that_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert loops.run(loop_in_use()) == "asyncio"
