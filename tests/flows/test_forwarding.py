"""Mail to postmaster and abuse: passed on as it came, with bounds, never in a circle."""

from email.utils import format_datetime

import pytest

from listserver import limits, replies
from listserver.addresses import ListAddress, parse_address, read_list_address
from listserver.forwarding import Forwarding
from listserver.model import House
from listserver.posts import HOPS
from listserver.replies import Reply
from tests.builders import NOW, URL
from tests.fakes import OPERATOR, Bench

RAW = b"From: zoe@example.org\r\nSubject: =?utf-8?q?Spam?=\r\n\r\n.\r\nIt is \xe4 trap.\r\n"
MANY = (
    "INSERT INTO letters WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
    " WHERE i < {count}) SELECT i, 0, 0, 0, 0, 4000000000, NULL, x'00' FROM n"
)


async def handed_in(bench: Bench, raw: bytes = RAW, *, to: str = "abuse") -> Reply:
    """Send a mail from nobody, as a report of trouble may be."""
    address = read_list_address(parse_address(f"{to}@lists.example"), "lists.example")
    assert address is not None
    assert await bench.receiving.recipient(address) == replies.RECIPIENT_OK
    return await bench.receiving.receive(raw, address, null_sender=True)


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
async def test_while_ten_thousand_wait_mail_is_put_off_and_notices_are_not(bench: Bench) -> None:
    async with bench.store.begin():
        await bench.store._rows.run(MANY.format(count=limits.OPERATOR_LETTERS - 1))
    assert await handed_in(bench) == replies.ACCEPTED
    assert await handed_in(bench) == replies.NO_ROOM
    assert replies.NO_ROOM.code == 452
    assert limits.LETTERS > limits.OPERATOR_LETTERS == 10_000
    assert await bench.count("letters") == limits.OPERATOR_LETTERS


def test_a_list_cannot_have_the_operators_address() -> None:
    assert isinstance(
        read_list_address(parse_address("abuse+x@lists.example"), "lists.example"), ListAddress
    )
