"""No list and no domain takes all of a room that is for all: each leaves some to the others."""

from datetime import timedelta

import pytest

from listserver import replies
from listserver.addresses import ListAddress, Role, parse_address, site_of
from listserver.limits import INVITATION_LETTERS, INVITED_DAYS, OWNER_MAILS_PER_SENDER
from listserver.model import LetterId, LetterKind, LetterRecord, MemberId, PostId
from listserver.outcomes import Delivered
from listserver.replies import Reply
from listserver.store import QueueFull
from listserver.tokens import LeaveToken, write_token
from recrypt_core.documents import JoinAnswer, sign_join
from recrypt_core.messages import ConfirmJoin, JoinGroup, write_message
from tests.builders import TEAM, Person, new_group, new_membership, new_person
from tests.fakes import Bench, administrator
from tests.flows.test_inviting import inviting, mailed, send
from tests.flows.test_owner_mail import PLEA
from tests.lists import said
from tests.returned import BOB, CAROL, Trio, member_row, new_trio, sent_to, words_of

DAY = timedelta(days=1)
OTHER = "other@lists.example"
LETTERS = "listserver.edges.sqlite_letters.LETTERS"


async def founded(bench: Bench) -> Trio:
    """Create two lists: of Alice, Bob and Carol, and another of Alice's."""
    trio = await new_trio(bench)
    other = new_group(OTHER)
    await bench.create(other, administrator(trio.alice, other), authorised=trio.alice)
    return trio


async def handed_in(bench: Bench, to: str, role: Role, sender: str, raw: bytes = PLEA) -> Reply:
    """Send a mail to an address of a list."""
    return await bench.receiving.receive(raw, ListAddress(to, role), sender=sender)


async def asked(bench: Bench, person: Person, to: str = TEAM) -> int:
    """Ask to join; give the status."""
    message = JoinGroup(group_name=to, account_name=person.address, profile=person.signed)
    return (await send(bench, message, person)).status


async def answered(bench: Bench, trio: Trio, person: Person) -> tuple[int, str]:
    """Ask to join, and send the token back."""
    await bench.carry_letters()
    bench.courier.sent.clear()
    assert await asked(bench, person) == 201
    await bench.carry_letters()
    token = words_of(sent_to(bench, person.address)[-1], person).partition("Token: ")[2].split()[0]
    answer = JoinAnswer(
        group_identifier=trio.team.group.master.udf,
        token=token,
        account_name=person.address,
        identifier=person.udf,
    )
    body = write_message(ConfirmJoin(answer=sign_join(answer, person.online)))
    _, response = await bench.transactions.answer(body, signed=False)
    return said(response)


@pytest.mark.parametrize(
    ("address", "site"),
    [
        ("a@example.org", "example.org"),
        ("a@b.c.Example.org", "example.org"),
        ("a@mail.example.co.uk", "example.co.uk"),
        ("a@example.ac.at", "example.ac.at"),
        ("a@co.uk", "co.uk"),
        ("a@localhost", "localhost"),
    ],
)
def test_a_site_is_what_somebody_has_registered(address: str, site: str) -> None:
    assert site_of(parse_address(address)) == site


@pytest.mark.asyncio
async def test_no_lists_mail_to_its_owners_takes_the_room_of_anothers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await founded(bench)
    monkeypatch.setattr(LETTERS, 6)
    got = [await handed_in(bench, TEAM, Role.OWNER, "zoe@example.org") for _ in range(5)]
    assert got == [replies.ACCEPTED] * 3 + [replies.NO_ROOM] * 2
    assert await handed_in(bench, OTHER, Role.OWNER, "zoe@example.org") == replies.ACCEPTED


