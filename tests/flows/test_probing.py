"""Probes: one at the threshold, sealed; it comes back and mail is off, or all is forgotten."""

from datetime import timedelta

import pytest

from listserver import limits
from listserver.addresses import parse_address, read_list_address
from listserver.model import Letter, MemberId
from listserver.outcomes import Answer, Broken, Phase, Refused
from listserver.store import QueueFull
from listserver.tokens import ProbeToken, read_token
from recrypt_core.errors import NotForThisKey
from tests.builders import NOW, Person, new_group, new_person
from tests.fakes import OPERATOR, Bench
from tests.lists import new_list_of
from tests.returned import (
    ABOUT_US,
    ALICE,
    BOB,
    HARD,
    SOFT,
    UNKNOWN,
    Trio,
    back_to,
    letter_in,
    member_row,
    new_trio,
    off,
    path_of,
    post,
    probe_path_of,
    sent_to,
    words_of,
)

DAY = timedelta(days=1)


async def bounced(bench: Bench, days: int, *, status: str = HARD) -> Trio:
    """Let a post to the list come back from Bob on each of these days; the probe isn't sent yet."""
    trio = await new_trio(bench)
    await post(bench, trio.team)
    (copy,) = sent_to(bench, BOB)
    for day in range(days):
        bench.clock.advance(min(day, 1) * DAY)
        await back_to(bench, copy.return_path, status)
    await post(bench, trio.team, 99)  # the relay host takes mail
    bench.courier.sent.clear()
    return trio


async def probed(bench: Bench, *answers: Answer) -> Trio:
    """Let Bob's mail come back until a probe is sent, which is answered so."""
    trio = await bounced(bench, 3)
    bench.courier.script(BOB, *answers)
    await bench.probing.probe()
    await bench.carry_letters()
    return trio


async def other_list(bench: Bench) -> Person:
    """Create a list of Dan alone, whose row is the fourth, some days ago."""
    late = bench.clock.now() - NOW
    bench.clock.advance(-late)
    dan = new_person("dan@example.org")
    await new_list_of(bench, new_group("other@lists.example"), dan)
    bench.clock.advance(late)
    return dan


@pytest.mark.asyncio
async def test_a_probe_is_sealed_to_the_member_and_comes_back_to_its_token(bench: Bench) -> None:
    trio = await probed(bench)
    (probe,) = bench.courier.sent
    path = read_list_address(parse_address(probe.return_path), ("lists.example",))
    assert path is not None
    assert path.token is not None
    bob = MemberId(await member_row(bench, BOB))
    assert read_token(bench.vault, path.token) == ProbeToken(bench.clock.now(), bob)
    assert probe.recipient == BOB
    inner = letter_in(probe.parts, trio.bob)
    assert inner["Subject"] == "team: is your address working?"
    assert inner["Auto-Submitted"] == "auto-generated"
    assert "team@lists.example" in words_of(probe, trio.bob)
    with pytest.raises(NotForThisKey):
        letter_in(probe.parts, trio.alice)
    outside = b"".join(probe.parts).partition(b"\r\n\r\n")[0]
    assert b"Subject: [...]\r\n" in outside
    assert b"working" not in outside


# With a threshold of 2 points and a window of 10 days, a point is worth 0.9 a day later.
@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("days", "status", "probes"),
    [(1, HARD, 0), (2, HARD, 0), (3, HARD, 1), (3, SOFT, 0), (10, SOFT, 0)],
)
async def test_a_probe_is_sent_at_the_threshold_and_points_decay(
    bench: Bench, days: int, status: str, probes: int
) -> None:
    await bounced(bench, days, status=status)
    for _ in range(3):
        await bench.probing.probe()
        await bench.carry_letters()
    assert len(bench.courier.sent) == probes


@pytest.mark.asyncio
async def test_points_are_gone_after_the_window(bench: Bench) -> None:
    await bounced(bench, 2)
    bench.clock.advance(9 * DAY)
    await bench.probing.probe()
    assert await bench.count("bounces") == 1
    bench.clock.advance(DAY)
    await bench.probing.probe()
    assert await bench.count("bounces") == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("answer", [UNKNOWN, Refused(Phase.CONTENT, 550, "5.2.1 disabled")])
