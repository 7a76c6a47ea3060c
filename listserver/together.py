"""What waits for the store at one time is done in one block: what all need is read once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from listserver.store import Store, Work, may_pass

T = TypeVar("T")
R = TypeVar("R")

_MOST: Final = 20  # ours: done at once, some milliseconds of the event loop


class Together(Generic[T, R]):
    """Does jobs in blocks, and tells what came of each when its block is on the disk.

    do: does some of them in one transaction.
    """

    def __init__(
        self, store: Store, do: Callable[[Work, Sequence[T]], Awaitable[Sequence[R]]]
    ) -> None:
        self._store = store
        self._do = do
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._task: asyncio.Task[None] | None = None

    async def done(self, job: T) -> R:
        """Have a job done with the others that wait.

        Raises:
            StoreTrouble: nothing of it is done.
            Exception: what doing it raised; then it alone is undone.
        """
        told = asyncio.get_running_loop().create_future()
        self._waiting.append((job, told))
        if self._task is None:
            self._task = asyncio.create_task(self._do_all())
        result: R = await told
        return result

    async def _do_all(self) -> None:
        try:
            while self._waiting:
                await self._do_some()
        finally:
            self._task = None

    async def _do_some(self) -> None:
        some: list[tuple[T, asyncio.Future[R]]] = []
        try:
            async with self._store.begin() as work:
                some = self._take(_MOST)
                found = await self._do(work, [job for job, _ in some])
        except Exception as problem:  # noqa: BLE001 - each is told; none may leave the others waiting
            if len(some) > 1 and not may_pass(problem):
                for each in some:
                    await self._do_alone(*each)
            else:
                _tell(some or self._take(len(self._waiting)), problem)
        else:
            for (_, told), result in zip(some, found, strict=True):
                if not told.done():
                    told.set_result(result)

    async def _do_alone(self, job: T, told: "asyncio.Future[R]") -> None:
        try:
            async with self._store.begin() as work:
                (result,) = await self._do(work, [job])
        except Exception as problem:  # noqa: BLE001 - as above
            _tell([(job, told)], problem)
        else:
            if not told.done():
                told.set_result(result)

    def _take(self, most: int) -> list[tuple[T, "asyncio.Future[R]"]]:
        some = self._waiting[:most]
        del self._waiting[:most]
        return some


def _tell(jobs: Sequence[tuple[T, "asyncio.Future[R]"]], problem: Exception) -> None:
    for _, told in jobs:
        if not told.done():
            told.set_exception(problem)
