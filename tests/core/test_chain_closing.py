"""A group that is closed for good: a SUPER signs it, and nothing follows (spec §6)."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace as but

from recrypt_core import chain
from recrypt_core.documents import GroupKey, Privilege, sign_group_key
from recrypt_core.encoding import JsonObject
from recrypt_core.errors import Malformed, NotAuthentic, Refused, Why
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.policy import Policy
from recrypt_core.signature_keys import SignaturePrivateKey
from recrypt_core.wire import from_json, to_json
from tests.builders import (
    EVERY_POWER,
    NOW,
    History,
    closed_key,
    create_message,
    new_group,
    new_history,
    new_membership,
    new_person,
    signed_group_key,
)

GROUP = new_group()
ALICE, BOB, CAROL = (new_person(f"{name}@example.org") for name in ("alice", "bob", "carol"))
BEGUN = new_history(
    GROUP,
    new_membership(ALICE, GROUP.key, privileges=EVERY_POWER),
    new_membership(BOB, GROUP.key, privileges=(Privilege.ADMIN,)),
    new_membership(CAROL, GROUP.key),
    authorised=ALICE,
)


@pytest.fixture
def history() -> History:
    """Give a group of a SUPER, an ADMIN and a plain member."""
    return History(GROUP, list(BEGUN.changes), list(BEGUN.states))


def close(history: History, key: SignaturePrivateKey) -> None:
    signed = closed_key(history.state, GROUP.master)
    history.change_group(key, current_encryption_key=signed.signed)


@pytest.mark.parametrize("key", [ALICE.online, GROUP.master.master])
def test_a_super_or_the_master_key_closes_a_group(
    history: History, key: SignaturePrivateKey
) -> None:
    assert [state.is_closed for state in history.states] == [False]
    close(history, key)
    assert [state.is_closed for state in history.states] == [False, True]
    assert history.state.key.document.closed == NOW
    assert history.state.key.udf == GROUP.key.public.udf
    assert chain.replay(history.changes).is_closed


@pytest.mark.parametrize("key", [BOB.online, CAROL.online, GROUP.master.online])
def test_nobody_else_does(history: History, key: SignaturePrivateKey) -> None:
    with pytest.raises(Refused, match="only an ACTIVE") as problem:
        close(history, key)
    assert problem.value.why is Why.FORBIDDEN
    assert not history.state.is_closed


def test_no_change_follows_of_whatever_kind_and_by_whom(history: History) -> None:
    close(history, ALICE.online)
    dave = new_membership(new_person("dave@example.org"), GROUP.key)
    open_again = but(history.state.key.document, closed=None, head=history.state.head)
    reopened = sign_group_key(open_again, GROUP.master.online).signed
    attempts: tuple[Callable[[], None], ...] = (
        lambda: history.add(ALICE.online, dave),
        lambda: history.update(ALICE.online, new_membership(CAROL)),
        lambda: history.change_group(ALICE.online, policy=Policy(keep=1)),
        lambda: history.change_group(GROUP.master.master, current_encryption_key=reopened),
        lambda: close(history, ALICE.online),
    )
    for attempt in attempts:
        with pytest.raises(Refused, match="closed for good") as problem:
            attempt()
        assert problem.value.why is Why.CONFLICT
    with pytest.raises(NotAuthentic):
        history.add(new_person("mallory@example.org").online, dave)


def test_a_closed_group_has_the_key_that_it_had(history: History) -> None:
    other = PrivateKey.generate(Curve.X25519)
    head, previous = history.state.head, GROUP.key.public.udf
    following = signed_group_key(
        GROUP.master, other, generation=2, previous=previous, head=head
    ).document
    signed = sign_group_key(but(following, closed=NOW), GROUP.master.online).signed
    with pytest.raises(Refused, match="closed as it begins"):
        history.change_group(ALICE.online, current_encryption_key=signed)


def test_none_is_closed_from_its_beginning() -> None:
    begun = but(GROUP.signed_key.document, closed=NOW)
    signed = sign_group_key(begun, GROUP.master.online).signed
    made = create_message(GROUP, [], ALICE.online)
    message = but(made, recryption_group=but(made.recryption_group, current_encryption_key=signed))
    history = History(GROUP)
    with pytest.raises(Malformed, match="a first group key"):
        history.take(history.sign(message, GROUP.master.online))


def test_the_document_says_when_and_nothing_while_it_is_open() -> None:
    stated: JsonObject = to_json(GROUP.signed_key.document)
    assert "Closed" not in stated
    closed = from_json(GroupKey, {**stated, "Closed": "2026-11-22T12:00:00Z"})
    assert closed.closed == NOW
    assert to_json(closed)["Closed"] == "2026-11-22T12:00:00Z"
    assert from_json(GroupKey, {**stated, "Closed": None}).closed is None
    for wrong in (True, 1, "2026-11-22T12:00:00+01:00", "yesterday"):
        with pytest.raises(Malformed):
            from_json(GroupKey, {**stated, "Closed": wrong})
