"""Late delivery: what a member missed is sent from what is kept, to that member alone, unread."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
import pytest_asyncio

from listserver.limits import LIFETIME, QUEUE_PATIENCE
from listserver.model import ListId, MemberId
from listserver.outcomes import Phase, Refused
from recrypt_core.documents import Status
from recrypt_core.messages import (
    GetGroup,
    GetGroupResponse,
    Redeliver,
    RedeliverResponse,
    Request,
    Response,
)
from recrypt_core.opening import open_recrypted
from recrypt_core.policy import Policy
from recrypt_core.udf import Udf
from tests.builders import (
    NOW,
    TEAM,
    History,
    Membership,
    Person,
    new_group,
    new_membership,
    new_person,
)
from tests.fakes import Bench, administrator
from tests.lists import said
from tests.mails import CONTENT, envelope_of, mail, sealed

BEGINNING = NOW - timedelta(days=1)
EARLIER = NOW - timedelta(seconds=1)


@dataclass
class Team:
    """A list of Alice's with Bob and Carol, on a server."""

    bench: Bench
    history: History
    people: dict[str, Person]
    memberships: dict[str, Membership]

    async def ask(self, message: Request) -> Response:
        """Ask something that Alice signs, and that is no change."""
        return await self.bench.ask(message, self.people["alice"])

    async def redeliver(self, who: str, since: datetime = BEGINNING) -> Response:
        """Have posts sent to somebody again."""
        udf = self.people[who].udf
        return await self.ask(Redeliver(group_id=TEAM, recrypt_udf=udf, since=since))

    async def redelivered(self, who: str, since: datetime = BEGINNING) -> int:
        """Have posts sent to somebody again; count them, and deliver what there is to deliver."""
        answer = await self.redeliver(who, since)
        assert isinstance(answer, RedeliverResponse), said(answer)
        await self.bench.relay_all()
        return answer.posts

    async def update(self, who: str, status: Status) -> None:
        """Set somebody's status."""
        kept = self.memberships[who].entry.entries if status is not Status.REVOKED else ()
        stated = new_membership(self.people[who], status=status).entry
        values = {name: getattr(stated, name) for name in stated.__struct_fields__}
        entry = type(stated)(**values | {"entries": kept})
        alice = self.people["alice"]
        await self.bench.restate(self.history, alice, Membership(entry, {}))

    async def post(self, text: bytes = CONTENT) -> None:
        """Post, and deliver what there is to deliver."""
        envelope = sealed(self.history.group.key.public, content=text)
        reply = await self.bench.post(mail(envelope.mmx()))
        assert reply.code == 250
        await self.bench.relay_all()

    def got(self, who: str) -> list[bytes]:
        """Open all that somebody was sent, in order."""
        person = self.people[who]
        copies = [
            each.parts for each in self.bench.courier.sent if each.recipient == person.address
        ]
        return [open_recrypted(envelope_of(parts), person.devices) for parts in copies]

    async def turn_off(self, who: str) -> None:
        """Turn somebody's mail off, as bounces do."""
        list_id = ListId(int(str((await self.bench.rows("SELECT id FROM lists"))[0][0])))
        name = self.bench.vault.name("member", str(list_id), self.people[who].udf)
        ids = {row[1]: row[0] for row in await self.bench.rows("SELECT id, name FROM members")}
        member = MemberId(int(str(ids[name])))
        async with self.bench.store.begin() as work:
            now = self.bench.clock.now()
            await work.probe_sent(member, now)
            assert await work.probe_bounced(list_id, member, now, now)


@pytest_asyncio.fixture
async def team(bench: Bench) -> Team:
    """Create the list."""
    group = new_group()
    people = {name: new_person(f"{name}@example.org") for name in ("alice", "bob", "carol")}
    entries = {"alice": administrator(people["alice"], group)}
    entries |= {name: new_membership(people[name], group.key) for name in ("bob", "carol")}
    history = await bench.create(group, *entries.values(), authorised=people["alice"])
    return Team(bench, history, people, entries)


@pytest.mark.asyncio
async def test_who_was_suspended_gets_what_was_missed_and_nobody_else_does(team: Team) -> None:
    await team.post(b"one")
    await team.update("carol", Status.SUSPENDED)
    await team.post(b"two")
    assert await team.bench.waiting() == 0
    await team.update("carol", Status.ACTIVE)
    assert (team.got("bob"), team.got("carol")) == ([b"one", b"two"], [b"one"])
    assert await team.redelivered("carol") == 2
    assert sorted(team.got("carol")) == [b"one", b"one", b"two"]
    assert team.got("bob") == team.got("alice") == [b"one", b"two"]


