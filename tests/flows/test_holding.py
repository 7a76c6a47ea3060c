"""Moderation without reading: who may post, what is held, who sees it, and what is decided."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest
import pytest_asyncio

from listserver import limits, replies
from listserver.addresses import ListAddress, Role
from listserver.edges.sqlite_upkeep import open_upkeep
from listserver.holding import HoldKeeping
from listserver.model import PostId
from listserver.store import StoreTrouble
from recrypt_core.documents import Privilege, RecryptionGroup, Status
from recrypt_core.messages import Redeliver, RedeliverResponse, UpdateGroup
from recrypt_core.moderation import Decide, Decision, GetHeld, HeldName, sign_decision
from recrypt_core.policy import Policy, PostRight
from tests.builders import TEAM, closed_key
from tests.fakes import Bench, open_bench
from tests.lists import said
from tests.mails import message_of
from tests.moderated import House
from tests.returned import words_of

DAY = timedelta(days=1)
ACCEPT, REJECT, DISCARD = Decision.ACCEPT, Decision.REJECT, Decision.DISCARD
GONE = (404, "Refused: no such post waits: see which do with recrypt held.")


@pytest_asyncio.fixture
async def house(bench: Bench) -> House:
    """Create a moderated list."""
    house = House(bench)
    await house.found(Policy(post=PostRight.MODERATED))
    return house


@pytest.mark.asyncio
async def test_what_is_held_goes_to_moderators_alone_who_can_read_it(house: House) -> None:
    assert await house.post("carol", b"Subject: lunch\r\n\r\n") == replies.ACCEPTED
    for name in ("alice", "bob"):
        assert house.read(name) == [b"Subject: lunch\r\n\r\n"]
    copy = message_of(b"".join(house.bench.courier.sent[0].parts))
    text = str(copy.get_payload(0))
    assert "This message to the list team@lists.example is held, as number 1:" in text
    named = str(await house.named(1))
    assert named.startswith("1:")
    assert f"recrypt held team@lists.example accept {named}\n" in text
    assert "held" not in str(copy.items())
    assert house.got() == ["alice", "bob"]
    assert await house.held() == await house.held("bob") == [1]


@pytest.mark.asyncio
@pytest.mark.parametrize("by", [None, "carol", "dave", "erin"], ids=str)
async def test_all_but_administrators_hear_the_same_and_wait(house: House, by: str | None) -> None:
    assert await house.post(by) == replies.ACCEPTED
    assert house.got() == ["alice", "bob"]
    (found,) = (await house.ask(GetHeld(group_id=TEAM))).held  # type: ignore[attr-defined]
    now = house.bench.clock.now()
    assert (found.post, found.since, found.until) == (1, now, now + 7 * DAY)
    assert found.octets == len(b"Subject: 1\r\n\r\n")
    expected = house.people["carol"].udf if by == "carol" else None
    assert found.recrypt_udf == expected


@pytest.mark.asyncio
@pytest.mark.parametrize("by", ["alice", "bob"])
async def test_posts_of_administrators_pass(house: House, by: str) -> None:
    assert await house.post(by) == replies.ACCEPTED
    assert house.got() == ["alice", "bob", "carol"]
    assert await house.held() == []


@pytest.mark.asyncio
async def test_in_an_emergency_everything_is_held(house: House) -> None:
    for right in PostRight:
        await house.set(post=right, hold=True)
        assert await house.post("alice") == replies.ACCEPTED
        assert house.got() == ["alice", "bob"]
    assert len(await house.held()) == len(PostRight)


@pytest.mark.asyncio
async def test_in_an_announce_list_only_administrators_post(house: House) -> None:
    await house.set(post=PostRight.ANNOUNCE)
    for by in (None, "carol", "dave", "erin"):
        assert await house.post(by) == replies.NOT_ALLOWED_TO_POST
    assert await house.bench.count("posts") == await house.bench.count("contents") == 0
    assert await house.post("bob") == replies.ACCEPTED
    assert house.got() == ["alice", "bob", "carol"]


@pytest.mark.asyncio
async def test_what_is_accepted_goes_to_all_readers_of_that_time(house: House) -> None:
    await house.post("erin", b"Subject: lunch\r\n\r\n")
    house.got()
    house.bench.clock.advance(DAY)
    await house.update("carol", status=Status.SUSPENDED)
    await house.update("dave", status=Status.ACTIVE)
    assert await house.decide(1, ACCEPT) == (201, "Operation completed successfully")
    assert house.read("dave") == [b"Subject: lunch\r\n\r\n"]
    copy = message_of(b"".join(house.bench.courier.sent[0].parts))
    assert "is encrypted." in str(copy.get_payload(0))
    assert house.got() == ["alice", "bob", "dave"]
    assert await house.held() == []
    assert await house.bench.waiting() == 0


@pytest.mark.asyncio
async def test_a_post_that_was_held_is_kept_and_redelivered_from_its_acceptance_on(
    house: House,
) -> None:
    await house.set(keep=2)
    await house.post("erin")
    late = Redeliver(
        group_id=TEAM, recrypt_udf=house.people["carol"].udf, since=house.bench.clock.now()
    )
    assert await house.ask(late) == RedeliverResponse(posts=0)
    house.bench.clock.advance(5 * DAY)
    await house.bench.erasing.erase()
    assert (await house.decide(1, ACCEPT))[0] == 201
    await house.bench.erasing.erase()
    assert await house.bench.count("ciphertexts") == 1
    house.got()
    assert await house.ask(late) == RedeliverResponse(posts=1)
    await house.bench.relay_all()
    assert house.got() == ["carol"]
    house.bench.clock.advance(2 * DAY)
    await house.bench.erasing.erase()
    assert await house.bench.count("ciphertexts") == 0


@pytest.mark.asyncio
async def test_who_becomes_a_moderator_can_be_sent_what_waits(house: House) -> None:
    await house.post("erin", b"Subject: lunch\r\n\r\n")
    house.got()
    since = house.bench.clock.now()
    late = Redeliver(group_id=TEAM, recrypt_udf=house.people["carol"].udf, since=since)
    assert await house.ask(late) == RedeliverResponse(posts=0)
    await house.update("carol", privileges=(Privilege.RECRYPT, Privilege.ADMIN))
    assert await house.ask(late, "carol") == RedeliverResponse(posts=1)
    await house.bench.relay_all()
    assert house.read("carol") == [b"Subject: lunch\r\n\r\n"]
    assert "is held, as number 1:" in str(
        message_of(b"".join(house.bench.courier.sent[0].parts)).get_payload(0)
    )
    assert house.got() == ["carol"]
    assert await house.ask(late, "carol") == RedeliverResponse(posts=1)
    assert (await house.decide(1, DISCARD, "carol"))[0] == 201  # before it is sent once more
    assert house.got() == []
    assert await house.ask(late, "carol") == RedeliverResponse(posts=0)


@pytest.mark.asyncio
@pytest.mark.parametrize("decision", Decision, ids=lambda each: str(each.value))
async def test_the_first_decision_counts_and_the_second_is_told_so(
    house: House, decision: Decision
) -> None:
    words = {ACCEPT: "accepted", REJECT: "rejected", DISCARD: "discarded"}
    await house.post("carol")
    assert (await house.decide(1, decision))[0] == 201
    sent = len(house.bench.courier.sent)
    for again in Decision:
        refused = (409, f"Refused: post 1 was {words[decision]} already.")
        assert await house.decide(1, again, "bob") == refused
    assert len(house.bench.courier.sent) == sent
    assert await house.decide(2, ACCEPT) == GONE
    assert await house.decide(0, ACCEPT) == GONE


@pytest.mark.asyncio
async def test_only_administrators_see_what_waits_and_decide(house: House) -> None:
    await house.post("carol")
    forbidden = (403, "Refused: only an ACTIVE ADMIN or SUPER may do that.")
    for by in ("carol", "dave"):
        assert said(await house.ask(GetHeld(group_id=TEAM), by)) == forbidden
        assert await house.decide(1, ACCEPT, by) == forbidden
    assert (await house.decide(1, ACCEPT, "erin"))[0] == 401
    assert await house.held() == [1]


@pytest.mark.asyncio
@pytest.mark.parametrize("by", ["carol", "erin", None], ids=str)
async def test_only_a_proven_sender_is_told_that_a_post_is_rejected(
    house: House, by: str | None
) -> None:
    await house.post(by)
    house.got()
    assert (await house.decide(1, REJECT))[0] == 201
    await house.bench.carry_letters()
    sent = [each for each in house.bench.courier.sent if each.return_path == ""]
    assert [each.recipient for each in sent] == (["carol@example.org"] if by == "carol" else [])
    for letter in sent:
        text = words_of(letter, house.people["carol"])
        assert text.startswith("team: your post was not accepted\n")
        assert "Alice" not in text


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.ACTIVE], ids=lambda each: each.value)
async def test_who_is_no_active_member_any_more_is_told_nothing(
    house: House, status: Status
) -> None:
    await house.post("carol")
    house.got()
    await house.update("carol", status=status)
    assert (await house.decide(1, REJECT))[0] == 201
    await house.bench.carry_letters()
    assert house.got() == (["carol"] if status is Status.ACTIVE else [])


@pytest.mark.asyncio
@pytest.mark.parametrize("decision", [REJECT, DISCARD], ids=["reject", "discard"])
async def test_what_is_not_accepted_is_erased_and_remembered(
    house: House, decision: Decision
) -> None:
    written = house.written("carol")
    assert await house.bench.post(written) == replies.ACCEPTED
    assert (await house.decide(1, decision))[0] == 201
    assert house.got() == []  # what wasn't sent yet isn't any more
    await house.bench.erasing.erase()
    assert await house.bench.count("ciphertexts") == 0
    assert await house.bench.post(written) == replies.ACCEPTED
    assert await house.held() == []


@pytest.mark.asyncio
async def test_what_nobody_decides_on_is_over_after_the_days_of_the_policy(house: House) -> None:
    await house.set(hold_days=3)
    keeping = HoldKeeping(house.bench.store, house.bench.erasing_time)
    await house.post("carol")
    for _ in range(3):
        assert not await keeping.end_old()
        assert await house.held() == [1]
        house.bench.clock.advance(DAY)
    assert not await keeping.end_old()
    assert await house.held() == []
    refused = (409, "Refused: post 1 was expired already.")
    assert await house.decide(1, ACCEPT) == refused
    await house.bench.erasing.erase()
    assert await house.bench.count("ciphertexts") == 0
    await house.post("carol")
    house.bench.clock.advance(limits.TOKEN_LIFE + 4 * DAY)
    for _ in range(2):
        await keeping.end_old()
    assert await house.decide(1, ACCEPT) == GONE
    await house.post("carol")
    assert await house.held() == [3]  # no number comes again


@pytest.mark.asyncio
async def test_administrators_are_told_hourly_that_posts_wait(house: House) -> None:
    await house.post("carol")
    await house.post("erin")
    house.got()
    for expected in (["alice@example.org", "bob@example.org"], []):
        await house.bench.keep_house()
        sent = sorted(each.recipient for each in house.bench.courier.sent)
        assert sent == expected
        for each in house.bench.courier.sent:
            person = house.people[each.recipient.partition("@")[0]]
            assert words_of(each, person).startswith("team: posts that wait for a decision: 2\n")
        house.bench.courier.sent.clear()
    await house.post("erin")
    house.got()
    house.bench.clock.advance(limits.NOTICE_PATIENCE)
    await house.bench.keep_house()
    assert house.got() == ["alice", "bob"]


@pytest.mark.asyncio
async def test_who_administers_no_more_is_sent_nothing_that_is_held(house: House) -> None:
    assert await house.bench.post(house.written("carol")) == replies.ACCEPTED
    await house.update("bob", privileges=(Privilege.RECRYPT,))
    await house.bench.relay_all()
    assert house.got() == ["alice"]


@pytest.mark.asyncio
async def test_pages_of_what_waits_follow_each_other(house: House) -> None:
    for _ in range(5):
        await house.post("carol")
    for limit in (1, 2, 5):
        assert await house.held(limit=limit) == [1, 2, 3, 4, 5]


@pytest.mark.asyncio
async def test_an_accepted_post_that_reaches_nobody_is_told_its_sender(house: House) -> None:
    await house.update("bob", status=Status.SUSPENDED)
    await house.set(notice=False)
    await house.post("carol")
    await house.update("alice", privileges=(Privilege.SUPER, Privilege.ADMIN))
    await house.update("carol", privileges=(Privilege.ADMIN,))
    assert (await house.decide(1, ACCEPT))[0] == 201
    house.got()
    await house.bench.keep_house()
    texts = [
        words_of(each, house.people["carol"])
        for each in house.bench.courier.sent
        if each.recipient == "carol@example.org"
    ]
    assert sum(text.startswith("team: your post reached nobody\n") for text in texts) == 1


@pytest.mark.asyncio
async def test_a_held_post_waits_over_a_restart(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        house = House(bench)
        await house.found(Policy(post=PostRight.MODERATED))
        await house.bench.post(house.written("carol"))
    async with open_bench(tmp_path) as bench:
        house.bench = bench
        await bench.delivering.recover()
        await bench.relay_all()
        assert house.got() == ["alice", "bob"]
        assert (await house.decide(1, ACCEPT))[0] == 201
        assert house.got() == ["alice", "bob", "carol"]


@pytest.mark.asyncio
async def test_a_decision_about_another_content_with_the_same_number_counts_for_nothing(
    house: House,
) -> None:
    await house.post("carol")
    number, other = (await house.named(1)).number, HeldName(1, "A" * 43)
    assert number == 1
    for cid in (other.cid, None):
        message = Decide(group_id=TEAM, post=1, content_id=cid, decision=ACCEPT)
        assert said(await house.ask(message)) == GONE
    key, now = house.people["alice"].online, house.bench.clock.now()
    text = sign_decision(house.group.master.udf, other, DISCARD, key, now=now)
    to = ListAddress("team@lists.example", Role.REQUEST)
    assert await house.bench.receiving.receive(command(text), to, sender="") == replies.ACCEPTED
    assert await house.held() == [1]


def command(text: str) -> bytes:
    """Write a mail that holds a signed decision."""
    return f"From: x@example.org\r\nTo: team-request@lists.example\r\n\r\n{text}\r\n".encode()


@pytest.mark.asyncio
async def test_a_signed_mail_decides_and_all_others_come_to_nothing(house: House) -> None:
    await house.post("erin")
    house.got()
    group, now = house.group.master.udf, house.bench.clock.now()

    async def comes(text: str) -> None:
        to = ListAddress("team@lists.example", Role.REQUEST)
        said = await house.bench.receiving.receive(command(text), to, sender="")
        assert said == replies.ACCEPTED
        await house.bench.relay_all()
        await house.bench.carry_letters()

    async def mails(by: str, *, post: int = 1, age: timedelta = timedelta(0)) -> None:
        key, name = house.people[by].online, await house.named(post)
        await comes(sign_decision(group, name, ACCEPT, key, now=now - age))

    for by in ("carol", "dave", "erin"):
        await mails(by)
    await mails("alice", age=6 * DAY)
    await mails("alice", post=2)
    name = await house.named(1)
    text = sign_decision(group, name, ACCEPT, house.people["alice"].online, now=now)
    head, body, signature = text.split(".")
    for wrong in (f"{head}.{body}.{signature[::-1]}", f"{body}.{head}.{signature}", "a.b.c", ""):
        await comes(wrong)
    assert house.got() == []
    await mails("bob")
    assert house.got() == ["alice", "bob", "carol"]
    await mails("alice")
    assert house.got() == []


@pytest.mark.asyncio
@pytest.mark.parametrize("encoding", ["7bit", "quoted-printable", "base64"])
@pytest.mark.parametrize("beside", [None, "html", "file"], ids=str)
async def test_a_decision_is_found_however_a_mail_program_writes_it(
    house: House, encoding: str, beside: str | None
) -> None:
    await house.post("erin")
    key, now = house.people["alice"].online, house.bench.clock.now()
    signed = sign_decision(house.group.master.udf, await house.named(1), ACCEPT, key, now=now)
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"] = "x@example.org", "team-request@lists.example"
    mail.set_content(f"Hello = you\n\n{signed}\n", cte=encoding)
    if beside == "html":
        mail.add_alternative("<p>Hello</p>", subtype="html")
    if beside == "file":
        mail.add_attachment(b"x" * 10**5, maintype="application", subtype="pdf")
    to = ListAddress("team@lists.example", Role.REQUEST)
    await house.bench.receiving.receive(mail.as_bytes(), to, sender="")
    assert await house.held() == []


@pytest.mark.asyncio
async def test_a_decision_is_found_where_a_mail_is_not_what_it_says(house: House) -> None:
    await house.post("erin")
    key, now = house.people["alice"].online, house.bench.clock.now()
    signed = sign_decision(house.group.master.udf, await house.named(1), ACCEPT, key, now=now)
    head = "Content-Transfer-Encoding: base64\r\n\r\n"
    to = ListAddress("team@lists.example", Role.REQUEST)
    await house.bench.receiving.receive(f"{head}{signed}\r\n".encode(), to, sender="")
    assert await house.held() == []


@pytest.mark.asyncio
async def test_a_mail_decides_about_several_posts_and_no_more_than_twenty(house: House) -> None:
    group, now = house.group.master.udf, house.bench.clock.now()
    for _ in range(22):
        await house.bench.post(house.written())
    key = house.people["alice"].online
    names = [await house.named(post) for post in range(1, 23)]
    texts = [sign_decision(group, name, DISCARD, key, now=now) for name in names]
    to = ListAddress("team@lists.example", Role.REQUEST)
    await house.bench.receiving.receive(command("\r\n".join(texts)), to, sender="")
    assert await house.held() == [21, 22]
    alike = [".".join(["x" * 20] * 3)] * 20
    for before, held in ((alike, [21, 22]), (alike[1:], [22])):
        sent = command("\r\n".join([*before, texts[20]]))
        await house.bench.receiving.receive(sent, to, sender="")
        assert await house.held() == held


@pytest.mark.asyncio
async def test_a_rejection_whose_letter_has_no_room_has_not_happened(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.post("carol")
    monkeypatch.setattr("listserver.edges.sqlite_letters.LETTERS", 0)
    assert (await house.decide(1, REJECT))[0] == 503
    key, now = house.people["alice"].online, house.bench.clock.now()
    text = sign_decision(house.group.master.udf, await house.named(1), REJECT, key, now=now)
    with pytest.raises(StoreTrouble):
        await house.bench.receiving.receive(
            command(text), ListAddress("team@lists.example", Role.REQUEST), sender=""
        )
    assert await house.held() == [1]
    monkeypatch.undo()
    assert (await house.decide(1, REJECT))[0] == 201


async def damage(house: House) -> None:
    async with house.bench.store.begin():
        await house.bench.store._rows.run("UPDATE posts SET sealed = x'00'")


async def drop(house: House) -> None:
    await house.bench.post(house.written("carol"))
    with open_upkeep(house.bench.file, house.bench.vault) as upkeep:
        assert upkeep.drop(PostId(2), house.bench.clock.now()) is not None
    assert await house.held() == [1]
    assert (await house.decide(1, DISCARD))[0] == 201


async def close(house: House) -> None:
    signed = closed_key(house.history.state, house.group.master)
    group = RecryptionGroup(group_name=TEAM, current_encryption_key=signed.signed)
    await house.change(UpdateGroup(recryption_group=group))


@pytest.mark.asyncio
@pytest.mark.parametrize(("how", "post"), [(damage, 1), (drop, 2), (close, 1)])
async def test_what_cannot_be_sent_any_more_can_only_be_discarded(
    house: House, how: Callable[[House], Awaitable[None]], post: int
) -> None:
    await house.post("carol")
    await how(house)
    house.got()
    status, words = await house.decide(post, ACCEPT)
    assert (status, words[:9]) == (409, "Refused: ")
    assert "discard " in words or "discard it" in words
    assert (await house.decide(post, DISCARD))[0] == 201
    assert house.got() == []
    await house.bench.erasing.erase()
    assert await house.bench.count("ciphertexts") == 0
