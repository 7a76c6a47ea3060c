"""Who is banned, and who posts too often or too much: refused, or unheard, as strangers are."""

from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio

from listserver import replies
from listserver.holding import HoldKeeping
from listserver.limits import NOTICE_PATIENCE
from recrypt_core.documents import JoinAnswer, Privilege, Status, sign_join
from recrypt_core.messages import (
    ConfirmJoin,
    GetJoinRequests,
    GetJoinRequestsResponse,
    JoinGroup,
    Redeliver,
    RedeliverResponse,
    UpdateProfile,
    write_message,
)
from recrypt_core.policy import Policy, PostRight
from recrypt_core.wishes import SetMail
from tests.builders import TEAM
from tests.fakes import Bench
from tests.lists import said
from tests.moderated import House
from tests.returned import sent_to, words_of

DAY = timedelta(days=1)
ALL = ["alice", "bob", "carol"]


@pytest_asyncio.fixture
async def house(bench: Bench) -> House:
    """Create a list where anyone posts."""
    house = House(bench)
    await house.found(Policy())
    return house


@pytest.mark.asyncio
@pytest.mark.parametrize("right", PostRight, ids=lambda each: str(each.value))
@pytest.mark.parametrize("by", ["alice", "carol", "dave"])
async def test_who_is_banned_hears_what_a_stranger_hears_and_nobody_gets_it(
    house: House, right: PostRight, by: str
) -> None:
    await house.set(post=right, banned=(house.people[by].udf,))
    told = await house.post(by)
    assert told == await house.bench.post(house.written("erin"))
    assert told.positive is (right in (PostRight.ANYONE, PostRight.MODERATED))
    assert house.got() == []
    assert await house.held() == ([2] if right is PostRight.MODERATED else [])  # Erin's
    late = Redeliver(
        group_id=TEAM, recrypt_udf=house.people["bob"].udf, since=house.bench.clock.now()
    )
    is_taken = right is PostRight.ANYONE
    assert await house.ask(late, "bob") == RedeliverResponse(posts=0)  # Erin's is on its way
    await house.bench.relay_all()
    assert house.got() == (ALL if is_taken else ["alice", "bob"] if told.positive else [])
    assert await house.ask(late, "bob") == RedeliverResponse(posts=int(told.positive))  # Erin's
    house.bench.clock.advance(15 * DAY)
    await HoldKeeping(house.bench.store, house.bench.erasing_time).end_old()
    await house.bench.relay_all()
    await house.bench.erasing.erase()
    assert await house.bench.count("ciphertexts") == 0


@pytest.mark.asyncio
async def test_a_banned_members_content_is_remembered_and_the_ban_ends(house: House) -> None:
    await house.set(banned=(house.people["carol"].udf,))
    written = house.written("carol")
    for banned in ((house.people["carol"].udf,), ()):
        await house.set(banned=banned)
        assert await house.bench.post(written) == replies.ACCEPTED
        await house.bench.relay_all()
        assert house.got() == []
    assert await house.post("carol") == replies.ACCEPTED
    assert house.got() == ALL


@pytest.mark.asyncio
async def test_who_is_banned_is_not_told_that_a_post_reached_nobody(house: House) -> None:
    await house.set(banned=(house.people["carol"].udf,))
    await house.post("carol")
    house.bench.clock.advance(DAY)
    await house.bench.keep_house()
    assert house.got() == []


@pytest.mark.asyncio
async def test_what_others_post_is_not_touched_by_a_ban(house: House) -> None:
    await house.set(banned=(house.people["erin"].udf,))
    for by in (None, "alice", "carol", "dave", "erin"):  # who is no member is known by no key
        assert await house.post(by) == replies.ACCEPTED
        assert house.got() == ALL


@pytest.mark.asyncio
@pytest.mark.parametrize("by", ["alice", "carol", "dave", "erin"])
async def test_a_key_posts_so_often_on_a_day_whoever_has_it(house: House, by: str) -> None:
    await house.set(posts_per_day=2)
    for _ in range(2):
        assert await house.post(by) == replies.ACCEPTED
    late = house.written(by)
    assert await house.bench.post(late) == replies.TOO_OFTEN
    assert str(replies.TOO_OFTEN).startswith("450 4.7.1 ")
    other = "carol" if by == "alice" else "alice"
    assert await house.post(other) == await house.post() == replies.ACCEPTED
    house.bench.clock.advance(DAY)
    assert await house.bench.post(late) == replies.ACCEPTED


@pytest.mark.asyncio
@pytest.mark.parametrize("right", [PostRight.ANYONE, PostRight.MODERATED], ids=["any", "held"])
async def test_nobody_uses_up_the_posts_of_another(house: House, right: PostRight) -> None:
    await house.set(post=right, posts_per_day=1)
    forged = [await house.bench.post(house.written("carol", is_forged=True)) for _ in range(2)]
    assert forged == [replies.ACCEPTED, replies.TOO_OFTEN]
    assert await house.bench.post(house.written("carol")) == replies.ACCEPTED
    assert await house.bench.post(house.written("carol")) == replies.TOO_OFTEN


@pytest.mark.asyncio
@pytest.mark.parametrize("rate", ["posts_per_day", "list_posts_per_day"])
async def test_a_replay_uses_up_nobodys_posts(house: House, rate: str) -> None:
    await house.set(post=PostRight.MEMBERS, **{rate: 2})
    first, last = house.written("carol"), house.written("carol")
    for written in (first, first, first, last, first):
        assert await house.bench.post(written) == replies.ACCEPTED
    assert await house.bench.post(house.written("carol")) == replies.TOO_OFTEN
    assert await house.bench.count("posts") == 2


