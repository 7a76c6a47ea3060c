"""Who takes a mail: by its address alone; what is no post is answered as `test_front_desk` says."""

import pytest

from listserver import replies
from listserver.addresses import ListAddress, Role
from listserver.replies import Reply
from tests.fakes import Bench
from tests.mails import mail, sealed
from tests.returned import ALICE, BOB, Trio, new_trio, path_of, report

KNOWN = "team@lists.example"
ZOE = "zoe@example.org"


@pytest.mark.asyncio
@pytest.mark.parametrize("role", Role)
async def test_rcpt_is_answered_by_the_address_alone(bench: Bench, role: Role) -> None:
    await new_trio(bench)
    assert await bench.receiving.recipient(ListAddress(KNOWN, role)) == replies.RECIPIENT_OK


@pytest.mark.asyncio
@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OPERATOR])
async def test_all_addresses_of_a_list_that_is_not_there_are_refused_in_one_wording(
    bench: Bench, role: Role
) -> None:
    await new_trio(bench)
    assert (
        await bench.receiving.recipient(ListAddress("other@lists.example", role))
        == replies.NO_SUCH_LIST
    )


async def taken(bench: Bench, trio: Trio, sender: str, fields: tuple[str, ...]) -> list[str]:
    """Post with these fields, and tell to whom mail went."""
    raw = mail(sealed(trio.team.key.public).mmx(), fields=fields)
    to = ListAddress(KNOWN, Role.POST)
    assert (await bench.receiving.receive(raw, to, sender=sender)).positive
    await bench.relay_all()
    await bench.keep_house()
    return sorted({each.recipient for each in bench.courier.sent})


@pytest.mark.asyncio
@pytest.mark.parametrize("sender", [ZOE, ""])
async def test_a_null_sender_and_what_answers_by_itself_are_never_answered(
    bench: Bench, sender: str
) -> None:
    trio = await new_trio(bench)
    to = await taken(bench, trio, sender, ("Auto-Submitted: auto-replied",))
    assert to == ([ALICE, BOB, "carol@example.org"] if sender else [])
    assert await bench.count("letters") == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("token", [None, "x", "a" * 26])
async def test_a_report_to_any_bounce_address_is_taken_with_the_same_words(
    bench: Bench, token: str | None
) -> None:
    await new_trio(bench)
    to = ListAddress(KNOWN, Role.BOUNCES, token)
    for sender in ("", ZOE):
        said: Reply = await bench.receiving.receive(report("5.1.1"), to, sender=sender)
        assert said == replies.ACCEPTED
    assert await bench.count("bounces") == await bench.count("letters") == 0


@pytest.mark.asyncio
async def test_a_report_is_read_from_the_bounce_address_only(bench: Bench) -> None:
    await new_trio(bench)
    path = path_of(bench, 1, 1)
    to = ListAddress(KNOWN, Role.POST, path.partition("+")[2].partition("@")[0])
    said = await bench.receiving.receive(report("5.1.1"), to, sender="")
    assert said == replies.ACCEPTED
    assert ("mail-discarded", {}) in bench.log.events
