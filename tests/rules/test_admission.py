"""Admission: what a list takes, decided from the envelope and the list alone."""

import dataclasses
from datetime import timedelta

import pytest
from msgspec.structs import replace as but

from listserver import admission, replies
from listserver.admission import Accept, Refuse, Standing, Way
from listserver.posts import PostHeaders
from recrypt_core.authorship import sign_sender
from recrypt_core.chain import GroupState
from recrypt_core.documents import Privilege, Status
from recrypt_core.encoding import write_b64url
from recrypt_core.envelope import Envelope, read_envelope
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.members import Member
from recrypt_core.policy import Policy, PostRight
from tests.builders import (
    NOW,
    TEAM,
    URL,
    Group,
    Person,
    new_group,
    new_history,
    new_person,
    signed_group_key,
)
from tests.fakes import administrator
from tests.mails import sealed, with_head

HEADERS = PostHeaders(None, (), (), None, (), 0)


def team() -> tuple[Group, Person, GroupState]:
    """Make a list whose administrator is Alice."""
    group, alice = new_group(), new_person("alice@example.org")
    history = new_history(group, administrator(alice, group), authorised=alice)
    return group, alice, history.state


def verdict(envelope: Envelope, state: GroupState, headers: PostHeaders = HEADERS) -> str:
    """Give "accepted", or the words of the refusal."""
    found = admission.decide(envelope, headers, state, service=URL)
    return str(found.reply) if isinstance(found, Refuse) else "accepted"


def test_a_post_to_the_lists_key_is_accepted_for_its_own_recipient() -> None:
    group, _, state = team()
    envelope = sealed(PrivateKey.generate(Curve.X25519).public, group.key.public)
    found = admission.decide(envelope, HEADERS, state, service=URL)
    assert found == Accept(group.key.public.udf, envelope.recipients[1])


def test_a_post_to_a_past_key_is_accepted_here_and_decided_elsewhere() -> None:
    group, _, state = team()
    newer = signed_group_key(group.master, PrivateKey.generate(Curve.X448), generation=2)
    state = dataclasses.replace(state, key=newer, past_keys=(state.key,))
    found = admission.decide(sealed(group.key.public), HEADERS, state, service=URL)
    assert isinstance(found, Accept)
    assert found.key == group.key.public.udf


def test_a_post_to_no_key_of_the_list_is_refused_with_where_to_get_it() -> None:
    _, _, state = team()
    said = verdict(sealed(PrivateKey.generate(Curve.X25519).public), state)
    assert said.startswith("554 5.6.0 It is not encrypted to a key of this list.")
    assert said.endswith(f"recrypt key {TEAM} --service {URL}")


def test_a_post_that_names_no_recipient_is_not_guessed_at() -> None:
    group, _, state = team()
    envelope = sealed(group.key.public)
    (only,) = envelope.recipients
    nameless = dataclasses.replace(only, kid=None)
    said = verdict(dataclasses.replace(envelope, recipients=(nameless,)), state)
    assert "not encrypted to a key of this list" in said


def test_a_post_to_two_keys_of_the_list_or_to_one_twice_is_refused() -> None:
    group, _, state = team()
    other = PrivateKey.generate(Curve.X25519)
    newer = signed_group_key(group.master, other, generation=2)
    state = dataclasses.replace(state, key=newer, past_keys=(state.key,))
    for keys in ((group.key.public, other.public), (other.public, other.public)):
        assert verdict(sealed(*keys), state).startswith("554 5.6.0 It is encrypted to two keys")


def test_an_epk_of_another_curve_than_the_lists_key_is_refused() -> None:
    group, _, state = team()
    envelope = sealed(PrivateKey.generate(Curve.P256).public)
    (only,) = envelope.recipients
    forged = dataclasses.replace(only, kid=group.key.public.udf)
    said = verdict(dataclasses.replace(envelope, recipients=(forged,)), state)
    assert said == "554 5.6.0 Its epk is of another curve than the list's key. Not taken."


def test_a_mail_with_the_lists_own_list_id_is_a_loop() -> None:
    group, _, state = team()
    envelope = sealed(group.key.public)
    bears = dataclasses.replace(HEADERS, list_ids=("other.lists.example", "team.lists.example"))
    assert verdict(envelope, state, bears) == str(replies.LOOP)
    elsewhere = dataclasses.replace(HEADERS, list_ids=("team.lists.example.org",))
    assert verdict(envelope, state, elsewhere) == "accepted"


def signed(  # noqa: PLR0913 - what a forger may vary
    group: Group,
    person: Person,
    *,
    list_name: str = TEAM,
    age: timedelta = timedelta(0),
    cid: bytes | None = None,
    master: bool = False,
) -> Envelope:
    """Make a post with a `sender`."""
    envelope = sealed(group.key.public)
    key = person.master if master else person.online
    made = sign_sender(list_name, cid or envelope.content_id, key, now=NOW - age)
    return read_envelope(with_head(envelope, sender=made))


def may_post(envelope: Envelope, state: GroupState, member: Member | None) -> bool:
    return admission.may_post(envelope, state, member, now=NOW)


def test_a_member_posts_with_any_key_of_the_profile() -> None:
    group, alice, state = team()
    for master in (False, True):
        envelope = signed(group, alice, master=master, age=timedelta(days=5))
        assert may_post(envelope, state, state.members[alice.udf])


