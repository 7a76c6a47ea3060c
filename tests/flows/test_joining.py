"""Asking in: what is proven, what waits for how long, who decides, and that nothing is told."""

from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product

import pytest
import pytest_asyncio
from msgspec.structs import replace as but

from listserver import limits
from listserver.joining import LIFE, LOOK_THERE, NEXT, NOT_GOOD, Event, JoinKeeping, states_before
from listserver.model import JoinState
from recrypt_core.documents import JoinAnswer, Privilege, Status, sign_join
from recrypt_core.messages import (
    ConfirmJoin,
    DenyJoin,
    GetJoinRequests,
    GetJoinRequestsResponse,
    GetKey,
    JoinGroup,
    Request,
    Response,
    UpdateMember,
    UpdateProfile,
    write_message,
)
from recrypt_core.signature_keys import SignatureCurve, SignaturePrivateKey
from recrypt_core.signing import Jws, request_body, sign_request
from tests.builders import (
    NOW,
    TEAM,
    URL,
    History,
    Person,
    new_group,
    new_membership,
    new_person,
)
from tests.fakes import Bench, administrator
from tests.lists import said
from tests.returned import letter_in, sent_to, words_of

OTHER = "other@lists.example"
DONE = (201, "Operation completed successfully")
SENT = (201, LOOK_THERE)
NOT_TAKEN = (404, f"Refused: {NOT_GOOD}.")
DAY = timedelta(days=1)


@dataclass
class Door:
    """A list of Alice's, Bob (ADMIN) and Carol (REVOKED), and those who stand before it."""

    bench: Bench
    history: History
    alice: Person
    bob: Person
    carol: Person

    async def ask(self, person: Person, address: str = "", *, group: str = TEAM) -> tuple[int, str]:
        """Ask to join."""
        return said(await self.send(joining(person, address, group=group), person))

    async def send(self, message: Request, by: Person) -> Response:
        """Send a signed request."""
        now = self.bench.clock.now()
        signed = sign_request(write_message(message), by.online, url=URL, now=now)
        return await self.bench.send(signed)

    async def token(self, person: Person, address: str = "") -> str:
        """Ask to join, and take the token from the letter."""
        assert await self.ask(person, address) == SENT
        return await self.mailed(person, address)

    async def mailed(self, person: Person, address: str = "") -> str:
        """Take the token from the last letter."""
        await self.bench.carry_letters()
        letter = sent_to(self.bench, address or person.address)[-1]
        return words_of(letter, person).partition("Token: ")[2].split()[0]

    async def answer(
        self, person: Person, token: str, *, key: SignaturePrivateKey | None = None, **other: str
    ) -> tuple[int, str]:
        """Send a token back."""
        values = {
            "group_identifier": self.history.group.master.udf,
            "token": token,
            "account_name": person.address,
            "identifier": person.udf,
        }
        stated = JoinAnswer(**values | other)  # type: ignore[arg-type]  # Udf is a str here
        return await self.deliver(sign_join(stated, key or person.online))

    async def deliver(self, answer: Jws) -> tuple[int, str]:
        """Send an answer, unsigned outside."""
        body = write_message(ConfirmJoin(answer=answer))
        assert len(body) < 4096
        _, response = await self.bench.transactions.answer(body, signed=False)
        return said(response)

    async def waits(self, person: Person, address: str = "") -> None:
        """Ask, and prove the address."""
        token = await self.token(person, address)
        assert await self.answer(person, token, account_name=address or person.address) == DONE

    async def waiting(self) -> list[str]:
        """Let Alice see who waits."""
        answer = await self.send(GetJoinRequests(group_id=TEAM), self.alice)
        assert isinstance(answer, GetJoinRequestsResponse), said(answer)
        return sorted(each.account_name for each in answer.join_requests)

    async def deny(self, person: Person, by: Person | None = None) -> int:
        """Decline somebody."""
        message = DenyJoin(group_id=TEAM, recrypt_udf=person.udf)
        return (await self.send(message, by or self.alice)).status

    async def add(self, person: Person) -> None:
        """Let Alice add somebody."""
        made = new_membership(person, self.history.group.key)
        change = self.history.sign(self.history.add_message(made), self.alice.online)
        await self.bench.change(change, made, history=self.history)


def joining(person: Person, address: str = "", *, group: str = TEAM) -> JoinGroup:
    return JoinGroup(
        group_name=group, account_name=address or person.address, profile=person.signed
    )


