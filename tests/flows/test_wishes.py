"""What members want of a list's mail: a pause, to leave, no own posts; and who learns of it."""

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
import pytest_asyncio
from msgspec.structs import replace as but

from listserver.signers import USED_NONCE
from recrypt_core.authorship import sign_sender
from recrypt_core.documents import Status
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.members import AHEAD
from recrypt_core.messages import (
    GetGroup,
    GetGroupResponse,
    Redeliver,
    UpdateProfile,
    write_message,
)
from recrypt_core.policy import Policy, PostRight
from recrypt_core.signature_keys import SignatureCurve, SignaturePrivateKey
from recrypt_core.signing import sign_request
from recrypt_core.wishes import Mail, SetMail
from tests.builders import (
    TEAM,
    URL,
    History,
    Membership,
    Person,
    new_group,
    new_membership,
    new_person,
)
from tests.fakes import Bench, administrator
from tests.flows.test_leaving import stay_token, token_in
from tests.lists import said
from tests.mails import mail, sealed, with_head
from tests.returned import ALICE, BOB, CAROL, new_trio, words_of

DONE = (201, "Operation completed successfully")


@dataclass
class Pair:
    """A list of Alice's, and of Bob."""

    bench: Bench
    history: History
    alice: Person
    bob: Person

    async def wish(
        self, wanted: Mail | None, by: Person | None = None, *, own_posts: bool | None = None
    ) -> tuple[int, str]:
        """Say which mail somebody wants."""
        who = by or self.bob
        message = SetMail(group_name=TEAM, profile=who.signed, mail=wanted, own_posts=own_posts)
        return said(await self.bench.ask(message, who))

    async def post(self, number: int = 1, by: Person | None = None) -> list[str]:
        """Post, signed if by somebody; tell who had a copy."""
        self.bench.courier.sent.clear()
        envelope = sealed(self.history.group.key.public)
        octets = envelope.mmx()
        if by is not None:
            now = self.bench.clock.now()
            made = sign_sender(TEAM, envelope.content_id, by.online, now=now)
            octets = with_head(envelope, sender=made)
        sent = mail(octets, message_id=f"<{number}@host.example>")
        assert (await self.bench.post(sent)).positive
        await self.bench.relay_all()
        return sorted(each.recipient for each in self.bench.courier.sent)

    async def left(self) -> tuple[str, ...]:
        """Ask who has left."""
        answer = await self.bench.ask(GetGroup(group_id=TEAM), self.alice)
        assert isinstance(answer, GetGroupResponse)
        return answer.left

    async def state(self, status: Status) -> None:
        """Let Alice state Bob's entry with a status."""
        entry = self.history.state.members[self.bob.udf].entry
        stated = but(
            entry, status=status, entries=() if status is Status.REVOKED else entry.entries
        )
        await self.bench.restate(self.history, self.alice, Membership(stated, {}))


@pytest_asyncio.fixture
async def pair(bench: Bench) -> Pair:
    """Create the list."""
    group = new_group()
    alice, bob = new_person(ALICE), new_person(BOB)
    entry = new_membership(bob, group.key)
    history = await bench.create(group, administrator(alice, group), entry, authorised=alice)
    return Pair(bench, history, alice, bob)


@pytest.mark.asyncio
async def test_who_pauses_has_no_copies_until_mail_is_wanted_again(pair: Pair) -> None:
    assert await pair.wish(Mail.PAUSED) == DONE
    assert await pair.post(1) == [ALICE]
    assert await pair.left() == ()
    assert await pair.wish(Mail.ON) == DONE
    assert await pair.post(2) == [ALICE, BOB]


@pytest.mark.asyncio
async def test_who_leaves_has_no_copies_at_once_and_administrators_are_told(pair: Pair) -> None:
    assert await pair.wish(Mail.LEFT) == DONE
    assert await pair.post() == [ALICE]
    assert await pair.left() == (pair.bob.udf,)
    pair.bench.courier.sent.clear()
    await pair.bench.keep_house()
    (letter,) = pair.bench.courier.sent
    assert BOB in words_of(letter, pair.alice)


@pytest.mark.asyncio
async def test_who_has_left_and_pauses_has_left_still(pair: Pair) -> None:
    await pair.wish(Mail.LEFT)
    assert await pair.wish(Mail.PAUSED) == DONE
    assert await pair.left() == (pair.bob.udf,)
    assert await pair.post(1) == [ALICE]
    assert await pair.wish(Mail.ON) == DONE
    assert await pair.left() == ()
    assert await pair.post(2) == [ALICE, BOB]


@pytest.mark.asyncio
async def test_who_has_left_may_change_its_mind_until_it_is_revoked(pair: Pair) -> None:
    await pair.wish(Mail.LEFT)
    await pair.wish(Mail.ON)
    assert await pair.left() == ()
    assert await pair.post() == [ALICE, BOB]
    await pair.wish(Mail.LEFT)
    await pair.state(Status.REVOKED)
    assert await pair.left() == ()
    assert await pair.wish(Mail.ON) == await pair.wish(Mail.LEFT) == DONE
    assert await pair.left() == ()


@pytest.mark.asyncio
async def test_a_pause_stays_through_a_suspension_and_ends_with_a_removal(pair: Pair) -> None:
    await pair.wish(Mail.PAUSED, own_posts=False)
    await pair.state(Status.SUSPENDED)
    await pair.state(Status.ACTIVE)
    assert await pair.post(1) == [ALICE]
    await pair.state(Status.REVOKED)
    again = new_membership(pair.bob, pair.history.group.key)
    await pair.bench.restate(pair.history, pair.alice, again)
    assert await pair.post(2, by=pair.bob) == [ALICE, BOB]