def test_a_sender_that_proves_nothing_may_not_post() -> None:
    group, alice, state = team()
    member, bob = state.members[alice.udf], new_person("bob@example.org")
    for envelope in (
        sealed(group.key.public),
        read_envelope(with_head(sealed(group.key.public), sender="x.y.z")),
        signed(group, bob),
        signed(group, alice, list_name="other@lists.example"),
        signed(group, alice, cid=b"1" * 32),
        signed(group, alice, age=timedelta(days=6)),
        signed(group, alice, age=timedelta(minutes=-6)),
    ):
        assert not may_post(envelope, state, member)
    assert not may_post(signed(group, alice), state, None)
    assert not may_post(signed(group, group.master), state, None)
    tampered = signed(group, alice)
    assert tampered.sender is not None
    head, payload, signature = tampered.sender.split(".")
    forged = dataclasses.replace(tampered, sender=f"{head}.{payload}.{signature[::-1]}")
    assert not may_post(forged, state, member)


@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.REVOKED])
def test_who_is_not_active_may_not_post(status: Status) -> None:
    group, alice, state = team()
    member = state.members[alice.udf]
    fields = {name: getattr(member.entry, name) for name in member.entry.__struct_fields__}
    idle = dataclasses.replace(member, entry=type(member.entry)(**{**fields, "status": status}))
    assert not may_post(signed(group, alice), state, idle)


def test_who_signed_is_read_only_from_what_is_a_sender() -> None:
    group, alice, _ = team()
    assert admission.signer_of(signed(group, alice)) == alice.online.public.udf
    assert admission.signer_of(sealed(group.key.public)) is None
    for text in ("", "x", "a.b.c", write_b64url(b"{}") + ".a.b"):
        assert (
            admission.signer_of(read_envelope(with_head(sealed(group.key.public), sender=text)))
            is None
        )


TAKE, HOLD, REFUSE = Way.TAKE, Way.HOLD, Way.REFUSE
# Of nobody who is proven, of a member, of an administrator, of who is banned.
WAYS = {
    (PostRight.ANYONE, False): (TAKE, TAKE, TAKE, TAKE),
    (PostRight.ANYONE, True): (HOLD, HOLD, HOLD, HOLD),
    (PostRight.MEMBERS, False): (REFUSE, TAKE, TAKE, REFUSE),
    (PostRight.MEMBERS, True): (REFUSE, HOLD, HOLD, REFUSE),
    (PostRight.MODERATED, False): (HOLD, HOLD, TAKE, HOLD),
    (PostRight.MODERATED, True): (HOLD, HOLD, HOLD, HOLD),
    (PostRight.ANNOUNCE, False): (REFUSE, REFUSE, TAKE, REFUSE),
    (PostRight.ANNOUNCE, True): (REFUSE, REFUSE, HOLD, REFUSE),
}
STANDINGS = (Standing.NOBODY, Standing.MEMBER, Standing.ADMINISTRATOR, Standing.BANNED)


@pytest.mark.parametrize(("post", "hold"), WAYS, ids=str)
def test_policy_and_standing_alone_decide_what_becomes_of_a_post(
    post: PostRight, hold: bool
) -> None:
    policy = Policy(post=post, hold=hold)
    found = tuple(admission.way_of(policy, each) for each in STANDINGS)
    assert found == WAYS[post, hold]
    assert len(WAYS) == 2 * len(PostRight)
    assert set(STANDINGS) == set(Standing)


def test_who_is_banned_is_as_a_stranger_to_every_list() -> None:
    for post, hold in WAYS:
        policy = Policy(post=post, hold=hold)
        ways = {admission.way_of(policy, each) for each in (Standing.NOBODY, Standing.BANNED)}
        assert len(ways) == 1


def test_a_sender_is_looked_for_only_where_it_makes_a_difference() -> None:
    asked = {
        (post, hold)
        for post, hold in WAYS
        if admission.asks_for_sender(Policy(post=post, hold=hold))
    }
    assert asked == set(WAYS) - {(PostRight.ANYONE, False)}
    banned = new_person("carol@example.org").udf
    assert admission.asks_for_sender(Policy(banned=(banned,)))
    assert admission.asks_for_sender(Policy(posts_per_day=1))
    assert not admission.asks_for_sender(Policy(list_posts_per_day=1, post_kib=1))


@pytest.mark.parametrize(
    ("status", "banned", "standing"),
    [
        (Status.ACTIVE, False, Standing.ADMINISTRATOR),
        (Status.SUSPENDED, False, Standing.NOBODY),
        (Status.REVOKED, False, Standing.NOBODY),
        (Status.ACTIVE, True, Standing.BANNED),
        (Status.SUSPENDED, True, Standing.BANNED),
        (Status.REVOKED, True, Standing.BANNED),
    ],
)
def test_a_sender_stands_as_the_list_and_its_rules_say(
    status: Status, banned: bool, standing: Standing
) -> None:
    group, alice, state = team()
    member = state.members[alice.udf]
    member = dataclasses.replace(member, entry=but(member.entry, status=status))
    state = dataclasses.replace(state, policy=Policy(banned=(alice.udf,) if banned else ()))
    envelope = signed(group, alice)
    assert admission.standing_of(envelope, state, member, now=NOW) is standing
    assert admission.standing_of(sealed(group.key.public), state, member, now=NOW) is (
        Standing.NOBODY
    )
    plain = dataclasses.replace(
        member, entry=but(member.entry, status=Status.ACTIVE, privileges=(Privilege.RECRYPT,))
    )
    expected = Standing.BANNED if banned else Standing.MEMBER
    assert admission.standing_of(envelope, state, plain, now=NOW) is expected


def test_a_post_over_the_size_of_the_rules_is_refused_whoever_sent_it() -> None:
    group, _, state = team()
    state = dataclasses.replace(state, policy=Policy(post_kib=1))
    fits, over = (sealed(group.key.public, content=b"x" * size) for size in (1024, 1025))
    assert verdict(fits, state) == "accepted"
    words = "552 5.3.4 Too large: this list takes at most 1 KiB, encrypted."
    assert verdict(over, state) == words