@pytest.mark.asyncio
async def test_what_finds_no_room_uses_up_nobodys_mails_to_owners(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await founded(bench)
    monkeypatch.setattr(LETTERS, 4)
    monkeypatch.setattr("listserver.owner_mail.OWNER_MAILS_PER_SENDER", 3)

    async def handed() -> Reply:
        return await handed_in(bench, TEAM, Role.OWNER, "zoe@example.org")

    assert [await handed() for _ in range(5)] == [replies.ACCEPTED] * 2 + [replies.NO_ROOM] * 3
    await bench.carry_letters()
    assert [await handed() for _ in range(2)] == [replies.ACCEPTED, replies.OWNERS_BUSY]


@pytest.mark.asyncio
async def test_its_octets_leave_room_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await founded(bench)
    monkeypatch.setattr("listserver.edges.sqlite_letters.LETTERS_OCTETS", 1_000_000)
    large = PLEA + b"x" * 200_000 + b"\r\n"
    got = [
        await handed_in(bench, to, Role.OWNER, "zoe@example.org", large)
        for to in (TEAM, TEAM, OTHER, OTHER)
    ]
    assert got == [replies.ACCEPTED, replies.NO_ROOM, replies.ACCEPTED, replies.NO_ROOM]


@pytest.mark.asyncio
async def test_no_lists_askers_answers_and_invitations_take_the_room_of_anothers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    trio = await founded(bench)
    monkeypatch.setattr(LETTERS, 3)
    people = [new_person(f"{name}@{name}.example") for name in ("dave", "erin", "frank")]
    assert [await asked(bench, each) for each in people] == [201, 503, 503]
    assert await asked(bench, people[0], OTHER) == 201
    for sender in (*people, people[0]):
        for to in (TEAM, OTHER):
            assert await handed_in(bench, to, Role.REQUEST, sender.address) == replies.ACCEPTED
    counts = [
        (await send(bench, inviting(trio, each.address), trio.alice)).status for each in people
    ]
    assert counts == [201, 503, 503]
    kinds = "SELECT kind, count(DISTINCT list_id), count(*) FROM letters GROUP BY kind"
    assert {*await bench.rows(kinds)} == {
        (LetterKind.JOIN.value, 2, 2),
        (LetterKind.ANSWER.value, 2, 2),
        (LetterKind.INVITATION.value, 1, 1),
    }


@pytest.mark.asyncio
async def test_one_domain_uses_up_neither_a_lists_letters_nor_its_mails_to_owners(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listserver.join_bounds.JOINS_PER_DOMAIN", 2)
    monkeypatch.setattr("listserver.join_bounds.JOINS_PER_LIST", 3)
    monkeypatch.setattr("listserver.owner_mail.OWNER_MAILS_PER_DOMAIN", 2)
    monkeypatch.setattr("listserver.owner_mail.OWNER_MAILS_PER_LIST", 3)
    await founded(bench)
    people = [new_person(f"x@{at}.mallory.example") for at in range(4)]
    people += [new_person("dave@example.org"), new_person("erin@example.com")]
    assert [await asked(bench, each) for each in people] == [201, 201, 429, 429, 201, 429]
    assert await bench.count("letters") == 3
    got = [(await handed_in(bench, TEAM, Role.OWNER, each.address)).code for each in people]
    assert got == [250, 250, 450, 450, 250, 450]
    assert await handed_in(bench, OTHER, Role.OWNER, people[0].address) == replies.ACCEPTED


@pytest.mark.asyncio
async def test_a_large_profile_counts_as_several_as_it_is_kept_until_it_is_answered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listserver.join_bounds.JOINS_PER_LIST", 4)
    monkeypatch.setattr("listserver.join_bounds.JOIN_OCTETS", 1000)
    await founded(bench)
    large, small = new_person("dave@example.org", devices=20), new_person("erin@example.org")
    assert len(small.signed.payload) < 1000 < 3000 < len(large.signed.payload)
    assert [await asked(bench, each) for each in (small, large, small)] == [201, 429, 201]
    assert await bench.count("joins") == 2


@pytest.mark.asyncio
async def test_of_one_domain_only_some_wait_but_who_was_invited_does(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listserver.join_bounds.JOINS_WAITING_PER_DOMAIN", 1)
    monkeypatch.setattr("listserver.join_bounds.JOINS_WAITING", 2)
    trio = await founded(bench)
    first, second, third = (new_person(f"x@{at}.mallory.example") for at in range(3))
    dave, erin = new_person("dave@example.org"), new_person("erin@example.com")
    assert (await answered(bench, trio, first))[0] == 201
    of_domain = await answered(bench, trio, second)
    assert of_domain[0] == 429
    assert (await answered(bench, trio, dave))[0] == 201
    assert await answered(bench, trio, erin) == of_domain
    invite = inviting(trio, second.address, "Erin+list@example.com")
    assert (await send(bench, invite, trio.alice)).status == 201
    assert (await answered(bench, trio, second))[0] == 201
    assert (await answered(bench, trio, erin))[0] == 201
    assert (await send(bench, inviting(trio, third.address), trio.alice)).status == 201


@pytest.mark.asyncio
async def test_an_invitation_passes_for_a_week_and_to_its_own_list(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listserver.join_bounds.JOINS_WAITING", 0)
    trio = await founded(bench)
    dave = new_person("dave@example.org")
    assert (await answered(bench, trio, dave))[0] == 429
    assert (await send(bench, inviting(trio, dave.address), trio.alice)).status == 201
    bench.clock.advance((INVITED_DAYS - 1) * DAY)
    assert (await answered(bench, trio, dave))[0] == 201
    bench.clock.advance(DAY)
    assert (await answered(bench, trio, dave))[0] == 429


@pytest.mark.asyncio
async def test_one_mailbox_by_many_names_has_no_more_invitations_nor_mails_to_owners(
    bench: Bench,
) -> None:
    trio = await founded(bench)
    names = [f"dave+{at}@example.org" for at in range(INVITATION_LETTERS + 1)]
    assert (await send(bench, inviting(trio, *names), trio.alice)).status == 201
    assert len(await mailed(bench, *names)) == INVITATION_LETTERS
    got = [
        (await handed_in(bench, TEAM, Role.OWNER, f"zoe+{at}@example.org")).code
        for at in range(OWNER_MAILS_PER_SENDER + 1)
    ]
    assert got == [250] * OWNER_MAILS_PER_SENDER + [450]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("room", "much"), [("LETTERS", 3), ("LETTERS_OCTETS", 3 * 16_000)], ids=["number", "octets"]
)
async def test_who_leaves_one_list_and_its_notices_wait_for_no_other_list(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, room: str, much: int
) -> None:
    trio = await new_trio(bench)
    other, dave = new_group(OTHER), new_person("dave@example.org")
    entries = (administrator(trio.alice, other), new_membership(dave, other.key))
    await bench.create(other, *entries, authorised=trio.alice)
    others = [row for (row,) in await bench.rows("SELECT id FROM members WHERE list_id = 2")]
    for row in (await member_row(bench, BOB), await member_row(bench, CAROL), *others):
        token = write_token(bench.vault, LeaveToken(PostId(1), MemberId(int(row or 0))))
        await bench.leaving.ask(token)
        bench.clock.advance(timedelta(seconds=1))
    monkeypatch.setattr(f"listserver.edges.sqlite_letters.{room}", much)
    while await bench.leaving.write_some():
        pass
    waiting = "SELECT list_id, count(*) FROM letters GROUP BY list_id ORDER BY list_id"
    assert await bench.rows(waiting) == [(1, 1), (2, 1)]
    bench.clock.advance(8 * DAY)
    await bench.left.make_final()
    async with bench.store.begin() as work:
        await work.record_letters([LetterRecord(LetterId(2), Delivered())], bench.clock.now())
    with pytest.raises(QueueFull):
        await bench.notices.tell()
    assert await bench.rows(waiting) == [(1, 1), (2, 1)]
