"""A list that its operator has stopped: nothing in, nothing out, nothing lost."""

from datetime import timedelta

import pytest
import pytest_asyncio

from listserver import limits, replies
from listserver.addresses import ListAddress, Role
from listserver.edges.sqlite_upkeep import open_upkeep
from listserver.outcomes import Phase
from listserver.outcomes import Refused as Turned
from recrypt_core.documents import RecryptionGroup
from recrypt_core.messages import (
    AddMember,
    GetEntry,
    GetGroup,
    GetGroupResponse,
    GetKey,
    JoinGroup,
    UpdateGroup,
    write_message,
)
from recrypt_core.policy import Policy
from recrypt_core.sealing import seal
from tests.asking import asked
from tests.builders import (
    TEAM,
    History,
    Person,
    new_group,
    new_membership,
    new_person,
)
from tests.fakes import POSTER, TEAM_ADDRESS, Bench, administrator
from tests.lists import said
from tests.mails import mail, sealed

STOPPED = "Refused: the operator has stopped this list for now: try again later."
ALICE, BOB = "alice@example.org", "bob@example.org"
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
ALL_DAYS = limits.LIFETIME * 2


class Team:
    """A list of Alice's with Bob, on a server, and its operator."""

    def __init__(self, bench: Bench, history: History, alice: Person, bob: Person) -> None:
        self.bench, self.history, self.alice, self.bob = bench, history, alice, bob
        self.entry = new_membership(bob, history.group.key)

    def suspend(self) -> None:
        """Have it stopped."""
        with open_upkeep(self.bench.file, self.bench.vault) as store:
            assert store.suspend(TEAM, self.bench.clock.now())

    def resume(self) -> None:
        """Have it go on."""
        with open_upkeep(self.bench.file, self.bench.vault) as store:
            assert store.resume(TEAM, self.bench.clock.now())

    async def post(self, number: int = 0) -> replies.Reply:
        """Post to it."""
        key = self.history.group.key.public
        return await self.bench.post(mail(sealed(key).mmx(), message_id=f"<{number}@x.example>"))


@pytest_asyncio.fixture
async def team(bench: Bench) -> Team:
    """Create the list."""
    group = new_group()
    alice, bob = new_person(ALICE), new_person(BOB)
    made = administrator(alice, group), new_membership(bob, group.key)
    history = await bench.create(group, *made, authorised=alice)
    team = Team(bench, history, alice, bob)
    team.entry = made[1]
    return team


def recipients(bench: Bench) -> list[str]:
    return sorted(each.recipient for each in bench.courier.sent)


@pytest.mark.asyncio
async def test_posts_are_put_off_at_once_and_recipients_within_a_second(team: Team) -> None:
    bench = team.bench
    assert await bench.posting.recipient(TEAM_ADDRESS) == replies.RECIPIENT_OK
    team.suspend()
    said_ = await team.post()
    words = "450 4.2.1 This list is stopped for now by its operator; try later."
    assert str(said_) == words
    assert await bench.count("posts") == await bench.count("contents") == 0
    bench.clock.advance(SECOND)
    assert await bench.posting.recipient(TEAM_ADDRESS) == said_
    for role in (role for role in Role if role is not Role.OPERATOR):
        to = ListAddress("team@lists.example", role, "a" * 26)
        taken = said_ if role in (Role.POST, Role.SUBSCRIBE) else replies.RECIPIENT_OK
        assert await bench.receiving.recipient(to) == taken
    team.resume()
    assert await bench.posting.recipient(TEAM_ADDRESS) == replies.RECIPIENT_OK
    assert await team.post() == replies.ACCEPTED


@pytest.mark.asyncio
async def test_the_end_of_data_counts_where_it_was_seen_before(team: Team) -> None:
    assert await team.post(1) == replies.ACCEPTED
    team.suspend()
    assert await team.post(2) == replies.LIST_STOPPED
    team.resume()
    assert await team.post(2) == replies.ACCEPTED
    await team.bench.relay_all()
    assert recipients(team.bench) == [ALICE, ALICE, BOB, BOB]


@pytest.mark.asyncio
async def test_copies_wait_and_other_lists_go_on(team: Team) -> None:
    bench, other = team.bench, new_group("other@lists.example")
    await bench.create(other, administrator(team.alice, other), authorised=team.alice)
    await team.post()
    team.suspend()
    assert await bench.delivering.pause() == limits.QUEUE_PATIENCE
    await bench.posting.receive(
        mail(sealed(other.key.public).mmx()),
        ListAddress("other@lists.example", Role.POST),
        sender=POSTER,
    )
    await bench.relay_all()
    assert recipients(bench) == [ALICE]
    assert await bench.waiting() == 2
    team.resume()
    await bench.relay_all()
    assert recipients(bench) == [ALICE, ALICE, BOB]
    assert await bench.waiting() == 0


