"""Who is told what: administrators what failed, posters what reached nobody, others nothing."""

from contextlib import nullcontext
from dataclasses import replace as but
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace as but_entry

from listserver import limits
from listserver.addresses import ListAddress, Role
from listserver.catalogue import Texts
from listserver.letters import troubles
from listserver.model import Letter
from listserver.outcomes import Phase, Refused
from listserver.store import QueueFull
from listserver.troubles import Failure, Troubles
from recrypt_client.home import Home
from recrypt_client.reading import Unsigned, read_copy
from recrypt_client.recrypting import Asking
from recrypt_client.service import Service
from recrypt_core.authorship import sign_sender
from recrypt_core.documents import Privilege, Status
from recrypt_core.errors import NotForThisKey
from recrypt_core.keys import Curve
from recrypt_core.policy import Policy, PostRight
from tests.builders import NOW, TEAM, Membership, Person, new_group, new_membership, new_person
from tests.fakes import OPERATOR, Bench
from tests.lists import Team, new_list_of
from tests.mails import mail, sealed, with_head
from tests.returned import (
    ALICE,
    BOB,
    CAROL,
    UNKNOWN,
    letter_in,
    member_row,
    new_trio,
    post,
    sent_to,
    words_of,
)

TEXTS = Texts(list_address="team@lists.example")
HOUR = timedelta(hours=1)
ADMIN = (Privilege.RECRYPT, Privilege.ADMIN)


async def failed(bench: Bench, *members: Membership, count: int = 1) -> Team:
    """Post to a list of Alice's, whose member Bob refuses so many posts."""
    group = new_group()
    bob = new_membership(new_person(BOB), group.key)
    team = await new_list_of(bench, group, new_person(ALICE, devices=2), bob, *members)
    bench.courier.script(BOB, *[UNKNOWN] * count)
    for number in range(count):
        await post(bench, team, number)
    bench.courier.sent.clear()
    return team


async def letters_of(bench: Bench) -> list[str]:
    """Keep house, and tell who got a letter."""
    before = len(bench.courier.sent)
    await bench.keep_house()
    return sorted(each.recipient for each in bench.courier.sent[before:])


@pytest.mark.asyncio
@pytest.mark.parametrize("device", [0, 1])
async def test_an_administrator_reads_what_was_given_up_with_either_device(
    bench: Bench, tmp_path: Path, device: int
) -> None:
    team = await failed(bench)
    assert await letters_of(bench) == [ALICE]
    (letter,) = bench.courier.sent
    assert letter.return_path == ""
    octets = b"".join(letter.parts)
    outside = octets.partition(b"\r\n\r\n")[0]
    assert b'From: "team" <postmaster@lists.example>\r\n' in outside
    assert b"Subject: [...]\r\n" in outside
    assert b"Auto-Submitted: auto-generated\r\n" in outside
    assert BOB.encode() not in octets
    home = Home(tmp_path / "home")
    home.keep_key(team.alice.devices[device])
    home.keep_profile(team.alice.verified)
    opened = read_copy(octets, home, Asking(Service, lambda _words: nullcontext(), NOW))
    says = "team <postmaster@lists.example>"
    assert opened.authorship == Unsigned(says, is_personal=True)
    text = opened.entity.decode()
    assert "Subject: team: copies that failed: 1\r\n" in text
    assert f"  {BOB}: given up\r\n    <m." in text
    assert "@lists.example> of 2026-11-22 12:00 UTC\r\n" in text
    assert f"    550 {UNKNOWN.text}\r\n" in text
    assert "recrypt redeliver team@lists.example ADDRESS" in text
    with pytest.raises(NotForThisKey):
        letter_in(letter.parts, new_person(BOB))