@pytest_asyncio.fixture
async def door(bench: Bench) -> Door:
    """Create the list."""
    return await new_door(bench)


async def new_door(bench: Bench) -> Door:
    """Create the list."""
    group = new_group()
    alice, bob, carol = (new_person(f"{name}@example.org") for name in ("alice", "bob", "carol"))
    admin = new_membership(bob, group.key, privileges=(Privilege.RECRYPT, Privilege.ADMIN))
    gone = new_membership(carol, status=Status.REVOKED)
    history = await bench.create(group, administrator(alice, group), admin, gone, authorised=alice)
    return Door(bench, history, alice, bob, carol)


def test_the_table_says_what_can_happen_and_every_open_request_has_an_end() -> None:
    assert {state for state, _ in NEXT} == set(LIFE)
    for state in LIFE:
        assert NEXT[state, Event.DEADLINE] is JoinState.EXPIRED
    assert states_before(Event.DENIED) == (JoinState.CONFIRMED,)
    assert set(states_before(Event.ADDED)) == set(LIFE)
    ends = {JoinState.APPROVED, JoinState.DENIED, JoinState.EXPIRED}
    assert not any((state, event) in NEXT for state, event in product(ends, Event))


@pytest.mark.asyncio
async def test_who_proves_address_and_key_waits_until_added(door: Door) -> None:
    dave = new_person("dave@example.org", devices=2)
    token = await door.token(dave)
    assert await door.waiting() == []
    assert await door.answer(dave, token.upper()) == DONE
    answer = await door.send(GetJoinRequests(group_id=TEAM), door.bob)
    assert isinstance(answer, GetJoinRequestsResponse)
    (request,) = answer.join_requests
    assert (request.account_name, request.profile) == ("dave@example.org", dave.signed)
    assert (request.since, answer.next) == (NOW, None)
    await door.add(dave)
    assert await door.waiting() == []
    assert await door.bench.count("joins") == 0


@pytest.mark.asyncio
async def test_the_letter_says_what_to_run_and_nothing_outside(door: Door) -> None:
    dave = new_person("dave@example.org", devices=2)
    token = await door.token(dave)
    (letter,) = sent_to(door.bench, "dave@example.org")
    assert letter.return_path == ""
    outer = b"".join(letter.parts).partition(b"\r\n\r\n")[0]
    assert b"Subject: [...]" in outer
    assert b"Auto-Submitted: auto-generated" in outer
    assert token.encode() not in b"".join(letter.parts)
    inner = letter_in(letter.parts, replace(dave, devices=dave.devices[1:]))
    assert inner["Subject"] == "team: do you want to be on the list?"
    words = inner.get_payload()
    assert f"recrypt join {TEAM} --token LETTER" in words
    assert "dave@example.org" in words
    assert "within 7 days" in words


@pytest.mark.asyncio
async def test_a_repeated_answer_is_given_again_and_does_nothing(door: Door) -> None:
    dave = new_person("dave@example.org")
    token = await door.token(dave)
    assert await door.answer(dave, token) == DONE
    before = await door.bench.rows("SELECT token_name, state, since, until FROM joins")
    door.bench.clock.advance(DAY)
    assert await door.answer(dave, token) == DONE
    assert await door.bench.rows("SELECT token_name, state, since, until FROM joins") == before
    assert await door.deny(dave) == 201
    assert await door.answer(dave, token) == NOT_TAKEN
    assert await door.waiting() == []


@pytest.mark.asyncio
async def test_whatever_is_wrong_with_an_answer_the_words_are_the_same(door: Door) -> None:
    dave = new_person("dave@example.org").changed(accounts=("dave@example.org", "d@example.net"))
    other, erin = new_group(OTHER), new_person("erin@example.org")
    await door.bench.create(other, administrator(erin, other), authorised=erin)
    token = await door.token(dave)
    wrong = [
        await door.answer(dave, "a" * 26),
        await door.answer(dave, token, key=erin.online),
        await door.answer(erin, token),
        await door.answer(erin, token, account_name=dave.address),
        await door.answer(dave, token, identifier=erin.udf),
        await door.answer(dave, token, group_identifier=other.master.udf),
        await door.answer(dave, token, account_name="d@example.net"),
    ]
    assert wrong == [NOT_TAKEN] * len(wrong)
    door.bench.clock.advance(limits.JOIN_TOKEN_LIFE)
    assert await door.answer(dave, token) == NOT_TAKEN
    door.bench.clock.advance(timedelta(seconds=-1))
    assert await door.answer(dave, token) == DONE