async def test_a_probe_that_the_relay_host_refuses_has_come_back(
    bench: Bench, answer: Answer
) -> None:
    await probed(bench, answer)
    assert await off(bench) == 1
    assert await bench.count("letters") == 0


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answer", "is_off"),
    [
        (Broken(Phase.CONNECT, "ConnectionRefusedError"), False),
        (Refused(Phase.MAIL, 550, "5.1.8 we don't know your sender"), False),
        (Refused(Phase.CONTENT, 554, "5.6.0 not this"), False),
        (Refused(Phase.RCPT, 451, "4.2.2 full"), True),
    ],
)
async def test_what_says_nothing_of_the_address_turns_nothing_off(
    bench: Bench, answer: Answer, is_off: bool
) -> None:
    await probed(bench, *[answer] * 99)
    for _ in range(40):
        bench.clock.advance(limits.LONGEST_DELAY)
        await bench.carry_letters()
    assert await bench.count("letters") == 0
    assert await off(bench) == is_off


@pytest.mark.asyncio
async def test_a_probe_that_comes_back_turns_mail_off_and_administrators_hear_of_it_once(
    bench: Bench,
) -> None:
    trio = await probed(bench)
    (probe,) = bench.courier.sent
    await back_to(bench, probe.return_path, ABOUT_US)
    assert await off(bench) == 0
    for _ in range(2):
        await back_to(bench, probe.return_path)
    assert await off(bench) == 1
    for _ in range(3):
        await bench.keep_house()
        bench.clock.advance(limits.NOTICE_PATIENCE)
    (notice,) = sent_to(bench, ALICE)
    said = words_of(notice, trio.alice)
    assert said.startswith("team: members without mail: 1\n")
    assert f"  {BOB}\r\n" in said
    assert "recrypt resume team@lists.example ADDRESS" in said
    assert len(bench.courier.sent) == 2  # the probe and the notice: Bob and Carol hear nothing


@pytest.mark.asyncio
async def test_who_is_off_gets_no_copy_and_open_deliveries_are_withdrawn(bench: Bench) -> None:
    trio = await probed(bench, UNKNOWN)
    bench.courier.sent.clear()
    await post(bench, trio.team, 2)
    assert sorted(each.recipient for each in bench.courier.sent) == [ALICE, "carol@example.org"]
    assert await bench.waiting() == 0


@pytest.mark.asyncio
async def test_what_was_put_off_when_mail_is_turned_off_is_withdrawn(bench: Bench) -> None:
    trio = await bounced(bench, 3)
    bench.courier.script(BOB, Refused(Phase.RCPT, 451, "later"), UNKNOWN)
    await post(bench, trio.team, 2)
    assert await bench.waiting() == 1
    await bench.probing.probe()
    await bench.carry_letters()
    assert await off(bench) == 1
    bench.clock.advance(limits.FIRST_DELAY)
    await bench.relay_all()
    assert await bench.waiting() == 0
    assert await bench.count("deliveries") == 0
    assert len(sent_to(bench, BOB)) == 2  # the one that was put off, and the probe


@pytest.mark.asyncio
async def test_a_probe_that_does_not_come_back_in_a_week_makes_all_forgotten(bench: Bench) -> None:
    await probed(bench)
    (probe,) = bench.courier.sent
    bench.clock.advance(7 * DAY - timedelta(seconds=1))
    await bench.probing.probe()
    assert await bench.rows("SELECT count(*) FROM members WHERE probed NOT NULL") == [(1,)]
    bench.clock.advance(timedelta(seconds=1))
    await bench.probing.probe()
    assert await bench.count("bounces") == 0
    assert await bench.rows("SELECT count(*) FROM members WHERE probed NOT NULL") == [(0,)]
    await back_to(bench, probe.return_path)
    assert await off(bench) == 0


