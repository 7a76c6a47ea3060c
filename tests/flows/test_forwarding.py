"""Mail to postmaster and abuse: passed on as it came, with bounds, never in a circle."""

from datetime import timedelta
from email.utils import format_datetime
from typing import Final

import pytest

from listserver import limits, replies
from listserver.addresses import ListAddress, parse_address, read_list_address
from listserver.edges.sqlite_held import HeldLetter
from listserver.edges.sqlite_upkeep import open_upkeep
from listserver.forwarding import Forwarding
from listserver.model import House, Letter, LetterId, LetterKind
from listserver.outcomes import Phase, Refused
from listserver.posts import HOPS
from listserver.replies import Reply
from tests.builders import NOW, URL
from tests.fakes import OPERATOR, Bench

RAW = b"From: zoe@example.org\r\nSubject: =?utf-8?q?Spam?=\r\n\r\n.\r\nIt is \xe4 trap.\r\n"
OCTETS: Final = len(f"Received: by lists.example;\r\n\t{format_datetime(NOW)}\r\n".encode() + RAW)
MANY = (
    "INSERT INTO letters (id, state, attempts, faults, made, due, sealed, kind)"
    " WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
    " WHERE i < ?) SELECT i, 0, 0, 0, 0, 4000000000, x'00', ? FROM n"
)


async def handed_in(bench: Bench, raw: bytes = RAW, *, to: str = "abuse") -> Reply:
    """Send a mail from nobody, as a report of trouble may be."""
    address = read_list_address(parse_address(f"{to}@lists.example"), ("lists.example",))
    assert address is not None
    assert await bench.receiving.recipient(address) == replies.RECIPIENT_OK
    return await bench.receiving.receive(raw, address, sender="")


@pytest.mark.asyncio
@pytest.mark.parametrize("to", ["postmaster", "abuse", "Postmaster"])
async def test_it_goes_on_as_it_came_behind_one_trace_field(bench: Bench, to: str) -> None:
    assert await handed_in(bench, to=to) == replies.ACCEPTED
    assert b"trap" not in bench.octets_on_disk()
    await bench.carry_letters()
    (sent,) = bench.courier.sent
    trace = f"Received: by lists.example;\r\n\t{format_datetime(NOW)}\r\n".encode()
    assert sent.parts == (trace + RAW.replace(b"\r\n.", b"\r\n.."),)
    assert (sent.return_path, sent.recipient, sent.eight_bit) == ("", OPERATOR, True)


@pytest.mark.asyncio
async def test_an_operator_at_this_domain_has_no_mailbox_here(bench: Bench) -> None:
    house = House("lists.example", URL, 10**6, operator=None)
    nobody = Forwarding(house, bench.store, bench.clock, bench.log, written=lambda: None)
    assert nobody.recipient() == await nobody.receive(RAW) == replies.NO_OPERATOR
    assert replies.NO_OPERATOR.code == 550


@pytest.mark.asyncio
@pytest.mark.parametrize("more", [0, 1])
async def test_a_mail_in_a_circle_is_refused(bench: Bench, more: int) -> None:
    raw = b"received: by a.example\r\n" * (HOPS + more) + RAW + b"Received: below\r\n" * 9
    assert await handed_in(bench, raw) == (replies.LOOP if more else replies.ACCEPTED)
    assert await bench.count("letters") == 1 - more


@pytest.mark.asyncio
@pytest.mark.parametrize("more", [0, 1])
async def test_a_mail_of_over_a_mebibyte_is_refused(bench: Bench, more: int) -> None:
    raw = RAW.ljust(limits.LETTER_OCTETS + more - 2, b"x") + b"\r\n"
    assert (await handed_in(bench, raw)).code == (552 if more else 250)


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", LetterKind)
async def test_while_ten_thousand_wait_it_is_put_off_but_not_for_other_letters(
    bench: Bench, kind: LetterKind
) -> None:
    async with bench.store.begin():
        await bench.store._rows.run(MANY, (limits.LETTERS - 1, kind.value))
    assert await handed_in(bench) == replies.ACCEPTED
    full = kind is LetterKind.OPERATOR
    assert await handed_in(bench) == (replies.NO_ROOM if full else replies.ACCEPTED)
    assert replies.NO_ROOM.code == 452
    assert limits.LETTERS == 10_000


@pytest.mark.asyncio
async def test_it_goes_out_before_all_other_letters(bench: Bench) -> None:
    notice = Letter("bob@example.org", "", b"x")
    for _ in range(30):
        async with bench.store.begin() as work:
            await work.enqueue_letter(notice, NOW)
    assert await handed_in(bench) == replies.ACCEPTED
    await bench.carry_letters()
    assert bench.courier.sent[0].recipient == OPERATOR


@pytest.mark.asyncio
async def test_what_is_given_up_is_held_and_can_be_tried_again_or_dropped(bench: Bench) -> None:
    bench.courier.script(OPERATOR, *[Refused(Phase.CONTENT, 552, "5.2.2 zoe: full")] * 2)
    for _ in range(2):
        assert await handed_in(bench) == replies.ACCEPTED
    await bench.carry_letters()
    first, second = (
        HeldLetter(LetterId(1), NOW, OCTETS, 552),
        HeldLetter(LetterId(2), NOW, OCTETS, 552),
    )
    later = NOW + timedelta(days=9)
    with open_upkeep(bench.file, bench.vault) as store:
        assert store.letters.all() == (first, second)
        assert (store.letters.retry(LetterId(2), later), store.letters.drop(LetterId(2))) == (1, 0)
        assert store.letters.all() == (first,)
        assert store.letters.retry(LetterId(2), later) == 0
    bench.clock.advance(timedelta(days=9))
    bench.courier.script(OPERATOR, Refused(Phase.CONTENT, 451, "4.2.2 full"))
    await bench.carry_letters()
    with open_upkeep(bench.file, bench.vault) as store:
        assert store.letters.all() == (first,)  # the other has its days anew
        assert (store.letters.drop(None), store.letters.all()) == (1, ())
    bench.clock.advance(timedelta(hours=1))
    await bench.carry_letters()
    assert len(bench.courier.sent) == 4
    assert await bench.count("letters") == 0


def test_a_list_cannot_have_the_operators_address() -> None:
    assert isinstance(
        read_list_address(parse_address("abuse+x@lists.example"), ("lists.example",)), ListAddress
    )