@pytest.mark.asyncio
async def test_an_answer_that_is_none_is_malformed(door: Door) -> None:
    dave = new_person("dave@example.org")
    assert (await door.deliver(dave.signed))[0] == 400
    request = sign_request(b"{}", dave.online, url=URL, now=NOW)
    assert (await door.deliver(request))[0] == 400
    stated = ConfirmJoin(answer=dave.signed)
    assert "is not signed" in said(await door.send(stated, dave))[1]


@pytest.mark.asyncio
async def test_who_asked_without_an_answer_can_be_neither_seen_nor_denied(door: Door) -> None:
    dave = new_person("dave@example.org")
    token = await door.token(dave)
    assert await door.waiting() == []
    assert await door.deny(dave) == 404
    assert await door.answer(dave, token) == DONE
    assert await door.deny(dave, by=door.carol) == 403
    assert await door.deny(dave, by=dave) == 401
    assert await door.deny(dave, by=door.bob) == 201
    assert await door.deny(dave) == 404
    assert await door.bench.count("joins") == 0
    assert await door.bench.count("letters") == 0  # nobody is told


@pytest.mark.asyncio
async def test_a_request_that_nobody_decides_ends_and_is_erased(door: Door) -> None:
    dave, erin = new_person("dave@example.org"), new_person("erin@example.org")
    await door.waits(dave)
    keeping = JoinKeeping(door.bench.store, door.bench.clock)
    door.bench.clock.advance(limits.JOIN_PATIENCE - DAY)
    await door.token(erin)
    await keeping.erase_old()
    assert await door.waiting() == ["dave@example.org"]
    door.bench.clock.advance(DAY)
    assert await door.waiting() == []
    assert await door.deny(dave) == 201  # its row is still there, and goes
    await door.ask(dave)
    door.bench.clock.advance(limits.JOIN_TOKEN_LIFE)
    await keeping.erase_old()
    assert await door.bench.count("joins") == 0
    door.bench.clock.advance(2 * DAY)
    await keeping.erase_old()
    assert await door.bench.count("join_counts") == 0


@pytest.mark.asyncio
async def test_the_latest_confirmed_request_of_an_applicant_counts(door: Door) -> None:
    dave = new_person("dave@example.org").changed(accounts=("dave@example.org", "d@example.net"))
    first, second = await door.token(dave), await door.token(dave, "d@example.net")
    assert await door.answer(dave, second, account_name="d@example.net") == DONE
    assert await door.waiting() == ["d@example.net"]
    assert await door.answer(dave, first) == DONE
    assert await door.waiting() == ["dave@example.org"]
    third = await door.token(dave, "d@example.net")
    await door.add(dave)
    assert await door.answer(dave, third, account_name="d@example.net") == NOT_TAKEN


@pytest.mark.asyncio
async def test_nothing_comes_of_a_key_that_a_newer_profile_has_withdrawn(door: Door) -> None:
    """Whoever has it, and reads the mail, isn't told that Bob is a member somewhere."""
    other, erin = new_group(OTHER), new_person("erin@example.org")
    await door.bench.create(other, administrator(erin, other), authorised=erin)
    online = SignaturePrivateKey.generate(SignatureCurve.ED25519)
    newer = replace(door.bob, online=online).changed(online_signature_keys=(online.public,))
    assert said(await door.send(UpdateProfile(profile=newer.signed), newer)) == DONE
    for person, count in ((door.bob, 0), (newer, 1)):
        assert await door.ask(person, group=OTHER) == SENT
        token = await door.mailed(person)
        answer = await door.answer(person, token, group_identifier=other.master.udf)
        assert answer == DONE
        page = await door.send(GetJoinRequests(group_id=OTHER), erin)
        assert isinstance(page, GetJoinRequestsResponse)
        assert len(page.join_requests) == count


@pytest.mark.asyncio
async def test_any_entry_that_an_administrator_writes_ends_a_request(door: Door) -> None:
    await door.waits(door.carol)
    made = new_membership(door.carol, door.history.group.key)
    update = UpdateMember(
        recryption_group=door.history.group.master.udf, member_entry=(made.entry,)
    )
    change = door.history.sign(update, door.alice.online)
    await door.bench.change(change, made, history=door.history)
    assert await door.waiting() == []