@pytest.mark.asyncio
async def test_administrators_are_told_once_and_hourly_at_most(bench: Bench) -> None:
    team = await failed(bench)
    assert await letters_of(bench) == [ALICE]
    assert await letters_of(bench) == []
    bench.courier.script(BOB, UNKNOWN)
    await post(bench, team, 2)
    bench.clock.advance(limits.NOTICE_PATIENCE - timedelta(seconds=1))
    assert await letters_of(bench) == []
    bench.clock.advance(timedelta(seconds=1))
    assert await letters_of(bench) == [ALICE]
    assert "copies that failed: 1\n" in words_of(bench.courier.sent[-1], team.alice)
    bench.clock.advance(limits.NOTICE_PATIENCE)
    assert await letters_of(bench) == []


@pytest.mark.asyncio
async def test_a_clock_set_back_delays_no_notice(bench: Bench) -> None:
    team = await failed(bench)
    bench.clock.advance(timedelta(days=9))
    assert await letters_of(bench) == [ALICE]
    bench.clock.advance(-timedelta(days=9))
    bench.courier.script(BOB, UNKNOWN)
    await post(bench, team, 2)
    assert await letters_of(bench) == [ALICE]


@pytest.mark.asyncio
async def test_every_active_administrator_is_told_and_nobody_else(bench: Bench) -> None:
    group = new_group()
    made = {
        "admin@example.org": new_membership(
            new_person("admin@example.org", curve=Curve.P256), group.key, privileges=ADMIN
        ),
        "idle@example.org": new_membership(
            new_person("idle@example.org"), group.key, privileges=ADMIN, status=Status.SUSPENDED
        ),
        CAROL: new_membership(new_person(CAROL), group.key),
        BOB: new_membership(new_person(BOB), group.key),
    }
    team = await new_list_of(bench, group, new_person(ALICE), *made.values())
    bench.courier.script(BOB, UNKNOWN)
    await post(bench, team)
    bench.courier.sent.clear()
    assert await letters_of(bench) == ["admin@example.org", ALICE]


@pytest.mark.asyncio
@pytest.mark.parametrize("off", [(ALICE,), ("dan@example.org",), (ALICE, "dan@example.org")])
async def test_who_gets_no_mail_gets_no_notice_unless_nobody_would(
    bench: Bench, off: tuple[str, ...]
) -> None:
    group = new_group()
    dan = new_membership(new_person("dan@example.org"), group.key, privileges=ADMIN)
    bob = new_membership(new_person(BOB), group.key)
    team = await new_list_of(bench, group, new_person(ALICE), dan, bob)
    bench.courier.script(BOB, UNKNOWN)
    await post(bench, team)
    for address in off:
        row = await member_row(bench, address)
        async with bench.store.begin():
            await bench.store._rows.run(
                "UPDATE members SET off = 1, off_told = 1 WHERE id = ?", (row,)
            )
    bench.courier.sent.clear()
    both = {ALICE, "dan@example.org"}
    assert await letters_of(bench) == sorted(both - set(off) or both)


@pytest.mark.asyncio
async def test_a_letter_that_is_refused_counts_for_nobody(bench: Bench) -> None:
    await failed(bench)
    bench.courier.script(ALICE, UNKNOWN)
    assert await letters_of(bench) == [ALICE]
    bench.clock.advance(limits.NOTICE_PATIENCE)
    assert await letters_of(bench) == []
    assert await bench.count("bounces") == 1  # Bob's


