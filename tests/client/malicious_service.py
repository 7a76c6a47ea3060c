"""A malicious service: the real one on a real store, and a lie between it and who asks.

What such a service could know it knows: all that was sent to it, each half, and what it showed at
any time. The private keys of people it hasn't got, but where a lie says whose it took.
"""

import asyncio
import json
import shutil
from collections.abc import Callable, Coroutine
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

import httpx2
from click.testing import Result
from msgspec.structs import replace as but

from listserver.edges.sqlite import open_store
from listserver.model import House
from listserver.transactions import Transactions
from listserver.vault import Vault
from recrypt_core import chain
from recrypt_core.chain import GroupState
from recrypt_core.documents import VerifiedProfile, sign_profile
from recrypt_core.encoding import read_b64url
from recrypt_core.keys import PrivateKey
from recrypt_core.members import Member
from recrypt_core.messages import (
    GetKeyResponse,
    Request,
    Response,
    read_message,
    write_response,
)
from recrypt_core.signing import Jws, read_request
from recrypt_core.udf import Udf
from tests.client.stage import MESSAGE, TEAM, URL, Stage
from tests.fakes import OPERATOR, POST_OCTETS, ListLog

T = TypeVar("T")
R = TypeVar("R", bound=Response)

OTHER: Final = "other@lists.example"
PLAN: Final = b"the plan"
_VAULT: Final = Vault(b"v" * 32)


@dataclass
class StageClock:
    """The stage's time."""

    stage: Stage

    def now(self) -> datetime:
        """Give it."""
        return self.stage.now

    def steady(self) -> timedelta:
        """Stand still."""
        return timedelta(0)


class RealService:
    """The service as it is, called without a socket."""

    def __init__(self, stage: Stage, *, url: str = URL) -> None:
        self.stage = stage
        self._loop = asyncio.new_event_loop()
        self.store = self.run(open_store(stage.folder / "store.db", _VAULT))
        house = House("lists.example", url, POST_OCTETS, OPERATOR)
        self._transactions = Transactions(
            house, self.store, StageClock(stage), ListLog(), wake=lambda: None
        )

    def run(self, job: Coroutine[object, object, T]) -> T:
        """Run something of its own to its end."""
        return self._loop.run_until_complete(job)

    def answer(self, body: bytes, *, signed: bool) -> Response:
        """Answer a request."""
        return self.run(self._transactions.answer(body, signed=signed))[1]

    def close(self) -> None:
        """Close the store."""
        self.run(self.store.close())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


@dataclass(frozen=True)
class Call:
    """One request on its way, and who would answer it honestly."""

    message: Request
    body: bytes
    is_signed: bool
    real: RealService

    def pass_on(self) -> Response:
        """Have it answered by the real service."""
        return self.real.answer(self.body, signed=self.is_signed)

    def honest(self, kind: type[R]) -> R:
        """Have it answered so, by an answer of the kind that is to be changed."""
        answer = self.pass_on()
        assert isinstance(answer, kind), answer
        return answer


@dataclass
class Records:
    """What the service has had: of each group the chain, all halves, all keys that it showed."""

    changes: dict[Udf, list[Jws]] = field(default_factory=dict)
    halves: dict[Udf, PrivateKey] = field(default_factory=dict)
    keys: list[GetKeyResponse] = field(default_factory=list)
    profiles: list[Jws] = field(default_factory=list)


Tell: TypeAlias = Callable[["World", Call], Response | httpx2.Response]
"""Gives the answer that is sent in place of the real one."""


