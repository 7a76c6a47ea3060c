"""What the queue's machine works on: lists of several sizes in a store, and a peer."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from listserver import copies
from listserver.edges.sqlite import open_store
from listserver.edges.sqlite_rows import number
from listserver.model import EntryRow, ListId
from listserver.outcomes import Answer, Broken, Phase, Refused
from listserver.ports import Outgoing
from listserver.vault import Vault
from tests.builders import Group, Person, new_group, new_history, new_membership, new_person
from tests.fakes import TAKEN, ScriptedCourier, administrator
from tests.stored import half_of

VAULT: Final = Vault(b"v" * 32)
SIZES: Final = (1, 4, 12, 30)  # of the lists
ANSWERS: Final[Mapping[str, Answer]] = {
    "taken": TAKEN,
    "4xx": Refused(Phase.RCPT, 451, "later"),
    "5xx": Refused(Phase.RCPT, 550, "never"),
    "no connection": Broken(Phase.CONNECT, "refused"),
    "cut after the dot": Broken(Phase.CONTENT, "lost"),
}
FAULT: Final = "a fault of ours"
NOTHING: Final = "nothing is done"


@dataclass(frozen=True)
class Reader:
    """A member of a list."""

    list_id: ListId
    id: int
    person: Person
    group: Group


@dataclass(frozen=True)
class Start:
    """A store with lists and no post, in octets, and who is on the lists."""

    store: bytes
    readers: tuple[Reader, ...]


@cache
def start() -> Start:
    """Make the lists, once."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "store.db"
        readers = asyncio.run(_lists(file))
        return Start(file.read_bytes(), readers)


async def _lists(file: Path) -> tuple[Reader, ...]:
    store = await open_store(file, VAULT)
    readers: list[Reader] = []
    for at, size in enumerate(SIZES):
        group = new_group(f"list{at}@lists.example")
        people = [new_person(f"m{each}@list{at}.example") for each in range(size)]
        memberships = [administrator(people[0], group)]
        memberships += [new_membership(each, group.key) for each in people[1:]]
        history = new_history(group, *memberships, authorised=people[0])
        async with store.begin() as work:
            list_id = await work.create_list(
                history.state, history.changes[0], b"s" * 32, founder=history.group.master.udf
            )
            for person, each in zip(people, memberships, strict=True):
                half = half_of(each)
                row = EntryRow(half, copies.recryption_octets(half))
                await work.put_members(list_id, [(history.state.members[person.udf], [row])])
                ((id_,),) = await store._rows.all("SELECT max(id) FROM members")
                readers.append(Reader(list_id, number(id_), person, group))
    await store.close()
    return tuple(readers)


class Peer(ScriptedCourier):
    """Answers as it is told, and counts what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.how = "taken"
        self.calls = 0

    async def deliver(self, _mail: Outgoing) -> Answer:
        """Answer, or fail as our own program might."""
        self.calls += 1
        if self.how == FAULT:
            raise ValueError(FAULT)
        return ANSWERS[self.how]
