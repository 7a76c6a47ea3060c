"""Mail to who administers a list: sealed to each of them as it arrives, and never in a circle."""

import pytest

from listserver import limits, replies
from listserver.addresses import ListAddress, Role
from listserver.limits import OWNER_MAILS_PER_SENDER
from listserver.ports import Outgoing
from listserver.posts import HOPS
from listserver.replies import Reply
from recrypt_core.documents import Privilege, Status
from tests.builders import Group, Person, new_group, new_membership, new_person
from tests.fakes import Bench
from tests.lists import new_list_of
from tests.mails import MMX, mail, message_of, sealed
from tests.returned import letter_in

OWNER = ListAddress("team@lists.example", Role.OWNER)
ZOE = "zoe@example.org"
PLEA = b"From: zoe@example.org\r\nSubject: Please\r\n\r\nLet \xe4 me in.\r\n"


async def founded(bench: Bench) -> tuple[Group, list[Person]]:
    """Create a list of Alice, SUPER, Bob, ADMIN, Carol, ADMIN but SUSPENDED, and Dave."""
    group = new_group()
    people = [new_person(f"{each}@example.org") for each in ("alice", "bob", "carol", "dave")]
    powers = (Privilege.RECRYPT, Privilege.ADMIN)
    others = [
        new_membership(people[1], group.key, privileges=powers),
        new_membership(people[2], group.key, privileges=powers, status=Status.SUSPENDED),
        new_membership(people[3], group.key),
    ]
    await new_list_of(bench, group, people[0], *others)
    return group, people


async def handed_in(bench: Bench, raw: bytes = PLEA, *, sender: str = ZOE) -> Reply:
    """Send a mail there."""
    assert await bench.receiving.recipient(OWNER) == replies.RECIPIENT_OK
    return await bench.receiving.receive(raw, OWNER, sender=sender)


async def carried(bench: Bench) -> list[Outgoing]:
    """Carry what is queued."""
    bench.courier.sent.clear()
    await bench.carry_letters()
    return sorted(bench.courier.sent, key=lambda each: each.recipient)


@pytest.mark.asyncio
async def test_it_goes_to_each_active_administrator_sealed_and_as_it_came(bench: Bench) -> None:
    _, (alice, bob, _, dave) = await founded(bench)
    assert await handed_in(bench) == replies.ACCEPTED
    letters = await carried(bench)
    assert [each.recipient for each in letters] == [alice.address, bob.address]
    for letter, person in zip(letters, (alice, bob), strict=True):
        assert letter.return_path == ""
        octets = b"".join(letter.parts)
        assert not any(word in octets for word in (b"zoe@", b"Please", b"me in"))
        assert message_of(octets)["Auto-Submitted"] == "auto-generated"
        inner = letter_in(letter.parts, person)
        assert inner["Subject"] == "team: mail to those who administer the list"
        assert inner.get_content_type() == "multipart/mixed"
        assert inner.get_param("hp") == "cipher"
        _, text, attached, mail_in_it = inner.walk()
        assert ZOE in str(text.get_payload())
        assert attached.get_content_type() == "message/rfc822"
        assert mail_in_it["Subject"] == "Please"
    assert dave.address not in {each.recipient for each in letters}


@pytest.mark.asyncio
async def test_nothing_of_it_is_stored_in_clear_nor_who_sent_it(bench: Bench) -> None:
    await founded(bench)
    await handed_in(bench)
    on_disk = bench.octets_on_disk()
    assert not any(word in on_disk for word in (b"Please", b"zoe@"))
    assert "example" not in str(bench.log.events)


@pytest.mark.asyncio
async def test_what_is_sealed_already_goes_on_as_it_is(bench: Bench) -> None:
    group, (alice, *_) = await founded(bench)
    raw = mail(sealed(group.key.public).mmx())
    assert await handed_in(bench, raw) == replies.ACCEPTED
    letters = await carried(bench)
    inner = letter_in(letters[0].parts, alice)
    assert [each.get_content_type() for each in inner.walk()][-1] == MMX


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("field", "sender"),
    [
        (b"X-One: 1", ""),
        (b"Auto-Submitted: auto-replied", ZOE),
        (b"List-Id: Team <TEAM.lists.example>", ZOE),
        (b"Content-Type: multipart/report; boundary=b", ZOE),
    ],
)
async def test_what_a_program_wrote_or_the_list_itself_is_taken_and_dropped(
    bench: Bench, field: bytes, sender: str
) -> None:
    await founded(bench)
    assert await handed_in(bench, field + b"\r\n" + PLEA, sender=sender) == replies.ACCEPTED
    assert await bench.count("letters") == 0


@pytest.mark.asyncio
async def test_a_circle_a_broken_header_and_one_that_is_too_large_are_refused(
    bench: Bench,
) -> None:
    await founded(bench)
    assert await handed_in(bench, b"Received: a\r\n" * (HOPS + 1) + PLEA) == replies.LOOP
    assert (await handed_in(bench, b"no header\r\n\r\n")).code == 554
    large = PLEA.ljust(limits.LETTER_OCTETS + 1, b"x")
    assert (await handed_in(bench, large)).code == 552
    assert (await handed_in(bench, PLEA.ljust(limits.LETTER_OCTETS - 2, b"x") + b"\r\n")).positive


@pytest.mark.asyncio
async def test_a_sender_and_a_list_have_their_bounds_a_day(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await founded(bench)
    for _ in range(OWNER_MAILS_PER_SENDER):
        assert await handed_in(bench) == replies.ACCEPTED
    assert await handed_in(bench, sender=ZOE.upper()) == replies.OWNERS_BUSY
    assert await handed_in(bench, sender="bob@example.org") == replies.ACCEPTED
    monkeypatch.setattr("listserver.owner_mail.OWNER_MAILS_PER_LIST", OWNER_MAILS_PER_SENDER + 1)
    assert await handed_in(bench, sender="carol@example.org") == replies.OWNERS_BUSY


@pytest.mark.asyncio
async def test_where_letters_have_no_room_it_is_put_off_and_nothing_is_queued(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await founded(bench)
    monkeypatch.setattr("listserver.edges.sqlite_letters.LETTERS", 1)
    assert await handed_in(bench) == replies.NO_ROOM
    assert await bench.count("letters") == 0
