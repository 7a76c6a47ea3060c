"""Posting on a real store: what is taken is queued for whom it should be, once; the rest not."""

import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest

from listserver import replies
from listserver.addresses import ListAddress, Role
from recrypt_core.authorship import sign_sender
from recrypt_core.documents import Privilege, Status
from recrypt_core.envelope import read_envelope
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.policy import Policy, PostRight
from tests.builders import (
    NOW,
    TEAM,
    Person,
    new_group,
    new_membership,
    new_person,
)
from tests.fakes import POSTER, TEAM_ADDRESS, Bench, open_bench
from tests.lists import Team, new_key, new_list_of, new_team
from tests.mails import mail, message_of, sealed, with_head


async def recipients(bench: Bench) -> list[str]:
    """Deliver what is queued, and tell to whom."""
    await bench.relay_all()
    return sorted(each.recipient for each in bench.courier.sent)


@pytest.mark.asyncio
async def test_a_post_goes_to_active_members_with_recrypt_and_an_entry(bench: Bench) -> None:
    group = new_group()
    names = ["bob", "carol", "dave", "erin", "frank"]
    bob, carol, dave, erin, frank = (new_person(f"{name}@example.org") for name in names)
    await new_list_of(
        bench,
        group,
        new_person("alice@example.org"),
        new_membership(bob, group.key),
        new_membership(carol, group.key, status=Status.SUSPENDED),
        new_membership(dave, status=Status.REVOKED),
        new_membership(erin, group.key, privileges=(Privilege.ADMIN,)),
        new_membership(frank),
    )
    assert await bench.post(mail(sealed(group.key.public).mmx())) == replies.ACCEPTED
    assert bench.posting.arrived.is_set()
    assert await bench.waiting() == 2
    assert await recipients(bench) == ["alice@example.org", "bob@example.org"]


@pytest.mark.asyncio
async def test_a_post_to_a_list_that_nobody_reads_is_taken(bench: Bench) -> None:
    group, alice = new_group(), new_person("alice@example.org")
    await bench.authorize(alice)
    only = new_membership(alice, privileges=(Privilege.SUPER,))
    await bench.create(group, only, authorised=alice)
    assert await bench.post(mail(sealed(group.key.public).mmx())) == replies.ACCEPTED
    assert await bench.waiting() == 0


