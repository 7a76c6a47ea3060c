"""What is told is in a letter, sealed to who is told today; what isn't is told later."""

import asyncio
import threading
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from listserver import notices
from listserver.catalogue import Words
from listserver.edges.sqlite_upkeep import open_upkeep
from listserver.letters import write_letter
from listserver.limits import LONGEST_DELAY, NOTICE_PATIENCE, NOTICE_RETRY, TELLING_TRIES
from listserver.model import Letter, PostId
from listserver.store import QueueFull
from recrypt_core.authorship import sign_sender
from recrypt_core.errors import NotForThisKey
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.members import Member
from recrypt_core.policy import Policy, PostRight
from tests.builders import NOW, TEAM, Person
from tests.fakes import Bench
from tests.mails import mail, sealed, with_head
from tests.returned import (
    ALICE,
    BOB,
    BUSY,
    CAROL,
    UNKNOWN,
    Trio,
    member_row,
    new_trio,
    post,
    sent_to,
    words_of,
)


async def told(bench: Bench) -> list[str]:
    """Keep house once, an hour later; give who had letters."""
    bench.clock.advance(NOTICE_PATIENCE)
    bench.courier.sent.clear()
    await bench.keep_house()
    return sorted(each.recipient for each in bench.courier.sent)


async def damaged(bench: Bench, table: str, row: int) -> bytes:
    """Damage a row; give what it had."""
    ((before,),) = await bench.rows(f"SELECT sealed FROM {table} WHERE id = {row}")  # noqa: S608
    assert isinstance(before, bytes)
    await write(bench, table, row, b"rubbish")
    return before


async def write(bench: Bench, table: str, row: int, octets: bytes) -> None:
    """Put octets into a row, behind everybody's back."""
    async with bench.store.begin():
        sql = f"UPDATE {table} SET sealed = ? WHERE id = ?"  # noqa: S608 - a test's own words
        await bench.store._rows.run(sql, (octets, row))
    bench.store._lists.clear()


async def in_vain(bench: Bench) -> Trio:
    """Have Carol post to a list whose members refuse all."""
    trio = await new_trio(bench, policy=Policy(post=PostRight.MEMBERS))
    for address in (ALICE, BOB, CAROL):
        bench.courier.script(address, UNKNOWN)
    envelope = sealed(trio.team.key.public)
    made = sign_sender(TEAM, envelope.content_id, trio.carol.online, now=NOW)
    assert (await bench.post(mail(with_head(envelope, sender=made)))).positive
    await bench.relay_all()
    return trio


@pytest.mark.asyncio
async def test_administrators_of_a_list_that_cannot_be_read_now_are_told_when_it_can(
    bench: Bench,
) -> None:
    trio = await new_trio(bench)
    bench.courier.script(BOB, UNKNOWN)
    await post(bench, trio.team)
    before = await damaged(bench, "lists", 1)
    assert await told(bench) == []
    await write(bench, "lists", 1, before)
    assert await told(bench) == [ALICE]
    assert await told(bench) == []


@pytest.mark.asyncio
@pytest.mark.parametrize(("table", "row"), [("lists", 1), ("posts", 1), ("members", 3)])
async def test_so_is_a_poster(bench: Bench, table: str, row: int) -> None:
    await in_vain(bench)
    before = await damaged(bench, table, row)
    assert CAROL not in await told(bench)
    await write(bench, table, row, before)
    assert CAROL in await told(bench)
    assert CAROL not in await told(bench)


@pytest.mark.asyncio
async def test_what_reached_no_administrator_is_told_when_there_is_one_with_keys(
    bench: Bench,
) -> None:
    trio = await new_trio(bench)
    bench.courier.script(BOB, UNKNOWN)
    await post(bench, trio.team)
    keyless = trio.alice.changed(encryption_keys=())
    later = with_new_device(trio.alice)
    cases: list[tuple[Person, list[str]]] = [(keyless, []), (keyless, []), (later, [ALICE])]
    for person, reached in cases:
        async with bench.store.begin() as work:
            found = await work.find_list(TEAM)
            assert found is not None
            await work.put_profile(found.id, person.verified)
        assert await told(bench) == reached
    assert "copies that failed: 1" in words_of(bench.courier.sent[0], later)


