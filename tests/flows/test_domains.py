"""Lists at several domains of one server: of one name they are two, apart in all."""

import re
from collections.abc import Sequence

import pytest

from listserver import replies
from listserver.addresses import ListAddress, Role
from listserver.ports import Outgoing
from recrypt_core.messages import JoinGroup
from tests.builders import (
    TEAM,
    URL,
    History,
    Person,
    create_message,
    new_group,
    new_membership,
    new_person,
)
from tests.fakes import OPERATOR, POSTER, SECOND_DOMAIN, Bench, administrator
from tests.lists import Team, new_list_of, said
from tests.mails import mail, message_of, sealed
from tests.returned import ALICE, BOB, CAROL, Trio, back_to, new_trio, post, sent_to

NEWS = f"team@{SECOND_DOMAIN}"
DAVE = "dave@example.org"
ZOE = "zoe@example.org"
LEAVE = re.compile(rb"/u/([a-z2-7]{26})>")


async def founded(bench: Bench) -> tuple[Trio, Team]:
    """Create team@ of Alice, Bob and Carol at the one domain, of Dave and Bob at the other."""
    trio = await new_trio(bench)
    group = new_group(NEWS)
    return trio, await new_list_of(
        bench, group, new_person(DAVE), new_membership(trio.bob, group.key)
    )


async def news(bench: Bench, team: Team, number: int = 1, *, fields: Sequence[str] = ()) -> None:
    """Post to the list at the second domain, and deliver what is due."""
    sent = mail(sealed(team.key.public).mmx(), message_id=f"<{number}@host.example>", fields=fields)
    to = ListAddress(NEWS, Role.POST)
    assert (await bench.receiving.receive(sent, to, sender=POSTER)).positive
    await bench.relay_all()


async def mailed(bench: Bench, to: ListAddress, *, sender: str = ZOE) -> list[Outgoing]:
    """Send a mail to an address; give what is mailed because of it."""
    bench.courier.sent.clear()
    assert await bench.receiving.recipient(to) == replies.RECIPIENT_OK
    raw = b"From: zoe@example.org\r\nSubject: x\r\n\r\nplease help\r\n"
    assert await bench.receiving.receive(raw, to, sender=sender) == replies.ACCEPTED
    await bench.carry_letters()
    return [*bench.courier.sent]


def header(sent: Outgoing) -> bytes:
    """Give a copy's header."""
    return b"".join(sent.parts).partition(b"\r\n\r\n")[0]


@pytest.mark.asyncio
async def test_a_post_goes_to_the_members_of_the_list_at_its_domain_alone(bench: Bench) -> None:
    trio, team = await founded(bench)
    await news(bench, team)
    assert {each.recipient for each in bench.courier.sent} == {DAVE, BOB}
    bench.courier.sent.clear()
    await post(bench, trio.team)
    assert {each.recipient for each in bench.courier.sent} == {ALICE, BOB, CAROL}


@pytest.mark.asyncio
async def test_a_copy_names_its_own_domain_and_the_service_alone(bench: Bench) -> None:
    trio, team = await founded(bench)
    await news(bench, team)
    for each in bench.courier.sent:
        assert b"lists.example" not in header(each).replace(URL.encode(), b"")
        assert each.return_path.startswith("team-bounces+")
        assert each.return_path.endswith(f"@{SECOND_DOMAIN}")
    shown = message_of(b"".join(bench.courier.sent[0].parts))
    assert (shown["From"], shown["To"]) == (f"team <{NEWS}>", NEWS)
    assert shown["List-Id"] == f"<team.{SECOND_DOMAIN}>"
    assert shown["Message-ID"].endswith(f"@{SECOND_DOMAIN}>")
    assert f"<{URL}/l/{NEWS}>" in shown["List-Help"]
    bench.courier.sent.clear()
    await post(bench, trio.team)
    first = message_of(b"".join(bench.courier.sent[0].parts))
    assert f"<{URL}/l/team>" in first["List-Help"]
    assert SECOND_DOMAIN not in str(first)


@pytest.mark.asyncio
async def test_a_message_id_of_the_one_list_is_a_strangers_to_the_other(bench: Bench) -> None:
    trio, team = await founded(bench)
    await post(bench, trio.team)
    theirs = message_of(b"".join(bench.courier.sent[-1].parts))["Message-ID"]
    await news(bench, team, 2, fields=[f"References: {theirs}"])
    references = message_of(b"".join(bench.courier.sent[-1].parts))["References"]
    assert references != theirs
    assert references.endswith(f"@{SECOND_DOMAIN}>")