@pytest.mark.asyncio
@pytest.mark.parametrize("damaged", ["members", "posts", "deliveries", "lists"])
async def test_a_row_that_cannot_be_read_holds_up_nothing_else(bench: Bench, damaged: str) -> None:
    team = await failed(bench, count=2)
    group = new_group("other@lists.example")
    carol = new_membership(new_person(CAROL), group.key)
    await new_list_of(bench, group, new_person("dan@example.org"), carol)
    bench.courier.script(CAROL, UNKNOWN)
    sent = mail(sealed(group.key.public).mmx())
    to = ListAddress("other@lists.example", Role.POST)
    assert (await bench.receiving.receive(sent, to, sender="zoe@example.org")).positive
    await bench.relay_all()
    bench.courier.sent.clear()
    rows = {"members": await member_row(bench, BOB), "posts": 1, "deliveries": 1, "lists": 1}
    async with bench.store.begin():
        await bench.store._rows.run(
            f"UPDATE {damaged} SET sealed = zeroblob(99) WHERE id = ?",  # noqa: S608 - its own words
            (rows[damaged],),
        )
    bench.store._lists.clear()
    told = await letters_of(bench)
    assert told == (["dan@example.org"] if damaged == "lists" else [ALICE, "dan@example.org"])
    assert await letters_of(bench) == []
    if damaged != "lists":
        (letter,) = sent_to(bench, ALICE)
        said = words_of(letter, team.alice)
        left = {"members": 0, "posts": 1, "deliveries": 2}[damaged]
        assert said.startswith("team: copies that failed: 2\n")
        assert said.count(f"{BOB}: given up") == left
        assert (f"... and {2 - left} more." in said) is (left < 2)


@pytest.mark.asyncio
async def test_a_damaged_word_of_a_peer_is_left_out(bench: Bench) -> None:
    team = await failed(bench)
    async with bench.store.begin():
        await bench.store._rows.run("UPDATE deliveries SET sealed = zeroblob(99)")
    await bench.keep_house()
    assert "550" not in words_of(bench.courier.sent[0], team.alice)


@pytest.mark.asyncio
async def test_an_administrator_whose_profile_has_no_keys_holds_up_no_other(bench: Bench) -> None:
    keyless = new_membership(new_person("kim@example.org", devices=0), privileges=ADMIN)
    await failed(bench, keyless)
    assert await letters_of(bench) == [ALICE]
    assert ("notice-fault", {"error": "Malformed"}) in bench.log.events


@pytest.mark.asyncio
async def test_what_failed_here_is_told_as_held(bench: Bench) -> None:
    trio = await new_trio(bench)
    async with bench.store.begin():
        await bench.store._rows.run("UPDATE entries SET sealed = zeroblob(99) WHERE id = 2")
    await post(bench, trio.team)
    for _ in range(limits.FAULTS - 1):
        assert await letters_of(bench) == []
        bench.clock.advance(limits.FAULT_DELAY)
        await bench.relay_all()
    assert await letters_of(bench) == [ALICE]
    said = words_of(sent_to(bench, ALICE)[-1], trio.alice)
    assert ": held, as it failed at the server\r\n" in said
    assert "    a fault here: NotAuthentic\r\n" in said


@pytest.mark.asyncio
async def test_where_the_queue_is_full_it_is_told_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await failed(bench)
    monkeypatch.setattr("listserver.edges.sqlite_letters.LETTERS", 2)
    async with bench.store.begin() as work:
        await work.enqueue_letter(Letter(OPERATOR, "", b"Hello\r\n"), NOW)
    with pytest.raises(QueueFull):
        await bench.notices.tell()
    await bench.carry_letters()
    assert await letters_of(bench) == [ALICE]


@pytest.mark.asyncio
async def test_a_notice_names_a_hundred_and_counts_the_others(bench: Bench) -> None:
    await failed(bench, count=3)
    async with bench.store.begin() as work:
        found = await work.troubles((await work.lists_in_trouble(NOW, HOUR))[0], 2)
    assert found is not None
    assert (len(found.failures), found.more, found.turned_off, found.more_off) == (2, 1, (), 0)
    said = "\n".join(troubles(TEXTS, found).lines)
    assert "... and 1 more." in said
    assert said.count(f"{BOB}: given up") == 2
    many = Troubles(found.list, (), 0, (BOB,), 4)
    assert troubles(TEXTS, many).subject == "team: members without mail: 5"
    assert "... and 4 more: recrypt members team@lists.example" in troubles(TEXTS, many).lines
    assert limits.NOTICE_LINES == 100


