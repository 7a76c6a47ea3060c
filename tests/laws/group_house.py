"""What the group's machine works on: a group in a store, and servers that die and start again."""

import asyncio
import shutil
from collections.abc import Coroutine, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeVar

from listserver.edges.sqlite import open_store
from listserver.edges.sqlite_halves import read_half
from listserver.edges.sqlite_rows import octets
from listserver.model import Half
from listserver.vault import Vault
from recrypt_core.messages import Response, write_message
from recrypt_core.signing import Jws, Link, request_body, sign_request
from tests.builders import (
    EVERY_POWER,
    NOW,
    URL,
    Membership,
    create_message,
    new_group,
    new_membership,
    new_person,
)
from tests.fakes import Bench, FixedClock, ScriptedCourier

T = TypeVar("T")

PEOPLE: Final = [new_person(f"{name}@example.org") for name in ("alice", "bob", "carol", "dave")]
GROUP: Final = new_group()
RIGHTS: Final = [(), EVERY_POWER[:1], EVERY_POWER[:2], EVERY_POWER]
VAULT: Final = Vault(b"v" * 32)
FIRST: Final = [
    new_membership(person, GROUP.key, privileges=powers)
    for person, powers in zip(PEOPLE, reversed(RIGHTS[1:]), strict=False)
]


@cache
def begun() -> tuple[bytes, Jws]:
    """Create the group once, with all but Dave in it; give the store and the first change."""
    message = create_message(GROUP, FIRST, PEOPLE[0].online)
    link = Link(GROUP.master.udf, 1, None)
    change = sign_request(write_message(message), GROUP.master.online, url=URL, now=NOW, link=link)

    async def create(file: Path) -> None:
        bench = await _open(file)
        await bench.authorize(PEOPLE[0])
        response = await bench.send(change, *FIRST)
        assert response.status == 201, response
        await bench.store.close()

    with TemporaryDirectory() as folder:
        file = Path(folder) / "store.db"
        asyncio.run(create(file))
        return file.read_bytes(), change


async def _open(file: Path) -> Bench:
    store = await open_store(file, VAULT)
    return Bench(file, store, VAULT, FixedClock(), ScriptedCourier())


class House:
    """The server of now."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._folder = TemporaryDirectory()
        self._lives = 0
        file = self._next_file()
        file.write_bytes(begun()[0])
        self._bench = self._run(_open(file))

    def answers(self, *requests: tuple[Jws, Sequence[Membership]]) -> list[Response]:
        """Send requests, with their halves, at once; give the answers in that order."""
        return self._run(self._answers(requests))

    def halves(self) -> list[Half]:
        """Open every r that stands in the store."""
        rows = self._run(self._bench.rows("SELECT sealed, half_name FROM entries"))
        return [read_half(VAULT, octets(sealed), octets(name)) for sealed, name in rows]

    def crash(self, *, in_midst: bool) -> None:
        """Die, perhaps in the midst of a transaction, and start again."""
        file, old = self._next_file(), self._bench
        self._run(self._leave(file, in_midst=in_midst))
        self._bench = self._run(_open(file))
        self._run(old.store.close())

    def close(self) -> None:
        """Stop for good."""
        self._run(self._bench.store.close())
        self._run(self._loop.shutdown_default_executor())
        self._loop.close()
        self._folder.cleanup()

    def _run(self, job: Coroutine[object, object, T]) -> T:
        return self._loop.run_until_complete(job)

    def _next_file(self) -> Path:
        """Name the store of the next server."""
        self._lives += 1
        folder = Path(self._folder.name) / f"{self._lives}"
        folder.mkdir()
        return folder / "store.db"

    async def _answers(
        self, requests: Sequence[tuple[Jws, Sequence[Membership]]]
    ) -> list[Response]:
        bodies = []
        for signed, made in requests:
            halves = {udf: half for each in made for udf, half in each.halves.items()}
            bodies.append(request_body(signed, halves))
        answer = self._bench.transactions.answer
        found = await asyncio.gather(*(answer(body, signed=True) for body in bodies))
        return [response for _, response in found]

    async def _leave(self, file: Path, *, in_midst: bool) -> None:
        """Take the files as they are while a transaction is open."""
        async with self._bench.store.begin():
            if in_midst:
                await self._bench.store._rows.run("UPDATE lists SET head_seq = head_seq + 1")
                await self._bench.store._rows.run("DELETE FROM entries")
            for each in self._bench.file.parent.glob("store.db*"):
                if not each.name.endswith("-shm"):
                    shutil.copy(each, file.with_name(each.name))
