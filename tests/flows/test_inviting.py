"""Invitations that the service mails: to whom, how many, in which words; and what comes back."""

import pytest

from listserver.limits import INVITATION_LETTERS
from listserver.ports import Outgoing
from recrypt_core.documents import JoinAnswer, sign_join
from recrypt_core.invitations import (
    URI,
    Invitation,
    Invite,
    Invited,
    new_secret,
    proof,
    read_token,
    write_token,
)
from recrypt_core.messages import (
    ConfirmJoin,
    GetJoinRequests,
    GetJoinRequestsResponse,
    JoinGroup,
    Request,
    Response,
    write_message,
)
from recrypt_core.signing import request_body, sign_request
from tests.builders import TEAM, URL, Person, new_person
from tests.fakes import Bench
from tests.lists import said
from tests.returned import ALICE, BOB, CAROL, Trio, new_trio, sent_to, words_of

DAVE = "dave@example.org"


def inviting(trio: Trio, *addresses: str, **other: object) -> Invite:
    """Write an Invite with a token for each."""
    here = {
        "group_name": TEAM,
        "service": URL,
        "identifier": trio.team.group.master.udf,
        "secret": new_secret(),
    }
    made = Invitation(**here | other)  # type: ignore[arg-type]  # fields by name
    stated = [Invited(account_name=each, token=write_token(made)) for each in addresses]
    return Invite(group_id=TEAM, invitations=tuple(stated))


async def send(bench: Bench, message: Request, by: Person) -> Response:
    """Send a signed request."""
    signed = sign_request(write_message(message), by.online, url=URL, now=bench.clock.now())
    return await bench.send(signed)


async def mailed(bench: Bench, *addresses: str) -> list[Outgoing]:
    """Carry letters; give those to somebody."""
    await bench.carry_letters()
    return [each for address in addresses for each in sent_to(bench, address)]


@pytest.mark.asyncio
async def test_the_letter_has_the_token_in_one_line_and_no_other_secret(bench: Bench) -> None:
    trio = await new_trio(bench)
    message = inviting(trio, DAVE)
    assert said(await send(bench, message, trio.alice))[0] == 201
    (letter,) = await mailed(bench, DAVE)
    text = b"".join(letter.parts)
    assert letter.return_path == ""
    assert b"Auto-Submitted: auto-generated" in text
    assert f"\r\n{URI}{message.invitations[0].token}\r\n".encode() in text
    assert ALICE.encode() not in text
    assert max(map(len, text.split(b"\r\n"))) <= 998


@pytest.mark.asyncio
async def test_a_letter_to_a_member_is_as_one_to_a_stranger(bench: Bench) -> None:
    trio = await new_trio(bench)
    message = inviting(trio, DAVE, BOB, CAROL)
    assert said(await send(bench, message, trio.alice))[0] == 201
    letters = await mailed(bench, DAVE, BOB, CAROL)
    words = {
        b"".join(each.parts).partition(b"\r\n\r\n")[2].replace(each.recipient.encode(), b"WHO")
        for each in letters
    }
    assert len(letters) == 3
    assert len(words) == 1


@pytest.mark.asyncio
async def test_only_administrators_have_invitations_mailed(bench: Bench) -> None:
    trio = await new_trio(bench)
    assert (await send(bench, inviting(trio, DAVE), trio.bob)).status == 403
    assert (
        await send(bench, inviting(trio, DAVE), new_person("mallory@example.org"))
    ).status == 401
    assert await bench.count("letters") == 0


@pytest.mark.asyncio
async def test_a_request_is_done_whole_or_not_at_all(bench: Bench) -> None:
    trio = await new_trio(bench)
    for wrong in (
        inviting(trio, DAVE, "nobody"),
        inviting(trio, DAVE, TEAM),
        inviting(trio, DAVE, "team-request@lists.example"),
        inviting(trio, DAVE, "postmaster@lists.example"),
        inviting(trio, DAVE, service="https://other.example"),
        inviting(trio, DAVE, group_name="other@lists.example"),
        inviting(trio, DAVE, identifier=trio.alice.udf),
    ):
        assert (await send(bench, wrong, trio.alice)).status == 400
    assert await bench.count("letters") == 0
    assert await bench.count("join_counts") == 0


@pytest.mark.asyncio
async def test_an_address_has_so_many_letters_a_day_and_nobody_is_told(bench: Bench) -> None:
    trio = await new_trio(bench)
    for _ in range(INVITATION_LETTERS + 2):
        assert (await send(bench, inviting(trio, DAVE), trio.alice)).status == 201
    assert len(await mailed(bench, DAVE)) == INVITATION_LETTERS


@pytest.mark.asyncio
async def test_a_list_invites_so_many_a_day(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("listserver.inviting.INVITATIONS_PER_LIST", 3)
    trio = await new_trio(bench)
    assert (await send(bench, inviting(trio, DAVE, BOB), trio.alice)).status == 201
    refused = await send(bench, inviting(trio, CAROL, ALICE), trio.alice)
    assert refused.status == 429
    assert (await send(bench, inviting(trio, CAROL), trio.alice)).status == 201
    assert (await send(bench, inviting(trio, CAROL), trio.alice)).status == 429


@pytest.mark.asyncio
async def test_without_room_for_letters_nothing_is_done(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listserver.edges.sqlite_letters.LETTERS", 2)
    trio = await new_trio(bench)
    assert (await send(bench, inviting(trio, DAVE, BOB), trio.alice)).status == 503
    assert await bench.count("letters") == 0
    assert (await send(bench, inviting(trio, DAVE), trio.alice)).status == 201


@pytest.mark.asyncio
async def test_the_proof_comes_to_the_administrator_as_it_was_sent_and_lies_sealed(
    bench: Bench,
) -> None:
    trio, dave = await new_trio(bench), new_person(DAVE)
    message = inviting(trio, DAVE)
    await send(bench, message, trio.alice)
    await bench.carry_letters()
    stated = proof(read_token(message.invitations[0].token).secret, dave.udf, DAVE)
    join = JoinGroup(group_name=TEAM, account_name=DAVE, profile=dave.signed, invitation=stated)
    assert (await send(bench, join, dave)).status == 201
    token = words_of((await mailed(bench, DAVE))[-1], dave).partition("Token: ")[2].split()[0]
    await confirm(bench, trio, dave, token)
    page = await send(bench, GetJoinRequests(group_id=TEAM), trio.alice)
    assert isinstance(page, GetJoinRequestsResponse)
    assert [each.invitation for each in page.join_requests] == [stated]
    octets = bench.octets_on_disk()
    assert stated.encode() not in octets
    assert message.invitations[0].token.encode() not in octets


async def confirm(bench: Bench, trio: Trio, person: Person, token: str) -> None:
    """Send a token back."""
    stated = JoinAnswer(
        group_identifier=trio.team.group.master.udf,
        token=token,
        account_name=person.address,
        identifier=person.udf,
    )
    body = write_message(ConfirmJoin(answer=sign_join(stated, person.online)))
    _, response = await bench.transactions.answer(body, signed=False)
    assert response.status == 201


@pytest.mark.asyncio
async def test_on_a_full_disk_nobody_is_invited(bench: Bench) -> None:
    trio = await new_trio(bench)
    signed = sign_request(
        write_message(inviting(trio, DAVE)), trio.alice.online, url=URL, now=bench.clock.now()
    )
    body = request_body(signed, {})
    _, response = await bench.transactions.answer(body, signed=True, has_room=False)
    assert response.status == 503