@pytest.mark.asyncio
async def test_nobody_learns_who_is_a_member_was_one_waits_or_was_denied(door: Door) -> None:
    """By words, letters or work; whoever signs has the address in a profile of their own."""
    work: list[list[str]] = []
    waits, denied, new = (new_person(f"{name}@example.org") for name in ("wanda", "denis", "nadia"))
    for person in (waits, denied):
        await door.waits(person)
    await door.deny(denied)
    marks = {}
    for whose in (door.alice, door.bob, door.carol, waits, denied, new):
        mallory = new_person(whose.address)
        answers, sizes, rows = [], [], []
        for asker in (whose, mallory):
            before = await door.bench.count("joins")
            with door.bench.statements() as statements:
                answers.append(await door.ask(asker))
            work.append(statements)
            await door.bench.carry_letters()
            letter = sent_to(door.bench, whose.address)[-1]
            sizes.append(len(b"".join(letter.parts)) - 4 * len(whose.address))
            rows.append(await door.bench.count("joins") - before)
        marks[whose.address] = (answers, rows, max(sizes) - min(sizes))
    assert all(mark[:2] == ([SENT, SENT], [1, 1]) for mark in marks.values()), marks
    assert max(mark[2] for mark in marks.values()) < 40
    assert work[0]
    assert all(each == work[0] for each in work)


@pytest.mark.asyncio
async def test_an_address_gets_three_letters_a_day_and_the_answer_stays(door: Door) -> None:
    dave, mallory = new_person("dave@example.org"), new_person("Dave@example.org")
    other, erin = new_group(OTHER), new_person("erin@example.org")
    await door.bench.create(other, administrator(erin, other), authorised=erin)
    assert [await door.ask(mallory), await door.ask(dave, group=OTHER)] == [SENT, SENT]
    token = await door.token(dave)
    assert await door.bench.count("joins") == 3
    assert [await door.ask(dave), await door.ask(mallory)] == [SENT, SENT]
    await door.bench.carry_letters()
    assert len(door.bench.courier.sent) == limits.JOIN_LETTERS
    assert await door.bench.count("joins") == 3
    assert await door.answer(dave, token) == DONE
    door.bench.clock.advance(DAY)
    assert await door.ask(dave) == SENT
    assert await door.bench.count("joins") == 4


