"""Members by address and fingerprint: many are found without going through all for each."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from recrypt_client.administering import Directory
from recrypt_client.errors import Trouble
from recrypt_core.chain import GroupState
from recrypt_core.members import Members
from recrypt_core.udf import Udf
from tests.builders import new_group, new_history, new_membership, new_person
from tests.fakes import administrator


class Counting(Members):
    """Members that count how often somebody goes through them."""

    passes = 0

    def __iter__(self) -> Iterator[Udf]:
        """Go through them."""
        Counting.passes += 1
        return super().__iter__()


@pytest.fixture
def state() -> GroupState:
    group, alice = new_group(), new_person("alice@example.org")
    bobs = [new_membership(new_person("bob@example.org"), group.key) for _ in range(2)]
    carol = new_membership(new_person("Carol@example.org"), group.key)
    history = new_history(group, administrator(alice, group), carol, *bobs, authorised=alice)
    return history.state


def test_many_are_found_in_one_pass(state: GroupState) -> None:
    members = Counting(state.members.values())
    Counting.passes = 0
    directory = Directory(replace(state, members=members))
    for udf, each in state.members.items():
        for typed in (udf, udf.lower().replace("-", " "), udf[:30]):
            assert directory.find(typed).profile == each.profile
    assert directory.find("alice@EXAMPLE.org").account == "alice@example.org"
    assert directory.find("carol@example.org").account == "Carol@example.org"
    assert Counting.passes == 1


@pytest.mark.parametrize(
    ("who", "words"),
    [
        ("Bob@example.org", "names 2 members of"),
        ("dave@example.org", "is no member of"),
        ("MAAAA-AAAAA-AAAAA-AAAAA-AAAAA", "is no member of"),
        ("MAAAA", "not a fingerprint"),
        ("bob", "not a fingerprint"),
    ],
)
def test_who_is_not_one_member_is_refused(state: GroupState, who: str, words: str) -> None:
    with pytest.raises(Trouble, match=words):
        Directory(state).find(who)