@pytest.mark.asyncio
async def test_a_member_with_two_keys_posts_no_oftener_than_one_with_one(house: House) -> None:
    await house.set(posts_per_day=1)
    carol = house.people["carol"]
    assert await house.bench.post(house.written("carol")) == replies.ACCEPTED
    house.people["carol"] = replace(carol, online=carol.master)
    assert await house.bench.post(house.written("carol")) == replies.TOO_OFTEN


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("policy", "status"),
    [
        (Policy(post=PostRight.ANYONE), Status.ACTIVE),
        (Policy(post=PostRight.ANNOUNCE), Status.ACTIVE),
        (Policy(post=PostRight.MODERATED), Status.ACTIVE),
        (Policy(post=PostRight.ANYONE), Status.SUSPENDED),
    ],
    ids=["banned", "announce", "moderated", "suspended"],
)
async def test_who_lists_anothers_key_takes_over_none_of_its_posts(
    house: House, policy: Policy, status: Status
) -> None:
    bench, bob, carol = house.bench, house.people["bob"], house.people["carol"]
    banned = () if policy.post is not PostRight.ANYONE else (carol.udf,)
    await house.set(post=policy.post, banned=banned)
    # Bob is an administrator who has no copies: not served.
    await house.update("bob", privileges=(Privilege.ADMIN,), status=status)
    before = await house.post("bob")
    went = house.got()
    for who, other in ((carol, bob), (bob, None)):
        bench.clock.advance(timedelta(minutes=5))
        keys = (who.online.public, *(() if other is None else (other.online.public,)))
        newer = who.changed(
            online_signature_keys=keys, accounts=(who.address, "x@example.org"),
            updated=bench.clock.now(),
        )  # fmt: skip
        name = who.address.partition("@")[0]
        assert said(await house.ask(UpdateProfile(profile=newer.signed), name))[0] == 201
        assert await house.post("bob") == before == replies.ACCEPTED
        assert house.got() == went


@pytest.mark.asyncio
async def test_a_list_takes_so_many_posts_on_a_day(house: House) -> None:
    await house.set(list_posts_per_day=3)
    for by in (None, "alice", "erin"):
        assert await house.post(by) == replies.ACCEPTED
    for by in (None, "alice", "carol", "dave", "erin"):
        assert await house.bench.post(house.written(by)) == replies.TOO_OFTEN
    assert await house.bench.count("posts") == 3
    await house.set(list_posts_per_day=None)
    assert await house.post() == replies.ACCEPTED


@pytest.mark.asyncio
async def test_a_list_takes_posts_of_so_many_kib(house: House) -> None:
    await house.set(post_kib=1)
    for by in (None, "alice", "carol", "erin"):
        assert await house.post(by, b"x" * 1024) == replies.ACCEPTED
        refused = await house.post(by, b"x" * 1025)
        assert str(refused) == "552 5.3.4 Too large: this list takes at most 1 KiB, encrypted."


@pytest.mark.asyncio
async def test_who_is_banned_asks_in_as_ever_and_is_never_shown(house: House) -> None:
    erin, bench = house.people["erin"], house.bench

    async def asks_in() -> None:
        message = JoinGroup(group_name=TEAM, account_name=erin.address, profile=erin.signed)
        assert said(await house.ask(message, "erin"))[0] == 201
        await bench.carry_letters()
        text = words_of(bench.courier.sent[-1], erin)
        answer = JoinAnswer(
            group_identifier=house.group.master.udf,
            token=text.partition("Token: ")[2][:26],
            account_name=erin.address,
            identifier=erin.udf,
        )
        message_ = ConfirmJoin(answer=sign_join(answer, erin.online))
        _, confirmed = await bench.transactions.answer(write_message(message_), signed=False)
        assert said(confirmed)[0] == 201

    async def shown() -> int:
        answer = await house.ask(GetJoinRequests(group_id=TEAM))
        assert isinstance(answer, GetJoinRequestsResponse)
        return len(answer.join_requests)

    await house.set(banned=(erin.udf,))
    await asks_in()
    bench.clock.advance(NOTICE_PATIENCE)
    await bench.keep_house()
    assert sent_to(bench, house.people["alice"].address) == []  # and isn't told of
    assert await shown() == 0
    await house.set(banned=())
    assert await shown() == 1
    await house.set(banned=(erin.udf, house.people["dave"].udf))
    assert await shown() == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("wishes", [(), ("alice", "carol")], ids=["own posts", "no own posts"])
@pytest.mark.parametrize("right", PostRight, ids=lambda each: str(each.value))
async def test_a_banned_members_post_is_as_much_work_as_a_strangers(
    house: House, right: PostRight, wishes: tuple[str, ...]
) -> None:
    await house.set(post=right, banned=(house.people["carol"].udf,))
    for name in wishes:
        signed = house.people[name].signed
        wish = SetMail(group_name=TEAM, profile=signed, own_posts=False)
        assert said(await house.ask(wish, name))[0] == 201
    work = {}
    for by in ("erin", "dave", "carol", "erin"):  # the first one looks at the list anew
        with house.bench.statements() as statements:
            work[by] = (await house.bench.post(house.written(by)), statements)
    assert work["carol"] == work["dave"] == work["erin"]
    assert len(work["erin"][1]) > 3


@pytest.mark.asyncio
async def test_where_anyone_posts_and_nothing_is_bounded_nothing_more_is_asked(
    house: House,
) -> None:
    await house.post()
    with house.bench.statements() as statements:
        assert await house.bench.post(house.written("carol")) == replies.ACCEPTED
    assert statements
    for word in ("holding", "join_counts", "signers", "powerful", "review"):
        assert not [each for each in statements if word in each], word
