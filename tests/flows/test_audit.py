"""The log of RecryptData: who may read it, in pages; what it says; when it is erased."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
import pytest_asyncio
from msgspec.structs import replace as but

from listserver.audit import AuditKeeping
from recrypt_core.documents import Privilege, Status
from recrypt_core.keys import PublicKey
from recrypt_core.messages import (
    GetAudit,
    GetAuditResponse,
)
from recrypt_core.records import AuditEntry, AuditResult
from recrypt_core.sealing import seal
from tests.asking import asked
from tests.builders import (
    NOW,
    TEAM,
    Group,
    History,
    Membership,
    Person,
    new_group,
    new_membership,
    new_person,
)
from tests.fakes import Bench, administrator
from tests.lists import said

KEEP = timedelta(days=90)
SECOND = timedelta(seconds=1)


@dataclass
class Team:
    """A list of Alice's with Bob, on a server."""

    bench: Bench
    history: History
    alice: Person
    bob: Person
    entry: Membership

    async def recrypt(self) -> PublicKey:
        """Have a new envelope recrypted for Bob, a second later; give its epk."""
        self.bench.clock.advance(SECOND)
        envelope = seal(b"x", [self.history.group.key.public])
        await self.bench.ask(asked(self.bob, self.entry, envelope), self.bob)
        return envelope.recipients[0].epk

    async def page(self, after: int = 0, limit: int = 100) -> GetAuditResponse:
        """Read a page of the log."""
        answer = await self.bench.ask(GetAudit(group_id=TEAM, after=after, limit=limit), self.alice)
        assert isinstance(answer, GetAuditResponse), answer
        return answer

    async def seqs(self) -> list[int]:
        """Give the seqs of the rows that there are."""
        return [each.seq for each in (await self.page()).entries]

    async def keep_house(self) -> None:
        """Erase what is old."""
        bench = self.bench
        await AuditKeeping(bench.store, bench.clock, bench.erasing_time, KEEP).erase_old()


async def list_of(bench: Bench, group: Group, alice: Person) -> Team:
    bob = new_person("bob@example.org")
    entry = new_membership(bob, group.key)
    history = await bench.create(group, administrator(alice, group), entry, authorised=alice)
    return Team(bench, history, alice, bob, entry)


@pytest_asyncio.fixture
async def team(bench: Bench) -> Team:
    """Create the list."""
    return await list_of(bench, new_group(), new_person("alice@example.org"))


async def suspend(team: Team) -> None:
    idle = but(team.entry.entry, status=Status.SUSPENDED)
    await team.bench.restate(team.history, team.alice, Membership(idle, {}))


@pytest.mark.asyncio
async def test_it_says_who_asked_about_which_envelope_and_what_came_of_it(team: Team) -> None:
    first = await team.recrypt()
    await suspend(team)
    second = await team.recrypt()
    (half,) = team.entry.entry.entries
    expected = [
        AuditEntry(
            seq=1 + at,
            time=NOW + (1 + at) * SECOND,
            recrypt_udf=team.bob.udf,
            member_key_udf=half.member_key_udf,
            ephemeral_udf=epk.udf,
            result=result,
        )
        for at, (epk, result) in enumerate(
            ((first, AuditResult.DONE), (second, AuditResult.REFUSED))
        )
    ]
    answer = await team.page()
    assert [*answer.entries] == expected
    assert answer.next is None


@pytest.mark.asyncio
async def test_it_is_read_in_pages(team: Team) -> None:
    assert (await team.page()).entries == ()
    for _ in range(5):
        await team.recrypt()
    pages, after = [], 0
    while True:
        answer = await team.page(after, 2)
        pages.append([each.seq for each in answer.entries])
        if answer.next is None:
            break
        after = answer.next
    assert pages == [[1, 2], [3, 4], [5]]
    assert (await team.page(4, 1)).next is None
    assert (await team.page(99)).entries == ()


@pytest.mark.asyncio
async def test_only_who_administers_this_list_reads_it(team: Team) -> None:
    await team.recrypt()
    refused = (403, "Refused: only an ACTIVE ADMIN or SUPER may do that.")
    assert said(await team.bench.ask(GetAudit(group_id=TEAM), team.bob)) == refused
    mallory = new_person("mallory@example.org")
    assert (await team.bench.ask(GetAudit(group_id=TEAM), mallory)).status == 401
    other = await list_of(team.bench, new_group("other@lists.example"), mallory)
    assert (await team.bench.ask(GetAudit(group_id=TEAM), mallory)).status == 401
    await other.recrypt()
    answer = await team.bench.ask(GetAudit(group_id="other@lists.example"), mallory)
    assert isinstance(answer, GetAuditResponse)
    assert [(each.seq, each.recrypt_udf) for each in answer.entries] == [(1, other.bob.udf)]
    assert await team.seqs() == [1]


@pytest.mark.asyncio
async def test_rows_are_erased_after_their_days_and_numbers_are_not_used_again(team: Team) -> None:
    for _ in range(2):
        await team.recrypt()
    team.bench.clock.advance(KEEP - 3 * SECOND)
    await team.recrypt()
    await team.keep_house()
    assert await team.seqs() == [1, 2, 3]
    team.bench.clock.advance(2 * SECOND)
    await team.keep_house()
    assert await team.seqs() == [3]
    team.bench.clock.advance(KEEP)
    await team.keep_house()
    assert await team.seqs() == []
    assert await team.bench.count("recryptions") == 0
    await team.recrypt()
    assert await team.seqs() == [4]


@pytest.mark.asyncio
async def test_a_jump_of_the_clock_erases_no_row(team: Team) -> None:
    await team.recrypt()
    await team.keep_house()
    team.bench.clock.jump(KEEP * 2)
    await team.keep_house()
    assert await team.seqs() == [1]
    assert await team.bench.count("recryptions") == 0  # quotas are of the day


@pytest.mark.asyncio
async def test_rows_of_a_clock_that_was_far_ahead_do_not_stay_for_ever(team: Team) -> None:
    await team.recrypt()
    team.bench.clock.advance(KEEP * 20)
    await team.recrypt()
    team.bench.clock.advance(-KEEP * 20)
    await team.keep_house()
    assert await team.seqs() == [1]


@pytest.mark.asyncio
async def test_nobody_is_named_in_the_store_and_no_row_is_another_ones(team: Team) -> None:
    for _ in range(2):
        await team.recrypt()
    named = team.bench.octets_on_disk()
    (half,) = team.entry.entry.entries
    for name in (team.bob.udf, team.bob.address, half.member_key_udf):
        assert name.encode() not in named
    async with team.bench.store.begin():
        await team.bench.store._rows.run(
            "UPDATE audit SET sealed = (SELECT sealed FROM audit WHERE seq = 1) WHERE seq = 2"
        )
    answer = await team.bench.ask(GetAudit(group_id=TEAM), team.alice)
    assert answer.status == 401
    assert "audit" in answer.status_description


@pytest.mark.asyncio
async def test_an_administrator_without_recrypt_reads_it_too(team: Team) -> None:
    carol = new_person("carol@example.org")
    entry = new_membership(carol, team.history.group.key, privileges=(Privilege.ADMIN,))
    change = team.history.sign(team.history.add_message(entry), team.alice.online)
    await team.bench.change(change, entry, history=team.history)
    assert (await team.bench.ask(GetAudit(group_id=TEAM), carol)).status == 201
