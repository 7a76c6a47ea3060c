"""Who takes a mail: by its address alone, and nothing that is no post is ever answered."""

import pytest

from listserver import replies
from listserver.addresses import ListAddress, Role
from listserver.replies import Reply
from tests.fakes import Bench
from tests.mails import mail, sealed
from tests.returned import ALICE, BOB, Trio, new_trio, path_of, report

KNOWN = "team"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("role", "name", "reply"),
    [
        (Role.POST, KNOWN, replies.RECIPIENT_OK),
        (Role.POST, "other", replies.NO_SUCH_LIST),
        (Role.BOUNCES, KNOWN, replies.RECIPIENT_OK),
        (Role.BOUNCES, "other", replies.NO_SUCH_LIST),
        (Role.OPERATOR, "abuse", replies.RECIPIENT_OK),
        *((role, KNOWN, replies.NO_SUCH_LIST) for role in (
            Role.REQUEST, Role.SUBSCRIBE, Role.UNSUBSCRIBE, Role.CONFIRM, Role.OWNER, Role.KEY)),
    ],
)  # fmt: skip
async def test_rcpt_is_answered_by_the_address_alone(
    bench: Bench, role: Role, name: str, reply: Reply
) -> None:
    await new_trio(bench)
    assert await bench.receiving.recipient(ListAddress(name, role)) == reply
    if reply is replies.NO_SUCH_LIST and role is not Role.POST and name == KNOWN:
        said = await bench.receiving.receive(b"\r\n", ListAddress(name, role), null_sender=False)
        assert said == reply


async def taken(bench: Bench, trio: Trio, null_sender: bool, fields: tuple[str, ...]) -> list[str]:
    """Post with these fields, and tell to whom mail went."""
    raw = mail(sealed(trio.team.key.public).mmx(), fields=fields)
    to = ListAddress(KNOWN, Role.POST)
    assert (await bench.receiving.receive(raw, to, null_sender=null_sender)).positive
    await bench.relay_all()
    await bench.keep_house()
    return sorted({each.recipient for each in bench.courier.sent})


@pytest.mark.asyncio
@pytest.mark.parametrize("null_sender", [False, True])
async def test_a_null_sender_and_what_answers_by_itself_are_never_answered(
    bench: Bench, null_sender: bool
) -> None:
    trio = await new_trio(bench)
    to = await taken(bench, trio, null_sender, ("Auto-Submitted: auto-replied",))
    assert to == ([] if null_sender else [ALICE, BOB, "carol@example.org"])
    assert await bench.count("letters") == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("token", [None, "x", "a" * 26])
async def test_a_report_to_any_bounce_address_is_taken_with_the_same_words(
    bench: Bench, token: str | None
) -> None:
    await new_trio(bench)
    to = ListAddress(KNOWN, Role.BOUNCES, token)
    for null_sender in (True, False):
        said = await bench.receiving.receive(report("5.1.1"), to, null_sender=null_sender)
        assert said == replies.ACCEPTED
    assert await bench.count("bounces") == await bench.count("letters") == 0


@pytest.mark.asyncio
async def test_a_report_is_read_from_the_bounce_address_only(bench: Bench) -> None:
    await new_trio(bench)
    path = path_of(bench, 1, 1)
    to = ListAddress(KNOWN, Role.POST, path.partition("+")[2].partition("@")[0])
    said = await bench.receiving.receive(report("5.1.1"), to, null_sender=True)
    assert said == replies.ACCEPTED
    assert ("mail-discarded", {}) in bench.log.events
