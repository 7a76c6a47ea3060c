"""One request, one answer: what anyone may ask, what administrators read, what nobody learns."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
import pytest_asyncio
from msgspec.structs import replace

from listserver.model import House
from listserver.transactions import Transactions
from recrypt_core.chain import replay
from recrypt_core.documents import Head, MemberEntry, Privilege, RecryptionGroup, Status
from recrypt_core.encoding import write_b64url
from recrypt_core.messages import (
    AddMember,
    GetChanges,
    GetChangesResponse,
    GetGroup,
    GetGroupResponse,
    GetKey,
    GetKeyResponse,
    Hello,
    HelloResponse,
    Request,
    Response,
    UpdateGroup,
    write_message,
    write_response,
)
from recrypt_core.signing import Jws, request_body, sign_request
from recrypt_core.udf import Udf, read_udf
from tests.builders import NOW, TEAM, URL, History, Membership, Person, new_group, new_membership
from tests.builders import new_person as person
from tests.fakes import Bench, TroubledStore, administrator

STRANGE = "Not authentic: signed by a key that is unknown here, or not by the key it names."
MEMBERS = 7


@dataclass
class Team:
    """A list of Alice's and six others', of whom m0 is an ADMIN, on a server."""

    bench: Bench
    history: History
    alice: Person
    others: list[Person]
    memberships: list[Membership]

    async def read(self, message: Request, by: Person | None = None) -> Response:
        """Ask something that is signed."""
        return await self.bench.ask(message, by or self.alice)


@pytest_asyncio.fixture
async def team(bench: Bench) -> Team:
    """Create a list in three changes."""
    group, alice = new_group(), person("alice@example.org")
    others = [person(f"m{at}@example.org") for at in range(MEMBERS - 1)]
    first = administrator(alice, group)
    admin = new_membership(others[0], group.key, privileges=(Privilege.RECRYPT, Privilege.ADMIN))
    made = [first, admin, *(new_membership(each, group.key) for each in others[1:])]
    history = await bench.create(group, first, authorised=alice)
    for part in (made[1:4], made[4:]):
        change = history.sign(history.add_message(*part), alice.online)
        await bench.change(change, *part, history=history)
    return Team(bench, history, alice, others, made)


async def plain(bench: Bench, body: bytes) -> tuple[str, Response]:
    return await bench.transactions.answer(body, signed=False)


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [b'{"HelloRequest":{}}', b'{"Hello":{}}', b'{"Hello":{"X":1}}'])
async def test_anyone_is_told_what_the_service_is(bench: Bench, body: bytes) -> None:
    name, answer = await plain(bench, body)
    assert name == "Hello"
    assert isinstance(answer, HelloResponse)
    assert (answer.status, answer.version.major) == (201, 1)
    assert answer.algorithms == ("X25519", "X448", "P-256")
    assert (answer.limits.request_octets, answer.limits.request_entries) == (8 * 2**20, 1000)
    assert answer.limits.post_octets == bench.post_octets


@pytest.mark.asyncio
@pytest.mark.parametrize("wrapper", ["GetKey", "GetKeyRequest"])
async def test_anyone_gets_a_key_by_name_or_identifier(team: Team, wrapper: str) -> None:
    group = team.history.group
    for group_id in (TEAM, "TEAM@lists.example", group.master.udf):
        body = f'{{"{wrapper}":{{"GroupID":"{group_id}"}}}}'.encode()
        _, answer = await plain(team.bench, body)
        assert isinstance(answer, GetKeyResponse)
        assert (answer.signed_key, answer.master) == (group.signed_key.signed, group.master.signed)
    _, answer = await plain(team.bench, write_message(GetKey(group_id="none@lists.example")))
    assert (answer.status, answer.status_description) == (
        404,
        "Refused: there is no such group here: check its name.",
    )


@pytest.mark.asyncio
async def test_what_is_no_request_is_400_under_the_name_that_it_has(bench: Bench) -> None:
    for body, expected in ((b"", "Recrypt"), (b"x", "Recrypt"), (b"[]", "Recrypt"),
                           (b"{}", "Recrypt"), (b'{"Nope":{}}', "Recrypt"), (b"\xff", "Recrypt"),
                           (b'{"Hello":{},"x":1}', "Recrypt"),
                           (b'{"Hello":{},"Hello":{}}', "Recrypt"), (b'{"Hello":[]}', "Hello"),
                           (b'{"GetKey":{}}', "GetKey"), (b'{"GetKey":{"GroupID":1}}', "GetKey"),
                           (b'{"GetGroup":{"GroupID":"x","Limit":0}}', "GetGroup")):  # fmt: skip
        name, answer = await plain(bench, body)
        assert (name, answer.status) == (expected, 400)
        assert answer.status_description.startswith("Malformed: ")
        name, answer = await bench.transactions.answer(body, signed=True)
        assert (name, answer.status) == ("Recrypt", 400)


@pytest.mark.asyncio
async def test_what_must_be_signed_is_401_and_what_must_not_400(team: Team) -> None:
    for message in (GetGroup(group_id=TEAM), GetChanges(group_id=TEAM), GetGroup(group_id="x")):
        name, answer = await plain(team.bench, write_message(message))
        assert (name, answer.status) == (message.transaction, 401)
        assert "must be signed (application/jose+json)" in answer.status_description
    hello = await team.read(Hello())
    assert (hello.status, hello.status_description) == (
        400,
        "Malformed: Hello is not signed: send it as application/json.",
    )


@pytest.mark.asyncio
async def test_a_stranger_is_401_whatever_is_asked_and_a_member_learns_what_is_wrong(
    team: Team,
) -> None:
    update = UpdateGroup(recryption_group=RecryptionGroup(group_name=TEAM))
    entries = (team.memberships[1].entry,) * 1001
    many = AddMember(recryption_group=team.history.group.master.udf, member_entry=entries)
    unlinked = AddMember(recryption_group=many.recryption_group, member_entry=entries[:1])
    for octets, status, name in (
        (write_message(update), 400, "UpdateGroup"),
        (b'{"GetGroup":{"GroupID":"team@lists.example","Limit":0}}', 400, "GetGroup"),
        (f'{{"AddMember":{{"RecryptionGroup":"{many.recryption_group}"}}}}'.encode(), 400,
         "AddMember"),
        (write_message(unlinked), 400, "AddMember"),
    ):  # fmt: skip
        for key, expected in (
            (team.alice.online, status),
            (team.others[3].online, status),
            (person("mallory@example.org").online, 401),
        ):
            made = sign_request(octets, key, url=URL, now=NOW)
            answered, answer = await team.bench.transactions.answer(
                request_body(made, {}), signed=True
            )
            assert (answered, answer.status) == (name, expected)
    for by, status in ((team.alice, 413), (person("mallory@example.org"), 401)):
        large = await team.bench.send(team.history.sign(many, by.online))
        assert large.status == status
    elsewhere = UpdateGroup(recryption_group=RecryptionGroup(group_name="none@lists.example"))
    assert (await team.read(elsewhere)).status == 401


@pytest.mark.asyncio
@pytest.mark.parametrize("limit", [1, 2, 3, MEMBERS - 1, MEMBERS, 1000])
async def test_the_pages_of_a_group_hold_each_member_once(team: Team, limit: int) -> None:
    found: list[MemberEntry] = []
    after: Udf | None = None
    pages = 0
    while pages == 0 or after is not None:
        answer = await team.read(GetGroup(group_id=TEAM, after=after, limit=limit))
        assert isinstance(answer, GetGroupResponse)
        assert answer.head == team.history.state.head
        found += answer.recryption_group.members
        after = None if answer.next is None else read_udf(answer.next)
        pages += 1
    assert pages == -(-MEMBERS // limit)
    expected = {each.entry.recrypt_udf: each.entry for each in team.memberships}
    assert len(found) == MEMBERS
    assert {each.recrypt_udf: each for each in found} == expected


@pytest.mark.asyncio
async def test_the_same_pages_tell_what_is_beside_the_members_without_them(team: Team) -> None:
    for limit in (2, MEMBERS):
        whole = await team.read(GetGroup(group_id=TEAM, limit=limit))
        beside = await team.read(GetGroup(group_id=TEAM, limit=limit, beside=True))
        assert isinstance(whole, GetGroupResponse)
        assert isinstance(beside, GetGroupResponse)
        group = replace(whole.recryption_group, members=())
        assert beside == replace(whole, recryption_group=group)


@pytest.mark.asyncio
async def test_the_chain_in_pages_replays_to_the_group(team: Team) -> None:
    changes: list[Jws] = []
    head: Head | None = None
    while head is None or len(changes) < head.seq:
        answer = await team.read(GetChanges(group_id=TEAM, after=len(changes), limit=2))
        assert isinstance(answer, GetChangesResponse)
        assert 1 <= len(answer.changes) <= 2
        changes += answer.changes
        head = answer.head
    assert changes == team.history.changes
    state = replay(changes)
    answer = await team.read(GetGroup(group_id=team.history.group.master.udf))
    assert isinstance(answer, GetGroupResponse)
    assert state.head == answer.head == head
    members = {each.recrypt_udf: each for each in answer.recryption_group.members}
    assert {udf: each.entry for udf, each in state.members.items()} == members
    assert answer.recryption_group.master == state.master.signed
    assert answer.recryption_group.current_encryption_key == state.key.signed
    assert answer.recryption_group.policy == state.policy
    beyond = await team.read(GetChanges(group_id=TEAM, after=99))
    assert isinstance(beyond, GetChangesResponse)
    assert beyond.changes == ()


@pytest.mark.asyncio
@pytest.mark.parametrize("read", [GetGroup(group_id=TEAM), GetChanges(group_id=TEAM)])
async def test_only_an_active_administrator_reads(team: Team, read: GetGroup | GetChanges) -> None:
    admin, member, *_ = team.others
    assert (await team.read(read, admin)).status == 201
    refused = await team.read(read, member)
    words = "Refused: only an ACTIVE ADMIN or SUPER may do that."
    assert (refused.status, refused.status_description) == (403, words)
    idle = new_membership(admin, privileges=(Privilege.ADMIN,), status=Status.SUSPENDED)
    await team.bench.restate(team.history, team.alice, idle)
    assert (await team.read(read, admin)).status == 403


@pytest.mark.asyncio
async def test_a_read_by_a_stranger_or_of_no_group_or_replayed_is_401(team: Team) -> None:
    stranger = person("mallory@example.org")
    nowhere = GetGroup(group_id="none@lists.example")
    for message, by in ((GetGroup(group_id=TEAM), stranger), (nowhere, stranger), (nowhere, None)):
        answer = await team.read(message, by)
        assert (answer.status, answer.status_description) == (401, STRANGE)
    key, now = team.alice.online, NOW
    octets = write_message(GetGroup(group_id=TEAM))
    once = sign_request(octets, key, url=URL, now=now)
    statuses = [(await team.bench.send(once)).status for _ in range(2)]
    assert statuses == [201, 401]
    for late in (
        sign_request(octets, key, url=URL, now=now - timedelta(seconds=301)),
        sign_request(octets, key, url="https://other.example", now=now),
    ):
        assert (await team.bench.send(late)).status == 401


@pytest.mark.asyncio
async def test_trouble_with_the_store_is_503_and_says_no_more(team: Team) -> None:
    store = TroubledStore(team.bench.store)
    house = House("lists.example", URL, team.bench.post_octets)
    troubled = Transactions(
        house, store, team.bench.clock, team.bench.log, wake=team.bench.posting.arrived.set
    )
    store.failures = 1
    body = write_message(GetKey(group_id=TEAM))
    _, answer = await troubled.answer(body, signed=False)
    assert (answer.status, answer.status_description) == (
        503,
        "Trouble here: try again later.",
    )
    assert (await troubled.answer(body, signed=False))[1].status == 201


@pytest.mark.asyncio
async def test_no_refusal_and_no_log_names_a_member_or_shows_a_secret(team: Team) -> None:
    secrets = [
        write_b64url(half.to_secret_bytes())
        for each in team.memberships
        for half in each.halves.values()
    ]
    stranger, (_, member, *_) = person("mallory@example.org"), team.others
    said = ""
    for by in (stranger, member):
        for message in (GetGroup(group_id=TEAM), team.history.add_message(team.memberships[2])):
            response = await team.read(message, by)
            assert response.status >= 400
            said += write_response(message.transaction, response).decode()
    change = team.history.sign(team.history.add_message(team.memberships[2]), member.online)
    said += (await team.bench.send(change, team.memberships[2])).status_description
    said += str(team.bench.log.events)
    assert "example.org" not in said
    assert not [secret for secret in secrets if secret in said]
    page = await team.read(GetGroup(group_id=TEAM))
    chain = await team.read(GetChanges(group_id=TEAM))
    whole = write_response("x", page) + write_response("x", chain)
    assert team.alice.address.encode() in whole
    assert not [secret for secret in secrets if secret.encode() in whole]
    assert request_body(team.history.changes[0], {}).count(b"halves") == 0