@pytest.mark.asyncio
async def test_a_content_that_was_had_is_answered_250_and_queued_once(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        team = await new_team(bench)
        envelope = sealed(team.key.public)
        other = sealed(team.key.public, PrivateKey.generate(Curve.X25519).public)
        moved = dataclasses.replace(envelope, recipients=(*envelope.recipients, *other.recipients))
        again = dataclasses.replace(moved, recipients=moved.recipients[::2])
        for octets in (envelope.mmx(), envelope.mmx(), again.mmx()):
            assert await bench.post(mail(octets)) == replies.ACCEPTED
        assert await bench.count("posts") == 1
    async with open_bench(tmp_path) as bench:
        assert await bench.post(mail(envelope.mmx(), message_id="<2@x>")) == replies.ACCEPTED
        assert await bench.count("posts") == 1
        assert await recipients(bench) == ["alice@example.org"]
        assert await bench.post(mail(envelope.mmx())) == replies.ACCEPTED
        assert await bench.waiting() == 0


async def ids(bench: Bench) -> list[dict[str, str]]:
    """Give the threading headers of all copies that were sent, in order."""
    await bench.relay_all()
    messages = [message_of(b"".join(each.parts)) for each in bench.courier.sent]
    names = ("Message-ID", "In-Reply-To", "References")
    return [{name: str(each[name]) for name in names if each[name]} for each in messages]


@pytest.mark.asyncio
async def test_threads_map_and_an_id_that_comes_twice_is_fresh(bench: Bench) -> None:
    team = await new_team(bench)
    first = "<1@host.example>"
    await bench.post(mail(sealed(team.key.public).mmx(), message_id=first))
    answer = ["In-Reply-To: <1@host.example>", "References: <0@host.example> <1@host.example>"]
    await bench.post(mail(sealed(team.key.public).mmx(), message_id="<2@x>", fields=answer))
    await bench.post(mail(sealed(team.key.public).mmx(), message_id=first))
    await bench.post(mail(sealed(team.key.public).mmx(), message_id=first))
    root, reply, again, third = await ids(bench)
    assert reply["In-Reply-To"] == root["Message-ID"]
    assert reply["References"].endswith(root["Message-ID"])
    assert len({each["Message-ID"] for each in (root, reply, again, third)}) == 4
    assert "host.example" not in str([root, reply, again, third])
    own = [f"In-Reply-To: {again['Message-ID']}"]
    await bench.post(mail(sealed(team.key.public).mmx(), message_id="<3@x>", fields=own))
    assert (await ids(bench))[-1]["In-Reply-To"] == again["Message-ID"]


@pytest.mark.asyncio
async def test_bounces_are_taken_and_discarded(bench: Bench) -> None:
    team = await new_team(bench)
    octets = mail(sealed(team.key.public).mmx())
    token = ListAddress("team@lists.example", Role.BOUNCES, "a" * 26)
    for to, sender in ((TEAM_ADDRESS, ""), (token, ""), (token, POSTER)):
        said = await bench.posting.receive(octets, to, sender=sender)
        assert said == replies.ACCEPTED
    assert await bench.count("posts") == await bench.count("contents") == 0


@pytest.mark.asyncio
async def test_a_recipient_is_answered_by_the_list_alone(bench: Bench) -> None:
    await new_team(bench)
    for role in Role:
        assert (
            await bench.posting.recipient(ListAddress("team@lists.example", role))
            == replies.RECIPIENT_OK
        )
        assert (
            await bench.posting.recipient(ListAddress("none@lists.example", role))
            == replies.NO_SUCH_LIST
        )
    unknown = await bench.posting.receive(
        mail(sealed(new_group().key.public).mmx()),
        ListAddress("gone@lists.example", Role.POST),
        sender=POSTER,
    )
    assert str(unknown) == "550 5.1.1 There is no such list here."


@pytest.mark.asyncio
async def test_a_past_key_counts_while_members_have_entries_and_the_policy_says_so(
    bench: Bench,
) -> None:
    team = await new_team(bench)
    newer = await new_key(bench, team)
    assert await bench.post(mail(sealed(team.key.public).mmx())) == replies.ACCEPTED
    assert await bench.post(mail(sealed(newer.public).mmx())) == replies.ACCEPTED
    assert await bench.waiting() == 1  # nobody has an entry for the newer key yet
    async with bench.store.begin() as work:
        await bench.store._rows.run("UPDATE members SET paused = 1")
    later = mail(sealed(team.key.public).mmx(), message_id="<later@example.org>")
    assert await bench.post(later) == replies.ACCEPTED  # who wants no mail now has its entry still
    async with bench.store.begin() as work:
        found = await work.find_list(TEAM)
        assert found is not None
        ((alice, _),) = await work.named(found.id, [team.alice.udf])
        await work.put_members(found.id, [(alice, [])])
    said = await bench.post(mail(sealed(team.key.public).mmx()))
    assert str(said).startswith("554 5.6.0 It is encrypted to a key that this list no longer takes")


@pytest.mark.asyncio
async def test_without_past_keys_in_the_policy_a_past_key_is_refused(bench: Bench) -> None:
    team = await new_team(bench, policy=Policy(past_keys=False))
    await new_key(bench, team)
    said = await bench.post(mail(sealed(team.key.public).mmx()))
    assert (said.code, said.enhanced) == (554, "5.6.0")
    assert "get the key with: recrypt key team@lists.example" in said.text
    assert await bench.count("posts") == await bench.count("contents") == 0


def with_sender(team: Team, by: Person, *, list_name: str = TEAM, days: int = 0) -> bytes:
    """Write a post with a `sender` of that age."""
    envelope = sealed(team.key.public)
    moment = NOW - timedelta(days=days)
    made = sign_sender(list_name, envelope.content_id, by.online, now=moment)
    return mail(with_head(envelope, sender=made))


@pytest.mark.asyncio
async def test_where_members_post_all_others_get_one_answer(bench: Bench) -> None:
    group, alice, bob = new_group(), new_person("alice@example.org"), new_person("bob@example.org")
    idle = new_membership(bob, group.key, status=Status.SUSPENDED)
    members_only = Policy(post=PostRight.MEMBERS)
    team = await new_list_of(bench, group, alice, idle, policy=members_only)
    genuine = with_sender(team, alice)
    replayed = sign_sender(TEAM, b"1" * 32, alice.online, now=NOW)
    for refused in (
        mail(sealed(group.key.public).mmx()),
        mail(with_head(sealed(group.key.public), sender="forged")),
        mail(with_head(sealed(group.key.public), sender=replayed)),
        with_sender(team, new_person("carol@example.org")),
        with_sender(team, bob),
        with_sender(team, alice, days=6),
        with_sender(team, alice, list_name="other@lists.example"),
    ):
        said = await bench.post(refused)
        assert said == replies.NOT_ALLOWED_TO_POST
        assert str(said).startswith("550 5.7.1 This list takes no such post")
    assert await bench.count("posts") == await bench.count("contents") == 0
    assert await bench.post(genuine) == replies.ACCEPTED
    bench.clock.advance(timedelta(days=4))
    assert await bench.post(genuine) == replies.ACCEPTED
    assert await bench.count("posts") == 1


@pytest.mark.asyncio
async def test_where_anyone_posts_nobody_is_looked_up(bench: Bench) -> None:
    team = await new_team(bench)
    async with bench.store.begin():
        await bench.store._rows.run("UPDATE members SET sealed = x'00'")
    assert await bench.post(with_sender(team, team.alice)) == replies.ACCEPTED
    assert await bench.waiting() == 1


@pytest.mark.asyncio
async def test_what_is_logged_of_posts_names_nobody(bench: Bench) -> None:
    team = await new_team(bench)
    await bench.post(mail(sealed(team.key.public).mmx()))
    await bench.post(mail(b"in clear"))
    await bench.posting.receive(b"", TEAM_ADDRESS, sender="")
    names = {name for name, _ in bench.log.events}
    assert names >= {"post", "mail-discarded"}
    assert "example" not in str(bench.log.events)


@pytest.mark.asyncio
async def test_a_stored_post_keeps_only_what_its_copies_have(bench: Bench) -> None:
    team = await new_team(bench)
    stranger = PrivateKey.generate(Curve.X25519).public
    envelope = read_envelope(with_head(sealed(team.key.public, stranger), sender="a.b.c"))
    await bench.post(mail(envelope.mmx(), fields=["X-Trace: TRACK"]))
    ((sealed_row,),) = await bench.rows("SELECT sealed FROM posts")
    assert isinstance(sealed_row, bytes)
    kept = bench.vault.unseal("posts", sealed_row, row=b"1").decode()
    for gone in ("TRACK", "bob@example.org", "<1@example.org>", "a.b.c", stranger.udf, "in the"):
        assert gone not in kept