@pytest.mark.asyncio
async def test_what_was_claimed_before_is_not_begun_and_the_attempt_does_not_count(
    team: Team,
) -> None:
    bench = team.bench
    await team.post()
    batch = await bench.delivering.claim(100)
    assert batch is not None
    team.suspend()
    tried = await bench.tried(batch)
    await bench.delivering.record(tried)
    assert bench.courier.sent == []
    assert await bench.delivering.claim(100) is None
    assert await bench.rows("SELECT state, attempts FROM deliveries") == [(0, 0)] * 2
    team.resume()
    await bench.relay_all()
    assert recipients(bench) == [ALICE, BOB]


@pytest.mark.asyncio
async def test_the_time_to_give_up_stands_still(team: Team) -> None:
    bench = team.bench
    later = Turned(Phase.RCPT, 451, "try later")
    bench.courier.script(BOB, *[later] * (limits.LEAST_ATTEMPTS + 2))
    await team.post()
    for _ in range(limits.LEAST_ATTEMPTS):
        await bench.relay_all()
        bench.clock.advance(5 * HOUR)
    ((begun,),) = await bench.rows("SELECT since FROM deliveries")
    team.suspend()
    bench.clock.advance(ALL_DAYS)
    team.resume()
    moved = int(ALL_DAYS.total_seconds())
    assert isinstance(begun, int)
    assert await bench.rows("SELECT since FROM deliveries") == [(begun + moved,)]
    await bench.relay_all()
    assert await bench.waiting() == 1
    assert recipients(bench).count(BOB) == limits.LEAST_ATTEMPTS + 1


@pytest.mark.asyncio
async def test_nothing_is_recrypted_and_nobody_asks_in(team: Team) -> None:
    envelope = seal(b"the plan", [team.history.group.key.public])
    team.suspend()
    question = asked(team.bob, team.entry, envelope)
    assert said(await team.bench.ask(question, team.bob)) == (503, STOPPED)
    assert (await team.bench.ask(question, new_person("mallory@example.org"))).status == 404
    dave = new_person("dave@example.org")
    message = JoinGroup(group_name=TEAM, account_name=dave.address, profile=dave.signed)
    assert said(await team.bench.ask(message, dave)) == (503, STOPPED)
    assert await team.bench.count("letters") == 0
    assert await team.bench.rows("SELECT count(*) FROM recryptions WHERE done > 0") == [(0,)]
    team.resume()
    team.bench.clock.advance(SECOND)
    assert (await team.bench.ask(question, team.bob)).status == 201


@pytest.mark.asyncio
async def test_administrators_go_on_with_it(team: Team) -> None:
    team.suspend()
    made = new_membership(new_person("carol@example.org"), team.history.group.key)
    added = AddMember(recryption_group=team.history.group.master.udf, member_entry=(made.entry,))
    await team.bench.change(team.history.sign(added, team.alice.online), made, history=team.history)
    stated = RecryptionGroup(group_name=TEAM, policy=Policy(keep=1))
    change = team.history.sign(UpdateGroup(recryption_group=stated), team.alice.online)
    await team.bench.change(change, history=team.history)
    shown = await team.bench.ask(GetGroup(group_id=TEAM), team.alice)
    assert isinstance(shown, GetGroupResponse)
    assert shown.stopped == team.bench.clock.now().replace(microsecond=0)
    assert (await team.bench.ask(GetEntry(group_id=TEAM), team.bob)).status == 201
    with open_upkeep(team.bench.file, team.bench.vault) as store:
        assert store.resume(TEAM, team.bench.clock.now())
    shown = await team.bench.ask(GetGroup(group_id=TEAM), team.alice)
    assert isinstance(shown, GetGroupResponse)
    assert shown.stopped is None
    _, found = await team.bench.transactions.answer(
        write_message(GetKey(group_id=TEAM)), signed=False
    )
    assert found.status == 201


@pytest.mark.asyncio
async def test_it_takes_effect_once_and_not_on_what_is_not_there(team: Team) -> None:
    now = team.bench.clock.now()
    with open_upkeep(team.bench.file, team.bench.vault) as store:
        assert store.suspend("gone@lists.example", now) is None
        assert store.resume("gone@lists.example", now) is None
        assert store.resume(TEAM, now) is False
        assert store.suspend(TEAM.upper(), now) is True
        assert store.suspend(TEAM, now + HOUR) is False
        found = await team.bench.rows("SELECT suspended FROM lists")
        assert found == [(int(now.timestamp()),)]
        assert store.resume(TEAM, now) is True


@pytest.mark.asyncio
async def test_what_began_while_it_was_stopped_has_no_more_than_its_time(team: Team) -> None:
    bench = team.bench
    bench.courier.script(BOB, Turned(Phase.RCPT, 451, "try later"))
    await team.post()
    await bench.relay_all()
    team.suspend()
    bench.clock.advance(ALL_DAYS)
    begun = int(bench.clock.now().timestamp())
    async with bench.store.begin():
        await bench.store._rows.run("UPDATE deliveries SET since = ?", (begun,))
    bench.clock.advance(HOUR)
    team.resume()
    assert await bench.rows("SELECT since FROM deliveries") == [(begun + 3600,)]
