"""Measure whether times tell who is a member: the same about members and strangers, by turns.

    python -m benchmarks.oracle_times [--rounds 100] [--json]

Each round asks each question about one member and one stranger, of whom nothing was asked before,
the other first in every second round. Of the times of all rounds the medians are compared: about 1
says that a watch tells nothing. It runs on the list of the tests, with no network but for RCPT, so
that little stands before what is compared.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final, TypeAlias

from listserver.addresses import ListAddress, Role
from listserver.edges.door import Door
from listserver.edges.gateway import Gateway
from listserver.model import MemberId, PostId
from listserver.tokens import LeaveToken, write_token
from recrypt_core.messages import JoinGroup, write_message
from recrypt_core.signing import sign_request
from tests.builders import TEAM, URL, Person, new_group, new_membership, new_person
from tests.doors import HERE, SETTINGS, Sender
from tests.fakes import Bench, FakeRoom, open_bench
from tests.lists import Team, new_list_of
from tests.mails import mail, sealed

WARMING: Final = 3  # rounds that don't count
FORGED: Final = 2**20  # added to a member's number: nobody's


@dataclass(frozen=True)
class House:
    """A list with a member for each round, and a sender at its door."""

    bench: Bench
    team: Team
    sender: Sender


@dataclass(frozen=True)
class Asked:
    """Whom a question is about, and what would be the token of a copy of theirs."""

    person: Person
    token: str


Act: TypeAlias = Callable[[], Awaitable[object]]
Question: TypeAlias = Callable[[House, Asked], Awaitable[Act]]
Times: TypeAlias = Mapping[str, tuple[list[float], list[float]]]


async def _rcpt(house: House, about: Asked) -> Act:
    await house.sender.ask("RSET")
    await house.sender.ask(f"MAIL FROM:<{about.person.address}>")
    return lambda: house.sender.ask(f"RCPT TO:<{TEAM}>")


async def _post(house: House, about: Asked) -> Act:
    address = about.person.address
    raw = mail(sealed(house.team.key.public).mmx(), message_id=f"<{about.token}@example.org>")
    raw = raw.replace(b"bob@example.org", address.encode())
    return lambda: house.bench.receiving.receive(raw, ListAddress(TEAM, Role.POST), sender=address)


async def _join(house: House, about: Asked) -> Act:
    mallory = new_person(about.person.address)  # whose keys aren't the member's
    message = JoinGroup(group_name=TEAM, account_name=mallory.address, profile=mallory.signed)
    now = house.bench.clock.now()
    signed = sign_request(write_message(message), mallory.online, url=URL, now=now)
    return lambda: house.bench.send(signed)


async def _leave(house: House, about: Asked) -> Act:
    return lambda: house.bench.leaving.ask(about.token)


QUESTIONS: Final[Mapping[str, Question]] = {
    "RCPT": _rcpt,
    "post": _post,
    "JoinGroup": _join,
    "one click": _leave,
}


def _named(kind: str, at: int) -> Person:
    return new_person(f"{kind}{at:05}@{at:05}.example")


@asynccontextmanager
async def _open_house(folder: Path, members: list[Person]) -> AsyncIterator[House]:
    async with open_bench(folder) as bench:
        group = new_group()
        entries = [new_membership(each, group.key) for each in members]
        team = await new_list_of(bench, group, new_person("alice@example.org"), *entries)
        domains, room = ("lists.example",), FakeRoom()
        gateway = Gateway(Door(bench.receiving, bench.log, SETTINGS, domains=domains, room=room))
        server = await gateway.listen(HERE)
        sender = await Sender.connected(server.sockets[0].getsockname()[1])
        await sender.reply()
        await sender.ask("HELO client.example")
        try:
            yield House(bench, team, sender)
        finally:
            sender.writer.close()
            await sender.writer.wait_closed()
            await gateway.close()


async def measure(rounds: int) -> Times:
    """Ask everything in each round; give the seconds for members and for strangers."""
    members = [_named("m", at) for at in range(rounds + WARMING)]
    found: Times = {name: ([], []) for name in QUESTIONS}
    with TemporaryDirectory() as folder:
        async with _open_house(Path(folder), members) as house:
            ((first,),) = await house.bench.rows("SELECT min(id) FROM members")
            for at, member in enumerate(members):
                row = int(first or 0) + 1 + at  # which member has it doesn't matter
                pair = (_asked(house, member, row), _asked(house, _named("s", at), row + FORGED))
                for name, question in QUESTIONS.items():
                    for who in (0, 1) if at % 2 else (1, 0):
                        spent = await _timed(await question(house, pair[who]))
                        if at >= WARMING:
                            found[name][who].append(spent)
    return found


def _asked(house: House, person: Person, row: int) -> Asked:
    return Asked(person, write_token(house.bench.vault, LeaveToken(PostId(1), MemberId(row))))


async def _timed(act: Act) -> float:
    begun = time.perf_counter()
    await act()
    return time.perf_counter() - begun


def table(found: Times) -> str:
    """Lay the medians out, in microseconds, a line for each question."""
    lines = [f"{'median, us':<12}{'member':>10}{'stranger':>10}{'ratio':>8}"]
    for name, (members, strangers) in found.items():
        cells = f"{median(members) * 1e6:>10,.0f}{median(strangers) * 1e6:>10,.0f}"
        lines.append(f"{name:<12}{cells}{_ratio(members, strangers):>8.2f}")
    return "\n".join(lines)


def _ratio(members: list[float], strangers: list[float]) -> float:
    return median(members) / median(strangers)


def main(arguments: list[str]) -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description="Do times tell who is a member?")
    parser.add_argument("--rounds", type=int, default=100, help="default 100")
    parser.add_argument("--json", action="store_true", help="for a program")
    asked = parser.parse_args(arguments)
    found = asyncio.run(measure(asked.rounds))
    ratios = {name: _ratio(*times) for name, times in found.items()}
    sys.stdout.write((json.dumps(ratios) if asked.json else table(found)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