@pytest.mark.asyncio
async def test_a_peers_words_can_forge_nothing_in_a_notice(bench: Bench) -> None:
    await failed(bench)
    async with bench.store.begin() as work:
        found = await work.troubles((await work.lists_in_trouble(NOW, HOUR))[0], 9)
    assert found is not None
    (real,) = found.failures
    wild = Failure(
        real.account, real.post, held=False, words="550 a\r\n\r\nb\x1b[1m\u202eé" + "x" * 999
    )
    lines = troubles(TEXTS, Troubles(found.list, (wild,), 0, (), 0)).lines
    (said,) = [line for line in lines if "550" in line]
    assert said.startswith("    550 a?b?[1m?xxx")
    assert len(said) == 4 + limits.NOTICE_WORDS
    assert all(" " <= letter <= "~" for line in lines for letter in line)


def signed(team: Team, by: Person) -> bytes:
    """Write a post with the `sender` that proves who posts."""
    envelope = sealed(team.key.public)
    made = sign_sender(TEAM, envelope.content_id, by.online, now=NOW)
    return mail(with_head(envelope, sender=made))


@pytest.mark.asyncio
@pytest.mark.parametrize("reached", [0, 1])
@pytest.mark.parametrize("right", [PostRight.MEMBERS, PostRight.ANYONE])
async def test_a_poster_is_told_only_if_proven_and_nobody_had_it(
    bench: Bench, right: PostRight, reached: int
) -> None:
    trio = await new_trio(bench, policy=Policy(post=right))
    for address in (ALICE, BOB, CAROL)[reached:]:
        bench.courier.script(address, Refused(Phase.RCPT, 550, "5.7.1 not from you"))
    assert (await bench.post(signed(trio.team, trio.carol))).positive
    await bench.relay_all()
    bench.courier.sent.clear()
    expected = [ALICE, CAROL] if right is PostRight.MEMBERS and not reached else [ALICE]
    assert await letters_of(bench) == expected
    assert await letters_of(bench) == []
    if CAROL in expected:
        said = words_of(sent_to(bench, CAROL)[0], trio.carol)
        assert said.startswith("team: your post reached nobody\n")
        assert "@lists.example> of 2026-11-22 12:00 UTC" in said
        assert BOB not in said


@pytest.mark.asyncio
async def test_a_poster_who_left_meanwhile_is_not_told(bench: Bench) -> None:
    trio = await new_trio(bench, policy=Policy(post=PostRight.MEMBERS))
    for address in (ALICE, BOB, CAROL):
        bench.courier.script(address, UNKNOWN)
    assert (await bench.post(signed(trio.team, trio.carol))).positive
    await bench.relay_all()
    bench.courier.sent.clear()
    async with bench.store.begin() as work:
        found = await work.find_list(TEAM)
        assert found is not None
        ((carol, _),) = await work.named(found.id, [trio.carol.udf])
        ended = but(carol, entry=but_entry(carol.entry, status=Status.REVOKED))
        await work.put_members(found.id, [(ended, [])])
    assert await letters_of(bench) == [ALICE]


@pytest.mark.asyncio
async def test_a_refused_post_is_told_to_nobody(bench: Bench) -> None:
    trio = await new_trio(bench, policy=Policy(post=PostRight.MEMBERS))
    assert (await bench.post(mail(sealed(trio.team.key.public).mmx()))).code == 550
    assert await letters_of(bench) == []


@pytest.mark.asyncio
async def test_a_damaged_post_that_reached_nobody_is_passed_over(bench: Bench) -> None:
    trio = await new_trio(bench, policy=Policy(post=PostRight.MEMBERS))
    for address in (ALICE, BOB, CAROL):
        bench.courier.script(address, UNKNOWN, UNKNOWN)
    for _ in range(2):
        assert (await bench.post(signed(trio.team, trio.carol))).positive
        await bench.relay_all()
    bench.courier.sent.clear()
    async with bench.store.begin():
        await bench.store._rows.run("UPDATE posts SET sealed = zeroblob(99) WHERE id = 1")
    assert await letters_of(bench) == [ALICE, CAROL]
    assert await letters_of(bench) == []