@pytest.mark.asyncio
async def test_a_post_to_the_key_of_the_one_is_none_to_the_other(bench: Bench) -> None:
    trio, _ = await founded(bench)
    raw = mail(sealed(trio.team.key.public).mmx())
    reply = await bench.receiving.receive(raw, ListAddress(NEWS, Role.POST), sender=POSTER)
    assert (reply.code, reply.enhanced) == (554, "5.6.0")
    assert f"recrypt key {NEWS}" in reply.text
    assert await bench.count("posts") == 0


@pytest.mark.asyncio
async def test_a_bounce_counts_at_its_own_lists_address_alone(bench: Bench) -> None:
    _, team = await founded(bench)
    await news(bench, team)
    (copy,) = sent_to(bench, BOB)
    elsewhere = copy.return_path.replace(SECOND_DOMAIN, "lists.example")
    assert await back_to(bench, elsewhere) == replies.ACCEPTED
    assert await bench.count("bounces") == 0
    assert await back_to(bench, copy.return_path) == replies.ACCEPTED
    assert await bench.count("bounces") == 1


@pytest.mark.asyncio
async def test_who_leaves_the_one_has_mail_of_the_other(bench: Bench) -> None:
    trio, team = await founded(bench)
    await news(bench, team)
    (copy,) = sent_to(bench, BOB)
    token = LEAVE.search(b"".join(copy.parts))
    assert token is not None
    to = ListAddress(NEWS, Role.UNSUBSCRIBE, token[1].decode())
    await mailed(bench, to)
    bench.courier.sent.clear()
    await news(bench, team, 2)
    assert [each.recipient for each in bench.courier.sent] == [DAVE]
    bench.courier.sent.clear()
    await post(bench, trio.team, 3)
    assert {each.recipient for each in bench.courier.sent} == {ALICE, BOB, CAROL}


@pytest.mark.asyncio
async def test_a_list_at_the_one_domain_is_no_list_at_the_other(bench: Bench) -> None:
    await new_list_of(bench, new_group(NEWS), new_person(DAVE))
    for role in set(Role) - {Role.OPERATOR}:
        assert await bench.receiving.recipient(ListAddress(TEAM, role)) == replies.NO_SUCH_LIST


@pytest.mark.asyncio
async def test_the_desk_answers_from_the_lists_own_domain_and_no_list_here(bench: Bench) -> None:
    await founded(bench)
    (answer,) = await mailed(bench, ListAddress(NEWS, Role.REQUEST))
    assert f"<team-request@{SECOND_DOMAIN}>" in header(answer).decode()
    words = b"".join(answer.parts).decode()
    assert f"{URL}/l/{NEWS}" in words
    assert TEAM not in words
    for sender in (TEAM, NEWS, f"abuse@{SECOND_DOMAIN}"):
        assert await mailed(bench, ListAddress(NEWS, Role.REQUEST), sender=sender) == []


@pytest.mark.asyncio
async def test_the_owners_of_a_list_have_its_mail_and_the_operator_all_domains(
    bench: Bench,
) -> None:
    await founded(bench)
    (letter,) = await mailed(bench, ListAddress(NEWS, Role.OWNER))
    assert letter.recipient == DAVE
    assert f"<postmaster@{SECOND_DOMAIN}>" in header(letter).decode()
    (onward,) = await mailed(bench, ListAddress("postmaster@lists.example", Role.OPERATOR))
    assert onward.recipient == OPERATOR


async def joining(bench: Bench, person: Person, group: str) -> tuple[int, str]:
    """Ask to join a list."""
    message = JoinGroup(group_name=group, account_name=person.address, profile=person.signed)
    return said(await bench.ask(message, person))


@pytest.mark.asyncio
async def test_who_asks_to_join_hears_from_that_domain_and_no_list_can(bench: Bench) -> None:
    await founded(bench)
    assert (await joining(bench, new_person(ZOE), NEWS))[0] == 201
    await bench.carry_letters()
    (letter,) = sent_to(bench, ZOE)
    assert f"<postmaster@{SECOND_DOMAIN}>" in header(letter).decode()
    for address in (TEAM, NEWS, f"postmaster@{SECOND_DOMAIN}", f"team-owner@{SECOND_DOMAIN}"):
        assert (await joining(bench, new_person(address), NEWS))[0] == 400


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["team@elsewhere.example", "Team@news.example", "a@ews.example"])
async def test_a_list_is_created_at_a_domain_of_the_server_alone(bench: Bench, name: str) -> None:
    alice, group = new_person(ALICE), new_group(name)
    await bench.authorize(alice)
    entry = administrator(alice, group)
    message = create_message(group, (entry,), alice.online)
    status, words = said(await bench.send(History(group).sign(message, group.master.online), entry))
    assert status == 400
    assert "at lists.example or news.example" in words