@pytest.mark.asyncio
async def test_a_poster_is_told_under_the_keys_of_the_newest_profile(bench: Bench) -> None:
    trio = await in_vain(bench)
    newer = with_new_device(trio.carol)
    async with bench.store.begin() as work:
        found = await work.find_list(TEAM)
        assert found is not None
        await work.put_profile(found.id, newer.verified)
    assert await told(bench) == [ALICE, CAROL]
    (letter,) = sent_to(bench, CAROL)
    assert words_of(letter, newer).startswith("team: your post reached nobody\n")
    with pytest.raises(NotForThisKey):
        words_of(letter, trio.carol)  # a device that was lost


@pytest.mark.asyncio
async def test_posts_that_are_held_whole_are_told_once_each_time(bench: Bench) -> None:
    trio = await new_trio(bench)
    for number in range(2):
        sent = mail(sealed(trio.team.key.public).mmx(), message_id=f"<{number}@host.example>")
        assert (await bench.post(sent)).positive
    await damaged(bench, "posts", 1)
    await damaged(bench, "posts", 2)
    await bench.relay_all()
    for _ in range(2):
        assert await told(bench) == [ALICE]
        said = words_of(bench.courier.sent[0], trio.alice)
        assert said.startswith("team: posts that are held: 2\n")
        assert "are held there: 2.\r\n" in said
        assert await told(bench) == []
        with open_upkeep(bench.file, bench.vault) as store:
            store.retry(None, bench.clock.now())
        await bench.relay_all()


@pytest.mark.asyncio
async def test_a_post_that_was_dropped_while_copies_were_under_way_is_told_to_nobody(
    bench: Bench,
) -> None:
    trio = await new_trio(bench)
    assert (await bench.post(mail(sealed(trio.team.key.public).mmx()))).positive
    assert await bench.delivering.claim(1)
    with open_upkeep(bench.file, bench.vault) as store:
        store.drop(PostId(1), bench.clock.now())
    assert await told(bench) == []


