"""A list, and people who stand to it in every way: `from tests.standings import ...`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from listserver.addresses import ListAddress, Role
from listserver.edges.door import Door
from listserver.edges.gateway import Gateway
from listserver.model import MemberId, PostId
from listserver.tokens import LeaveToken, write_token
from recrypt_core.documents import JoinAnswer, Privilege, Status, sign_join
from recrypt_core.keys import PrivateKey
from recrypt_core.messages import ConfirmJoin, DenyJoin, JoinGroup, Request, write_message
from recrypt_core.policy import Policy
from recrypt_core.wishes import Mail, SetMail
from tests.builders import TEAM, Membership, Person, new_group, new_membership, new_person
from tests.doors import HERE, SETTINGS, Sender
from tests.fakes import Bench, FakeRoom, open_bench
from tests.lists import Team, new_list_of, said
from tests.returned import member_row, sent_to, words_of

STANDINGS: Final = (
    "a stranger",
    "a member",
    "an administrator",
    "suspended",
    "expelled",
    "turned off after bounces",
    "pausing",
    "gone",
    "asked to join",
    "waiting for a decision",
    "denied",
    "banned",
)
ENTERED: Final = STANDINGS[1:8]  # who have an entry in the group


@dataclass
class Standings:
    """A list, and people by how they stand to it."""

    bench: Bench
    team: Team
    people: dict[str, Person]
    port: int
    posts: int = 0

    async def send(self, message: Request, by: Person) -> tuple[int, str]:
        """Send a signed request."""
        return said(await self.bench.ask(message, by))

    async def mail(self, role: Role, raw: bytes, *, sender: str, token: str | None = None) -> str:
        """Mail to an address of the list, and give both replies."""
        to = ListAddress("team@lists.example", role, token)
        taken = await self.bench.receiving.recipient(to)
        return f"{taken} / {await self.bench.receiving.receive(raw, to, sender=sender)}"

    async def dialogue(self, *lines: str) -> list[str]:
        """Talk to the door; give the replies."""
        sender = await Sender.connected(self.port)
        replies = [await sender.reply()]
        for line in ("EHLO client.example", *lines, "QUIT"):
            sender.send(f"{line}\r\n".encode())
            replies.append(await sender.reply())
        sender.writer.close()
        await sender.writer.wait_closed()
        return replies

    async def link(self, about: Person) -> str:
        """Give the token in a copy that somebody had and passed on."""
        row = await member_row(self.bench, about.address)
        return write_token(self.bench.vault, LeaveToken(PostId(1), MemberId(row)))

    async def confirm(self, person: Person, token: str) -> tuple[int, str]:
        """Send a token back, signed by somebody."""
        answer = JoinAnswer(
            group_identifier=self.team.group.master.udf,
            token=token,
            account_name=person.address,
            identifier=person.udf,
        )
        body = write_message(ConfirmJoin(answer=sign_join(answer, person.online)))
        _, response = await self.bench.transactions.answer(body, signed=False)
        return said(response)


@asynccontextmanager
async def open_standings(folder: Path) -> AsyncIterator[Standings]:
    """Found a list, and have people stand to it in every way."""
    people = {
        standing: new_person(f"{chr(97 + at) * 12}@example.org")
        for at, standing in enumerate(STANDINGS)
    }
    async with open_bench(folder) as bench:
        group = new_group()
        entries = [_entry_of(people[standing], group.key, standing) for standing in ENTERED]
        policy = Policy(banned=(people["banned"].udf,))
        alice = new_person("alice@example.org")
        team = await new_list_of(bench, group, alice, *entries, policy=policy)
        domains, room = ("lists.example",), FakeRoom()
        gateway = Gateway(Door(bench.receiving, bench.log, SETTINGS, domains=domains, room=room))
        server = await gateway.listen(HERE)
        made = Standings(bench, team, people, server.sockets[0].getsockname()[1])
        await _settle(made)
        try:
            yield made
        finally:
            await gateway.close()


def _entry_of(person: Person, key: PrivateKey, standing: str) -> Membership:
    match standing:
        case "an administrator":
            return new_membership(person, key, privileges=(Privilege.RECRYPT, Privilege.ADMIN))
        case "suspended":
            return new_membership(person, key, status=Status.SUSPENDED)
        case "expelled":
            return new_membership(person, status=Status.REVOKED)
    return new_membership(person, key)


async def _settle(house: Standings) -> None:
    """Do what isn't done by the entries that the list begins with."""
    for standing, wanted in (("pausing", Mail.PAUSED), ("gone", Mail.LEFT)):
        person = house.people[standing]
        message = SetMail(group_name=TEAM, profile=person.signed, mail=wanted)
        assert (await house.send(message, person))[0] == 201
    off = await member_row(house.bench, house.people["turned off after bounces"].address)
    async with house.bench.store.begin():
        await house.bench.store._rows.run("UPDATE members SET off = 1 WHERE id = ?", (off,))
    for standing in ("asked to join", "waiting for a decision", "denied"):
        await _join(house, house.people[standing], confirmed=standing != "asked to join")
    denied = DenyJoin(group_id=TEAM, recrypt_udf=house.people["denied"].udf)
    assert (await house.send(denied, house.team.alice))[0] == 201


async def _join(house: Standings, person: Person, *, confirmed: bool) -> None:
    joining = JoinGroup(group_name=TEAM, account_name=person.address, profile=person.signed)
    assert (await house.send(joining, person))[0] == 201
    await house.bench.carry_letters()
    if confirmed:
        letter = sent_to(house.bench, person.address)[-1]
        token = words_of(letter, person).partition("Token: ")[2].split()[0]
        assert (await house.confirm(person, token))[0] == 201
