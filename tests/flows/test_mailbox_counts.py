"""What a stranger can have sent to one mailbox on a day, by however many names, and to a domain."""

import pytest

from listserver.addresses import Role, mailbox_of, parse_address
from listserver.limits import ANSWERS_PER_ADDRESS, JOIN_LETTERS, JOINS_PER_SIGNER
from tests.builders import new_person
from tests.fakes import Bench
from tests.flows.test_front_desk import handed_in, letter, with_file
from tests.returned import new_trio


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("Victim+tag@Example.org", "victim@example.org"),
        ("victim+a+b@example.org", "victim@example.org"),
        ("victim@example.org", "victim@example.org"),
        ("+tag@example.org", "+tag@example.org"),
    ],
)
def test_a_mailbox_is_an_address_without_what_follows_a_plus(address: str, expected: str) -> None:
    assert mailbox_of(parse_address(address)) == expected


@pytest.mark.asyncio
async def test_one_mailbox_has_no_more_letters_by_many_names(bench: Bench) -> None:
    await new_trio(bench)
    sent = 0
    for each in range(JOIN_LETTERS + 2):
        person = new_person(f"Dave+{each}@example.org")
        host = f"erin@{each}.example"
        sent += len(await handed_in(bench, Role.SUBSCRIBE, with_file(person.signed), sender=host))
    assert sent == JOIN_LETTERS


@pytest.mark.asyncio
async def test_one_mailbox_asks_no_more_often_by_many_names(bench: Bench) -> None:
    await new_trio(bench)
    sent = 0
    for each in range(JOINS_PER_SIGNER + 2):
        file = with_file(new_person(f"dave@{each}.example").signed)
        sent += len(await handed_in(bench, Role.SUBSCRIBE, file, sender=f"zoe+{each}@example.org"))
    assert sent == JOINS_PER_SIGNER


@pytest.mark.asyncio
async def test_one_mailbox_has_no_more_answers_by_many_names(bench: Bench) -> None:
    await new_trio(bench)
    sent = 0
    for each in range(ANSWERS_PER_ADDRESS + 2):
        sender = f"dave+{each}@example.org"
        sent += len(await handed_in(bench, Role.KEY, letter(), sender=sender))
    assert sent == ANSWERS_PER_ADDRESS


@pytest.mark.asyncio
async def test_a_domain_has_so_many_letters_to_those_who_ask_in(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listserver.join_bounds.JOIN_LETTERS_PER_DOMAIN", 2)
    await new_trio(bench)
    sent = []
    for name in ("dave@example.org", "erin@EXAMPLE.org", "frank@example.org", "dave@example.com"):
        file = with_file(new_person(name).signed)
        sent.append(len(await handed_in(bench, Role.SUBSCRIBE, file, sender=f"x{name}")))
    assert sent == [1, 1, 0, 1]
