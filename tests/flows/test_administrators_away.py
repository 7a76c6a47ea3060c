"""Who administers a list and has no mail of it by its own wish is written to by nobody else's."""

import pytest

from listserver.addresses import Role
from recrypt_core.moderation import Decision
from recrypt_core.policy import Policy, PostRight
from recrypt_core.wishes import Mail, SetMail
from tests.builders import TEAM
from tests.fakes import Bench
from tests.flows.test_front_desk import handed_in, letter
from tests.lists import said
from tests.moderated import House


async def wish(house: House, name: str, mail: Mail) -> None:
    """Let a member say what mail it wants."""
    message = SetMail(group_name=TEAM, profile=house.people[name].signed, mail=mail)
    assert said(await house.ask(message, name))[0] == 201


@pytest.mark.parametrize("mail", [Mail.LEFT, Mail.PAUSED], ids=["left", "paused"])
@pytest.mark.asyncio
async def test_who_wants_no_mail_has_no_notices_and_no_mail_to_the_owner(
    bench: Bench, mail: Mail
) -> None:
    house = House(bench)
    await house.found(Policy(post=PostRight.MODERATED))
    assert {each.recipient for each in await handed_in(bench, Role.OWNER, letter())} == {
        "alice@example.org",
        "bob@example.org",
    }
    await wish(house, "bob", mail)
    sent = await handed_in(bench, Role.OWNER, letter())
    assert {each.recipient for each in sent} == {"alice@example.org"}
    await house.post("carol")
    await bench.keep_house()
    assert "bob" not in house.got()
    await wish(house, "bob", Mail.ON)
    sent = await handed_in(bench, Role.OWNER, letter())
    assert "bob@example.org" in {each.recipient for each in sent}


@pytest.mark.asyncio
async def test_where_all_who_administer_want_no_mail_all_have_what_they_must_know(
    bench: Bench,
) -> None:
    house = House(bench)
    await house.found(Policy())
    for name in ("alice", "bob"):
        await wish(house, name, Mail.PAUSED)
    assert len(await handed_in(bench, Role.OWNER, letter())) == 2


@pytest.mark.parametrize(("mail", "letters"), [(Mail.ON, 1), (Mail.PAUSED, 1), (Mail.LEFT, 0)])
@pytest.mark.asyncio
async def test_who_has_left_is_not_told_that_a_post_was_rejected(
    bench: Bench, mail: Mail, letters: int
) -> None:
    house = House(bench)
    await house.found(Policy(post=PostRight.MODERATED))
    await house.post("carol")
    await wish(house, "carol", mail)
    bench.courier.sent.clear()
    assert (await house.decide(1, Decision.REJECT))[0] == 201
    await bench.carry_letters()
    assert house.got() == ["carol"] * letters