@pytest.mark.asyncio
async def test_a_signer_and_a_list_have_so_many_requests_a_day(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listserver.join_bounds.JOINS_PER_SIGNER", 3)
    monkeypatch.setattr("listserver.join_bounds.JOINS_PER_LIST", 5)
    dave, erin = new_person("dave@example.org"), new_person("erin@example.org")
    assert [(await door.ask(dave))[0] for _ in range(5)] == [201, 201, 201, 429, 429]
    assert "you have asked" in (await door.ask(dave))[1]
    assert [(await door.ask(erin))[0] for _ in range(3)] == [201, 201, 429]
    assert "this list" in (await door.ask(erin))[1]
    door.bench.clock.advance(DAY)
    assert (await door.ask(dave))[0] == (await door.ask(erin))[0] == 201
    door.bench.clock.advance(-DAY)  # no quota is renewed by a clock that jumps
    assert (await door.ask(dave))[0] == 429


@pytest.mark.asyncio
async def test_only_so_many_wait_and_the_token_stays_good(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listserver.join_bounds.JOINS_WAITING", 1)
    dave, erin = new_person("dave@example.org"), new_person("erin@example.org")
    await door.waits(dave)
    token = await door.token(erin)
    assert (await door.answer(erin, token))[0] == 429
    await door.deny(dave)
    assert await door.answer(erin, token) == DONE


@pytest.mark.asyncio
@pytest.mark.parametrize("over", [False, True])
async def test_a_full_queue_of_letters_answers_503_and_changes_nothing(
    door: Door, monkeypatch: pytest.MonkeyPatch, *, over: bool
) -> None:
    dave = new_person("dave@example.org")
    for _ in range(3 if over else 0):
        assert await door.ask(dave) == SENT
    await door.bench.carry_letters()
    monkeypatch.setattr("listserver.edges.sqlite_letters.LETTERS", 0)
    counts = "SELECT * FROM join_counts ORDER BY name"
    before = await door.bench.rows(counts)
    assert (await door.ask(dave))[0] == 503
    assert await door.bench.rows(counts) == before
    assert await door.bench.count("letters") == 0


@pytest.mark.asyncio
async def test_who_waits_is_shown_in_pages(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("listserver.joining.PAGE_OCTETS", 1)
    people = [new_person(f"{name}@example.org") for name in ("dave", "erin", "frank")]
    for person in people:
        await door.waits(person)
    seen, after = [], None
    for _ in people:
        answer = await door.send(GetJoinRequests(group_id=TEAM, after=after), door.alice)
        assert isinstance(answer, GetJoinRequestsResponse)
        seen += [each.account_name for each in answer.join_requests]
        after = answer.next
    assert after is None
    assert sorted(seen) == [person.address for person in people]


@pytest.mark.asyncio
async def test_what_is_no_request_of_the_profiles_own_is_refused(door: Door) -> None:
    dave, erin = new_person("dave@example.org"), new_person("erin@example.org")
    bare = dave.changed(encryption_keys=())
    strange = ("team@lists.example", "Team-owner@LISTS.example", "abuse@lists.example", "a b@c.d")
    moved = dave.changed(accounts=(*strange, "no-list@lists.example"))
    refused = {
        "isn't among": await door.send(joining(dave, "d@example.net"), dave),
        "without EncryptionKeys": await door.send(joining(bare), bare),
    }
    refused |= {
        words: await door.send(joining(moved, address), moved)
        for words, address in zip(
            ("a list's", "list's address", "that is a list's", "The part before"), strange,
            strict=True,
        )
    }  # fmt: skip
    for words, response in refused.items():
        assert response.status == 400, words
        assert words in response.status_description
    assert await door.ask(moved, "no-list@lists.example") == SENT
    assert said(await door.send(joining(dave), erin))[0] == 401
    forged = joining(dave)
    assert said(await door.send(but(forged, profile=forged_profile(dave)), dave))[0] == 401
    assert (await plainly(door.bench, joining(dave)))[0] == 401
    unknown = await door.ask(dave, group="nobody@lists.example")
    assert unknown == await plainly(door.bench, GetKey(group_id="nobody@lists.example"))
    assert unknown[0] == 404
    assert (await door.ask(dave, group=door.history.group.master.udf))[0] == 404


async def plainly(bench: Bench, message: Request) -> tuple[int, str]:
    """Send a request that isn't signed."""
    return said((await bench.transactions.answer(write_message(message), signed=False))[1])


def forged_profile(person: Person) -> Jws:
    """Give a profile with another's signature."""
    return Jws(
        payload=person.signed.payload,
        protected=person.signed.protected,
        signature=new_person(person.address).signed.signature,
    )


@pytest.mark.asyncio
async def test_a_stale_or_replayed_request_sends_no_letter(door: Door) -> None:
    dave = new_person("dave@example.org")
    request = sign_request(write_message(joining(dave)), dave.online, url=URL, now=NOW)
    assert said(await door.bench.send(request)) == SENT
    assert (await door.bench.send(request)).status == 401
    door.bench.clock.advance(timedelta(minutes=6))
    assert (await door.bench.send(request)).status == 401
    assert await door.bench.count("letters") == 1


@pytest.mark.asyncio
async def test_a_thief_of_the_store_learns_nothing_and_what_ended_is_gone(door: Door) -> None:
    dave, erin = new_person("dave@example.org"), new_person("erin@example.org")
    token = await door.token(dave)
    await door.waits(erin)
    octets = door.bench.octets_on_disk()
    for secret in (token, dave.address, dave.udf, erin.address, erin.signed.payload):
        assert secret.encode() not in octets
    ((sealed,),) = await door.bench.rows("SELECT sealed FROM joins WHERE state = 1")
    assert isinstance(sealed, bytes)
    assert sealed in octets
    await door.deny(erin)
    assert not await door.bench.rows("SELECT 1 FROM joins WHERE state = 1")


@pytest.mark.asyncio
async def test_on_a_full_disk_nobody_asks_in_but_requests_end(door: Door) -> None:
    dave = new_person("dave@example.org")
    await door.waits(dave)
    body = request_body(
        sign_request(write_message(joining(dave)), dave.online, url=URL, now=NOW), {}
    )
    _, response = await door.bench.transactions.answer(body, signed=True, has_room=False)
    assert response.status == 503
    deny = write_message(DenyJoin(group_id=TEAM, recrypt_udf=dave.udf))
    body = request_body(sign_request(deny, door.alice.online, url=URL, now=NOW), {})
    _, response = await door.bench.transactions.answer(body, signed=True, has_room=False)
    assert response.status == 201