@pytest.mark.asyncio
async def test_only_what_came_since_then_is_sent(team: Team) -> None:
    await team.post(b"one")
    team.bench.clock.advance(timedelta(hours=1))
    await team.post(b"two")
    assert await team.redelivered("carol", NOW + timedelta(hours=1)) == 1
    assert team.got("carol") == [b"one", b"two", b"two"]
    assert await team.redelivered("carol", NOW + timedelta(seconds=1)) == 1
    assert await team.redelivered("carol", NOW) == 2
    assert await team.redelivered("carol", datetime.min.replace(tzinfo=NOW.tzinfo)) == 2
    team.bench.clock.advance(timedelta(hours=1))
    assert await team.redelivered("carol", NOW + timedelta(hours=2)) == 0


@pytest.mark.asyncio
async def test_what_is_on_its_way_is_not_sent_twice(team: Team) -> None:
    await team.post()
    counts = [await team.redeliver("carol") for _ in range(2)]
    assert counts == [RedeliverResponse(posts=1), RedeliverResponse(posts=0)]
    await team.bench.relay_all()
    assert team.got("carol") == [CONTENT, CONTENT]
    envelope = sealed(team.history.group.key.public, content=b"new")
    assert (await team.bench.post(mail(envelope.mmx()))).code == 250
    assert await team.redelivered("carol", EARLIER) == 1  # the old one: the new one is to come
    assert sorted(team.got("carol")) == [CONTENT, CONTENT, CONTENT, b"new"]


@pytest.mark.asyncio
async def test_the_relay_is_woken_only_if_there_is_something_to_send(team: Team) -> None:
    await team.post()
    team.bench.clock.advance(timedelta(hours=1))
    for since, posts in ((NOW, 1), (NOW + timedelta(hours=1), 0)):
        team.bench.posting.arrived.clear()
        assert await team.redelivered("carol", since) == posts
        assert team.bench.posting.arrived.is_set() is bool(posts)


@pytest.mark.asyncio
async def test_it_is_no_change_of_the_group(team: Team) -> None:
    await team.post()
    await team.redelivered("carol")
    answer = await team.ask(GetGroup(group_id=TEAM))
    assert isinstance(answer, GetGroupResponse)
    assert answer.head == team.history.state.head


@pytest.mark.asyncio
async def test_nothing_is_sent_to_who_is_not_to_have_it(team: Team) -> None:
    await team.post()
    message = Redeliver(group_id=TEAM, recrypt_udf=new_person(TEAM).udf, since=NOW)
    assert said(await team.ask(message)) == (
        404,
        "Refused: no member of the group has that RecryptUDF: fetch its members.",
    )
    for status in (Status.SUSPENDED, Status.REVOKED):
        await team.update("carol", status)
        assert said(await team.redeliver("carol")) == (
            409,
            "Refused: only an ACTIVE member with RECRYPT can be sent anything:"
            " resume the member first.",
        )
    assert await team.bench.waiting() == 0


@pytest.mark.asyncio
async def test_who_is_suspended_meanwhile_gets_nothing(team: Team) -> None:
    await team.post()
    assert await team.redeliver("carol") == RedeliverResponse(posts=1)
    await team.update("carol", Status.SUSPENDED)
    await team.bench.relay_all()
    assert team.got("carol") == [CONTENT]
    assert await team.bench.waiting() == 0


@pytest.mark.asyncio
async def test_who_has_no_entry_for_a_posts_key_is_not_sent_it(team: Team) -> None:
    await team.post()
    await team.update("carol", Status.REVOKED)
    entry = new_membership(team.people["carol"])
    await team.bench.restate(team.history, team.people["alice"], entry)
    assert await team.redelivered("carol") == 0


@pytest.mark.asyncio
async def test_who_joins_later_is_sent_earlier_posts_if_an_administrator_asks(team: Team) -> None:
    await team.post()
    dave = team.people["dave"] = new_person("dave@example.org")
    entry = new_membership(dave, team.history.group.key)
    change = team.history.sign(team.history.add_message(entry), team.people["alice"].online)
    await team.bench.change(change, entry, history=team.history)
    await team.bench.relay_all()
    assert team.got("dave") == []
    assert await team.redelivered("dave") == 1
    assert team.got("dave") == [CONTENT]