class World:
    """A stage with two groups at the real service, which lies as soon as it is told to."""

    def __init__(self, stage: Stage, records: Records) -> None:
        self.stage = stage
        self.records = records
        self.real = RealService(stage)
        self.transport = httpx2.MockTransport(self._handle)
        self._lies: dict[str, Tell] = {}

    def lies(self, on: str, tell: Tell) -> None:
        """Answer this transaction so from now on."""
        self._lies[on] = tell

    def run(self, command: str) -> Result:
        """Run what stands behind somebody's name; `{}` is the folder of the stage."""
        if "{team}" in command:
            command = command.replace("{team}", self.identifier())
        who, *arguments = command.replace("{}", str(self.stage.folder)).split()
        return self.stage.run_against(self.transport, who, *arguments, stdin=MESSAGE)

    def does(self, command: str) -> bytes:
        """Run a command that has to work; give its standard output."""
        result = self.run(command)
        assert result.exit_code == 0, (command, result.output, result.exception)
        return result.stdout_bytes

    def identifier(self, group: str = TEAM) -> Udf:
        """Give the fingerprint of a group."""
        pin = self.stage.keys("alice").pin(group)
        assert pin is not None
        return pin.identifier

    def changes(self, group: str = TEAM) -> list[Jws]:
        """Give the chain as it really is."""
        return [*self.records.changes[self.identifier(group)]]

    def state(self, group: str = TEAM) -> GroupState:
        """Give the group as it really is."""
        return chain.replay(self.changes(group))

    def member(self, name: str, group: str = TEAM) -> Member:
        """Give a member as it really is."""
        members = self.state(group).members.values()
        return next(each for each in members if each.account == f"{name}@example.org")

    def kept(self) -> tuple[object, ...]:
        """Give what nobody may change by a lie: all pins, and what was taken of the groups."""
        pins = {
            file.relative_to(self.stage.folder): file.read_bytes()
            for folder in ("groups", "halves")
            for file in self.stage.folder.glob(f"*/{folder}/*.json")
        }
        return pins, {group: len(changes) for group, changes in self.records.changes.items()}

    def copy(self, folder: Path) -> "World":
        """Give the same world, with files of its own; this one is closed."""
        shutil.copytree(self.stage.folder, folder, dirs_exist_ok=True)
        return World(Stage(folder, now=self.stage.now), deepcopy(self.records))

    def close(self) -> None:
        """Close the store."""
        self.real.close()

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        body = request.read()
        is_signed = request.headers["Content-Type"] == "application/jose+json"
        signed = read_request(body) if is_signed else None
        message = read_message(body if signed is None else read_b64url(signed.jws.payload))
        call = Call(message, body, is_signed, self.real)
        name = message.transaction
        answer = self._lies[name](self, call) if name in self._lies else self.take(call)
        if isinstance(answer, httpx2.Response):
            return answer
        return httpx2.Response(answer.status, content=write_response(name, answer))

    def take(self, call: Call) -> Response:
        """Answer honestly, and remember what there is to."""
        answer = call.pass_on()
        if call.is_signed and answer.status == 201:
            signed = read_request(call.body)
            self.records.halves |= signed.halves
            if signed.link is not None:
                chain_ = self.records.changes.setdefault(signed.link.group, [])
                chain_.append(signed.jws)
        if isinstance(answer, GetKeyResponse):
            self.records.keys.append(answer)
        return answer


def build(folder: Path) -> World:
    """Make the world: Alice's two groups, which have seen something; then close it.

    In the team are Bob and Carol, and Dave, who administers it, but has never looked at its
    history. Erin did until she was removed: so it has a second Master, and a second key. Bob has
    sent two newer profiles; Alice has seen the second. The notary has the escrow file.
    """
    stage = Stage(folder)
    for name in ("alice", "bob", "carol", "dave", "erin", "fred", "notary"):
        stage.person(name)
    world = World(stage, Records())
    world.real.run(_authorize(world.real, stage.keys("alice").profile()))
    for command in _STORY.strip().splitlines():
        world.does(command)
    for count in range(2):
        world.records.profiles.append(_renew(stage, "bob", f"bob{count}@example.org"))
        world.does(f"bob profile publish {TEAM}")
    (folder / "post.eml").write_bytes(world.does(f"bob seal --to {TEAM} --from bob@example.org"))
    world.does("alice read {}/post.eml")
    for name in ("plan", "second"):
        (folder / name).write_bytes(PLAN)
        world.does(f"carol encrypt {{}}/{name} --to {TEAM} --out {{}}/{name}.mmx")
    world.close()
    return world


_STORY: Final = f"""
alice create {TEAM} --service {URL} --escrow {{}}/notary.json
alice create {OTHER} --service {URL}
alice add {OTHER} {{}}/bob.json {{}}/erin.json
alice add {TEAM} {{}}/bob.json {{}}/carol.json
alice add {TEAM} {{}}/dave.json {{}}/erin.json --privilege RECRYPT --privilege ADMIN
bob key {TEAM} --service {URL}
carol key {TEAM} --service {URL}
bob key {OTHER} --service {URL}
alice delete {TEAM} erin@example.org
bob key {TEAM}
carol key {TEAM}
alice suspend {TEAM} carol@example.org
alice resume {TEAM} carol@example.org
dave key {TEAM} --service {URL}
alice escrow {TEAM} --out {{}}/team.escrow
"""


async def _authorize(real: RealService, profile: VerifiedProfile) -> None:
    async with real.store.begin() as work:
        await work.authorize(profile)


def _renew(stage: Stage, who: str, account: str) -> Jws:
    """Put a newer profile into somebody's home, with one more address."""
    home = stage.keys(who)
    old = home.profile()
    master = home.signature_key(old.identifier)
    assert master is not None
    accounts = (*old.profile.accounts, account)
    made = sign_profile(but(old.profile, accounts=accounts, updated=stage.now), master)
    (stage.home(who) / "profile.json").write_text(json.dumps(made.signed.json()))
    return made.signed