@pytest.mark.asyncio
async def test_letters_are_sealed_in_a_thread_while_others_have_the_store(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    trio = await in_vain(bench)
    seen: list[bool] = []

    def looked_at(words: Words, to: Member, address: str, **named: object) -> bytes:
        there = threading.current_thread() is not threading.main_thread()
        seen.append(there and not bench.store._turn.locked())
        assert named == {"now": bench.clock.now()}
        return write_letter(words, to, address, now=bench.clock.now())

    monkeypatch.setattr(notices, "write_letter", looked_at)
    assert await told(bench) == [ALICE, CAROL]
    assert seen == [True, True]
    assert "reached nobody" in words_of(sent_to(bench, CAROL)[0], trio.carol)


@pytest.mark.asyncio
async def test_what_comes_while_letters_are_sealed_is_told_with_the_rest(bench: Bench) -> None:
    trio = await new_trio(bench)
    bench.courier.script(BOB, UNKNOWN, UNKNOWN)
    await post(bench, trio.team, 1)
    async with bench.store.begin() as work:
        (list_id,) = await work.lists_in_trouble(bench.clock.now(), timedelta(0))
        early = await work.troubles(list_id, 9)
    await post(bench, trio.team, 2)
    async with bench.store.begin() as work:
        assert not await work.troubles_told(list_id, early, bench.clock.now())
    assert await told(bench) == [ALICE]
    assert "copies that failed: 2" in words_of(bench.courier.sent[0], trio.alice)


@pytest.mark.asyncio
async def test_where_more_comes_all_the_time_it_is_told_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    trio = await new_trio(bench)
    bench.courier.script(BOB, *[UNKNOWN] * 9)
    await post(bench, trio.team, 0)
    loop, posts = asyncio.get_running_loop(), list[None]()

    def while_more_comes(words: Words, to: Member, address: str, *, now: datetime) -> bytes:
        if not bench.store._turn.locked():
            posts.append(asyncio.run_coroutine_threadsafe(post(bench, trio.team, 9), loop).result())
        return write_letter(words, to, address, now=now)

    monkeypatch.setattr(notices, "write_letter", while_more_comes)
    await told(bench)
    assert len(posts) == TELLING_TRIES
    (letter,) = [each for each in bench.courier.sent if not each.return_path]
    said = words_of(letter, trio.alice)
    assert said.startswith(f"team: copies that failed: {1 + TELLING_TRIES}\n")


@pytest.mark.asyncio
async def test_a_letter_that_has_no_room_is_no_news_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await in_vain(bench)
    monkeypatch.setattr("listserver.edges.sqlite_letters.LETTERS_OCTETS", 2)
    async with bench.store.begin() as work:
        await work.enqueue_letter(Letter(BOB, "", b"x"), NOW)
    with pytest.raises(QueueFull):
        await bench.notices.tell()
    monkeypatch.undo()
    assert await told(bench) == [ALICE, BOB, CAROL]


async def all_kinds(bench: Bench, trio: Trio) -> None:
    """Have a copy of Bob's given up, a post held whole, and Carol's mail off."""
    bench.courier.script(BOB, UNKNOWN)
    await post(bench, trio.team, 1)
    carol = await member_row(bench, CAROL)
    async with bench.store.begin():
        await bench.store._rows.run("UPDATE members SET off = 1 WHERE id = ?", (carol,))
    assert (await bench.post(mail(sealed(trio.team.key.public).mmx()))).positive
    await damaged(bench, "posts", 2)
    await bench.relay_all()


@pytest.mark.asyncio
@pytest.mark.parametrize("is_put_off", [False, True])
async def test_what_a_notice_said_that_was_given_up_is_told_again_four_hours_later(
    bench: Bench, is_put_off: bool
) -> None:
    trio = await new_trio(bench)
    await all_kinds(bench, trio)
    bench.courier.script(ALICE, *[BUSY] * 99 if is_put_off else [UNKNOWN])
    assert await told(bench) == [ALICE]
    while await bench.count("letters"):
        bench.clock.advance(LONGEST_DELAY)
        await bench.carry_letters()
    bench.courier.script(ALICE)
    for _ in range(3):
        assert await told(bench) == []
    assert await told(bench) == [ALICE]
    said = words_of(bench.courier.sent[0], trio.alice)
    assert f"{BOB}: given up" in said
    assert f"  {CAROL}\r\n" in said
    assert "are held there: 1.\r\n" in said
    bench.clock.advance(timedelta(days=1))
    assert await told(bench) == []


@pytest.mark.asyncio
async def test_only_what_the_lost_notice_said_is_told_again(bench: Bench) -> None:
    trio = await new_trio(bench)
    bench.courier.script(BOB, UNKNOWN, UNKNOWN, UNKNOWN)
    await post(bench, trio.team, 1)
    assert await told(bench) == [ALICE]
    await post(bench, trio.team, 2)
    bench.courier.script(ALICE, UNKNOWN)
    assert await told(bench) == [ALICE]
    bench.clock.advance(NOTICE_RETRY)
    assert await told(bench) == [ALICE]
    assert "copies that failed: 1\n" in words_of(bench.courier.sent[0], trio.alice)


@pytest.mark.asyncio
@pytest.mark.parametrize("first", ["delivered", "refused"])
async def test_a_notice_that_one_administrator_has_is_not_told_again(
    bench: Bench, first: str
) -> None:
    trio = await new_trio(bench)
    bench.courier.script(BOB, UNKNOWN)
    await post(bench, trio.team)
    async with bench.store.begin():
        await bench.store._rows.run("UPDATE members SET powerful = 1")
    refused = (ALICE, BOB) if first == "refused" else (BOB, CAROL)
    for address in refused:
        bench.courier.script(address, UNKNOWN)
    assert await told(bench) == [ALICE, BOB, CAROL]
    bench.clock.advance(NOTICE_RETRY)
    assert await told(bench) == []
    assert await bench.rows("SELECT unheard FROM lists") == [(None,)]


@pytest.mark.asyncio
async def test_a_notice_that_one_administrator_may_still_get_is_not_told_again_yet(
    bench: Bench,
) -> None:
    trio = await new_trio(bench)
    bench.courier.script(BOB, UNKNOWN)
    await post(bench, trio.team)
    async with bench.store.begin():
        await bench.store._rows.run("UPDATE members SET powerful = 1")
    for address, answer in ((ALICE, UNKNOWN), (BOB, BUSY), (CAROL, UNKNOWN)):
        bench.courier.script(address, *[answer] * 2)
    assert await told(bench) == [ALICE, BOB, CAROL]
    assert await bench.rows("SELECT unheard FROM lists") == [(None,)]
    bench.courier.script(BOB, UNKNOWN)
    bench.clock.advance(LONGEST_DELAY)
    await bench.carry_letters()
    assert await bench.rows("SELECT unheard NOT NULL FROM lists") == [(1,)]


def with_new_device(person: Person) -> Person:
    """Give the same person with a newer profile, which has another key instead."""
    device = PrivateKey.generate(Curve.X25519)
    changed = person.changed(seconds=9, encryption_keys=(device.public,))
    return replace(changed, devices=(device,))
