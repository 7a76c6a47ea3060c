"""Who leaves by a copy's link: no more mail at once, a letter, a week to stay, and then told."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace as but

from listserver.limits import LEAVE_PATIENCE
from listserver.model import Letter
from listserver.outcomes import Phase, Refused
from listserver.store import QueueFull
from recrypt_core.documents import MemberEntry, Status
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.messages import GetGroup, GetGroupResponse, write_message
from recrypt_core.signing import sign_request
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
from tests.fakes import Bench, administrator, open_bench
from tests.mails import mail, sealed
from tests.returned import (
    ALICE,
    BOB,
    BUSY,
    CAROL,
    Trio,
    new_trio,
    post,
    sent_to,
    words_of,
)

TOKEN = re.compile(
    rb"\AList-Unsubscribe: <https://lists\.example/u/([a-z2-7]{26})>,\r\n"
    rb" <mailto:team-unsubscribe\+([a-z2-7]{26})@lists\.example>\r\n"
    rb"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
)
STAY = re.compile(r"https://lists\.example/stay/([a-z2-7]{26})")


def token_in(bench: Bench, address: str) -> str:
    """Find the token in the latest copy to somebody."""
    found = TOKEN.search(b"".join(sent_to(bench, address)[-1].parts))
    assert found is not None
    assert found[1] == found[2]
    return found[1].decode()


def stay_token(bench: Bench, person: Person) -> str:
    """Find the token in the latest letter to somebody."""
    letter = sent_to(bench, person.address)[-1]
    assert letter.return_path == ""
    found = STAY.search(words_of(letter, person))
    assert found is not None
    return found[1]


async def left(bench: Bench, alice: Person) -> int:
    """Count who has left, as an administrator is told."""
    request = GetGroup(group_id=TEAM)
    made = sign_request(write_message(request), alice.online, url=URL, now=bench.clock.now())
    answer = await bench.send(made)
    assert isinstance(answer, GetGroupResponse)
    return len(answer.left)


async def posted_trio(bench: Bench) -> Trio:
    """Give a list whose members have had a copy."""
    trio = await new_trio(bench)
    await post(bench, trio.team)
    return trio


@pytest.mark.asyncio
async def test_each_copy_has_its_own_token_to_leave_by_and_all_are_of_one_size(
    bench: Bench,
) -> None:
    await posted_trio(bench)
    tokens = {token_in(bench, each) for each in (ALICE, BOB, CAROL)}
    paths = {each.return_path for each in bench.courier.sent}
    assert len(tokens) == len(paths) == 3
    assert not any(token in path for token in tokens for path in paths)
    assert len({len(b"".join(each.parts)) for each in bench.courier.sent}) == 1


@pytest.mark.asyncio
async def test_who_asks_to_leave_has_no_copies_from_then_on(bench: Bench) -> None:
    trio = await posted_trio(bench)
    await bench.leaving.ask(token_in(bench, BOB))
    bench.courier.sent.clear()
    await post(bench, trio.team, 2)
    assert {each.recipient for each in bench.courier.sent} == {ALICE, CAROL}


@pytest.mark.asyncio
async def test_what_waits_for_who_asks_to_leave_is_withdrawn(bench: Bench) -> None:
    trio = await posted_trio(bench)
    bench.courier.script(BOB, BUSY)
    await post(bench, trio.team, 2)
    assert await bench.waiting() == 1
    await bench.leaving.ask(token_in(bench, BOB))
    bench.courier.sent.clear()
    bench.clock.advance(timedelta(hours=1))
    await bench.relay_all()
    assert await bench.waiting() == 0
    assert not bench.courier.sent


@pytest.mark.asyncio
async def test_a_letter_tells_how_to_stay_and_its_token_undoes_it(bench: Bench) -> None:
    trio = await posted_trio(bench)
    await bench.leaving.ask(token_in(bench, BOB).upper())
    await bench.keep_house()
    letter = sent_to(bench, BOB)[-1]
    assert "leaving" in words_of(letter, trio.bob)
    assert b"leaving" not in b"".join(letter.parts)
    await bench.leaving.undo(stay_token(bench, trio.bob))
    bench.courier.sent.clear()
    await post(bench, trio.team, 2)
    assert len(sent_to(bench, BOB)) == 1


@pytest.mark.asyncio
async def test_a_mail_to_the_letters_address_undoes_it_too(bench: Bench) -> None:
    trio = await posted_trio(bench)
    await bench.leaving.ask(token_in(bench, BOB))
    await bench.keep_house()
    token = stay_token(bench, trio.bob)
    assert f"team-unsubscribe+{token}@lists.example" in words_of(sent_to(bench, BOB)[-1], trio.bob)
    await bench.leaving.ask(token)
    await post(bench, trio.team, 2)
    assert len(sent_to(bench, BOB)) == 3  # two copies and the letter


@pytest.mark.asyncio
async def test_only_one_letter_is_sent_however_often_it_is_asked(bench: Bench) -> None:
    await posted_trio(bench)
    token = token_in(bench, BOB)
    for _ in range(3):
        await bench.leaving.ask(token)
        await bench.keep_house()
        bench.clock.advance(timedelta(hours=1))
    assert len(sent_to(bench, BOB)) == 2


@pytest.mark.asyncio
async def test_links_of_copies_from_before_somebody_stayed_do_nothing_any_more(
    bench: Bench,
) -> None:
    trio = await posted_trio(bench)
    old = token_in(bench, BOB)
    await bench.leaving.ask(old)
    await bench.keep_house()
    await bench.leaving.undo(stay_token(bench, trio.bob))
    await bench.leaving.ask(old)
    await post(bench, trio.team, 2)
    assert len(sent_to(bench, BOB)) == 3
    await bench.leaving.ask(token_in(bench, BOB))
    await post(bench, trio.team, 3)
    assert len(sent_to(bench, BOB)) == 3


@pytest.mark.asyncio
async def test_after_a_week_it_is_final_and_administrators_are_told(bench: Bench) -> None:
    trio = await posted_trio(bench)
    await bench.leaving.ask(token_in(bench, BOB))
    await bench.keep_house()
    token = stay_token(bench, trio.bob)
    bench.clock.advance(LEAVE_PATIENCE - timedelta(seconds=1))
    await bench.keep_house()
    assert await left(bench, trio.alice) == 0
    bench.courier.sent.clear()
    bench.clock.advance(timedelta(seconds=1))
    await bench.keep_house()
    await bench.leaving.undo(token)
    assert await left(bench, trio.alice) == 1
    (letter,) = bench.courier.sent
    assert letter.recipient == ALICE
    assert BOB in words_of(letter, trio.alice)
    assert BOB.encode() not in b"".join(letter.parts)
    bench.clock.advance(timedelta(hours=2))
    await bench.keep_house()
    assert len(bench.courier.sent) == 1


@pytest.mark.asyncio
async def test_what_was_told_in_vain_is_told_again(bench: Bench) -> None:
    trio = await posted_trio(bench)
    await bench.leaving.ask(token_in(bench, BOB))
    await bench.keep_house()
    bench.clock.advance(LEAVE_PATIENCE)
    bench.courier.sent.clear()
    bench.courier.script(ALICE, Refused(Phase.RCPT, 550, "5.7.1 no"))
    await bench.keep_house()
    bench.clock.advance(timedelta(hours=5))
    await bench.keep_house()
    assert len(bench.courier.sent) == 2
    assert BOB in words_of(bench.courier.sent[-1], trio.alice)


@pytest.mark.asyncio
async def test_a_token_that_is_not_ours_does_nothing_and_is_answered_alike(bench: Bench) -> None:
    trio = await posted_trio(bench)
    (path,) = {each.return_path for each in sent_to(bench, BOB)}
    of_path = path.partition("+")[2].partition("@")[0]
    for wrong in ("", "a" * 26, of_path, "../..", token_in(bench, BOB)[:-1], "é" * 26):
        assert await bench.leaving.of_token(wrong) is None
        await bench.leaving.ask(wrong)
        await bench.leaving.undo(wrong)
    await post(bench, trio.team, 2)
    assert len(sent_to(bench, BOB)) == 2


@pytest.mark.asyncio
async def test_a_copys_token_undoes_nothing(bench: Bench) -> None:
    trio = await posted_trio(bench)
    token = token_in(bench, BOB)
    await bench.leaving.ask(token)
    await bench.leaving.undo(token)
    await post(bench, trio.team, 2)
    assert len(sent_to(bench, BOB)) == 1


@pytest.mark.asyncio
async def test_a_token_names_its_list_whatever_has_become_of_the_member(bench: Bench) -> None:
    history, alice, _, entry = await posted_pair(bench)
    token = token_in(bench, BOB)
    for status in (Status.ACTIVE, Status.SUSPENDED, Status.REVOKED):
        await state(bench, history, alice, entry.entry, status)
        for written in (token, token.upper()):
            found = await bench.leaving.of_token(written)
            assert found is not None
            assert found.state.name == TEAM
    await bench.leaving.ask(token)
    bench.courier.sent.clear()
    await bench.keep_house()
    assert not bench.courier.sent  # who is REVOKED isn't written to


@pytest.mark.asyncio
async def test_every_ask_is_answered_after_the_same_statements_and_writes(bench: Bench) -> None:
    """Of a member, who leaves already, who is suspended, who was removed; and a forged one."""
    group = new_group()
    alice, bob, carol = new_person(ALICE), new_person(BOB), new_person(CAROL)
    bobs, carols = new_membership(bob, group.key), new_membership(carol, group.key)
    history = await bench.create(group, administrator(alice, group), bobs, carols, authorised=alice)
    await post_to(bench, history)
    of_alice, of_bob, of_carol = (token_in(bench, each) for each in (ALICE, BOB, CAROL))
    await state(bench, history, alice, bobs.entry, Status.REVOKED)
    await state(bench, history, alice, carols.entry, Status.SUSPENDED)
    shapes = set()
    for token in (of_alice, of_alice, of_bob, of_carol, "forged", "a" * 26):
        with bench.statements() as statements:
            await bench.leaving.ask(token)
        shapes.add(tuple(statements))
    (shape,) = shapes
    assert len([each for each in shape if each.startswith("UPDATE")]) == 2
    ((times,),) = await bench.rows("SELECT times FROM leaves_asked")
    assert times == 6


@pytest.mark.asyncio
async def test_who_is_revoked_and_comes_back_has_mail_and_old_links_do_nothing(
    bench: Bench,
) -> None:
    history, alice, bob, entry = await posted_pair(bench)
    token = token_in(bench, BOB)
    await bench.leaving.ask(token)
    await bench.keep_house()
    bench.clock.advance(timedelta(days=7))
    await bench.keep_house()
    assert await left(bench, alice) == 1
    bench.clock.advance(timedelta(days=-7))  # changes are signed as of the beginning
    await state(bench, history, alice, entry.entry, Status.REVOKED)
    assert await left(bench, alice) == 0
    again = new_membership(bob, history.group.key)
    await bench.restate(history, alice, again)
    await bench.leaving.ask(token)
    bench.courier.sent.clear()
    await post_to(bench, history, 2)
    assert len(sent_to(bench, BOB)) == 1


@pytest.mark.asyncio
async def test_who_leaves_stays_so_through_a_rekey_a_suspension_and_a_newer_profile(
    bench: Bench,
) -> None:
    history, alice, bob, entry = await posted_pair(bench)
    await bench.leaving.ask(token_in(bench, BOB))
    newer = bob.changed(accounts=(BOB, "b@example.org"))
    following = new_membership(bob, PrivateKey.generate(Curve.X25519))
    rekeyed = but(entry.entry, entries=(*entry.entry.entries, *following.entry.entries))
    await bench.restate(history, alice, Membership(rekeyed, following.halves))
    for stated in (
        but(entry.entry, status=Status.SUSPENDED),
        entry.entry,
        but(entry.entry, profile=newer.signed),
    ):
        await state(bench, history, alice, stated, stated.status)
    bench.courier.sent.clear()
    await post_to(bench, history, 2)
    assert not sent_to(bench, BOB)


@pytest.mark.asyncio
async def test_who_asks_to_leave_is_written_to_once(bench: Bench) -> None:
    await posted_trio(bench)
    await bench.leaving.ask(token_in(bench, BOB))
    async with bench.store.begin() as work:
        leaver = await work.next_leaver()
        assert leaver is not None
        await work.stay(leaver.id, leaver.asked)  # not yet written to: nothing to undo
    assert await bench.leaving.write_some()
    assert not await bench.leaving.write_some()
    async with bench.store.begin() as work:
        assert not await work.leaver_told(leaver)


@pytest.mark.asyncio
async def test_a_letter_without_room_is_written_in_the_next_round_and_mail_is_off_meanwhile(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    trio = await posted_trio(bench)
    monkeypatch.setattr("listserver.edges.sqlite_letters.LETTERS_OCTETS", 2)
    async with bench.store.begin() as work:
        await work.enqueue_letter(Letter(CAROL, "", b"x"), bench.clock.now())
    await bench.leaving.ask(token_in(bench, BOB))
    with pytest.raises(QueueFull):
        await bench.leaving.write_some()
    bench.courier.sent.clear()
    await post(bench, trio.team, 2)
    assert not sent_to(bench, BOB)
    monkeypatch.undo()
    await bench.keep_house()
    assert stay_token(bench, trio.bob)


@pytest.mark.asyncio
async def test_what_was_asked_before_a_server_was_killed_is_written_of_by_the_next(
    tmp_path: Path,
) -> None:
    async with open_bench(tmp_path) as bench:
        trio = await posted_trio(bench)
        await bench.leaving.ask(token_in(bench, BOB))
    async with open_bench(tmp_path) as bench:
        await post(bench, trio.team, 2)
        assert not sent_to(bench, BOB)
        await bench.keep_house()
        await bench.leaving.undo(stay_token(bench, trio.bob))
        bench.courier.sent.clear()
        await post(bench, trio.team, 3)
        assert len(sent_to(bench, BOB)) == 1


async def posted_pair(bench: Bench) -> tuple[History, Person, Person, Membership]:
    """Create a list of Alice's, with Bob, who have had a copy."""
    group = new_group()
    alice, bob = new_person(ALICE), new_person(BOB)
    entry = new_membership(bob, group.key)
    history = await bench.create(group, administrator(alice, group), entry, authorised=alice)
    await post_to(bench, history)
    return history, alice, bob, entry


async def post_to(bench: Bench, history: History, number: int = 1) -> None:
    """Post to a list, and deliver what is due."""
    sent = mail(sealed(history.group.key.public).mmx(), message_id=f"<{number}@host.example>")
    assert (await bench.post(sent)).positive
    await bench.relay_all()


async def state(
    bench: Bench, history: History, alice: Person, entry: MemberEntry, status: Status
) -> None:
    """Let Alice state a member's entry with a status."""
    stated = but(entry, status=status, entries=() if status is Status.REVOKED else entry.entries)
    await bench.restate(history, alice, Membership(stated, {}))