@pytest.mark.asyncio
async def test_a_time_in_the_future_is_refused(team: Team) -> None:
    answer = await team.redeliver("carol", NOW + timedelta(seconds=1))
    words = "Malformed: a Since in the future: check this machine's clock."
    assert said(answer) == (400, words)


@pytest.mark.asyncio
async def test_posts_are_kept_for_as_long_as_policy_says(team: Team) -> None:
    await team.post()
    days = Policy().keep
    team.bench.clock.advance(timedelta(days=days, seconds=-1))
    assert await team.redelivered("carol") == 1
    team.bench.clock.advance(timedelta(seconds=2))
    async with team.bench.store.begin() as work:
        assert not await work.erase_old(team.bench.clock.now())
    assert await team.redelivered("carol") == 0
    assert team.got("carol") == [CONTENT, CONTENT]


async def undeliverable(team: Team, limit: int = 100) -> list[Udf]:
    found: list[Udf] = []
    after: Udf | None = None
    while True:
        answer = await team.ask(GetGroup(group_id=TEAM, after=after, limit=limit))
        assert isinstance(answer, GetGroupResponse)
        page = [each.recrypt_udf for each in answer.recryption_group.members]
        assert set(answer.undeliverable) <= set(page)
        found += answer.undeliverable
        if answer.next is None:
            return found
        after = page[-1]


@pytest.mark.asyncio
async def test_whose_mail_is_off_is_shown_until_an_update_turns_it_on(team: Team) -> None:
    assert await undeliverable(team) == []
    await team.turn_off("carol")
    for limit in (1, 2, 100):
        assert await undeliverable(team, limit) == [team.people["carol"].udf]
    await team.post()
    assert team.got("carol") == []
    assert said(await team.redeliver("carol")) == (
        409,
        "Refused: mail to the member is off after bounces: resume the member first.",
    )
    await team.update("carol", Status.ACTIVE)
    assert await undeliverable(team) == []
    assert await team.redelivered("carol") == 1
    assert team.got("carol") == [CONTENT]


@pytest.mark.asyncio
async def test_a_peer_that_puts_off_an_old_post_is_tried_again(team: Team) -> None:
    await team.post()
    team.bench.clock.advance(timedelta(days=10))
    carol = team.people["carol"].address
    team.bench.courier.script(carol, Refused(Phase.RCPT, 450, "4.7.1 greylisted"))
    assert await team.redelivered("carol") == 1
    assert (len(team.got("carol")), await team.bench.waiting()) == (2, 1)
    team.bench.clock.advance(timedelta(minutes=5))
    await team.bench.relay_all()
    assert (len(team.got("carol")), await team.bench.waiting()) == (3, 0)


@pytest.mark.asyncio
async def test_an_old_post_that_is_sent_late_has_its_five_days(team: Team) -> None:
    await team.post()
    team.bench.clock.advance(timedelta(days=10))
    begun, later = team.bench.clock.now(), Refused(Phase.RCPT, 450, "4.7.1 greylisted")
    team.bench.courier.script(team.people["carol"].address, *[later] * 99)
    assert await team.redelivered("carol") == 1
    while await team.bench.waiting():
        team.bench.clock.advance(await team.bench.delivering.pause())
        await team.bench.relay_all()
    assert LIFETIME <= team.bench.clock.now() - begun < LIFETIME + QUEUE_PATIENCE


@pytest.mark.asyncio
async def test_a_post_that_was_given_up_is_sent_late(team: Team) -> None:
    carol = team.people["carol"].address
    team.bench.courier.script(carol, Refused(Phase.RCPT, 550, "5.1.1 no such user"))
    await team.post()
    assert await team.bench.waiting() == 0
    assert await team.redelivered("carol") == 1
    assert team.got("carol") == [CONTENT, CONTENT]
    assert team.got("bob") == [CONTENT]


@pytest.mark.asyncio
async def test_an_entry_that_has_grown_since_fits_a_late_copy(team: Team) -> None:
    await team.post()
    many = team.people["dave"] = new_person("dave@example.org", devices=32)
    entry = new_membership(many, team.history.group.key)
    change = team.history.sign(team.history.add_message(entry), team.people["alice"].online)
    await team.bench.change(change, entry, history=team.history)
    assert await team.redelivered("dave") == 1
    assert team.got("dave") == [CONTENT]