@pytest.mark.asyncio
async def test_who_has_paused_may_still_leave_by_a_copys_link(pair: Pair) -> None:
    await pair.post()
    token = token_in(pair.bench, BOB)
    await pair.wish(Mail.PAUSED)
    await pair.wish(Mail.ON)
    await pair.wish(Mail.PAUSED)
    await pair.bench.leaving.ask(token)
    await pair.bench.keep_house()
    await pair.bench.leaving.undo(stay_token(pair.bench, pair.bob))
    assert await pair.post(2) == [ALICE]  # it is paused still
    await pair.wish(Mail.ON)
    assert await pair.post(3) == [ALICE, BOB]


@pytest.mark.asyncio
async def test_nothing_is_sent_late_to_who_wants_no_mail(pair: Pair) -> None:
    await pair.post()
    since = pair.bench.clock.now() - timedelta(days=1)
    message = Redeliver(group_id=TEAM, recrypt_udf=pair.bob.udf, since=since)
    for wanted, status in ((Mail.PAUSED, 409), (Mail.LEFT, 409), (Mail.ON, 201)):
        await pair.wish(wanted)
        assert (await pair.bench.ask(message, pair.alice)).status == status


@pytest.mark.asyncio
@pytest.mark.parametrize("right", [PostRight.ANYONE, PostRight.MEMBERS])
async def test_a_member_may_ask_not_to_get_its_own_posts_back(
    bench: Bench, right: PostRight
) -> None:
    trio = await new_trio(bench, policy=Policy(post=right))
    pair = Pair(bench, History(trio.team.group), trio.alice, trio.bob)
    assert await pair.post(1, by=trio.bob) == [ALICE, BOB, CAROL]
    assert await pair.wish(None, own_posts=False) == DONE
    assert await pair.post(2, by=trio.bob) == [ALICE, CAROL]
    assert await pair.post(3, by=trio.carol) == [ALICE, BOB, CAROL]
    if right is PostRight.ANYONE:
        assert await pair.post(4) == [ALICE, BOB, CAROL]
    await pair.wish(Mail.ON, own_posts=True)
    assert await pair.post(5, by=trio.bob) == [ALICE, BOB, CAROL]


@pytest.mark.asyncio
async def test_who_posts_in_anothers_name_leaves_nobody_out(pair: Pair) -> None:
    await pair.wish(None, own_posts=False)
    mallory = new_person("mallory@example.org")
    forged = replace(pair.bob, online=mallory.online)
    assert await pair.post(1, by=forged) == [ALICE, BOB]
    assert await pair.post(2, by=mallory) == [ALICE, BOB]


@pytest.mark.asyncio
async def test_nobody_learns_of_a_membership_by_what_it_wants(pair: Pair) -> None:
    """A thief's key that was withdrawn, a stranger, who was removed: all hear the same."""
    bench, stranger = pair.bench, new_person(CAROL)
    online = SignaturePrivateKey.generate(SignatureCurve.ED25519)
    device = PrivateKey.generate(Curve.X25519)
    newer = replace(pair.bob, online=online).changed(
        online_signature_keys=(online.public,), encryption_keys=(device.public,)
    )
    assert said(await pair.bench.ask(UpdateProfile(profile=newer.signed), newer)) == DONE
    nonces = await bench.count("nonces")
    for person in (stranger, pair.bob, pair.bob.changed(seconds=0)):
        for wanted in Mail:
            (before,) = await bench.rows("SELECT times FROM leaves_asked")
            assert await pair.wish(wanted, person) == DONE
            (after,) = await bench.rows("SELECT times FROM leaves_asked")
            assert int(after[0] or 0) == int(before[0] or 0) + 1
    assert await bench.count("nonces") == nonces
    assert await pair.left() == ()
    assert await pair.post() == [ALICE, BOB]
    assert await pair.wish(Mail.LEFT, newer) == DONE
    assert await pair.left() == (pair.bob.udf,)


@pytest.mark.asyncio
async def test_nobody_sets_anothers_wishes(pair: Pair) -> None:
    mallory = new_person("mallory@example.org")
    message = SetMail(group_name=TEAM, profile=pair.bob.signed, mail=Mail.LEFT)
    assert (await pair.bench.ask(message, mallory)).status == 401
    forged = replace(pair.bob, verified=mallory.verified)
    assert (await pair.wish(Mail.LEFT, forged))[0] == 401
    ahead = pair.bob.changed(seconds=90_000)
    assert await pair.wish(Mail.LEFT, ahead) == (400, f"Malformed: {AHEAD}.")
    assert await pair.left() == ()


@pytest.mark.asyncio
async def test_a_wish_is_taken_once_and_of_a_list_that_is_there(pair: Pair) -> None:
    now = pair.bench.clock.now()
    message = SetMail(group_name=TEAM, profile=pair.bob.signed, mail=Mail.PAUSED)
    made = sign_request(write_message(message), pair.bob.online, url=URL, now=now)
    assert said(await pair.bench.send(made)) == DONE
    assert said(await pair.bench.send(made)) == (401, f"Not authentic: {USED_NONCE}.")
    other = but(message, group_name="other@lists.example")
    assert (await pair.bench.ask(other, pair.bob)).status == 404
    carol = new_person(CAROL)
    assert (await pair.bench.ask(but(other, profile=carol.signed), carol)).status == 404
    pair.bench.clock.advance(timedelta(seconds=301))
    late = sign_request(write_message(message), pair.bob.online, url=URL, now=now)
    assert (await pair.bench.send(late)).status == 401