@pytest.mark.asyncio
async def test_a_probes_token_is_of_one_list_and_counts_for_who_was_probed(bench: Bench) -> None:
    await probed(bench)
    await other_list(bench)
    bob = await member_row(bench, BOB)
    sent = bench.clock.now()
    for path in (
        probe_path_of(bench, sent, bob, name="other"),
        probe_path_of(bench, sent, 1),
        probe_path_of(bench, sent, 4),
        probe_path_of(bench, sent, 4, name="other"),
        probe_path_of(bench, sent - timedelta(seconds=1), bob),
        path_of(bench, 0, bob),
    ):
        await back_to(bench, path)
    assert await off(bench) == 0
    await back_to(bench, probe_path_of(bench, sent, bob))
    assert await off(bench) == 1


@pytest.mark.asyncio
async def test_a_probe_that_comes_back_late_does_not_count_for_the_next_one(bench: Bench) -> None:
    await probed(bench)
    (first,) = bench.courier.sent
    bench.clock.advance(8 * DAY)
    await bench.probing.probe()  # the first one has arrived, it seems: all is forgotten
    for _ in range(3):
        await back_to(bench, path_of(bench, 1, await member_row(bench, BOB)))
        bench.clock.advance(DAY)
    bench.courier.sent.clear()
    await bench.probing.probe()
    await bench.carry_letters()
    (second,) = bench.courier.sent
    assert first.return_path != second.return_path
    await back_to(bench, first.return_path)
    assert await off(bench) == 0
    await back_to(bench, second.return_path)
    assert await off(bench) == 1


@pytest.mark.asyncio
async def test_a_clock_set_back_neither_keeps_a_probe_for_ever_nor_repeats_it_at_once(
    bench: Bench,
) -> None:
    await probed(bench)
    for back, waits in ((timedelta(hours=1), 1), (timedelta(days=30), 0)):
        bench.clock.advance(-back)
        await bench.probing.probe()
        await bench.carry_letters()
        assert await bench.rows("SELECT count(*) FROM members WHERE probed NOT NULL") == [(waits,)]
    assert len(bench.courier.sent) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("damage", ["members", "lists"])
async def test_a_row_that_cannot_be_read_gets_no_probe_and_holds_up_nobody(
    bench: Bench, damage: str
) -> None:
    await bounced(bench, 3)
    dan = await other_list(bench)
    async with bench.store.begin():
        await bench.store._rows.run(
            f"UPDATE {damage} SET sealed = zeroblob(99)"  # noqa: S608 - a test's own words
            + (" WHERE list_id = 1" if damage == "members" else " WHERE id = 1")
        )
        await bench.store._rows.run("DELETE FROM bounces WHERE member_id = 4")
        for day in range(3):
            await bench.store._rows.run(
                "INSERT INTO bounces (member_id, day, quarters) SELECT 4, day - ?, 4 FROM bounces"
                " ORDER BY day DESC LIMIT 1",
                (day,),
            )
    bench.store._lists.clear()
    await bench.probing.probe()
    await bench.carry_letters()
    assert [each.recipient for each in bench.courier.sent] == [dan.address]


@pytest.mark.asyncio
async def test_where_the_queue_is_full_a_probe_has_its_turn_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bounced(bench, 3)
    monkeypatch.setattr("listserver.edges.sqlite_letters.LETTERS", 1)
    async with bench.store.begin() as work:
        await work.enqueue_letter(Letter(OPERATOR, "", b"Hello\r\n"), bench.clock.now())
    with pytest.raises(QueueFull):
        await bench.probing.probe()
    await bench.carry_letters()
    assert sent_to(bench, BOB) == []
    await bench.probing.probe()
    await bench.carry_letters()
    assert len(sent_to(bench, BOB)) == 1


@pytest.mark.asyncio
async def test_who_is_suspended_is_not_probed(bench: Bench) -> None:
    await bounced(bench, 3)
    async with bench.store.begin():
        await bench.store._rows.run("UPDATE members SET served = 0")
    await bench.probing.probe()
    assert await bench.count("letters") == 0
